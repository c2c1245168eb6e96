//! Governed domains: what is in force in each, and what was done in which environment.

use cog_base::Value;

use crate::program::{Folder, text};

#[test]
fn domains_are_told_with_their_canons_and_environments() {
    let folder = Folder::example("domains", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]).ends(0);
    folder.cog(&["run", "workflow.yaml", "--environment", "production"]).ends(0);
    let told = folder.cog(&["domains", "--json"]).ends(0).json();
    let [domain] = told.as_list().unwrap() else { panic!("{told}") };
    assert_eq!((text(domain, &["domain"]), text(domain, &["by"])), ("travel", "user:operator"));
    let listed = folder.cog(&["canon", "list", "--json"]).ends(0).json();
    assert!(listed.to_string().contains(text(domain, &["canon"])), "{listed}");
    let environments = domain.get("environments").and_then(Value::as_list).unwrap();
    assert_eq!(environments.len(), 2);
    for (environment, name) in environments.iter().zip(["development", "production"]) {
        assert_eq!(text(environment, &["environment"]), name);
        assert_eq!(environment.get("production"), Some(&(name == "production").into()));
        assert_eq!(environment.get("runs"), Some(&1_u64.into()));
        assert_eq!(environment.get("open"), Some(&0_u64.into()));
        let denials = environment.get("denials").and_then(Value::as_u64);
        assert!(denials.is_some_and(|denials| denials > 0), "{environment}");
    }
    folder.cog(&["domains"]).ends(0).says(&["travel", "since", "production: 1 run, 1 completed"]);
}

#[test]
fn an_environment_that_the_canon_does_not_list_is_marked() {
    let folder = Folder::example("domains-listed", "02-refusal-and-why");
    let canon = std::fs::read_to_string(folder.path("canon/canon.toml")).unwrap();
    let canon = format!("{canon}\n[environments]\nallow = [\"production\"]\n");
    folder.write("canon/canon.toml", &canon);
    folder.cog(&["run", "workflow.yaml"]);
    let mark = "development (not one that the canon lists)";
    folder.cog(&["domains"]).ends(0).says(&[mark]);
}
