//! Durable, governed runs.
//!
//! [`Engine`] is a machine: inputs in, outputs out. Its journal is the ledger: what a run
//! did is what its entries say, and a run is resumed or replayed by feeding those entries
//! to the same flow ([`history`], [`resume`], [`replay`]). [`driver`] runs the machine on
//! real threads.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod again;
pub mod children;
pub mod driver;
pub mod engine;
pub mod fork;
pub mod history;
pub mod impact;
pub mod kin;
pub mod notice;
pub mod pause;
pub mod rebuilt;
pub mod recompute;
pub mod replay;
pub mod resume;
pub mod signals;
pub mod snapshot;
pub mod start;
pub mod timetable;
pub mod versions;

mod active;
pub mod admission;
mod cancel;
mod carried;
mod choose;
mod delegate;
mod dormant;
mod given;
mod periods;
mod prospects;
mod retry;
mod settle;
mod steps;
mod timers;
mod undone;

pub use active::Waits;
pub use again::Continues;
pub use children::{CHILDREN_MAX, Parent, Place, Placed};
pub use cog_flow::Terms;
pub use driver::{Dormant, Driver, Hands, Inbox, Ledger, Swept};
pub use engine::{Engine, Input, Output, Settings, Timer};
pub use fork::{Fork, Forking};
pub use history::{History, Mismatch, Record};
pub use notice::{Intervention, Notice, Sealed, What};
pub use rebuilt::{Rebuilt, Tree};
pub use resume::Resumption;
pub use settle::NO_FORM;
pub use signals::Sent;
pub use start::{Keyed, Start, Trigger};
pub use timetable::{Firing, Timetable};
pub use undone::NotUndone;
pub use versions::Versions;
