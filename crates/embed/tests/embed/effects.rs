//! What becomes of effects whose function panics, takes too long, or is asked what it did.

use std::time::Duration;

use cog_embed::{AnyEffect, Begin, Cleared, Effects, Found, Performed, ReceiptId, RunId, Value};

use crate::house::{House, WAIT, actor, workflow};

const READ: &str = "  - { id: read, as: 'agent:clerk', uses: file.read, timeout_ms: 50, \
    with: { root: out, path: a.txt }, on_error: continue }\n";

/// How a run of one step ends with these effects: the word of its step, and the code.
fn ends(effects: impl Effects, steps: &str) -> String {
    let house = House::in_a_folder();
    let (engine, tenant) = house.open(effects);
    let outputs = "outputs: { code: '${{ steps.read.error.code }}' }\n";
    let text = format!("{}{outputs}", workflow(steps));
    let run = tenant.start(Begin::new(&text, &actor("user:ada"))).unwrap();
    let end = tenant.end(run, WAIT).unwrap();
    engine.stop();
    end.output.to_string()
}

#[test]
fn what_panics_or_takes_too_long_is_told_as_what_can_be_known() {
    let panics = |_: Cleared<AnyEffect>| -> Performed<AnyEffect> { panic!("injected") };
    let waits = |cleared: Cleared<AnyEffect>| {
        std::thread::park_timeout(Duration::from_secs(60));
        cleared.unknown()
    };
    let write = READ.replace("file.read", "file.write").replace("a.txt }", "a.txt, text: a }");
    // One that panics is told at once, and needs no time.
    let soon = |steps: &str| ends(panics, &steps.replace("50", "30000"));
    for (name, said, expected) in [
        ("a read that panics", soon(READ), r#"{"code":"effect.lost"}"#),
        ("a read that takes long", ends(waits, READ), r#"{"code":"effect.timeout"}"#),
        // Nobody can tell whether that was done.
        ("a write that panics", soon(&write), r#"{"code":"effect.unknown"}"#),
        ("a write that takes long", ends(waits, &write), r#"{"code":"effect.unknown"}"#),
    ] {
        assert_eq!(said, expected, "{name}");
    }
}

/// Effects that say what they did, and did nothing.
struct Told(Found);

impl Effects for Told {
    fn perform(&self, cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
        cleared.unknown()
    }

    fn probe(&self, _: RunId, _: ReceiptId, _: &AnyEffect) -> Found {
        self.0.clone()
    }
}

#[test]
fn what_an_effect_did_is_asked_of_who_performs_it() {
    let write = READ.replace("file.read", "file.write").replace("a.txt }", "a.txt, text: a }");
    let said = ends(Told(Found::Done(Value::map([("path", "a.txt")]))), &write);
    assert_eq!(said, r#"{"code":"effect.unknown"}"#);
}
