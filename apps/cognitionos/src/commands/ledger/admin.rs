//! Key rotation, which leaves an entry that says what was done.

use cog_base::json::Map;
use cog_base::{Digest, Value};
use cog_gate::Actor;
use cog_ledger::{Draft, Kind};
use cog_node::Destroy;

use super::keeper::entitled;
use super::{empty, public_key};
use crate::failure::Exit;
use crate::given;
use crate::home::{Home, told};
use crate::terminal::Terminal;

pub(super) fn draft(kind: Kind, who: &Actor, data: Map) -> Draft {
    Draft {
        kind,
        actor: who.as_str().to_owned(),
        domain: "ledger".to_owned(),
        environment: "any".to_owned(),
        session: None,
        canon: None,
        data,
        body: None,
    }
}

/// Change to a new signing key. Both keys sign the head that says so.
pub(super) fn rotate(home: &Home, who: &str, terminal: &Terminal) -> anyhow::Result<Exit> {
    let who = given::actor(who)?;
    home.scope()?.tail().map_err(told)?.ok_or_else(empty)?;
    entitled(home, &who, ("ledger.rotate", "rotate the key"))?;
    let note = Map::from([
        ("source".into(), "key.rotation".into()),
        ("digest".into(), Digest::of(&[who.as_str().as_bytes()]).into()),
        ("note".into(), format!("{who} asked for a new signing key").into()),
    ]);
    let asked = draft(Kind::Evidence, &who, note);
    if home.is_of_nodes() {
        home.append_then(vec![asked], Some(Destroy::Key))?;
    } else {
        let committer = home.committer()?;
        let asked = committer.append_blocking(vec![(home.tenant, asked)]);
        let rotated = asked.and_then(|_| committer.rotate(home.tenant));
        committer.shutdown();
        rotated?;
    }
    let key = public_key(home)?;
    if terminal.json {
        terminal.emit(&Value::map([("key", key.to_string())]));
    } else {
        terminal.say(&format!("new key: {key}"));
        terminal.note("give it to everyone who checks your bundles; the old one leads to it");
    }
    Ok(Exit::Done)
}
