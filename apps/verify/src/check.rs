//! Opening the files and choosing what to compare.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use cog_ledger::bundle::{Check, Head, Verified, read_head, verify};
use cog_ledger::{Checkpoint, VerifierKey};

use crate::{VerifyError, open_file};

/// The most bytes of a key file or a checkpoint.
const SMALL_FILE_MAX: u64 = 1_000_000;

/// What to check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The bundle.
    pub bundle: PathBuf,
    /// The keys to trust: verifier key lines, or files that hold such lines.
    pub keys: Vec<String>,
    /// A checkpoint, or another bundle of the same log, to compare with.
    pub against: Option<PathBuf>,
    /// Report as one JSON document.
    pub json: bool,
}

/// Check the bundle with the keys, and against the earlier or later view if there is one.
///
/// # Errors
/// [`VerifyError`] when a file cannot be read or is not what it should be.
pub fn check(request: &Request) -> Result<Verified, VerifyError> {
    let trusted = read_keys(&request.keys)?;
    let Some(path) = &request.against else {
        return verify_file(&request.bundle, &trusted, &[]);
    };
    match read_other(path)? {
        Other::Checkpoint(head) => verify_file(&request.bundle, &trusted, &[*head]),
        Other::Bundle(other) => against_bundle(request, &trusted, path, &other),
    }
}

/// The longer of two bundles must have grown from the head of the shorter one.
fn against_bundle(
    request: &Request,
    trusted: &[VerifierKey],
    path: &Path,
    other: &Head,
) -> Result<Verified, VerifyError> {
    let head = other.checkpoint.clone().ok_or_else(|| VerifyError::Against(path.to_owned()))?;
    let mut verified = verify_file(&request.bundle, trusted, &[])?;
    let Some(own) = verified.head.clone() else {
        return Ok(verified);
    };
    if head.size() <= own.size() {
        return verify_file(&request.bundle, trusted, &[head]);
    }
    let longer = verify_file(path, trusted, &[own])?;
    verified.compared = longer.compared;
    for finding in longer.findings().kept() {
        let message = format!("in the bundle to compare with: {}", finding.message);
        verified.audited.findings.add(finding.seq, finding.code, message);
    }
    Ok(verified)
}

fn verify_file(
    path: &Path,
    trusted: &[VerifierKey],
    against: &[Checkpoint],
) -> Result<Verified, VerifyError> {
    let mut input = open(path)?;
    verify(&mut input, &Check { trusted, against })
        .map_err(|error| VerifyError::Bundle(path.to_owned(), error))
}

/// Read the keys that `--key` gives: each a verifier key line, or a file of such lines.
/// Empty lines and those that begin with `#` are passed over.
///
/// # Errors
/// [`VerifyError::Key`] when there is none, or one cannot be read.
pub fn read_keys(given: &[String]) -> Result<Vec<VerifierKey>, VerifyError> {
    let mut keys = Vec::new();
    for text in given {
        if let Ok(key) = text.parse() {
            keys.push(key);
            continue;
        }
        let file = read_small(Path::new(text))?;
        let lines = file.lines().map(|line| line.trim_matches([' ', '\t', '\r']));
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let key = line.parse().map_err(|error| VerifyError::Key(format!("{text}: {error}")))?;
            keys.push(key);
        }
    }
    if keys.is_empty() {
        let what = "no key to trust was given; a bundle cannot vouch for itself";
        return Err(VerifyError::Key(what.to_owned()));
    }
    Ok(keys)
}

enum Other {
    Checkpoint(Box<Checkpoint>),
    Bundle(Box<Head>),
}

fn read_other(path: &Path) -> Result<Other, VerifyError> {
    let mut input = open(path)?;
    let start = input.fill_buf().map_err(|error| VerifyError::File(path.to_owned(), error))?;
    if start.starts_with(b"{") {
        let head = read_head(&mut input);
        let head = head.map_err(|error| VerifyError::Bundle(path.to_owned(), error))?;
        return Ok(Other::Bundle(Box::new(head)));
    }
    let checkpoint = Checkpoint::parse(&read_small(path)?);
    let checkpoint = checkpoint.map_err(|_| VerifyError::Against(path.to_owned()))?;
    Ok(Other::Checkpoint(Box::new(checkpoint)))
}

pub(crate) fn read_small(path: &Path) -> Result<String, VerifyError> {
    let mut text = String::new();
    let read = open(path)?.take(SMALL_FILE_MAX).read_to_string(&mut text);
    read.map_err(|error| VerifyError::File(path.to_owned(), error))?;
    Ok(text)
}

#[expect(
    clippy::disallowed_types,
    reason = "the verifier is an edge: it reads the files it is given"
)]
fn open(path: &Path) -> Result<BufReader<std::fs::File>, VerifyError> {
    let file = open_file(path).map_err(|error| VerifyError::File(path.to_owned(), error))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}
