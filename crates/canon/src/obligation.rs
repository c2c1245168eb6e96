//! What a permit asks for: consents, limits, redactions, time windows.

use std::fmt;

use cog_base::Period;

use crate::nearest::nearest;
use crate::window::Window;

/// Most obligations of one kind on one policy.
pub const OBLIGATIONS_MAX: usize = 16;

/// The kinds of actor and group that can consent.
const GROUP_KINDS: [&str; 2] = ["role:", PERSON];
/// What the name of a person starts with.
pub(crate) const PERSON: &str = "user:";

/// A duty, and the policy that asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// The policy's id.
    pub policy: String,
    /// What it asks for.
    pub duty: Duty,
}

/// What a permitting policy asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// `@approval("2 of role:finance, user:cfo")`: different people who must agree.
    Approval {
        /// How many, at least 1.
        count: u64,
        /// Groups or people, any of whom counts.
        of: Vec<String>,
    },
    /// `@escalate("role:board after 4h")`: who else may agree to what `@approval` asks for, once that
    /// took too long.
    Escalate {
        /// After how many milliseconds.
        after_ms: u64,
        /// Groups or people, any of whom counts.
        of: Vec<String>,
    },
    /// `@limit("20 per run")` or `@limit("20 per day")`: the most receipts under this policy.
    Receipts {
        /// How many.
        at_most: u64,
        /// In which period of the domain; nothing means in one run.
        per: Option<Period>,
    },
    /// `@limit("sum args.document.amount_cents <= 1000000 per run")`, or `per day`.
    Sum {
        /// Where the number stands in the context of each intent.
        path: String,
        /// The most that all together may come to.
        at_most: u64,
        /// In which period of the domain; nothing means in one run.
        per: Option<Period>,
    },
    /// `@redact("output.iban, output.tax_id")`: removed before anyone sees the result.
    Redact {
        /// Paths of members, from `output.` on.
        paths: Vec<String>,
    },
    /// `@window("mon-fri 08:00-18:00")`: when it may happen.
    Window(Window),
    /// `@declassify("internal")`: what it gives is taken for data of this class from then on,
    /// whatever it was made from.
    Declassify {
        /// The class.
        class: String,
    },
}

impl Duty {
    /// The period in which it counts what a domain does, if it does that.
    #[must_use]
    pub const fn period(&self) -> Option<Period> {
        match self {
            Self::Receipts { per, .. } | Self::Sum { per, .. } => *per,
            Self::Approval { .. }
            | Self::Escalate { .. }
            | Self::Redact { .. }
            | Self::Window(_)
            | Self::Declassify { .. } => None,
        }
    }

    /// The duties that an annotation states, or what is wrong with it. Several stand apart
    /// by `;`. Annotations that state no duty give none.
    pub(crate) fn parse(annotation: &str, value: &str) -> Result<Vec<Self>, String> {
        let one: fn(&str) -> Result<Self, String> = match annotation {
            "approval" => approval,
            ESCALATE => escalate,
            "limit" => limit,
            "redact" => redact,
            "window" => |text| Window::parse(text).map(Self::Window),
            "declassify" => declassify,
            _ => return Ok(Vec::new()),
        };
        let duties: Vec<_> =
            value.split(';').map(|text| one(text.trim())).collect::<Result<_, _>>()?;
        if duties.len() > OBLIGATIONS_MAX {
            return Err(format!(
                "{} obligations in one annotation, most {OBLIGATIONS_MAX}",
                duties.len()
            ));
        }
        Ok(duties)
    }
}

fn approval(text: &str) -> Result<Duty, String> {
    let form = || format!("`{text}` is not an approval like `1 of role:finance`");
    let (count, of) = text.split_once(" of ").ok_or_else(form)?;
    let count = count.trim().parse().ok().filter(|count| *count > 0).ok_or_else(form)?;
    let of: Vec<_> = of.split(',').map(|group| group.trim().to_owned()).collect();
    if of.iter().all(|group| can_consent(group)) {
        Ok(Duty::Approval { count, of })
    } else {
        Err(form())
    }
}

/// The annotation that says who else may agree.
pub(crate) const ESCALATE: &str = "escalate";
/// The longest that it takes until others may: a consent is waited for 7 days.
const ESCALATE_MS_MAX: u64 = 7 * 24 * 3_600_000 - 1;

fn escalate(text: &str) -> Result<Duty, String> {
    let form = || format!("`{text}` does not say who else may agree, like `role:board after 4h`");
    let (of, after) = text.rsplit_once(" after ").ok_or_else(form)?;
    let unit = |(name, ms): (char, u64)| {
        let number: u64 = after.trim().strip_suffix(name)?.parse().ok()?;
        number.checked_mul(ms)
    };
    let units = [('s', 1_000), ('m', 60_000), ('h', 3_600_000), ('d', 86_400_000)];
    let after_ms = units.into_iter().find_map(unit).ok_or_else(form)?;
    let of: Vec<_> = of.split(',').map(|group| group.trim().to_owned()).collect();
    if after_ms == 0 || after_ms > ESCALATE_MS_MAX {
        return Err(format!(
            "`{after}` is not a time of less than 7 days: a consent is waited for so long"
        ));
    }
    if of.iter().all(|group| can_consent(group)) {
        Ok(Duty::Escalate { after_ms, of })
    } else {
        Err(form())
    }
}

/// Whether this is a group or a person, who could agree to something.
pub(crate) fn can_consent(group: &str) -> bool {
    GROUP_KINDS.iter().any(|kind| group.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
}

fn limit(text: &str) -> Result<Duty, String> {
    let form = || {
        format!("`{text}` is not a limit like `20 per run` or `sum args.amount <= 1000 per day`")
    };
    let (rule, span) = text.rsplit_once("per").ok_or_else(form)?;
    let (rule, span) = (rule.trim(), span.trim());
    if !span.chars().all(char::is_alphabetic) {
        return Err(form());
    }
    let per = match span {
        RUN => None,
        _ => Some(Period::parse(span).ok_or_else(|| no_span(span))?),
    };
    let Some(sum) = rule.strip_prefix("sum ") else {
        let at_most = rule.parse().map_err(|_| form())?;
        return Ok(Duty::Receipts { at_most, per });
    };
    let (path, most) = sum.split_once("<=").ok_or_else(form)?;
    let path = path.trim();
    let at_most = most.trim().parse().map_err(|_| form())?;
    if is_path(path) { Ok(Duty::Sum { path: path.to_owned(), at_most, per }) } else { Err(form()) }
}

/// The word for what is counted in one run.
const RUN: &str = "run";

fn no_span(span: &str) -> String {
    let known = || std::iter::once(RUN).chain(Period::ALL.map(Period::word));
    let meant = nearest(span, known()).map(|meant| format!("; did you mean `per {meant}`?"));
    let meant = meant.unwrap_or_default();
    format!(
        "nothing is counted `per {span}`: write per {}{meant}",
        known().collect::<Vec<_>>().join(", ")
    )
}

/// What a limit counts in: `run` or a period.
fn span(per: Option<Period>) -> &'static str {
    per.map_or(RUN, Period::word)
}

fn redact(text: &str) -> Result<Duty, String> {
    let paths: Vec<_> = text.split(',').map(|path| path.trim().to_owned()).collect();
    let good = |path: &String| path.starts_with("output.") && is_path(path);
    if paths.iter().all(good) {
        return Ok(Duty::Redact { paths });
    }
    Err(format!("`{text}` is not a list of paths like `output.iban, output.tax_id`"))
}

/// Which classes there are is known to the settings.
fn declassify(text: &str) -> Result<Duty, String> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err(format!("`{text}` is not one class like `internal`"));
    }
    Ok(Duty::Declassify { class: text.to_owned() })
}

fn is_path(path: &str) -> bool {
    let name = |name: &str| {
        !name.is_empty()
            && name.chars().all(|letter| letter.is_alphanumeric() || "_-".contains(letter))
    };
    path.split('.').all(name)
}

/// In words: `approval by 1 of role:finance`.
impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval { count, of } => write!(f, "approval by {count} of {}", of.join(", ")),
            Self::Escalate { after_ms, of } => {
                let after = cog_base::words::lasting(*after_ms);
                write!(f, "by {} as well after {after}", of.join(", "))
            }
            Self::Receipts { at_most, per } => write!(f, "at most {at_most} per {}", span(*per)),
            Self::Sum { path, at_most, per } => {
                write!(f, "{path} at most {at_most} per {} in sum", span(*per))
            }
            Self::Redact { paths } => write!(f, "without {}", paths.join(", ")),
            Self::Window(window) => write!(f, "only {window}"),
            Self::Declassify { class } => write!(f, "giving {class} data"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(annotation: &str, value: &str, expected: &str) {
        let words = match Duty::parse(annotation, value) {
            Ok(duties) => duties.iter().map(Duty::to_string).collect::<Vec<_>>().join(" + "),
            Err(wrong) => format!("refused: {wrong}"),
        };
        assert_eq!(words, expected);
    }

    #[test]
    fn obligations_are_read_in_the_forms_of_the_manual() {
        check("approval", "1 of role:finance", "approval by 1 of role:finance");
        check("approval", "2 of user:cfo, role:board", "approval by 2 of user:cfo, role:board");
        check("escalate", "role:board after 4h", "by role:board as well after 4 hours");
        check("limit", "20 per run", "at most 20 per run");
        check("limit", "sum args.a_b <= 100 per run", "args.a_b at most 100 per run in sum");
        check("limit", "20 per day", "at most 20 per day");
        check("limit", "sum args.a_b <= 100 per month", "args.a_b at most 100 per month in sum");
        check(
            "limit",
            "2 per run; sum args.x <= 7 per run",
            "at most 2 per run + args.x at most 7 per run in sum",
        );
        check("redact", "output.iban, output.tax_id", "without output.iban, output.tax_id");
        check("window", "mon-fri 08:00-18:00", "only mon-fri 08:00-18:00 UTC");
        check("declassify", "internal", "giving internal data");
        check("reason", "anything", "");
    }

    #[test]
    fn other_forms_are_refused_and_shown_the_right_one() {
        let refused = |annotation, value, hint: &str| {
            let wrong = Duty::parse(annotation, value).expect_err("refused");
            assert!(wrong.contains(hint), "{wrong}");
        };
        refused("approval", "0 of role:x", "1 of role:finance");
        refused("approval", "1 of agent:x", "1 of role:finance");
        refused("approval", "role:x", "1 of role:finance");
        refused("escalate", "role:x", "role:board after 4h");
        refused("escalate", "agent:x after 4h", "role:board after 4h");
        refused("escalate", "role:x after 4 hours", "role:board after 4h");
        refused("escalate", "role:x after 7d", "less than 7 days");
        refused("limit", "-1 per run", "20 per run");
        refused("limit", "20 per days", "did you mean `per day`?");
        refused("limit", "20 per year", "write per run, hour, day, week, month");
        refused("limit", "sum a..b <= 3 per run", "20 per run");
        refused("redact", "iban", "output.iban");
        refused("window", "always", "mon-fri 08:00-18:00");
        refused("declassify", "internal, public", "one class like `internal`");
    }
}
