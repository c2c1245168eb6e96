//! The only door to the world.
//!
//! The gate decides about every effect before it happens and lets through only what has a
//! durable receipt. [`decision`] is the procedure, a pure function; [`door`] is the
//! sequence of types that cannot be walked in another order; [`Gate`] keeps the accounts.
//! See ARCHITECTURE.md, "The gate", for the walk-through.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod act;
pub mod adapter;
pub mod approvals;
pub mod change;
pub mod decision;
pub mod door;
pub mod effect;
pub mod explain;
pub mod intent;
pub mod piece;
pub mod runner;
mod sessions;
pub mod snapshot;

mod book;
mod consent;
mod counterfoil;
mod gate;
mod handed;
mod lease;
mod lost;
mod of_run;
mod onward;
mod periods;
mod redact;
mod world;

pub use adapter::{Adapter, Found, Work};
pub use book::{Carried, Counts, Limits, Used};
pub use consent::{Consent, FORM};
pub use counterfoil::{Counterfoil, Lapse};
pub use door::{Cleared, End, Failure, Pending, Performed, Permit, Report, Settled, Settling};
pub use effect::{AnyCleared, AnyEffect, Effect};
pub use gate::{Answer, Asked, Gate, Question, Refusal};
pub use intent::{Actor, Intent, Origin};
pub use lost::Lost;
pub use of_run::{OfRun, Wish};
pub use world::World;
