//! A root whose folder is yet to be made is made by what writes in it, and by nothing else.

use std::sync::Mutex;

use cog_gate::effect::{FileDelete, FileWrite, WriteContent};
use cog_gate::{Adapter as _, Found};

use super::*;
use crate::bound::Bound;

/// The root `made/by/us` of a bench, which is not there.
struct Unmade {
    bench: Bench,
    adapter: FileAdapter,
}

impl Unmade {
    fn new(write: bool) -> Self {
        let (bench, adapter) = (Bench::new(), adapter());
        let roots = BTreeMap::from([("box".to_owned(), binding(&made(&bench), write))]);
        adapter.bind(run(1), &roots).unwrap();
        Self { bench, adapter }
    }

    fn bound(&self) -> Arc<Bound> {
        self.adapter.root(run(1), "box").unwrap()
    }

    fn is_made(&self) -> bool {
        self.bench.folder.join("made").exists()
    }
}

fn made(bench: &Bench) -> PathBuf {
    std::fs::canonicalize(&bench.folder).unwrap().join("made/by/us")
}

#[tokio::test]
async fn nothing_is_made_before_something_is_written() {
    let unmade = Unmade::new(true);
    let bound = unmade.bound();
    assert!(bound.there().unwrap().is_none());
    let read = bound.read_absent(".").unwrap();
    assert_eq!(read.to_string(), r#"{"entries":[],"kind":"folder","path":"."}"#);
    assert_eq!(code(bound.read_absent("a.txt")), "file.not_found");
    assert_eq!(code(bound.read_absent("../a.txt")), "file.escapes_root");
    let content = WriteContent::Text("new".into());
    let (root, path) = ("box".to_owned(), "a.txt".to_owned());
    let write = FileWrite { root, path, content, mode: WriteMode::Create };
    assert_eq!(unmade.adapter.probe(&write, run(1), receipt(1)).await, Found::NotDone);
    let delete = FileDelete { root: "box".into(), path: "a.txt".into() };
    let found = unmade.adapter.probe(&delete, run(1), receipt(1)).await;
    assert!(matches!(found, Found::Done(_)), "{found:?}");
    assert!(!unmade.is_made());
    let root = bound.made().unwrap();
    let write =
        Write { path: "a.txt", bytes: b"new", mode: WriteMode::Create, receipt: receipt(1) };
    write_inside(&root, &write).map(output).unwrap();
    assert_eq!(std::fs::read_to_string(made(&unmade.bench).join("a.txt")).unwrap(), "new");
    assert!(Arc::ptr_eq(&root, &bound.there().unwrap().unwrap()));
}

#[test]
fn a_program_that_is_lent_a_root_makes_it_and_reading_one_does_not() {
    let unmade = Unmade::new(true);
    assert!(unmade.adapter.lend(run(1), "box").unwrap().1);
    assert!(unmade.is_made());
    let unmade = Unmade::new(false);
    let failed = unmade.adapter.lend(run(1), "box").map(|_| Value::Null);
    assert_eq!(code(failed), "file.read_only_root");
    assert!(!unmade.is_made());
}

#[test]
fn what_somebody_else_made_meanwhile_is_opened() {
    let unmade = Unmade::new(false);
    std::fs::create_dir_all(made(&unmade.bench)).unwrap();
    assert!(unmade.bound().there().unwrap().is_some());
}

#[test]
fn a_link_that_is_put_in_the_way_before_it_is_made_leads_nowhere() {
    let unmade = Unmade::new(true);
    std::os::unix::fs::symlink("outside", unmade.bench.folder.join("made")).unwrap();
    let made = unmade.bound().made().map(|_| Value::Null);
    assert_eq!(code(made), "file.root_moved");
    assert_eq!(code(unmade.bound().there().map(|_| Value::Null)), "file.root_moved");
    unmade.bench.assert_nothing_happened_outside();
}

#[test]
fn where_a_root_may_stand_is_asked_when_it_is_made_and_when_it_is_found() {
    let bench = Bench::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    let adapter = FileAdapter::new(Arc::new(move |name: &str, path: &Path| {
        told.lock().unwrap().push((name.to_owned(), path.to_owned()));
        Err("it holds the data folder".into())
    }));
    let roots = BTreeMap::from([("box".to_owned(), binding(&made(&bench), true))]);
    adapter.bind(run(1), &roots).unwrap();
    let bound = adapter.root(run(1), "box").unwrap();
    for opened in [bound.made().map(|_| ()), bound.there().map(|_| ())] {
        let failure = opened.unwrap_err();
        assert_eq!(
            (&*failure.code, &*failure.message),
            ("file.bad_root", "it holds the data folder")
        );
    }
    assert!(!bench.folder.join("made").exists());
    let expected = ("box".to_owned(), made(&bench));
    assert_eq!(*asked.lock().unwrap(), [expected.clone(), expected]);
}
