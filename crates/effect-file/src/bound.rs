//! A root of a run: open from its start where its folder is there, and made where it is not by the
//! first effect that writes in it, under its receipt. Nothing is made before.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::Value;
use cog_gate::Failure;
use rustix::io::Errno;

use crate::error::{failure, from_errno};
use crate::path::Place;
use crate::read::listed;
use crate::root::{BindError, Root, RootBinding, tried};

/// Says whether a root, by its name and its folder, may stand there now: asked whenever a folder is
/// opened or made after its run began. An error says why not.
pub type Admit = Arc<dyn Fn(&str, &Path) -> Result<(), String> + Send + Sync>;

/// A root that is bound to a run.
pub(crate) struct Bound {
    name: String,
    binding: RootBinding,
    admit: Admit,
    open: Mutex<Option<Arc<Root>>>,
}

impl Bound {
    /// Open the folder if it is there; one that is to be made may be missing.
    pub(crate) fn new(name: &str, binding: &RootBinding, admit: &Admit) -> Result<Self, BindError> {
        let open = match Root::open(name, binding, false) {
            Ok(root) => Some(Arc::new(root)),
            Err(error) if binding.create && error.is_absence() => None,
            Err(error) => return Err(error),
        };
        let (name, binding, admit) = (name.to_owned(), binding.clone(), Arc::clone(admit));
        Ok(Self { name, binding, admit, open: Mutex::new(open) })
    }

    /// The root, unless its folder is yet to be made.
    pub(crate) fn there(&self) -> Result<Option<Arc<Root>>, Failure> {
        self.open(false)
    }

    /// The root, for an effect that changes it: its folder is made if it is missing.
    pub(crate) fn made(&self) -> Result<Arc<Root>, Failure> {
        self.open(self.binding.write)?.ok_or_else(|| {
            let message = format!(
                "could not make the folder of root `{}`: the root is declared with `access: read`",
                self.name
            );
            failure("file.read_only_root", message)
        })
    }

    /// What is read where there is no folder yet: the root itself is empty.
    pub(crate) fn read_absent(&self, path: &str) -> Result<Value, Failure> {
        let place = Place::parse(path)?;
        if place == Place::root() {
            return Ok(listed(&place, Value::list::<Value>([])));
        }
        Err(from_errno(&tried("read", &place, &self.name), Errno::NOENT))
    }

    pub(crate) const fn may_write(&self) -> bool {
        self.binding.write
    }

    fn open(&self, make: bool) -> Result<Option<Arc<Root>>, Failure> {
        // A panic elsewhere cannot leave it half open.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = &*open {
            return Ok(Some(Arc::clone(root)));
        }
        let path = &self.binding.path;
        (self.admit)(&self.name, path).map_err(|why| failure("file.bad_root", why))?;
        match Root::open(&self.name, &self.binding, make) {
            Ok(root) => Ok(Some(Arc::clone(open.insert(Arc::new(root))))),
            Err(error) if !make && error.is_absence() => Ok(None),
            Err(error) => Err(failure(error.code(), error.told())),
        }
    }
}
