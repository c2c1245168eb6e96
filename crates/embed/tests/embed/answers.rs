//! What is asked comes to be, also when the process that was asked ended meanwhile.

use cog_embed::{Begin, Signal, Stands, Tenant, Value};

use crate::house::{HEAR, House, WAIT, WRITE, actor, perform, workflow};

on_each_store!(
    what_is_asked_of_a_run_comes_to_be,
    what_was_begun_goes_on_when_the_store_is_opened_again,
    what_people_fill_in_reaches_the_steps,
);

const FORM: &str = "  - { id: ok, approve: { by: ['user:cfo'], message: How much?, form: \
    { cents: { type: integer } } } }\n  - { id: wait, needs: [ok], if: steps.ok.output.form.cents == 7, \
    wait_for: { signal: go } }\noutputs: { cents: '${{ steps.ok.output.form.cents }}' }\n";

fn what_people_fill_in_reaches_the_steps(house: &House) {
    let (engine, tenant) = house.open(perform);
    let (ada, cfo) = (actor("user:ada"), actor("user:cfo"));
    let run = tenant.start(Begin::new(&workflow(FORM), &ada)).unwrap();
    tenant.wait(run, WAIT).unwrap();
    let approval = tenant.approvals(run).unwrap().pop_first().unwrap();
    let filled = |cents: Value| tenant.approve_with(approval, &cfo, &[("cents", cents)]);
    assert!(tenant.approve(approval, &cfo).is_err(), "nothing is filled in");
    assert!(filled("much".into()).is_err());
    filled(7_u64.into()).unwrap();
    assert!(matches!(tenant.wait(run, WAIT).unwrap(), Stands::Waits(_)));
    // Whoever goes on with it knows what was filled in from the log.
    engine.stop();
    drop(tenant);
    let (_engine, tenant) = house.open(perform);
    tenant.signal(run, Signal::new("go", &ada)).unwrap();
    assert_eq!(tenant.end(run, WAIT).unwrap().get("cents"), Some(&7_u64.into()));
    assert_eq!(tenant.replay(run).unwrap().came().word(), "same");
}

fn what_is_asked_of_a_run_comes_to_be(house: &House) {
    let (_engine, tenant) = house.open(perform);
    let ada = actor("user:ada");
    let begin = Begin::new(&workflow(&format!("{WRITE}{HEAR}")), &ada).key("one");
    let run = tenant.start(begin.clone()).unwrap();
    assert_eq!(tenant.start(begin).unwrap(), run);
    assert!(matches!(tenant.wait(run, WAIT).unwrap(), Stands::Waits(_)));
    tenant.checkpoint(run, "here", None, &ada).unwrap();
    tenant.pause(run, &ada, "wait").unwrap();
    tenant.unpause(run, &ada, "go on").unwrap();
    // The same signal twice is one.
    for _ in 0..2 {
        tenant.signal(run, Signal::new("go", &ada).id("once")).unwrap();
    }
    assert_eq!(tenant.end(run, WAIT).unwrap().status, "completed");
    let fork = tenant.fork(run, "here", &[], &ada).unwrap();
    tenant.cancel(fork, &ada, "enough").unwrap();
    assert_eq!(tenant.end(fork, WAIT).unwrap().status, "cancelled");
    assert_eq!(tenant.replay(fork).unwrap().came().word(), "same");
}

fn what_was_begun_goes_on_when_the_store_is_opened_again(house: &House) {
    let ada = actor("user:ada");
    let (engine, tenant) = house.open(perform);
    let run = tenant.start(Begin::new(&workflow(HEAR), &ada)).unwrap();
    tenant.wait(run, WAIT).unwrap();
    engine.stop();
    drop(tenant);
    let (_engine, tenant) = house.open(perform);
    tenant.signal(run, Signal::new("go", &ada)).unwrap();
    assert_eq!(tenant.end(run, WAIT).unwrap().status, "completed");
}

#[test]
fn what_is_asked_where_no_engine_runs_waits_for_one() {
    let house = House::in_a_folder();
    let (engine, tenant) = house.open(perform);
    let id = tenant.id();
    engine.stop();
    drop(tenant);
    let store = house.store();
    let asking = Tenant::of(store, id);
    let run = asking.start(Begin::new(&workflow(WRITE), &actor("user:ada"))).unwrap();
    assert_eq!(asking.stands(run).unwrap(), Stands::Asked);
    drop(asking);
    let (_engine, tenant) = house.open(perform);
    assert_eq!(tenant.end(run, WAIT).unwrap().status, "completed");
}
