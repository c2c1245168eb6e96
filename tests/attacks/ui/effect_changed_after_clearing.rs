//! What was decided is what is performed: a clearance shows its effect and lets nobody change it.

use cog_gate::Cleared;
use cog_gate::effect::FileWrite;

fn redirect(cleared: &mut Cleared<FileWrite>) {
    cleared.effect().path = "elsewhere.json".to_owned();
}

fn main() {}
