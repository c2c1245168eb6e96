//! An effect counts as finished only when its outcome is durable.

use cog_base::id::ReceiptId;
use cog_gate::{Report, Settled};

fn forge(receipt: ReceiptId, report: Report) -> Settled {
    Settled { receipt, report }
}

fn main() {}
