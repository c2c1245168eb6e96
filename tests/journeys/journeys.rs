//! Journeys: the real program as somebody uses it, from the command line alone. Each test
//! has a folder of its own and looks at exit codes, words, files and the ledger.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![expect(clippy::print_stdout, reason = "tests say what they tried")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the tests start programs, kill them, and look at files"
)]

mod again;
mod approvals;
mod asked_again;
mod canon;
mod children;
mod classes;
mod codes;
mod config;
mod confined;
mod control;
mod damage;
mod definitions;
mod docs;
mod domains;
mod dry;
mod ending;
mod errors;
mod events;
mod examples;
mod files;
mod filled;
mod finished;
mod following;
mod foreign;
mod forged;
mod forks;
mod going_on;
mod help;
mod histories;
mod hooks;
mod index;
mod json;
mod keeping;
mod keyed;
mod kills;
mod ledger;
mod listing;
mod models;
mod moves;
mod nested;
mod nodes;
mod outages;
mod outgoing;
mod people;
mod periods;
mod privacy;
mod production;
mod program;
mod queue;
mod redrive;
mod room;
mod roots;
mod ruled;
mod schedulers;
mod schedules;
mod served;
mod signals;
mod soak;
mod streaming;
mod terminal;
mod told;
mod trees;
mod versions;
mod workers;
