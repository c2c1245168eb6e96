//! The tests of a canon: cases that must hold, or it cannot be activated.

use cog_base::json::{Map, Value};

use crate::Canon;
use crate::data::DataRules;
use crate::error::CanonError;
use crate::evaluate::{Evaluation, Request, Ruling};
use crate::nearest::nearest;
use crate::obligation::Duty;
use crate::source::Source;
use crate::yaml::{self, Content, Node};

/// Most cases of a canon.
pub const CASES_MAX: usize = 10_000;

const FIELDS: [&str; 8] =
    ["name", "principal", "action", "resource", "context", "class", "expect", "rule"];

/// What a case expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Permit,
    Forbid,
    Refuse,
    Approval,
}

/// One case of a test file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    file: String,
    line: usize,
    name: String,
    principal: String,
    action: String,
    resource: (String, String),
    context: Map,
    expect: Expect,
    rule: Option<String>,
}

/// What the tests of a canon came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TestReport {
    /// How many cases hold.
    pub passed: usize,
    /// The cases that do not. With any, the canon cannot be activated.
    pub failed: Vec<Failure>,
}

/// A case that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {name}: expected {expected}, found {found}{}", because(why))]
pub struct Failure {
    /// The test file.
    pub file: String,
    /// The line of the case, from 1.
    pub line: usize,
    /// The name of the case.
    pub name: String,
    /// `permit`, `forbid`, `refuse`, `approval`, with the rule if the case names one.
    pub expected: String,
    /// What the canon says, with the rules that determined it.
    pub found: String,
    /// Reasons of the rules, or the errors. May be empty.
    pub why: String,
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

impl TestReport {
    /// Whether every case holds.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failed.is_empty()
    }
}

impl Canon {
    /// Run the tests of the canon: each case is evaluated and compared with what it expects.
    #[must_use]
    pub fn test(&self) -> TestReport {
        let mut report = TestReport::default();
        for case in &self.cases {
            match case.run(self) {
                None => report.passed += 1,
                Some(failure) => report.failed.push(failure),
            }
        }
        report
    }
}

impl Expect {
    const ALL: [(&'static str, Self); 4] = [
        ("permit", Self::Permit),
        ("forbid", Self::Forbid),
        ("refuse", Self::Refuse),
        ("approval", Self::Approval),
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::Permit => "permit",
            Self::Forbid => "forbid",
            Self::Refuse => "refuse",
            Self::Approval => "approval",
        }
    }

    fn met_by(self, evaluation: &Evaluation) -> bool {
        let found = found(evaluation);
        match self {
            Self::Permit | Self::Forbid | Self::Approval => self.word() == found,
            Self::Refuse => evaluation.ruling != Ruling::Permit,
        }
    }
}

fn found(evaluation: &Evaluation) -> &'static str {
    let mut duties = evaluation.obligations.iter().map(|obligation| &obligation.duty);
    match evaluation.ruling {
        Ruling::Permit if duties.any(|duty| matches!(duty, Duty::Approval { .. })) => "approval",
        Ruling::Permit => "permit",
        Ruling::Forbid => "forbid",
        Ruling::NoPermit => "refuse, as no policy permits it",
        Ruling::Error => "refuse, as it cannot be evaluated",
    }
}

impl Case {
    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it asks and expects, on one line.
    pub(crate) fn describe(&self) -> String {
        let (kind, id) = &self.resource;
        let context = Value::Map(self.context.clone());
        let rule = self.rule.as_deref().unwrap_or("any rule");
        let Self { principal, action, .. } = self;
        format!("{principal} {action} {kind} {id} {context}: {} by {rule}", self.expect.word())
    }

    fn run(&self, canon: &Canon) -> Option<Failure> {
        let evaluation = canon.evaluate(&Request {
            principal: &self.principal,
            action: &self.action,
            resource: (&self.resource.0, &self.resource.1),
            context: &self.context,
        });
        let named = |rule: &String| evaluation.policies.iter().any(|note| note.id == *rule);
        if self.expect.met_by(&evaluation) && self.rule.as_ref().is_none_or(named) {
            return None;
        }
        let ids: Vec<_> = evaluation.policies.iter().map(|note| note.id.as_str()).collect();
        let by = |ids: &str| if ids.is_empty() { String::new() } else { format!(" by {ids}") };
        let reasons = evaluation.policies.iter().filter_map(|note| note.reason.clone());
        let why: Vec<_> = evaluation.errors.iter().cloned().chain(reasons).collect();
        let rule = self.rule.as_deref().unwrap_or_default();
        Some(Failure {
            file: self.file.clone(),
            line: self.line,
            name: self.name.clone(),
            expected: format!("{}{}", self.expect.word(), by(rule)),
            found: format!("{}{}", found(&evaluation), by(&ids.join(", "))),
            why: why.join("; "),
        })
    }
}

/// Read all test files.
pub(crate) fn load(source: &Source, data: Option<&DataRules>) -> Result<Vec<Case>, CanonError> {
    let mut cases = Vec::new();
    for (file, text) in source.folder("tests/")? {
        let node = yaml::parse(file, text)?;
        let Content::List(items) = &node.content else {
            return Err(node.wrong(file, "expected a list of cases").hint(FORM));
        };
        for item in items {
            if cases.len() >= CASES_MAX {
                return Err(item.wrong(file, format!("more than {CASES_MAX} cases")));
            }
            cases.push(read(file, item, data)?);
        }
    }
    Ok(cases)
}

const FORM: &str = "a case is {name, principal: \"agent:clerk\", action: file.write, \
    resource: {type: Root, id: payments}, context: {…}, expect: permit}";

fn read(file: &str, item: &Node, data: Option<&DataRules>) -> Result<Case, CanonError> {
    let Content::Map(members) = &item.content else {
        return Err(item.wrong(file, "a case is an object").hint(FORM));
    };
    for (field, node) in members {
        if !FIELDS.contains(&field.as_str()) {
            let hint = match nearest(field, FIELDS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => FORM.to_owned(),
            };
            return Err(node.wrong(file, format!("a case has no `{field}`")).hint(hint));
        }
    }
    let expect = text(file, item, "expect")?;
    let known = Expect::ALL.iter().find(|(word, _)| *word == expect);
    let (_, expect) = *known.ok_or_else(|| {
        let node = item.get("expect").unwrap_or(item);
        node.wrong(file, format!("`{expect}` cannot be expected"))
            .hint("use permit, forbid, refuse or approval")
    })?;
    let rule = item.get("rule").map(|_| text(file, item, "rule")).transpose()?;
    Ok(Case {
        file: file.to_owned(),
        line: item.line,
        name: text(file, item, "name")?,
        principal: text(file, item, "principal")?,
        action: text(file, item, "action")?,
        resource: resource(file, item)?,
        context: context(file, item, data)?,
        expect,
        rule,
    })
}

fn text(file: &str, item: &Node, field: &str) -> Result<String, CanonError> {
    let Some(node) = item.get(field) else {
        return Err(item.wrong(file, format!("the case has no `{field}`")).hint(FORM));
    };
    let text = node.as_text().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| node.wrong(file, format!("`{field}` must be text")))
}

fn resource(file: &str, item: &Node) -> Result<(String, String), CanonError> {
    let Some(node) = item.get("resource") else {
        return Err(item.wrong(file, "the case has no `resource`").hint(FORM));
    };
    Ok((text(file, node, "type")?, text(file, node, "id")?))
}

fn context(file: &str, item: &Node, data: Option<&DataRules>) -> Result<Map, CanonError> {
    let mut context = match item.get("context").map(|node| (node, node.to_value())) {
        None => Map::new(),
        Some((_, Value::Map(context))) => context,
        Some((node, _)) => return Err(node.wrong(file, "`context` must be an object")),
    };
    if let Some(node) = item.get("class") {
        let class = text(file, item, "class")?;
        let Some(data) = data else {
            let what = "the case has a class, and the canon declares none";
            return Err(node.wrong(file, what).hint("declare them under [data] in canon.toml"));
        };
        data.known(&class).map_err(|(what, hint)| node.wrong(file, what).hint(hint))?;
        context.extend(data.context(&class));
    }
    Ok(context)
}
