//! The canon: what binds in a domain, and what it says about a request.
//!
//! A canon is a folder of files ([`Source`]): settings, a Cedar schema, policies, facts and
//! tests. [`Canon::load`] compiles it, [`Canon::evaluate`] answers. Default is refuse, and a
//! policy that cannot be evaluated refuses. This crate is pure: files are handed in as
//! bytes, and nothing but the canon and the request goes into an answer.

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod cases;
mod change;
mod compare;
mod compile;
mod condition;
mod conform;
mod data;
mod error;
mod evaluate;
mod facts;
mod flip;
mod hierarchy;
mod index;
mod names;
mod nearest;
mod nesting;
mod obligation;
mod policies;
mod retention;
mod roots;
mod runs;
mod settings;
mod source;
mod window;
mod yaml;

pub use cases::{Failure, TestReport};
pub use change::{ChangeRefusal, ChangeRule};
pub use compare::{Difference, Part, Turn};
pub use compile::Canon;
pub use data::DataRules;
pub use error::CanonError;
pub use evaluate::{Evaluation, Request, Ruling};
pub use flip::{Change, Flip, WaysOut};
pub use names::{CONTEXT, DATA_CONTEXT, EFFECTS, PRODUCTION, arguments};
pub use obligation::{Duty, Obligation};
pub use policies::{PolicyNote, Side};
pub use retention::{Length, Retention};
pub use roots::{ABOVE, RootRule, RootRules, Standing};
pub use runs::RunRule;
pub use settings::{
    Bounds, Envelope, Environments, Interference, Model, OnConflict, Optr, Program, RISKS, Sender,
    Settings,
};
pub use source::Source;
pub use window::Window;

/// The limits of a canon and of what is asked of it, each where it is kept.
pub mod limits {
    pub use crate::cases::CASES_MAX;
    pub use crate::conform::{ATTRIBUTES_MAX, TYPE_DEPTH_MAX};
    pub use crate::data::CLASSES_MAX;
    pub use crate::facts::FACTS_MAX;
    pub use crate::flip::{EVALUATIONS_MAX, FLIPS_MAX};
    pub use crate::hierarchy::{
        ACTION_STEPS_MAX, ACTIONS_MAX, ENTITY_TYPES_MAX, GROUPS_DEEP_MAX, MEMBERSHIP_STEPS_MAX,
        TYPE_MEMBERSHIPS_MAX,
    };
    pub use crate::nesting::{BRACKETS_MAX, OPERATORS_MAX};
    pub use crate::obligation::OBLIGATIONS_MAX;
    pub use crate::policies::{ANNOTATION_MAX, LISTED_MAX, POLICIES_MAX, VALIDATIONS_MAX};
    pub use crate::source::{FILE_BYTES_MAX, FILES_MAX, SOURCE_BYTES_MAX};
    pub use crate::yaml::{YAML_BYTES_MAX, YAML_DEPTH_MAX};
}
