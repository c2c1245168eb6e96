//! Signed notes and verifier keys as C2SP `signed-note` v1 says, with Ed25519 signatures
//! (type 0x01).
//!
//! Ed25519 is checked strictly: points and scalar in their one canonical encoding, no key
//! or commitment of small order, the equation without cofactor. Every verifier that keeps
//! to this profile gives the same answer.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::Digest;
use ed25519_dalek::VerifyingKey;

use crate::keys::{SignError, Signer};

/// The most bytes of a note that is read.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// The most signatures of a note that is read; the specification asks for at least 16.
pub const SIGNATURES_MAX: usize = 64;

const ED25519: u8 = 0x01;
const SIGNATURE_START: &str = "\u{2014} ";

/// A public key with its name, written `<name>+<id in hex>+<base64 of 0x01 and the key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: u32,
    key: VerifyingKey,
}

/// Why a text is no verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not three parts divided by `+`.
    #[error("`{0}` is not a verifier key like name+1a2b3c4d+AbCd…")]
    Form(String),
    /// Empty, with white space or with a plus.
    #[error("`{0}` cannot be the name of a key: it is empty or has white space or `+`")]
    Name(String),
    /// Another algorithm, or not 32 bytes.
    #[error("the key `{0}` is not an Ed25519 key (type 1, 32 bytes)")]
    Algorithm(String),
    /// Not a point, not in canonical form, or of small order.
    #[error("the key `{0}` is not a safe point of the curve")]
    Point(String),
    /// The id is not the hash of name and key.
    #[error("the id in the key `{0}` does not belong to its name and bytes")]
    Id(String),
}

impl VerifierKey {
    /// The key with this name and these 32 bytes (RFC 8032).
    ///
    /// # Errors
    /// [`BadKey`] when the name or the bytes cannot be used.
    pub fn new(name: &str, public: &[u8; 32]) -> Result<Self, BadKey> {
        if !is_key_name(name) {
            return Err(BadKey::Name(name.to_owned()));
        }
        let key = point(public).ok_or_else(|| BadKey::Point(name.to_owned()))?;
        let id = Digest::of(&[name.as_bytes(), b"\n", &[ED25519], public]);
        let id = id.as_bytes().first_chunk().copied().unwrap_or_default();
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes(id), key })
    }

    /// The name, which for a log's key is the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first four bytes of the hash of name, type and key. Short: it finds, it does
    /// not prove.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Whether `signature` is this key's over `message`, by the strict rules above.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else {
            return false;
        };
        self.key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.public());
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(bytes))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;

    fn from_str(line: &str) -> Result<Self, BadKey> {
        let shown = || line.chars().take(200).collect::<String>();
        let mut parts = line.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(BadKey::Form(shown()));
        };
        let bytes = STANDARD.decode(key).map_err(|_| BadKey::Form(shown()))?;
        let public = match bytes.split_first() {
            Some((&ED25519, public)) => public.try_into().ok(),
            _ => None,
        };
        let public = public.ok_or_else(|| BadKey::Algorithm(shown()))?;
        let key = Self::new(name, public)?;
        if id == format!("{:08x}", key.id) { Ok(key) } else { Err(BadKey::Id(shown())) }
    }
}

/// The point with exactly this encoding, unless it is of small order.
fn point(public: &[u8; 32]) -> Option<VerifyingKey> {
    let key = VerifyingKey::from_bytes(public).ok()?;
    let canonical = key.to_edwards().compress().to_bytes() == *public;
    (canonical && !key.is_weak()).then_some(key)
}

fn is_key_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

/// One signature line of a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The name of the key that is said to have made it.
    pub name: String,
    /// The id of that key.
    pub id: u32,
    /// The signature itself: 64 bytes for Ed25519.
    pub bytes: Vec<u8>,
}

/// Text and the signatures under it. Reading one proves nothing: see [`Note::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It breaks the format.
    #[error("this is not a signed note: {0}")]
    Form(&'static str),
    /// No signature is by a trusted key.
    #[error("the note is signed by {found}, and by none of the trusted keys")]
    Untrusted {
        /// The names and ids that stand there.
        found: String,
    },
    /// A signature that claims to be by a trusted key is not.
    #[error("the signature by the trusted key `{name}` does not verify")]
    BadSignature {
        /// The key's name.
        name: String,
    },
    /// A trusted key signed twice. The specification leaves open what to do; a line that says
    /// nothing new could be added or taken away by anybody.
    #[error("the trusted key `{name}` signed the note more than once")]
    Doubled {
        /// The key's name.
        name: String,
    },
}

impl Note {
    /// Read a note, without trusting it.
    ///
    /// # Errors
    /// [`NoteError::Form`] says what breaks the format.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Form("it is too long"));
        }
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(NoteError::Form("it has a control character"));
        }
        let blank = note.rfind("\n\n").ok_or(NoteError::Form("it has no blank line"))?;
        let (text, rest) = note.split_at(blank + 1);
        let lines = rest.strip_prefix('\n').and_then(|rest| rest.strip_suffix('\n'));
        let lines = lines.ok_or(NoteError::Form("it does not end with a signature line"))?;
        let signatures = lines.split('\n').map(signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Form("it has too many signatures"));
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Sign `text` with each of `signers`.
    ///
    /// # Errors
    /// [`SignError`] when a signer cannot sign, or the text cannot be that of a note.
    pub fn sign(text: String, signers: &mut [&mut dyn Signer]) -> Result<Self, SignError> {
        let printable = !text.bytes().any(|byte| byte < 0x20 && byte != b'\n');
        if !printable || !text.ends_with('\n') {
            return Err(SignError::NotANote);
        }
        let mut signatures = Vec::with_capacity(signers.len());
        for signer in signers {
            let bytes = signer.sign(text.as_bytes())?.to_vec();
            let key = signer.public();
            signatures.push(Signature { name: key.name.clone(), id: key.id, bytes });
        }
        Ok(Self { text, signatures })
    }

    /// The text that is signed, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Check the note against the keys that the caller trusts: at least one must have
    /// signed, and every signature that carries a trusted key's name and id must be right and the
    /// only one of that key. Signatures of other keys are ignored, as the specification says.
    ///
    /// # Errors
    /// [`NoteError::Untrusted`], [`NoteError::BadSignature`] or [`NoteError::Doubled`].
    pub fn verify<'k>(&self, trusted: &'k [VerifierKey]) -> Result<&'k VerifierKey, NoteError> {
        let mut signers: Vec<&VerifierKey> = Vec::new();
        for signature in &self.signatures {
            let named = |key: &&VerifierKey| key.name == signature.name && key.id == signature.id;
            let mut candidates = trusted.iter().filter(named).peekable();
            if candidates.peek().is_none() {
                continue;
            }
            let key = candidates.find(|key| key.verifies(self.text.as_bytes(), &signature.bytes));
            let name = || signature.name.clone();
            let key = key.ok_or_else(|| NoteError::BadSignature { name: name() })?;
            if signers.contains(&key) {
                return Err(NoteError::Doubled { name: name() });
            }
            signers.push(key);
        }
        signers.first().copied().ok_or_else(|| NoteError::Untrusted { found: self.signed_by() })
    }

    /// Whether `key` itself signed the note.
    #[must_use]
    pub fn is_signed_by(&self, key: &VerifierKey) -> bool {
        self.verify(std::slice::from_ref(key)).is_ok()
    }

    /// The note with the signature of `key` alone; nothing when it has none, or another that
    /// claims to be of `key`.
    #[must_use]
    pub fn signed_only_by(&self, key: &VerifierKey) -> Option<Self> {
        let is_of = |it: &&Signature| it.name == key.name && it.id == key.id;
        let signatures = self.signatures.iter().filter(is_of).cloned().collect();
        let alone = Self { text: self.text.clone(), signatures };
        alone.is_signed_by(key).then_some(alone)
    }

    fn signed_by(&self) -> String {
        let shown = |signature: &Signature| format!("{}+{:08x}", signature.name, signature.id);
        self.signatures.iter().map(shown).collect::<Vec<_>>().join(", ")
    }
}

/// The note as it is sent and stored.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = signature.id.to_be_bytes().to_vec();
            bytes.extend_from_slice(&signature.bytes);
            writeln!(f, "{SIGNATURE_START}{} {}", signature.name, STANDARD.encode(bytes))?;
        }
        Ok(())
    }
}

fn signature(line: &str) -> Result<Signature, NoteError> {
    let wrong = NoteError::Form("a signature line is not `— name base64`");
    let (name, encoded) = line
        .strip_prefix(SIGNATURE_START)
        .and_then(|rest| rest.split_once(' '))
        .ok_or(wrong.clone())?;
    let bytes = STANDARD.decode(encoded).map_err(|_| wrong.clone())?;
    match bytes.split_first_chunk::<4>() {
        Some((id, bytes)) if !bytes.is_empty() && is_key_name(name) => Ok(Signature {
            name: name.to_owned(),
            id: u32::from_be_bytes(*id),
            bytes: bytes.to_vec(),
        }),
        _ => Err(wrong),
    }
}
