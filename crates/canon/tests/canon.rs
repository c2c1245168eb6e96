//! The canon from outside: the same answers as the stock authorizer, the smallest change
//! that flips a refusal, the rules of the house, and what is said of a canon that is bad.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "canon/bad.rs"]
mod bad;
#[path = "canon/bad_cases.rs"]
mod bad_cases;
#[path = "canon/bad_obligations.rs"]
mod bad_obligations;
#[path = "canon/bad_policies.rs"]
mod bad_policies;
#[path = "canon/bad_schema.rs"]
mod bad_schema;
#[path = "canon/change.rs"]
mod change;
#[path = "canon/dice.rs"]
mod dice;
#[path = "canon/flips.rs"]
mod flips;
#[path = "canon/generate.rs"]
mod generate;
#[path = "canon/house.rs"]
mod house;
#[path = "canon/rules.rs"]
mod rules;
#[path = "canon/stock.rs"]
mod stock;
#[path = "canon/ways_out.rs"]
mod ways_out;
