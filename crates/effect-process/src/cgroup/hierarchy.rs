//! Where control groups are made.

use std::path::PathBuf;

/// The two versions of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// Each controller has a tree.
    One,
    /// All controllers share a tree.
    Two,
}

/// The groups under which a new one may have the controller: where this process is, and the
/// top, in the hierarchy that has it. Both texts are those of `/proc/self`.
pub(crate) fn parents(controller: &str, own: &str, mounts: &str) -> Vec<(PathBuf, Hierarchy)> {
    let has = |line: &&str| {
        line.split(':').nth(1).is_some_and(|list| list.split(',').any(|name| name == controller))
    };
    let (line, hierarchy) = match own.lines().find(has) {
        Some(line) => (Some(line), Hierarchy::One),
        None => (own.lines().find(|line| line.starts_with("0::")), Hierarchy::Two),
    };
    let inside = line.and_then(|line| line.splitn(3, ':').nth(2)).unwrap_or("/");
    let point = |line| mount_point(line, controller, hierarchy);
    let Some(top) = mounts.lines().find_map(point) else { return Vec::new() };
    let inside = inside.trim_start_matches('/');
    let mut parents = vec![(top.join(inside), hierarchy)];
    if !inside.is_empty() {
        parents.push((top, hierarchy));
    }
    parents
}

/// The mount point of a line of `/proc/self/mountinfo` (proc(5)), when it is of this kind.
fn mount_point(line: &str, controller: &str, hierarchy: Hierarchy) -> Option<PathBuf> {
    let (place, what) = line.split_once(" - ")?;
    let mut what = what.split(' ');
    let (found, options) = (what.next()?, what.nth(1)?);
    let fits = match hierarchy {
        Hierarchy::One => {
            found == "cgroup" && options.split(',').any(|option| option == controller)
        }
        Hierarchy::Two => found == "cgroup2",
    };
    fits.then(|| place.split(' ').nth(4).map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(own: &str, mounts: &str, expected: &[&str], hierarchy: Hierarchy) {
        let expected: Vec<_> =
            expected.iter().map(|path| (PathBuf::from(path), hierarchy)).collect();
        assert_eq!(parents("pids", own, mounts), expected);
    }

    #[test]
    fn the_hierarchy_that_counts_processes_is_found() {
        let (one, two) = (Hierarchy::One, Hierarchy::Two);
        let v2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate";
        check("0::/a/b\n", v2, &["/sys/fs/cgroup/a/b", "/sys/fs/cgroup"], two);
        check("0::/\n", v2, &["/sys/fs/cgroup/"], two);
        let v1 = "38 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
                  40 35 0:33 / /sys/fs/cgroup/pids rw shared:9 - cgroup cgroup rw,pids\n\
                  41 35 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        check("8:pids:/x\n0::/\n", v1, &["/sys/fs/cgroup/pids/x", "/sys/fs/cgroup/pids"], one);
        check("8:cpu,pids:/\n", v1, &["/sys/fs/cgroup/pids/"], one);
        check("0::/\n", "1 1 0:1 / / rw - ext4 /dev/x rw", &[], two);
        check("", "", &[], two);
    }

    #[test]
    fn another_controller_may_have_another_tree() {
        let mounts = "40 35 0:33 / /c/pids rw - cgroup cgroup rw,pids\n\
                      42 35 0:35 / /c/memory rw - cgroup cgroup rw,memory";
        let found = parents("memory", "8:pids:/\n4:memory:/job\n", mounts);
        assert_eq!(found[0], (PathBuf::from("/c/memory/job"), Hierarchy::One));
    }
}
