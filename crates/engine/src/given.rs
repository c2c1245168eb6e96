//! What effects give while they are under way.

use cog_gate::piece::{GIVEN_BYTES_MAX, Piece};

use crate::engine::{Await, Engine, Turn};
use crate::history::{History, Mismatch, unexpected};
use crate::notice::What;

impl Engine {
    /// Put part of what an effect gives on record. What comes when it is over, and what is more than
    /// is kept, stands in the outcome alone.
    pub(crate) fn given(&mut self, piece: &Piece, turn: &mut Turn) {
        let (id, receipt) = (piece.session(), piece.receipt());
        let Some(active) = self.runs.get_mut(&id).filter(|_| self.in_hand.contains(&receipt))
        else {
            return;
        };
        let Some(step) = active.open.get(&receipt).map(ToString::to_string) else { return };
        let given = active.given.entry(receipt).or_default();
        let offset = *given;
        *given = offset.saturating_add(piece.text().len() as u64);
        if *given > GIVEN_BYTES_MAX {
            // Nothing follows what was left out.
            *given = u64::MAX;
            return;
        }
        turn.append(active.origin.tenant, id, piece.draft(offset), Await::Nothing);
        let (name, text) = (piece.name(), piece.text().to_owned());
        turn.tell_behind(id, What::Given { step, receipt, name, text });
    }
}

impl History {
    /// What an effect gave does not change what the run does; it must be under way.
    pub(super) fn given(&self, entry: &cog_ledger::Entry) -> Result<(), Mismatch> {
        let receipt = entry.text("receipt").and_then(|id| id.parse().ok());
        if receipt.is_some_and(|receipt| self.active.open.contains_key(&receipt)) {
            Ok(())
        } else {
            Err(unexpected(entry, "no receipt is open for it"))
        }
    }
}
