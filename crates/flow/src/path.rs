//! The stable name of one step of one run: `invoice[3].pay.sepa.write`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::MAX_ID_BYTES;

/// Where a step stands: ids from the outside in, with the index of each `foreach` item.
///
/// Plans and handlers are levels too: `pay.sepa.write`, `pay.on_error.notify`. Cheap to
/// clone. Paths order as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepPath(Arc<str>);

/// A text that is not a path of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a step path like `invoice[3].pay.sepa.write`")]
pub struct BadStepPath(String);

impl StepPath {
    /// The path of a step at the outermost level.
    pub(crate) fn root(id: &str) -> Self {
        Self(Arc::from(id))
    }

    /// The path of `id` inside this step.
    pub(crate) fn child(&self, id: &str) -> Self {
        Self(Arc::from(format!("{}.{id}", self.0)))
    }

    /// The path of one item of this `foreach`.
    pub(crate) fn item(&self, index: u32) -> Self {
        Self(Arc::from(format!("{}[{index}]", self.0)))
    }

    /// Whether it stands inside the step with the path `outer`.
    #[must_use]
    pub fn is_within(&self, outer: &Self) -> bool {
        let rest = self.0.strip_prefix(outer.as_str());
        rest.is_some_and(|rest| rest.starts_with(['.', '[']))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StepPath {
    type Err = BadStepPath;

    fn from_str(text: &str) -> Result<Self, BadStepPath> {
        let bad = || BadStepPath(text.chars().take(80).collect());
        for segment in text.split('.') {
            let id = match segment.split_once('[') {
                Some((id, index)) => {
                    let index = index.strip_suffix(']').ok_or_else(bad)?;
                    let number: u32 = index.parse().map_err(|_| bad())?;
                    if number.to_string() != index {
                        return Err(bad());
                    }
                    id
                }
                None => segment,
            };
            if !is_id(id) {
                return Err(bad());
            }
        }
        Ok(Self(Arc::from(text)))
    }
}

impl<F> From<&StepPath> for cog_base::json::Json<F> {
    fn from(path: &StepPath) -> Self {
        Self::from(path.as_str())
    }
}

/// Whether a text is an id: `[a-z][a-z0-9_-]*`, at most 64 bytes.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let inner =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    text.len() <= MAX_ID_BYTES
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_text() {
        for good in ["list", "invoice[3].pay.sepa.write", "a[0].b-c.d_e[12].on_error.x"] {
            assert_eq!(good.parse::<StepPath>().unwrap().to_string(), good);
        }
        for bad in ["", "a.", ".a", "A", "a[01]", "a[]", "a[1]b", "a[1][2]", "a b", "a[-1]", "9"] {
            assert!(bad.parse::<StepPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_grow_from_the_outside_in() {
        let path = StepPath::root("invoice").item(3).child("pay").child("sepa");
        assert_eq!(path.as_str(), "invoice[3].pay.sepa");
        for (outer, within) in [
            ("invoice", true),
            ("invoice[3].pay", true),
            ("invoice[3].pa", false),
            ("invoice[3].pay.sepa", false),
        ] {
            assert_eq!(path.is_within(&outer.parse().unwrap()), within, "{outer}");
        }
    }
}
