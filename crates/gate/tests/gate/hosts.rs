//! Where requests may go: what a refusal says, and that what it names turns it round.

use cog_gate::decision::{Verdict, decide};
use cog_gate::explain::{reason, ways_out};
use expect_test::{Expect, expect};

use crate::decisions::preview;
use crate::house::{CLERK, House, ample, canon_with, get};

fn house(hosts: &str) -> House {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace(r#"["api.example.com"]"#, hosts),
        _ => text.to_owned(),
    });
    House::with(canon, ample())
}

/// The reason and the ways out under one list, and that the next list is such a way.
fn check(hosts: &str, url: &str, expected: Expect, mended: &str) {
    let mut house_before = house(hosts);
    let (intent, snapshot) = preview(&mut house_before, CLERK, &get(url).into());
    let canon = house_before.canon.as_deref();
    let decision = decide(&intent, &snapshot, canon);
    let flips = ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips.join("\n");
    let code = decision.failed().map(|check| check.code).unwrap_or_default();
    expected.assert_eq(&format!("{code}: {}\n{flips}\n", reason(&decision, &intent)));
    let mut after = house(mended);
    let (intent, snapshot) = preview(&mut after, CLERK, &get(url).into());
    let verdict = decide(&intent, &snapshot, after.canon.as_deref()).verdict;
    assert_eq!(verdict, Verdict::Allow, "{mended} {url}");
}

#[test]
fn a_refusal_says_what_the_list_lacks() {
    check(
        r#"["a.example"]"#,
        "http://b.example/",
        expect![[r#"
            host.not_allowed: The canon does not list the host `b.example`.
            if the canon listed the host `b.example`
        "#]],
        r#"["b.example"]"#,
    );
    check(
        r#"["a.example"]"#,
        "https://a.example:8443/",
        expect![[r#"
            host.port_not_allowed: The canon lists the host `a.example`, but not its port 8443.
            if the canon listed the host `a.example` with the port 8443
        "#]],
        r#"["a.example", "a.example:8443"]"#,
    );
    check(
        r#"[]"#,
        "http://127.0.0.1:18080/",
        expect![[r#"
            host.not_allowed: The canon does not list the host `127.0.0.1`.
            if the canon listed the host `127.0.0.1` with the port 18080, plain_http = true, private = true
        "#]],
        r#"[{ host = "127.0.0.1", ports = [18080], plain_http = true, private = true }]"#,
    );
    check(
        r#"[{ host = "10.0.0.1", ports = [80, 443] }]"#,
        "http://10.0.0.1/",
        expect![[r#"
            host.plain_http: The canon lists the host `10.0.0.1` for https alone.
            if the canon listed the host `10.0.0.1` with plain_http = true, private = true
        "#]],
        r#"[{ host = "10.0.0.1", ports = [80, 443], plain_http = true, private = true }]"#,
    );
    check(
        r#"["10.0.0.1"]"#,
        "https://10.0.0.1/",
        expect![[r#"
            host.private_address: The address `10.0.0.1` is not public, and the canon does not list it as private.
            if the canon listed the host `10.0.0.1` with private = true
        "#]],
        r#"[{ host = "10.0.0.1", private = true }]"#,
    );
}

#[test]
fn a_request_in_plain_text_may_go_out_as_https() {
    let list = r#"[{ host = "a.example" }]"#;
    check(
        list,
        "http://a.example/",
        expect![[r#"
            host.port_not_allowed: The canon lists the host `a.example`, but not its port 80.
            if the canon listed the host `a.example` with the port 80, plain_http = true
            if the URL began with https://
        "#]],
        r#"["a.example"]"#,
    );
    let mut house = house(list);
    assert_eq!(house.answer(CLERK, get("https://a.example/")), "permitted");
}

#[test]
fn a_user_is_named_beside_what_else_is_in_the_way() {
    let said = |url: &str| {
        let mut house = house(r#"["a.example"]"#);
        let (intent, snapshot) = preview(&mut house, CLERK, &get(url).into());
        let canon = house.canon.as_deref();
        let decision = decide(&intent, &snapshot, canon);
        ways_out(&intent, &snapshot, canon, &decision, &|_| None).flips
    };
    assert_eq!(said("https://cfo@a.example/"), ["if the URL held no user or password"]);
    assert_eq!(
        said("https://cfo@b.example/"),
        ["if the URL held no user or password, and if the canon listed the host `b.example`"]
    );
}
