//! What is brought to prove a completion: a proof of its entry, or the bundle of a whole ledger.

use std::convert::Infallible;
use std::io::BufReader;
use std::path::Path;

use cog_base::Digest;
use cog_base::json::parse_loose;
use cog_gate::effect::SessionAccept;
use cog_ledger::bundle::{Piece, Verified, read};
use cog_ledger::merkle::{Hashes, inclusion};
use cog_ledger::proof::ProvenEntry;
use cog_ledger::{Entry, Kind, VerifierKey};
use verify::{Request, VerifyError, open_file, read_keys};

use super::effect;
use crate::failure::{Exit, Failure};
use crate::given;

/// What to bring.
const PROOF: &str = "--proof FILE, from cognitionos ledger proof N, N being the number of the \
                     seal of that run";

/// The completion with what proves it. Whether that holds the gate decides, on the record.
pub(super) fn proven(event: &str, file: &Path, keys: &[String]) -> anyhow::Result<SessionAccept> {
    let bytes = given::bytes(file).map_err(|error| {
        let message = format!("cannot read {}: {error}", file.display());
        Failure::advise(Exit::BadInput, message, PROOF)
    })?;
    let trusted = read_keys(keys).map_err(unread)?;
    let (text, trusted) = if bytes.starts_with(b"{") {
        of_bundle(event, file, keys)?
    } else {
        (String::from_utf8_lossy(&bytes).into_owned(), trusted)
    };
    let mut tried = None;
    for key in trusted {
        let effect = effect(event, Some((&text, &key.to_string())))?;
        if effect.proof.as_ref().is_some_and(|proof| proof.holds) {
            return Ok(effect);
        }
        tried.get_or_insert(effect);
    }
    tried.ok_or_else(|| Failure::told(Exit::BadInput, "no key to trust was given"))
}

fn unread(error: VerifyError) -> anyhow::Error {
    let advice = error.advice();
    Failure::advise(Exit::BadInput, error, advice)
}

/// The proof of the seal that the event tells, from a bundle that holds, and the key of its head.
fn of_bundle(
    event: &str,
    file: &Path,
    keys: &[String],
) -> anyhow::Result<(String, Vec<VerifierKey>)> {
    let request = Request { bundle: file.to_owned(), keys: keys.to_vec(), ..Request::default() };
    let verified = verify::check(&request).map_err(unread)?;
    let closer = || {
        let keys: Vec<String> = keys.iter().map(|key| format!("--key {key}")).collect();
        format!("cognitionos verify {} {}", file.display(), keys.join(" "))
    };
    let whole = |what: &str| {
        let message = format!("{}: {what}", file.display());
        Failure::advise(Exit::Failed, message, closer())
    };
    let Verified { head: Some(head), signer: Some(signer), .. } = &verified else {
        return Err(whole("it has no head that one of the keys signed"));
    };
    if let Some(first) = verified.findings().kept().first() {
        return Err(whole(&format!("it does not hold: {}", first.message)));
    }
    if verified.manifest.from > 0 {
        let message = format!("{} begins in the middle of its log", file.display());
        return Err(Failure::advise(Exit::BadInput, message, PROOF));
    }
    let (leaves, seal) = entries(event, file)?;
    let seal = seal.ok_or_else(|| whole("it has no seal of the session that the event names"))?;
    let path = inclusion(&mut Leaves(leaves), seal.seq(), head.size())
        .map_err(|error| whole(&error.to_string()))?;
    let proof = ProvenEntry::new(seal, path, head.clone());
    Ok((proof.to_string(), vec![signer.clone()]))
}

/// The leaves of a bundle, and the seal of the session that the event is about.
fn entries(event: &str, file: &Path) -> anyhow::Result<(Vec<Digest>, Option<Entry>)> {
    let event = parse_loose(event)?;
    let subject = event.get("subject").and_then(|subject| subject.as_text());
    let (mut leaves, mut seal) = (Vec::new(), None);
    let mut input = BufReader::new(open_file(file)?);
    // No body is needed, and so none is looked for.
    read(&mut input, &mut std::io::empty(), &mut |piece| match piece {
        Piece::Entry(entry, _) => {
            leaves.push(entry.leaf());
            let run = entry.session().map(|run| run.to_string());
            if entry.kind() == Kind::SessionSealed && run.as_deref() == subject {
                seal = Some(*entry);
            }
        }
        Piece::Canon(_) => {}
    })?;
    Ok((leaves, seal))
}

/// All leaves of a log.
struct Leaves(Vec<Digest>);

impl Hashes for Leaves {
    type Error = Infallible;

    fn leaf(&mut self, index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(usize::try_from(index).ok().and_then(|index| self.0.get(index)).copied())
    }

    /// Computed from the leaves.
    fn node(&mut self, _level: u8, _index: u64) -> Result<Option<Digest>, Infallible> {
        Ok(None)
    }
}
