//! The environments that a canon governs: a run cannot leave its rules by naming another.

use cog_gate::decision::{CheckName, Verdict, decide};
use cog_gate::explain::{reason, ways_out};

use crate::decisions::preview;
use crate::house::{CLERK, House, ample, canon_but, canon_with, get};

const URL: &str = "https://api.example.com/";

fn house(allow: &str, environment: &str) -> House {
    let canon = canon_but("[change]", &format!("[environments]\nallow = {allow}\n\n[change]"));
    let mut house = House::with(canon, ample());
    house.origin.environment = environment.to_owned();
    house
}

#[test]
fn a_listed_environment_is_governed() {
    for environment in ["production", "staging"] {
        let mut house = house(r#"["production", "staging"]"#, environment);
        let (intent, snapshot) = preview(&mut house, CLERK, &get(URL).into());
        assert_eq!(decide(&intent, &snapshot, house.canon.as_deref()).verdict, Verdict::Allow);
    }
}

#[test]
fn another_is_refused_and_says_which_there_are() {
    let mut house = house(r#"["production", "staging"]"#, "development");
    let (intent, snapshot) = preview(&mut house, CLERK, &get(URL).into());
    let canon = house.canon.as_deref();
    let decision = decide(&intent, &snapshot, canon);
    assert_eq!(decision.verdict, Verdict::Refuse(CheckName::Confinement));
    assert_eq!(decision.failed().map(|check| check.code), Some("environment.not_listed"));
    assert_eq!(
        reason(&decision, &intent),
        "The canon does not govern the environment `development`."
    );
    let ways = ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips;
    assert_eq!(
        ways,
        [
            "if the run were one of the environment `production`",
            "if the run were one of the environment `staging`"
        ]
    );
}

#[test]
fn a_canon_that_lists_none_governs_all() {
    let mut house = House::new();
    house.origin.environment = "anything".to_owned();
    let (intent, snapshot) = preview(&mut house, CLERK, &get(URL).into());
    assert_eq!(decide(&intent, &snapshot, house.canon.as_deref()).verdict, Verdict::Allow);
}

/// A canon that says which environments are production, and the house of a run in one of them.
fn production(more: &str, environment: &str) -> House {
    const LIVE: &str = "[environments]\nallow = [\"live\", \"trial\"]\nproduction = [\"live\"]\n";
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace("[change]", &format!("{LIVE}{more}\n[change]")),
        "schema.cedarschema" => {
            text.replace("context: { args: { method", "context: { production: Bool, args: { method")
        }
        "policies/effects.cedar" => text.replace(
            "permit (principal, action == Action::\"http.request\", resource);",
            "permit (principal, action == Action::\"http.request\", resource)\n\
             unless { context.production };",
        ),
        _ => text.to_owned(),
    });
    assert_eq!(canon.warnings(), Vec::<String>::new());
    let mut house = House::with(canon, ample());
    house.origin.environment = environment.to_owned();
    house
}

#[test]
fn policies_see_whether_a_run_is_in_production() {
    let answer = |environment: &str| production("", environment).answer(CLERK, get(URL));
    assert_eq!(answer("trial"), "permitted");
    assert_eq!(answer("live"), "refused canon canon.no_permit");
    assert_eq!(answer("lvie"), "refused confinement environment.not_listed");
    // What is derived is in no record, and comes out the same from it.
    let mut house = production("", "live");
    let (intent, _) = preview(&mut house, CLERK, &get(URL).into());
    assert!(!intent.context().contains_key("production"));
}

#[test]
fn in_production_no_recording_answers_unless_the_canon_lets_it() {
    let chat = || crate::house::chat("hello", 10);
    assert_eq!(production("", "trial").answer(CLERK, chat()), "permitted");
    assert_eq!(production("stand_ins = true\n", "live").answer(CLERK, chat()), "permitted");
    let mut house = production("", "live");
    assert_eq!(house.answer(CLERK, chat()), "refused confinement model.recorded");
    let (intent, snapshot) = preview(&mut house, CLERK, &chat().into());
    let canon = house.canon.as_deref();
    let decision = decide(&intent, &snapshot, canon);
    assert_eq!(
        reason(&decision, &intent),
        "A recording answers for the model `reader`, and the run is in production."
    );
    assert_eq!(
        ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips,
        [
            "if the canon let recordings answer in production",
            "if the run were one of the environment `trial`"
        ]
    );
}
