//! Nobody says that something was done but whoever was cleared to do it.

use cog_gate::effect::FileDelete;
use cog_gate::{Performed, Report};

fn forge(effect: FileDelete, report: Report) -> Performed<FileDelete> {
    Performed { effect, pass: forged(), report }
}

fn forged<T>() -> T {
    loop {}
}

fn main() {}
