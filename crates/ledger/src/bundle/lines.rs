//! Reading a bundle, line by line, each in its one spelling.

use std::io::{BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;
use cog_base::json::{Map, Value};

use super::{BundleError, CanonFiles, LINE_BYTES_MAX};
use crate::canonical::read_map;
use crate::checkpoint::Checkpoint;
use crate::entry::Entry;
use crate::hasher::Hasher;
use crate::note::VerifierKey;

/// A line after the manifest.
pub(super) enum Line {
    Key(VerifierKey),
    Canon(CanonFiles),
    Subtrees(Vec<Digest>),
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

/// Read a line after the manifest.
pub(super) fn parse(line: &[u8]) -> Result<Line, String> {
    if let Some(entry) = line.strip_prefix(b"{\"entry\":") {
        let entry = entry.strip_suffix(b"}").ok_or("it does not end in `}`")?;
        return Entry::parse(entry).map(|entry| Line::Entry(Box::new(entry))).map_err(explain);
    }
    let mut map = read_map(line).map_err(explain)?;
    let (name, value) = map.pop_first().filter(|_| map.is_empty()).ok_or("it is not one member")?;
    match name.as_str() {
        "key" => value.as_text().and_then(|key| key.parse().ok()).map(Line::Key),
        "canon" => CanonFiles::from_value(&value).map(Line::Canon),
        "subtrees" => subtrees(&value).map(Line::Subtrees),
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

/// The manifest's members.
pub(super) fn manifest(line: &[u8]) -> Option<Map> {
    read_map(line)
        .ok()
        .filter(|map| map.get("bundle").and_then(Value::as_text) == Some(super::FORMAT))
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
