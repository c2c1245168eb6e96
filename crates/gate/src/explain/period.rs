//! Why a bound of a period refuses, in words.

use cog_base::Micros;
use cog_base::words::{counted, minor};

use crate::decision::Check;
use crate::intent::Intent;

/// Why the domain may do no more in a period, and when that ends; nothing for other checks.
pub(super) fn reason(check: &Check, intent: &Intent) -> Option<String> {
    let text = |name: &str| check.read.text(name).unwrap_or_default();
    let number = |name: &str| check.read.number(name).unwrap_or(0);
    let (used, limit) = (number("used"), number("limit"));
    let (domain, per) = (intent.origin().domain.as_str(), text("per"));
    if matches!(check.code, "canon.period_unknown" | "envelope.period_unknown") {
        return Some("Nobody can tell what its domain has done in the period.".into());
    }
    let ends = check.read.time("ends").map(|end| end.to_minute()).unwrap_or_default();
    let wanted = check.read.number("wanted");
    let said = match check.code {
        "canon.period_limit" if check.read.text("path").is_none() => format!(
            "The policy `{}` lets {limit} through per {per} in the domain `{domain}`, and it has let \
             {used} through",
            text("policy"),
        ),
        "canon.period_limit" => format!(
            "The policy `{}` lets {} come to {limit} per {per} in the domain `{domain}`; it has come \
             to {used}, and {} more would pass that",
            text("policy"),
            text("path"),
            wanted.unwrap_or(0),
        ),
        "envelope.period_effects" => format!(
            "The domain `{domain}` may begin {} per {per}, and it has begun {used}",
            counted(limit, "effect", "effects"),
        ),
        "envelope.period_resources" => format!(
            "The domain `{domain}` may touch {} per {per}, and it has touched {used}",
            counted(limit, "resource", "resources"),
        ),
        "envelope.period_amount" => match wanted {
            None => return Some("Nobody can tell how much money it moves.".into()),
            Some(wanted) => format!(
                "The domain `{domain}` may move {} per {per}, in minor units (as cents); it has moved \
                 {}, and {} more would pass that",
                minor(limit.into()),
                minor(used.into()),
                minor(wanted.into()),
            ),
        },
        "envelope.period_cost" => format!(
            "It may cost up to {}, and the domain `{domain}` has {} left of the {} that it may \
             spend per {per}",
            Micros::new(wanted.unwrap_or(0)),
            Micros::new(limit.saturating_sub(used)),
            Micros::new(limit),
        ),
        _ => return None,
    };
    Some(format!("{said}. The {per} ends {ends}."))
}
