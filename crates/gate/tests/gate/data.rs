//! Data is handed to nobody who may not have it, by its class; and what is named then is the least
//! that would do.

use std::collections::BTreeMap;

use cog_base::{Source, Sources};
use cog_canon::Canon;
use cog_gate::decision::{CheckName, Verdict, decide, read_record};
use cog_gate::{Answer, AnyEffect};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::decisions::preview;
use crate::house::{CLERK, House, ample, canon_with, effect, get};
use crate::minimal::{World, fine, smallest_of, worlds};

const CLASSES: [&str; 3] = ["public", "internal", "personal"];
const DATA: &str = "[data]\nclasses = [\"public\", \"internal\", \"personal\"]\n\
                    default = \"internal\"\n\n";

/// What a canon marks, by kind and name.
pub(crate) type Marks = BTreeMap<(String, String), String>;

/// The settings with classes, and with what is marked.
pub(crate) fn marked(settings: String, marks: Option<&Marks>) -> String {
    let Some(marks) = marks else { return settings };
    let mut text = settings.replace("[change]", &format!("{DATA}[change]"));
    for ((kind, name), class) in marks {
        let max = format!("class_max = \"{class}\"");
        text = match kind.as_str() {
            "model" => {
                let head = format!("[models.{name}]\n");
                text.replace(&head, &format!("{head}{max}\n"))
            }
            "root" if !text.contains(&format!("{name} = {{ within")) => {
                let none = format!("{name} = {{ within = [\"/nowhere\"], class = \"{class}\" }}");
                text.replace("[roots]\n", &format!("[roots]\n{none}\n"))
            }
            "root" => {
                let line = format!("{name} = {{ ");
                text.replace(&line, &format!("{line}class = \"{class}\", "))
            }
            _ => {
                let key = if kind == "host" { "host" } else { "program" };
                let plain = format!("[\"{name}\"");
                let table = format!("{key} = \"{name}\"");
                let listed = format!("{key} = \"{name}\", {max}");
                text.replace(&plain, &format!("[{{ {table} }}")).replace(&table, &listed)
            }
        };
    }
    text
}

impl World {
    /// Make the change of data that a part of a flip names; whether it is one.
    pub(crate) fn make_data(&mut self, part: &str) -> bool {
        let class = |text: &str| CLASSES.into_iter().find(|class| text.starts_with(class)).unwrap();
        if let Some(to) = part.strip_prefix("what it hands on were ") {
            self.class = class(to);
            return true;
        }
        let Some(rest) = part.strip_prefix("the canon let the ") else { return false };
        let Some((place, class_max)) = rest.split_once("` have ") else { return false };
        let (kind, name) = place.split_once(" `").unwrap();
        self.entrust(kind, name, class(class_max));
        true
    }

    pub(crate) fn entrust(&mut self, kind: &str, name: &str, class: &str) {
        if let Some(marks) = &mut self.lists.data {
            marks.insert((kind.to_owned(), name.to_owned()), class.to_owned());
        }
    }

    /// Single changes of data that somebody could think of.
    pub(crate) fn other_data(&self) -> Vec<Self> {
        let mut all = Vec::new();
        if self.lists.data.is_none() {
            return all;
        }
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut other = self.clone();
            change(&mut other);
            all.push(other);
        };
        CLASSES.iter().for_each(|class| add(&|it| it.class = class));
        let roots = [("root", "payments"), ("root", "notes"), ("root", "drafts")];
        let places = match self.action {
            "http.request" => vec![("host", "a.example"), ("host", "b.example")],
            "process.run" => [&roots[..], &[("program", "sort"), ("program", "sh")]].concat(),
            "model.chat" => vec![("model", "reader"), ("model", "oracle")],
            _ => roots.to_vec(),
        };
        for (kind, name) in places {
            add(&|it| it.entrust(kind, name, "personal"));
        }
        all
    }
}

prop_compose! {
    fn classed()(mut world in worlds(), class in 0..4_usize, marks in proptest::collection::vec(0..6_usize, 6))
        -> World {
        let places = [("root", "payments"), ("root", "notes"), ("model", "reader"),
            ("model", "oracle"), ("host", "a.example"), ("program", "sort")];
        world.class = CLASSES[class.min(2)];
        world.lists.data = Some(BTreeMap::new());
        for ((kind, name), mark) in places.into_iter().zip(marks) {
            let lists = &world.lists;
            let is_there = match kind {
                "root" => lists.within.contains_key(name),
                "host" => !lists.hosts.is_empty(),
                "program" => !lists.programs.is_empty(),
                _ => world.action == "model.chat" && (name == "reader" || lists.models.contains(name)),
            };
            if let Some(class) = CLASSES.get(mark).filter(|_| is_there) {
                world.entrust(kind, name, class);
            }
        }
        // Of a folder that two roots of different classes share no way out is named: both would
        // have to be marked anew (`root.shared`).
        let within = &world.lists.within;
        if within.contains_key("notes") && within.get("notes") == within.get("payments") {
            world.entrust("root", "notes", "personal");
            world.entrust("root", "payments", "personal");
        }
        if world.rejected.is_some() {
            world.rejected = Some(world.intent().digest());
        }
        world
    }
}

#[test]
fn where_data_is_too_confidential_what_is_named_is_the_smallest_too() {
    smallest_of(classed(), 32);
}

/// The house with classes, and marks on its places.
fn canon(policies: &'static str) -> Canon {
    canon_with(|path, text| match path {
        "canon.toml" => marked(
            text.replace("resources_max = 4", "resources_max = 9"),
            Some(&BTreeMap::from([
                (("model".into(), "reader".into()), "personal".into()),
                (("host".into(), "api.example.com".into()), "public".into()),
                (("program".into(), "sort".into()), "personal".into()),
            ])),
        )
        .replace(
            "\"*\" = { within = [\"/\"] }",
            "\"*\" = { within = [\"/\"] }\n\
            payments = { within = [\"/\"], class = \"personal\" }",
        ),
        "schema.cedarschema" => text.replace(
            "context: { cost_micros: Long },",
            "context: { cost_micros: Long, data_class?: String, data_classes?: Set<String> },",
        ),
        "policies/effects.cedar" => format!("{text}{policies}"),
        _ => text.to_owned(),
    })
}

fn from_root(name: &str) -> Sources {
    Sources::of(Source::Root(name.into()), "list")
}

fn check(sources: Sources, act: &AnyEffect, policies: &'static str, expected: Expect) {
    let mut house = House::with(canon(policies), ample());
    house.sources = sources;
    let (intent, snapshot) = preview(&mut house, CLERK, act);
    let decision = decide(&intent, &snapshot, house.canon.as_deref());
    let data = decision.checks.iter().find(|check| check.name == CheckName::Data).unwrap();
    let said = match house.ask(CLERK, act.clone()) {
        Answer::Refused(refusal) => format!("{}\n{}", refusal.reason, refusal.flips.join("\n")),
        Answer::Permitted(_) => "permitted".to_owned(),
        other @ (Answer::NeedsApproval(_) | Answer::Waits { .. }) => format!("{other:?}"),
    };
    expected.assert_eq(&format!("{} {}\n{said}", intent.class().unwrap(), data.code));
}

fn ask_reader() -> AnyEffect {
    effect("model.chat", r#"{"model":"reader","messages":[]}"#)
}

#[test]
fn what_a_place_may_not_have_is_not_handed_to_it() {
    let personal = || from_root("payments");
    check(
        personal(),
        &ask_reader(),
        "",
        expect![[r#"
        personal data.within
        permitted"#]],
    );
    check(
        personal(),
        &get("https://api.example.com/x").into(),
        "",
        expect![[r#"
        personal data.above_host
        The step `pay` would hand personal data (from the root `payments`, by the step `list`) to the host `api.example.com`, which may have public data at most.
        if the canon let the host `api.example.com` have personal data
        if what it hands on were public data at most (it is personal)"#]],
    );
    check(
        Sources::default(),
        &get("https://api.example.com/x").into(),
        "",
        expect![[r#"
        public data.within
        permitted"#]],
    );
    check(
        from_root("notes"),
        &get("https://api.example.com/x").into(),
        "",
        expect![[r#"
        internal data.above_host
        The step `pay` would hand internal data (from the root `notes`, by the step `list`) to the host `api.example.com`, which may have public data at most.
        if the canon let the host `api.example.com` have internal data
        if what it hands on were public data at most (it is internal)"#]],
    );
    let note = effect("file.write", r#"{"root":"notes","path":"a","text":"b"}"#);
    check(
        personal(),
        &note,
        "",
        expect![[r#"
        personal data.above_root
        The step `pay` would hand personal data (from the root `payments`, by the step `list`) to the root `notes`, which may have internal data at most.
        if the canon let the root `notes` have personal data
        if what it hands on were internal data at most (it is personal)"#]],
    );
    let sort = effect("process.run", r#"{"program":"sort","root":"notes"}"#);
    check(
        personal(),
        &sort,
        "",
        expect![[r#"
        personal data.above_root
        The step `pay` would hand personal data (from the root `payments`, by the step `list`) to the root `notes`, which may have internal data at most.
        if the canon let the root `notes` have personal data
        if what it hands on were internal data at most (it is personal)"#]],
    );
}

#[test]
fn policies_see_the_class_and_every_one_below_it() {
    let policy = "\n@id(\"no-people\") forbid (principal, action == Action::\"model.chat\", resource)\n\
                  when { context has data_classes && context.data_classes.contains(\"personal\") };";
    check(
        from_root("payments"),
        &ask_reader(),
        policy,
        expect![[r#"
        personal data.within
        A policy forbids it.
        if what it hands on were internal data at most (it is personal)"#]],
    );
    check(
        from_root("notes"),
        &ask_reader(),
        policy,
        expect![[r#"
        internal data.within
        permitted"#]],
    );
}

#[test]
fn the_record_says_what_the_data_came_from_and_is_refused_without_it() {
    let mut house = House::with(canon(""), ample());
    house.sources = from_root("payments");
    let Answer::Permitted(mut pending) = house.ask(CLERK, ask_reader()) else { panic!() };
    let draft = pending.take_draft().unwrap();
    assert_eq!(draft.data.get("data_class").unwrap().as_text(), Some("personal"));
    let body = cog_base::json::parse(std::str::from_utf8(&draft.body.unwrap().bytes).unwrap());
    let body = body.unwrap();
    let (intent, snapshot) = read_record(&body).unwrap();
    assert_eq!(intent.sources(), Some(&from_root("payments")));
    let again = decide(&intent, &snapshot, house.canon.as_deref());
    assert_eq!(again.verdict, Verdict::Allow);
    for (from, to) in [
        (r#""data_class":"personal","data_classes""#, r#""data_class":"public","data_classes""#),
        (r#""data_from":{"root:payments":"list"},"#, ""),
        (r#""data_from":{"root:payments":"list"}"#, r#""data_from":{"street:x":"list"}"#),
    ] {
        let text = body.to_string();
        assert!(text.contains(from), "{text}");
        let forged = cog_base::json::parse(&text.replacen(from, to, 1)).unwrap();
        assert!(read_record(&forged).is_err(), "{from}");
    }
}

#[test]
fn an_intent_of_which_nobody_knows_the_class_is_refused_where_there_are_classes() {
    let world = fine();
    let (intent, mut classed) = (world.intent(), world.clone());
    classed.lists.data = Some(BTreeMap::new());
    let snapshot = classed.snapshot(&intent);
    let decision = decide(&intent, &snapshot, Some(&classed.lists.canon()));
    assert_eq!(decision.verdict, Verdict::Refuse(CheckName::Data));
}

#[test]
fn a_policy_lowers_what_comes_of_an_effect_and_the_stricter_of_two_holds() {
    let lower = "\n@id(\"lower\") @declassify(\"public\") permit (principal, \
                 action == Action::\"model.chat\", resource);";
    let less = "\n@id(\"lower\") @declassify(\"public\") permit (principal, \
                action == Action::\"model.chat\", resource);\n@id(\"less\") \
                @declassify(\"internal\") permit (principal, action == Action::\"model.chat\", \
                resource);";
    for (policies, expected) in [("", None), (lower, Some("public")), (less, Some("internal"))] {
        let mut house = House::with(canon(policies), ample());
        house.sources = from_root("payments");
        let Answer::Permitted(mut pending) = house.ask(CLERK, ask_reader()) else { panic!() };
        let draft = pending.take_draft().unwrap();
        assert_eq!(draft.data.get("declassify").and_then(|it| it.as_text()), expected);
    }
}
