//! The catalogue of effects is closed: there is no other one to name.

use cog_gate::AnyEffect;

fn other(effect: AnyEffect) -> bool {
    matches!(effect, AnyEffect::SendMail(_))
}

fn main() {}
