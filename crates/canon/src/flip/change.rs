//! One change of a request, and how it is said.

use std::fmt;

use cog_base::json::{Map, Value};

use crate::flip::TEXTS_MAX;
use crate::flip::search::Permitted;

/// How many texts are named besides the first where there are more than are looked for.
const NAMED: usize = 4;

/// A change of one part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another number.
    Number {
        /// Where: `args.document.amount_cents`.
        path: String,
        /// What it is.
        from: i64,
        /// What it would have to be; nothing nearer permits.
        to: i64,
        /// Whether the next number beyond `to` is refused again.
        alone: bool,
    },
    /// Another text.
    Text {
        /// Where.
        path: String,
        /// What it is.
        from: String,
        /// What it would have to be.
        to: String,
        /// What would do as well, in place of `to`.
        or: Vec<String>,
    },
    /// Any text but the present one and others that the policies mention.
    Other {
        /// Where.
        path: String,
        /// What it is.
        from: String,
    },
    /// The other truth value.
    Truth {
        /// Where.
        path: String,
        /// What it is.
        from: bool,
    },
    /// Another resource of the same type.
    Resource {
        /// The type.
        kind: String,
        /// What it is.
        from: String,
        /// What it would have to be.
        to: String,
    },
    /// Another actor of the same kind.
    Principal {
        /// Who asks.
        from: String,
        /// Who would have to.
        to: String,
    },
}

/// Changes that together turn a refusal into a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flip {
    /// The changes, one or two.
    pub changes: Vec<Change>,
    /// The consents that the permit would still ask for.
    pub approvals: Vec<String>,
    /// How many changes it takes besides, of what policies do not judge.
    pub besides: usize,
}

impl Flip {
    pub(super) fn new(changes: Vec<Change>, permitted: &Permitted) -> Self {
        let Permitted { evaluation, besides } = permitted;
        Self { changes, approvals: evaluation.consents(), besides: *besides }
    }

    /// How many changes it takes in all.
    pub(super) fn size(&self) -> usize {
        self.changes.len().saturating_add(self.besides)
    }

    /// In words: `if args.document.amount_cents were at most 500000 (it is 612000)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let changes: Vec<_> = self.changes.iter().map(Change::to_string).collect();
        let approvals = if self.approvals.is_empty() {
            String::new()
        } else {
            format!(", with the approval of {}", self.approvals.join(" and "))
        };
        format!("if {}{approvals}", changes.join(" and "))
    }

    /// It without what its numbers would have to be.
    pub(super) fn without_numbers(&self) -> Vec<String> {
        let words = self.changes.iter().map(|change| match change {
            Change::Number { path, .. } => path.clone(),
            Change::Text { .. }
            | Change::Other { .. }
            | Change::Truth { .. }
            | Change::Resource { .. }
            | Change::Principal { .. } => change.to_string(),
        });
        words.collect()
    }

    /// Takes in another flip, if it is the same but for one text.
    pub(super) fn take_in(&mut self, other: &Self) -> bool {
        let shape = |flip: &Self| (flip.changes.len(), flip.besides, flip.approvals.clone());
        if shape(self) != shape(other) {
            return false;
        }
        let mut different = self.changes.iter_mut().zip(&other.changes).filter(|(a, b)| a != b);
        let (Some((Change::Text { path, or, .. }, Change::Text { path: same, to, .. })), None) =
            (different.next(), different.next())
        else {
            return false;
        };
        if path == same {
            or.push(to.clone());
        }
        path == same
    }

    /// Smallest first: fewest changes, fewest approvals, then by kind, distance and name.
    pub(super) fn rank(&self) -> (usize, usize, u8, u64, String) {
        let kind = self.changes.iter().map(Change::weight).max().unwrap_or(0);
        let far = self.changes.iter().map(Change::distance).fold(0, u64::saturating_add);
        (self.size(), self.approvals.len(), kind, far, self.describe())
    }
}

impl Change {
    pub(super) fn number(path: &str, from: i64, to: i64) -> Self {
        Self::Number { path: path.to_owned(), from, to, alone: false }
    }

    pub(super) fn text(path: &str, from: &str, to: String) -> Self {
        Self::Text { path: path.to_owned(), from: from.to_owned(), to, or: Vec::new() }
    }

    fn weight(&self) -> u8 {
        match self {
            Self::Number { .. } => 0,
            Self::Truth { .. } => 1,
            Self::Other { .. } => 2,
            Self::Text { .. } => 3,
            Self::Resource { .. } => 4,
            Self::Principal { .. } => 5,
        }
    }

    fn distance(&self) -> u64 {
        match self {
            Self::Number { from, to, .. } => from.abs_diff(*to),
            Self::Text { .. }
            | Self::Other { .. }
            | Self::Truth { .. }
            | Self::Resource { .. }
            | Self::Principal { .. } => 0,
        }
    }
}

/// In words, as they stand behind `if`: `cost_micros were at most 500 (it is 612)`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { path, from, to, alone } => {
                let bound = match (alone, to > from) {
                    (true, _) => "",
                    (false, true) => "at least ",
                    (false, false) => "at most ",
                };
                write!(f, "{path} were {bound}{to} (it is {from})")
            }
            Self::Other { path, from } => write!(f, "{path} were another (it is `{from}`)"),
            Self::Text { path, from, to, or } if or.is_empty() => {
                write!(f, "{path} were `{to}` (it is `{from}`)")
            }
            Self::Text { path, from, to, or } => {
                let named = if or.len() < TEXTS_MAX - 1 { or.len() } else { NAMED };
                let others: Vec<_> = or.iter().take(named).map(String::as_str).collect();
                let more = if named < or.len() { " or others" } else { "" };
                let others = others.join("`, `");
                write!(f, "{path} were one of `{to}`, `{others}`{more} (it is `{from}`)")
            }
            Self::Truth { path, from } => write!(f, "{path} were {} (it is {from})", !from),
            Self::Resource { kind, from, to } => {
                write!(f, "it were about {kind} `{to}` (it is about `{from}`)")
            }
            Self::Principal { from, to } => write!(f, "{to} asked for it (it is {from})"),
        }
    }
}

/// Put a value at a path of a context, where there is one already.
pub(super) fn set(context: &mut Map, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            context.insert(path.to_owned(), value);
        }
        Some((name, rest)) => {
            if let Some(Value::Map(members)) = context.get_mut(name) {
                set(members, rest, value);
            }
        }
    }
}
