//! The cases, by what they are about. Each is handed an empty place.

pub mod bodies;
pub mod canons;
pub mod claims;
pub mod cursors;
pub mod logs;
pub mod mail;
pub mod parking;
pub mod proofs;
pub mod pruning;
pub mod runs;
pub mod select;
pub mod tenants;
