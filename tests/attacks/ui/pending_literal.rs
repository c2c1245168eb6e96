//! Only a decision makes something pending.

use cog_gate::Pending;
use cog_gate::effect::FileDelete;

fn forge(effect: FileDelete) -> Pending<FileDelete> {
    Pending { effect, pass: forged() }
}

fn forged<T>() -> T {
    loop {}
}

fn main() {}
