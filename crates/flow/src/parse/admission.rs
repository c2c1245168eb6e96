//! `priority`, `concurrency` and `rate`: how runs are let in.

use cog_base::suggest;
use cog_schedule::{COUNT_MAX, LIMIT_MAX, PER_SECONDS_MAX, PRIORITY, PRIORITY_MAX, WhenFull};

use super::Reader;
use super::scope::Scope;
use crate::admission::{Admission, ConcurrencyLimit, LimitScope, RateLimit};
use crate::fields::{self, Fields, Shape};
use crate::template::Template;
use crate::tree::Node;

const CONCURRENCY: Shape =
    Shape { what: "`concurrency`", required: &["limit"], optional: &["key", "scope", "when_full"] };
const RATE: Shape =
    Shape { what: "`rate`", required: &["count", "per_seconds"], optional: &["key", "scope"] };

impl Reader<'_, '_> {
    /// How runs are let in.
    pub(super) fn admission(&mut self, fields: &Fields<'_>) -> Admission {
        let priority = fields.get("priority").and_then(|node| {
            let most = i64::from(PRIORITY_MAX);
            let priority = fields::integer(node, "priority", (0, most), self.reports)?;
            u8::try_from(priority).ok()
        });
        Admission {
            priority: priority.unwrap_or(PRIORITY),
            concurrency: fields.get("concurrency").and_then(|node| self.concurrency(node)),
            rate: fields.get("rate").and_then(|node| self.rate(node)),
        }
    }

    fn concurrency(&mut self, node: &Node) -> Option<ConcurrencyLimit> {
        let fields = Fields::open(node, &CONCURRENCY, self.reports)?;
        let key = self.limit_key(&fields);
        let when_full = match fields.get("when_full") {
            None => WhenFull::default(),
            Some(node) => {
                let word = fields::text(node, "when_full", self.reports)?;
                let Some(when_full) = WhenFull::from_word(word) else {
                    let hint = suggest::hint(word, WhenFull::WORDS);
                    let message = format!("`when_full` cannot be `{word}`");
                    self.reports.with_hint(node.at, message, hint);
                    return None;
                };
                when_full
            }
        };
        let limit = self.small(&fields, "limit", LIMIT_MAX)?;
        Some(ConcurrencyLimit { scope: self.limit_scope(&fields)?, key, limit, when_full })
    }

    fn rate(&mut self, node: &Node) -> Option<RateLimit> {
        let fields = Fields::open(node, &RATE, self.reports)?;
        let key = self.limit_key(&fields);
        let count = self.small(&fields, "count", COUNT_MAX);
        let longest = PER_SECONDS_MAX.cast_signed();
        let node = fields.get("per_seconds")?;
        let per_seconds = fields::integer(node, "per_seconds", (1, longest), self.reports)?;
        let scope = self.limit_scope(&fields)?;
        Some(RateLimit { scope, key, count: count?, per_seconds })
    }

    fn limit_scope(&mut self, fields: &Fields<'_>) -> Option<LimitScope> {
        let Some(node) = fields.get("scope") else { return Some(LimitScope::default()) };
        let word = fields::text(node, "scope", self.reports)?;
        let scope = LimitScope::from_word(word);
        if scope.is_none() {
            let hint = suggest::hint(word, LimitScope::WORDS);
            self.reports.with_hint(node.at, format!("`scope` cannot be `{word}`"), hint);
        }
        scope
    }

    fn limit_key(&mut self, fields: &Fields<'_>) -> Option<Template> {
        fields.get("key").map(|node| self.text_template(node, "key", &Scope::before()))
    }

    fn small(&mut self, fields: &Fields<'_>, name: &str, most: u32) -> Option<u32> {
        let node = fields.get(name)?;
        let number = fields::integer(node, name, (1, i64::from(most)), self.reports)?;
        u32::try_from(number).ok()
    }
}
