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

/// Each policy is validated for each principal type, action and resource type that go together.
#[test]
fn a_canon_that_takes_minutes_to_validate_is_refused_at_once() {
    let names: Vec<String> = (0..120).map(|number| format!("T{number}")).collect();
    let types: String = names.iter().map(|name| format!("entity {name};\n")).collect();
    let all = names.join(", ");
    let actions: String = (0..20)
        .map(|number| {
            format!("action \"a{number}\" appliesTo {{ principal: [{all}], resource: [{all}], context: {{}} }};\n")
        })
        .collect();
    let policies: String = (0..4)
        .map(|number| format!("@id(\"p{number}\") permit (principal, action, resource);\n"))
        .collect();
    let schema = format!("{PAYING}\n{types}{actions}");
    let files = [
        (SETTINGS, PLAIN),
        (SCHEMA, schema.as_str()),
        (FACTS, PEOPLE),
        (POLICIES, policies.as_str()),
        (TESTS, "[]"),
    ];
    let said = said(&files);
    assert!(said.contains("take 1152"), "{said}");
    assert!(said.contains("validations; there may be 1000000"), "{said}");
}

#[test]
fn a_redaction_that_would_hide_nothing_is_refused() {
    let schema = format!(
        "{PAYING}\nentity Source;\naction \"session.accept\" appliesTo {{ principal: [User], \
         resource: [Source], context: {{}} }};\n"
    );
    let policy = "@id(\"ssn\") @redact(\"output.data.ssn\") permit (principal, action == \
                  Action::\"session.accept\", resource);";
    let said = said(&[
        (SETTINGS, PLAIN),
        (SCHEMA, &schema),
        (FACTS, PEOPLE),
        (POLICIES, policy),
        (TESTS, "[]"),
    ]);
    assert!(said.contains("`@redact` hides nothing of a completion"), "{said}");
}

#[test]
fn a_marked_root_that_a_workflow_file_could_move_is_warned_of() {
    let warned = |within: &str| {
        let settings = format!(
            "{PLAIN}\n[data]\nclasses = [\"internal\", \"secret\"]\ndefault = \"internal\"\n\
             [roots]\ninvoices = {{ within = [\"{within}\"], class = \"secret\" }}\n"
        );
        let any = "@id(\"any\") permit (principal, action, resource);";
        let canon = crate::house::load(&[
            (SETTINGS, &settings),
            (SCHEMA, PAYING),
            (FACTS, PEOPLE),
            (POLICIES, any),
            (TESTS, "[]"),
        ]);
        canon.warnings().iter().any(|it| it.contains("the class of the root `invoices`"))
    };
    assert!(warned("invoices") && warned("."));
    assert!(!warned("/srv/invoices"));
}

#[test]
fn types_that_double_are_too_many_attributes() {
    let doubled: String = (1..80)
        .map(|n| format!("type T{n} = {{ a: T{before}, b: T{before} }};\n", before = n - 1))
        .collect();
    let schema = format!("type T0 = {{ a: Long }};\n{doubled}{PAYING}");
    let any = "@id(\"any\") permit (principal, action, resource);";
    let said = said(&[
        (SETTINGS, PLAIN),
        (SCHEMA, &schema),
        (FACTS, PEOPLE),
        (POLICIES, any),
        (TESTS, "[]"),
    ]);
    assert!(said.contains("have too many attributes"), "{said}");
}
