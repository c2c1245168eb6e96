//! What is said to the engine of an open run, by what somebody asked.

use cog_base::id::RunId;
use cog_engine::Input;

use crate::request::{Delegated, Request};

/// The open run that something is asked of.
pub(super) fn run_of(request: &Request) -> Option<RunId> {
    match request {
        Request::Start(_)
        | Request::Fork(_)
        | Request::Fire(_)
        | Request::Found { .. }
        | Request::Record(_)
        | Request::Schedule { .. }
        | Request::HoldSchedule { .. }
        | Request::Unschedule { .. } => None,
        Request::Delegate(it) => Some(it.run),
        Request::Answer { run, .. }
        | Request::Cancel { run, .. }
        | Request::Signal { run, .. }
        | Request::Hold { run, .. } => Some(*run),
    }
}

/// What the engine is told of an open run.
pub(super) fn input(request: &Request) -> Option<Input> {
    Some(match request.clone() {
        Request::Start(_)
        | Request::Fork(_)
        | Request::Fire(_)
        | Request::Found { .. }
        | Request::Record(_)
        | Request::Schedule { .. }
        | Request::HoldSchedule { .. }
        | Request::Unschedule { .. } => return None,
        Request::Answer { run, approval, who, verdict } => {
            Input::Answer { run, approval, who, verdict }
        }
        Request::Delegate(it) => {
            let Delegated { run, approval, who, to, reason } = *it;
            Input::Delegate { run, approval, who, to, reason }
        }
        Request::Cancel { run, who, reason } => Input::Cancel { run, who, reason },
        Request::Signal { run, sent } => Input::Signal { run, sent },
        Request::Hold { run, pauses: true, who, reason, .. } => Input::Pause { run, who, reason },
        Request::Hold { run, pauses: false, who, reason, .. } => {
            Input::Unpause { run, who, reason }
        }
    })
}
