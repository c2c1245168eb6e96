//! Flow: the definition of a workflow and the pure state machine that runs it.
//!
//! [`parse`] turns a YAML or JSON file into a [`Flow`] or into everything that is wrong
//! with it, each with its place. [`Run`] is the machine: it takes an [`Event`] and gives
//! back the [`Action`]s to do next; it has no clock, no randomness and no I/O, so the same
//! events give the same actions, byte for byte, on every machine and in every replay.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = "
//! name: greet
//! domain: demo
//! inputs: { who: { type: string, default: world } }
//! steps:
//!   - { id: words, uses: compute, with: { text: \"hello ${{ inputs.who }}\" } }
//! outputs: { said: \"${{ steps.words.output.text }}\" }
//! ";
//! let flow = std::sync::Arc::new(cog_flow::parse(text, "greet.yaml")?);
//! let inputs = flow.bind(&std::collections::BTreeMap::new())?;
//! let (run, _actions) = cog_flow::Run::start(flow, inputs);
//! assert_eq!(run.status(), cog_flow::Status::Completed);
//! assert_eq!(run.output().to_string(), r#"{"said":"hello world"}"#);
//! # Ok(())
//! # }
//! ```

#![forbid(clippy::disallowed_methods, clippy::disallowed_types)]

mod admission;
mod asks;
mod definition;
mod diagnostic;
mod effect;
mod expr;
mod family;
mod fields;
mod form;
mod input;
mod labels;
pub mod limits;
mod on_event;
mod parse;
mod path;
mod run;
mod search_labels;
mod source;
mod template;
mod tree;
mod walk;

pub use admission::{Admission, ConcurrencyLimit, LimitScope, RateLimit};
pub use cog_schedule::moment;
pub use definition::{
    Access, Approve, Block, Body, BoundRoot, Budget, ChildCall, Choose, EffectCall, Escalate, Flow,
    Foreach, Handler, InputKind, InputSpec, Label, Place, Plan, Repeat, Retry, Risk, RootSpec,
    RunSite, Scheduled, Sleep, Step, Terms, Undo, WaitFor,
};
pub use diagnostic::{Diagnostic, Diagnostics, Position};
pub use effect::{ArgumentError, FAILURES, Operation};
pub use expr::{Bindings, EvalError, Program, StepFacts, weight};
pub use family::{Child, Open, Opened};
pub use form::Form;
pub use on_event::OnEvent;
pub use parse::parse;
pub use path::{BadStepPath, StepPath, is_id};
pub use run::*;
pub use search_labels::{SearchLabels, check_label};
pub use template::{Piece, Template, TemplateError};
