//! Webhooks, signed as [Standard Webhooks](https://www.standardwebhooks.com) says, as events from
//! outside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cog_base::entropy::{Entropy, NoEntropy};
use cog_base::{Timestamp, Value, mac};

/// By how much the time of a webhook may differ from ours, in seconds.
pub const TOLERANCE_S: i64 = 5 * 60;
/// The longest id of a webhook, in bytes.
pub const ID_BYTES_MAX: usize = 256;
/// The most secrets of one hook: the old one and the new one, while senders change over.
pub const SECRETS_MAX: usize = 4;
/// The longest name of a hook, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The most signatures of one webhook that are looked at.
const SIGNATURES_MAX: usize = 16;
/// How long a secret is, in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const PREFIX: &str = "whsec_";
/// The only version of signatures: HMAC-SHA256.
const VERSION: &str = "v1,";

/// What stands between a secret and the time until which it counts.
const UNTIL: &str = " until ";

/// The secrets that a sender and we share. Each of them counts, some until a time.
#[derive(Clone)]
pub struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    key: Vec<u8>,
    until: Option<Timestamp>,
}

/// A text that is no secret of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a secret is `whsec_` and 24 to 64 bytes in base64, one on each of 1 to 4 lines, with ` until TIME` \
     behind it if it counts no longer than that"
)]
pub struct BadSecret;

/// Why a webhook is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    /// A header is missing, stands there twice, or is in no form that it may have.
    #[error("its {0} is not there once, or is none")]
    Header(&'static str),
    /// Its time is too far from ours.
    #[error("its time differs from ours by more than 5 minutes")]
    Time,
    /// It was signed with another secret, or changed on the way.
    #[error("no signature of it holds")]
    Signature,
}

impl NotSigned {
    /// A stable word for it.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Header(_) => "hook.not_signed",
            Self::Time => "hook.not_in_time",
            Self::Signature => "hook.other_signature",
        }
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// Read some, one on each line.
    ///
    /// # Errors
    /// [`BadSecret`].
    pub fn read(text: &str) -> Result<Self, BadSecret> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|it| !it.is_empty()).collect();
        if !(1..=SECRETS_MAX).contains(&lines.len()) {
            return Err(BadSecret);
        }
        let secret = |line: &&str| {
            let (text, until) = match line.split_once(UNTIL) {
                Some((text, time)) => (text.trim_end(), Some(moment(time.trim())?)),
                None => (*line, None),
            };
            let key = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
            SECRET_BYTES.contains(&key.len()).then_some(Secret { key, until })
        };
        lines.iter().map(secret).collect::<Option<_>>().map(Self).ok_or(BadSecret)
    }

    /// Whether a text looks as a secret does, so that it had better not be shown.
    #[must_use]
    pub fn is_one(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Make a new one: the text of it.
    ///
    /// # Errors
    /// [`NoEntropy`].
    pub fn make(entropy: &mut dyn Entropy) -> Result<String, NoEntropy> {
        let mut secret = [0; 32];
        entropy.fill(&mut secret)?;
        Ok(format!("{PREFIX}{}", STANDARD.encode(secret)))
    }

    /// The signature of a webhook under the first of them, as a sender makes it.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let key = self.0.first().map(|secret| secret.key.as_slice()).unwrap_or_default();
        format!("{VERSION}{}", STANDARD.encode(mac::tag(key, &signed(id, seconds, body))))
    }
}

/// A time in UTC, with or without parts of a second.
fn moment(text: &str) -> Option<Timestamp> {
    let whole = || format!("{}.000000Z", text.strip_suffix('Z')?).parse().ok();
    text.parse().ok().or_else(whole)
}

fn signed(id: &str, seconds: i64, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}

/// What the head of a webhook says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook<'a> {
    /// What it is called by who sends it, again and again if need be.
    pub id: &'a str,
    seconds: i64,
    signatures: &'a str,
}

impl<'a> Hook<'a> {
    /// Read the head: `header` gives the value of the one header of a name.
    ///
    /// # Errors
    /// [`NotSigned::Header`].
    pub fn of(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, NotSigned> {
        let named = |name: &'static str| header(name).ok_or(NotSigned::Header(name));
        let (id, time) = (named("webhook-id")?, named("webhook-timestamp")?);
        // A dot would end it in what is signed.
        let is_id = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
        if !(1..=ID_BYTES_MAX).contains(&id.len()) || !id.bytes().all(is_id) {
            return Err(NotSigned::Header("webhook-id"));
        }
        let seconds = time.parse::<i64>().ok().filter(|it| it.to_string() == time);
        let seconds = seconds.ok_or(NotSigned::Header("webhook-timestamp"))?;
        Ok(Self { id, seconds, signatures: named("webhook-signature")? })
    }

    /// Whether it was sent about now: one that somebody kept is not taken for long.
    ///
    /// # Errors
    /// [`NotSigned::Time`].
    pub fn is_in_time(&self, now: Timestamp) -> Result<(), NotSigned> {
        let differs = now.micros().div_euclid(1_000_000).abs_diff(self.seconds);
        if differs <= TOLERANCE_S.unsigned_abs() { Ok(()) } else { Err(NotSigned::Time) }
    }

    /// Whether somebody signed it who has one of these secrets that counts now.
    ///
    /// # Errors
    /// [`NotSigned::Signature`].
    pub fn is_signed(
        &self,
        secrets: &Secrets,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), NotSigned> {
        let message = signed(self.id, self.seconds, body);
        let signatures = self.signatures.split_ascii_whitespace().take(SIGNATURES_MAX);
        let tags = signatures.filter_map(|it| STANDARD.decode(it.strip_prefix(VERSION)?).ok());
        let counts = |secret: &&Secret| secret.until.is_none_or(|until| now < until);
        let counting: Vec<&Secret> = secrets.0.iter().filter(counts).collect();
        let holds =
            |tag: Vec<u8>| counting.iter().any(|secret| mac::holds(&secret.key, &message, &tag));
        if { tags }.any(holds) { Ok(()) } else { Err(NotSigned::Signature) }
    }

    /// The event that it is, when it came by a hook of this name. What its sender says is `data` alone:
    /// type and source are ours, so that it passes for no other event.
    #[must_use]
    pub fn event(&self, name: &str, data: Value) -> Value {
        Value::map([
            ("specversion", Value::from("1.0")),
            ("id", self.id.into()),
            ("source", format!("/hooks/{name}").into()),
            ("type", format!("webhook.{name}").into()),
            ("datacontenttype", "application/json".into()),
            ("data", data),
        ])
    }
}

/// Whether a hook may be called so.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter)
}
