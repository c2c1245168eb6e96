//! Questions to language models: recorded answers from a cassette, or any server that
//! speaks the OpenAI chat protocol.
//!
//! A model's name in canon stands for a [`Provider`]. What a model answers is evidence: it
//! is passed on as text, and as JSON where JSON was asked for, and never decides anything.

mod adapter;
mod answer;
mod bill;
mod cassette;
mod key;
mod openai;
mod secret;

pub use adapter::{ModelAdapter, Provider, Recorder};
pub use answer::{Answer, TEXT_BYTES_MAX};
pub use cassette::{Cassette, CassetteError, LINE_BYTES_MAX, RECORDINGS_MAX};
pub use key::request_key;
pub use openai::{OPENAI_KEY, OPENAI_URL, OpenAi, is_openai};
pub use secret::Secret;
