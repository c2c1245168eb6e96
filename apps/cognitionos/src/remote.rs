//! Workers in other processes: the side of the node that owns logs, and the side of the worker.

mod journal;
mod office;
mod service;
pub(crate) mod token;
mod trust;
mod worker;

pub(crate) use journal::UsedUp;
pub(crate) use office::{Dispatch, Office};
pub(crate) use service::Counter;
pub(crate) use worker::{Setup, Tale, Worker, all_kinds};
