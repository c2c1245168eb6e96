//! Ids: UUIDv7 (RFC 9562), shown as TypeIDs (`run_` and 26 Crockford base32 characters).

use std::fmt;

use crate::digest::Digest;
use crate::entropy::{Entropy, NoEntropy};
use crate::json::{Canonical, Json};
use crate::time::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// How many letters follow the prefix.
const LETTERS: usize = 26;

/// How many letters a UUID has, and in which groups.
const UUID_LETTERS: usize = 36;
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an id like `{prefix}_01j…` (26 characters after the prefix)")]
pub struct BadId {
    prefix: &'static str,
    text: String,
}

/// 128 bits with the time in front, so that ids sort by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(u128);

impl Uuid {
    /// A new UUIDv7 of the millisecond `now`.
    ///
    /// # Errors
    /// [`NoEntropy`] when the source of randomness fails.
    pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
        let mut random = [0; 10];
        entropy.fill(&mut random)?;
        let tail = random.iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let time = (u128::from(now.unix_ms()) & ((1 << 48) - 1)) << 80;
        let version = 0x7 << 76;
        let variant = 0b10 << 62;
        let upper_random = ((tail >> 62) & 0xFFF) << 64;
        let lower_random = tail & ((1 << 62) - 1);
        Ok(Self(time | version | upper_random | variant | lower_random))
    }

    /// The id that a digest gives: a UUIDv8 (RFC 9562, section 5.8), for what is to have the same id
    /// whenever it is asked for. It says nothing of its age.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let bytes = digest.as_bytes().iter().take(16);
        let bits = bytes.fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        let fixed = (0xF_u128 << 76) | (0b11 << 62);
        Self((bits & !fixed) | (0x8 << 76) | (0b10 << 62))
    }

    /// The id with these bits; for storage, where it was an id before.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    /// The id that this text spells as a UUID (RFC 9562, section 4): 32 hexadecimal digits of
    /// either case, in groups of 8, 4, 4, 4 and 12.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let mut groups = text.split('-').map(str::len);
        if text.len() != UUID_LETTERS || !GROUPS.iter().all(|len| groups.next() == Some(*len)) {
            return None;
        }
        let mut digits = text.bytes().filter(|byte| *byte != b'-');
        let digit = |byte: u8| char::from(byte).to_digit(16).map(u128::from);
        digits.try_fold(0, |bits, byte| Some((bits << 4) | digit(byte)?)).map(Self)
    }

    fn parse(prefix: &'static str, text: &str) -> Result<Self, BadId> {
        let bad = || BadId { prefix, text: text.chars().take(64).collect() };
        let rest = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
        let rest = rest.filter(|rest| rest.len() == LETTERS).ok_or_else(bad)?;
        let mut bits = 0_u128;
        for (position, byte) in rest.bytes().enumerate() {
            let digit = digit(byte).ok_or_else(bad)?;
            if position == 0 && digit > 7 {
                return Err(bad());
            }
            bits = (bits << 5) | u128::from(digit);
        }
        Ok(Self(bits))
    }

    fn letters(self) -> [u8; LETTERS] {
        let mut text = [b'0'; LETTERS];
        for (position, letter) in text.iter_mut().enumerate() {
            let digit = (self.0 >> (125 - 5 * position)) & 31;
            *letter = ALPHABET.get(digit as usize).copied().unwrap_or(b'0');
        }
        text
    }

    fn write(self, prefix: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(prefix)?;
        f.write_str("_")?;
        f.write_str(std::str::from_utf8(&self.letters()).unwrap_or_default())
    }

    fn text(self, prefix: &str) -> String {
        let mut text = String::with_capacity(prefix.len() + 1 + LETTERS);
        text.push_str(prefix);
        text.push('_');
        text.push_str(std::str::from_utf8(&self.letters()).unwrap_or_default());
        text
    }
}

/// The value of a letter of Crockford's base32, which leaves out `i`, `l`, `o` and `u`.
#[must_use]
pub const fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'h' => Some(letter - b'a' + 10),
        b'j' | b'k' => Some(letter - b'j' + 18),
        b'm' | b'n' => Some(letter - b'm' + 20),
        b'p'..=b't' => Some(letter - b'p' + 22),
        b'v'..=b'z' => Some(letter - b'v' + 27),
        _ => None,
    }
}

/// An id of some kind, as somebody gives it.
pub trait Given: Sized {
    /// The id that a text names: in its own form, or as a UUID. Only for what people give: on
    /// record an id has one spelling.
    ///
    /// # Errors
    /// [`BadId`] when it is neither.
    fn given(text: &str) -> Result<Self, BadId>;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {
        /// How the ids of each kind with these bits are written.
        pub fn spellings(uuid: Uuid) -> impl Iterator<Item = String> {
            [$($prefix),*].into_iter().map(move |prefix| uuid.text(prefix))
        }
        $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What the text of such an id starts with.
            pub const PREFIX: &'static str = $prefix;

            /// A new id.
            ///
            /// # Errors
            /// [`NoEntropy`] when the source of randomness fails.
            pub fn new(now: Timestamp, entropy: &mut dyn Entropy) -> Result<Self, NoEntropy> {
                Uuid::new(now, entropy).map(Self)
            }

            /// The id of these bits.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bits of the id.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write($prefix, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.write($prefix, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Uuid::parse($prefix, text).map(Self)
            }
        }

        impl Given for $name {
            fn given(text: &str) -> Result<Self, BadId> {
                Uuid::from_text(text).map_or_else(|| text.parse(), |uuid| Ok(Self(uuid)))
            }
        }

        impl<F> From<$name> for Json<F> {
            fn from(id: $name) -> Self {
                Self::Text(id.0.text($prefix))
            }
        }

        impl Canonical for $name {
            fn write_canonical(&self, out: &mut Vec<u8>) {
                out.push(b'"');
                out.extend_from_slice($prefix.as_bytes());
                out.push(b'_');
                out.extend_from_slice(&self.0.letters());
                out.push(b'"');
            }
        }
    )*};
}

ids! {
    /// Who owns a ledger and everything under it.
    TenantId = "ten";
    /// One workflow or agent run: a session.
    RunId = "run";
    /// The authorisation of exactly one effect.
    ReceiptId = "rcp";
    /// A signed refusal.
    DenialId = "dny";
    /// A request for a person's consent, and the answer to it.
    ApprovalId = "apr";
    /// A proposed change of canon.
    ProposalId = "prp";
    /// One selection among candidate plans.
    SelectionId = "pln";
    /// A named place of a run.
    CheckpointId = "chk";
    /// A recomputation that was kept.
    ReplayId = "rpl";
    /// Something that is asked of whoever owns a log.
    MailId = "msg";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_an_id_where_somebody_gives_it_and_not_on_record() {
        let text = "019a0f3e-7b1c-7d2a-9f00-0123456789ab";
        let run = RunId::given(text).unwrap();
        assert_eq!(run.uuid().as_u128(), 0x019a_0f3e_7b1c_7d2a_9f00_0123_4567_89ab);
        assert_eq!(RunId::given(&text.to_uppercase()), Ok(run));
        assert_eq!(RunId::given(&run.to_string()), Ok(run));
        assert!(spellings(run.uuid()).any(|spelling| spelling == run.to_string()));
        assert!(text.parse::<RunId>().is_err());
        for other in [
            "",
            "019a0f3e7b1c7d2a9f000123456789ab",
            "019a0f3e-7b1c-7d2a-9f00-0123456789ag",
            "019a0f3e-7b1c7-d2a-9f00-0123456789ab",
            "019a0f3e-7b1c-7d2a-9f00-0123456789ab-",
            "{19a0f3e-7b1c-7d2a-9f00-0123456789ab",
            "+19a0f3e-7b1c-7d2a-9f00-0123456789ab",
            "\u{e9}9a0f3e-7b1c-7d2a-9f00-0123456789a",
        ] {
            assert!(RunId::given(other).is_err(), "{other}");
        }
    }

    #[test]
    fn every_letter_has_its_value_and_no_other_has_one() {
        for byte in 0..=u8::MAX {
            let place = ALPHABET.iter().position(|letter| *letter == byte);
            assert_eq!(digit(byte).map(usize::from), place, "{byte}");
        }
    }
}
