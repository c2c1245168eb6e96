//! A panic while a node works for one tenant harms no other.

use cog_node::Told;

use crate::town::{Panics, Town, tenant, wait};

#[test]
fn a_tenant_whose_engine_or_kit_panics_harms_no_other_and_goes_on_when_it_can() {
    // One lane and one desk: all tenants share the threads on which it panics.
    for (panics, town) in
        [(Panics::Perform as fn(_) -> _, Town::new()), (Panics::Bind, Town::in_a_folder())]
    {
        let house = town.node_with("one", |settings| settings.lanes = 1);
        let (sick, well) = (tenant(1), tenant(2));
        let first = town.start(well, 3);
        assert_eq!(town.end(well, first), "completed");
        town.world.panics.lock().unwrap().0 = Some(panics(sick));
        let run = town.start(sick, 2);
        let told = house.wait_for(|told| matches!(told, Told::Panicked { .. }));
        assert_eq!(told, Told::Panicked { tenant: sick, why: "injected".to_owned() });
        // Again and again, and the other goes on all the same: its engine was never dropped.
        wait("it panics again", || town.world.panics.lock().unwrap().1 > 2);
        let second = town.start(well, 3);
        assert_eq!(town.end(well, second), "completed");
        let gone = house.told.try_iter().any(|told| told == Told::Released { tenant: well });
        assert!(!gone, "{:?}", panics(sick));
        town.world.panics.lock().unwrap().0 = None;
        assert_eq!(town.end(sick, run), "completed");
        house.node.stop();
        // What was cleared and never begun cannot be told from what was begun and lost, and is
        // found out when the run goes on.
        for outcome in town.assert_whole(sick) {
            assert!(["completed", "abandoned"].contains(&outcome.as_str()), "{outcome}");
        }
        assert_eq!(town.assert_whole(well), ["completed"; 6]);
    }
}
