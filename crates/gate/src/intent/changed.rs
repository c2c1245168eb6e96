//! The intent as it would be if one thing about it were another.

use cog_base::json::Map;
use cog_base::place::Place;
use cog_base::{Micros, Value};
use cog_canon::DataRules;

use super::{Actor, Intent, Named, Parts};
use crate::effect::digest_of;

impl Intent {
    /// The same intent with another value at a path that its context has, and with all that
    /// follows from it; nothing when there is no such intent.
    pub(crate) fn changed(&self, path: &str, value: &Value) -> Option<Self> {
        let mut parts = self.parts();
        let mut names = path.split('.');
        let first = parts.context.get_mut(names.next()?)?;
        let place = names.try_fold(first, |place, name| {
            let Value::Map(members) = place else { return None };
            members.get_mut(name)
        })?;
        *place = value.clone();
        let text = || value.as_text().map(str::to_owned);
        match path {
            "cost_micros" => parts.cost = Micros::new(value.as_u64()?),
            "step" => parts.step = text()?,
            "workflow" => parts.origin.workflow = text()?,
            "domain" => parts.origin.domain = text()?,
            "environment" => parts.origin.environment = text()?,
            "initiator" => parts.origin.initiator = value.as_text()?.parse().ok()?,
            "args.url" => {
                let host = Place::of(value.as_text()?).map(|place| place.host).unwrap_or_default();
                set_arg(&mut parts.context, "host", &host);
                parts.resource = Named::new("Host", &host);
            }
            path if Some(path) == name_path(self.resource().0) => {
                parts.resource = Named::new(self.resource().0, value.as_text()?);
            }
            _ => {}
        }
        Some(Self::assemble(parts.digested()))
    }

    /// The same about another resource of its type, and with the arguments that name it.
    pub(crate) fn about(&self, name: &str) -> Option<Self> {
        let (kind, from) = self.resource();
        if kind != "Host" {
            return self.changed(name_path(kind)?, &name.into());
        }
        let (scheme, rest) = self.at("args.url")?.as_text()?.split_once("://")?;
        self.changed("args.url", &format!("{scheme}://{}", rest.replacen(from, name, 1)).into())
    }

    /// The same, were it another who asks.
    pub(crate) fn by(&self, actor: Actor) -> Self {
        Self::assemble(Parts { actor, ..self.parts() })
    }

    /// The same, were what it hands on of another class.
    pub(crate) fn of_class(&self, rules: &DataRules, class: &str) -> Self {
        let mut parts = self.parts();
        parts.context.extend(rules.context(class));
        Self::assemble(parts)
    }

    fn parts(&self) -> Parts {
        Parts {
            origin: self.origin.clone(),
            step: self.step.clone(),
            actor: self.actor.clone(),
            action: self.action.clone(),
            resource: self.resource.clone(),
            effect: self.effect,
            cost: self.cost,
            context: self.context.clone(),
            sources: self.sources.clone(),
        }
    }
}

impl Parts {
    fn digested(mut self) -> Self {
        self.effect = digest_of(&self.action, &self.context.get("args"));
        self
    }
}

/// Where the arguments name a resource of this type.
fn name_path(kind: &str) -> Option<&'static str> {
    match kind {
        "Root" => Some("args.root"),
        "Program" => Some("args.program"),
        "Model" => Some("args.model"),
        "Source" => Some("args.source"),
        _ => None,
    }
}

fn set_arg(context: &mut Map, name: &str, text: &str) {
    if let Some(Value::Map(args)) = context.get_mut("args") {
        args.insert(name.to_owned(), text.into());
    }
}

#[cfg(test)]
mod tests {
    use cog_base::entropy::SeededEntropy;
    use cog_base::id::{RunId, TenantId};
    use cog_base::json::parse;
    use cog_base::{Timestamp, Value};

    use super::*;
    use crate::effect::AnyEffect;
    use crate::intent::Origin;
    use cog_base::json::Canonical as _;

    fn completion() -> Intent {
        let mut entropy = SeededEntropy::new(1);
        let origin = Origin {
            tenant: TenantId::new(Timestamp::default(), &mut entropy).unwrap(),
            domain: "intake".into(),
            environment: "production".into(),
            session: RunId::new(Timestamp::default(), &mut entropy).unwrap(),
            workflow: "accept-session".into(),
            initiator: "user:ada".parse().unwrap(),
        };
        let event =
            r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"status":"failed"}}"#;
        let args = Map::from([("event".to_owned(), event.into())]);
        let effect = AnyEffect::from_args("session.accept", &args).unwrap();
        let who = "user:ada".parse().unwrap();
        Intent::new(&origin, "accept", who, &effect, Micros::ZERO, "low")
    }

    fn read(intent: &Intent) -> Result<Intent, crate::intent::BadRecord> {
        Intent::from_value(&parse(&String::from_utf8(intent.canonical()).unwrap()).unwrap())
    }

    #[test]
    fn a_record_says_of_an_event_what_the_event_says() {
        let intent = completion();
        assert_eq!(read(&intent).as_ref(), Ok(&intent));
        for (path, value) in [
            ("args.proven", Value::from(true)),
            ("args.status", "succeeded".into()),
            ("args.source", "/other".into()),
            ("args.type", "other".into()),
        ] {
            let lie = intent.changed(path, &value).unwrap();
            assert_eq!(read(&lie).map_err(|bad| bad.part), Err("effect"), "{path}");
        }
    }
}
