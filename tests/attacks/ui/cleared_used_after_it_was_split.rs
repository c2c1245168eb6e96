//! A clearance that was handed on is gone.

use cog_gate::{AnyCleared, AnyEffect, Cleared};

fn keep(cleared: Cleared<AnyEffect>) -> (AnyCleared, Cleared<AnyEffect>) {
    (cleared.split(), cleared)
}

fn main() {}
