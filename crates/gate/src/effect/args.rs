//! Reading an effect's arguments: every name known, every type checked.

use cog_base::Value;
use cog_base::json::Map;

use super::RESOURCE_BYTES_MAX;

/// Arguments that do not make an effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArgs {
    /// No effect has this name.
    #[error("`{action}` is not an effect")]
    Action {
        /// The name.
        action: String,
    },
    /// An argument is missing.
    #[error("`{action}` needs `{name}`")]
    Missing {
        /// The effect.
        action: &'static str,
        /// The argument.
        name: &'static str,
    },
    /// An argument is of the wrong type or out of range.
    #[error("`{name}` of `{action}` must be {expected}, not {found}")]
    Wrong {
        /// The effect.
        action: &'static str,
        /// The argument.
        name: String,
        /// What it must be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// What it is about has too long a name.
    #[error(
        "`{action}` is about something whose name has {bytes} bytes; there may be {RESOURCE_BYTES_MAX}"
    )]
    Name {
        /// The effect.
        action: &'static str,
        /// How long the name is.
        bytes: usize,
    },
    /// An argument that the effect does not have.
    #[error("`{action}` has no argument `{name}`; it takes {known}")]
    Unknown {
        /// The effect.
        action: &'static str,
        /// The argument.
        name: String,
        /// The arguments it has.
        known: String,
    },
}

/// Takes the arguments of one effect, checking each.
pub(super) struct Args<'a> {
    action: &'static str,
    args: &'a Map,
}

impl<'a> Args<'a> {
    /// The arguments `args` of `action`, which knows only the names in `known`.
    pub(super) fn new(
        action: &'static str,
        known: &[&str],
        args: &'a Map,
    ) -> Result<Self, BadArgs> {
        let stranger = args.keys().find(|name| !known.contains(&name.as_str()));
        match stranger {
            Some(name) => {
                Err(BadArgs::Unknown { action, name: name.clone(), known: known.join(", ") })
            }
            None => Ok(Self { action, args }),
        }
    }

    /// An argument that may be absent or null.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.args.get(name).filter(|value| **value != Value::Null)
    }

    /// A text that must be there.
    pub(super) fn text(&self, name: &'static str) -> Result<String, BadArgs> {
        self.text_or_none(name)?.ok_or(BadArgs::Missing { action: self.action, name })
    }

    /// A text that may be absent.
    pub(super) fn text_or_none(&self, name: &str) -> Result<Option<String>, BadArgs> {
        self.get(name)
            .map(|value| {
                value
                    .as_text()
                    .map(str::to_owned)
                    .ok_or_else(|| self.wrong(name, "a string", value))
            })
            .transpose()
    }

    /// A whole number between 0 and `most`, or the default.
    pub(super) fn number(&self, name: &str, default: u64, most: u64) -> Result<u64, BadArgs> {
        let Some(value) = self.get(name) else { return Ok(default) };
        value
            .as_u64()
            .filter(|number| *number <= most)
            .ok_or_else(|| self.wrong(name, "a whole number within its limit", value))
    }

    /// A truth value, or false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, BadArgs> {
        let Some(value) = self.get(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| self.wrong(name, "true or false", value))
    }

    /// An object of texts, or an empty one.
    pub(super) fn texts(
        &self,
        name: &str,
    ) -> Result<std::collections::BTreeMap<String, String>, BadArgs> {
        let Some(value) = self.get(name) else { return Ok(Default::default()) };
        let wrong = || self.wrong(name, "an object of strings", value);
        value
            .as_map()
            .ok_or_else(wrong)?
            .iter()
            .map(|(key, text)| Ok((key.clone(), text.as_text().ok_or_else(wrong)?.to_owned())))
            .collect()
    }

    /// The error for an argument of a wrong type.
    pub(super) fn wrong(&self, name: &str, expected: &'static str, found: &Value) -> BadArgs {
        let number = found.as_int().map(|number| number.to_string());
        let shown = number.unwrap_or_else(|| found.kind().to_owned());
        BadArgs::Wrong { action: self.action, name: name.to_owned(), expected, found: shown }
    }
}
