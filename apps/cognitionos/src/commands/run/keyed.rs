//! `run --key`: of a key there is one run, however often it is asked for. Its id follows from the key, so
//! that the ledger alone says whether it was asked for before.

use cog_base::id::RunId;
use cog_base::{Digest, Value};
use cog_engine::{Input, Keyed};
use cog_ledger::Entry;
use cog_store::shared::request_name;

use super::{Plan, here};
use crate::cli::{Beginning, Common, RunArgs};
use crate::commands::submit;
use crate::commands::submit::waiting::{ended, never};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, Stands, told};
use crate::terminal::{Terminal, plain};

/// What the digest of a request is made in, as for those that nodes are asked.
const CONTEXT: &str = "cognitionos/request/v1";
/// What the digest of a request begins with when it is keyed: told apart from names.
const ASKED: &str = "asked/";

/// A run that was asked for before.
pub(super) struct Before {
    key: String,
    run: RunId,
}

/// The run that was asked for under this key before. Where there is none, what is to begin becomes that
/// of the key.
///
/// # Errors
/// When something else was asked for under it.
pub(super) fn before(
    home: &Home,
    (key, begin): (&str, &Beginning),
    fresh: &mut Plan,
) -> anyhow::Result<Option<Before>> {
    let Input::Start(start) = &mut fresh.input else { return Ok(None) };
    let (store, wanted) = (home.folder()?, submit::asked((**start).clone(), begin)?.to_value());
    let mut wanted = wanted.as_map().cloned().unwrap_or_default();
    // A time that is meant from now on is the same whenever it is said.
    let said = begin.not_before.as_deref();
    wanted.extend(said.map(|said| ("not_before".to_owned(), Value::from(said))));
    let asked = Digest::in_context(CONTEXT, &Value::Map(wanted).canonical());
    let keyed = Keyed {
        key: store.stands_for(home.tenant, &request_name(key)),
        request: store.stands_for(home.tenant, &[ASKED, &asked.to_string()].concat()),
    };
    let run = keyed.run();
    if let Some(first) = first(home, run)? {
        if Keyed::of(first.data()) != Some(keyed) {
            return Err(differs(key, run));
        }
        return Ok(Some(Before { key: key.to_owned(), run }));
    }
    if let Some(other) = store.asked_as(home.tenant, key).map_err(told)? {
        return Err(differs(key, other));
    }
    (start.run, start.keyed, fresh.run) = (run, Some(keyed), run);
    Ok(None)
}

/// The run that a key names in a folder, whether it was asked for or not.
pub(super) fn of_key(home: &Home, key: &str) -> anyhow::Result<RunId> {
    let store = home.folder()?;
    if let Some(run) = store.asked_as(home.tenant, key).map_err(told)? {
        return Ok(run);
    }
    let key = store.stands_for(home.tenant, &request_name(key));
    Ok(Keyed { key, request: key }.run())
}

fn differs(key: &str, run: RunId) -> anyhow::Error {
    let message = format!("something else was asked for as `{}`: {run}", plain(key));
    Failure::advise(Exit::Conflict, message, "give this request another --key")
}

/// The entry by which a run began, or else was asked for.
pub(crate) fn first(home: &Home, run: RunId) -> anyhow::Result<Option<Entry>> {
    let scope = home.scope()?;
    if let Some(session) = scope.session(run).map_err(told)? {
        return scope.entry(session.first).map_err(told);
    }
    Ok(match home.standing(run)? {
        Stands::Begun => None,
        Stands::Waits(asked) | Stands::Never { asked, .. } => Some((*asked.entry).clone()),
    })
}

impl Before {
    /// Go on with it, or tell how it ended.
    pub(super) fn go(
        self,
        home: Home,
        args: &RunArgs,
        common: &Common,
        terminal: &Terminal,
    ) -> anyhow::Result<Exit> {
        let Self { key, run } = self;
        terminal.note(&format!("`{}` was asked for before: {run}", plain(&key)));
        if let Stands::Never { over, .. } = home.standing(run)? {
            return never(&*home.scope()?, run, (*over.entry).clone(), terminal);
        }
        let run = home.newest_of(run)?;
        let session = home.scope()?.session(run).map_err(told)?;
        if let Some(session) = session.filter(|session| session.status.is_some()) {
            return ended(&*home.scope()?, run, session.last, terminal);
        }
        drop(home);
        let (resume, actor) = (Some(run.to_string()), given::actor(&args.begin.by.actor)?);
        let args = RunArgs { file: None, key: None, resume, ..args.clone() };
        here(&args, &actor, common, terminal)
    }
}
