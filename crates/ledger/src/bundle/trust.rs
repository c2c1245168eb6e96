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
    /// because they brought it, or because every hand-over since a key they brought is
    /// signed by both of its keys.
    pub(super) fn signer(
        &self,
        origin: &str,
        head: &Checkpoint,
        findings: &mut Findings,
    ) -> Option<VerifierKey> {
        let Some(last) = self.chain.last() else {
            // The keys were named before the kept part: only a key that was brought counts.
            return match head.verify(origin, self.trusted) {
                Ok(key) => Some(key.clone()),
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
        let proven = |head| self.chain.iter().any(|step| self.proves(origin, step, head));
        if !self.rotations.iter().all(proven) {
            let message = "an earlier head here is not one that both keys of a hand-over signed";
            findings.add(None, "rotation.unproven", message);
            return None;
        }
        self.follow(origin, findings).then(|| last.key.clone())
    }

    /// Follow the hand-overs from the latest key that the verifier brought.
    fn follow(&self, origin: &str, findings: &mut Findings) -> bool {
        let brought = |key: &VerifierKey| self.trusted.contains(key);
        let latest = self.chain.iter().rposition(|step| brought(&step.key));
        let first = self.chain.first().and_then(|step| step.from.as_ref());
        let from = match (latest, first) {
            (Some(latest), _) => latest + 1,
            (None, Some(first)) if brought(first) => 0,
            (None, _) => {
                let message = "the log is signed by a key that is none of the trusted ones, \
                               nor was it handed over from one of them";
                findings.add(None, "head.untrusted", message);
                return false;
            }
        };
        self.chain.iter().skip(from).all(|step| self.is_handed_over(origin, step, findings))
    }

    fn is_handed_over(&self, origin: &str, step: &KeyInForce, findings: &mut Findings) -> bool {
        let is_proven = self.rotations.iter().any(|head| self.proves(origin, step, head));
        if !is_proven {
            let message = "there is no head here that both keys of this hand-over signed";
            findings.add(Some(step.seq), "rotation.unproven", message);
        }
        is_proven
    }

    /// Whether `head` is that of the tree just after the hand-over, signed by both keys.
    fn proves(&self, origin: &str, step: &KeyInForce, head: &Checkpoint) -> bool {
        let size = step.seq.saturating_add(1);
        let signed = |key: &VerifierKey| head.verify(origin, std::slice::from_ref(key)).is_ok();
        head.size() == size
            && self.roots.get(&size) == Some(&head.root())
            && signed(&step.key)
            && step.from.as_ref().is_some_and(signed)
    }
}
