//! A proposed effect: who wants to do what, on what, why and at which cost.

mod changed;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use cog_base::id::{RunId, TenantId};
use cog_base::json::{Canonical, Map, Object};
use cog_base::{Digest, Micros, Sources, Value};
use cog_canon::{DataRules, PRODUCTION, Settings};

use crate::effect::{Effect, Resource, SessionAccept, digest_of};
use crate::snapshot::number;

/// The room that what a digest binds usually takes, in bytes.
const BOUND_BYTES: usize = 768;

/// Somebody who asks, approves or changes: `user:cfo`, `agent:clerk`, `service:engine`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor(Arc<str>);

/// A text that names no actor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names nobody; write user:NAME, agent:NAME or service:NAME, where NAME has 1 to 128 letters \
     a-z, digits and . _ - @ +"
)]
pub struct BadActor(String);

impl Actor {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a person, neither an agent nor a service.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.0.starts_with("user:")
    }
}

impl FromStr for Actor {
    type Err = BadActor;

    fn from_str(text: &str) -> Result<Self, BadActor> {
        let bad = || BadActor(text.chars().take(80).collect());
        let (kind, name) = text.split_once(':').ok_or_else(bad)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
        let known = matches!(kind, "user" | "agent" | "service");
        if known && !name.is_empty() && name.len() <= 128 && name.chars().all(plain) {
            Ok(Self(text.into()))
        } else {
            Err(bad())
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an intent comes from: the session it belongs to and the step it serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whose ledger it goes to.
    pub tenant: TenantId,
    /// The governed domain: the scope of canon and of blast radius.
    pub domain: String,
    /// Production or not.
    pub environment: String,
    /// The run.
    pub session: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// Who started the run.
    pub initiator: Actor,
}

/// A proposed effect. Two intents with one digest ask for the very same thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    origin: Origin,
    step: String,
    actor: Actor,
    action: Cow<'static, str>,
    resource: Named,
    effect: Digest,
    cost: Micros,
    context: Map,
    /// What the arguments came from, where the canon declares classes of data.
    sources: Option<Sources>,
    digest: Digest,
}

/// A resource as policies write it, and where its type ends.
#[derive(Clone, Debug, PartialEq)]
struct Named {
    text: String,
    kind_bytes: usize,
}

impl Named {
    fn new(kind: &str, name: &str) -> Self {
        Self { text: format!("{kind}::\"{name}\""), kind_bytes: kind.len() }
    }

    fn parts(&self) -> (&str, &str) {
        let (kind, rest) = self.text.split_at_checked(self.kind_bytes).unwrap_or_default();
        let name = rest.strip_prefix("::\"").and_then(|rest| rest.strip_suffix('"'));
        (kind, name.unwrap_or_default())
    }
}

impl Intent {
    /// The intent of `actor` to do `effect` for `step`, at a cost of at most `cost`.
    #[must_use]
    pub fn new(
        origin: &Origin,
        step: &str,
        actor: Actor,
        effect: &impl Effect,
        cost: Micros,
        risk: &str,
    ) -> Self {
        let Resource { kind, name } = effect.resource();
        let args = Value::Map(effect.args());
        let digest = digest_of(effect.action(), &args);
        let context = Map::from([
            ("args".into(), args),
            ("cost_micros".into(), cost.into()),
            ("risk".into(), risk.into()),
            ("environment".into(), origin.environment.as_str().into()),
            ("domain".into(), origin.domain.as_str().into()),
            ("workflow".into(), origin.workflow.as_str().into()),
            ("step".into(), step.into()),
            ("initiator".into(), origin.initiator.as_str().into()),
        ]);
        Self::assemble(Parts {
            origin: origin.clone(),
            step: step.to_owned(),
            actor,
            action: Cow::Borrowed(effect.action()),
            resource: Named::new(kind, &name),
            effect: digest,
            cost,
            context,
            sources: None,
        })
    }

    /// The same with the class of what its arguments came from.
    #[must_use]
    pub fn classed(&self, rules: &DataRules, sources: &Sources) -> Self {
        Self { sources: Some(sources.clone()), ..self.of_class(rules, rules.class_of(sources)) }
    }

    fn assemble(parts: Parts) -> Self {
        let Parts { origin, step, actor, action, resource, effect, cost, context, sources } = parts;
        let mut intent = Self {
            digest: effect,
            origin,
            step,
            actor,
            action,
            resource,
            effect,
            cost,
            context,
            sources,
        };
        let mut bound = Vec::with_capacity(BOUND_BYTES);
        intent.write(false, &mut bound);
        intent.digest = Digest::in_context("cognitionos/intent/v1", &bound);
        intent
    }

    /// What the digest binds: everything but the arguments, which their own digest binds. In
    /// the record, context and digest stand with it.
    fn write(&self, in_record: bool, out: &mut Vec<u8>) {
        Object::new(out)
            .put("action", self.action())
            .put("actor", self.actor.as_str())
            .put_some("context", in_record.then_some(&self.context))
            .put("cost_micros", &self.cost)
            .put_some("data_class", self.class())
            .put_some(
                "data_from",
                self.sources.as_ref().filter(|_| in_record).map(Sources::to_value).as_ref(),
            )
            .put_some("digest", in_record.then_some(&self.digest))
            .put("domain", &self.origin.domain)
            .put("effect", &self.effect)
            .put("environment", &self.origin.environment)
            .put("initiator", self.origin.initiator.as_str())
            .put("resource", self.resource_text())
            .put("risk", &self.context.get("risk"))
            .put("session", &self.origin.session)
            .put("step", &self.step)
            .put("tenant", &self.origin.tenant)
            .put("workflow", &self.origin.workflow)
            .end();
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The step it serves.
    #[must_use]
    pub fn step(&self) -> &str {
        &self.step
    }

    /// Who asks.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// The action: `file.write`.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The entity type and name of what it acts on.
    #[must_use]
    pub fn resource(&self) -> (&str, &str) {
        self.resource.parts()
    }

    /// The resource as policies write it: `Root::"payments"`.
    #[must_use]
    pub fn resource_text(&self) -> &str {
        &self.resource.text
    }

    /// The root that it acts in, if it acts in one.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        match self.resource() {
            ("Root", name) => Some(name),
            _ => self.at("args.root").and_then(Value::as_text),
        }
    }

    /// The digest of the action and its arguments.
    #[must_use]
    pub fn effect(&self) -> Digest {
        self.effect
    }

    /// The most it may cost: reserved before, settled after.
    #[must_use]
    pub fn cost(&self) -> Micros {
        self.cost
    }

    /// The class of what it hands on; nothing where the canon declares none.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        self.context.get("data_class").and_then(Value::as_text)
    }

    /// What its arguments came from; nothing where the canon declares no classes.
    #[must_use]
    pub fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// What policies see.
    #[must_use]
    pub fn context(&self) -> &Map {
        &self.context
    }

    /// The context as policies see it. The arguments of a program stand there as one text besides
    /// (`args.line`), in their order and with repeats: of a list Cedar makes a set. Where the canon
    /// says which environments are production, so does `production` whether this is one.
    pub(crate) fn shown(&self, settings: &Settings) -> Cow<'_, Map> {
        let words = self.at("args.args").filter(|_| self.action() == "process.run");
        let tells = settings.environments.as_ref().filter(|it| it.tells_production());
        let production = tells.map(|it| it.is_production(&self.origin.environment));
        if words.is_none() && production.is_none() {
            return Cow::Borrowed(&self.context);
        }
        let mut context = self.context.clone();
        if let (Some(Value::Map(args)), Some(words)) = (context.get_mut("args"), words) {
            args.insert("line".into(), words.to_string().into());
        }
        context.extend(production.map(|is_one| (PRODUCTION.to_owned(), is_one.into())));
        Cow::Owned(context)
    }

    /// The value of a path into the context, such as `args.document.amount_cents`.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Value> {
        let mut names = path.split('.');
        let first = self.context.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get(name))
    }

    /// What an approval and a receipt are bound to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The intent in a record, if the record is whole and its digests agree.
    ///
    /// # Errors
    /// [`BadRecord`] names the member that is missing or does not agree.
    pub fn from_value(value: &Value) -> Result<Self, BadRecord> {
        let text = |name: &'static str| -> Result<&str, BadRecord> {
            value.get(name).and_then(Value::as_text).ok_or(BadRecord { part: name })
        };
        let parse = |name| text(name).map(str::to_owned);
        let bad = |part| move |_| BadRecord { part };
        let origin = Origin {
            tenant: text("tenant")?.parse().map_err(|_| BadRecord { part: "tenant" })?,
            domain: parse("domain")?,
            environment: parse("environment")?,
            session: text("session")?.parse().map_err(|_| BadRecord { part: "session" })?,
            workflow: parse("workflow")?,
            initiator: text("initiator")?.parse().map_err(bad("initiator"))?,
        };
        let resource = text("resource")?;
        let (kind, name) = resource
            .strip_suffix('"')
            .and_then(|resource| resource.split_once("::\""))
            .ok_or(BadRecord { part: "resource" })?;
        let cost = value.get("cost_micros").and_then(number);
        let context = value.get("context").and_then(Value::as_map);
        let intent = Self::assemble(Parts {
            origin,
            step: parse("step")?,
            actor: text("actor")?.parse().map_err(bad("actor"))?,
            action: Cow::Owned(parse("action")?),
            resource: Named::new(kind, name),
            effect: text("effect")?.parse().map_err(|_| BadRecord { part: "effect" })?,
            cost: cost.map(Micros::new).ok_or(BadRecord { part: "cost_micros" })?,
            context: context.cloned().ok_or(BadRecord { part: "context" })?,
            sources: sources(value)?,
        });
        if text("digest")? != intent.digest.to_string() {
            return Err(BadRecord { part: "digest" });
        }
        if !intent.agrees_with_context() {
            return Err(BadRecord { part: "context" });
        }
        intent.agrees_with_args().then_some(intent).ok_or(BadRecord { part: "effect" })
    }

    /// Whether policies would see what the digest binds.
    fn agrees_with_context(&self) -> bool {
        let origin = &self.origin;
        let bound = [
            ("environment", &*origin.environment),
            ("domain", &*origin.domain),
            ("workflow", &*origin.workflow),
            ("step", &*self.step),
            ("initiator", origin.initiator.as_str()),
        ];
        let seen = |name| self.context.get(name).and_then(Value::as_text);
        bound.into_iter().all(|(name, text)| seen(name) == Some(text))
            && self.context.get("cost_micros") == Some(&self.cost.into())
    }

    fn agrees_with_args(&self) -> bool {
        let args = self.context.get("args");
        // Policies see what was said in an event, and whether it is proven, from the event itself.
        let follows = || args.and_then(Value::as_map).is_some_and(SessionAccept::follows);
        digest_of(&self.action, &args) == self.effect
            && (self.action != SessionAccept::ACTION || follows())
    }
}

/// The record kept beside the ledger: what [`Intent::from_value`] reads back.
impl Canonical for Intent {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        self.write(true, out);
    }
}

/// A record whose part is missing, malformed, or does not agree with the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record's `{part}` is missing, malformed or does not agree with the rest")]
pub struct BadRecord {
    /// The member.
    pub part: &'static str,
}

/// Where the data of a record came from, if that is on record.
fn sources(value: &Value) -> Result<Option<Sources>, BadRecord> {
    let bad = BadRecord { part: "data_from" };
    let Some(from) = value.get("data_from") else {
        return if value.get("data_class").is_some() { Err(bad) } else { Ok(None) };
    };
    Sources::from_value(from).map(Some).ok_or(bad)
}

struct Parts {
    origin: Origin,
    step: String,
    actor: Actor,
    action: Cow<'static, str>,
    resource: Named,
    effect: Digest,
    cost: Micros,
    context: Map,
    sources: Option<Sources>,
}
