//! What a step is about has a name that comes from outside: one that no entry has room for.

use cog_engine::What;
use cog_ledger::Kind;

use crate::house::House;

#[test]
fn a_name_that_no_entry_has_room_for_fails_the_step_and_not_the_run() {
    for action in [
        "process.run, with: { program:",
        "model.chat, with: { messages: [{ role: user, content: x }], model:",
    ] {
        let mut house = House::new();
        let run = house.start(&format!(
            "  - {{ id: read, uses: file.read, with: {{ root: out, path: a }} }}
  - {{ id: long, needs: [read], uses: {action} \"${{{{ steps.read.output.text }}}}\" }}, on_error: continue }}
  - {{ id: after, needs: [long], uses: file.read, with: {{ root: out, path: b }} }}
"
        ));
        house.done(&"x".repeat(66_000));
        house.done("b");
        let sealed = house.notices.iter().any(|it| matches!(it.what, What::Sealed(_)));
        assert!(sealed, "{:?}", house.notices);
        let records = house.records(run);
        let of = |kind| records.iter().filter(|it| it.entry.kind() == kind).count();
        assert_eq!((of(Kind::Receipt), of(Kind::Denial), of(Kind::Evidence)), (2, 0, 1));
        house.assert_replays(run);
    }
}
