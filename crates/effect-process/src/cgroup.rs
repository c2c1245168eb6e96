//! Control groups around the programs of root.
//!
//! The kernel counts a user's processes against `RLIMIT_NPROC`, but never root's. When the
//! engine runs as root, each sandbox therefore gets a control group with a bound on its
//! processes, in version 1 or 2 of the hierarchy; where none can be made, nothing is run.
//! Where the hierarchy bounds memory too, the group bounds what all the processes of a
//! program take together; a resource limit only knows each of them.
//!
//! A group is named after the process that made it, so that an engine that was killed leaves
//! nothing for ever: the next one removes what the dead have left.

#![expect(
    clippy::disallowed_methods,
    reason = "control groups are files; they bound a program that has its receipt"
)]

mod hierarchy;
mod owner;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hierarchy::{Hierarchy, parents};
use owner::Owner;

use crate::bounds::{HELPER_BYTES, PROCESSES_MAX, TEMPORARY_BYTES_MAX};

/// Removing a group is tried so often: the kernel may still be ending what was in it.
const REMOVALS_MAX: usize = 200;
/// How long to wait between two tries.
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// Held from making a group until something is in it, as an empty one is swept.
static MAKING: Mutex<()> = Mutex::new(());

/// What bounds the processes, and where it can the memory, of a program as a whole.
#[derive(Debug)]
pub(crate) enum Cgroup {
    /// Groups of its own, one in each hierarchy.
    At(Vec<PathBuf>),
    /// The resource limits do, as the user is not root.
    NotNeeded,
}

/// Why processes cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error(
    "the kernel does not count the processes of root, and no control group with a bound on \
     them could be made ({reason}); run as another user"
)]
pub(crate) struct NotCounted {
    reason: String,
}

impl NotCounted {
    fn because(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

impl Cgroup {
    /// Put the process `id` into a group of its own, when it is root's. It waits for its
    /// description meanwhile, so it has not started anything yet.
    pub(crate) fn around(
        id: Option<u32>,
        name: &str,
        memory_bytes: u64,
    ) -> Result<Self, NotCounted> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self::NotNeeded);
        }
        let id = id.ok_or_else(|| NotCounted::because("the helper is gone"))?;
        let owner = Owner::this().map_err(NotCounted::because)?;
        let name = owner.group(name);
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = memory_bytes.saturating_add(TEMPORARY_BYTES_MAX + HELPER_BYTES);
        let bound = |group: &Path, _| write(group, "pids.max", PROCESSES_MAX);
        let (group, hierarchy) = enclose("pids", &name, id, &owner, &bound)?;
        let mut groups = vec![group.clone()];
        // Not every hierarchy bounds memory; each process still has its own limit.
        let bound = |group: &Path, hierarchy| bound_memory(group, hierarchy, bytes);
        match hierarchy {
            Hierarchy::One => {
                let bounding = enclose("memory", &name, id, &owner, &bound);
                groups.extend(bounding.map(|(group, _)| group));
            }
            // The group that has the process is the group for everything.
            Hierarchy::Two => {
                let _ = bound(&group, hierarchy);
            }
        }
        Ok(Self::At(groups))
    }

    /// Remove the groups, once what was in them is gone.
    pub(crate) async fn remove(self) {
        let Self::At(groups) = self else { return };
        for group in groups {
            for _ in 0..REMOVALS_MAX {
                if is_gone(&group) {
                    break;
                }
                tokio::time::sleep(REMOVAL_PAUSE).await;
            }
        }
    }
}

/// Put the process into the group `name` in the hierarchy of `controller`, which bounds it.
fn enclose(
    controller: &str,
    name: &str,
    id: u32,
    owner: &Owner,
    bound: &dyn Fn(&Path, Hierarchy) -> std::io::Result<()>,
) -> Result<(PathBuf, Hierarchy), NotCounted> {
    let read = |path: &str| {
        std::fs::read_to_string(path)
            .map_err(|error| NotCounted::because(format!("{path}: {error}")))
    };
    let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
    let mut reason = format!("no hierarchy has the controller `{controller}`");
    for (parent, hierarchy) in parents(controller, &own, &mounts) {
        sweep(&parent, owner);
        let group = parent.join(name);
        let entered = std::fs::create_dir(&group)
            .and_then(|()| bound(&group, hierarchy))
            .and_then(|()| write(&group, "cgroup.procs", id.into()));
        match entered {
            Ok(()) => return Ok((group, hierarchy)),
            Err(error) => reason = format!("{}: {error}", parent.display()),
        }
        let _ = std::fs::remove_dir(&group);
    }
    Err(NotCounted::because(reason))
}

fn bound_memory(group: &Path, hierarchy: Hierarchy, bytes: u64) -> std::io::Result<()> {
    // Where swap is not accounted for there is no file for it.
    match hierarchy {
        Hierarchy::One => {
            write(group, "memory.limit_in_bytes", bytes)?;
            let _ = write(group, "memory.memsw.limit_in_bytes", bytes);
        }
        Hierarchy::Two => {
            write(group, "memory.max", bytes)?;
            let _ = write(group, "memory.swap.max", 0);
        }
    }
    Ok(())
}

fn write(group: &Path, file: &str, value: u64) -> std::io::Result<()> {
    std::fs::write(group.join(file), value.to_string())
}

/// Remove the groups that nobody will: of engines that are gone, and of runs of this one that
/// were given up. A group that something is in stays.
fn sweep(parent: &Path, owner: &Owner) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_str().is_some_and(|name| owner.may_remove(name)) {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

fn is_gone(group: &Path) -> bool {
    match std::fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) => error.kind() == ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_that_was_killed_left_is_swept() {
        let owner = Owner::this().unwrap();
        let parent = std::env::temp_dir().join(owner.group("sweep"));
        let dead = owner.group("rcp_1").replace(&std::process::id().to_string(), "4294967295");
        let own = owner.group("rcp_2");
        for name in [dead.as_str(), own.as_str(), &format!("{own}/busy"), "other"] {
            std::fs::create_dir_all(parent.join(name)).unwrap();
        }
        sweep(&parent, &owner);
        let left = |name: &str| parent.join(name).exists();
        assert_eq!([left(&dead), left(&own), left("other")], [false, true, true]);
        std::fs::remove_dir(parent.join(&own).join("busy")).unwrap();
        assert!(is_gone(&parent.join(&own)) && is_gone(&parent.join(&own)));
        std::fs::remove_dir_all(parent).unwrap();
    }
}
