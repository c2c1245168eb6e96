//! A bundle that whoever has the key made anew: everything in it fits, and what was recorded beside
//! its entries is no record.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::json::parse;
use cog_base::{Digest, Value};
use cog_ledger::body::commitment;
use cog_ledger::merkle::Frontier;
use cog_ledger::{Checkpoint, Entry, Signer as _, SigningKey};

use crate::program::{Folder, text};

/// A bundle with other bodies, under another key: the bundle, and the key.
fn forged(bundle: &str, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> (String, String) {
    let lines: Vec<Value> = bundle.lines().map(|line| parse(line).unwrap()).collect();
    let origin = text(&lines[0], &["origin"]);
    let mut key = SigningKey::from_seed(origin, &[7; 32]).unwrap();
    let decode = |value: &Value, name| STANDARD.decode(text(value, &["body", name])).unwrap();
    let bodies: BTreeMap<u64, &Value> = lines
        .iter()
        .filter_map(|line| Some((line.at(&["body", "seq"])?.as_u64()?, line)))
        .collect();
    let (mut frontier, mut last, mut changed) = (Frontier::default(), None, BTreeMap::new());
    let mut out: Vec<Value> = Vec::new();
    for line in &lines {
        let Some(entry) = line.get("entry") else {
            out.push(line.clone());
            continue;
        };
        let mut entry = entry.as_map().unwrap().clone();
        let seq = entry.get("seq").and_then(Value::as_u64).unwrap();
        if text(line, &["entry", "kind"]) == "genesis" {
            let mut data = entry.get("data").and_then(Value::as_map).unwrap().clone();
            data.insert("key".to_owned(), key.public().to_string().into());
            entry.insert("data".to_owned(), Value::Map(data));
        }
        if let Some(body) = bodies.get(&seq) {
            let salt: [u8; 32] = decode(body, "salt").try_into().unwrap();
            let bytes = change(text(line, &["entry", "kind"]), decode(body, "bytes"));
            entry.insert("body".to_owned(), Value::map([("commit", commitment(&salt, &bytes))]));
            changed.insert(seq, (salt, bytes));
        }
        let prev = last.map(|leaf: Digest| ("prev".to_owned(), Value::from(leaf)));
        entry.extend(prev);
        let entry = Value::Map(entry);
        let leaf = Entry::parse(&entry.canonical()).unwrap().leaf();
        frontier.push(leaf, |_, _, _| {});
        last = Some(leaf);
        out.push(Value::map([("entry", entry)]));
    }
    let head = Checkpoint::sign(origin, frontier.size(), frontier.root(), &mut [&mut key]).unwrap();
    for line in &mut out {
        let Value::Map(members) = line else { panic!("a line is an object") };
        if members.contains_key("bundle") {
            members.insert("root".to_owned(), frontier.root().into());
        } else if members.contains_key("key") {
            members.insert("key".to_owned(), key.public().to_string().into());
        } else if members.contains_key("checkpoint") {
            members.insert("checkpoint".to_owned(), head.to_string().into());
        } else if let Some(seq) = members.get("body").and_then(|body| body.get("seq")?.as_u64()) {
            let (salt, bytes) = &changed[&seq];
            let body = Value::map([
                ("seq", Value::from(seq)),
                ("salt", STANDARD.encode(salt).into()),
                ("bytes", STANDARD.encode(bytes).into()),
            ]);
            members.insert("body".to_owned(), body);
        }
    }
    out.pop();
    let text: String = out.iter().map(|line| format!("{line}\n")).collect();
    let end = Value::map([
        ("lines", Value::from(out.len() as u64)),
        ("digest", Digest::of(&[text.as_bytes()]).into()),
    ]);
    (format!("{text}{}\n", Value::map([("end", end)])), format!("{}\n", key.public()))
}

#[test]
fn a_body_that_is_no_record_makes_no_permission_hold() {
    let folder = Folder::example("forged", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    folder.cog(&["ledger", "export", "-o", "a.cogbundle", "--key", "a.vkey"]).ends(0);
    let bundle = std::fs::read_to_string(folder.path("a.cogbundle")).unwrap();
    let verify = |(bundle, key): (String, String)| {
        folder.write("b.cogbundle", &bundle);
        folder.write("b.vkey", &key);
        folder.cog(&["verify", "b.cogbundle", "--key", "b.vkey"])
    };
    // What fits is made so well that nothing is found.
    verify(forged(&bundle, |_, bytes| bytes)).ends(0).says(&["everything checked holds"]);

    let of_receipts = |instead: &[u8]| {
        let instead = instead.to_vec();
        let change = move |kind: &str, bytes: Vec<u8>| {
            if kind == "receipt" { instead.clone() } else { bytes }
        };
        verify(forged(&bundle, change)).ends(1)
    };
    of_receipts(b"garbage").says(&["body.unreadable", "do not rely on this bundle"]);
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(70), "]".repeat(70));
    of_receipts(deep.as_bytes()).says(&["body.unreadable"]);
    of_receipts(b"{}").says(&["decision.record"]);
}
