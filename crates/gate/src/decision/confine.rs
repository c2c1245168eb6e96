//! The check of confinement: a file stays in its root, and hosts, programs, models and sources of
//! completions are those that the canon lists.

use cog_base::Value;
use cog_base::hosts::{Barred, Hosts, Lacks};
use cog_base::place::{AddressKind, HTTP_PORT, HTTPS_PORT, Place};
use cog_base::process::is_for_the_loader;
use cog_canon::{Environments, Program, Sender, Settings};

use super::checks::seen;
use super::{Fact, Seen};
use crate::intent::Intent;
use crate::snapshot::{Access, Snapshot};

/// Whether the effect stays inside the environments and roots of the run and the lists of
/// the canon.
pub(super) fn confine(
    intent: &Intent,
    snapshot: &Snapshot,
    settings: Option<&Settings>,
) -> (bool, &'static str, Seen) {
    let (kind, name) = intent.resource();
    let text = |path: &str| intent.at(path).and_then(Value::as_text);
    let environment = &*intent.origin().environment;
    let environments = settings.and_then(|it| it.environments.as_ref());
    if let Some(Environments { allow, .. }) = environments
        && !allow.contains(environment)
    {
        let listed = Fact::Texts(allow.iter().cloned().collect());
        let read = seen([("environment", environment.into()), ("listed", listed)]);
        return (false, "environment.not_listed", read);
    }
    match kind {
        "Root" => confine_file(intent.action(), name, text("args.path"), snapshot),
        "Host" => confine_host(name, text("args.url"), settings.map(|it| &it.hosts)),
        "Program" => {
            let lent = settings.and_then(|it| it.programs.get(name));
            confine_program(intent, name, lent, snapshot)
        }
        "Model" => {
            let known = settings.and_then(|it| it.models.get(name));
            let barred = environments.is_some_and(|it| it.bars_stand_ins(environment));
            let code = match known {
                None => "model.unknown",
                Some(model) if barred && model.is_recorded() => "model.recorded",
                Some(_) => "model.known",
            };
            (code == "model.known", code, seen([("model", name.into())]))
        }
        "Source" => confine_source(intent, name, settings.and_then(|it| it.sources.get(name))),
        _ => (false, "resource.unknown", seen([("resource", kind.into())])),
    }
}

fn confine_file(
    action: &str,
    root: &str,
    path: Option<&str>,
    snapshot: &Snapshot,
) -> (bool, &'static str, Seen) {
    let path = path.unwrap_or_default();
    let read = seen([("path", path.into()), ("root", root.into())]);
    let access = snapshot.roots.get(root);
    let code = match access {
        None => "root.undeclared",
        Some(Access::Read) if action != "file.read" => "root.read_only",
        Some(_) if !stays_inside(path) => "path.leaves_root",
        Some(_) => "path.inside",
    };
    (code == "path.inside", code, read)
}

/// Whether a path is relative and plain: no `..`, no empty or `.` part but the whole, no
/// backslash or control character.
fn stays_inside(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains('\\')
            && !part.chars().any(char::is_control)
    };
    path == "." || path.split('/').all(plain)
}

/// All that a URL shows is decided here; whoever sends the request looks at what only the
/// network shows, the addresses of the name and each redirect, by the same list.
fn confine_host(
    name: &str,
    url: Option<&str>,
    hosts: Option<&Hosts>,
) -> (bool, &'static str, Seen) {
    let place = url.and_then(Place::of).filter(|place| place.host == name);
    let admitted = match (hosts, &place) {
        (Some(hosts), Some(place)) => hosts.admit(place),
        (None, _) | (_, None) => Err(Barred::Host),
    };
    let code = match admitted {
        Ok(_) => "host.allowed",
        Err(Barred::User) => "host.user_in_url",
        Err(Barred::Host) => "host.not_allowed",
        Err(Barred::Port) => "host.port_not_allowed",
        Err(Barred::PlainHttp) => "host.plain_http",
        Err(Barred::Address) => "host.private_address",
    };
    let read = match (admitted, &place) {
        (Err(Barred::Port), Some(place)) => {
            seen([("host", name.into()), ("port", u64::from(place.port).into())])
        }
        _ => seen([("host", name.into())]),
    };
    (admitted.is_ok(), code, read)
}

/// What the nearest allowance of a host lacks, or what a new one must say.
pub(crate) fn lacks_of(place: &Place, hosts: Option<&Hosts>) -> Lacks {
    hosts.and_then(|hosts| hosts.nearest(place)).unwrap_or_else(|| {
        let public = place.address().is_none_or(|it| AddressKind::of(it) == AddressKind::Public);
        Lacks {
            port: !matches!(place.port, HTTP_PORT | HTTPS_PORT),
            // A host that is listed as a text may be reached without https.
            plain_http: !public && !place.secure,
            private: !public,
        }
    })
}

/// A proof counts by a key that the canon names for the source, and no other; one that does not hold
/// is worse than none.
fn confine_source(
    intent: &Intent,
    name: &str,
    listed: Option<&Sender>,
) -> (bool, &'static str, Seen) {
    let key = intent.at("args.key").and_then(Value::as_text);
    let is_proven = intent.at("args.proven").and_then(Value::as_bool) == Some(true);
    let code = match (listed, key) {
        (None, _) => "source.not_listed",
        (Some(sender), Some(key)) if !sender.keys.contains(key) => "source.key_not_listed",
        (Some(_), Some(_)) if !is_proven => "source.proof_fails",
        (Some(_), _) => "source.listed",
    };
    let proven = if is_proven { "yes" } else { "no" };
    let read = seen([("proven", proven.into()), ("source", name.into())]);
    (code == "source.listed", code, read)
}

fn confine_program(
    intent: &Intent,
    name: &str,
    lent: Option<&Program>,
    snapshot: &Snapshot,
) -> (bool, &'static str, Seen) {
    let root = intent.at("args.root").and_then(Value::as_text);
    let held = root.is_none_or(|root| snapshot.roots.get(root) == Some(&Access::Write));
    let about = || seen([("program", name.into())]);
    let Some(lent) = lent else { return (false, "program.not_allowed", about()) };
    let stray = stray_variables(intent, lent);
    let code = match stray.first() {
        _ if wants_network(intent) && !lent.network => "program.network_not_allowed",
        Some(name) if is_for_the_loader(name) => "program.env_never_allowed",
        Some(_) => "program.env_not_allowed",
        None if !held => "root.not_writable",
        None => "program.allowed",
    };
    let read = match code {
        "program.env_never_allowed" | "program.env_not_allowed" => {
            seen([("program", name.into()), ("variables", Fact::Texts(stray))])
        }
        _ => about(),
    };
    (code == "program.allowed", code, read)
}

/// The variables that the canon does not let the program be lent, those of the loader first.
fn stray_variables(intent: &Intent, lent: &Program) -> Vec<String> {
    let stray =
        variables(intent).filter(|name| !lent.env.contains(*name) || is_for_the_loader(name));
    let mut stray: Vec<_> = stray.map(str::to_owned).collect();
    stray.sort_by_key(|name| !is_for_the_loader(name));
    stray
}

/// The names of the variables that a program would be lent, in order.
pub(crate) fn variables(intent: &Intent) -> impl Iterator<Item = &str> {
    let env = intent.at("args.env").and_then(Value::as_map);
    env.into_iter().flat_map(|env| env.keys().map(String::as_str))
}

/// Whether a program asks for the network: whatever is not a plain no does.
pub(crate) fn wants_network(intent: &Intent) -> bool {
    intent.at("args.network") != Some(&Value::Bool(false))
}
