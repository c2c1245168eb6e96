//! What binds the tables to the key of their log, so that a row which somebody without the
//! key changed, hid, moved or put there is noticed where it is read.
//!
//! Each entry row has a tag over its leaf hash and over its links: how far back the entry
//! before it in its run is, and the one before it of its kind. The end of the log has a sealed
//! state, made anew in every commit: where the chain of each kind ends, and a sum over the
//! runs that are open. From the state every chain can be followed without a gap, so that no
//! entry of a kind or of an open run can be left out of what is read by kind or by run.

use std::fmt;

use cog_base::Digest;
use cog_base::cipher::Key;
use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::id::TenantId;
use cog_ledger::Kind;
use cog_store::Pruned;
use cog_store::index::kind_code;
use zeroize::Zeroizing;

/// The bytes of a tag: half of an HMAC-SHA256.
pub(crate) const TAG_BYTES: usize = 16;

const TAG_KEY_CONTEXT: &str = "cognitionos/kept-tag-key/v1";
const STATE_KEY_CONTEXT: &str = "cognitionos/kept-state-key/v1";
const STATE_CONTEXT: &[u8] = b"cognitionos/kept-state/v1\n";
const BLOCK_BYTES: usize = 64;
/// Two chains for each kind, inside runs and outside; kinds are numbered from 1.
const CHAINS: usize = 2 * (Kind::ALL.len() + 1);

/// How an entry hangs together with those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    /// The number of its kind.
    pub(crate) kind: i64,
    /// How far back the entry before it in its run is; 0 for the first, nothing outside runs.
    pub(crate) back: Option<i64>,
    /// How far back the entry before it in its chain is; 0 for the first, nothing for kinds
    /// without chains.
    pub(crate) kin: Option<i64>,
}

/// The entries of a kind inside runs are one chain, those outside another: pruning removes
/// the old end of the first and nothing of the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain(usize);

impl Chain {
    /// The chain of a kind whose entries have one: a rare one.
    pub(crate) fn of(kind: Kind, in_run: bool) -> Self {
        let code = usize::try_from(kind_code(kind)).unwrap_or(0);
        Self(2 * code + usize::from(in_run))
    }
}

/// What a commit leaves besides rows: everything that later reading stands on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct State {
    /// The sequence number of the newest entry of each chain.
    newest: [Option<u64>; CHAINS],
    /// How many runs are open.
    pub(crate) open: u64,
    /// The sum of their marks.
    pub(crate) sum: Sum,
}

impl Default for State {
    fn default() -> Self {
        Self { newest: [None; CHAINS], open: 0, sum: Sum::default() }
    }
}

impl State {
    /// The newest entry of a chain.
    pub(crate) fn newest(&self, chain: Chain) -> Option<u64> {
        self.newest.get(chain.0).copied().flatten()
    }

    /// Put an entry at the end of its chain. Returns how far back the one before is, 0 if it
    /// is the first.
    pub(crate) fn extend(&mut self, chain: Chain, seq: u64) -> i64 {
        let before = self.newest.get_mut(chain.0).and_then(|newest| newest.replace(seq));
        before.map_or(0, |before| i64::try_from(seq.saturating_sub(before)).unwrap_or(0))
    }

    /// Whether this state names the newest entries that `derived` names. Of a chain of which
    /// nothing is kept any more the newest was pruned.
    pub(crate) fn ends_as(&self, derived: &Self, pruned: u64) -> bool {
        self.newest.iter().zip(derived.newest).all(|(own, derived)| {
            let is_gone = derived.is_none() && own.is_some_and(|seq| seq < pruned);
            *own == derived || is_gone
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&self.open.to_be_bytes());
        bytes.extend_from_slice(&self.sum.0.to_be_bytes());
        bytes.extend_from_slice(&self.sum.1.to_be_bytes());
        for (number, newest) in (0_u8..).zip(self.newest) {
            let Some(seq) = newest else { continue };
            bytes.push(number);
            bytes.extend_from_slice(&seq.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (open, rest) = bytes.split_first_chunk()?;
        let (upper, rest) = rest.split_first_chunk()?;
        let (lower, mut rest) = rest.split_first_chunk()?;
        let sum = Sum(u128::from_be_bytes(*upper), u128::from_be_bytes(*lower));
        let mut state = Self { open: u64::from_be_bytes(*open), sum, ..Self::default() };
        while let Some((number, after)) = rest.split_first() {
            let (seq, after) = after.split_first_chunk()?;
            *state.newest.get_mut(usize::from(*number))? = Some(u64::from_be_bytes(*seq));
            rest = after;
        }
        Some(state)
    }
}

/// A sum of the marks of rows, in two halves. It is kept sealed: whoever could see how it
/// changes could look for other rows that come to the same.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum(u128, u128);

impl Sum {
    /// The mark of one row, as [`Bindings::mark`] made it.
    fn of(digest: Digest) -> Self {
        let (upper, lower) = digest.as_bytes().split_at(16);
        let half = |bytes: &[u8]| bytes.try_into().map(u128::from_be_bytes).unwrap_or_default();
        Self(half(upper), half(lower))
    }

    /// With one more.
    pub(crate) const fn plus(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0), self.1.wrapping_add(other.1))
    }

    /// Without one of them.
    pub(crate) const fn minus(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0), self.1.wrapping_sub(other.1))
    }
}

/// The end of a log as its row says it in the open. The state is sealed for exactly this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) size: u64,
    /// The roots of the subtrees at the right edge, one after the other.
    pub(crate) frontier: Vec<u8>,
    pub(crate) last_leaf: Vec<u8>,
    pub(crate) last_at: i64,
    pub(crate) pruned: Pruned,
}

impl End {
    fn context(&self, tenant: TenantId) -> Vec<u8> {
        let numbers = [self.size, self.pruned.bodies, self.pruned.entries];
        let length = (self.frontier.len() as u64).to_be_bytes();
        let mut context = STATE_CONTEXT.to_vec();
        context.extend_from_slice(&tenant.uuid().as_u128().to_be_bytes());
        context.extend(numbers.into_iter().flat_map(u64::to_be_bytes));
        context.extend_from_slice(&self.last_at.to_be_bytes());
        context.extend_from_slice(&length);
        context.extend_from_slice(&self.frontier);
        context.extend_from_slice(&self.last_leaf);
        context
    }
}

/// The keys that bind the tables of one log, made from the log's own key.
pub(crate) struct Bindings {
    state: Key,
    /// The key of the tags as RFC 2104 pads it: for the inner hash and for the outer.
    inner: Zeroizing<[u8; BLOCK_BYTES]>,
    outer: Zeroizing<[u8; BLOCK_BYTES]>,
}

impl Bindings {
    pub(crate) fn new(key: &Key) -> Self {
        let state = Digest::in_context(STATE_KEY_CONTEXT, key.expose());
        let tags = Digest::in_context(TAG_KEY_CONTEXT, key.expose());
        Self {
            state: Key::from_bytes(*state.as_bytes()),
            inner: padded(&tags, 0x36),
            outer: padded(&tags, 0x5c),
        }
    }

    /// HMAC-SHA256 over parts whose lengths are fixed, but for the last.
    fn code(&self, parts: [&[u8]; 4]) -> Digest {
        let [one, two, three, four] = parts;
        let inner = Digest::of(&[self.inner.as_slice(), one, two, three, four]);
        Digest::of(&[self.outer.as_slice(), inner.as_bytes()])
    }

    /// The tag of the entry row at `place`.
    pub(crate) fn tag(&self, place: i64, links: Links, leaf: Digest) -> [u8; TAG_BYTES] {
        // No distance is negative, so that -1 is free to say that there is none.
        let numbers = [place, links.kind, links.back.unwrap_or(-1), links.kin.unwrap_or(-1)];
        let mut bytes = [0; 32];
        for (part, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_be_bytes());
        }
        let code = self.code([b"entry\n", &bytes, leaf.as_bytes(), &[]]);
        code.as_bytes().first_chunk().copied().unwrap_or_default()
    }

    /// The mark that the row of an open run has in the sum. `status` is its last word.
    pub(crate) fn mark(&self, id: u128, numbers: [u64; 4], status: Option<&str>) -> Sum {
        let mut bytes = [0; 32];
        for (part, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            part.copy_from_slice(&number.to_be_bytes());
        }
        // A status is never empty.
        let status = status.unwrap_or_default().as_bytes();
        Sum::of(self.code([b"runrow", &id.to_be_bytes(), &bytes, status]))
    }

    /// Seal the state of a log whose end this is.
    pub(crate) fn seal(
        &self,
        tenant: TenantId,
        end: &End,
        state: &State,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, NoEntropy> {
        self.state.seal(&end.context(tenant), &state.to_bytes(), entropy)
    }

    /// Open what [`Bindings::seal`] sealed, if this is the end it was sealed for.
    pub(crate) fn open(&self, tenant: TenantId, end: &End, sealed: &[u8]) -> Option<State> {
        let plain = self.state.open(&end.context(tenant), sealed).ok()?;
        State::from_bytes(&plain)
    }
}

fn padded(key: &Digest, pad: u8) -> Zeroizing<[u8; BLOCK_BYTES]> {
    let mut block = Zeroizing::new([pad; BLOCK_BYTES]);
    for (byte, key) in block.iter_mut().zip(key.as_bytes()) {
        *byte ^= key;
    }
    block
}

impl fmt::Debug for Bindings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bindings(…)")
    }
}
