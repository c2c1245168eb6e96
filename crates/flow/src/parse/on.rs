//! When a workflow is started: `on`.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::Map;
use cog_base::suggest;
use cog_schedule::{BadRule, BadSchedule, FIELDS, Schedule};

use super::Reader;
use super::scope::Scope;
use crate::definition::{InputSpec, Scheduled};
use crate::fields::{self, Fields, Shape};
use crate::limits::{MAX_EVENT_BYTES, MAX_SCHEDULES};
use crate::on_event::OnEvent;
use crate::tree::Node;

const ON: Shape = Shape { what: "`on`", required: &[], optional: &["schedule", "event"] };
const EVENT: Shape =
    Shape { what: "an event", required: &["id", "type"], optional: &["source", "if", "inputs"] };
const SCHEDULE: Shape = Shape { what: "a schedule", required: &["id"], optional: &OPTIONAL };
/// What a schedule has beside its times.
const INPUTS: &str = "inputs";
/// The members of a schedule but its id, and its inputs.
const OPTIONAL: [&str; FIELDS.len()] = {
    let mut all = FIELDS;
    all[0] = INPUTS;
    all.rotate_left(1);
    all
};

impl Reader<'_, '_> {
    /// The schedules of a workflow with these inputs, and the events that start it.
    pub(super) fn on(
        &mut self,
        node: &Node,
        inputs: &BTreeMap<String, InputSpec>,
    ) -> (Vec<Scheduled>, Vec<OnEvent>) {
        let Some(fields) = Fields::open(node, &ON, self.reports) else { return Default::default() };
        let schedules = fields.get("schedule").map(|list| self.schedules(list, inputs));
        let schedules = schedules.unwrap_or_default();
        let mut events: Vec<OnEvent> = Vec::new();
        let list = fields.get("event").map(|list| fields::list(list, "event", self.reports));
        let nodes = list.unwrap_or_default();
        self.bound(nodes, "events that start it");
        for node in nodes.iter().take(MAX_SCHEDULES) {
            let Some(one) = self.event(node, inputs) else { continue };
            let ids = schedules.iter().map(|it| &it.schedule.id);
            if ids.chain(events.iter().map(|it| &it.id)).any(|id| *id == one.id) {
                let message = format!("a second schedule or event `{}`", one.id);
                self.reports.error(node.at, message, "give one of the two another id");
            }
            events.push(one);
        }
        (schedules, events)
    }

    fn event(&mut self, node: &Node, inputs: &BTreeMap<String, InputSpec>) -> Option<OnEvent> {
        let fields = Fields::open(node, &EVENT, self.reports)?;
        let id = fields::id(fields.get("id")?, "id", self.reports);
        let kind = fields.get("type")?;
        let word = fields::text(kind, "type", self.reports)?;
        let is_pattern = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
        if !is_pattern(word) || word.len() > MAX_EVENT_BYTES {
            let hint = "such as `com.example.order.paid`, `com.example.#` or `*.paid`".to_owned();
            self.reports.with_hint(kind.at, format!("`{word}` is no type of events"), Some(hint));
        }
        let source = fields.get("source");
        let source = source.and_then(|node| fields::text(node, "source", self.reports));
        let scope = Scope::event();
        let condition = fields.get("if").and_then(|node| self.condition(node, &scope));
        let mut given = BTreeMap::new();
        if let Some(values) = fields.get(INPUTS) {
            for (key, value) in fields::members(values, INPUTS, self.reports) {
                if !inputs.contains_key(&key.name) {
                    let hint = suggest::hint(&key.name, inputs.keys().map(String::as_str));
                    let message = format!("there is no input `{}`", key.name);
                    self.reports.with_hint(key.at, message, hint);
                }
                given.insert(key.name.clone(), self.template(value, &scope));
            }
        }
        let missing = |(name, spec): &(&String, &InputSpec)| {
            spec.required && spec.default.is_none() && !given.contains_key(*name)
        };
        if let Some((name, _)) = inputs.iter().find(missing) {
            let message = format!("a run of this event has no input `{name}`, which is required");
            let hint = format!("inputs: {{ {name}: \"${{{{ event.data.… }}}}\" }}");
            self.reports.with_hint(fields.at, message, hint);
        }
        let (kind, source) = (word.to_owned(), source.map(str::to_owned));
        Some(OnEvent { id: id?.to_owned(), kind, source, condition, inputs: given })
    }

    /// Refuse more than there may be.
    fn bound(&mut self, nodes: &[Node], what: &str) {
        if let Some(first) = nodes.get(MAX_SCHEDULES) {
            let message = format!("a workflow has at most {MAX_SCHEDULES} {what}");
            self.reports.error(first.at, message, "put some into another workflow file");
        }
    }

    fn schedules(&mut self, list: &Node, inputs: &BTreeMap<String, InputSpec>) -> Vec<Scheduled> {
        let nodes = fields::list(list, "schedule", self.reports);
        self.bound(nodes, "schedules");
        let mut all: Vec<Scheduled> = Vec::new();
        for node in nodes.iter().take(MAX_SCHEDULES) {
            let Some(one) = self.scheduled(node, inputs) else { continue };
            if all.iter().any(|other| other.schedule.id == one.schedule.id) {
                let message = format!("a second schedule `{}`", one.schedule.id);
                self.reports.error(node.at, message, "give one of the two another id");
            }
            all.push(one);
        }
        all
    }

    fn scheduled(
        &mut self,
        node: &Node,
        inputs: &BTreeMap<String, InputSpec>,
    ) -> Option<Scheduled> {
        let fields = Fields::open(node, &SCHEDULE, self.reports)?;
        fields::id(fields.get("id")?, "id", self.reports)?;
        let given = self.scheduled_inputs(&fields, inputs);
        // What is unknown was reported with its place.
        let known = |name: &&&str| **name != INPUTS;
        let known = SCHEDULE.required.iter().chain(SCHEDULE.optional).filter(known);
        let members = known.filter_map(|name| Some((*name, fields.get(name)?.to_value())));
        match Schedule::from_value(&Value::map(members), &[]) {
            Ok(schedule) => Some(Scheduled { schedule, inputs: given }),
            Err(error) => {
                let member = about(&error);
                let at = fields.get(member).map_or(fields.at, |member| member.at);
                let hint = "docs/guide/workflow.md says what a schedule may say, under `on`";
                self.reports.error(at, error.to_string(), hint);
                None
            }
        }
    }

    /// What a run that a schedule starts is given. It starts without anybody who could give more.
    fn scheduled_inputs(
        &mut self,
        fields: &Fields<'_>,
        inputs: &BTreeMap<String, InputSpec>,
    ) -> Map {
        let mut given = Map::new();
        if let Some(values) = fields.get(INPUTS) {
            for (key, value) in fields::members(values, INPUTS, self.reports) {
                let Some(spec) = inputs.get(&key.name) else {
                    let hint = suggest::hint(&key.name, inputs.keys().map(String::as_str));
                    let message = format!("there is no input `{}`", key.name);
                    self.reports.with_hint(key.at, message, hint);
                    continue;
                };
                self.typed(&key.name, spec.kind, value);
                let plain = fields::plain_value(value);
                if plain.to_string().contains("${{") {
                    let message = format!("the value of `{}` holds an expression", key.name);
                    self.reports.with_hint(value.at, message, "write the value itself".to_owned());
                }
                if !spec.allowed.is_empty() && !spec.allowed.contains(&plain) {
                    let message = format!("the value of `{}` is not in its `enum`", key.name);
                    self.reports.error(value.at, message, "take one of those that it lists");
                }
                given.insert(key.name.clone(), plain);
            }
        }
        let missing = |(name, spec): &(&String, &InputSpec)| {
            spec.required && spec.default.is_none() && !given.contains_key(name)
        };
        if let Some((name, _)) = inputs.iter().find(missing) {
            let message =
                format!("a run of this schedule has no input `{name}`, which is required");
            self.reports.with_hint(fields.at, message, format!("inputs: {{ {name}: … }}"));
        }
        given
    }
}

/// The member that is wrong.
fn about(error: &BadSchedule) -> &str {
    match error {
        BadSchedule::Field { field, .. } => field,
        BadSchedule::Rule(BadRule::Cron { .. }) => "cron",
        BadSchedule::Rule(BadRule::Timezone(_)) => "timezone",
        BadSchedule::Rule(BadRule::TooOften(_)) => "every_ms",
        BadSchedule::Rule(BadRule::Offset { .. }) => "offset_ms",
    }
}
