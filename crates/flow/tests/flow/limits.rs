//! Whose runs a limit counts together.

use cog_base::Digest;
use expect_test::expect;

use crate::diagnostics::check;
use crate::harness::{flow, with_steps};

/// The keys of concurrency and rate of a run of such a workflow.
fn keys(name: &str, domain: &str, limits: &str) -> (Digest, Digest) {
    let text = format!(
        "name: {name}\ndomain: {domain}\n\
         concurrency: {{ limit: 1, {limits} }}\nrate: {{ count: 1, per_seconds: 60, {limits} }}\n\
         steps: [ {{ id: a, uses: compute, with: {{ x: 1 }} }} ]\n"
    );
    let ask = flow(&text).ask(&Default::default()).unwrap();
    (ask.concurrency.unwrap().key, ask.rate.unwrap().key)
}

#[test]
fn a_key_is_of_a_workflow_a_domain_or_the_tenant() {
    for (limits, same_workflow, same_domain, other_domain) in [
        ("key: k", true, false, false),
        ("key: k, scope: workflow", true, false, false),
        ("key: k, scope: domain", true, true, false),
        ("key: k, scope: tenant", true, true, true),
        ("scope: domain", true, true, false),
    ] {
        let one = keys("a", "d", limits);
        assert_eq!(one == keys("a", "d", limits), same_workflow, "{limits}");
        assert_eq!(one == keys("b", "d", limits), same_domain, "{limits}");
        assert_eq!(one == keys("b", "e", limits), other_domain, "{limits}");
        assert_ne!(one.0, one.1, "what is open is no start");
    }
    let all = ["workflow", "domain", "tenant"];
    let [workflow, domain, tenant] = all.map(|it| keys("a", "d", &format!("scope: {it}")));
    assert!(workflow != domain && domain != tenant && workflow != tenant, "no scope is another");
    assert_ne!(keys("a", "d", "key: k, scope: tenant"), keys("a", "d", "scope: tenant"));
}

#[test]
fn what_is_wrong_with_the_scope() {
    let text = with_steps("- { id: a, uses: compute, with: { x: 1 } }");
    check(
        &(text + "concurrency: { limit: 1, scope: everywhere }\n"),
        expect![[r#"
        pay.yaml:6:33: `scope` cannot be `everywhere`
         6 | concurrency: { limit: 1, scope: everywhere }
           |                                 ^
           = hint: known here: `workflow`, `domain`, `tenant`
    "#]],
    );
}
