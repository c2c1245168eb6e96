//! No permit without a durable receipt: an entry alone is not enough.

use cog_gate::effect::FileWrite;
use cog_gate::{Pending, Permit};
use cog_ledger::Entry;

fn hurry(pending: Pending<FileWrite>, entry: &Entry) -> Permit<FileWrite> {
    pending.granted(entry).unwrap()
}

fn main() {}
