//! Programs that behave, and programs that try to get out.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the tests look at the sandbox from outside"
)]

#[path = "sandbox/bench.rs"]
mod bench;
#[path = "sandbox/bounds.rs"]
mod bounds;
#[path = "sandbox/escapes.rs"]
mod escapes;
#[path = "sandbox/programs.rs"]
mod programs;
#[path = "sandbox/walls.rs"]
mod walls;
