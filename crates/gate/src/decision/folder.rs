//! Where the root of an effect may stand: a workflow names its roots, the canon says where.

use cog_canon::{Settings, Standing};

use super::Seen;
use super::checks::seen;
use crate::intent::Intent;
use crate::snapshot::Snapshot;

/// Why the effect's root may not stand where it does: the code, and what was read. Without a
/// canon another check refuses.
pub(super) fn misplaced(
    intent: &Intent,
    snapshot: &Snapshot,
    settings: Option<&Settings>,
) -> Option<(&'static str, Seen)> {
    let root = intent.root()?;
    let folder = snapshot.folder.as_ref();
    let path = folder.map(|folder| folder.path.as_str());
    let beside = folder.and_then(|folder| folder.beside.as_deref());
    let code = match settings?.roots.judge(root, path, beside) {
        Standing::Admitted => return None,
        Standing::Elsewhere => "root.elsewhere",
        Standing::Unknown => "root.not_in_canon",
    };
    let stands = path.unwrap_or("nobody knows where");
    Some((code, seen([("folder", stands.into()), ("root", root.into())])))
}
