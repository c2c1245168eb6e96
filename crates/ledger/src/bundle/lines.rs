//! Reading a bundle, line by line, each in its one spelling.

use std::io::{BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;
use cog_base::json::Value;

use super::{BundleError, CanonFiles, Earlier, LINE_BYTES_MAX, Manifest};
use crate::canonical::read_map;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::hasher::Hasher;
use crate::kind::Kind;
use crate::note::VerifierKey;

/// A line after the manifest.
pub(super) enum Line {
    Key(VerifierKey),
    Canon(CanonFiles),
    Subtrees(Vec<Digest>),
    Earlier(Box<Earlier>),
    Entry(Box<Entry>),
    Body(Body),
    Checkpoint(Box<Checkpoint>),
    End { digest: Digest, lines: u64 },
}

pub(super) struct Body {
    pub(super) seq: u64,
    pub(super) salt: [u8; 32],
    pub(super) bytes: Vec<u8>,
}

/// Lines, counted and hashed as they come.
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    hasher: Hasher,
    count: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, buffer: Vec::with_capacity(8192), hasher: Hasher::new(), count: 0 }
    }

    /// The number of lines read.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The digest of all lines before the last one read.
    pub(super) fn digest_before(&self) -> Digest {
        self.hasher.digest()
    }

    /// The next line without its newline, or nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Result<&[u8], String>>, BundleError> {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
        let mut limited = Read::take(&mut *self.input, LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut self.buffer);
        read.map_err(|source| BundleError::Read { line: self.count, source })?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.count = self.count.saturating_add(1);
        Ok(Some(self.buffer.strip_suffix(b"\n").ok_or_else(|| {
            if self.buffer.len() as u64 >= LINE_BYTES_MAX {
                format!("it is longer than {LINE_BYTES_MAX} bytes")
            } else {
                "it does not end in a newline".to_owned()
            }
        })))
    }
}

/// Why a line cannot be read.
pub(super) enum BadLine {
    /// It is no line of a bundle.
    Wrong(String),
    /// It is in order as far as can be told, and of a release that this one does not know.
    Newer(String),
}

impl BadLine {
    /// The code of the finding, and what it says.
    pub(super) fn finding(self) -> (&'static str, String) {
        match self {
            Self::Wrong(what) => ("bundle.line", what),
            Self::Newer(what) => ("bundle.newer", what),
        }
    }
}

/// Read a line after the manifest.
pub(super) fn parse(line: &[u8]) -> Result<Line, BadLine> {
    let Some(entry) = line.strip_prefix(b"{\"entry\":") else {
        return other(line).map_err(BadLine::Wrong);
    };
    let unended = || BadLine::Wrong("it does not end in `}`".into());
    let entry = entry.strip_suffix(b"}").ok_or_else(unended)?;
    Entry::parse(entry).map(|entry| Line::Entry(Box::new(entry))).map_err(|error| {
        newer(entry).map_or_else(|| BadLine::Wrong(explain(error)), BadLine::Newer)
    })
}

/// What an entry is that a later release may have made: of a later version, or of a kind that
/// nobody knows here.
fn newer(entry: &[u8]) -> Option<String> {
    let members = read_map(entry).ok()?;
    let text = |name: &str| members.get(name).and_then(Value::as_text);
    let version = members.get("v").and_then(Value::as_u64)?;
    let kind = text("kind")?;
    let is_word = !kind.is_empty()
        && kind.bytes().all(|letter| letter.is_ascii_lowercase() || b"._".contains(&letter));
    let what = if version > 1 {
        format!("it is an entry of version {version}")
    } else if is_word && kind.parse::<Kind>().is_err() {
        format!("it is an entry of kind `{kind}`")
    } else {
        return None;
    };
    let engine = text("engine").unwrap_or_default();
    Some(format!("{what}, which this verifier does not know, and of the release `{engine}`"))
}

fn other(line: &[u8]) -> Result<Line, String> {
    let mut members = read_map(line).map_err(explain)?.into_iter();
    let only = members.next().filter(|_| members.len() == 0);
    let (name, value) = only.ok_or("it is not one member")?;
    match name.as_str() {
        "key" => value.as_text().and_then(|key| key.parse().ok()).map(Line::Key),
        "canon" => CanonFiles::from_value(&value).map(Line::Canon),
        "subtrees" => subtrees(&value).map(Line::Subtrees),
        "earlier" => Earlier::from_value(&value).map(|it| Line::Earlier(Box::new(it))),
        "body" => body(&value).map(Line::Body),
        "checkpoint" => {
            let note = value.as_text().ok_or("it is no text")?;
            return Checkpoint::parse(note)
                .map(|checkpoint| Line::Checkpoint(Box::new(checkpoint)))
                .map_err(explain);
        }
        "end" => end(&value),
        other => return Err(format!("no bundle has a line `{other}`")),
    }
    .ok_or_else(|| format!("its `{name}` does not have the form of one"))
}

/// The first line.
pub(super) fn manifest(line: Option<Result<&[u8], String>>) -> Result<Manifest, BundleError> {
    let map = line.and_then(Result::ok).and_then(|line| read_map(line).ok());
    let map = map.ok_or(BundleError::NotABundle)?;
    let format = map.get("bundle").and_then(Value::as_text).unwrap_or_default();
    if format == super::FORMAT {
        return Manifest::from_map(&map).ok_or(BundleError::NotABundle);
    }
    let version = format.strip_prefix(super::FORMAT.trim_end_matches('1'));
    Err(match version.and_then(|number| number.parse::<u32>().ok()) {
        Some(2..) => BundleError::Newer(format.to_owned()),
        Some(_) | None => BundleError::NotABundle,
    })
}

fn subtrees(value: &Value) -> Option<Vec<Digest>> {
    value.as_list()?.iter().map(|root| root.as_text()?.parse().ok()).collect()
}

fn body(value: &Value) -> Option<Body> {
    let bytes = |name: &str| STANDARD.decode(value.get(name)?.as_text()?).ok();
    let members = value.as_map().filter(|members| members.len() == 3)?;
    Some(Body {
        seq: members.get("seq")?.as_u64()?,
        salt: bytes("salt")?.try_into().ok()?,
        bytes: bytes("bytes")?,
    })
}

fn end(value: &Value) -> Option<Line> {
    let members = value.as_map().filter(|members| members.len() == 2)?;
    let digest = members.get("digest")?.as_text()?.parse().ok()?;
    Some(Line::End { digest, lines: members.get("lines")?.as_u64()? })
}

/// An error with its causes, in one line.
pub(super) fn explain(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
