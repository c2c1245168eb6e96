//! Whose signature a bundle's head bears, and whether the verifier has reason to trust it.

use std::collections::BTreeMap;

use cog_base::Digest;

use crate::audit::{Findings, KeyInForce};
use crate::checkpoint::Checkpoint;
use crate::note::VerifierKey;

/// What trust rests on.
pub(super) struct Trust<'a> {
    /// The keys that the verifier brought.
    pub(super) trusted: &'a [VerifierKey],
    /// The keys that the entries put in force, in order.
    pub(super) chain: &'a [KeyInForce],
    /// The checkpoints of the bundle but the last.
    pub(super) rotations: &'a [Checkpoint],
    /// The roots of the tree at the sizes of the rotations.
    pub(super) roots: &'a BTreeMap<u64, Digest>,
}

impl Trust<'_> {
    /// The key that signed the head, if it is the one in force and the verifier trusts it:
    /// because they brought it, or because it was handed over from one that they brought. Every
    /// hand-over must be signed by the key that gives, and the taker has signed what follows.
    pub(super) fn signer(
        &self,
        origin: &str,
        head: &Checkpoint,
        findings: &mut Findings,
    ) -> Option<VerifierKey> {
        let are_handed_over = self.are_handed_over(origin, findings);
        if self.rotations.iter().chain([head]).any(|it| it.note().signatures().len() != 1) {
            let message = "a head here bears other signatures than one: the last head that of \
                           the key in force, one of a hand-over that of the key that gives";
            findings.add(None, "head.signatures", message);
        }
        let Some(last) = self.chain.last() else {
            // No entry names a key, which was found: only one that was brought counts.
            return match head.verify(origin, self.trusted) {
                Ok(key) => Some(key.clone()).filter(|_| are_handed_over),
                Err(error) => {
                    findings.add(None, "head.untrusted", error.to_string());
                    None
                }
            };
        };
        if let Err(error) = head.verify(origin, std::slice::from_ref(&last.key)) {
            let message = format!("the head is not signed by the key in force: {error}");
            findings.add(None, "head.not_in_force", message);
            return None;
        }
        let is_trusted = |key: &VerifierKey| self.trusted.contains(key);
        if !self.chain.iter().any(|step| step.keys().any(is_trusted)) {
            let message = "the log is signed by a key that is none of the trusted ones, \
                           nor was it handed over from one of them";
            findings.add(None, "head.untrusted", message);
            return None;
        }
        are_handed_over.then(|| last.key.clone())
    }

    /// Whether the earlier heads here are those of the hand-overs, one for each, in their order.
    fn are_handed_over(&self, origin: &str, findings: &mut Findings) -> bool {
        let steps = self.chain.iter().filter_map(|step| Some((step, step.from.as_ref()?)));
        let mut rotations = self.rotations.iter();
        let mut are_all = true;
        for (step, giver) in steps {
            let head = rotations.next();
            if !head.is_some_and(|head| self.proves(origin, step.seq, giver, head)) {
                let message = "there is no head here in its place that the key which hands over \
                               signed";
                findings.add(Some(step.seq), "rotation.unproven", message);
                are_all = false;
            }
        }
        if rotations.next().is_some() {
            let message = "an earlier head is here that is of no hand-over";
            findings.add(None, "rotation.unproven", message);
            are_all = false;
        }
        are_all
    }

    /// Whether `head` is that of the tree just after the hand-over, signed by who hands over.
    fn proves(&self, origin: &str, seq: u64, giver: &VerifierKey, head: &Checkpoint) -> bool {
        let size = seq.saturating_add(1);
        head.size() == size
            && self.roots.get(&size) == Some(&head.root())
            && head.verify(origin, std::slice::from_ref(giver)).is_ok()
    }
}
