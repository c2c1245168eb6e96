//! Counting the processes of root.
//!
//! The kernel counts a user's processes against `RLIMIT_NPROC`, but never root's. When the
//! engine runs as root, each sandbox therefore gets a control group with a bound on its
//! processes, in version 1 or 2 of the hierarchy; where none can be made, nothing is run.

#![expect(
    clippy::disallowed_methods,
    reason = "control groups are files; they bound a program that has its receipt"
)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bounds::PROCESSES_MAX;

/// Removing a group is tried so often: the kernel may still be ending what was in it.
const REMOVALS_MAX: usize = 200;
/// How long to wait between two tries.
const REMOVAL_PAUSE: Duration = Duration::from_millis(5);

/// What bounds the number of processes.
#[derive(Debug)]
pub(crate) enum Cgroup {
    /// A group of its own.
    At(PathBuf),
    /// The resource limit does, as the user is not root.
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

impl Cgroup {
    /// Put the process `id` into a group of its own, when it is root's. It waits for its
    /// description meanwhile, so it has not started anything yet.
    pub(crate) fn around(id: Option<u32>, name: &str) -> Result<Self, NotCounted> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self::NotNeeded);
        }
        let not_counted = |reason: String| NotCounted { reason };
        let id = id.ok_or_else(|| not_counted("the helper is gone".into()))?;
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|error| not_counted(format!("{path}: {error}")))
        };
        let (own, mounts) = (read("/proc/self/cgroup")?, read("/proc/self/mountinfo")?);
        let mut reason = "no hierarchy counts processes".to_owned();
        for parent in parents(&own, &mounts) {
            match enclose(&parent.join(format!("cognitionos-{name}")), id) {
                Ok(group) => return Ok(Self::At(group)),
                Err(error) => reason = format!("{}: {error}", parent.display()),
            }
        }
        Err(not_counted(reason))
    }

    /// Remove the group, once what was in it is gone.
    pub(crate) async fn remove(self) {
        let Self::At(group) = self else { return };
        for _ in 0..REMOVALS_MAX {
            if std::fs::remove_dir(&group).is_ok() {
                return;
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
    }
}

fn enclose(group: &Path, id: u32) -> std::io::Result<PathBuf> {
    std::fs::create_dir(group)?;
    let bounded = std::fs::write(group.join("pids.max"), PROCESSES_MAX.to_string())
        .and_then(|()| std::fs::write(group.join("cgroup.procs"), id.to_string()));
    match bounded {
        Ok(()) => Ok(group.to_owned()),
        Err(error) => {
            let _ = std::fs::remove_dir(group);
            Err(error)
        }
    }
}

/// The groups under which a new one may count processes: where this process is, and the
/// top, in the hierarchy that has the counter.
fn parents(own: &str, mounts: &str) -> Vec<PathBuf> {
    let first =
        |line: &&str| line.split(':').nth(1).is_some_and(|of| of.split(',').any(|c| c == "pids"));
    let (line, kind) = match own.lines().find(first) {
        Some(line) => (Some(line), "cgroup"),
        None => (own.lines().find(|line| line.starts_with("0::")), "cgroup2"),
    };
    let inside = line.and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or("/");
    let Some(top) = mounts.lines().find_map(|line| mount_point(line, kind)) else {
        return Vec::new();
    };
    let inside = inside.trim_start_matches('/');
    let mut parents = vec![top.join(inside)];
    if !inside.is_empty() {
        parents.push(top);
    }
    parents
}

/// The mount point of a line of `/proc/self/mountinfo` (proc(5)), when it is of this kind.
fn mount_point(line: &str, kind: &str) -> Option<PathBuf> {
    let (place, what) = line.split_once(" - ")?;
    let mut what = what.split(' ');
    let (found, options) = (what.next()?, what.nth(1)?);
    let counts = kind == "cgroup2" || options.split(',').any(|option| option == "pids");
    (found == kind && counts).then(|| place.split(' ').nth(4).map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(own: &str, mounts: &str, expected: &[&str]) {
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        assert_eq!(parents(own, mounts), expected);
    }

    #[test]
    fn the_hierarchy_that_counts_processes_is_found() {
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        check("0::/a/b\n", v2, &["/sys/fs/cgroup/a/b", "/sys/fs/cgroup"]);
        check("0::/\n", v2, &["/sys/fs/cgroup/"]);
        let v1 = "38 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  40 35 0:33 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n\
                  41 35 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        check("8:pids:/x\n0::/\n", v1, &["/sys/fs/cgroup/pids/x", "/sys/fs/cgroup/pids"]);
        check("8:cpu,pids:/\n", v1, &["/sys/fs/cgroup/pids/"]);
        check("0::/\n", "1 1 0:1 / / rw - ext4 /dev/x rw", &[]);
        check("", "", &[]);
    }
}
