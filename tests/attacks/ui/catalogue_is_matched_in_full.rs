//! Who treats effects by kind treats every kind: a new one is found by the compiler.

use cog_gate::AnyEffect;

fn is_metered(effect: &AnyEffect) -> bool {
    match effect {
        AnyEffect::ModelChat(_) | AnyEffect::HttpRequest(_) | AnyEffect::SessionAccept(_) => true,
        AnyEffect::FileRead(_) | AnyEffect::FileWrite(_) | AnyEffect::FileDelete(_) => false,
    }
}

fn main() {}
