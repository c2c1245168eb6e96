//! The engine as a library: durable, governed runs in the process of somebody else.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = std::env::temp_dir().join(format!("cog-embed-{}", std::process::id()));
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use cog_embed::{Actor, Begin, Cleared, AnyEffect, Embedded, SystemEntropy};
//! use cog_store_sqlite::{Mode, SqliteStore};
//!
//! let store = SqliteStore::open(&folder, Mode::ReadWrite, Box::new(SystemEntropy::new()))?;
//! let perform = |cleared: Cleared<AnyEffect>| cleared.unknown();
//! let engine = Embedded::open(Arc::new(store), perform)?;
//! let tenant = engine.own()?;
//!
//! let workflow = "
//! name: greet
//! domain: demo
//! inputs: { who: { type: string } }
//! steps:
//!   - { id: words, uses: compute, with: { text: \"hello ${{ inputs.who }}\" } }
//! outputs: { said: \"${{ steps.words.output.text }}\" }
//! ";
//! let ada: Actor = "user:ada".parse()?;
//! let run = tenant.start(Begin::new(workflow, &ada).input("who", "world"))?;
//! let end = tenant.end(run, Duration::from_secs(30))?;
//! assert_eq!(end.status, "completed");
//! assert_eq!(end.output.to_string(), r#"{"said":"hello world"}"#);
//! engine.stop();
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Embedded`] is a node over a store ([`cog_node`]): it runs what is asked of the tenants that it has.
//! [`Tenant`] asks and reads, in any process that has the store. `docs/guide/library.md` has an example
//! of every feature.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the edge where somebody embeds the engine: here the clock, randomness and waits of \
              their process are made"
)]

mod begin;
mod bell;
pub mod definitions;
mod effects;
mod embedded;
mod error;
pub mod places;
pub mod read;
pub mod replays;
pub mod runs;
mod stands;
pub mod starts;
pub mod states;
mod system;
mod tenant;

pub use cog_base::id::{ApprovalId, ReceiptId, RunId, TenantId};
pub use cog_base::{Micros, Timestamp, Value};
pub use cog_gate::{Actor, AnyEffect, Cleared, Effect, Failure, Found, Performed};
pub use cog_node::{Kit, Settings, Told};
pub use cog_store::Files;

pub use begin::Begin;
pub use effects::Effects;
pub use embedded::Embedded;
pub use error::Error;
pub use stands::{End, Never, Stands, do_wait};
pub use system::{SystemClock, SystemEntropy};
pub use tenant::{Signal, Tenant};
