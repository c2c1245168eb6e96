//! Reading files and folders.

use super::*;

fn check(bench: &Bench, path: &str, expected: &str) {
    let found = match bench.read(path) {
        Ok(output) => output.to_string(),
        Err(failure) => failure.code,
    };
    assert_eq!(found, expected, "for {path}");
}

#[test]
fn a_file_is_read_as_text() {
    let bench = Bench::new();
    bench.put("a/b.txt", "über\n");
    let expected = r#"{"bytes":6,"kind":"file","path":"a/b.txt","text":"über\n"}"#;
    check(&bench, "a/b.txt", expected);
    check(&bench, "./a/b.txt", expected);
    check(&bench, "a/c.txt", "file.not_found");
    check(&bench, "a/b.txt/c", "file.not_found");
}

#[test]
fn a_folder_is_listed_by_name_and_its_strangers_are_only_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    bench.put("b.txt", "12345");
    bench.put("a/c.txt", "");
    bench.put("B.txt", "");
    bench.put(".cog-rcp_unfinished.tmp", "half");
    bench.link("/etc", "link");
    for raw in [&b"z\xff"[..], b"x\\n", b"x\n", b"y\xc3"] {
        let raw = std::ffi::OsStr::from_bytes(raw);
        std::fs::write(bench.folder.join("root").join(raw), "12").unwrap();
    }
    std::fs::create_dir(bench.inside("\u{1b}[2J")).unwrap();
    check(
        &bench,
        ".",
        concat!(
            r#"{"entries":[{"bytes":0,"kind":"other","name":"\\u{1b}[2J"},"#,
            r#"{"bytes":0,"kind":"file","name":"B.txt"},"#,
            r#"{"bytes":0,"kind":"folder","name":"a"},"#,
            r#"{"bytes":5,"kind":"file","name":"b.txt"},"#,
            r#"{"bytes":0,"kind":"other","name":"link"},"#,
            r#"{"bytes":0,"kind":"other","name":"x\\n"},"#,
            r#"{"bytes":0,"kind":"other","name":"x\\\\n"},"#,
            r#"{"bytes":0,"kind":"other","name":"y\\xc3"},"#,
            r#"{"bytes":0,"kind":"other","name":"z\\xff"}],"#,
            r#""kind":"folder","path":"."}"#,
        ),
    );
}

#[test]
fn what_is_not_text_or_too_large_is_not_read() {
    let bench = Bench::new();
    bench.put("image", b"\x89PNG\xff");
    bench.put("full", vec![b'x'; crate::READ_BYTES_MAX]);
    bench.put("over", vec![b'x'; crate::READ_BYTES_MAX + 1]);
    check(&bench, "image", "file.not_text");
    check(&bench, "over", "file.too_large");
    assert_eq!(code(bench.read("full")), "done");
}

#[test]
fn a_folder_with_too_many_entries_is_not_listed() {
    let bench = Bench::new();
    for count in 0..crate::ENTRIES_MAX {
        bench.put(&format!("{count}"), "");
    }
    assert_eq!(code(bench.read(".")), "done");
    bench.put("one more", "");
    check(&bench, ".", "file.too_large");
}

#[test]
fn a_failure_says_what_was_tried() {
    let bench = Bench::new();
    let failure = bench.read("no.txt").unwrap_err();
    assert_eq!(failure.message, "could not read `no.txt` in root `box`: it is not there");
    assert!(!failure.transient);
}
