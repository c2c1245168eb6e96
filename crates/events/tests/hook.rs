//! Webhooks: the published signatures hold, and nothing that was changed does.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use cog_base::entropy::SeededEntropy;
use cog_base::{Timestamp, Value};
use cog_events::hook::{Hook, NotSigned, Secrets, is_name};
use cog_events::{Types, check};

/// The example of the reference implementations of Standard Webhooks.
const PUBLISHED: [(&str, &str, i64, &str, &str); 1] = [(
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    r#"{"test": 2432232314}"#,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
)];
/// Another secret.
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn taken(secret: &str, head: [&str; 3], body: &str, now: i64) -> Result<(), NotSigned> {
    let hook = Hook::of(|name| {
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let place = names.iter().position(|it| *it == name)?;
        head.get(place).copied().filter(|it| *it != "-")
    })?;
    hook.is_in_time(Timestamp::from_micros(now * 1_000_000 + 999_999))?;
    hook.is_signed(&Secrets::read(secret).unwrap(), body.as_bytes(), at(now))
}

#[test]
fn published_signatures_hold() {
    for (secret, id, seconds, body, signature) in PUBLISHED {
        let made = Secrets::read(secret).unwrap().sign(id, seconds, body.as_bytes());
        assert_eq!(made, signature);
        let time = seconds.to_string();
        assert_eq!(taken(secret, [id, &time, signature], body, seconds), Ok(()));
    }
}

#[test]
fn what_was_changed_kept_or_signed_by_others_is_not_taken() {
    let (secret, id, seconds, body, sign) = PUBLISHED[0];
    let other = OTHER;
    let time = seconds.to_string();
    let (time, later) = (time.as_str(), (seconds + 1).to_string());
    let two = format!("v1,AAAA v2,x v1a,y {sign}");
    let both = format!("{other}\n{secret}\n");
    let unsigned = sign.strip_prefix("v1,").unwrap();
    let header = |name| Err(NotSigned::Header(name));
    for (secret, head, body, now, expected) in [
        (secret, [id, time, sign], body, seconds + 300, Ok(())),
        (secret, [id, time, sign], body, seconds - 300, Ok(())),
        (secret, [id, time, two.as_str()], body, seconds, Ok(())),
        (both.as_str(), [id, time, sign], body, seconds, Ok(())),
        (secret, [id, time, sign], body, seconds + 301, Err(NotSigned::Time)),
        (secret, [id, time, sign], body, seconds - 301, Err(NotSigned::Time)),
        (secret, [id, &later, sign], body, seconds, Err(NotSigned::Signature)),
        (secret, ["msg_x", time, sign], body, seconds, Err(NotSigned::Signature)),
        (secret, [id, time, sign], r#"{"test":2432232314}"#, seconds, Err(NotSigned::Signature)),
        (other, [id, time, sign], body, seconds, Err(NotSigned::Signature)),
        (secret, [id, time, unsigned], body, seconds, Err(NotSigned::Signature)),
        (secret, [id, time, "v1,"], body, seconds, Err(NotSigned::Signature)),
        (secret, [id, time, &sign[..20]], body, seconds, Err(NotSigned::Signature)),
        (secret, ["-", time, sign], body, seconds, header("webhook-id")),
        (secret, ["", time, sign], body, seconds, header("webhook-id")),
        (secret, ["a.b", time, sign], body, seconds, header("webhook-id")),
        (secret, [&"a".repeat(257), time, sign], body, seconds, header("webhook-id")),
        (secret, [id, "-", sign], body, seconds, header("webhook-timestamp")),
        (secret, [id, "+1614265330", sign], body, seconds, header("webhook-timestamp")),
        (secret, [id, "01614265330", sign], body, seconds, header("webhook-timestamp")),
        (secret, [id, "1614265330.0", sign], body, seconds, header("webhook-timestamp")),
        (secret, [id, "99999999999999999999", sign], body, seconds, header("webhook-timestamp")),
        (secret, [id, time, "-"], body, seconds, header("webhook-signature")),
    ] {
        assert_eq!(taken(secret, head, body, now), expected, "{head:?} {now}");
    }
    let far = i64::MIN.to_string();
    assert_eq!(taken(secret, [id, &far, sign], body, seconds), Err(NotSigned::Time));
}

#[test]
fn a_secret_is_long_enough_and_of_its_form() {
    let made = Secrets::make(&mut SeededEntropy::new(1)).unwrap();
    assert!(Secrets::read(&format!("{made}\n")).is_ok());
    let bare = made.strip_prefix("whsec_").unwrap();
    let five = [made.as_str()].repeat(5).join("\n");
    for bad in ["", "\n", "whsec_", "whsec_c2hvcnQ=", "whsec_####", bare, &five] {
        assert!(Secrets::read(bad).is_err(), "{bad}");
    }
    assert!(!format!("{:?}", Secrets::read(&made).unwrap()).contains(&bare[..6]));
}

#[test]
fn a_secret_counts_until_its_time_and_the_one_beside_it_goes_on() {
    let (secret, id, seconds, body, sign) = PUBLISHED[0];
    let (time, until) = (seconds.to_string(), at(seconds + 10));
    let mine = Secrets::read(OTHER).unwrap().sign(id, seconds, body.as_bytes());
    let both = format!("{OTHER}\n{secret} until {until}\n");
    let head = |sign| [id, time.as_str(), sign];
    for (secrets, sign, now, expected) in [
        (both.as_str(), sign, 9, Ok(())),
        (&both, sign, 10, Err(NotSigned::Signature)),
        (&both, &mine, 9, Ok(())),
        (&both, &mine, 10, Ok(())),
        (&format!("{secret}  until  {until}"), sign, 9, Ok(())),
        (&format!("{secret} until 2014-02-25T15:02:10Z"), sign, 0, Err(NotSigned::Signature)),
    ] {
        assert_eq!(taken(secrets, head(sign), body, seconds + now), expected, "{secrets} {now}");
    }
    for bad in ["until", "until soon", "until 2026", "till 2026-12-01T00:00:00Z"] {
        assert!(Secrets::read(&format!("{secret} {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn a_webhook_is_an_event_whose_type_and_source_are_ours() {
    let hook = Hook::of(|name| Some(head(name))).unwrap();
    let said = Value::map([("type", "workflow.execution.completed"), ("source", "/ledger")]);
    let event = hook.event("shop", said.clone());
    assert_eq!(check(&event), Ok(()));
    let text = |name: &str| event.get(name).and_then(Value::as_text);
    let named = [text("id"), text("type"), text("source")];
    assert_eq!(named, [Some("msg_1"), Some("webhook.shop"), Some("/hooks/shop")]);
    assert_eq!(event.get("data"), Some(&said));
    assert!(!Types::matching(["workflow.#"]).wants("webhook.shop"));
    for (name, is_one) in [("shop-1", true), ("", false), ("a.b", false), ("A", false)] {
        assert_eq!(is_name(name), is_one, "{name}");
    }
    assert!(!is_name(&"a".repeat(65)));
}

fn head(name: &str) -> &'static str {
    match name {
        "webhook-id" => "msg_1",
        "webhook-timestamp" => "1614265330",
        _ => "v1,x",
    }
}
