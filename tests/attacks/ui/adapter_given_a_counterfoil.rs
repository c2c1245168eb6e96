//! A counterfoil is no second clearance: all it can become is the report on a lost attempt.

use cog_gate::effect::FileWrite;
use cog_gate::{Adapter, Counterfoil};

fn act(adapter: &dyn Adapter<FileWrite>, what: Counterfoil<FileWrite>) {
    let _work = adapter.perform(what);
}

fn main() {}
