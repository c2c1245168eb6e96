//! Nobody but the gate makes a permit.

use cog_gate::Permit;
use cog_gate::effect::FileDelete;

fn forge(effect: FileDelete) -> Permit<FileDelete> {
    Permit { effect, pass: forged() }
}

fn forged<T>() -> T {
    loop {}
}

fn main() {}
