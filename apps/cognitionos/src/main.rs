//! cognitionos
fn main() {}
