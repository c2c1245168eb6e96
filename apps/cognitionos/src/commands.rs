//! One module for each command.

pub(crate) mod approvals;
pub(crate) mod canon;
pub(crate) mod checkpoint;
pub(crate) mod database;
pub(crate) mod doctor;
pub(crate) mod domains;
pub(crate) mod events;
pub(crate) mod ledger;
pub(crate) mod logs;
pub(crate) mod owner;
pub(crate) mod pause;
pub(crate) mod refused;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod runs;
pub(crate) mod schedules;
pub(crate) mod serve;
pub(crate) mod sessions;
pub(crate) mod signal;
pub(crate) mod submit;
pub(crate) mod verify;
pub(crate) mod why;
pub(crate) mod workflows;
