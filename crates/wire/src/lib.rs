//! HTTP/1.1 as this house speaks it: a server with bounds on everything that comes in, answers and
//! problem documents, and a small client for the other end.
//!
//! It knows no routes. Whoever serves something implements [`Service`] and starts a [`Server`] with
//! it; who may ask is decided on the head, before a byte of the body is read. TLS is not here.

mod client;
mod message;
mod server;

pub use client::{Client, NoAnswer};
pub use message::{Answer, Head, Problem, Request, same};
pub use server::{Bounds, Server, Service, Work};
