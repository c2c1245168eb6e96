//! HTTP requests to hosts that the operator allowed, and to no address behind them.
//!
//! [`Client`] is what goes out: it checks scheme, host and port on each hop, resolves a
//! name once and refuses it when any of its addresses is not public, connects to exactly
//! the addresses that were checked, follows redirects itself, bounds sizes and times, and
//! reads no proxy from the environment. [`HttpAdapter`] performs `http.request` with it.

mod adapter;
mod address;
mod client;
mod exchange;
mod headers;
mod policy;
mod redirect;
mod transport;

pub use adapter::HttpAdapter;
pub use address::is_public;
pub use client::{Client, REDIRECTS_MAX};
pub use exchange::{Exchange, Reply, Trouble};
pub use policy::{BadEndpoint, Policy};

#[cfg(test)]
mod tests;
