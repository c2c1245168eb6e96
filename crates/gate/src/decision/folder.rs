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
    let stands = path.unwrap_or("nobody knows where");
    let code = match settings?.roots.judge(root, path, beside) {
        Standing::Admitted => return shared(root, (path, beside), settings?),
        Standing::Elsewhere => "root.elsewhere",
        Standing::Unknown => "root.not_in_canon",
    };
    Some((code, seen([("folder", stands.into()), ("root", root.into())])))
}

/// What the root shares its folder with, if that is of another class of data: by the one name the
/// folder would be of another class than by the other.
fn shared(
    root: &str,
    (path, beside): (Option<&str>, Option<&str>),
    settings: &Settings,
) -> Option<(&'static str, Seen)> {
    let class = |root: &str| settings.data.as_ref().map(|data| data.class_at("Root", root));
    let own = class(root)?;
    let mut others = settings.roots.sharing(root, path, beside);
    let (other, others_class) =
        others.find_map(|it| Some((it, class(it).filter(|class| *class != own)?)))?;
    let read = seen([
        ("class", own.into()),
        ("folder", path.unwrap_or("nobody knows where").into()),
        ("other", other.into()),
        ("other_class", others_class.into()),
        ("root", root.into()),
    ]);
    Some(("root.shared", read))
}
