//! Redirects that lead a permitted request to where it would not be permitted.

use cog_base::{Source, Sources};
use cog_gate::AnyEffect;

use crate::house::{House, ample, canon_with, effect, get};

/// What a redirect of a permitted request is told, under a canon that lists two hosts.
fn led_on(policy: &str, method: &str, url: &str, with_body: bool) -> String {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace(r#"["api.example.com"]"#, r#"["a.example", "b.example"]"#),
        "policies/effects.cedar" => format!("{text}\n{policy}"),
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    let cleared = house.clear(get("https://a.example/in"));
    match cleared.leads_on(method, url, with_body) {
        Ok(()) => "followed".to_owned(),
        Err(failure) => failure.message.split_once("permitted: ").unwrap().1.to_owned(),
    }
}

#[test]
fn a_redirect_leads_nowhere_that_a_policy_forbids() {
    let forbid = r#"@id("not.b") @reason("Not there.")
        forbid (principal, action == Action::"http.request", resource == Host::"b.example");"#;
    assert_eq!(led_on(forbid, "GET", "https://a.example/x", false), "followed");
    assert_eq!(led_on(forbid, "GET", "https://b.example/x", false), "Not there.");
    assert_eq!(led_on("", "GET", "https://b.example/x", false), "followed");
    let url = r#"@id("not.admin") @reason("Not there.")
        forbid (principal, action == Action::"http.request", resource)
        when { context.args.url like "*/admin*" };"#;
    assert_eq!(led_on(url, "GET", "https://a.example/admin", false), "Not there.");
    let method = r#"@id("reads") @reason("Only looking.")
        forbid (principal, action == Action::"http.request", resource)
        unless { context.args.method == "GET" };"#;
    assert_eq!(led_on(method, "POST", "https://a.example/", true), "Only looking.");
}

#[test]
fn a_redirect_leads_to_no_host_that_is_not_listed_and_takes_no_consent_along() {
    let unlisted = "The canon does not list the host `c.example`.";
    assert_eq!(led_on("", "GET", "https://c.example/", false), unlisted);
    assert_eq!(led_on("", "GET", "ftp://a.example/", false), "Nobody can tell where it leads.");
    let agreed = r#"@id("b.agreed") @approval("1 of role:finance")
        permit (principal, action == Action::"http.request", resource == Host::"b.example");"#;
    let own = "It takes an approval of its own.";
    assert_eq!(led_on(agreed, "GET", "https://b.example/", false), own);
    assert_eq!(led_on(agreed, "GET", "https://a.example/", false), "followed");
}

/// What a redirect is told of a request that hands on data of a class, where three hosts may have and
/// give different ones.
fn led_on_with(class: &str, url: &str) -> String {
    let canon = canon_with(|path, text| match path {
        "canon.toml" => {
            let classes = "[data]\nclasses = [\"public\", \"internal\", \"personal\"]\n\
                           default = \"internal\"\n\n[change]";
            let hosts = r#"[{ host = "a.example", class_max = "personal" }, "b.example", { host = "c.example", class = "personal" }]"#;
            text.replace("[change]", classes).replace(r#"["api.example.com"]"#, hosts)
        }
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    house.sources = Sources::of(Source::Labelled(class.to_owned()), "read");
    let cleared = house.clear(get("https://a.example/in"));
    match cleared.leads_on("GET", url, false) {
        Ok(()) => "followed".to_owned(),
        Err(failure) => failure.message.split_once("permitted: ").unwrap().1.to_owned(),
    }
}

#[test]
fn a_redirect_takes_no_data_to_where_it_may_not_go_and_brings_none_that_is_more_confidential() {
    let (b, c) = ("https://b.example/", "https://c.example/");
    assert_eq!(led_on_with("personal", "https://a.example/on"), "followed");
    let told = led_on_with("personal", b);
    assert!(
        told.ends_with("to the host `b.example`, which may have internal data at most."),
        "{told}"
    );
    assert_eq!(led_on_with("internal", b), "followed");
    assert_eq!(led_on_with("internal", c), "What comes from there is personal data.");
    assert_eq!(led_on_with("personal", c), "followed");
}

/// What a redirect of a permitted `POST` is told, when the policy of where it leads has this duty.
fn led_on_to_pay(duty: &str, from: &str, url: &str) -> String {
    let policies = format!(
        r#"{duty}
        permit (principal, action == Action::"http.request", resource)
        when {{ context.args.url like "*/pay*" }};
        @id("public") permit (principal, action == Action::"http.request", resource)
        unless {{ context.args.url like "*/pay*" }};"#
    );
    let canon = canon_with(|path, text| match path {
        "canon.toml" => text.replace(r#"["api.example.com"]"#, r#"["a.example"]"#),
        "policies/effects.cedar" => policies.clone(),
        _ => text.to_owned(),
    });
    let mut house = House::with(canon, ample());
    let args = format!(r#"{{"method":"POST","url":"{from}","json":{{"amount_cents":900}}}}"#);
    let AnyEffect::HttpRequest(post) = effect("http.request", &args) else { panic!("{args}") };
    let cleared = house.clear(post);
    match cleared.leads_on("POST", url, true) {
        Ok(()) => "followed".to_owned(),
        Err(failure) => failure.message.split_once("permitted: ").unwrap().1.to_owned(),
    }
}

/// A policy lowers the class of what its own requests give, not of where they are led on to.
#[test]
fn a_redirect_lowers_no_class() {
    let policies = r#"@id("open") @declassify("public")
        permit (principal, action == Action::"http.request", resource)
        when { context.args.url like "*/public*" };
        @id("people") permit (principal, action == Action::"http.request", resource)
        when { context.args.url like "*/people*" };"#;
    let data = "[data]\nclasses = [\"public\", \"personal\"]\ndefault = \"public\"\n\n[hosts]";
    let change = |path: &str, text: &str| match path {
        "canon.toml" => text
            .replace("[hosts]", data)
            .replace(r#"["api.example.com"]"#, r#"[{ host = "a.example", class = "personal" }]"#),
        "policies/effects.cedar" => policies.to_owned(),
        _ => text.to_owned(),
    };
    for (from, to, expected) in [
        ("public/1", "people/1", "What comes from there is personal data."),
        ("public/1", "public/2", "followed"),
        ("people/1", "public/2", "followed"),
        ("people/1", "people/2", "followed"),
    ] {
        let mut house = House::with(canon_with(change), ample());
        let cleared = house.clear(get(&format!("https://a.example/{from}")));
        let told = match cleared.leads_on("GET", &format!("https://a.example/{to}"), false) {
            Ok(()) => "followed".to_owned(),
            Err(failure) => failure.message.split_once("permitted: ").unwrap().1.to_owned(),
        };
        assert_eq!(told, expected, "{from} {to}");
    }
}

#[test]
fn a_redirect_gets_past_no_duty_that_the_request_itself_would_have() {
    let (out, within) = ("https://a.example/out", "https://a.example/out/pay");
    let counted = "It counts under a limit that this request did not count under.";
    let limit = r#"@id("pay") @limit("1 per run")"#;
    let sum = r#"@id("pay") @limit("sum args.json.amount_cents <= 1000 per run")"#;
    let redact = r#"@id("pay") @redact("output.text")"#;
    let hidden = "Of its answer something is to be hidden that this request does not hide.";
    for (duty, expected) in [(limit, counted), (sum, counted), (redact, hidden)] {
        assert_eq!(led_on_to_pay(duty, out, within), expected);
        // What it counts or hides already, it may.
        let (from, on) = ("https://a.example/pay", "https://a.example/pay/1");
        assert_eq!(led_on_to_pay(duty, from, on), "followed");
    }
    let free = r#"@id("pay")"#;
    assert_eq!(led_on_to_pay(free, out, within), "followed");
    let elsewhere = "It would act at a place that this request does not hold.";
    assert_eq!(led_on_to_pay(free, out, "https://a.example/pay"), elsewhere);
}
