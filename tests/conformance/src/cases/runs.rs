//! Runs as their entries tell.

use cog_store::Session;

use crate::{House, Place, evidence, outcome, receipt, run, sealed, started, tenant};

fn some_runs(house: &mut House<'_>) {
    house.append(tenant(1), [started(run(3)), started(run(1))]);
    house.append(tenant(1), [receipt(run(3), 1), started(run(2)), outcome(run(3), 1)]);
    house.append(tenant(1), [sealed(run(1), "refused"), evidence("1"), started(run(4))]);
    house.append(tenant(1), [sealed(run(4), "completed"), receipt(run(5), 2)]);
}

/// A run that only has other entries was not started.
pub fn open_ones_are_those_started_and_not_sealed(place: &dyn Place) {
    let mut house = House::at(place);
    some_runs(&mut house);
    for _ in 0..2 {
        assert_eq!(house.scope(tenant(1)).open_sessions().unwrap(), [run(3), run(2)]);
        house.reopen();
    }
    house.append(tenant(1), [sealed(run(3), "completed"), sealed(run(2), "failed")]);
    assert!(house.scope(tenant(1)).open_sessions().unwrap().is_empty());
}

/// In the order of their first entries, with counts and ends.
pub fn the_newest_come_first_with_their_status(place: &dyn Place) {
    let mut house = House::at(place);
    some_runs(&mut house);
    house.reopen();
    let scope = house.scope(tenant(1));
    let session = |number, first, last, entries, status: Option<&str>| Session {
        id: run(number),
        first,
        last,
        entries,
        status: status.map(str::to_owned),
    };
    let expected = [
        session(5, 10, 10, 1, None),
        session(4, 8, 9, 2, Some("completed")),
        session(2, 4, 4, 1, None),
        session(1, 2, 6, 2, Some("refused")),
        session(3, 1, 5, 3, None),
    ];
    assert_eq!(scope.sessions(10).unwrap(), expected);
    assert_eq!(scope.sessions(2).unwrap(), expected[..2]);
}

/// By id, or not at all.
pub fn one_is_found_by_its_id(place: &dyn Place) {
    let mut house = House::at(place);
    some_runs(&mut house);
    let scope = house.scope(tenant(1));
    assert_eq!(scope.session(run(4)).unwrap().unwrap().first, 8);
    assert!(scope.session(run(99)).unwrap().is_none());
}

/// Counting goes on over closing, many times, for several runs at once.
pub fn a_run_goes_on_after_closing(place: &dyn Place) {
    let mut house = House::at(place);
    for number in 0..10 {
        house.append(tenant(1), [receipt(run(1), number), receipt(run(2), 100 + number)]);
        house.append(tenant(1), [outcome(run(1), number)]);
        house.reopen();
    }
    let scope = house.scope(tenant(1));
    let counts = [1, 2].map(|number| scope.session(run(number)).unwrap().unwrap().entries);
    assert_eq!(counts, [20, 10]);
}
