//! The checker stands apart from what it checks.

#![expect(clippy::disallowed_methods, reason = "the test reads the sources of its crate")]

use std::path::Path;

fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn nothing_of_the_machine_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    sources(&root.join("src"), &mut text);
    assert!(text.contains("use cog_flow::"));
    for own in ["cog_engine", "cog_gate", "cog_canon", "cog_store"] {
        assert!(!text.contains(own), "{own} is what is checked");
    }
    // Of flows only the definition and its expressions.
    for own in ["Run,", "Run}", "Run;", "Run::", "Action", "cog_flow::Event", "StepView"] {
        let uses = text.lines().filter(|line| line.contains("cog_flow") && line.contains(own));
        assert_eq!(uses.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}
