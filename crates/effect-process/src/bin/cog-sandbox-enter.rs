//! The helper that the tests start: nothing but the way into the sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    cog_effect_process::enter()
}
