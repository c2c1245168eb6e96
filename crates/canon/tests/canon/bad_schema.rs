//! What is said of a canon whose schema and settings do not go together, or are too much.

use crate::bad::said;
use crate::house::{FACTS, PAYING, PEOPLE, PLAIN, POLICIES, SCHEMA, SETTINGS, TESTS};

/// `action in` means a group, and these mean what is done.
#[test]
fn a_group_of_actions_does_not_switch_a_rule_off() {
    let grouped = format!("{PAYING}\naction \"files\";\n");
    for settings in [
        "[envelope]\nforbidden = [[\"files\", \"http.request\"]]",
        "[actions.\"files\"]\nrisk = \"low\"",
    ] {
        let settings = PLAIN.replace("[change]", &format!("{settings}\n[change]"));
        let any = "@id(\"any\") permit (principal, action, resource);";
        let said = said(&[
            (SETTINGS, &settings),
            (SCHEMA, &grouped),
            (FACTS, PEOPLE),
            (POLICIES, any),
            (TESTS, "[]"),
        ]);
        assert!(said.contains("`files` is a group of actions"), "{said}");
    }
}
