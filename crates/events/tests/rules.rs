//! The rules of CloudEvents 1.0.2, by example.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use cog_events::{Broken, read};
use proptest::prelude::*;

/// The shape that the requirements give for a run that ended.
const GIVEN: &str = r#"{
  "specversion": "1.0",
  "type": "workflow.execution.completed",
  "source": "/core-engine/workflows",
  "id": "abc-123",
  "time": "2026-02-17T10:00:00Z",
  "datacontenttype": "application/json",
  "data": {
    "tenant_id": "tenant_abc123",
    "workflow_id": "wf-456",
    "execution_id": "exec-789",
    "duration_ms": 1234,
    "token_usage": 567,
    "status": "succeeded"
  }
}"#;

fn with(member: &str) -> String {
    format!(r#"{{"specversion":"1.0","type":"t","source":"/s","id":"1"{member}}}"#)
}

fn good(text: &str) {
    read(text).unwrap();
}

fn bad(text: &str, attribute: &str) {
    match read(text) {
        Err(Broken::Attribute { name, .. }) => assert_eq!(name, attribute, "{text}"),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn the_given_shape_is_an_event() {
    good(GIVEN);
    good(&with(""));
}

#[test]
fn what_every_event_has_is_asked_for() {
    for missing in ["specversion", "type", "source", "id"] {
        for text in [
            GIVEN.replace(&format!("\"{missing}\":"), "\"other\":"),
            GIVEN
                .replace(&format!("\"{missing}\": \""), &format!("\"{missing}\": null, \"x\": \"")),
        ] {
            assert_eq!(read(&text), Err(Broken::Missing(missing)), "{text}");
        }
    }
    assert_eq!(read("[]"), Err(Broken::NotAnObject));
    assert!(matches!(read("{"), Err(Broken::NotJson(_))));
    assert!(matches!(
        read(&with(&format!(r#","x":"{}""#, "y".repeat(1 << 20)))),
        Err(Broken::TooLarge(_))
    ));
}

#[test]
fn attributes_are_what_they_must_be() {
    bad(&GIVEN.replace("\"1.0\"", "\"0.3\""), "specversion");
    bad(&GIVEN.replace("abc-123", ""), "id");
    bad(&GIVEN.replace("\"abc-123\"", "7"), "id");
    bad(&GIVEN.replace("/core-engine/workflows", "two words"), "source");
    bad(&GIVEN.replace("/core-engine/workflows", "/100%"), "source");
    good(&GIVEN.replace("/core-engine/workflows", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"));
    good(&GIVEN.replace("/core-engine/workflows", "https://a.example/%20?q=1#f"));
    bad(&with(r#","dataschema":"/relative""#), "dataschema");
    good(&with(r#","dataschema":"https://a.example/schema""#));
    bad(&with(r#","datacontenttype":"json""#), "datacontenttype");
    good(&with(r#","datacontenttype":"application/json; charset=utf-8""#));
    bad(&with(r#","subject":"""#), "subject");
}

#[test]
fn times_are_those_of_rfc_3339() {
    for time in [
        "2026-02-17T10:00:00Z",
        "2026-02-17t10:00:00.123456z",
        "2024-02-29T23:59:60+05:30",
        "2000-02-29T00:00:00-00:00",
    ] {
        good(&with(&format!(r#","time":"{time}""#)));
    }
    for time in [
        "2026-02-29T10:00:00Z",
        "1900-02-29T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-02-17T24:00:00Z",
        "2026-02-17T10:00:00+00:00Z",
        "2026-02-17T10:00:00.Z",
        "2026-02-17T10:00:00",
        "2026-02-17",
        "2026-02-17T10:00:00+2500",
    ] {
        bad(&with(&format!(r#","time":"{time}""#)), "time");
    }
}

#[test]
fn further_attributes_have_small_names_and_simple_values() {
    good(&with(r#","partitionkey":"k","sequence":"001","flag":true,"count":-7,"gone":null"#));
    bad(&with(r#","partitionKey":"k""#), "partitionKey");
    bad(&with(r#","my_key":"k""#), "my_key");
    bad(&with(r#","count":2147483648"#), "count");
    bad(&with(r#","count":1.5"#), "count");
    bad(&with(r#","map":{}"#), "map");
    bad(&with(",\"text\":\"a\\u0007b\""), "text");
    bad(&with(",\"text\":\"a\\uFFFEb\""), "text");
}

#[test]
fn data_are_there_once() {
    good(&with(r#","data":[1.5,null]"#));
    good(&with(r#","data_base64":"AAEC""#));
    bad(&with(r#","data_base64":7"#), "data_base64");
    assert_eq!(read(&with(r#","data":1,"data_base64":"AAEC""#)), Err(Broken::TwoData));
}

proptest! {
    #[test]
    fn nothing_makes_reading_panic(text in any::<String>(), time in "[0-9TZ:.+-]{0,30}") {
        let _ = read(&text);
        let _ = read(&with(&format!(r#","time":"{time}","x{text:?}":1"#)));
    }
}
