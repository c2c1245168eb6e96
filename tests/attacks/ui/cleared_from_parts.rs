//! The gate's own way to take a clearance apart is closed to others.

use cog_gate::Cleared;
use cog_gate::effect::{FileDelete, FileRead};

/// A clearance to read becomes one to delete.
fn turn(cleared: Cleared<FileRead>, other: FileDelete) -> Cleared<FileDelete> {
    let (_, pass) = cleared.into_parts();
    Cleared::new(other, pass)
}

fn main() {}
