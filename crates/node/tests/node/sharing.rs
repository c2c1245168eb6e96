//! What one tenant may have of a node that others share.

use std::sync::atomic::Ordering;

use cog_ledger::Kind;

use crate::town::{Town, tenant, wait};

#[test]
fn no_more_effects_of_a_tenant_are_performed_at_once_than_the_settings_say() {
    let town = Town::new();
    town.world.takes_ms.store(50, Ordering::Relaxed);
    let house = town.node_with("one", |settings| settings.effects_max = 3);
    let page = |number: u64| {
        format!(
            "  - {{ id: w{number}, uses: file.write, as: \"agent:archivist\", \
             with: {{ root: archive, path: page-{number}, mode: create, text: x }} }}\n"
        )
    };
    let run = town.start_steps(tenant(1), &(0..12).map(page).collect::<String>());
    assert_eq!(town.end(tenant(1), run), "completed");
    assert_eq!(town.world.most_at_once(), 3);
    house.node.stop();
    assert_eq!(town.world.counts(), [1; 12]);
    assert_eq!(town.assert_whole(tenant(1)), ["completed"; 12]);
}

#[test]
fn what_is_withdrawn_while_it_waits_for_room_is_not_begun() {
    let town = Town::new();
    town.world.is_held.store(true, Ordering::Relaxed);
    let house = town.node_with("one", |settings| settings.effects_max = 1);
    let write = |id: &str| {
        format!(
            "{{ id: {id}, uses: file.write, as: \"agent:archivist\", \
             with: {{ root: archive, path: {id}, mode: create, text: x }} }}"
        )
    };
    let (keep, late) = (write("keep"), write("late"));
    let steps = format!("  - {keep}\n  - {{ id: soon, timeout_ms: 100, steps: [{late}] }}\n");
    let run = town.start_steps(tenant(1), &steps);
    let is_outcome = |entry: &cog_ledger::Entry| entry.kind() == Kind::Outcome;
    wait("the one that waits is settled", || town.entries(tenant(1)).iter().any(is_outcome));
    town.world.is_held.store(false, Ordering::Relaxed);
    assert_eq!(town.end(tenant(1), run), "failed");
    house.node.stop();
    assert_eq!(town.world.counts(), [1]);
    let mut ends = town.assert_whole(tenant(1));
    ends.sort();
    assert_eq!(ends, ["abandoned", "completed"]);
}
