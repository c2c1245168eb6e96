//! A clearance to read does not open the adapter that writes.

use cog_gate::effect::{FileRead, FileWrite};
use cog_gate::{Adapter, Cleared};

fn act(adapter: &dyn Adapter<FileWrite>, cleared: Cleared<FileRead>) {
    let _work = adapter.perform(cleared);
}

fn main() {}
