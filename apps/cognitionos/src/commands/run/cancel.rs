//! `run --cancel`: whether whoever asks may end the run, before anything else of it.

use cog_engine::{Engine, History};
use cog_gate::{Actor, Origin, Refusal, Wish};

use super::canon::Bound;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::terminal::{Terminal, Tone};

/// Somebody who wants a run to end.
pub(super) struct Ending {
    origin: Origin,
    who: Actor,
    reason: String,
}

impl Ending {
    pub(super) fn of(history: &History, who: &Actor, reason: &str) -> Self {
        let origin = history.origin().clone();
        Self { origin, who: who.clone(), reason: reason.to_owned() }
    }

    /// Refuse, on the record, to end the run for somebody who may not. The engine asks the very
    /// same again when it ends the run.
    ///
    /// # Errors
    /// A refusal that says who may.
    pub(super) fn admit(&self, home: &Home, engine: &mut Engine) -> anyhow::Result<()> {
        let Self { origin, who, reason } = self;
        let refusal = engine.refuse_of_run(origin, Wish::Cancel, who, reason)?;
        let Some(refusal) = refusal else { return Ok(()) };
        let Refusal { id, reason, draft, .. } = refusal;
        home.append(vec![draft])?;
        let message = format!("{who} may not end {}. {reason}", origin.session);
        Err(Failure::advise(Exit::Refused, message, format!("cognitionos why {id}")))
    }
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
