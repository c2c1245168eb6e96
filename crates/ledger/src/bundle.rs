//! A log, or the kept end of one, as one file that an outsider checks offline.
//!
//! UTF-8 text, one canonical JSON document a line, in this order:
//!
//! | line | how many |
//! | --- | --- |
//! | `{"bundle":"cognitionos-bundle/v1","tenant","origin","from","size","root","entries","bodies","canons"}`, and `"left_out"` if something is | 1 |
//! | `{"key":"<verifier key>"}` | the keys that were in force in the kept part, in order, and no others. Trust never comes from here |
//! | `{"canon":{"digest","files":{path:text}}}` | `canons`: versions that kept entries name, ascending by digest |
//! | `{"subtrees":[digest]}` | 1 if `from` > 0: the right edge of the tree of the first `from` entries, the largest subtree first |
//! | `{"earlier":{"entry","head","path"}}` | if `from` > 0: the genesis entry, without `head`, and each hand-over of the pruned part, in order |
//! | `{"entry":<its canonical bytes>}` | `entries`, from `from` on |
//! | `{"body":{"bytes":"<base64>","salt":"<base64>","seq"}}` | `bodies`, ascending |
//! | `{"checkpoint":"<signed note>"}` | for each key rotation the head after it, signed by the key that hands over alone; then the head, signed by the key in force alone |
//! | `{"end":{"digest","lines"}}` | 1: the digest of all bytes, and the number of lines, before it |

mod earlier;
mod head;
mod lines;
mod read;
mod trust;
mod verify;
mod write;

pub use earlier::Earlier;
pub use head::{Head, read_head};
pub use read::{Piece, read};
pub use verify::{Check, Verified, verify};
pub use write::BundleWriter;

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use cog_base::Digest;
use cog_base::id::TenantId;
use cog_base::json::{Map, Value};

/// The format that a manifest names.
pub const FORMAT: &str = "cognitionos-bundle/v1";
/// The most bytes of a line.
pub const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

const CANON_CONTEXT: &str = "cognitionos/canon/v1";

/// The first line of a bundle. It only says what to expect; everything in it is checked against
/// what is signed, but for what was left out, which the report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Whose log.
    pub tenant: TenantId,
    /// The name of the log.
    pub origin: String,
    /// The first entry that is here; those before were pruned.
    pub from: u64,
    /// The number of entries that the log ever had.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest,
    /// How many bodies are here.
    pub bodies: u64,
    /// How many versions of canon are here.
    pub canons: u64,
    /// What the log has and whoever made the bundle left out.
    pub left_out: BTreeSet<Part>,
}

/// A part of a log that a bundle may leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// All bodies.
    Bodies,
    /// All versions of canon.
    Canons,
}

impl Part {
    /// The word in the manifest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bodies => "bodies",
            Self::Canons => "canons",
        }
    }

    fn from_word(word: &Value) -> Option<Self> {
        [Self::Bodies, Self::Canons].into_iter().find(|part| word.as_text() == Some(part.as_str()))
    }
}

impl Manifest {
    /// How many entries are here.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.size.saturating_sub(self.from)
    }

    fn to_value(&self) -> Value {
        let left_out = Value::list(self.left_out.iter().map(|part| part.as_str()));
        let left_out = (!self.left_out.is_empty()).then_some(("left_out", left_out));
        let members = [
            ("bundle", Value::from(FORMAT)),
            ("tenant", self.tenant.into()),
            ("origin", self.origin.as_str().into()),
            ("from", self.from.into()),
            ("size", self.size.into()),
            ("root", self.root.into()),
            ("entries", self.entries().into()),
            ("bodies", self.bodies.into()),
            ("canons", self.canons.into()),
        ];
        Value::map(members.into_iter().chain(left_out))
    }

    /// Read the members; exactly those, and entries as many as from `from` to `size`.
    fn from_map(map: &Map) -> Option<Self> {
        let text = |name: &str| map.get(name)?.as_text();
        let count = |name: &str| map.get(name)?.as_u64();
        let left_out = match map.get("left_out") {
            Some(words) => words.as_list()?.iter().map(Part::from_word).collect::<Option<_>>()?,
            None => BTreeSet::new(),
        };
        let manifest = Self {
            tenant: text("tenant")?.parse().ok()?,
            origin: text("origin")?.to_owned(),
            from: count("from")?,
            size: count("size")?,
            root: text("root")?.parse().ok()?,
            bodies: count("bodies")?,
            canons: count("canons")?,
            left_out,
        };
        let same = manifest.from < manifest.size && manifest.to_value().as_map() == Some(map);
        same.then_some(manifest)
    }
}

/// A version of canon as it stands in a bundle: the text of each file by its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanonFiles {
    /// The version.
    pub digest: Digest,
    /// The files.
    pub files: BTreeMap<String, String>,
}

impl CanonFiles {
    /// The version that the files have.
    #[must_use]
    pub fn computed(&self) -> Digest {
        let digests = self
            .files
            .iter()
            .map(|(path, text)| (path.as_str(), Value::from(Digest::of(&[text.as_bytes()]))));
        Digest::in_context(CANON_CONTEXT, &Value::map(digests).canonical())
    }

    fn to_value(&self) -> Value {
        let files =
            self.files.iter().map(|(path, text)| (path.as_str(), Value::from(text.as_str())));
        Value::map([("digest", Value::from(self.digest)), ("files", Value::map(files))])
    }

    fn from_value(value: &Value) -> Option<Self> {
        let files = value.get("files")?.as_map()?;
        let text =
            |(path, text): (&String, &Value)| Some((path.clone(), text.as_text()?.to_owned()));
        let files = files.iter().map(text).collect::<Option<_>>()?;
        let canon = Self { digest: value.get("digest")?.as_text()?.parse().ok()?, files };
        (canon.to_value() == *value).then_some(canon)
    }
}

/// Why a bundle could not be written or read at all. What is wrong inside one is a finding.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file does not begin as a bundle.
    #[error("this is not a bundle: its first line is no manifest of {FORMAT}")]
    NotABundle,
    /// It is of a format that came later.
    #[error(
        "this bundle is of the format {0}, and this verifier reads {FORMAT}: it is too old for \
         it; take the verifier of the release that made the bundle, or of a later one"
    )]
    Newer(String),
    /// Reading failed.
    #[error("could not read the bundle after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Writing failed.
    #[error("could not write the bundle")]
    Write(#[source] io::Error),
    /// The writer was given lines in another order, or other numbers, than it said.
    #[error("the bundle that was to be written does not hold together: {0}")]
    Misuse(&'static str),
}
