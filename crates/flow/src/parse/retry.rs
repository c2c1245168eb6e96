//! `retry`: how often an effect is tried, and after what failures.

use super::Reader;
use crate::definition::Retry;
use crate::effect::FAILURES;
use crate::fields::{self, Fields, Shape};
use crate::limits::{MAX_ATTEMPTS, MAX_BACKOFF_MS, MAX_NEVER_ON};
use crate::tree::Node;
use cog_base::suggest;

const RETRY: Shape = Shape {
    what: "`retry`",
    required: &["attempts"],
    optional: &["backoff_ms", "backoff_ms_max", "factor", "jitter_percent", "on", "never_on"],
};

impl Reader<'_, '_> {
    pub(super) fn retry(&mut self, node: &Node) -> Retry {
        let Some(fields) = Fields::open(node, &RETRY, self.reports) else { return Retry::NEVER };
        let longest = MAX_BACKOFF_MS.cast_signed();
        let mut number = |name: &str, bounds: (i64, i64)| {
            let node = fields.get(name)?;
            fields::integer(node, name, bounds, self.reports)
        };
        let small = |number: u64| u32::try_from(number).unwrap_or(1);
        let mut retry = Retry {
            attempts: small(number("attempts", (1, i64::from(MAX_ATTEMPTS))).unwrap_or(1)),
            backoff_ms: number("backoff_ms", (0, longest)).unwrap_or(200),
            factor: small(number("factor", (1, 10)).unwrap_or(2)),
            backoff_ms_max: number("backoff_ms_max", (0, longest)).unwrap_or(MAX_BACKOFF_MS),
            jitter_percent: small(number("jitter_percent", (0, 100)).unwrap_or(0)),
            on_transient: fields.get("on").is_none(),
            ..Retry::NEVER
        };
        if let Some(on) = fields.get("on") {
            self.retry_on(on, &mut retry);
        }
        if let Some(never_on) = fields.get("never_on") {
            self.never_on(never_on, &mut retry);
        }
        retry
    }

    fn retry_on(&mut self, on: &Node, retry: &mut Retry) {
        for item in fields::list(on, "on", self.reports) {
            match fields::text(item, "on", self.reports) {
                Some("transient") => retry.on_transient = true,
                Some("timeout") => retry.on_timeout = true,
                Some("any") => retry.on_any = true,
                Some(other) => {
                    let hint = suggest::hint(other, ["transient", "timeout", "any"]);
                    self.reports.with_hint(item.at, format!("cannot retry on `{other}`"), hint);
                }
                None => {}
            }
        }
    }

    fn never_on(&mut self, node: &Node, retry: &mut Retry) {
        let codes = fields::list(node, "never_on", self.reports);
        if codes.len() > MAX_NEVER_ON {
            let hint = "leave `any` out of `on`: what is not transient is then not retried";
            self.reports.error(node.at, format!("more than {MAX_NEVER_ON} codes"), hint);
        }
        for item in codes.iter().take(MAX_NEVER_ON) {
            let Some(code) = fields::text(item, "never_on", self.reports) else { continue };
            if !FAILURES.contains(&code) {
                let hint = suggest::nearest(code, FAILURES.iter().copied()).map_or_else(
                    || "docs/reference/failures.md lists them".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message = format!("no effect fails with the code `{code}`");
                self.reports.with_hint(item.at, message, hint);
            }
            retry.never_on.push(code.to_owned());
        }
    }
}
