//! The engine with a ledger in memory and a world that does what a test says.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests fail by panicking"
)]

#[path = "engine/admission.rs"]
mod admission;
#[path = "engine/again.rs"]
mod again;
#[path = "engine/asked.rs"]
mod asked;
#[path = "engine/bounded.rs"]
mod bounded;
#[path = "engine/cancel.rs"]
mod cancel;
#[path = "engine/children.rs"]
mod children;
#[path = "engine/claimed.rs"]
mod claimed;
#[path = "engine/classes.rs"]
mod classes;
#[path = "engine/delegate.rs"]
mod delegate;
#[path = "engine/dormant.rs"]
mod dormant;
#[path = "engine/draining.rs"]
mod draining;
#[path = "engine/entitled.rs"]
mod entitled;
#[path = "engine/escalate.rs"]
mod escalate;
#[path = "engine/expired.rs"]
mod expired;
#[path = "engine/fork.rs"]
mod fork;
#[path = "engine/given.rs"]
mod given;
#[path = "engine/house.rs"]
mod house;
#[path = "engine/in_hand.rs"]
mod in_hand;
#[path = "engine/labels.rs"]
mod labels;
#[path = "engine/long_names.rs"]
mod long_names;
#[path = "engine/lost.rs"]
mod lost;
#[path = "engine/marks.rs"]
mod marks;
#[path = "engine/no_canon.rs"]
mod no_canon;
#[path = "engine/pause.rs"]
mod pause;
#[path = "engine/pieces.rs"]
mod pieces;
#[path = "engine/recomputed.rs"]
mod recomputed;
#[path = "engine/rejected.rs"]
mod rejected;
#[path = "engine/schedules.rs"]
mod schedules;
#[path = "engine/signals.rs"]
mod signals;
#[path = "engine/snapshot.rs"]
mod snapshot;
#[path = "engine/subjects.rs"]
mod subjects;
#[path = "engine/taken_up.rs"]
mod taken_up;
#[path = "engine/told.rs"]
mod told;
#[path = "engine/undo.rs"]
mod undo;
#[path = "engine/unrecorded.rs"]
mod unrecorded;
#[path = "engine/until.rs"]
mod until;
