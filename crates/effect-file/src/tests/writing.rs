//! Writing and deleting, and what a probe finds afterwards.

use std::os::unix::fs::PermissionsExt as _;

use cog_gate::effect::{FileDelete, FileWrite, WriteContent};
use cog_gate::{Adapter, Found};

use super::*;

fn wanted(path: &str, text: &str, mode: WriteMode) -> FileWrite {
    let content = WriteContent::Text(text.into());
    FileWrite { root: "box".into(), path: path.into(), content, mode }
}

fn text(bench: &Bench, path: &str) -> String {
    std::fs::read_to_string(bench.inside(path)).unwrap()
}

#[test]
fn a_write_makes_the_folders_and_says_what_it_wrote() {
    let bench = Bench::new();
    let output = bench.write("a/b/c.txt", "hello", WriteMode::Create).unwrap();
    assert_eq!(
        output.to_string(),
        r#"{"bytes":5,"digest":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","path":"a/b/c.txt"}"#
    );
    assert_eq!(text(&bench, "a/b/c.txt"), "hello");
    assert_eq!(std::fs::read_dir(bench.inside("a/b")).unwrap().count(), 1);
}

#[test]
fn create_never_replaces_and_replace_does() {
    let bench = Bench::new();
    bench.put("a.txt", "old");
    assert_eq!(code(bench.write("a.txt", "new", WriteMode::Create)), "file.exists");
    assert_eq!(text(&bench, "a.txt"), "old");
    assert_eq!(code(bench.write("a.txt", "new", WriteMode::Replace)), "done");
    assert_eq!(text(&bench, "a.txt"), "new");
    assert_eq!(code(bench.write("b.txt", "new", WriteMode::Replace)), "done");
}

#[test]
fn a_replaced_file_keeps_its_permissions_and_loses_set_user_id() {
    let bench = Bench::new();
    let mode =
        |path: &str| std::fs::metadata(bench.inside(path)).unwrap().permissions().mode() & 0o7777;
    bench.put("secret.txt", "old");
    let permissions = std::fs::Permissions::from_mode(0o4600);
    std::fs::set_permissions(bench.inside("secret.txt"), permissions).unwrap();
    bench.write("secret.txt", "new", WriteMode::Replace).unwrap();
    assert_eq!(mode("secret.txt"), 0o600);
    bench.write("new.txt", "new", WriteMode::Create).unwrap();
    assert_eq!(mode("new.txt") & !0o644, 0);
}

#[test]
fn a_crash_in_mid_write_leaves_nothing_in_the_way_of_the_next_try() {
    let bench = Bench::new();
    bench.put(&crate::path::temporary_name(receipt(1)), "half of the con");
    assert_eq!(bench.create("a.txt"), "done");
    assert_eq!(std::fs::read_dir(bench.inside("")).unwrap().count(), 1);
}

#[test]
fn two_creates_of_one_file_have_one_winner() {
    let bench = Bench::new();
    let create = |seed| {
        let bytes = format!("{seed}").into_bytes();
        let mode = WriteMode::Create;
        let write = Write { path: "a.txt", bytes: &bytes, mode, receipt: receipt(seed) };
        code(write_inside(&bench.root, &write).map(output))
    };
    let codes: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|seed| scope.spawn(move || create(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| *code == "done").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| *code == "file.exists").count(), 7, "{codes:?}");
}

#[test]
fn a_root_that_was_lent_for_reading_is_not_changed() {
    let mut bench = Bench::new();
    bench.put("a.txt", "old");
    bench.root = Root::open("box", &binding(&bench.folder.join("root"), false), false).unwrap();
    assert_eq!(bench.create("b.txt"), "file.read_only_root");
    assert_eq!(bench.create("a/b.txt"), "file.read_only_root");
    assert_eq!(code(bench.delete("a.txt")), "file.read_only_root");
    assert_eq!(std::fs::read_dir(bench.inside("")).unwrap().count(), 1);
}

#[test]
fn what_is_too_large_is_not_written() {
    let bench = Bench::new();
    let text = "x".repeat(crate::WRITE_BYTES_MAX + 1);
    assert_eq!(code(bench.write("a", &text, WriteMode::Create)), "file.too_large");
    assert_eq!(std::fs::read_dir(bench.inside("")).unwrap().count(), 0);
}

#[test]
fn deleting_says_whether_it_was_there() {
    let bench = Bench::new();
    bench.put("a/b.txt", "");
    let check = |path: &str, expected: &str| {
        let found = bench.delete(path).map_or_else(|failure| failure.code, |done| done.to_string());
        assert_eq!(found, expected);
    };
    check("a", "file.not_a_file");
    check(".", "file.not_a_file");
    check("a/b.txt", r#"{"existed":true,"path":"a/b.txt"}"#);
    check("a/b.txt", r#"{"existed":false,"path":"a/b.txt"}"#);
    check("no/such/folder", r#"{"existed":false,"path":"no/such/folder"}"#);
}

#[test]
fn a_disk_that_is_full_is_named() {
    let failure = crate::error::from_errno("write `a`", rustix::io::Errno::NOSPC);
    assert_eq!((failure.code.as_str(), failure.transient), ("file.no_space", false));
    let failure = crate::error::from_errno("write `a`", rustix::io::Errno::AGAIN);
    assert_eq!((failure.code.as_str(), failure.transient), ("file.io", true));
    let failure = crate::error::from_errno("write `a`", rustix::io::Errno::NOSYS);
    assert_eq!(failure.code, "file.unsupported_kernel");
}

#[tokio::test]
async fn a_probe_tells_done_from_not_done() {
    let bench = Bench::new();
    let files = adapter();
    files.bind(run(1), &roots(&bench, true)).unwrap();
    bench.put("same", "new");
    bench.put("other", "old");
    let check = async |path: &str, mode, expected: &str| {
        let found = files.probe(&wanted(path, "new", mode), run(1), receipt(1)).await;
        assert_eq!(word(&found), expected, "for {path}, {mode:?}");
    };
    check("same", WriteMode::Create, "done").await;
    check("same", WriteMode::Replace, "done").await;
    check("none", WriteMode::Create, "not done").await;
    check("no/such/folder", WriteMode::Create, "not done").await;
    check("other", WriteMode::Create, "cannot tell").await;
    check("other", WriteMode::Replace, "not done").await;
    check("../x", WriteMode::Replace, "cannot tell").await;
    assert!(!bench.inside("none").exists(), "a probe does not act");
}

#[tokio::test]
async fn a_probe_of_a_delete_looks_whether_the_file_is_gone() {
    let bench = Bench::new();
    let files = adapter();
    files.bind(run(1), &roots(&bench, true)).unwrap();
    bench.put("here", "");
    let probe = async |path: &str| {
        let delete = FileDelete { root: "box".into(), path: path.into() };
        files.probe(&delete, run(1), receipt(1)).await
    };
    assert_eq!(probe("here").await, Found::NotDone);
    let Found::Done(output) = probe("gone").await else { panic!("it is gone") };
    assert_eq!(output.to_string(), r#"{"existed":null,"path":"gone"}"#);
}

#[tokio::test]
async fn a_probe_looks_in_the_root_of_its_own_run() {
    let (bench, other) = (Bench::new(), Bench::new());
    let files = adapter();
    bench.put("same", "new");
    let effect = wanted("same", "new", WriteMode::Create);
    let probe = async |seed| word(&files.probe(&effect, run(seed), receipt(1)).await);
    assert_eq!(probe(1).await, "cannot tell", "its roots are not open");
    files.bind(run(1), &roots(&bench, true)).unwrap();
    files.bind(run(2), &roots(&other, true)).unwrap();
    assert_eq!((probe(1).await, probe(2).await), ("done", "not done"));
    files.unbind(run(1));
    assert_eq!((probe(1).await, probe(2).await), ("cannot tell", "not done"));
}

#[tokio::test]
async fn a_probe_removes_what_its_receipt_left_behind_and_nothing_else() {
    let bench = Bench::new();
    let files = adapter();
    files.bind(run(1), &roots(&bench, true)).unwrap();
    bench.put("below/kept", "old");
    let left = |seed| format!("below/{}", crate::path::temporary_name(receipt(seed)));
    bench.put(&left(1), "half of i");
    bench.put(&left(2), "another receipt's");
    let effect = wanted("below/kept", "new", WriteMode::Replace);
    assert_eq!(word(&files.probe(&effect, run(1), receipt(1)).await), "not done");
    assert!(!bench.inside(&left(1)).exists());
    assert!(bench.inside(&left(2)).exists() && bench.inside("below/kept").exists());
}

fn word(found: &Found) -> &'static str {
    match found {
        Found::Done(_) => "done",
        Found::NotDone => "not done",
        Found::CannotTell => "cannot tell",
    }
}
