//! `session.accept`: takes in that a session ended which ran elsewhere.
//!
//! Nothing is touched. What the event said is the outcome, so that it stands on the ledger under
//! the receipt that let it in.

use std::future::ready;

use cog_base::Micros;
use cog_base::id::{ReceiptId, RunId};
use cog_gate::effect::SessionAccept;
use cog_gate::{Adapter, Cleared, Found, Performed, Work};

/// Gives what was accepted as the outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionAdapter;

impl Adapter<SessionAccept> for SessionAdapter {
    fn perform(&self, cleared: Cleared<SessionAccept>) -> Work<'_, Performed<SessionAccept>> {
        let accepted = cleared.effect().accepted();
        Box::pin(ready(cleared.done(accepted, Micros::ZERO)))
    }

    /// To take it in again changes nothing, so that nobody need look.
    fn probe<'a>(
        &'a self,
        _effect: &'a SessionAccept,
        _session: RunId,
        _receipt: ReceiptId,
    ) -> Work<'a, Found> {
        Box::pin(ready(Found::CannotTell))
    }
}
