//! What a run that is asked for is held to before it may begin, as an entry of the log says it.

use cog_base::json::Map;
use cog_base::{Digest, Timestamp, Value};

/// The priority of a run whose workflow file says nothing.
pub const PRIORITY: u8 = 5;
/// The highest priority: it goes first. The lowest is 0.
pub const PRIORITY_MAX: u8 = 9;
/// The most runs of one key that a limit may let be open at once.
pub const LIMIT_MAX: u32 = 10_000;
/// The most starts of one key that a rate may let be in its time.
pub const COUNT_MAX: u32 = 10_000;
/// The longest time of a rate, in seconds: a day.
pub const PER_SECONDS_MAX: u64 = 86_400;

/// What a run that is asked for is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// From 0 to [`PRIORITY_MAX`], which goes first.
    pub priority: u8,
    /// It does not begin before.
    pub not_before: Option<Timestamp>,
    /// How many of its kind may be open at once.
    pub concurrency: Option<Concurrency>,
    /// How many of its kind may begin in a time.
    pub rate: Option<Rate>,
}

/// How many runs of a key may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The key, which names the workflow as well, unless others count with it.
    pub key: Digest,
    /// How many.
    pub limit: u32,
    /// What happens to one more.
    pub when_full: WhenFull,
}

/// How many runs of a key may begin in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The key, as that of a [`Concurrency`].
    pub key: Digest,
    /// How many.
    pub count: u32,
    /// In how many seconds, whenever they begin.
    pub per_seconds: u64,
}

impl Rate {
    /// The time, in milliseconds.
    #[must_use]
    pub const fn per_ms(&self) -> u64 {
        self.per_seconds.saturating_mul(1_000)
    }
}

/// What happens to a run when as many of its key are open as may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It waits for its turn.
    #[default]
    Queue,
    /// It is refused.
    Refuse,
    /// Those that are open are ended, and it begins when they are over.
    CancelRunning,
}

impl WhenFull {
    const ALL: [Self; 3] = [Self::Queue, Self::Refuse, Self::CancelRunning];
    /// The words, for whoever asks which there are.
    pub const WORDS: [&'static str; 3] = ["queue", "refuse", "cancel_running"];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Refuse => "refuse",
            Self::CancelRunning => "cancel_running",
        }
    }

    /// What a word says.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self { priority: PRIORITY, not_before: None, concurrency: None, rate: None }
    }
}

impl Ask {
    /// Whether it may always begin as soon as there is room for any run.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.not_before.is_none() && self.concurrency.is_none() && self.rate.is_none()
    }

    /// The members of an entry that say it.
    #[must_use]
    pub fn members(&self) -> Map {
        let concurrency = self.concurrency.map(|it| {
            let key = ("key", Value::from(it.key));
            let full = ("when_full", it.when_full.as_str().into());
            Value::map([key, ("limit", it.limit.into()), full])
        });
        let rate = self.rate.map(|it| {
            let key = ("key", Value::from(it.key));
            let per = ("per_seconds", it.per_seconds.into());
            Value::map([key, ("count", it.count.into()), per])
        });
        let all = [
            ("priority", Some(Value::from(u32::from(self.priority)))),
            ("not_before", self.not_before.map(Value::from)),
            ("concurrency", concurrency),
            ("rate", rate),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// What an entry says; nothing when that cannot be read.
    #[must_use]
    pub fn read(data: &Map) -> Option<Self> {
        let number = |value: Option<&Value>| value.and_then(Value::as_u64);
        let small = |value: Option<&Value>| u32::try_from(number(value)?).ok();
        let key = |value: &Value| value.get("key")?.as_text()?.parse::<Digest>().ok();
        let concurrency = data.get("concurrency").map(|it| {
            let when_full = WhenFull::from_word(it.get("when_full")?.as_text()?)?;
            Some(Concurrency { key: key(it)?, limit: small(it.get("limit"))?, when_full })
        });
        let rate = data.get("rate").map(|it| {
            let per_seconds = number(it.get("per_seconds"))?;
            Some(Rate { key: key(it)?, count: small(it.get("count"))?, per_seconds })
        });
        let not_before = data.get("not_before").map(|at| at.as_text()?.parse().ok());
        let priority = u8::try_from(number(data.get("priority"))?).ok()?;
        Some(Self {
            priority: Some(priority).filter(|it| *it <= PRIORITY_MAX)?,
            not_before: not_before.map_or(Some(None), |it| it.map(Some))?,
            concurrency: concurrency.map_or(Some(None), |it| it.map(Some))?,
            rate: rate.map_or(Some(None), |it| it.map(Some))?,
        })
    }
}
