//! The change that a refusal names turns it round, and no smaller one does: against brute
//! force over small domains.

use std::collections::BTreeMap;

use cog_base::json::{Map, Value};
use cog_canon::limits::{EVALUATIONS_MAX, FLIPS_MAX};
use cog_canon::{Canon, Change, Flip, Request, Ruling};

use crate::dice::Dice;
use crate::house::{self, FACTS, PLAIN, POLICIES, SCHEMA, SETTINGS};

const SETS: u64 = 160;
const REQUESTS: usize = 4;

/// The whole of the small domain.
const NUMBERS: std::ops::RangeInclusive<i64> = -70..=70;
const WORDS: [&str; 4] = ["red", "green", "blue", "black"];
const ROOTS: [&str; 3] = ["payments", "notes", "inbox"];
const USERS: [&str; 3] = ["ada", "bob", "cfo"];
/// Stands for every text that no policy mentions.
const ANOTHER: &str = "something else entirely";

const SMALL: &str = r#"
entity Role;
entity User in [Role] { level: Long };
entity Root { owner: String };
action "pay" appliesTo {
  principal: [User], resource: [Root],
  context: { a: Long, b: Long, c?: Long, word: String, dry: Bool, args: { cents: Long } },
};
"#;

/// Whether conditions are arithmetic or compare an attribute with a number only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Arithmetic,
}

/// A request that can be changed.
#[derive(Clone, Debug)]
struct Wish {
    user: String,
    root: String,
    context: Map,
}

impl Wish {
    fn roll(dice: &mut Dice) -> Self {
        let mut context = Map::new();
        for name in ["a", "b", "c"] {
            context.insert(name.into(), dice.between(-15, 15).into());
        }
        if dice.once_in(3) {
            context.remove("c");
        }
        context.insert("word".into(), dice.pick(&WORDS).into());
        context.insert("dry".into(), dice.once_in(2).into());
        context.insert("args".into(), Value::map([("cents", dice.between(-15, 15))]));
        let user = dice.pick(&USERS).to_owned();
        Self { user, root: dice.pick(&ROOTS).to_owned(), context }
    }

    fn with<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        ask(&Request {
            principal: &format!("user:{}", self.user),
            action: "pay",
            resource: ("Root", &self.root),
            context: &self.context,
        })
    }

    fn permitted(&self, canon: &Canon) -> bool {
        self.with(|request| canon.evaluate(request).ruling == Ruling::Permit)
    }

    /// The search is small enough to try everything.
    fn flips(&self, canon: &Canon) -> Vec<Flip> {
        let found = self.with(|request| canon.ways_out(request));
        assert!(found.evaluations <= EVALUATIONS_MAX, "{found:?}");
        found.flips
    }

    fn set(&mut self, path: &str, value: Value) {
        match path.split_once('.') {
            None => drop(self.context.insert(path.to_owned(), value)),
            Some((outer, inner)) => {
                let Some(Value::Map(members)) = self.context.get_mut(outer) else {
                    panic!("{path}")
                };
                members.insert(inner.to_owned(), value);
            }
        }
    }

    fn put(&self, path: &str, value: impl Into<Value>) -> Self {
        let mut changed = self.clone();
        changed.set(path, value.into());
        changed
    }

    fn make(&self, change: &Change) -> Self {
        match change {
            Change::Number { path, to, .. } => self.put(path, *to),
            Change::Text { path, to, .. } => self.put(path, to.as_str()),
            Change::Other { path, .. } => self.put(path, ANOTHER),
            Change::Truth { path, from } => self.put(path, !from),
            Change::Resource { to, .. } => Self { root: to.clone(), ..self.clone() },
            Change::Principal { to, .. } => {
                Self { user: to.strip_prefix("user:").unwrap().to_owned(), ..self.clone() }
            }
        }
    }

    /// Where it has numbers, and which.
    fn numbers(&self) -> Vec<(&'static str, i64)> {
        let paths = ["a", "b", "c", "args.cents"];
        let at = |path: &str| {
            path.split('.')
                .try_fold(&self.context, |map, name| map.get(name).and_then(Value::as_map))
                .is_none()
        };
        let value = |path: &'static str| {
            assert!(at(path), "a number is no object");
            let first = path.split('.').next().unwrap();
            let value = self.context.get(first)?;
            value.as_int().or_else(|| value.get("cents")?.as_int()).map(|number| (path, number))
        };
        paths.into_iter().filter_map(value).collect()
    }

    /// Everything that differs from it in one part, each said as the canon says it.
    fn others(&self) -> Vec<(Change, Self)> {
        let mut changes = Vec::new();
        for (path, from) in self.numbers() {
            // Less than nothing is no way out for an amount.
            let is_amount = path == "args.cents";
            let to = NUMBERS.filter(|to| *to != from && (*to >= 0 || !is_amount));
            changes.extend(to.map(|to| Change::Number {
                path: path.into(),
                from,
                to,
                alone: false,
            }));
        }
        let word = self.context.get("word").unwrap().as_text().unwrap();
        changes.push(Change::Other { path: "word".into(), from: word.into() });
        for to in WORDS.iter().filter(|other| **other != word) {
            let (from, to) = (word.to_owned(), (*to).to_owned());
            changes.push(Change::Text { path: "word".into(), from, to, or: Vec::new() });
        }
        let from = self.context.get("dry").unwrap().as_bool().unwrap();
        changes.push(Change::Truth { path: "dry".into(), from });
        for to in ROOTS.iter().filter(|other| **other != self.root) {
            let (kind, from, to) = ("Root".into(), self.root.clone(), (*to).to_owned());
            changes.push(Change::Resource { kind, from, to });
        }
        for to in USERS.iter().filter(|other| **other != self.user) {
            let from = format!("user:{}", self.user);
            changes.push(Change::Principal { from, to: format!("user:{to}") });
        }
        changes.into_iter().map(|change| (change.clone(), self.make(&change))).collect()
    }
}

fn policies(dice: &mut Dice, kind: Kind) -> String {
    let count = 1 + dice.below(5);
    let one = |dice: &mut Dice, number: usize| {
        let effect = if number > 0 && dice.once_in(4) { "forbid" } else { "permit" };
        let root = dice.pick(&ROOTS);
        let resource = [String::from("resource"), format!("resource == Root::\"{root}\"")];
        let resource = &resource[dice.below(2)];
        let role = dice.pick(&["principal", "principal in Role::\"board\""]);
        let conditions: Vec<_> = (0..=dice.below(3)).map(|_| condition(dice, kind)).collect();
        let conditions = conditions.join(dice.pick(&[" && ", " && ", " || "]));
        let approval = if effect == "permit" && dice.once_in(3) {
            "@approval(\"1 of role:board\") "
        } else {
            ""
        };
        format!(
            "@id(\"p{number}\") {approval}{effect} ({role}, action, {resource}) when {{ {conditions} }};"
        )
    };
    (0..count).map(|number| one(dice, number)).collect::<Vec<_>>().join("\n")
}

fn condition(dice: &mut Dice, kind: Kind) -> String {
    let number = dice.between(-12, 12);
    let compared = dice.pick(&["<", "<=", ">", ">=", "==", "!="]);
    let path = dice.pick(&["context.a", "context.b", "context.args.cents"]);
    let word = dice.pick(&WORDS);
    match dice.below(10) {
        0..=3 if kind == Kind::Arithmetic => {
            let sum = dice.pick(&["+", "-"]);
            let other = dice.pick(&["context.b", "3", "principal.level", "context.a"]);
            let times = dice.pick(&["1", "2", "3"]);
            format!("({path} * {times} {sum} {other}) {compared} {number}")
        }
        0..=3 => format!("{path} {compared} {number}"),
        4 if kind == Kind::Arithmetic && dice.once_in(2) => match dice.below(3) {
            0 => format!("[{number}, 40, -3].contains({path} - context.b)"),
            1 => format!("(if context.dry then {path} else 7) {compared} {number}"),
            _ => format!("(if {path} < 9 then !context.dry else {path} > {number})"),
        },
        4 => format!("(context has c && context.c {compared} {number})"),
        5 => format!("context.word == \"{word}\""),
        6 => format!("!([\"{word}\", \"blue\"].contains(context.word))"),
        7 => dice.pick(&["context.dry", "!context.dry"]).to_owned(),
        8 => format!("principal.level {compared} {number}"),
        _ => "context.word == resource.owner".to_owned(),
    }
}

fn facts(dice: &mut Dice) -> String {
    let role =
        |name| format!(r#"{{"uid":{{"type":"Role","id":"{name}"}},"attrs":{{}},"parents":[]}}"#);
    let mut all = vec![role("board"), role("staff")];
    for (place, user) in USERS.iter().enumerate() {
        let role = if place == 0 { "board" } else { dice.pick(&["board", "staff"]) };
        let level = dice.between(-9, 9);
        all.push(format!(
            r#"{{"uid":{{"type":"User","id":"{user}"}},"attrs":{{"level":{level}}},"parents":[{{"type":"Role","id":"{role}"}}]}}"#
        ));
    }
    for root in ROOTS {
        let owner = dice.pick(&WORDS);
        all.push(format!(
            r#"{{"uid":{{"type":"Root","id":"{root}"}},"attrs":{{"owner":"{owner}"}},"parents":[]}}"#
        ));
    }
    format!("[{}]", all.join(","))
}

/// What has been seen, so that the tests are not empty.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    fn see(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// Put each flip of each refusal of generated canons to the test.
fn check(kind: Kind) -> Tally {
    let mut tally = Tally::default();
    for seed in 0..SETS {
        let mut dice = Dice::new(seed);
        let (policies, facts) = (policies(&mut dice, kind), facts(&mut dice));
        let files = [(SETTINGS, PLAIN), (SCHEMA, SMALL), (POLICIES, &policies), (FACTS, &facts)];
        let canon = house::load(&files);
        for _ in 0..REQUESTS {
            let wish = Wish::roll(&mut dice);
            let flips = wish.flips(&canon);
            let place = format!("seed {seed}: {wish:?}\n{policies}\n{facts}\n{flips:#?}");
            if wish.permitted(&canon) {
                assert!(flips.is_empty(), "{place}");
                tally.see("permitted");
                continue;
            }
            assert!(flips.len() <= FLIPS_MAX, "{place}");
            flips.iter().for_each(|flip| really_permits(&canon, &wish, flip, &place));
            compare(&canon, &wish, &flips, &place, &mut tally);
        }
    }
    tally
}

fn really_permits(canon: &Canon, wish: &Wish, flip: &Flip, place: &str) {
    for (which, change) in flip.changes.iter().enumerate() {
        let Change::Text { path, from, or, .. } = change else { continue };
        for to in or {
            let (path, from, to) = (path.clone(), from.clone(), to.clone());
            let mut as_well = flip.clone();
            as_well.changes[which] = Change::Text { path, from, to, or: Vec::new() };
            really_permits(canon, wish, &as_well, place);
        }
    }
    let changed = flip.changes.iter().fold(wish.clone(), |wish, change| wish.make(change));
    assert!(changed.permitted(canon), "does not permit: {flip:?}\n{place}");
    let asks = changed.with(|request| canon.evaluate(request).obligations.len());
    assert_eq!(flip.approvals.len(), asks, "{flip:?}\n{place}");
    assert_eq!(flip.approvals.is_empty(), !flip.describe().contains("approval"), "{flip:?}");
}

/// Brute force over the domain beside what was reported.
fn compare(canon: &Canon, wish: &Wish, flips: &[Flip], place: &str, tally: &mut Tally) {
    let good: Vec<_> = wish.others().into_iter().filter(|(_, it)| it.permitted(canon)).collect();
    let single = flips.iter().all(|flip| flip.changes.len() == 1);
    assert!(single || good.is_empty(), "one change suffices: {:?}\n{place}", good[0].0);
    if !good.is_empty() {
        assert!(!flips.is_empty(), "nothing found, yet: {:?}\n{place}", good[0].0);
    }
    for flip in flips {
        tally.see(match flip.changes.as_slice() {
            [Change::Number { .. }] => "number",
            [Change::Text { .. }] => "text",
            [Change::Other { .. }] => "other",
            [Change::Truth { .. }] => "truth",
            [Change::Resource { .. }] => "resource",
            [Change::Principal { .. }] => "principal",
            several => {
                assert_eq!(several.len(), 2, "{place}");
                "pair"
            }
        });
        if let [Change::Number { path, from, to, alone }] = flip.changes.as_slice() {
            let beyond = wish.put(path, to + (to - from).signum()).permitted(canon);
            assert_eq!(*alone, !beyond, "beyond {to}\n{place}");
            let nearer = good.iter().find(|(change, _)| {
                matches!(change, Change::Number { path: other, to: near, .. }
                    if other == path && near.abs_diff(*from) < to.abs_diff(*from))
            });
            assert_eq!(nearer.map(|(change, _)| change), None, "nearer than {to}\n{place}");
        }
    }
    if flips.is_empty() {
        tally.see("hopeless");
    }
}

#[expect(clippy::print_stdout, reason = "how much was tried is part of the result")]
fn varied(tally: &Tally) {
    let Tally(seen) = tally;
    println!("counted: {} requests under {SETS} canons, flipped: {seen:?}", SETS * REQUESTS as u64);
    let kinds = ["number", "text", "other", "truth", "resource", "principal", "pair", "permitted"];
    for kind in kinds {
        assert!(seen.get(kind).is_some_and(|count| *count >= 10), "{kind}: {seen:?}");
    }
}

#[test]
fn each_flip_permits_and_no_nearer_number_does() {
    varied(&check(Kind::Plain));
}

#[test]
fn arithmetic_does_not_hide_the_nearest_number() {
    varied(&check(Kind::Arithmetic));
}
