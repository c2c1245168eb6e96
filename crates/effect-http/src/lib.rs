//! HTTP requests to hosts that the canon allows, and to no other address behind them.
//!
//! [`Client`] is what goes out: it puts scheme, host, port and literal address of each hop to
//! the list that the gate decides by ([`cog_base::hosts`]), resolves a name once and refuses
//! it when any of its addresses is not public, or private where that is allowed, connects to exactly
//! the addresses that were checked, follows redirects itself, bounds sizes and times, and
//! reads no proxy from the environment. [`HttpAdapter`] performs `http.request` with it.

mod adapter;
mod client;
mod exchange;
mod headers;
mod redirect;
mod transport;
mod url;

pub use adapter::HttpAdapter;
pub use client::{Client, Hears, LeadsOn, REDIRECTS_MAX};
pub use exchange::{Exchange, Reply, Trouble};
pub use url::{BadEndpoint, endpoint};

#[cfg(test)]
mod tests;
