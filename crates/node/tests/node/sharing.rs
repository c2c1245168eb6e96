//! What one tenant may have of a node that others share.

use std::sync::atomic::Ordering;

use crate::town::{Town, tenant};

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
