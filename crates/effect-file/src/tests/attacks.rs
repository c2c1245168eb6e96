//! Ways out of a root, each of which must fail.

use std::sync::atomic::AtomicBool;

use super::*;

/// Each of reading, writing and deleting `path` ends with this code.
fn check(bench: &Bench, path: &str, expected: &str) {
    assert_eq!(code(bench.read(path)), expected, "reading {path:?}");
    assert_eq!(bench.create(path), expected, "creating {path:?}");
    let replaced = bench.write(path, "new", WriteMode::Replace);
    assert_eq!(code(replaced), expected, "replacing {path:?}");
    assert_eq!(code(bench.delete(path)), expected, "deleting {path:?}");
    bench.assert_nothing_happened_outside();
}

#[test]
fn a_path_that_goes_up_stays_out() {
    let bench = Bench::new();
    check(&bench, "../outside/secret.txt", "file.escapes_root");
    check(&bench, "a/../../outside/secret.txt", "file.escapes_root");
    check(&bench, "./../outside/secret.txt", "file.escapes_root");
}

#[test]
fn an_absolute_path_stays_out() {
    let bench = Bench::new();
    let path = bench.outside("secret.txt");
    check(&bench, path.to_str().unwrap(), "file.escapes_root");
    check(&bench, "/etc/passwd", "file.escapes_root");
    check(&bench, "//etc/passwd", "file.escapes_root");
}

#[test]
fn a_name_with_a_nul_is_refused_before_the_kernel_cuts_it() {
    let bench = Bench::new();
    check(&bench, "a.txt\0.pdf", "file.bad_path");
}

#[test]
fn a_link_to_a_file_outside_is_not_followed() {
    let bench = Bench::new();
    bench.link("../outside/secret.txt", "relative");
    bench.link(bench.outside("secret.txt"), "absolute");
    bench.link(bench.outside("new.txt"), "dangling");
    bench.link("/proc/self/environ", "magic");
    for path in ["relative", "absolute", "dangling", "magic"] {
        assert_eq!(code(bench.read(path)), "file.escapes_root");
        let replaced = bench.write(path, "new", WriteMode::Replace);
        assert_eq!(code(replaced), "file.escapes_root");
        assert_eq!(code(bench.delete(path)), "file.escapes_root");
        bench.assert_nothing_happened_outside();
    }
}

#[test]
fn a_link_to_a_folder_outside_is_not_followed() {
    let bench = Bench::new();
    bench.link("../outside", "relative");
    bench.link(bench.outside(""), "absolute");
    bench.put("a/b/c.txt", "");
    bench.link("../../outside", "a/deep");
    check(&bench, "relative/secret.txt", "file.escapes_root");
    check(&bench, "absolute/secret.txt", "file.escapes_root");
    check(&bench, "a/deep/secret.txt", "file.escapes_root");
    check(&bench, "relative/new/folder/x.txt", "file.escapes_root");
    assert_eq!(code(bench.read("relative")), "file.escapes_root");
}

#[test]
fn not_even_a_link_that_stays_inside_is_followed() {
    let bench = Bench::new();
    bench.put("a/b.txt", "");
    bench.link("a", "inside");
    check(&bench, "inside/b.txt", "file.escapes_root");
}

#[test]
fn a_write_through_a_hard_link_leaves_the_other_file_alone() {
    let bench = Bench::new();
    std::fs::hard_link(bench.outside("secret.txt"), bench.inside("twin.txt")).unwrap();
    assert_eq!(code(bench.write("twin.txt", "new", WriteMode::Replace)), "done");
    bench.assert_nothing_happened_outside();
}

#[test]
fn a_pipe_neither_blocks_nor_answers() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let bench = Bench::new();
    let (path, mode) = (bench.inside("pipe"), Mode::from_raw_mode(0o600));
    mknodat(CWD, &path, FileType::Fifo, mode, 0).unwrap();
    assert_eq!(code(bench.read("pipe")), "file.not_a_file");
    let replaced = bench.write("pipe", "new", WriteMode::Replace);
    assert_eq!(code(replaced), "file.not_a_file");
    assert_eq!(code(bench.delete("pipe")), "file.not_a_file");
}

#[test]
fn a_device_or_a_socket_is_not_opened() {
    let bench = Bench::new();
    let _socket = std::os::unix::net::UnixListener::bind(bench.inside("socket")).unwrap();
    assert_eq!(code(bench.read("socket")), "file.not_a_file");
    let devices = Root::open("dev", &binding(Path::new("/dev"), true), false).unwrap();
    assert_eq!(code(read_inside(&devices, "zero")), "file.not_a_file");
    assert_eq!(code(read_inside(&devices, "tty")), "file.not_a_file");
    assert_eq!(code(delete_inside(&devices, "zero").map(output)), "file.not_a_file");
}

#[test]
fn a_root_that_is_swapped_after_the_start_leads_nowhere_else() {
    let bench = Bench::new();
    bench.put("a.txt", "mine");
    std::fs::rename(bench.folder.join("root"), bench.folder.join("moved")).unwrap();
    std::os::unix::fs::symlink("outside", bench.folder.join("root")).unwrap();
    assert_eq!(code(bench.read("secret.txt")), "file.not_found");
    assert_eq!(bench.create("new.txt"), "done");
    bench.assert_nothing_happened_outside();
    assert!(bench.folder.join("moved/new.txt").exists());
}

#[test]
fn a_root_behind_a_link_is_not_opened_and_not_made() {
    let bench = Bench::new();
    let open = |path: &str| {
        let path = bench.folder.join(path);
        match Root::open("box", &binding(&path, true), true) {
            Ok(_) => "open",
            Err(error) => error.code(),
        }
    };
    std::os::unix::fs::symlink("outside", bench.folder.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", bench.folder.join("dangling")).unwrap();
    assert_eq!(open("new/and/deep"), "open");
    assert_eq!(open("root"), "open");
    assert_eq!(open("link"), "file.root_moved");
    assert_eq!(open("link/new"), "file.root_moved");
    assert_eq!(open("dangling"), "file.root_moved");
    assert_eq!(open("outside/secret.txt"), "file.bad_root");
    bench.assert_nothing_happened_outside();
}

#[test]
fn a_root_that_is_swapped_for_a_link_while_it_is_opened_is_itself_or_none() {
    let bench = Bench::new();
    let (root, link) = (bench.folder.join("root"), bench.folder.join("link"));
    std::os::unix::fs::symlink("outside", &link).unwrap();
    let stop = AtomicBool::new(false);
    let (mut opened, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let exchange = rustix::fs::RenameFlags::EXCHANGE;
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(rustix::fs::CWD, &root, rustix::fs::CWD, &link, exchange)
                    .unwrap();
            }
        });
        for _ in 0..200_000 {
            if opened > 500 && refused > 500 {
                break;
            }
            match Root::open("box", &binding(&root, true), true) {
                Ok(root) => {
                    opened += 1;
                    assert_eq!(code(read_inside(&root, "secret.txt")), "file.not_found");
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.code(), "file.root_moved");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened > 0 && refused > 0, "the race did not run: {opened} {refused}");
}

#[test]
fn a_folder_that_is_swapped_for_a_link_during_2000_writes_lets_none_out() {
    let bench = Bench::new();
    let (folder, spare) = (bench.inside("a"), bench.inside("spare"));
    std::fs::create_dir_all(&folder).unwrap();
    let stop = AtomicBool::new(false);
    let mut done = 0;
    std::thread::scope(|scope| {
        // The writer makes missing folders, so each step of a swap may find the other there
        // first; a round counts when the link stood where the folder was.
        let swaps = scope.spawn(|| {
            let mut swaps = 0;
            while !stop.load(Ordering::Relaxed) {
                let _ = std::fs::remove_dir_all(&spare);
                let _ = std::fs::rename(&folder, &spare);
                swaps += usize::from(std::os::unix::fs::symlink("../outside", &folder).is_ok());
                let _ = std::fs::remove_file(&folder);
                let _ = std::fs::rename(&spare, &folder);
            }
            swaps
        });
        // On a busy machine the writer may meet nothing but links for long.
        for count in 0..200_000 {
            if count >= 2_000 && done > 0 {
                break;
            }
            let path = format!("a/{count}.txt");
            done += usize::from(bench.create(&path) == "done");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(swaps.join().unwrap() > 0, "the race did not run");
    });
    assert!(done > 0, "no write went through at all");
    bench.assert_nothing_happened_outside();
}

#[test]
fn an_unknown_root_and_an_unbound_run_are_refused() {
    let bench = Bench::new();
    let files = adapter();
    let root = |session, name| files.root(session, name).map(|_| ()).unwrap_err().code;
    assert_eq!(root(run(1), "box"), "file.not_bound");
    files.bind(run(1), &roots(&bench, true)).unwrap();
    assert_eq!(root(run(1), "other"), "file.unknown_root");
    assert_eq!(root(run(2), "box"), "file.not_bound");
    files.unbind(run(1));
    assert_eq!(root(run(1), "box"), "file.not_bound");
}

#[test]
fn a_root_that_is_missing_or_no_folder_cannot_be_bound() {
    let bench = Bench::new();
    let open = |path: PathBuf, create| {
        let binding = RootBinding { path, write: false, create };
        Root::open("box", &binding, create).map(|_| ()).unwrap_err().to_string()
    };
    assert!(open(bench.outside("none"), false).starts_with("could not open the folder"));
    assert!(open(bench.outside("secret.txt"), false).starts_with("could not open the folder"));
    assert!(open(bench.outside("secret.txt/x"), true).starts_with("could not open the folder"));
}

#[test]
fn what_the_kernel_shows_is_no_file_wherever_it_is_mounted() {
    let root = Root::open("all", &binding(Path::new("/"), false), false).unwrap();
    for path in ["proc/version", "proc/1/comm", "sys/kernel"] {
        let read = read_inside(&root, path);
        assert_eq!(code(read), "file.not_a_file", "{path}");
    }
    let of_kernel = Root::open("proc", &binding(Path::new("/proc/1"), false), false).unwrap_err();
    assert_eq!(of_kernel.code(), "file.bad_root");
}
