//! A permit cannot be read from bytes: it does not travel, and nobody can write one.

use cog_gate::Permit;
use cog_gate::effect::FileWrite;

fn forge(text: &str) -> Permit<FileWrite> {
    text.parse().unwrap()
}

fn main() {}
