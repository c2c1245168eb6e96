//! Whose a control group is.
//!
//! A group is called `cognitionos-<namespace>-<pid>-<start>-<receipt>`: the namespace of
//! processes, the process in it, and when that started, as numbers are used again (proc(5)).

#![expect(clippy::disallowed_methods, reason = "who is alive is read from /proc")]

use std::path::Path;

const PREFIX: &str = "cognitionos";

/// A process, among all that there ever were since the machine was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    namespace: u64,
    id: u32,
    start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn this() -> std::io::Result<Self> {
        let bad = || std::io::Error::other("/proc does not say who this process is");
        let namespace = std::fs::read_link("/proc/self/ns/pid")?;
        let namespace = namespace.to_str().and_then(number).ok_or_else(bad)?;
        let id = std::process::id();
        let start = started(id).ok_or_else(bad)?;
        Ok(Self { namespace, id, start })
    }

    /// The name of a group of this process.
    pub(crate) fn group(&self, name: &str) -> String {
        let Self { namespace, id, start } = self;
        format!("{PREFIX}-{namespace}-{id}-{start}-{name}")
    }

    /// Whether a group is this process's own, or that of one that is gone. Nothing is known
    /// of the processes of another namespace.
    pub(crate) fn may_remove(&self, group: &str) -> bool {
        let Some(owner) = Self::of(group) else { return false };
        owner.namespace == self.namespace
            && (owner == *self || started(owner.id) != Some(owner.start))
    }

    fn of(group: &str) -> Option<Self> {
        let mut words = group.strip_prefix(PREFIX)?.strip_prefix('-')?.splitn(4, '-');
        let namespace = words.next()?.parse().ok()?;
        let (id, start) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        words.next().map(|_| Self { namespace, id, start })
    }
}

/// When a process started, in ticks since the machine did; nothing when there is none, or only
/// what is left of it until its parent looks.
fn started(id: u32) -> Option<u64> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    // The name of the program comes second, in parentheses, and may have anything in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?;
    if matches!(state, "Z" | "X") { None } else { words.nth(18)?.parse().ok() }
}

/// The number in `pid:[4026531836]`.
fn number(link: &str) -> Option<u64> {
    link.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_dead_left_is_removed_and_what_others_have_is_not() {
        let this = Owner::this().unwrap();
        let check = |owner: &Owner, expected: bool| {
            assert_eq!(this.may_remove(&owner.group("rcp_1")), expected, "{owner:?}");
        };
        check(&this, true);
        // The number of this process was another's before.
        check(&Owner { start: this.start - 1, ..this.clone() }, true);
        check(&Owner { id: u32::MAX, ..this.clone() }, true);
        check(&Owner { namespace: 1, id: u32::MAX, start: 1 }, false);
        let first = Owner { id: 1, start: started(1).unwrap(), ..this.clone() };
        check(&first, false);
        for name in ["", "cognitionos", "cognitionos-rcp_1", "docker-1-2-3-x", "cognitionos-1-2-3"]
        {
            assert!(!this.may_remove(name), "{name}");
        }
    }

    #[test]
    fn a_namespace_is_a_number() {
        assert_eq!(number("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(number("net:[1]"), None);
    }
}
