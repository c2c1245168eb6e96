//! The same answer as Cedar's own authorizer over all policies at once, except that what
//! cannot be evaluated refuses. This is also what shows that the index misses no policy.

use std::collections::BTreeMap;
use std::str::FromStr;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityId, EntityTypeName,
    EntityUid, PolicyId, PolicySet, Request, Schema,
};
use cog_base::json::Value;
use cog_canon::{Canon, Duty, Evaluation, Ruling};

use crate::dice::Dice;
use crate::generate::{self, Question};
use crate::house;

const SETS: u64 = 600;
const REQUESTS: usize = 24;

/// Cedar as it is, without index, table or rules of the house.
struct Stock {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    schema: Schema,
}

/// What Cedar answers, said as the canon should say it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    ruling: Ruling,
    by: Vec<String>,
    limits: Vec<String>,
}

impl Stock {
    fn new(policies: &str, facts: &str) -> Self {
        let (schema, _) = Schema::from_cedarschema_str(generate::SCHEMA).unwrap();
        Self {
            authorizer: Authorizer::new(),
            policies: policies.parse().unwrap(),
            entities: Entities::from_json_str(facts, Some(&schema)).unwrap(),
            schema,
        }
    }

    fn id(&self, policy: &PolicyId) -> String {
        self.policies.annotation(policy, "id").unwrap().to_owned()
    }

    fn limit(&self, policy: &PolicyId) -> Option<String> {
        let limit = self.policies.annotation(policy, "limit")?;
        Some(format!("{}: at most {limit}", self.id(policy)))
    }

    /// Nothing when the request does not conform to the schema.
    fn request(&self, question: &Question) -> Option<Request> {
        let action = uid("Action", &question.action);
        let text = Value::Map(question.context.clone()).to_string();
        let context = Context::from_json_str(&text, Some((&self.schema, &action))).ok()?;
        let (kind, name) = &question.principal;
        let (place, spot) = &question.resource;
        Request::new(uid(kind, name), action, uid(place, spot), context, Some(&self.schema)).ok()
    }

    fn answer(&self, question: &Question) -> Answer {
        let refused = |ruling, by| Answer { ruling, by, limits: Vec::new() };
        let Some(request) = self.request(question) else {
            return refused(Ruling::Error, Vec::new());
        };
        let response = self.authorizer.is_authorized(&request, &self.policies, &self.entities);
        let diagnostics = response.diagnostics();
        let failed = sorted(diagnostics.errors().map(|error| {
            let AuthorizationError::PolicyEvaluationError(inner) = error;
            self.id(inner.policy_id())
        }));
        if !failed.is_empty() {
            return refused(Ruling::Error, failed);
        }
        let by = sorted(diagnostics.reason().map(|policy| self.id(policy)));
        match response.decision() {
            Decision::Allow => {
                let limits = sorted(diagnostics.reason().filter_map(|policy| self.limit(policy)));
                Answer { ruling: Ruling::Permit, by, limits }
            }
            Decision::Deny if by.is_empty() => refused(Ruling::NoPermit, by),
            Decision::Deny => refused(Ruling::Forbid, by),
        }
    }
}

fn uid(kind: &str, name: &str) -> EntityUid {
    let kind = EntityTypeName::from_str(kind).unwrap();
    EntityUid::from_type_name_and_id(kind, EntityId::new(name))
}

fn sorted(ids: impl Iterator<Item = String>) -> Vec<String> {
    let mut ids: Vec<_> = ids.collect();
    ids.sort();
    ids
}

/// What the canon answers; with `more`, there is also what no schema declares.
fn asked(canon: &Canon, question: &Question, more: bool) -> Evaluation {
    let (kind, name) = &question.principal;
    let (place, spot) = &question.resource;
    let principal = format!("{}:{name}", kind.to_lowercase());
    let mut context = question.context.clone();
    if more {
        context.insert("undeclared".into(), Value::list([1_i64, 2]));
        if let Some(Value::Map(args)) = context.get_mut("args") {
            args.insert("undeclared".into(), Value::Null);
        }
    }
    canon.evaluate(&cog_canon::Request {
        principal: &principal,
        action: &question.action,
        resource: (place, spot),
        context: &context,
    })
}

fn answer(evaluation: &Evaluation) -> Answer {
    let limits = evaluation.obligations.iter().map(|it| match &it.duty {
        Duty::Receipts { at_most, per: None } => {
            format!("{}: at most {at_most} per run", it.policy)
        }
        Duty::Receipts { .. }
        | Duty::Approval { .. }
        | Duty::Escalate { .. }
        | Duty::Sum { .. }
        | Duty::Redact { .. }
        | Duty::Window(_)
        | Duty::Declassify { .. } => {
            panic!("no policy asks for {}", it.duty)
        }
    });
    Answer {
        ruling: evaluation.ruling,
        by: evaluation.policies.iter().map(|note| note.id.clone()).collect(),
        limits: sorted(limits),
    }
}

#[test]
fn the_answer_is_that_of_the_stock_authorizer_over_all_policies() {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases = 0;
    for seed in 0..SETS {
        let mut dice = Dice::new(seed);
        let (policies, facts) = (generate::policies(&mut dice), generate::facts(&mut dice));
        let files = [
            (house::SETTINGS, house::PLAIN),
            (house::SCHEMA, generate::SCHEMA),
            (house::POLICIES, &policies),
            (house::FACTS, &facts),
        ];
        let (canon, again) = (house::load(&files), house::load(&files));
        let stock = Stock::new(&policies, &facts);
        for _ in 0..REQUESTS {
            let question = generate::question(&mut dice);
            let expected = stock.answer(&question);
            let found = asked(&canon, &question, false);
            assert_eq!(found, asked(&again, &question, true), "to the letter: {question:#?}");
            assert_eq!(answer(&found), expected, "seed {seed}: {question:#?}\n{policies}\n{facts}");
            assert_eq!(found.errors.is_empty(), found.ruling != Ruling::Error, "{found:?}");
            cases += 1;
            *seen.entry(format!("{:?}", expected.ruling)).or_default() += 1;
        }
    }
    println!("counted: {cases} requests answered as stock Cedar answers them: {seen:?}");
    assert!(cases >= 5_000, "{cases}");
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert!(seen.values().all(|count| count * 20 > cases), "{seen:?}");
}
