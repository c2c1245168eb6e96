//! An adapter does nothing on its own: an effect is only data.

use cog_gate::Adapter;
use cog_gate::effect::FileWrite;

fn act(adapter: &dyn Adapter<FileWrite>, what: FileWrite) {
    let _work = adapter.perform(what);
}

fn main() {}
