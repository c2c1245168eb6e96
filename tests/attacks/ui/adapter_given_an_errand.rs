//! What a worker accepted by word alone is no clearance: an adapter wants one that was noted.

use cog_gate::effect::FileDelete;
use cog_gate::runner::Errand;
use cog_gate::{Adapter, Performed, Work};

fn perform<'a>(adapter: &'a dyn Adapter<FileDelete>, errand: Errand<FileDelete>) -> Work<'a, Performed<FileDelete>> {
    adapter.perform(errand)
}

fn main() {}
