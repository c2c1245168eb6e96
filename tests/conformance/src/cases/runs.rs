//! Runs as their entries tell.

use cog_store::Session;

use cog_base::Value;
use cog_base::id::{ReceiptId, Uuid};
use cog_ledger::Draft;

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

/// Of each run with open receipts the first entry and those, in the order of the log.
pub fn what_is_under_way_has_no_outcome(place: &dyn Place) {
    let mut house = House::at(place);
    let runs = [1, 2, 3, 4].map(run);
    house.append(tenant(1), runs.map(started));
    house.append(tenant(1), [receipt(runs[0], 1), receipt(runs[1], 2), receipt(runs[0], 3)]);
    house.append(tenant(1), [outcome(runs[0], 1), outcome(runs[1], 2), receipt(runs[2], 4)]);
    house.append(tenant(2), [started(runs[3]), receipt(runs[3], 5)]);
    let open = |house: &House<'_>, runs: &[cog_base::id::RunId]| -> Vec<u64> {
        let found = house.scope(tenant(1)).under_way(runs).unwrap();
        found.iter().map(|entry| entry.seq()).collect()
    };
    for _ in 0..2 {
        assert_eq!(open(&house, &runs), [1, 3, 7, 10]);
        assert_eq!(open(&house, &runs[..2]), [1, 7]);
        assert_eq!(open(&house, &runs[1..2]), [0; 0]);
        assert_eq!(open(&house, &[]), [0; 0]);
        house.reopen();
    }
    assert!(house.scope(tenant(9)).under_way(&runs).unwrap().is_empty());
}

/// Ids of the same moment are looked up by the same key; one that is settled settles no other.
pub fn ids_that_share_a_key_are_told_apart(place: &dyn Place) {
    let mut house = House::at(place);
    let id = |low: u128| ReceiptId::from_uuid(Uuid::from_u128((7 << 76) | (2 << 62) | low));
    let with = |draft: Draft, name: &str, low: u128| {
        let mut draft = draft;
        draft.data.insert(name.to_owned(), Value::from(id(low)));
        draft
    };
    house.append(tenant(1), [started(run(1)), started(run(2))]);
    let receipts = [(1, 1), (1, 2), (2, 3)];
    house.append(tenant(1), receipts.map(|(of, low)| with(receipt(run(of), 0), "id", low)));
    house.append(tenant(1), [with(outcome(run(1), 0), "receipt", 1)]);
    house.append(tenant(1), [with(outcome(run(2), 0), "receipt", 3)]);
    let found = house.scope(tenant(1)).under_way(&[run(1), run(2)]).unwrap();
    assert_eq!(found.iter().map(|it| it.seq()).collect::<Vec<_>>(), [1, 4]);
}
