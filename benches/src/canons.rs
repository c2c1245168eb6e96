//! Canons of any size, and requests that they have something to say about.

use std::fmt::Write as _;

use cog_base::entropy::SeededEntropy;
use cog_canon::Source;

const SETTINGS: &str = "\
name = \"bench\"
domain = \"bench\"

[change]
approvals = 1
approvers = [\"user:cfo\"]

[actions.\"file.read\"]
risk = \"low\"

[interference]
on_conflict = \"wait\"

[roots]
\"*\" = { within = [\"/\"] }
";

const SCHEMA: &str = "\
entity Role;
entity User in [Role];
entity Agent in [Role];
entity Root;

action \"file.read\", \"file.delete\", \"file.write\" appliesTo {
  principal: [User, Agent],
  resource: [Root],
  context: {
    args: { root: String, path: String },
    cost_micros: Long,
    risk: String,
    environment: String,
    domain: String,
    workflow: String,
    step: String,
    initiator: String,
  },
};
";

/// The root that every generated canon lets every agent read.
pub(crate) const SHARED: &str = "shared";

/// How the policies of a canon lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spread {
    /// Over principals, actions and resources, so that a request meets a handful.
    Scattered,
    /// Every policy is met by every request: no index can help.
    AllMatch,
}

/// A canon as text.
pub(crate) struct Generated {
    /// All policies.
    pub(crate) policies: String,
    /// The entities as JSON.
    pub(crate) facts: String,
    /// Who asks to read what: agent and root.
    pub(crate) requests: Vec<(String, String)>,
}

const REQUESTS: usize = 256;

impl Generated {
    /// A canon of `count` policies, always the same for the same arguments.
    pub(crate) fn new(count: u64, spread: Spread) -> Self {
        let world = Size::of(count);
        let mut dice = SeededEntropy::new(count);
        let mut policies = String::new();
        let mut requests = Vec::new();
        for number in 0..count {
            let policy = match spread {
                Spread::AllMatch => everyone(number),
                Spread::Scattered => scattered(number, world, &mut dice, &mut requests),
            };
            policies.push_str(&policy);
        }
        while requests.len() < REQUESTS {
            let agent = format!("a{}", dice.below(world.agents));
            requests.push((agent, format!("r{}", dice.below(world.roots))));
        }
        // Those that were written first would otherwise be asked for alone.
        let step = (requests.len() / REQUESTS).max(1);
        let requests = requests.into_iter().step_by(step).take(REQUESTS).collect();
        Self { policies, facts: world.facts(), requests }
    }

    /// Its files.
    pub(crate) fn source(&self) -> Source {
        let files = [
            ("canon.toml", SETTINGS),
            ("schema.cedarschema", SCHEMA),
            ("policies/all.cedar", &self.policies),
            ("facts/all.json", &self.facts),
        ];
        Source::new(files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec())))
    }

    /// The files again, to be written into a folder.
    pub(crate) fn schema() -> &'static str {
        SCHEMA
    }
}

/// How many there are to spread the policies over.
#[derive(Debug, Clone, Copy)]
struct Size {
    agents: u64,
    roles: u64,
    roots: u64,
}

impl Size {
    fn of(policies: u64) -> Self {
        Self {
            agents: (policies / 20).max(4),
            roles: (policies / 10).max(4),
            roots: (policies / 10).max(4),
        }
    }

    /// Every agent has two roles.
    fn facts(self) -> String {
        let uid = |kind: &str, name: &str| format!("{{\"type\":\"{kind}\",\"id\":\"{name}\"}}");
        let entity = |kind: &str, name: &str, parents: &str| {
            format!("{{\"uid\":{},\"attrs\":{{}},\"parents\":[{parents}]}}", uid(kind, name))
        };
        let mut all = vec![entity("User", "cfo", ""), entity("User", "operator", "")];
        all.extend((0..self.roles).map(|role| entity("Role", &format!("g{role}"), "")));
        all.extend((0..self.agents).map(|agent| {
            let roles = [agent * 13 % self.roles, (agent * 13 + self.roles / 2) % self.roles];
            let parents = roles.map(|role| uid("Role", &format!("g{role}")));
            entity("Agent", &format!("a{agent}"), &parents.join(","))
        }));
        format!("[{}]", all.join(",\n"))
    }
}

const MODEST: &str = "context.environment == \"production\" && context.cost_micros <= 1000 && context.risk != \"critical\"";

fn everyone(number: u64) -> String {
    format!(
        "@id(\"all-{number}\")\npermit (principal, action, resource)\n\
         when {{ {MODEST} && context.cost_micros < {} }};\n",
        number + 1
    )
}

/// The first two bind everyone; the others bind some agent or role, and now and then a
/// request that one of them is about is noted.
fn scattered(
    number: u64,
    size: Size,
    dice: &mut SeededEntropy,
    requests: &mut Vec<(String, String)>,
) -> String {
    let (agent, role, root) =
        (dice.below(size.agents), dice.below(size.roles), dice.below(size.roots));
    let (head, when) = match (number, number % 5) {
        (0, _) => ("permit (principal, action == Action::\"file.read\", resource)".into(), MODEST),
        (1, _) => (
            "@reason(\"Secrets are read by nobody.\")\n\
             forbid (principal, action == Action::\"file.read\", resource is Root)"
                .into(),
            "context.args.path like \"secret/*\"",
        ),
        (_, 0) => {
            requests.push((format!("a{agent}"), format!("r{root}")));
            let scope =
                format!("principal == Agent::\"a{agent}\", action == Action::\"file.read\"");
            (format!("permit ({scope}, resource == Root::\"r{root}\")"), MODEST)
        }
        (_, 1) => {
            let scope = format!("principal in Role::\"g{role}\", action == Action::\"file.read\"");
            (format!("permit ({scope}, resource == Root::\"r{root}\")"), MODEST)
        }
        (_, 2) => {
            let actions = "action in [Action::\"file.write\", Action::\"file.delete\"]";
            let scope = format!("principal == Agent::\"a{agent}\", {actions}");
            (format!("permit ({scope}, resource == Root::\"r{root}\")"), MODEST)
        }
        (_, 3) => {
            let scope = format!("principal is Agent in Role::\"g{role}\"");
            (format!("permit ({scope}, action == Action::\"file.read\", resource is Root)"), MODEST)
        }
        (_, _) => {
            let scope = "principal, action == Action::\"file.read\"";
            (
                format!("forbid ({scope}, resource == Root::\"r{root}\")"),
                "context.cost_micros > 500",
            )
        }
    };
    let mut text = String::new();
    // INVARIANT: writing into a String cannot fail.
    let _ = writeln!(text, "@id(\"rule-{number}\")\n{head}\nwhen {{ {when} }};");
    text
}

#[cfg(test)]
mod tests {
    use cog_base::json::parse;
    use cog_canon::{Canon, Request, Ruling};

    use super::*;

    const CONTEXT: &str = r#"{"args": {"root": "r0", "path": "in/1.txt"}, "cost_micros": 0,
        "risk": "low", "environment": "production", "domain": "bench", "workflow": "bench",
        "step": "read", "initiator": "user:operator"}"#;

    fn matching(count: u64, spread: Spread) -> f64 {
        let generated = Generated::new(count, spread);
        let canon = Canon::load(&generated.source()).unwrap();
        let context = parse(CONTEXT).unwrap();
        assert_eq!(generated.requests.len(), REQUESTS);
        let met = generated.requests.iter().map(|(agent, root)| {
            let evaluation = canon.evaluate(&Request {
                principal: &format!("agent:{agent}"),
                action: "file.read",
                resource: ("Root", root),
                context: context.as_map().unwrap(),
            });
            assert_eq!(evaluation.ruling, Ruling::Permit);
            evaluation.policies.len()
        });
        met.sum::<usize>() as f64 / REQUESTS as f64
    }

    #[test]
    fn a_request_meets_a_handful_of_scattered_policies() {
        for count in [2, 100, 1_000] {
            let met = matching(count, Spread::Scattered);
            assert!((1.0..12.0).contains(&met), "{met} of {count}");
        }
    }

    #[test]
    fn a_request_meets_every_policy_where_all_match() {
        assert_eq!(matching(50, Spread::AllMatch), 50.0);
    }
}
