//! A node: one of many that share a store, and run what is asked of the tenants they own.
//!
//! A tenant is one node's at a time, by a claim with a fence (`store::Shared`). Its owner runs
//! the one engine of that tenant, so that the state of the gate stands in one place. Many
//! tenants share a few threads:
//!
//! - the **keeper** claims tenants with work, renews claims and gives them back;
//! - a **desk** reads: it opens tenants, takes their mail, and removes mail when the log says
//!   what came of it;
//! - a **lane** drives engines, and never waits for the store;
//! - the **committer** records for all tenants of the node together.
//!
//! Each is a machine that takes one thing after the other. [`Node`] gives each of them a thread;
//! [`Stepped`] has none, for whoever runs many nodes on one, as the simulator does.
//!
//! Nothing here is believed that the log does not say. Whatever goes wrong with a tenant, its
//! engine is dropped; whoever claims it next resumes its runs from the log.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod asked;
mod came;
mod desk;
mod hands;
mod house;
mod keeper;
mod kit;
mod lane;
mod lease;
mod listener;
mod node;
mod request;
mod stepped;
mod time;
mod told;

pub use came::{Came, came_of, denied, denied_before, of_queue, recorded};
pub use kit::{Kit, Ready, Root};
pub use node::{Node, Parts, Settings};
pub use request::{BadRequest, Decided, Delegated, Destroy, Fire, Forked, Request, Wanted, ask};
pub use stepped::{Part, Stepped};
pub use told::Told;
