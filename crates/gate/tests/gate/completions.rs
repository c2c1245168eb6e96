//! Completions of sessions that ran elsewhere: what is said when one is refused, and which change
//! would turn it round. Forged ones are among the attacks.

use cog_gate::decision::decide;
use cog_gate::explain::{reason, ways_out};
use expect_test::{Expect, expect};

use crate::decisions::preview;
use crate::house::{CLERK, House, ample, canon_with, effect};

const SCHEMA: &str = "
entity Source;
action \"session.accept\" appliesTo {
  principal: [User, Agent],
  resource: [Source],
  context: { args: { status?: String, proven: Bool } },
};
";
const POLICY: &str = "
@id(\"accept\")
permit (principal, action == Action::\"session.accept\", resource)
when { context.args has status && context.args.status == \"done\" };
";

/// The reason and the ways out; `permitted` where there is nothing to say.
fn check(sources: &str, status: &str, key: Option<&str>, expected: Expect) {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => format!("{text}\n{sources}"),
        "schema.cedarschema" => format!("{text}{SCHEMA}"),
        "policies/effects.cedar" => format!("{text}{POLICY}"),
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    let event = format!(
        r#"{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/agents\",\"type\":\"ended\",\"data\":{{\"status\":\"{status}\"}}}}"#
    );
    let proof = key.map(|key| format!(r#","proof":"none","key":"{key}""#)).unwrap_or_default();
    let accept = effect("session.accept", &format!(r#"{{"event":"{event}"{proof}}}"#));
    let (intent, snapshot) = preview(&mut house, CLERK, &accept);
    let canon = house.canon.as_deref();
    let decision = decide(&intent, &snapshot, canon);
    let ways = ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips.join("\n");
    let said = match decision.failed() {
        None => decision.verdict.word().to_owned(),
        Some(check) => format!("{}: {}\n{ways}", check.code, reason(&decision, &intent)),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_refusal_names_the_source_the_key_and_what_would_do() {
    const KEY: &str = "elsewhere+1a2b3c4d+AbCd";
    let listed = "[sources.\"/agents\"]\n";
    let keyed = format!("{listed}keys = [\"{KEY}\"]\n");
    check(listed, "done", None, expect!["allow"]);
    check(
        "",
        "done",
        None,
        expect![[r#"
        source.not_listed: The canon does not list the source `/agents`.
        if the canon listed the source `/agents`"#]],
    );
    check(
        listed,
        "lost",
        None,
        expect![[r#"
        canon.no_permit: No policy permits agent:clerk to session.accept on Source `/agents`.
        if args.status were `done` (it is `lost`)"#]],
    );
    check(
        "",
        "lost",
        None,
        expect![[r#"
        source.not_listed: The canon does not list the source `/agents`.
        if the canon listed the source `/agents`, and if args.status were `done` (it is `lost`)"#]],
    );
    check(
        listed,
        "done",
        Some(KEY),
        expect![[r#"
        source.key_not_listed: The canon does not let this key prove what the source `/agents` says.
    "#]],
    );
    check(
        &keyed,
        "done",
        Some(KEY),
        expect![[r#"
        source.proof_fails: The proof does not show that the ledger of its key has what `/agents` says.
    "#]],
    );
}
