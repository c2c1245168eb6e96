//! What the machine does, one rule at a time.

use crate::harness::{World, plain_flow};

#[test]
fn steps_without_needs_start_at_once_and_the_others_when_their_needs_are_done() {
    let mut world = World::start(&plain_flow(&[("a", &[]), ("b", &[]), ("c", &["a", "b"])]));
    world.expect(&["perform a", "perform b"]);
    world.complete("b", "2");
    world.expect(&[]);
    world.complete("a", "1");
    world.expect(&["perform c"]);
    world.complete("c", "3");
    world.expect(&["finish completed"]);
}
