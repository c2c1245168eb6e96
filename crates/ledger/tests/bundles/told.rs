//! The same changes for a verifier in another language: a file with the bundles and, for each
//! change, how it differs and what is said of it here.
//!
//! It is written where `COGNITIONOS_CHANGES` says, a JSON document a line. First the bundles, as
//! `{"against", "bundle", "key"}`; then the changes, as `{"compared", "findings", "number",
//! "pieces", "target", "way"}`. Each piece is a range of lines of the bundle, from the first to
//! before the last, or a line of its own in base64; put together with a newline between them they
//! are the changed bundle. `findings` are pairs of a code and an entry, which is absent where it
//! is about none; there are no `findings` where it is no bundle.

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Value;

use crate::tamper::{Change, Target};

const VARIABLE: &str = "COGNITIONOS_CHANGES";

/// What is told, and where.
pub(crate) struct Told {
    path: PathBuf,
    targets: Vec<String>,
    /// For each target the places of its lines.
    lines: Vec<HashMap<Vec<u8>, u64>>,
}

impl Told {
    /// Nothing when nobody asks for it.
    pub(crate) fn of(targets: &[Target]) -> Option<Self> {
        let path = std::env::var_os(VARIABLE)?.into();
        let places = |target: &Target| {
            let places = lines(&target.bundle).map(<[u8]>::to_vec).zip(0..);
            places.collect()
        };
        Some(Self {
            path,
            targets: targets.iter().map(target_line).collect(),
            lines: targets.iter().map(places).collect(),
        })
    }

    /// A change in one line.
    pub(crate) fn line(&self, change: &Change) -> String {
        let places = &self.lines[change.target];
        let mut pieces: Vec<Result<(u64, u64), &[u8]>> = Vec::new();
        for line in lines(&change.bundle) {
            match (places.get(line), pieces.last_mut()) {
                (Some(place), Some(Ok((_, end)))) if end == place => *end += 1,
                (Some(place), _) => pieces.push(Ok((*place, place + 1))),
                (None, _) => pieces.push(Err(line)),
            }
        }
        let piece = |piece: Result<(u64, u64), &[u8]>| match piece {
            Ok((from, to)) => Value::list([Value::from(from), to.into()]),
            Err(line) => STANDARD.encode(line).into(),
        };
        let mut members = vec![
            ("compared", change.compared.into()),
            ("number", change.number.into()),
            ("pieces", Value::list(pieces.into_iter().map(piece))),
            ("target", (change.target as u64).into()),
            ("way", change.way.into()),
        ];
        if let Some(findings) = &change.findings {
            let finding = |(code, seq): &(&str, Option<u64>)| {
                Value::list([Value::from(*code)].into_iter().chain(seq.map(Value::from)))
            };
            members.push(("findings", Value::list(findings.iter().map(finding))));
        }
        Value::map(members).to_string()
    }

    /// Writes the file.
    pub(crate) fn write(self, changes: impl Iterator<Item = String>) {
        let text: String = self.targets.into_iter().chain(changes).map(|it| it + "\n").collect();
        std::fs::write(&self.path, text).unwrap();
    }
}

fn lines(bundle: &[u8]) -> impl Iterator<Item = &[u8]> {
    bundle.split(|byte| *byte == b'\n')
}

fn target_line(target: &Target) -> String {
    let members = [
        ("against", target.against[0].to_string()),
        ("bundle", STANDARD.encode(&target.bundle)),
        ("key", target.trusted[0].to_string()),
    ];
    Value::map(members.map(|(name, text)| (name, Value::from(text)))).to_string()
}
