//! The environments that a canon governs: a run cannot leave its rules by naming another.

use cog_gate::decision::{CheckName, Verdict, decide};
use cog_gate::explain::{reason, ways_out};

use crate::decisions::preview;
use crate::house::{CLERK, House, ample, canon_but, get};

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
