//! What the adapter does, and what nobody can make it do.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests look at the folders from outside"
)]

mod attacks;
mod making;
mod reading;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_base::id::{ReceiptId, RunId};
use cog_base::{Timestamp, Value};
use cog_gate::Failure;
use cog_gate::effect::WriteMode;

use crate::FileAdapter;
use crate::read::read_inside;
use crate::root::{Root, RootBinding};
use crate::write::{Change, Write, delete_inside, write_inside};

/// A folder with `root` inside and `outside` beside it, removed at the end.
struct Bench {
    folder: PathBuf,
    root: Root,
}

impl Bench {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog-effect-file-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("outside")).unwrap();
        std::fs::write(folder.join("outside/secret.txt"), "secret").unwrap();
        let root = Root::open("box", &binding(&folder.join("root"), true), true).unwrap();
        Self { folder, root }
    }

    /// A path below the root, as the tests see it.
    fn inside(&self, path: &str) -> PathBuf {
        self.folder.join("root").join(path)
    }

    fn outside(&self, path: &str) -> PathBuf {
        self.folder.join("outside").join(path)
    }

    fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.inside(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn link(&self, target: impl AsRef<Path>, path: &str) {
        std::os::unix::fs::symlink(target, self.inside(path)).unwrap();
    }

    fn read(&self, path: &str) -> Result<Value, Failure> {
        read_inside(&self.root, path)
    }

    fn write(&self, path: &str, text: &str, mode: WriteMode) -> Result<Value, Failure> {
        let write = Write { path, bytes: text.as_bytes(), mode, receipt: receipt(1) };
        write_inside(&self.root, &write).map(output)
    }

    fn create(&self, path: &str) -> String {
        code(self.write(path, "new", WriteMode::Create))
    }

    fn delete(&self, path: &str) -> Result<Value, Failure> {
        delete_inside(&self.root, path).map(output)
    }

    /// Everything outside the root is as it was.
    fn assert_nothing_happened_outside(&self) {
        let names: Vec<_> = std::fs::read_dir(self.folder.join("outside"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["secret.txt"]);
        assert_eq!(std::fs::read_to_string(self.outside("secret.txt")).unwrap(), "secret");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn binding(path: &Path, write: bool) -> RootBinding {
    RootBinding { path: path.to_owned(), write, create: true }
}

/// An adapter that may open any folder at any time.
fn adapter() -> FileAdapter {
    FileAdapter::new(Arc::new(|_, _| Ok(())))
}

fn receipt(seed: u64) -> ReceiptId {
    ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(seed)).unwrap()
}

fn run(seed: u64) -> RunId {
    RunId::new(Timestamp::default(), &mut SeededEntropy::new(seed)).unwrap()
}

fn roots(bench: &Bench, write: bool) -> BTreeMap<String, RootBinding> {
    BTreeMap::from([("box".to_owned(), binding(&bench.folder.join("root"), write))])
}

fn output(change: Change) -> Value {
    match change {
        Change::Done(output) => output,
        Change::Unsure => panic!("the folder could not be synced"),
    }
}

/// `done`, or the code of the failure.
fn code(result: Result<Value, Failure>) -> String {
    result.map_or_else(|failure| failure.code, |_| "done".into())
}
