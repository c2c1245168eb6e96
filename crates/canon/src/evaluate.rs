//! What the canon says about a request.

use std::sync::Arc;

use cedar_policy::{Context, EntityUid, PolicySet};
use cog_base::json::Map;

use crate::Canon;
use crate::conform;
use crate::error::with_causes;
use crate::obligation::Obligation;
use crate::policies::{PolicyNote, Rule, Side};

/// A question to the canon: may this actor do this to that?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks: `agent:clerk`.
    pub principal: &'a str,
    /// What it wants to do: `file.write`.
    pub action: &'a str,
    /// To what: `("Root", "payments")`.
    pub resource: (&'a str, &'a str),
    /// What else is known. Attributes that the schema does not declare are not looked at.
    pub context: &'a Map,
}

/// What the policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// A policy permits it and none forbids it.
    Permit,
    /// A policy forbids it.
    Forbid,
    /// No policy permits it.
    NoPermit,
    /// A policy could not be evaluated, or the request does not conform to the schema. It is
    /// refused, whatever other policies say.
    Error,
}

/// What the canon says about a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The answer. Everything but [`Ruling::Permit`] is a refusal.
    pub ruling: Ruling,
    /// The policies that determined it, by id: those that permit, those that forbid, or
    /// those that could not be evaluated.
    pub policies: Vec<Arc<PolicyNote>>,
    /// What the permitting policies ask for, by policy id. All of them hold.
    pub obligations: Vec<Obligation>,
    /// Why it is [`Ruling::Error`]; empty otherwise.
    pub errors: Vec<String>,
}

/// A request that conforms to the schema.
pub(crate) struct Conforming<'a> {
    request: cedar_policy::Request,
    candidates: Vec<&'a PolicySet>,
}

impl Canon {
    /// What the canon says about a request. It evaluates only the policies whose scope the
    /// request meets. Nothing but the canon and the request goes into the answer.
    #[must_use]
    pub fn evaluate(&self, request: &Request<'_>) -> Evaluation {
        match self.conform(request) {
            Ok(conforming) => self.judge(&conforming),
            Err(wrong) => Evaluation {
                ruling: Ruling::Error,
                policies: Vec::new(),
                obligations: Vec::new(),
                errors: vec![wrong],
            },
        }
    }

    fn conform(&self, request: &Request<'_>) -> Result<Conforming<'_>, String> {
        let Some(action) = self.actions.get(request.action) else {
            return Err(format!("the schema has no action `{}`", request.action));
        };
        let (kind, name) = request.resource;
        let principal = self.facts.actor(request.principal);
        let principal = principal.filter(|uid| action.principals.contains(uid.type_name()));
        let principal = principal.ok_or_else(|| {
            format!("the schema does not let `{}` do {}", request.principal, request.action)
        })?;
        let resource = self.facts.resource(request.resource);
        let resource = resource.filter(|uid| action.resources.contains(uid.type_name()));
        let resource = resource.ok_or_else(|| {
            format!("the schema does not let {} be done to {kind} `{name}`", request.action)
        })?;
        let pairs = conform::convert(&action.context, request.context)?;
        let context = Context::from_pairs(pairs).map_err(|error| with_causes(&error))?;
        self.scoped(principal, action.uid.clone(), resource, context)
    }

    fn scoped(
        &self,
        principal: EntityUid,
        action: EntityUid,
        resource: EntityUid,
        context: Context,
    ) -> Result<Conforming<'_>, String> {
        let entities = &self.facts.entities;
        let candidates = self.index.candidates(&principal, &action, &resource, entities);
        let request = cedar_policy::Request::new(principal, action, resource, context, None)
            .map_err(|error| with_causes(&error))?;
        Ok(Conforming { request, candidates })
    }

    fn judge(&self, conforming: &Conforming<'_>) -> Evaluation {
        let mut satisfied: Vec<&Rule> = Vec::new();
        let mut failed: Vec<(&str, String)> = Vec::new();
        let responses: Vec<_> = conforming
            .candidates
            .iter()
            .map(|set| {
                self.authorizer.is_authorized(&conforming.request, set, &self.facts.entities)
            })
            .collect();
        for diagnostics in responses.iter().map(cedar_policy::Response::diagnostics) {
            let rules = diagnostics.reason().filter_map(|id| self.rules.get::<str>(id.as_ref()));
            satisfied.extend(rules);
            failed.extend(diagnostics.errors().map(|error| {
                let cedar_policy::AuthorizationError::PolicyEvaluationError(inner) = error;
                (inner.policy_id().as_ref(), with_causes(error))
            }));
        }
        if failed.is_empty() { ruled(satisfied) } else { self.undecided(failed) }
    }

    /// Cedar skips a policy that errs; here it refuses.
    fn undecided(&self, mut failed: Vec<(&str, String)>) -> Evaluation {
        failed.sort();
        let notes = failed.iter().filter_map(|(id, _)| self.rules.get(*id));
        Evaluation {
            ruling: Ruling::Error,
            policies: notes.map(|rule| Arc::clone(&rule.note)).collect(),
            obligations: Vec::new(),
            errors: failed.into_iter().map(|(_, error)| error).collect(),
        }
    }
}

/// One policy that forbids outweighs all that permit.
fn ruled(mut satisfied: Vec<&Rule>) -> Evaluation {
    satisfied.sort_by(|one, other| one.note.id.cmp(&other.note.id));
    let forbids = satisfied.iter().any(|rule| rule.note.effect == Side::Forbid);
    let (side, ruling) = match (forbids, satisfied.is_empty()) {
        (true, _) => (Side::Forbid, Ruling::Forbid),
        (false, false) => (Side::Permit, Ruling::Permit),
        (false, true) => (Side::Permit, Ruling::NoPermit),
    };
    satisfied.retain(|rule| rule.note.effect == side);
    Evaluation {
        ruling,
        policies: satisfied.iter().map(|rule| Arc::clone(&rule.note)).collect(),
        obligations: satisfied.iter().flat_map(|rule| rule.obligations.iter().cloned()).collect(),
        errors: Vec::new(),
    }
}
