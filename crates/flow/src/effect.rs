//! The effects that `uses` may name and the arguments each takes: the one table of them.

use cog_base::Value;
use cog_base::bounds;
use cog_base::json::Map;
use cog_base::place::Place;

use cog_base::suggest;

/// An effect of the closed catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// `file.read`
    FileRead,
    /// `file.write`
    FileWrite,
    /// `file.delete`
    FileDelete,
    /// `http.request`
    HttpRequest,
    /// `process.run`
    ProcessRun,
    /// `model.chat`
    ModelChat,
    /// `session.accept`
    SessionAccept,
}

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Url,
    Word(&'static [&'static str]),
    Int(u64, u64),
    Bool,
    Texts,
    TextsByName,
    Object,
    Messages,
    Any,
}

/// The codes that an effect can fail with: docs/reference/failures.md.
pub const FAILURES: &[&str] = &[
    "effect.lost",
    "effect.not_begun",
    "effect.start_timeout",
    "effect.timeout",
    "effect.unknown",
    "file.bad_path",
    "file.bad_root",
    "file.escapes_root",
    "file.exists",
    "file.io",
    "file.no_space",
    "file.not_a_file",
    "file.not_bound",
    "file.not_found",
    "file.not_permitted",
    "file.not_text",
    "file.read_only_root",
    "file.root_moved",
    "file.too_large",
    "file.unknown_root",
    "file.unsupported_kernel",
    "http.bad_header",
    "http.bad_method",
    "http.bad_url",
    "http.connect",
    "http.cut_off",
    "http.host_not_allowed",
    "http.private_address",
    "http.redirect_not_permitted",
    "http.redirect_refused",
    "http.timeout",
    "http.tls",
    "http.too_large",
    "http.unavailable",
    "http.unresolved",
    "model.bad_answer",
    "model.bad_json",
    "model.no_key",
    "model.not_found",
    "model.not_recorded",
    "model.overloaded",
    "model.refused",
    "model.timeout",
    "model.unauthorised",
    "model.unknown",
    "model.unreachable",
    "process.keys_shown",
    "process.lost",
    "process.not_found",
    "process.not_started",
    "process.output_too_large",
    "process.sandbox_unavailable",
    "process.timed_out",
    "worker.not_accepted",
    "worker.not_ready",
];

/// One argument: its name, whether it must be there, its kind.
struct Arg(&'static str, bool, Kind);

const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const MODES: &[&str] = &["create", "replace"];
const ROLES: &[&str] = &["system", "user", "assistant"];

const FILE: &[Arg] = &[Arg("root", true, Kind::Text), Arg("path", true, Kind::Text)];
const FILE_WRITE: &[Arg] = &[
    Arg("root", true, Kind::Text),
    Arg("path", true, Kind::Text),
    Arg("text", false, Kind::Text),
    Arg("document", false, Kind::Object),
    Arg("mode", false, Kind::Word(MODES)),
];
const HTTP: &[Arg] = &[
    Arg("method", false, Kind::Word(METHODS)),
    Arg("url", true, Kind::Url),
    Arg("headers", false, Kind::TextsByName),
    Arg("body", false, Kind::Text),
    Arg("json", false, Kind::Any),
    Arg("timeout_ms", false, Kind::Int(1, bounds::HTTP_TIMEOUT_MS_MAX)),
    Arg("bytes_max", false, Kind::Int(1, bounds::HTTP_BYTES_MAX)),
];
const PROCESS: &[Arg] = &[
    Arg("program", true, Kind::Text),
    Arg("args", false, Kind::Texts),
    Arg("stdin", false, Kind::Text),
    Arg("root", false, Kind::Text),
    Arg("network", false, Kind::Bool),
    Arg("timeout_ms", false, Kind::Int(1, bounds::PROCESS_TIMEOUT_MS_MAX)),
    Arg("memory_bytes_max", false, Kind::Int(1, bounds::PROCESS_MEMORY_BYTES_MAX)),
    Arg("output_bytes_max", false, Kind::Int(1, bounds::PROCESS_OUTPUT_BYTES_MAX)),
    Arg("env", false, Kind::TextsByName),
];
const MODEL: &[Arg] = &[
    Arg("model", true, Kind::Text),
    Arg("messages", true, Kind::Messages),
    Arg("tokens_max", false, Kind::Int(1, bounds::MODEL_TOKENS_MAX)),
    Arg("temperature_milli", false, Kind::Int(0, bounds::MODEL_TEMPERATURE_MILLI_MAX)),
    Arg("json", false, Kind::Bool),
];
const SESSION: &[Arg] = &[
    Arg("event", true, Kind::Text),
    Arg("proof", false, Kind::Text),
    Arg("key", false, Kind::Text),
];

/// Why arguments do not fit an effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ArgumentError {
    /// The argument it is about.
    pub(crate) name: String,
    message: String,
}

impl Operation {
    /// Every effect, in the order of the catalogue.
    pub const ALL: [Self; 7] = [
        Self::FileRead,
        Self::FileWrite,
        Self::FileDelete,
        Self::HttpRequest,
        Self::ProcessRun,
        Self::ModelChat,
        Self::SessionAccept,
    ];

    /// The effect with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// The name: `file.read`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FileRead => "file.read",
            Self::FileWrite => "file.write",
            Self::FileDelete => "file.delete",
            Self::HttpRequest => "http.request",
            Self::ProcessRun => "process.run",
            Self::ModelChat => "model.chat",
            Self::SessionAccept => "session.accept",
        }
    }

    const fn args(self) -> &'static [Arg] {
        match self {
            Self::FileRead | Self::FileDelete => FILE,
            Self::FileWrite => FILE_WRITE,
            Self::HttpRequest => HTTP,
            Self::ProcessRun => PROCESS,
            Self::ModelChat => MODEL,
            Self::SessionAccept => SESSION,
        }
    }

    /// Arguments of which at most one may be there, and whether one must be.
    const fn alternatives(self) -> Option<(&'static [&'static str], bool)> {
        match self {
            Self::FileWrite => Some((&["text", "document"], true)),
            Self::HttpRequest => Some((&["body", "json"], false)),
            Self::FileRead
            | Self::FileDelete
            | Self::ProcessRun
            | Self::ModelChat
            | Self::SessionAccept => None,
        }
    }

    /// Whether it changes what is below its root, or may: nobody knows what a program does.
    pub(crate) const fn writes(self) -> bool {
        match self {
            Self::FileWrite | Self::FileDelete | Self::ProcessRun => true,
            Self::FileRead | Self::HttpRequest | Self::ModelChat | Self::SessionAccept => false,
        }
    }

    /// The names of its arguments.
    pub fn arguments(self) -> impl Iterator<Item = &'static str> {
        self.args().iter().map(|arg| arg.0)
    }

    /// Checks which arguments are there, by name alone.
    pub(crate) fn check_names<'k>(
        self,
        given: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<ArgumentNames> {
        let mut faults = Vec::new();
        for name in given.clone() {
            if !self.arguments().any(|known| known == name) {
                let hint = suggest::hint(name, self.arguments());
                faults.push(ArgumentNames::Unknown(name.to_owned(), hint));
            }
        }
        let has = |name: &str| given.clone().any(|one| one == name);
        for Arg(name, required, _) in self.args() {
            if *required && !has(name) {
                faults.push(ArgumentNames::Missing(format!("`{name}`")));
            }
        }
        if let Some((names, needed)) = self.alternatives() {
            let count = names.iter().filter(|name| has(name)).count();
            if count > 1 {
                faults.push(ArgumentNames::TooMany(names));
            }
            if count == 0 && needed {
                faults.push(ArgumentNames::Missing(format!("one of {}", suggest::quoted(names))));
            }
        }
        faults
    }

    /// Checks the kind of one argument.
    pub(crate) fn check_value(self, name: &str, value: &Value) -> Result<(), ArgumentError> {
        let Some(Arg(_, _, kind)) = self.args().iter().find(|arg| arg.0 == name) else {
            return Ok(());
        };
        if fits(*kind, value) {
            return Ok(());
        }
        let (takes, found) = (words(*kind), found(*kind, value));
        let message = format!("`{name}` of `{}` takes {takes}, not {found}", self.as_str());
        Err(ArgumentError { name: name.to_owned(), message })
    }

    /// How an argument is written.
    pub(crate) fn takes(self, name: &str) -> Option<String> {
        let Arg(_, _, kind) = self.args().iter().find(|arg| arg.0 == name)?;
        let form = match kind {
            Kind::Text => format!("such as `{name}: some-text`, in quotes if it is a number"),
            Kind::Url => format!("such as `{name}: https://api.example.com/orders`"),
            Kind::Bool => format!("`{name}: true` or `{name}: false`, without quotes"),
            Kind::Int(least, most) => format!("a whole number from {least} to {most}"),
            Kind::Texts => format!("such as `{name}: [\"one\", \"two\"]`"),
            Kind::TextsByName => format!("such as `{name}: {{ NAME: \"value\" }}`"),
            Kind::Object => format!("such as `{name}: {{ amount_cents: 1200 }}`"),
            Kind::Messages => {
                format!("such as `{name}: [{{ role: user, content: \"…\" }}]`")
            }
            Kind::Word(words) => format!("such as `{name}: {}`", words.first()?),
            Kind::Any => return None,
        };
        Some(form)
    }

    /// Checks evaluated arguments, as they are about to be handed to the gate.
    ///
    /// # Errors
    /// [`ArgumentError`] names the first argument that does not fit.
    pub fn check(self, with: &Map) -> Result<(), ArgumentError> {
        with.iter().try_for_each(|(name, value)| self.check_value(name, value))
    }
}

/// What is wrong with the names of arguments.
pub(crate) enum ArgumentNames {
    Unknown(String, Option<String>),
    Missing(String),
    TooMany(&'static [&'static str]),
}

fn fits(kind: Kind, value: &Value) -> bool {
    let all_texts = |items: &[Value]| items.iter().all(|item| item.as_text().is_some());
    match kind {
        Kind::Text => value.as_text().is_some(),
        Kind::Url => value.as_text().and_then(Place::of).is_some(),
        Kind::Word(words) => value.as_text().is_some_and(|text| words.contains(&text)),
        Kind::Int(least, most) => value.as_u64().is_some_and(|n| n >= least && n <= most),
        Kind::Bool => value.as_bool().is_some(),
        Kind::Texts => value.as_list().is_some_and(all_texts),
        Kind::TextsByName => value
            .as_map()
            .is_some_and(|members| members.values().all(|member| member.as_text().is_some())),
        Kind::Object => value.as_map().is_some(),
        Kind::Messages => value.as_list().is_some_and(|items| {
            (1..=bounds::MODEL_MESSAGES_MAX).contains(&items.len()) && items.iter().all(is_message)
        }),
        Kind::Any => true,
    }
}

fn is_message(value: &Value) -> bool {
    let word = value.get("role").and_then(Value::as_text);
    word.is_some_and(|role| ROLES.contains(&role))
        && value.get("content").and_then(Value::as_text).is_some()
        && value.as_map().is_some_and(|members| members.len() == 2)
}

fn words(kind: Kind) -> String {
    match kind {
        Kind::Text => "a string".to_owned(),
        Kind::Url => "an absolute http or https URL without user and password".to_owned(),
        Kind::Word(words) => format!("one of {}", suggest::quoted(words)),
        Kind::Int(least, most) => format!("an integer from {least} to {most}"),
        Kind::Bool => "true or false".to_owned(),
        Kind::Texts => "a list of strings".to_owned(),
        Kind::TextsByName => "an object of strings".to_owned(),
        Kind::Object => "an object".to_owned(),
        Kind::Messages => format!(
            "a list of 1 to {} {{role, content}}, role being system, user or assistant",
            bounds::MODEL_MESSAGES_MAX
        ),
        Kind::Any => "anything".to_owned(),
    }
}

/// What there is instead, as far as it helps.
fn found(kind: Kind, value: &Value) -> String {
    let word = value.as_text().filter(|_| matches!(kind, Kind::Word(_) | Kind::Url));
    let number = value.as_int().filter(|_| matches!(kind, Kind::Int(..)));
    let items = value.as_list().filter(|_| matches!(kind, Kind::Messages));
    match (word, number, items) {
        (Some(word), ..) => format!("`{}`", word.chars().take(40).collect::<String>()),
        (None, Some(number), _) => number.to_string(),
        (None, None, Some(items)) => match items.iter().position(|item| !is_message(item)) {
            Some(place) if items.len() <= bounds::MODEL_MESSAGES_MAX => {
                format!("one whose item {} is none of these", place + 1)
            }
            Some(_) | None => items.len().to_string(),
        },
        (None, None, _) => describe(value),
    }
}

/// What a value is, in words: `an integer`.
pub(crate) fn describe(value: &Value) -> String {
    if *value == Value::Null {
        return "null".to_owned();
    }
    let kind = value.kind();
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {kind}")
}
