//! The closed catalogue of effects: every act on the world that can be authorised.
//!
//! An effect is data. It says what would be done, on what, and what it touches; only an
//! adapter that holds a [`crate::Cleared`] can do it. The trait is sealed, so policy,
//! metering and audit can match the catalogue in full.

mod args;
mod file;
mod http;
mod model;
mod process;
mod session;
mod url;

pub use args::BadArgs;
pub use file::{FileDelete, FileRead, FileWrite, WriteContent, WriteMode};
pub use http::{HttpBody, HttpRequest};
pub use model::{Message, ModelChat};
pub use process::ProcessRun;
pub use session::{Proof, SessionAccept};
pub use url::one_spelling;

use std::collections::BTreeSet;

use cog_base::json::{Canonical, Map, Object};
use cog_base::{Digest, Micros};
use cog_canon::Canon;

use crate::door::{Cleared, Performed};

mod sealed {
    /// Keeps the catalogue closed.
    pub trait Sealed {}
}

pub(crate) use sealed::Sealed;

/// The thing an effect acts on, as policies name it: `Root::"payments"`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resource {
    /// The entity type: `Root`, `Host`, `Program`, `Model` or `Source`.
    pub kind: &'static str,
    /// The entity's name.
    pub name: String,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::\"{}\"", self.kind, self.name)
    }
}

/// What an effect reads and writes, as keys like `file:payments/acme.json`. Two effects
/// interfere when one writes what the other reads or writes; a key covers those below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Keys that are read.
    pub reads: BTreeSet<String>,
    /// Keys that are written.
    pub writes: BTreeSet<String>,
}

/// What can be found out about an effect whose outcome was lost in a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redo {
    /// Doing it again changes nothing: reads, and questions to a model.
    Safe,
    /// The adapter can look whether it was done.
    Probe,
    /// Nobody can tell: it is named unknown and left to a person.
    Unknown,
}

/// What a model's tokens cost, in micros per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Of the question.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

impl Prices {
    /// The cost of so many tokens, rounded up.
    #[must_use]
    pub fn of(self, input_tokens: u64, output_tokens: u64) -> Micros {
        let input = u128::from(self.input) * u128::from(input_tokens);
        let output = u128::from(self.output) * u128::from(output_tokens);
        let sum = input.saturating_add(output);
        Micros::new(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// One kind of act on the world.
pub trait Effect: Sealed + Send + Sync + Sized + 'static {
    /// The name policies, receipts and workflows use: `file.write`.
    fn action(&self) -> &'static str;
    /// What it acts on.
    fn resource(&self) -> Resource;
    /// Its arguments as they are digested, shown to policies and kept as evidence.
    fn args(&self) -> Map;
    /// What it reads and writes.
    fn footprint(&self) -> Footprint;
    /// What may be done when its outcome was lost.
    fn redo(&self) -> Redo;

    /// The prices it is billed at, where it is billed.
    fn prices(&self, _canon: &Canon) -> Option<Prices> {
        None
    }

    /// The most it can cost at these prices: what is reserved with the receipt.
    fn cost_max(&self, _prices: Prices) -> Micros {
        Micros::ZERO
    }

    /// The digest that binds a receipt to exactly these arguments.
    fn digest(&self) -> Digest {
        digest_of(self.action(), &self.args())
    }
}

/// The longest name of a resource, in bytes: entries carry it, and have bounds of their own.
pub const RESOURCE_BYTES_MAX: usize = 2_048;

/// The digest of an action and its arguments.
pub(crate) fn digest_of(action: &str, args: &impl Canonical) -> Digest {
    let mut bytes = Vec::with_capacity(256);
    Object::new(&mut bytes).put("action", action).put("args", args).end();
    Digest::in_context("cognitionos/effect/v1", &bytes)
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident($effect:ident) = $action:literal,)*) => {
        /// Any effect of the catalogue.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyEffect {
            $($(#[$doc])* $variant($effect),)*
        }

        /// A cleared effect by its kind, for the adapter of that kind.
        #[derive(Debug)]
        pub enum AnyCleared {
            $($(#[$doc])* $variant(Cleared<$effect>),)*
        }

        impl AnyEffect {
            /// Every action of the catalogue.
            pub const ACTIONS: &'static [&'static str] = &[$($action),*];

            /// The effect that the action `uses` performs with these arguments.
            ///
            /// # Errors
            /// [`BadArgs`] names the argument that is missing, unknown or of a wrong type, or says
            /// that what it is about has too long a name.
            pub fn from_args(uses: &str, args: &Map) -> Result<Self, BadArgs> {
                let effect = match uses {
                    $($action => $effect::from_args(args).map(Self::$variant),)*
                    unknown => Err(BadArgs::Action { action: unknown.to_owned() }),
                }?;
                let bytes = effect.resource().name.len();
                if bytes > RESOURCE_BYTES_MAX {
                    return Err(BadArgs::Name { action: effect.action(), bytes });
                }
                Ok(effect)
            }
        }

        impl Sealed for AnyEffect {}

        impl Effect for AnyEffect {
            fn action(&self) -> &'static str {
                match self { $(Self::$variant(effect) => effect.action(),)* }
            }
            fn resource(&self) -> Resource {
                match self { $(Self::$variant(effect) => effect.resource(),)* }
            }
            fn args(&self) -> Map {
                match self { $(Self::$variant(effect) => effect.args(),)* }
            }
            fn footprint(&self) -> Footprint {
                match self { $(Self::$variant(effect) => effect.footprint(),)* }
            }
            fn redo(&self) -> Redo {
                match self { $(Self::$variant(effect) => effect.redo(),)* }
            }
            fn prices(&self, canon: &Canon) -> Option<Prices> {
                match self { $(Self::$variant(effect) => effect.prices(canon),)* }
            }
            fn cost_max(&self, prices: Prices) -> Micros {
                match self { $(Self::$variant(effect) => effect.cost_max(prices),)* }
            }
        }

        impl Cleared<AnyEffect> {
            /// The same clearance, typed by the kind of its effect.
            #[must_use]
            pub fn split(self) -> AnyCleared {
                let (effect, pass) = self.into_parts();
                match effect {
                    $(AnyEffect::$variant(effect) => AnyCleared::$variant(Cleared::new(effect, pass)),)*
                }
            }
        }

        $(
            impl Sealed for $effect {}

            impl From<$effect> for AnyEffect {
                fn from(effect: $effect) -> Self {
                    Self::$variant(effect)
                }
            }

            impl From<Performed<$effect>> for Performed<AnyEffect> {
                fn from(performed: Performed<$effect>) -> Self {
                    performed.map(AnyEffect::$variant)
                }
            }
        )*
    };
}

catalogue! {
    /// Read a file, or list a folder.
    FileRead(FileRead) = "file.read",
    /// Write a file.
    FileWrite(FileWrite) = "file.write",
    /// Delete a file.
    FileDelete(FileDelete) = "file.delete",
    /// Send an HTTP request.
    HttpRequest(HttpRequest) = "http.request",
    /// Run a program in the sandbox.
    ProcessRun(ProcessRun) = "process.run",
    /// Ask a model.
    ModelChat(ModelChat) = "model.chat",
    /// Take in the completion of a session that ran elsewhere.
    SessionAccept(SessionAccept) = "session.accept",
}
