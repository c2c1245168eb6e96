//! `run --cancel`: whether whoever asks may end the run, before anything else of it.

use std::path::Path;

use cog_base::Value;
use cog_base::id::RunId;
use cog_engine::{Engine, History, Input};
use cog_gate::{Actor, Origin, Refusal, Wish};
use cog_ledger::kind::CONTINUED;

use super::canon::Bound;
use super::nodes;
use crate::cli::RunArgs;
use crate::control::live::{About, Said};
use crate::control::request::Request;
use crate::control::{self, Way};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::Home;
use crate::shared::whose;
use crate::terminal::{Terminal, Tone, plain};

/// Somebody who wants a run to end.
pub(super) struct Ending {
    origin: Origin,
    /// Whose data the run holds.
    subject: Option<String>,
    who: Actor,
    reason: String,
}

impl Ending {
    pub(super) fn of(history: &History, who: &Actor, reason: &str) -> Self {
        let subject = history.subject().map(str::to_owned);
        let (who, reason) = (who.clone(), reason.to_owned());
        Self { origin: history.origin().clone(), subject, who, reason }
    }

    /// Refuse, on the record, to end the run for somebody who may not. The engine asks the very
    /// same again when it ends the run.
    ///
    /// # Errors
    /// A refusal that says who may.
    pub(super) fn admit(&self, home: &Home, engine: &mut Engine) -> anyhow::Result<()> {
        let Self { origin, subject, who, reason } = self;
        let about = (origin, subject.as_deref());
        let refusal = engine.refuse_of_run(about, Wish::Cancel, who, reason)?;
        let Some(refusal) = refusal else { return Ok(()) };
        let Refusal { id, reason, draft, .. } = refusal;
        home.append(vec![draft])?;
        Err(may_not(who, origin.session, &reason, &id.to_string()))
    }
}

/// Ask the process of a run that is under way to end it, or the node that owns its ledger in the
/// database, and wait until it has; nothing when there is no such process.
///
/// # Errors
/// Why it is not ended.
pub(super) fn elsewhere(
    args: &RunArgs,
    who: &Actor,
    data: &Path,
    terminal: &Terminal,
) -> anyhow::Result<Option<Exit>> {
    let (Some(run), Some(reason)) = (&args.cancel, &args.reason) else {
        nodes::is_of_the_folder()?;
        return Ok(None);
    };
    if whose(&args.asking.at)?.is_some() {
        return nodes::cancel(run, (who, reason), &args.asking, terminal).map(Some);
    }
    let (run, who, reason) = (given::run(run)?, who.clone(), reason.clone());
    let request = Request::Cancel { run, who, reason };
    let Some(document) = control::elsewhere(data, &request)? else { return Ok(None) };
    if terminal.json {
        terminal.emit(&document);
        return Ok(Some(Exit::Done));
    }
    let text = |name| document.get(name).and_then(Value::as_text);
    let run = text("run").unwrap_or_default();
    if let Some(before) = text("before") {
        terminal.note(&terminal.tint(Tone::Ask, &format!("{run} {}", plain(before))));
    }
    terminal
        .say(&format!("{}  {run}", terminal.tint(Tone::Bad, text("status").unwrap_or_default())));
    terminal.say(&format!("  cognitionos why {run}"));
    Ok(Some(Exit::Done))
}

/// End a run that is under way here, and say in a document what came of it.
pub(crate) fn decide(
    way: &Way<'_>,
    run: RunId,
    who: &Actor,
    reason: &str,
) -> anyhow::Result<Value> {
    let run = way.home().newest_of(run)?;
    let Some(live) = way.live(run) else {
        let message = "the data folder is in use by the process of another run, and a run that \
                       waits is ended by opening the folder";
        return Err(Failure::advise(Exit::Conflict, message, "wait until that run ends or parks"));
    };
    let input = Input::Cancel { run, who: who.clone(), reason: reason.to_owned() };
    match live.deliver(run, About::Cancel(who.clone()), input)? {
        Said::Ended { status, before } if status == CANCELLED => Ok(Value::map([
            ("run", Value::from(run)),
            ("status", status.into()),
            ("before", before.into()),
        ])),
        Said::Refused { denial, reason } => Err(may_not(who, run, &reason, &denial)),
        // It went on as another run meanwhile.
        Said::Ended { status, .. } if status == CONTINUED => decide(way, run, who, reason),
        Said::Ended { status, .. } | Said::Already(status) | Said::No(status) => {
            let message = format!("{run} is not cancelled: it ended as {status}");
            Err(Failure::advise(Exit::Conflict, message, format!("cognitionos why {run}")))
        }
        Said::Done | Said::Again => Err(Failure::told(Exit::Failed, "the run did not end")),
    }
}

/// How a run that was ended ends.
const CANCELLED: &str = "cancelled";

pub(super) fn may_not(who: &Actor, run: RunId, why: &str, denial: &str) -> anyhow::Error {
    let message = format!("{who} may not end {run}. {why}");
    Failure::advise(Exit::Refused, message, format!("cognitionos why {denial}"))
}

/// The version in force; none when its files are not here or cannot be read, and then only who
/// began the run may end it, and what would undo it is refused. No folder is looked at: ending a
/// run founds no domain.
pub(super) fn canon(home: &Home, domain: &str, terminal: &Terminal) -> anyhow::Result<Bound> {
    let in_force = home.change_control()?.in_force(domain);
    let kept = in_force.map(|digest| home.canon(digest));
    let canon = kept.and_then(Result::ok).flatten();
    if canon.is_none() && in_force.is_some() {
        terminal.note(&terminal.tint(
            Tone::Ask,
            "the files of the canon in force are not here or cannot be read: only who began the \
             run may end it, and nothing can be undone",
        ));
    }
    Ok(canon.map_or_else(Bound::none, Bound::known))
}
