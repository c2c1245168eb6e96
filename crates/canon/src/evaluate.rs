//! What the canon says about a request.

use std::sync::Arc;

use cedar_policy::AuthorizationError;
use cedar_policy_core::ast;
use cedar_policy_core::authorizer::AuthorizationError as Failed;
use cedar_policy_core::evaluator::{EvaluationError, Evaluator};
use cedar_policy_core::extensions::Extensions;
use cog_base::json::Map;

use crate::Canon;
use crate::conform;
use crate::error::with_causes;
use crate::index::Candidate;
use crate::obligation::{Duty, Obligation};
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

impl Evaluation {
    /// The consents that the permitting policies ask for: `1 of role:finance`.
    #[must_use]
    pub fn consents(&self) -> Vec<String> {
        let consents = self.obligations.iter().filter_map(|it| match &it.duty {
            Duty::Approval { count, of } => Some(format!("{count} of {}", of.join(", "))),
            Duty::Escalate { .. }
            | Duty::Receipts { .. }
            | Duty::Sum { .. }
            | Duty::Redact { .. }
            | Duty::Window(_)
            | Duty::Declassify { .. } => None,
        });
        consents.collect()
    }
}

/// A request that conforms to the schema, and the policies whose scope it meets.
pub(crate) struct Conforming {
    request: ast::Request,
    pub(crate) candidates: Vec<Candidate>,
}

/// What became of the policies whose scope a request meets.
pub(crate) struct Judged<'a> {
    /// Knows the request and the facts.
    pub(crate) evaluator: Evaluator<'a>,
    /// Those whose condition holds.
    pub(crate) held: Vec<Candidate>,
    /// Those whose condition does not hold.
    pub(crate) missed: Vec<Candidate>,
    /// Those whose condition cannot be evaluated.
    pub(crate) failed: Vec<(Candidate, Box<EvaluationError>)>,
}

impl Canon {
    /// What the canon says about a request. It evaluates only the policies whose scope the
    /// request meets. Nothing but the canon and the request goes into the answer.
    #[must_use]
    pub fn evaluate(&self, request: &Request<'_>) -> Evaluation {
        match self.conform(request) {
            Ok(conforming) => self.sum_up(self.judge(conforming)),
            Err(wrong) => Evaluation {
                ruling: Ruling::Error,
                policies: Vec::new(),
                obligations: Vec::new(),
                errors: vec![wrong],
            },
        }
    }

    pub(crate) fn conform(&self, request: &Request<'_>) -> Result<Conforming, String> {
        let undeclared = || format!("the schema has no action `{}`", request.action);
        let action = self.actions.get(request.action).ok_or_else(undeclared)?;
        let (kind, name) = request.resource;
        let who = request.principal.split_once(':').filter(|(_, who)| !who.is_empty());
        let principal = who
            .and_then(|(kind, who)| Some(self.index.principal(action.principals.get(kind)?, who)));
        let principal = principal.ok_or_else(|| {
            format!("the schema does not let `{}` do {}", request.principal, request.action)
        })?;
        let resource = action.resources.get(kind).filter(|_| !name.is_empty());
        let resource = resource.map(|kind| self.index.resource(kind, name)).ok_or_else(|| {
            format!("the schema does not let {} be done to {kind} `{name}`", request.action)
        })?;
        let context = conform::convert(&action.context, request.context)?;
        let (action, candidates) =
            self.index.candidates(&principal, request.action, &resource).ok_or_else(undeclared)?;
        let request =
            ast::Request::new_unchecked(principal.uid, action, resource.uid, Some(context));
        Ok(Conforming { request, candidates })
    }

    /// Put each condition to the evaluator, once.
    pub(crate) fn judge(&self, conforming: Conforming) -> Judged<'_> {
        let Conforming { request, mut candidates } = conforming;
        candidates.sort_unstable_by_key(|candidate| (candidate.condition, candidate.rule));
        let entities = self.facts.entities.as_ref();
        let evaluator = Evaluator::new(request, entities, Extensions::all_available());
        let held = Vec::with_capacity(candidates.len());
        let mut judged = Judged { evaluator, held, missed: Vec::new(), failed: Vec::new() };
        for group in candidates.chunk_by(|one, other| one.condition == other.condition) {
            let condition = group.first().and_then(|candidate| candidate.condition);
            let conditions = &self.index.conditions;
            match condition.map_or(Ok(true), |number| conditions.holds(number, &judged.evaluator)) {
                Ok(true) => judged.held.extend(group),
                Ok(false) => judged.missed.extend(group),
                Err(error) => {
                    judged.failed.extend(group.iter().map(|candidate| (*candidate, error.clone())));
                }
            }
        }
        judged
    }

    /// What follows from what became of the policies.
    pub(crate) fn sum_up(&self, judged: Judged<'_>) -> Evaluation {
        let Judged { mut held, failed, .. } = judged;
        if !failed.is_empty() {
            return self.undecided(failed);
        }
        held.sort_unstable_by_key(|candidate| candidate.rule);
        ruled(held.iter().filter_map(|candidate| self.rule(candidate)).collect())
    }

    /// Cedar skips a policy that errs; here it refuses.
    fn undecided(&self, mut failed: Vec<(Candidate, Box<EvaluationError>)>) -> Evaluation {
        failed.sort_unstable_by_key(|(candidate, _)| candidate.rule);
        let rules = failed.iter().filter_map(|(candidate, _)| self.rule(candidate));
        let policies: Vec<_> = rules.map(|rule| Arc::clone(&rule.note)).collect();
        let errors = policies.iter().zip(failed).map(|(note, (_, error))| {
            let id = ast::PolicyID::from_string(&note.id);
            let error = Failed::PolicyEvaluationError { id, error: *error };
            with_causes(&AuthorizationError::from(error))
        });
        let errors = errors.collect();
        Evaluation { ruling: Ruling::Error, policies, obligations: Vec::new(), errors }
    }

    pub(crate) fn rule(&self, candidate: &Candidate) -> Option<&Rule> {
        self.rules.get(candidate.rule as usize)
    }
}

/// One policy that forbids outweighs all that permit.
fn ruled(mut satisfied: Vec<&Rule>) -> Evaluation {
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
