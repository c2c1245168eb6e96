//! The parts of a bundle, and a bundle made anew of them, as a forger would.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Value;
use cog_base::json::parse;
use cog_ledger::merkle::Frontier;
use cog_ledger::note::Note;
use cog_ledger::{Checkpoint, Entry, SigningKey};

use crate::intact::reseal;

pub(crate) type Lines = Vec<Vec<u8>>;

pub(crate) fn lines(bundle: &[u8]) -> Lines {
    let text = bundle.strip_suffix(b"\n").unwrap_or(bundle);
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

pub(crate) fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

/// With a last line that fits what is before it.
pub(crate) fn resealed(lines: &[Vec<u8>]) -> Vec<u8> {
    reseal(&String::from_utf8_lossy(&joined(lines))).into_bytes()
}

/// The places of the lines that begin so.
pub(crate) fn places(lines: &[Vec<u8>], start: &str) -> Vec<usize> {
    let starts = |place: &usize| lines[*place].starts_with(start.as_bytes());
    (0..lines.len()).filter(starts).collect()
}

/// Without one line, and with numbers that fit: nobody signs them.
pub(crate) fn dropped(lines: &[Vec<u8>], place: usize) -> Vec<u8> {
    let mut lines = lines.to_vec();
    lines.remove(place);
    counted(lines)
}

/// With numbers that fit.
pub(crate) fn counted(mut lines: Lines) -> Vec<u8> {
    let manifest = parse(std::str::from_utf8(&lines[0]).unwrap()).unwrap();
    let mut manifest = manifest.as_map().unwrap().clone();
    for (name, start) in [("bodies", "{\"body\":"), ("canons", "{\"canon\":")] {
        let count = places(&lines, start).len() as u64;
        manifest.insert(name.to_owned(), Value::from(count));
    }
    lines[0] = Value::Map(manifest).canonical();
    resealed(&lines)
}

/// With manifest, root and end that fit the entries; and a head that `key` signs, or else
/// the old signature over what it did not sign.
pub(crate) fn rewritten(mut lines: Lines, key: Option<SigningKey>) -> Vec<u8> {
    let Value::Map(mut manifest) = parse(std::str::from_utf8(&lines[0]).unwrap()).unwrap() else {
        panic!("the manifest is an object");
    };
    let entries = places(&lines, "{\"entry\":");
    let from = manifest.get("from").unwrap().as_u64().unwrap();
    let roots = places(&lines, "{\"subtrees\":").first().map_or_else(Vec::new, |place| {
        let subtrees = parse(std::str::from_utf8(&lines[*place]).unwrap()).unwrap();
        let roots = subtrees.get("subtrees").unwrap().as_list().unwrap();
        roots.iter().map(|root| root.as_text().unwrap().parse().unwrap()).collect()
    });
    let mut frontier = Frontier::from_roots(from, roots).unwrap();
    for place in &entries {
        frontier.push(entry_at(&lines[*place]).unwrap().leaf(), |_, _, _| {});
    }
    let bodies = places(&lines, "{\"body\":").len() as u64;
    for (name, value) in [
        ("entries", Value::from(entries.len() as u64)),
        ("size", Value::from(frontier.size())),
        ("root", Value::from(frontier.root())),
        ("bodies", Value::from(bodies)),
    ] {
        manifest.insert(name.to_owned(), value);
    }
    lines[0] = Value::Map(manifest).canonical();
    let head = *places(&lines, "{\"checkpoint\":").last().unwrap();
    let note = parse(std::str::from_utf8(&lines[head]).unwrap()).unwrap();
    let old = Checkpoint::parse(note.get("checkpoint").unwrap().as_text().unwrap()).unwrap();
    let note = match key {
        Some(mut key) => {
            let (size, root) = (frontier.size(), frontier.root());
            Checkpoint::sign(old.origin(), size, root, &mut [&mut key]).unwrap().to_string()
        }
        None => {
            let root = STANDARD.encode(frontier.root().as_bytes());
            let text = format!("{}\n{}\n{root}\n", old.origin(), frontier.size());
            let signatures = old.note().to_string();
            let signatures = signatures.split_once("\n\n").unwrap().1;
            Note::parse(&format!("{text}\n{signatures}")).unwrap().to_string()
        }
    };
    lines[head] = Value::map([("checkpoint", note)]).canonical();
    resealed(&lines)
}

pub(crate) fn entry_at(line: &[u8]) -> Option<Entry> {
    Entry::parse(line.strip_prefix(b"{\"entry\":")?.strip_suffix(b"}")?).ok()
}

pub(crate) fn body_seq(line: &[u8]) -> Option<u64> {
    let value = parse(std::str::from_utf8(line).ok()?).ok()?;
    value.at(&["body", "seq"])?.as_u64()
}
