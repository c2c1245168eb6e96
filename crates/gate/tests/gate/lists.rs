//! What a canon of the tests lists, limits and counts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use cog_canon::Canon;

use crate::house::canon_with;

const STAGING: &str = "[environments]\nallow = [\"staging\"]\n\n[change]";

const POLICIES: &str = r#"
@id("pay.small") @limit("3 per run; sum args.document.amount_cents <= 5 per run")
permit (principal, action == Action::"file.write", resource == Root::"payments")
when { context.args has document && context.args.document has amount_cents
       && context.args.document.amount_cents <= 4 };
@id("pay.large") @approval("2 of role:finance")
permit (principal, action == Action::"file.write", resource == Root::"payments")
when { context.args has document && context.args.document has amount_cents
       && context.args.document.amount_cents > 4 && context.args.document.amount_cents <= 8 };
@id("notes") permit (principal, action == Action::"file.write", resource == Root::"notes");
@id("drafts") permit (principal == Agent::"clerk", action == Action::"file.write", resource == Root::"drafts")
when { context.args.path == "draft.json" };
@id("ask") permit (principal == Agent::"clerk", action == Action::"http.request", resource);
@id("run") @window("mon-fri 08:00-18:00")
permit (principal, action == Action::"process.run", resource);
@id("model") @limit("2 per run") permit (principal, action == Action::"model.chat", resource)
when { context.cost_micros <= 6 };
"#;

const PER_DAY: &str = "[envelope.per_day]\neffects_max = 4\namount_max = 6\n";

/// What a canon lists, besides the policies.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lists {
    pub(crate) knows_stranger: bool,
    /// Where each root may stand.
    pub(crate) within: BTreeMap<String, Vec<String>>,
    pub(crate) hosts: Vec<String>,
    pub(crate) programs: Vec<(String, bool)>,
    /// The variables that each of them may be lent.
    pub(crate) env: BTreeSet<String>,
    pub(crate) models: BTreeSet<String>,
    /// Whether it governs another environment alone.
    pub(crate) is_for_staging: bool,
    /// Whether it counts what the domain does in a day.
    pub(crate) counts: bool,
    /// What may be handed which data, where there are classes of it.
    pub(crate) data: Option<crate::data::Marks>,
    /// What is said of policies in place of what is.
    pub(crate) limits: Vec<(String, String)>,
}

/// Most canons that are kept at once.
const KEPT_MAX: usize = 1_000;

thread_local! {
    static CANONS: RefCell<BTreeMap<Lists, Rc<Canon>>> = const { RefCell::new(BTreeMap::new()) };
}

impl Lists {
    /// The canon that says so. Each is loaded once, and kept for a while.
    pub(crate) fn canon(&self) -> Rc<Canon> {
        CANONS.with_borrow_mut(|canons| {
            if canons.len() >= KEPT_MAX && !canons.contains_key(self) {
                canons.clear();
            }
            Rc::clone(canons.entry(self.clone()).or_insert_with(|| Rc::new(self.load())))
        })
    }

    fn load(&self) -> Canon {
        let quoted = |names: &[String]| {
            names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
        };
        let within = self.within.iter();
        let roots: String = within
            .map(|(root, it)| format!("{root} = {{ within = [{}] }}\n", quoted(it)))
            .collect();
        let env = quoted(&Vec::from_iter(self.env.iter().cloned()));
        let env = if env.is_empty() { String::new() } else { format!(", env = [{env}]") };
        let programs = self.programs.iter().map(|(program, network)| {
            format!("{{ program = {program:?}, network = {network}{env} }}")
        });
        let programs = programs.collect::<Vec<_>>().join(", ");
        let models = self.models.iter();
        let models: String =
            models.map(|model| format!("[models.{model}]\nprovider = \"cassette\"\n")).collect();
        canon_with(|path, text| match path {
            "canon.toml" => {
                let environments = if self.is_for_staging { STAGING } else { "[change]" };
                let text = text
                    .replace("[change]", environments)
                    .replace("resources_max = 4", "resources_max = 2")
                    .replace("amount_max = 1_000_000", "amount_max = 7")
                    .replace(
                        r#"["http.request", "file.delete"]"#,
                        r#"["file.write", "file.delete"]"#,
                    )
                    .replace("\"wait\"", "\"refuse\"")
                    .replace(
                        r#"allow = ["api.example.com"]"#,
                        &format!("allow = [{}]", self.hosts.join(", ")),
                    )
                    .replace(r#"allow = ["sort"]"#, &format!("allow = [{programs}]"))
                    .replace("\"*\" = { within = [\"/\"] }", &roots)
                    + &models
                    + if self.counts { PER_DAY } else { "" };
                crate::data::marked(text, self.data.as_ref())
            }
            "policies/effects.cedar" => {
                let said = |text: String, (from, to): &(String, String)| text.replace(from, to);
                let per_day = if self.counts { "2 per run; 3 per day" } else { "2 per run" };
                let policies = POLICIES.replace("2 per run", per_day);
                self.limits.iter().fold(policies, said)
            }
            "facts/people.json" if self.knows_stranger => text.replacen(
                '[',
                r#"[{ "uid": { "type": "Agent", "id": "stranger" }, "attrs": {}, "parents": [] },"#,
                1,
            ),
            _ => text.to_owned(),
        })
    }
}
