//! Private servers for tests: each is started from installed programs in a folder of its
//! own, listens where only this machine reaches it, and is gone with the process that
//! started it, however that ends.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a tool for tests: it starts servers and looks after their folders"
)]

mod keeper;
pub mod postgres;
pub mod rabbitmq;
