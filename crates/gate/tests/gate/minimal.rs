//! What is named where several checks fail is made, and decided again: it turns the refusal
//! round, none of it can be left out, and no smaller set of changes would do.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher as _;

use cog_base::entropy::SeededEntropy;
use cog_base::id::ApprovalId;
use cog_base::{Digest, Micros, Period, Source, Sources, Timestamp, Value};
use cog_gate::decision::{Outcome, Verdict, decide};
use cog_gate::explain::ways_out;
use cog_gate::snapshot::{
    Access, Allowance, Approval, Conflict, Folder, Snapshot, Spread, Tally, TenantStatus,
};
use cog_gate::{AnyEffect, Intent};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::house::{CLERK, House, actor, effect, noon};
use crate::lists::Lists;

/// Names the seed of the worlds that are not the same each time, to make those once more.
const SEED: &str = "COGNITIONOS_SEED";
pub(crate) const ROOTS: [&str; 3] = ["payments", "notes", "drafts"];
pub(crate) const CENTS: &str = "args.document.amount_cents";
pub(crate) const STRANGER: &str = "agent:stranger";
/// Midnight, outside of the window for programs.
pub(crate) const NIGHT_MS: u64 = 12 * 60 * 60 * 1_000;

/// Everything that a decision reads, in a form that is easily changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) who: String,
    pub(crate) action: &'static str,
    pub(crate) root: String,
    pub(crate) path: String,
    pub(crate) cents: i64,
    pub(crate) cost: u64,
    pub(crate) url: String,
    pub(crate) program: (String, bool),
    pub(crate) env: Vec<&'static str>,
    pub(crate) model: String,
    /// The class of what it hands on.
    pub(crate) class: &'static str,
    pub(crate) tenant: TenantStatus,
    pub(crate) entitled: bool,
    pub(crate) effects: (u64, u64),
    pub(crate) budget: (u64, u64),
    pub(crate) access: BTreeMap<String, Access>,
    /// Roots of which somebody else holds what would be touched.
    pub(crate) held: Vec<String>,
    pub(crate) is_new: bool,
    pub(crate) resources: u64,
    pub(crate) moved: u64,
    pub(crate) receipts: u64,
    pub(crate) summed: u64,
    pub(crate) is_deleted: bool,
    /// The intent to which somebody said no.
    pub(crate) rejected: Option<Digest>,
    pub(crate) behind_ms: u64,
    pub(crate) now: Timestamp,
    pub(crate) is_current: bool,
    /// What the domain did in the day on which it is asked: effects, what they moved, and what
    /// models were asked.
    pub(crate) today: (u64, u64, u64),
    pub(crate) day: Timestamp,
    /// Whether it is to be asked within the hours for programs.
    pub(crate) in_hours: bool,
    pub(crate) lists: Lists,
}

impl World {
    fn effect(&self) -> AnyEffect {
        let Self { root, path, cents, url, program: (program, network), model, .. } = self;
        let args = match self.action {
            "file.write" => format!(
                r#"{{"root":"{root}","path":"{path}","document":{{"amount_cents":{cents}}}}}"#
            ),
            "http.request" => format!(r#"{{"url":"{url}"}}"#),
            "process.run" => {
                let env = Value::map(self.env.iter().map(|name| (*name, "x")));
                format!(
                    r#"{{"program":"{program}","root":"{root}","network":{network},"env":{env}}}"#
                )
            }
            _ => format!(r#"{{"model":"{model}","messages":[]}}"#),
        };
        effect(self.action, &args)
    }

    pub(crate) fn intent(&self) -> Intent {
        let house = house_origin();
        let cost = Micros::new(self.cost);
        let intent = Intent::new(&house, "pay", actor(&self.who), &self.effect(), cost, "medium");
        let canon = self.lists.canon();
        let rules = self.lists.data.as_ref().and(canon.settings().data.as_ref());
        let labelled = Source::Labelled(self.class.to_owned());
        rules.map_or(intent.clone(), |rules| intent.classed(rules, &Sources::of(labelled, "it")))
    }

    /// The snapshot that a decision about an intent reads in this world.
    pub(crate) fn snapshot(&self, intent: &Intent) -> Snapshot {
        let version = self.lists.canon().digest();
        let is_held = intent.root().is_some_and(|root| self.held.iter().any(|held| held == root));
        let conflict = Conflict { key: "file:it".into(), holder: "another".into() };
        let approval = Approval {
            id: ApprovalId::new(noon(), &mut SeededEntropy::new(1)).unwrap(),
            intent: intent.digest(),
            canon: version,
            by: Default::default(),
            escalated: false,
            rejected: true,
            expires: noon().plus_ms(u64::MAX / 4_000),
        };
        let is_rejected = self.rejected == Some(intent.digest());
        let sums = [(format!("pay.small {CENTS}"), self.summed)];
        let counts = [("pay.small".to_owned(), self.receipts), ("model".to_owned(), self.receipts)];
        Snapshot {
            now: self.now,
            clock_behind_ms: self.behind_ms,
            tenant: self.tenant,
            entitled: (!self.entitled).then(Default::default),
            effects: Allowance { used: self.effects.0, limit: Some(self.effects.1) },
            budget: Allowance { used: self.budget.0, limit: Some(self.budget.1) },
            canon: if self.is_current { Some(version) } else { None },
            roots: self.access.clone(),
            folder: intent.root().map(|root| Folder::new(&format!("/w/{root}"), "/w")),
            approvals: is_rejected.then_some(approval).into_iter().collect(),
            conflicts: is_held.then_some(conflict).into_iter().collect(),
            spread: Spread {
                resources: self.resources,
                adds: u64::from(self.is_new),
                amount: self.moved,
                actions: self.is_deleted.then(|| "file.delete".to_owned()).into_iter().collect(),
                receipts_by_policy: counts.into(),
                sums_by_policy: sums.into(),
            },
            periods: if self.lists.counts { self.periods() } else { BTreeMap::new() },
        }
    }

    fn periods(&self) -> BTreeMap<Period, Tally> {
        let (effects, amount, asked) = self.today;
        let receipts_by_policy = [("model".to_owned(), asked)].into();
        let tally = Tally { effects, amount, receipts_by_policy, ..Tally::new(self.day) };
        [(Period::Day, tally)].into()
    }

    fn verdict(&self) -> Verdict {
        let intent = self.intent();
        decide(&intent, &self.snapshot(&intent), Some(&self.lists.canon())).verdict
    }

    fn is_refused(&self) -> bool {
        matches!(self.verdict(), Verdict::Refuse(_))
    }

    /// The ways out, and how many checks fail.
    pub(crate) fn ways_out(&self) -> (Vec<String>, usize) {
        let intent = self.intent();
        let (snapshot, canon) = (self.snapshot(&intent), self.lists.canon());
        let canon = Some(&*canon);
        let decision = decide(&intent, &snapshot, canon);
        let failing = decision.checks.iter().filter(|it| it.outcome == Outcome::Fail).count();
        let elsewhere = |intent: &Intent| Some(self.snapshot(intent));
        let found = ways_out(&intent, &snapshot, canon, &decision, &elsewhere);
        assert!(!found.cut, "{self:?}");
        (found.flips, failing)
    }

    pub(crate) fn list_host(&mut self, host: &str) {
        let line =
            r#"{ host = "HOST", ports = [80, 443, 8443], private = true, plain_http = true }"#;
        self.lists.hosts.push(line.replace("HOST", host));
    }

    /// Make the change that a part of a flip names.
    fn make(&mut self, part: &str) {
        let quoted = |place: usize| part.split('`').nth(place).unwrap_or_default().to_owned();
        let number = |text: &str| -> u64 { text.split(' ').next().unwrap().parse().unwrap() };
        let after = |before: &str| part.strip_prefix(before);
        if self.make_data(part) {
            return;
        }
        if part == "the tenant were active" {
            self.tenant = TenantStatus::Active;
        } else if part.starts_with("the plan included") {
            self.entitled = true;
        } else if let Some(rest) = after("the run might use ") {
            self.effects.1 = number(rest);
        } else if let Some(dollars) = after("the run's budget were at least $") {
            let (whole, fraction) = dollars.split_once('.').unwrap();
            self.budget.1 = number(whole) * 1_000_000 + number(&format!("{fraction:0<6}"));
        } else if part.starts_with("the canon knew") {
            self.lists.knows_stranger = true;
        } else if part.starts_with("the workflow declared the root") {
            let access = if part.ends_with("write") { Access::Write } else { Access::Read };
            self.access.insert(quoted(1), access);
        } else if part.starts_with("it ran in the root") {
            self.root = quoted(1);
        } else if part.starts_with("the path stayed inside") {
            self.path = self.path.replace("../", "");
        } else if part.starts_with("the canon let the root") {
            let folder = part.rsplit(' ').next().unwrap().to_owned();
            self.lists.within.entry(quoted(1)).or_default().push(folder);
        } else if part.starts_with("the canon listed the host") {
            self.list_host(&quoted(1));
        } else if part.starts_with("the URL began with") {
            self.url = self.url.replace("http://", "https://");
        } else if part.starts_with("the URL held no user") {
            self.url = self.url.replace("***@", "");
        } else if part.starts_with("the canon listed the program") {
            self.lists.programs.push((quoted(1), part.contains("network = true")));
            let env = part.split_once("env = [").map(|(_, names)| names.split('"'));
            self.lists.env.extend(env.into_iter().flatten().skip(1).step_by(2).map(str::to_owned));
        } else if part.starts_with("the canon listed the model") {
            self.lists.models.insert(quoted(1));
        } else if part.starts_with("it were about") {
            match part.split(' ').nth(3).unwrap() {
                "Root" => self.root = quoted(1),
                "Model" => self.model = quoted(1),
                "Program" => self.program.0 = quoted(1),
                "Host" => self.url = self.url.replace(&quoted(3), &quoted(1)),
                other => panic!("{other}"),
            }
        } else {
            self.make_other(part);
        }
    }

    /// Changes of the request, of limits and of what stands for a while.
    fn make_other(&mut self, part: &str) {
        let quoted = |place: usize| part.split('`').nth(place).unwrap_or_default().to_owned();
        let number = |text: &str| -> u64 { text.split(' ').next().unwrap().parse().unwrap() };
        let after = |before: &str| part.strip_prefix(before);
        if let Some(who) = part.split_once(" asked for it") {
            self.who = who.0.to_owned();
        } else if let Some(rest) = after("args.document.amount_cents were ") {
            self.cents =
                number(rest.trim_start_matches("at most ").trim_start_matches("at least "))
                    .try_into()
                    .unwrap();
        } else if let Some(rest) = after("cost_micros were at most ") {
            self.cost = number(rest);
        } else if part.starts_with("args.path were `") {
            self.path = quoted(1);
        } else if part.starts_with("args.path were another") {
            self.path = "another".into();
        } else if part.starts_with("args.network were") {
            self.program.1 = !self.program.1;
        } else if let Some(names) = after("args.env set no ") {
            self.env.retain(|name| !names.split(", ").any(|unset| unset == *name));
        } else if part.starts_with("the policy") {
            self.raise(part);
        } else if part.starts_with("it were asked again") {
            self.held.clear();
        } else if part.starts_with("it were asked mon-fri") {
            (self.in_hours, self.now) = (true, Period::Day.start(self.now).plus_ms(NIGHT_MS));
        } else if part == format!("it were asked from {} on", Period::Day.end(self.day).to_minute())
        {
            let hours_ms = if self.in_hours { NIGHT_MS } else { 0 };
            self.now = Period::Day.end(self.day).plus_ms(hours_ms);
        } else if part.starts_with("those who were asked") {
            self.rejected = None;
        } else if part.starts_with("it touched only") {
            self.is_new = false;
        } else if part.starts_with("the run had not done") {
            self.is_deleted = false;
        } else if part.starts_with("clock and canon") {
            (self.behind_ms, self.is_current) = (0, true);
        } else {
            panic!("nobody knows how to do this: {part}");
        }
    }

    fn raise(&mut self, part: &str) {
        let policy = part.split('`').nth(1).unwrap();
        let words: Vec<_> = part.split(' ').collect();
        let change = match (policy, part.contains("come to")) {
            ("pay.small", false) => ("3 per run".into(), format!("{} per run", words[4])),
            ("pay.small", true) => ("<= 5 per run".into(), format!("<= {} per run", words[7])),
            _ => ("2 per run".into(), format!("{} per run", words[4])),
        };
        self.lists.limits.push(change);
    }

    /// Single changes that somebody could think of, each made by itself: those that change anything,
    /// with their numbers. What others depend on comes first.
    fn others(&self) -> Vec<(usize, Self)> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            all.push(other);
        };
        if matches!(self.action, "file.write" | "process.run") {
            let root = self.root.clone();
            ROOTS.iter().for_each(|root| add(&|it| it.root = (*root).into()));
            add(&|it| it.access.extend([(root.clone(), Access::Write)]));
            add(&|it| it.lists.within.entry(root.clone()).or_default().push(format!("/w/{root}")));
        }
        add(&|it| it.tenant = TenantStatus::Active);
        add(&|it| it.entitled = true);
        add(&|it| it.effects.1 = 99);
        add(&|it| it.budget.1 = 99);
        add(&|it| it.lists.knows_stranger = true);
        add(&|it| it.who = CLERK.into());
        add(&|it| it.path = it.path.replace("../", ""));
        add(&|it| it.held.clear());
        add(&|it| it.now = noon());
        add(&|it| it.now = Period::Day.end(it.day));
        add(&|it| it.rejected = None);
        add(&|it| it.is_new = false);
        add(&|it| it.is_deleted = false);
        add(&|it| (it.behind_ms, it.is_current) = (0, true));
        add(&|it| it.cost = 0);
        match self.action {
            "http.request" => {
                add(&|it| it.list_host("b.example"));
                add(&|it| it.url = it.url.replace("***@", ""));
            }
            "process.run" => {
                add(&|it| it.lists.programs.push(("sort".into(), true)));
                add(&|it| it.lists.env.extend(["LANG".to_owned()]));
                add(&|it| it.program.1 = false);
                add(&|it| it.env.clear());
            }
            "model.chat" => {
                add(&|it| it.lists.models.extend(["oracle".to_owned()]));
                ["reader", "oracle"].iter().for_each(|model| add(&|it| it.model = (*model).into()));
            }
            _ => (0..10).for_each(|cents| add(&|it| it.cents = cents)),
        }
        all.extend(self.other_data());
        all.into_iter().enumerate().filter(|(_, other)| other != self).collect()
    }
}

pub(crate) fn house_origin() -> cog_gate::Origin {
    thread_local! {
        static ORIGIN: cog_gate::Origin = House::new().origin;
    }
    ORIGIN.with(Clone::clone)
}

/// The parts of a flip, without the consents that it would take.
fn parts(flip: &str) -> (Vec<String>, bool) {
    let (changes, consents) = match flip.split_once(", with the approval of ") {
        Some((changes, _)) => (changes, true),
        None => (flip, false),
    };
    let mut parts = Vec::new();
    for group in changes.strip_prefix("if ").unwrap().split(", and if ") {
        parts.extend(group.split(") and ").map(str::to_owned));
    }
    (parts, consents)
}

prop_compose! {
    fn people()(who in 0..4_usize, tenant in 0..8_u8, entitled in 0..6_u8, rejected in 0..4_u8,
        behind in 0..8_u8, current in 0..10_u8) -> (&'static str, TenantStatus, [bool; 3], u64) {
        let who = if who == 0 { STRANGER } else { CLERK };
        let tenant = if tenant == 0 { TenantStatus::Suspended } else { TenantStatus::Active };
        (who, tenant, [entitled > 0, rejected == 0, current > 0], if behind == 0 { 9_000 } else { 0 })
    }
}

prop_compose! {
    fn requests()(action in 0..7_usize, root in 0..3_usize, path in 0..4_usize, cents in -1..10_i64,
        cost in 0..9_u64, url in 0..5_usize, program in (0..2_usize, any::<bool>()), model in 0..2_usize)
        -> (&'static str, String, String, i64, u64, String, (String, bool), String) {
        let action = ["file.write", "http.request", "process.run", "model.chat"]
            [action.saturating_sub(3)];
        let url = ["https://b.example/", "http://b.example/x", "https://b.example:8443/",
            "https://cfo@b.example/", "https://a.example/"][url];
        let path = ["acme.json", "../acme.json", "draft.json", "../draft.json"][path];
        (action, ROOTS[root].into(), path.into(), cents, cost, url.replace("cfo", "***"),
            (["sort", "sh"][program.0].into(), program.1), ["reader", "oracle"][model].into())
    }
}

prop_compose! {
    pub(crate) fn worlds()(
        (who, tenant, [entitled, is_rejected, is_current], behind_ms) in people(),
        (action, root, path, cents, cost, url, program, model) in requests(),
        effects in (0..4_u64, 2..5_u64), budget in (0..6_u64, 4..12_u64),
        access in proptest::collection::vec(0..4_u8, 3), held in proptest::collection::vec(0..4_u8, 3),
        (is_new, is_deleted, is_night) in (any::<bool>(), 0..5_u8, any::<bool>()),
        (resources, moved, receipts, summed) in (0..4_u64, 0..5_u64, 0..5_u64, 0..7_u64),
        within in proptest::collection::vec(0..3_u8, 3), listed in 0..16_u8,
    ) -> World {
        let access = ROOTS.iter().zip(access).filter_map(|(root, it)| match it {
            0 => None,
            1 => Some(((*root).to_owned(), Access::Read)),
            _ => Some(((*root).to_owned(), Access::Write)),
        });
        let held = ROOTS.iter().zip(held).filter(|(_, it)| *it == 0);
        let within = ROOTS.iter().zip(within).filter_map(|(root, it)| match it {
            0 => None,
            1 => Some(((*root).to_owned(), vec!["/elsewhere".to_owned()])),
            _ => Some(((*root).to_owned(), vec!["/w".to_owned()])),
        });
        // Of what the canon lists, only what the action has to do with: so few canons are made.
        let about = |it: &str| action == it;
        let (is_host, is_program) = (about("http.request"), about("process.run"));
        let lists = Lists {
            knows_stranger: listed & 8 > 0,
            within: if is_program || about("file.write") { within.collect() } else { BTreeMap::new() },
            hosts: if is_host && listed & 1 > 0 { vec!["\"a.example\"".into()] } else { Vec::new() },
            programs: if is_program && listed & 2 > 0 { vec![("sort".into(), false)] } else { Vec::new() },
            env: BTreeSet::new(),
            models: (about("model.chat") && listed & 4 > 0).then(|| "oracle".to_owned()).into_iter().collect(),
            is_for_staging: false,
            counts: false,
            data: None,
            limits: Vec::new(),
        };
        let now = noon().plus_ms(if is_night { NIGHT_MS } else { 0 });
        let mut world = World {
            who: who.into(), action, root, path, cents, cost, url, program, model,
            class: "public", tenant, entitled,
            // Money is nothing to a program: what it moves says which variables it is lent.
            env: [&[][..], &[], &["LANG"], &["LD_X", "LANG"], &["LD_X"]][moved as usize].to_vec(),
            effects, budget, access: access.collect(),
            held: held.map(|(root, _)| (*root).to_owned()).collect(),
            is_new, resources, moved, receipts, summed, is_deleted: is_deleted == 0, rejected: None,
            behind_ms, now, is_current, today: (0, 0, 0), day: Period::Day.start(now),
            in_hours: false, lists,
        };
        world.rejected = is_rejected.then(|| world.intent().digest());
        world
    }
}

/// How small a set of the changes that somebody could think of would do, of those that are smaller than
/// `below`.
fn fewer(world: &World, below: usize) -> Option<usize> {
    (1..below).find(|count| would_do(world, 0, *count))
}

/// Whether so many changes would do, of those with this number and greater ones.
fn would_do(world: &World, from: usize, count: usize) -> bool {
    let mut others = world.others().into_iter().filter(|(number, _)| *number >= from);
    others.any(|(number, other)| match count {
        1 => !other.is_refused(),
        _ => would_do(&other, number, count - 1),
    })
}

/// Another seed each time, unless one is named.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "what is tried is not the same each time, and can be tried once more"
)]
fn fresh_seed() -> u64 {
    let named = std::env::var(SEED).ok().map(|seed| seed.parse().unwrap());
    named.unwrap_or_else(|| std::hash::RandomState::new().hash_one(SEED))
}

/// Of worlds that are the same each time, and of as many that are not, what is named is the smallest.
pub(crate) fn smallest_of(worlds: impl Strategy<Value = World>, cases: u32) {
    // Against sets of three fewer worlds are held, and the same ones each time.
    for (seed, most) in [(1, 3), (fresh_seed(), 2)] {
        let rng_seed = RngSeed::Fixed(seed);
        let config =
            ProptestConfig { cases, failure_persistence: None, rng_seed, ..Default::default() };
        let tried = TestRunner::new(config).run(&worlds, |world| smallest(&world, most));
        tried.unwrap_or_else(|error| panic!("{error}\nonce more: {SEED}={seed}"));
    }
}

#[test]
fn what_is_named_is_the_smallest_of_all_that_would_do() {
    smallest_of(worlds(), 64);
}

#[test]
fn it_is_the_smallest_of_all_where_the_domain_did_its_share_of_the_day() {
    smallest_of(busy(), 32);
}

prop_compose! {
    fn busy()(mut world in worlds(), today in (2..6_u64, 0..8_u64, 1..5_u64), is_poor in 0..3_u8) -> World {
        (world.lists.counts, world.today) = (true, today);
        // Where much else is amiss, what the domain did is lost among it.
        (world.tenant, world.entitled, world.behind_ms) = (TenantStatus::Active, true, 0);
        (world.who, world.path) = (CLERK.into(), world.path.replace("../", ""));
        world.access = ROOTS.map(|root| (root.to_owned(), Access::Write)).into();
        world.rejected = None;
        if is_poor > 0 {
            (world.effects, world.budget) = ((0, 9), (0, 99));
        }
        world
    }
}

/// What a refusal names turns it round, none of it is spare, and no smaller set would do, of up to
/// `most`.
fn smallest(world: &World, most: usize) -> Result<(), TestCaseError> {
    let (flips, failing) = world.ways_out();
    prop_assert_eq!(failing > 0, world.is_refused());
    prop_assert!(failing > 0 || flips.is_empty());
    for flip in &flips {
        let (parts, asks) = parts(flip);
        let made = |but: Option<usize>| {
            let mut changed = world.clone();
            let kept = parts.iter().enumerate().filter(|(place, _)| Some(*place) != but);
            kept.for_each(|(_, part)| changed.make(part));
            changed
        };
        let verdict = made(None).verdict();
        let is_asked = matches!(verdict, Verdict::NeedsApproval(_));
        prop_assert!(verdict == Verdict::Allow || is_asked, "{}: {:?}", flip, verdict);
        prop_assert!(asks == is_asked || flip.contains("those who were asked"), "{}", flip);
        for (place, part) in parts.iter().enumerate() {
            prop_assert!(made(Some(place)).is_refused(), "{}: {} is spare", flip, part);
        }
    }
    if let Some(first) = flips.first() {
        let size = parts(first).0.len();
        prop_assert!(flips.iter().all(|flip| parts(flip).0.len() == size), "{:?}", flips);
        // Of an amount below nothing only zero is tried, and no more under another policy.
        if size > 1 && world.cents >= 0 {
            prop_assert_eq!(
                fewer(world, size.min(most + 1)),
                None,
                "would do, but {:?} is named",
                flips
            );
        }
    } else if failing > 0 {
        prop_assert_eq!(fewer(world, 3), None, "would do, but nothing is named");
    }
    Ok(())
}

/// A world in which nothing is amiss.
pub(crate) fn fine() -> World {
    let within = ROOTS.map(|root| (root.to_owned(), vec!["/w".to_owned()]));
    World {
        who: CLERK.into(),
        action: "file.write",
        root: "payments".into(),
        path: "acme.json".into(),
        cents: 1,
        cost: 0,
        url: "https://a.example/".into(),
        program: ("sort".into(), false),
        env: Vec::new(),
        model: "reader".into(),
        class: "public",
        tenant: TenantStatus::Active,
        entitled: true,
        effects: (0, 9),
        budget: (0, 9),
        access: ROOTS.map(|root| (root.to_owned(), Access::Write)).into(),
        held: Vec::new(),
        is_new: true,
        resources: 0,
        moved: 0,
        receipts: 0,
        summed: 0,
        is_deleted: false,
        rejected: None,
        behind_ms: 0,
        now: noon(),
        is_current: true,
        today: (0, 0, 0),
        day: Period::Day.start(noon()),
        in_hours: false,
        lists: Lists { within: within.into(), ..Lists::default() },
    }
}
