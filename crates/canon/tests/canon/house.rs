//! Canons from a few texts, and questions to them.

use cog_base::json::{self, Map};
use cog_canon::{Canon, Evaluation, Request, Ruling, Source};

pub(crate) const SETTINGS: &str = "canon.toml";
pub(crate) const SCHEMA: &str = "schema.cedarschema";
pub(crate) const POLICIES: &str = "policies/main.cedar";
pub(crate) const FACTS: &str = "facts/people.json";
pub(crate) const TESTS: &str = "tests/cases.yaml";

/// Settings that ask for the least.
pub(crate) const PLAIN: &str = r#"
name = "test"
domain = "testing"

[change]
approvals = 1
approvers = ["role:board"]
"#;

/// People for whom `role:board` can approve a change of the plain settings.
pub(crate) const PEOPLE: &str = r#"[
  { "uid": { "type": "Role", "id": "board" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "Role", "id": "finance" }, "attrs": {}, "parents": [] },
  { "uid": { "type": "User", "id": "cfo" }, "attrs": {}, "parents": [
    { "type": "Role", "id": "board" }, { "type": "Role", "id": "finance" }] },
  { "uid": { "type": "User", "id": "ada" }, "attrs": {}, "parents": [
    { "type": "Role", "id": "finance" }] },
  { "uid": { "type": "Agent", "id": "clerk" }, "attrs": {}, "parents": [] }
]"#;

/// A schema of a domain that pays invoices.
pub(crate) const PAYING: &str = r#"
entity Role in [Role];
entity User in [Role];
entity Agent in [Role];
entity Root;
action "file.write" appliesTo {
  principal: [User, Agent],
  resource: [Root],
  context: {
    args: { path: String, document?: { amount_cents: Long, country?: String } },
    dry: Bool,
    tags?: Set<String>,
  },
};
action "file.read" appliesTo { principal: [User, Agent], resource: [Root] };
"#;

pub(crate) fn source(files: &[(&str, &str)]) -> Source {
    Source::new(files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())))
}

/// The canon of these files.
pub(crate) fn load(files: &[(&str, &str)]) -> Canon {
    match Canon::load(&source(files)) {
        Ok(canon) => canon,
        Err(error) => panic!("{error}"),
    }
}

/// The paying canon with these policies.
pub(crate) fn paying(policies: &str) -> Canon {
    load(&[(SETTINGS, PLAIN), (SCHEMA, PAYING), (FACTS, PEOPLE), (POLICIES, policies)])
}

pub(crate) fn context(text: &str) -> Map {
    json::parse(text).unwrap().as_map().unwrap().clone()
}

/// Ask `who action Type name` with a context, and say the answer in a line.
pub(crate) fn ask(canon: &Canon, question: &str, context: &Map) -> Evaluation {
    let words: Vec<_> = question.split(' ').collect();
    let [principal, action, kind, name] = words[..] else { panic!("four words: {question}") };
    canon.evaluate(&Request { principal, action, resource: (kind, name), context })
}

/// An answer in a line: the ruling, the policies, and what they ask for or what went wrong.
pub(crate) fn say(answer: &Evaluation) -> String {
    let ruling = match answer.ruling {
        Ruling::Permit => "permit",
        Ruling::Forbid => "forbid",
        Ruling::NoPermit => "no permit",
        Ruling::Error => "error",
    };
    let by: Vec<_> = answer.policies.iter().map(|note| note.id.as_str()).collect();
    let duties: Vec<_> =
        answer.obligations.iter().map(|it| format!("{}: {}", it.policy, it.duty)).collect();
    let parts = [by.join(", "), duties.join("; "), answer.errors.join("; ")];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    std::iter::once(ruling.to_owned()).chain(parts).collect::<Vec<_>>().join(" | ")
}
