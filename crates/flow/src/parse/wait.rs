//! Steps that wait: for people, for a time, for a signal.

use cog_base::Value;
use cog_schedule::moment;

use super::Reader;
use super::block::Inherited;
use super::scope::Scope;
use crate::definition::{Approve, Escalate, Sleep, WaitFor};
use crate::fields::{self, Fields, Shape};
use crate::form::Form;
use crate::limits::{MAX_FORM_FIELDS, MAX_SLEEP_MS};
use crate::path::is_id;
use crate::template::Template;
use crate::tree::{Kind, Node};

const APPROVE: Shape = Shape {
    what: "`approve`",
    required: &["by", "message"],
    optional: &["count", "expires_minutes", "escalate", "form"],
};
const FIELD: Shape = Shape {
    what: "a field",
    required: &["type"],
    optional: &["default", "required", "enum", "description"],
};
const ESCALATE: Shape = Shape { what: "`escalate`", required: &["after_ms", "to"], optional: &[] };
const SLEEP: Shape = Shape { what: "`sleep`", required: &[], optional: &["ms", "until"] };
const WAIT_FOR: Shape =
    Shape { what: "`wait_for`", required: &["signal"], optional: &["where", "timeout_ms"] };
const DAY_MINUTES: u64 = 1_440;

impl Reader<'_, '_> {
    pub(super) fn approve(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Approve> {
        let fields = Fields::open(node, &APPROVE, self.reports)?;
        let by_node = fields.get("by")?;
        let (by, by_at) = self.approvers(by_node, "by");
        let message = self.text_template(fields.get("message")?, "message", scope);
        let count = fields
            .get("count")
            .and_then(|node| fields::integer(node, "count", (1, 100), self.reports))
            .map_or(1, |count| u32::try_from(count).unwrap_or(1));
        let users_only = by.iter().all(|one| one.starts_with("user:"));
        if users_only && by.len() < count as usize && !by.is_empty() {
            let message = format!("{count} must agree, but only {} are named", by.len());
            let hint = "name more people, a `role:…`, or ask for fewer";
            self.reports.error(fields.key_at("count"), message, hint);
        }
        if by.is_empty() && matches!(&by_node.kind, Kind::List(items) if items.is_empty()) {
            self.reports.error(by_node.at, "nobody is asked", "such as `by: [\"role:finance\"]`");
        }
        let minutes = fields.get("expires_minutes").and_then(|node| {
            let most = MAX_SLEEP_MS / 60_000;
            fields::integer(node, "expires_minutes", (1, most), self.reports)
        });
        let expires_ms = minutes.unwrap_or(DAY_MINUTES).saturating_mul(60_000);
        let count_at = fields.get("count").unwrap_or(by_node).at;
        let escalate = fields.get("escalate").and_then(|node| self.escalate(node, expires_ms));
        let form = fields.get("form").map(|node| self.form(node)).unwrap_or_default();
        Some(Approve { by, by_at, count_at, count, message, expires_ms, escalate, form })
    }

    /// What those who say yes fill in.
    fn form(&mut self, node: &Node) -> Form {
        let mut form = Form::default();
        for (at, (key, value)) in fields::members(node, "form", self.reports).iter().enumerate() {
            if at == MAX_FORM_FIELDS {
                let message = format!("a form has at most {MAX_FORM_FIELDS} fields");
                self.reports.error(key.at, message, "what has many parts can be one `object`");
                break;
            }
            fields::check_id(key.at, &key.name, "field", self.reports);
            let spec = self.spec(&key.name, value, &FIELD);
            form.0.extend(spec.map(|spec| (key.name.clone(), spec)));
        }
        form
    }

    fn escalate(&mut self, node: &Node, expires_ms: u64) -> Option<Escalate> {
        let fields = Fields::open(node, &ESCALATE, self.reports)?;
        let after = fields.get("after_ms")?;
        let (to, to_at) = self.approvers(fields.get("to")?, "to");
        let after_ms = fields::integer(after, "after_ms", (1, MAX_SLEEP_MS), self.reports)?;
        if after_ms >= expires_ms {
            let message = "nobody else is asked before the time for answers is over";
            let hint = format!("less than {expires_ms}, or more `expires_minutes`");
            self.reports.with_hint(after.at, message.to_owned(), Some(hint));
        }
        if to.is_empty() {
            self.reports.error(
                fields.key_at("to"),
                "nobody else is asked",
                "such as `to: [\"role:board\"]`",
            );
        }
        Some(Escalate { after_ms, to, to_at })
    }

    /// People, and where each of them stands.
    fn approvers(&mut self, node: &Node, what: &str) -> (Vec<String>, Vec<usize>) {
        let (mut all, mut all_at) = (Vec::new(), Vec::new());
        for item in fields::list(node, what, self.reports) {
            if let Some(approver) = self.approver(item) {
                all.push(approver);
                all_at.push(item.at);
            }
        }
        (all, all_at)
    }

    fn approver(&mut self, node: &Node) -> Option<String> {
        let text = fields::text(node, "by", self.reports)?;
        let known = text
            .split_once(':')
            .is_some_and(|(kind, name)| ["role", "user"].contains(&kind) && is_id(name));
        if !known {
            let hint = "write `role:name` or `user:name`".to_owned();
            self.reports.with_hint(node.at, format!("`{text}` cannot approve"), hint);
        }
        known.then(|| text.to_owned())
    }

    /// A name that is a word of the file: what a run holds is never in an entry.
    pub(super) fn checkpoint(&mut self, node: &Node, inherited: Inherited<'_>) -> Option<String> {
        let name = fields::id(node, "checkpoint", self.reports)?;
        if !inherited.is_once {
            let message = "a place has one name, and this one may be reached more than once";
            let hint = "put it behind the `foreach`, and not into `on_cancel`";
            self.reports.error(node.at, message, hint);
        }
        if !self.checkpoints.insert(name.to_owned()) {
            let message = format!("there is another checkpoint `{name}` in this file");
            self.reports.error(node.at, message, "give one of the two another name");
        }
        Some(name.to_owned())
    }

    pub(super) fn sleep(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Sleep> {
        let fields = Fields::open(node, &SLEEP, self.reports)?;
        match (fields.get("ms"), fields.get("until")) {
            (Some(ms), None) => {
                Some(Sleep::For(self.integer_template(ms, "ms", (0, MAX_SLEEP_MS), scope)))
            }
            (None, Some(until)) => Some(Sleep::Until(self.time_template(until, "until", scope))),
            (Some(_), Some(_)) | (None, None) => {
                let message = "`sleep` needs one of `ms` and `until`";
                let hint = "such as `{ ms: 60000 }` or `{ until: \"2026-12-24T18:00:00Z\" }`";
                self.reports.error(node.at, message, hint);
                None
            }
        }
    }

    /// A value that is a time, or an expression.
    fn time_template(&mut self, node: &Node, what: &str, scope: &Scope<'_>) -> Template {
        let template = self.text_template(node, what, scope);
        let is_time = |value: &Value| value.as_text().and_then(moment).is_some();
        if template.plain().and_then(Value::as_text).is_some_and(|text| moment(text).is_none()) {
            let message = format!("`{what}` must be a time");
            self.reports.error(node.at, message, "such as 2026-12-24T18:00:00Z");
        }
        self.comes_to(node, &template, (what, "a time"), is_time);
        template
    }

    pub(super) fn wait_for(&mut self, node: &Node, scope: &Scope<'_>) -> Option<WaitFor> {
        let fields = Fields::open(node, &WAIT_FOR, self.reports)?;
        let signal = fields::id(fields.get("signal")?, "signal", self.reports);
        let matching = fields.get("where").map(|node| self.templates(node, "where", scope));
        let timeout_ms = fields
            .get("timeout_ms")
            .map(|node| self.integer_template(node, "timeout_ms", (1, MAX_SLEEP_MS), scope));
        let (signal, matching) = (signal?.to_owned(), matching.unwrap_or_default());
        self.signals.insert(signal.clone());
        Some(WaitFor { signal, matching, timeout_ms })
    }
}
