//! The published vectors in `tests/vectors`, every one of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;
use cog_base::json::{Loose, parse_loose};
use cog_ledger::merkle::{verify_consistency, verify_inclusion};
use cog_ledger::note::VerifierKey;

const INCLUSION: &str = include_str!("../../../tests/vectors/merkle-inclusion.jsonl");
const CONSISTENCY: &str = include_str!("../../../tests/vectors/merkle-consistency.jsonl");
const JCS: &str = include_str!("../../../tests/vectors/jcs.jsonl");
const ED25519: &str = include_str!("../../../tests/vectors/ed25519-wycheproof.json");

#[test]
fn published_vectors_hold() {
    let counts = [
        (inclusion(), "inclusion"),
        (consistency(), "consistency"),
        (canonical_json(), "JCS"),
        (ed25519(), "Ed25519"),
    ];
    let line = counts.map(|(count, name)| format!("{count} {name}")).join(", ");
    println!("counted: published vectors passed: {line}");
    assert_eq!(line, "98 inclusion, 98 consistency, 6 JCS, 151 Ed25519");
}

fn inclusion() -> usize {
    count_cases(INCLUSION, |case| {
        // A leaf hash that is not 32 bytes long is none: our type cannot hold it.
        let leaf = STANDARD.decode(case["leafHash"].as_text().unwrap()).unwrap();
        <[u8; 32]>::try_from(leaf).is_ok_and(|leaf| {
            verify_inclusion(
                Digest::from_bytes(leaf),
                number(&case["leafIdx"]),
                number(&case["treeSize"]),
                hash(&case["root"]),
                &path(&case["proof"]),
            )
        })
    })
}

fn consistency() -> usize {
    count_cases(CONSISTENCY, |case| {
        verify_consistency(
            number(&case["size1"]),
            hash(&case["root1"]),
            number(&case["size2"]),
            hash(&case["root2"]),
            &path(&case["proof"]),
        )
    })
}

fn count_cases(lines: &str, verdict: impl Fn(&Case) -> bool) -> usize {
    let check = |line: &str| {
        let case = case(line);
        let expected = case["wantErr"].as_bool() == Some(false);
        assert_eq!(verdict(&case), expected, "{line}");
    };
    lines.lines().map(check).count()
}

fn canonical_json() -> usize {
    let check = |line: &str| {
        let case = case(line);
        let value = parse_loose(case["input"].as_text().unwrap()).unwrap();
        assert_eq!(value.canonical(), unhex(&case["output_hex"]), "{line}");
    };
    JCS.lines().map(check).count()
}

/// Strict verification agrees with every published verdict: all valid ones are accepted, all
/// invalid ones refused. The file has no `acceptable` cases, where verifiers may differ.
fn ed25519() -> usize {
    let file = case(ED25519);
    let mut count = 0;
    for group in file["testGroups"].as_list().unwrap() {
        let public = unhex(group.at(&["publicKey", "pk"]).unwrap());
        let key = VerifierKey::new("vector", &public.try_into().unwrap());
        for test in group.get("tests").unwrap().as_list().unwrap() {
            let [message, signature] = ["msg", "sig"].map(|name| unhex(test.get(name).unwrap()));
            let verifies = key.as_ref().is_ok_and(|key| key.verifies(&message, &signature));
            let expected = match test.get("result").and_then(Loose::as_text) {
                Some("valid") => true,
                Some("invalid") => false,
                other => panic!("a verdict {other:?} that nobody has thought about"),
            };
            assert_eq!(verifies, expected, "{test:?}");
            count += 1;
        }
    }
    count
}

type Case = std::collections::BTreeMap<String, Loose>;

fn case(text: &str) -> Case {
    parse_loose(text).unwrap().as_map().unwrap().clone().into_iter().collect()
}

fn number(value: &Loose) -> u64 {
    if matches!(value, Loose::Float(number) if *number == 18_446_744_073_709_551_615.0) {
        return u64::MAX;
    }
    value.as_u64().unwrap()
}

/// A root or a hash of a path. Some are not 32 bytes long on purpose: they stand for one
/// that equals only itself.
fn hash(value: &Loose) -> Digest {
    let bytes = STANDARD.decode(value.as_text().unwrap()).unwrap();
    <[u8; 32]>::try_from(bytes).map_or_else(|odd| Digest::of(&[b"odd: ", &odd]), Digest::from_bytes)
}

fn path(value: &Loose) -> Vec<Digest> {
    value.as_list().unwrap_or_default().iter().map(hash).collect()
}

fn unhex(value: &Loose) -> Vec<u8> {
    let digits = value.as_text().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
