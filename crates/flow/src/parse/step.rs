//! One step: its one body and the keys that go with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Value;

use super::Reader;
use super::block::Inherited;
use super::scope::Scope;
use crate::definition::{Access, Block, Body, EffectCall, Foreach, Handler, Retry, Step, Terms};
use crate::effect::{ArgumentNames, Operation};
use crate::fields::{self, Fields, Shape};
use crate::limits::{
    DEFAULT_PARALLEL, MAX_PARALLEL, MAX_SLEEP_MS, MAX_TIMEOUT_MS, MIN_HEARTBEAT_MS,
};
use crate::path::is_id;
use crate::template::{self, Template};
use crate::tree::{Key, Kind, Node};
use cog_base::suggest;

pub(super) const STEP: Shape = Shape {
    what: "a step",
    required: &["id"],
    optional: &[
        "uses",
        "with",
        "needs",
        "if",
        "foreach",
        "max_parallel",
        "repeat",
        "steps",
        "choose",
        "approve",
        "sleep",
        "wait_for",
        "checkpoint",
        "run",
        "continue_as_new",
        "as",
        "retry",
        "timeout_ms",
        "heartbeat_ms",
        "start_within_ms",
        "stream",
        "on_refused",
        "on_error",
        "on_cancel",
        "subject",
        "class",
        "name",
        "description",
    ],
};
const BODIES: [&str; 9] = [
    "uses",
    "steps",
    "choose",
    "approve",
    "sleep",
    "wait_for",
    "checkpoint",
    "run",
    "continue_as_new",
];
const HANDLER: Shape = Shape { what: "a handler", required: &["steps"], optional: &[] };
const COMPUTE: &str = "compute";

impl Reader<'_, '_> {
    pub(super) fn step(
        &mut self,
        node: &Node,
        id: &str,
        needs: Vec<String>,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Option<Arc<Step>> {
        // The outline reported what is wrong with the keys.
        let Kind::Map(members) = &node.kind else { return None };
        let fields = Fields::of(node.at, members);
        let own_actor = fields.get("as").and_then(|node| self.actor(node));
        let actor = own_actor.as_deref().or(inherited.actor);
        let inherited = Inherited { actor, ..inherited };
        let condition = fields.get("if").and_then(|node| self.condition(node, scope));
        let foreach = fields.get("foreach").map(|node| self.foreach(node, &fields, scope));
        if foreach.is_none() && fields.get("max_parallel").is_some() {
            let at = fields.key_at("max_parallel");
            let hint = "leave it out, or say what there is one of for each: `foreach`";
            self.reports.error(at, "`max_parallel` goes with `foreach`", hint);
        }
        let item_scope = scope.with_item();
        let inner = if foreach.is_some() { &item_scope } else { scope };
        let repeats = fields.get("repeat").is_some();
        let round_scope = inner.with_item();
        let inside = if repeats { &round_scope } else { inner };
        let is_once = inherited.is_once && foreach.is_none() && !repeats;
        let inherited = Inherited { is_once, ..inherited };
        let body = self.body(&fields, id, inside, inherited);
        let repeat = self.repeat(&fields, body.as_ref(), inside);
        let handler_scope = inner.with_itself(id);
        let timeout_ms = fields.get("timeout_ms").filter(|_| matches!(body, Some(Body::Group(_))));
        let timeout_ms = timeout_ms
            .and_then(|node| fields::integer(node, "timeout_ms", (1, MAX_SLEEP_MS), self.reports));
        let subject = fields.get("subject").map(|node| self.text_template(node, "subject", inner));
        let label = self.label(&fields);
        let on_cancel = fields.get("on_cancel");
        let on_cancel = on_cancel.map(|node| self.undo_steps(node, &handler_scope, inherited));
        let on_refused = self.handler(&fields, "on_refused", &handler_scope, inherited);
        let on_error = self.handler(&fields, "on_error", &handler_scope, inherited);
        let body = body?;
        Some(Arc::new(Step {
            id: id.to_owned(),
            name: self.name(&fields),
            needs,
            condition,
            foreach,
            repeat,
            actor: actor.map(str::to_owned),
            keeps: on_cancel.is_some() || body.keeps() || on_refused.keeps() || on_error.keeps(),
            body,
            timeout_ms,
            on_refused,
            on_error,
            on_cancel,
            subject,
            label,
        }))
    }

    fn name(&mut self, fields: &Fields<'_>) -> Option<String> {
        self.description(fields);
        let node = fields.get("name")?;
        fields::text(node, "name", self.reports).map(str::to_owned)
    }

    /// An actor is never computed: what a model says must not choose who acts.
    fn actor(&mut self, node: &Node) -> Option<String> {
        let text = fields::text(node, "as", self.reports)?;
        let known = text.split_once(':').is_some_and(|(kind, name)| {
            ["user", "agent", "service"].contains(&kind) && is_id(name)
        });
        if !known {
            let message = format!("`{text}` is not an actor");
            let hint = "write `user:name`, `agent:name` or `service:name`, without expressions";
            self.reports.with_hint(node.at, message, hint.to_owned());
        }
        known.then(|| text.to_owned())
    }

    pub(super) fn condition(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Template> {
        self.decides(node, "if", scope)
    }

    /// What comes to true or false.
    pub(super) fn decides(
        &mut self,
        node: &Node,
        key: &str,
        scope: &Scope<'_>,
    ) -> Option<Template> {
        let template = match &node.kind {
            Kind::Bool(_) => template::read(node, self.reports),
            Kind::Text(text) => template::read_condition(node, text, self.reports),
            Kind::Null | Kind::Int(_) | Kind::List(_) | Kind::Map(_) | Kind::Broken => {
                fields::wrong(node, key, "an expression", self.reports);
                return None;
            }
        };
        if let Template::Text(_) = template {
            let message =
                format!("`{key}` must be one expression, this is text with expressions in it");
            let hint = "put the whole condition into one `${{ … }}`".to_owned();
            self.reports.with_hint(node.at, message, hint);
        } else {
            let wanted = (key, "true or false");
            self.comes_to(node, &template, wanted, |value| value.as_bool().is_some());
        }
        self.check(&template, scope);
        Some(template)
    }

    fn foreach(&mut self, node: &Node, fields: &Fields<'_>, scope: &Scope<'_>) -> Foreach {
        let items = self.template(node, scope);
        let text = matches!(items, Template::Text(_) | Template::Object(_));
        // Text that comes to nothing is an expression that cannot be read, which was told.
        let is_told =
            |value: &Value| matches!(node.kind, Kind::Text(_)) && matches!(value, Value::Null);
        let fits = |value: &Value| value.as_list().is_some() || is_told(value);
        if text || !items.plain().is_none_or(fits) {
            fields::wrong(node, "foreach", "a list or one expression", self.reports);
        } else {
            self.comes_to(node, &items, ("foreach", "a list"), |value| value.as_list().is_some());
        }
        let max_parallel = fields.get("max_parallel").and_then(|node| {
            fields::integer(node, "max_parallel", (1, i64::from(MAX_PARALLEL)), self.reports)
        });
        let max_parallel = max_parallel.and_then(|number| u32::try_from(number).ok());
        Foreach { items, max_parallel: max_parallel.unwrap_or(DEFAULT_PARALLEL) }
    }

    fn body(
        &mut self,
        fields: &Fields<'_>,
        id: &str,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Option<Body> {
        let present: Vec<&str> =
            BODIES.into_iter().filter(|name| fields.get(name).is_some()).collect();
        let [body] = present.as_slice() else {
            self.one_body(fields, id, &present);
            return None;
        };
        let node = fields.get(body)?;
        self.check_companions(fields, body, node);
        if inherited.in_plan && (*body != "uses" || fields.get("foreach").is_some()) {
            let message = "a step of a plan is one effect";
            let hint = "use `uses` here, and compute, sleep or loop outside of `choose`".to_owned();
            self.reports.with_hint(fields.key_at(body), message, hint);
        }
        match *body {
            "uses" => self.uses(node, fields, scope, inherited),
            "steps" => Some(Body::Group(self.block(node, scope, Some(inherited), "`steps`").0)),
            "choose" => self.choose(node, scope, inherited).map(Body::Choose),
            "approve" => self.approve(node, scope).map(Body::Approve),
            "wait_for" => self.wait_for(node, scope).map(Body::WaitFor),
            "checkpoint" => self.checkpoint(node, inherited).map(Body::Checkpoint),
            "run" => self.child_run(node, scope).map(Body::Run),
            "continue_as_new" => self.continuing(node, (fields.key_at(body), id), scope, inherited),
            _ => self.sleep(node, scope).map(Body::Sleep),
        }
    }

    fn one_body(&mut self, fields: &Fields<'_>, id: &str, present: &[&str]) {
        let words = suggest::quoted(&BODIES);
        match present {
            [] => {
                let message = format!("the step `{id}` does nothing");
                self.reports.with_hint(fields.at, message, format!("give it one of {words}"));
            }
            several => {
                let message = format!("the step `{id}` has {}", suggest::quoted(several));
                let at = several.iter().map(|name| fields.key_at(name)).max();
                let hint = format!("a step has exactly one of {words}");
                self.reports.with_hint(at.unwrap_or(fields.at), message, hint);
            }
        }
    }

    /// Reports keys that mean nothing with this body.
    fn check_companions(&mut self, fields: &Fields<'_>, body: &str, node: &Node) {
        let compute = matches!(&node.kind, Kind::Text(uses) if uses == COMPUTE);
        let effect = body == "uses" && !compute;
        let has_stream = |uses: &str| {
            matches!(Operation::from_name(uses), Some(Operation::ProcessRun | Operation::ModelChat))
        };
        let streams = effect && matches!(&node.kind, Kind::Text(uses) if has_stream(uses));
        let acts = effect || body == "steps" || body == "choose";
        let again = body == "continue_as_new";
        let rules: [(&str, bool, &str); 11] = [
            ("with", body == "uses", "a step with `uses`"),
            ("retry", effect, "an effect"),
            ("timeout_ms", effect || body == "steps", "an effect or `steps`"),
            ("heartbeat_ms", effect, "an effect"),
            ("start_within_ms", effect, "an effect"),
            ("stream", streams, "`process.run` or `model.chat`"),
            ("as", acts, "an effect, `steps` or `choose`"),
            ("subject", acts, "an effect, `steps` or `choose`"),
            ("foreach", acts || compute || body == "run", "`uses`, `steps`, `choose` or `run`"),
            ("repeat", body == "steps", "`steps`"),
            ("on_cancel", !again, "a step that does something"),
        ];
        for (key, fine, goes_with) in rules {
            if !fine && fields.get(key).is_some() {
                let message = format!("`{key}` means nothing here; it goes with {goes_with}");
                self.reports.error(fields.key_at(key), message, "leave it out");
            }
        }
    }

    fn uses(
        &mut self,
        node: &Node,
        fields: &Fields<'_>,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Option<Body> {
        let uses = fields::text(node, "uses", self.reports)?;
        let with_node = fields.get("with");
        let with = with_node.map(|node| self.templates(node, "with", scope)).unwrap_or_default();
        if uses == COMPUTE {
            if with.is_empty() {
                let message = "`compute` needs `with`: its members are the output";
                self.reports.error(
                    fields.at,
                    message,
                    "such as `with: { total: \"${{ 1 + 2 }}\" }`",
                );
            }
            if inherited.in_plan {
                let message = "a step of a plan is one effect, `compute` is none";
                self.reports.error(node.at, message, "compute it in a step before the choice");
            }
            return Some(Body::Compute(with));
        }
        let Some(operation) = Operation::from_name(uses) else {
            let known = Operation::ALL.into_iter().map(Operation::as_str).chain([COMPUTE]);
            let hint = suggest::hint(uses, known);
            self.reports.with_hint(node.at, format!("there is no effect `{uses}`"), hint);
            return None;
        };
        let at = with_node.map_or(fields.key_at("uses"), |node| node.at);
        let entries = match with_node.map(|node| &node.kind) {
            Some(Kind::Map(entries)) => entries.as_slice(),
            Some(_) => return None,
            None => &[],
        };
        self.arguments(operation, at, entries, &with);
        let retry = fields.get("retry").map_or(Retry::NEVER, |node| self.retry(node));
        let terms = self.terms(fields);
        Some(Body::Effect(EffectCall { operation, with, retry, terms }))
    }

    fn terms(&mut self, fields: &Fields<'_>) -> Terms {
        let stream = fields.get("stream");
        let stream = stream.and_then(|node| fields::flag(node, "stream", self.reports));
        let mut integer = |name: &str, least: i64| {
            let node = fields.get(name)?;
            fields::integer(node, name, (least, MAX_TIMEOUT_MS), self.reports)
        };
        Terms {
            timeout_ms: integer("timeout_ms", 1),
            heartbeat_ms: integer("heartbeat_ms", MIN_HEARTBEAT_MS),
            start_within_ms: integer("start_within_ms", 1),
            stream: stream.unwrap_or_default(),
        }
    }

    /// Checks the arguments of an effect as far as they are known before the run.
    fn arguments(
        &mut self,
        operation: Operation,
        at: usize,
        entries: &[(Key, Node)],
        with: &BTreeMap<String, Template>,
    ) {
        let name = operation.as_str();
        for fault in operation.check_names(entries.iter().map(|(key, _)| key.name.as_str())) {
            match fault {
                ArgumentNames::Unknown(key, hint) => {
                    let at = entries.iter().find(|(one, _)| one.name == key).map_or(at, |e| e.0.at);
                    self.reports.with_hint(at, format!("`{name}` has no `{key}`"), hint);
                }
                ArgumentNames::Missing(key) => {
                    let names: Vec<&str> = operation.arguments().collect();
                    let hint = format!("its arguments are {}", suggest::quoted(&names));
                    self.reports.with_hint(at, format!("`{name}` needs {key} in `with`"), hint);
                }
                ArgumentNames::TooMany(keys) => {
                    let keys = suggest::quoted(keys);
                    let message = format!("`{name}` takes only one of {keys}");
                    self.reports.error(at, message, "leave the others out");
                }
            }
        }
        for (key, node) in entries {
            // Of what is broken there is nothing, and it was reported.
            let broken = |template: &Template| {
                matches!(node.kind, Kind::Broken | Kind::Text(_))
                    && template.plain() == Some(&Value::Null)
            };
            let template = with.get(&key.name).filter(|template| !broken(template));
            let Some(value) = template.and_then(Template::known) else { continue };
            if let Err(error) = operation.check_value(&key.name, &value) {
                self.reports.with_hint(node.at, error.to_string(), operation.takes(&key.name));
            } else if let (true, Some(root)) = (key.name == "root", value.as_text()) {
                self.check_root(operation, node.at, root);
            }
        }
    }

    fn check_root(&mut self, operation: Operation, at: usize, root: &str) {
        match self.roots.get(root) {
            None => {
                let hint = suggest::hint(root, self.roots.keys().map(String::as_str))
                    .unwrap_or_else(|| {
                        format!("declare it: `roots: {{ {root}: {{ path: …, access: read }} }}`")
                    });
                self.reports.with_hint(at, format!("there is no root `{root}`"), hint);
            }
            Some(Access::Read) if operation.writes() => {
                let name = operation.as_str();
                let does =
                    if operation == Operation::ProcessRun { "may change" } else { "changes" };
                let message = format!("`{name}` {does} the root `{root}`, which is `access: read`");
                self.reports.with_hint(at, message, "declare it with `access: write`".to_owned());
            }
            Some(Access::Read | Access::Write) => {}
        }
    }

    fn handler(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Handler {
        let Some(node) = fields.get(key) else { return Handler::Fail };
        match &node.kind {
            Kind::Text(word) if word == "fail" => Handler::Fail,
            Kind::Text(word) if word == "continue" => Handler::Continue,
            Kind::Map(_) if inherited.in_plan => {
                let message = "a step of a plan has no steps of its own";
                let hint = "put the handler on the `choose` step".to_owned();
                self.reports.with_hint(node.at, message, hint);
                Handler::Fail
            }
            Kind::Map(_) => Handler::Steps(self.handler_steps(node, scope, inherited)),
            Kind::Text(word) => {
                let hint = suggest::hint(word, ["fail", "continue"]);
                self.reports.with_hint(node.at, format!("`{key}` cannot be `{word}`"), hint);
                Handler::Fail
            }
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::List(_) | Kind::Broken => {
                fields::wrong(
                    node,
                    key,
                    "`fail`, `continue` or an object with `steps`",
                    self.reports,
                );
                Handler::Fail
            }
        }
    }

    fn undo_steps(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Arc<Block> {
        if inherited.in_plan {
            let message = "a step of a plan has no steps of its own";
            let hint = "put `on_cancel` on the `choose` step".to_owned();
            self.reports.with_hint(node.at, message, hint);
        }
        self.handler_steps(node, scope, Inherited { is_once: false, ..inherited })
    }

    pub(super) fn handler_steps(
        &mut self,
        node: &Node,
        scope: &Scope<'_>,
        inherited: Inherited<'_>,
    ) -> Arc<Block> {
        let steps =
            Fields::open(node, &HANDLER, self.reports).and_then(|fields| fields.get("steps"));
        match steps {
            Some(steps) => self.block(steps, scope, Some(inherited), "`steps`").0,
            None => Arc::default(),
        }
    }
}

impl Body {
    /// Whether a step inside has an `on_cancel`.
    fn keeps(&self) -> bool {
        match self {
            Self::Group(block) => block.keeps(),
            Self::Effect(_)
            | Self::Compute(_)
            | Self::Choose(_)
            | Self::Approve(_)
            | Self::Sleep(_)
            | Self::WaitFor(_)
            | Self::Checkpoint(_)
            | Self::Run(_)
            | Self::Continue(_) => false,
        }
    }
}

impl Handler {
    fn keeps(&self) -> bool {
        match self {
            Self::Steps(block) => block.keeps(),
            Self::Fail | Self::Continue => false,
        }
    }
}
