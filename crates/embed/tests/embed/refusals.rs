//! What does not come to be says why, and what to do.

use std::time::Duration;

use cog_base::id::Uuid;
use cog_embed::runs::Wanted;
use cog_embed::{Begin, Error, RunId, Signal};

use crate::house::{HEAR, House, WAIT, WRITE, actor, perform, workflow};

/// What it says, without ids.
fn said<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    let error = result.unwrap_err();
    assert!(!error.advice().is_empty(), "{error}");
    let words = error.to_string();
    let word = |word: &str| match word.split_once('_') {
        Some((kind, _)) if ["run", "apr"].contains(&kind) => kind.to_owned(),
        _ => word.to_owned(),
    };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_cannot_be_says_why() {
    let house = House::in_a_folder();
    let (_engine, tenant) = house.open(perform);
    let (ada, eve) = (actor("user:ada"), actor("user:eve"));
    let none = RunId::from_uuid(Uuid::from_u128(7));
    let open = tenant.start(Begin::new(&workflow(HEAR), &ada).key("one")).unwrap();
    tenant.wait(open, WAIT).unwrap();
    let done = tenant.start(Begin::new(&workflow(WRITE), &ada)).unwrap();
    tenant.end(done, WAIT).unwrap();
    let number = "name: n\ndomain: shop\ninputs: { n: { type: integer } }\nsteps: [ { id: a, uses: compute, with: { n: 1 } } ]\n";
    let page = Wanted { after: Some(none), ..Wanted::newest(1) };
    for (found, expected) in [
        (said(tenant.stands(none)), "there is no run run in this ledger"),
        (said(tenant.runs(&page)), "there is no run run in this ledger"),
        (said(tenant.end(open, Duration::ZERO)), "the end of run did not come within 0ns"),
        (
            said(tenant.start(Begin::new(number, &ada).key("one").input("n", 1))),
            "something else was asked for as `one`: run",
        ),
        (said(tenant.start(Begin::new(number, &ada))), "the workflow: the input `n` is missing"),
        (
            said(tenant.cancel(open, &eve, "why not")),
            "Only user:ada, who began it, or user:cfo may end the run.",
        ),
        (said(tenant.pause(done, &ada, "why not")), "run has ended: completed"),
        (said(tenant.signal(done, Signal::new("go", &ada))), "run has ended: completed"),
        (
            said(tenant.fork(done, "nowhere", &[], &ada)),
            "nothing can go on from there in run there is no step and no checkpoint `nowhere`",
        ),
        (said(tenant.redrive(done, &[], &ada)), "run has not failed: it is completed"),
        (
            said(tenant.checkpoint(done, "end", None, &ada)),
            "run is over, and nothing goes on from its end",
        ),
        (said(tenant.state(done, "nowhere")), "no step `nowhere` began in run"),
        (said(tenant.remove_start("nightly", &ada)), "there is no schedule `nightly`"),
        (said(tenant.pause_start("nightly", &ada)), "there is no schedule `nightly`"),
        (said(tenant.trigger("nightly", &ada)), "there is no schedule `nightly`"),
    ] {
        assert_eq!(found, expected);
    }
    let bad = tenant.start(Begin::new("name: x\n", &ada)).unwrap_err();
    assert!(matches!(bad, Error::Workflow(_)), "{bad}");
}
