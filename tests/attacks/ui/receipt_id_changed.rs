//! A permit cannot be moved to another receipt.

use cog_base::id::ReceiptId;
use cog_gate::Permit;
use cog_gate::effect::FileWrite;

fn relabel(permit: &mut Permit<FileWrite>, other: ReceiptId) {
    permit.pass.receipt = other;
}

fn main() {}
