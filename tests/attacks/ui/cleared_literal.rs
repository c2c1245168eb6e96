//! Nobody but the gate clears an effect.

use cog_gate::Cleared;
use cog_gate::effect::FileDelete;

fn forge(effect: FileDelete) -> Cleared<FileDelete> {
    Cleared { effect, pass: forged() }
}

fn forged<T>() -> T {
    loop {}
}

fn main() {}
