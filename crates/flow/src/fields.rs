//! Reading an object of the file: known keys, required keys, kinds of values.

use cog_base::Value;

use crate::diagnostic::Reports;
use crate::path::is_id;
use crate::tree::{Key, Kind, Node};
use cog_base::suggest;

/// An object of the file whose keys are known to be right.
pub(crate) struct Fields<'n> {
    pub(crate) at: usize,
    members: &'n [(Key, Node)],
}

/// What an object is called in messages, and its keys; the required ones first.
pub(crate) struct Shape {
    pub(crate) what: &'static str,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

/// Words of other tools, and ours.
const ALIASES: [(&str, &str); 14] = [
    ("depends_on", "needs"),
    ("after", "needs"),
    ("when", "if"),
    ("for_each", "foreach"),
    ("loop", "foreach"),
    ("run", "uses"),
    ("args", "with"),
    ("params", "with"),
    ("retries", "retry"),
    ("timeout", "timeout_ms"),
    ("actor", "as"),
    ("jobs", "steps"),
    ("retry_on", "on"),
    ("approval", "approve"),
];

impl<'n> Fields<'n> {
    /// Opens an object; reports what is not an object, unknown keys and missing keys.
    pub(crate) fn open(node: &'n Node, shape: &Shape, reports: &mut Reports<'_>) -> Option<Self> {
        let members = match &node.kind {
            Kind::Map(members) => members,
            Kind::Broken => return None,
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Text(_) | Kind::List(_) => {
                let message =
                    format!("{} must be an object, this is {}", shape.what, node.describe());
                reports.with_hint(node.at, message, keys_hint(shape));
                return None;
            }
        };
        for (key, _) in members {
            if !shape.required.contains(&key.name.as_str())
                && !shape.optional.contains(&key.name.as_str())
            {
                let message = format!("unknown key `{}` in {}", key.name, shape.what);
                let hint = if reports.is_full() { None } else { key_hint(&key.name, shape) };
                reports.with_hint(key.at, message, hint);
            }
        }
        let fields = Self { at: node.at, members };
        for required in shape.required {
            if fields.get(required).is_none() {
                let hint = format!("add a line `{required}: …`");
                reports.with_hint(node.at, format!("{} needs `{required}`", shape.what), hint);
            }
        }
        Some(fields)
    }

    /// The members of an object whose keys were checked before.
    pub(crate) const fn of(at: usize, members: &'n [(Key, Node)]) -> Self {
        Self { at, members }
    }

    /// The value of a key.
    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The key and the value.
    pub(crate) fn entry(&self, name: &str) -> Option<(&'n Key, &'n Node)> {
        self.members.iter().find(|(key, _)| key.name == name).map(|(key, node)| (key, node))
    }

    /// The byte at which the key stands, or the object when it is not there.
    pub(crate) fn key_at(&self, name: &str) -> usize {
        self.entry(name).map_or(self.at, |(key, _)| key.at)
    }
}

fn known(shape: &Shape) -> impl Iterator<Item = &'static str> {
    shape.required.iter().chain(shape.optional).copied()
}

fn keys_hint(shape: &Shape) -> String {
    format!("its keys are {}", suggest::quoted(&known(shape).collect::<Vec<_>>()))
}

fn key_hint(name: &str, shape: &Shape) -> Option<String> {
    let alias = ALIASES.iter().find(|(other, _)| *other == name).map(|(_, ours)| *ours);
    match alias.filter(|ours| known(shape).any(|key| key == *ours)) {
        Some(ours) => Some(format!("did you mean `{ours}`?")),
        None => suggest::hint(name, known(shape)).or_else(|| Some(keys_hint(shape))),
    }
}

/// Reports that `node` should be `wanted`, unless it was reported already.
pub(crate) fn wrong(node: &Node, what: &str, wanted: &str, reports: &mut Reports<'_>) {
    if matches!(node.kind, Kind::Broken) {
        return;
    }
    let hint = match &node.kind {
        Kind::Text(text) if wanted.starts_with("true") => match text.to_lowercase().as_str() {
            "yes" | "on" => "write `true`",
            "no" | "off" => "write `false`",
            _ => "write `true` or `false`, without quotes",
        },
        Kind::Int(_) | Kind::Bool(_) if wanted.starts_with("a string") => "put it in quotes",
        Kind::Map(members) if is_bare_expression(members) => {
            "put an expression in quotes: \"${{ … }}\""
        }
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Text(_)
        | Kind::List(_)
        | Kind::Map(_)
        | Kind::Broken => form(wanted),
    };
    reports.error(node.at, format!("`{what}` must be {wanted}, this is {}", node.describe()), hint);
}

/// How what is wanted is written.
fn form(wanted: &str) -> &'static str {
    match wanted {
        "a string" => "write text, such as `name` or \"some words\"",
        "a list" => "write a list: `[one, two]`, or lines that begin with `- `",
        "an object" => "write an object: `{ key: value }`, or lines `key: value`",
        "an integer" => "write a whole number, without quotes",
        _ => "write what is wanted there, as docs/guide/workflow.md shows it",
    }
}

/// Whether it is `${{ … }}` without quotes, which YAML reads as objects.
fn is_bare_expression(members: &[(Key, Node)]) -> bool {
    matches!(members, [(key, _)] if key.name.starts_with('{') || key.name.is_empty())
}

/// Text.
pub(crate) fn text<'n>(node: &'n Node, what: &str, reports: &mut Reports<'_>) -> Option<&'n str> {
    if let Kind::Text(text) = &node.kind {
        return Some(text);
    }
    wrong(node, what, "a string", reports);
    None
}

/// `true` or `false`.
pub(crate) fn flag(node: &Node, what: &str, reports: &mut Reports<'_>) -> Option<bool> {
    if let Kind::Bool(truth) = node.kind {
        return Some(truth);
    }
    wrong(node, what, "true or false", reports);
    None
}

/// A whole number within bounds. Text such as `5m` gets the number as a hint where the
/// name says that milliseconds or minutes are wanted.
pub(crate) fn integer(
    node: &Node,
    what: &str,
    (least, most): (i64, i64),
    reports: &mut Reports<'_>,
) -> Option<u64> {
    match &node.kind {
        Kind::Int(number) if (least..=most).contains(&number.get()) => {
            u64::try_from(number.get()).ok()
        }
        Kind::Int(number) => {
            let message =
                format!("`{what}` must be from {least} to {most}, this is {}", number.get());
            reports.error(node.at, message, "write a whole number within these bounds");
            None
        }
        Kind::Text(text) if duration_ms(text).is_some() => {
            let ms = duration_ms(text).unwrap_or(0);
            let number = if what.contains("minutes") { ms / 60_000 } else { ms };
            let message = format!("`{what}` must be an integer, this is a string");
            reports.with_hint(node.at, message, format!("write {number}"));
            None
        }
        Kind::Null
        | Kind::Bool(_)
        | Kind::Text(_)
        | Kind::List(_)
        | Kind::Map(_)
        | Kind::Broken => {
            wrong(node, what, "an integer", reports);
            None
        }
    }
}

/// Milliseconds of `250ms`, `5s`, `10m`, `2h` or `1d`.
fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text.get(..digits)?.parse().ok()?;
    let unit = match text.get(digits..)?.trim() {
        "ms" => 1,
        "s" | "sec" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// The items of a list.
pub(crate) fn list<'n>(node: &'n Node, what: &str, reports: &mut Reports<'_>) -> &'n [Node] {
    if let Kind::List(items) = &node.kind {
        return items;
    }
    wrong(node, what, "a list", reports);
    &[]
}

/// The members of an object whose keys are names of the user's choosing.
pub(crate) fn members<'n>(
    node: &'n Node,
    what: &str,
    reports: &mut Reports<'_>,
) -> &'n [(Key, Node)] {
    if let Kind::Map(members) = &node.kind {
        return members;
    }
    wrong(node, what, "an object", reports);
    &[]
}

/// Text that is an id; `what` says of what.
pub(crate) fn id<'n>(node: &'n Node, what: &str, reports: &mut Reports<'_>) -> Option<&'n str> {
    let text = text(node, what, reports)?;
    check_id(node.at, text, what, reports).then_some(text)
}

/// Whether a name is an id; reports it when not.
pub(crate) fn check_id(at: usize, name: &str, what: &str, reports: &mut Reports<'_>) -> bool {
    if is_id(name) {
        return true;
    }
    let better: String = name
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '_' { letter } else { '-' })
        .collect();
    let better = better.trim_start_matches(|first: char| !first.is_ascii_lowercase());
    let short: String = name.chars().take(80).collect();
    let article = if what.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let message = format!(
        "`{short}` is not {article} {what}: a-z first, then a-z, 0-9, `_` and `-`, at most 64"
    );
    let hint = match is_id(better) {
        true => format!("did you mean `{better}`?"),
        false => "such as `pay` or `read-2`".to_owned(),
    };
    reports.with_hint(at, message, hint);
    false
}

/// A value without expressions.
pub(crate) fn plain_value(node: &Node) -> Value {
    node.to_value()
}
