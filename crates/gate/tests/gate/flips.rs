//! The change that a refusal names turns it round, and a smaller one does not.

use cog_base::Micros;
use cog_base::json::parse;
use cog_gate::decision::{Verdict, decide};
use cog_gate::explain::ways_out;
use cog_gate::snapshot::{Access, Snapshot};
use cog_gate::{Answer, AnyEffect, Intent};
use proptest::prelude::*;

use crate::decisions::preview;
use crate::house::{CLERK, House, actor, ample, canon_with, effect};

/// An intent to write, by what may be wrong with it.
#[derive(Clone, Debug)]
struct Wish {
    root: String,
    path: String,
    cents: u64,
    cost: u64,
}

impl Wish {
    fn effect(&self) -> AnyEffect {
        let Self { root, path, cents, .. } = self;
        effect(
            "file.write",
            &format!(
                r#"{{"root":"{root}","path":"{path}","document":{{"amount_cents":{cents}}}}}"#
            ),
        )
    }

    fn intent(&self, house: &House) -> Intent {
        let cost = Micros::new(self.cost);
        Intent::new(&house.origin, "pay", actor(CLERK), &self.effect(), cost, "medium")
    }
}

/// Make the change that one part of a flip names.
fn apply(part: &str, wish: &mut Wish, snapshot: &mut Snapshot) {
    let number = |text: &str| text.parse::<u64>().unwrap();
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(count) = part.strip_prefix("if the run might use ") {
        snapshot.effects.limit = Some(number(count.strip_suffix(" effects").unwrap()));
    } else if let Some(dollars) = part.strip_prefix("if the run's budget were at least $") {
        let (whole, fraction) = dollars.split_once('.').unwrap();
        snapshot.budget.limit =
            Some(number(whole) * 1_000_000 + number(&format!("{fraction:0<6}")));
    } else if let Some(cents) = part.strip_prefix("if args.document.amount_cents were at most ") {
        wish.cents = number(cents.split(' ').next().unwrap());
    } else if part == "if it touched only what the run has touched already" {
        snapshot.spread.adds = 0;
    } else if let Some(action) = part.strip_prefix("if the run had not done ") {
        snapshot.spread.actions.remove(action.strip_suffix(" before").unwrap());
    } else if part.starts_with("if the workflow declared the root") {
        snapshot.roots.insert(quoted(part), Access::Write);
    } else if part.starts_with("if the path stayed inside") {
        wish.path = "inside.json".to_owned();
    } else {
        panic!("nobody knows how to do this: {part}");
    }
}

/// Take back a little of a change that names a number.
fn almost(part: &str, wish: &mut Wish, snapshot: &mut Snapshot) -> bool {
    if part.starts_with("if the run might use") {
        snapshot.effects.limit = snapshot.effects.limit.map(|limit| limit - 1);
    } else if part.starts_with("if the run's budget") {
        snapshot.budget.limit = snapshot.budget.limit.map(|limit| limit - 1);
    } else if part.starts_with("if args.document.amount_cents") {
        wish.cents += 1;
    } else {
        return false;
    }
    true
}

prop_compose! {
    fn cases()(
        root in 0..3_usize,
        path in 0..2_usize,
        cents in 0..5_u64,
        cost in 0..4_u64,
        effects in (0..3_u64, 0..3_u64),
        budget in (0..4_u64, 0..4_u64),
        resources in 0..3_u64,
        adds in 0..2_u64,
        moved in 0..3_u64,
        deleted in any::<bool>(),
    ) -> (Wish, [u64; 7], bool) {
        let root = ["payments", "invoices", "secrets"][root].to_owned();
        let path = ["acme.json", "../acme.json"][path].to_owned();
        let numbers = [effects.0, effects.1, budget.0, budget.1, resources, adds, moved];
        (Wish { root, path, cents, cost }, numbers, deleted)
    }
}

/// A canon in which any write is permitted and the envelope is tight.
fn tight() -> cog_canon::Canon {
    canon_with(|path, text| match path {
        "canon.toml" => text
            .replace("resources_max = 4", "resources_max = 2")
            .replace("amount_max = 1_000_000", "amount_max = 3")
            .replace(r#"["http.request", "file.delete"]"#, r#"["file.write", "file.delete"]"#),
        "policies/effects.cedar" => {
            r#"@id("any") permit (principal, action, resource);"#.to_owned()
        }
        _ => text.to_owned(),
    })
}

/// Whether anything is found that would turn round a refusal to read a file, and whether its
/// trace says that the search was cut short.
fn search_among(rules: usize) -> (bool, bool) {
    let rule = |number: usize| {
        format!(
            "@id(\"p{number}\") permit (principal, action == Action::\"file.read\", resource)
               when {{ context.args.path == \"f{number}\" && context.cost_micros == {} }};",
            2 * number + 1
        )
    };
    let rules: String = (0..rules).map(rule).collect();
    let canon = canon_with(|path, text| match path {
        "policies/effects.cedar" => rules.clone(),
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    let read = effect("file.read", r#"{"root":"invoices","path":"other"}"#);
    let Answer::Refused(refusal) = house.ask(CLERK, read) else { panic!("nothing permits it") };
    let trace = parse(std::str::from_utf8(&refusal.draft.body.unwrap().bytes).unwrap()).unwrap();
    (!refusal.flips.is_empty(), trace.at(&["trace", "flips_cut"]) == Some(&true.into()))
}

#[test]
fn the_trace_says_when_the_search_was_cut_short() {
    assert_eq!(search_among(4), (true, false));
    assert_eq!(search_among(1_000), (false, true));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_refusal_names_turns_it_round_and_less_does_not((wish, numbers, deleted) in cases()) {
        static CANON: std::sync::OnceLock<cog_canon::Canon> = std::sync::OnceLock::new();
        let canon = CANON.get_or_init(tight);
        let mut house = House::new();
        let [used, limit, spent, most, resources, adds, moved] = numbers;
        let (_, mut snapshot) = preview(&mut house, CLERK, &wish.effect());
        snapshot.canon = Some(canon.digest());
        snapshot.roots.remove("secrets");
        (snapshot.effects.used, snapshot.effects.limit) = (used, Some(limit));
        (snapshot.budget.used, snapshot.budget.limit) = (spent, Some(most));
        (snapshot.spread.resources, snapshot.spread.adds) = (resources, adds);
        snapshot.spread.amount = moved;
        if deleted {
            snapshot.spread.actions.insert("file.delete".to_owned());
        }
        let intent = wish.intent(&house);
        let decision = decide(&intent, &snapshot, Some(canon));
        let ways_out = ways_out(&intent, &snapshot, Some(canon), &decision, &|_| None).flips;
        prop_assert_eq!(ways_out.is_empty(), !matches!(decision.verdict, Verdict::Refuse(_)));
        for flip in ways_out {
            let (mut changed, mut then) = (wish.clone(), snapshot.clone());
            for part in flip.split(", and ") {
                apply(part, &mut changed, &mut then);
            }
            let after = decide(&changed.intent(&house), &then, Some(canon));
            prop_assert_eq!(&after.verdict, &Verdict::Allow, "{}", &flip);
            for part in flip.split(", and ") {
                let (mut less, mut before) = (changed.clone(), then.clone());
                if almost(part, &mut less, &mut before) {
                    let after = decide(&less.intent(&house), &before, Some(canon));
                    prop_assert!(matches!(after.verdict, Verdict::Refuse(_)), "{}", &flip);
                }
            }
        }
    }
}

/// Of two changes of which one alone suffices, the other is not named.
#[test]
fn who_is_not_known_need_not_be_when_another_asks() {
    let canon = canon_with(|path, text| match path {
        "policies/effects.cedar" => {
            r#"@id("clerk") permit (principal == Agent::"clerk", action, resource);"#.to_owned()
        }
        _ => text.to_owned(),
    });
    let mut house = House::new();
    (house.in_force, house.canon) = (Some(canon.digest()), Some(canon.into()));
    let note = effect("file.write", r#"{"root":"notes","path":"a","text":"b"}"#);
    let (intent, snapshot) = preview(&mut house, "agent:stranger", &note);
    let decision = decide(&intent, &snapshot, house.canon.as_deref());
    let flips = ways_out(&intent, &snapshot, house.canon.as_deref(), &decision, &|_| None).flips;
    assert_eq!(flips, ["if agent:clerk asked for it (it is agent:stranger)"]);
    let (intent, snapshot) = preview(&mut house, CLERK, &note);
    assert_eq!(decide(&intent, &snapshot, house.canon.as_deref()).verdict, Verdict::Allow);
}
