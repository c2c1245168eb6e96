//! A tenant's scope is all that can be seen through it, at one moment.

use std::sync::atomic::{AtomicBool, Ordering};

use cog_store::{Files, Select};

use super::canons::version;
use crate::{House, Place, body, evidence, receipt, run, started, tenant, with_body};

/// By their ids, whoever came first.
pub fn logs_are_listed_in_order(place: &dyn Place) {
    let mut house = House::at(place);
    for number in [5, 1, 900, 3] {
        house.append(tenant(number), [evidence("1")]);
    }
    assert_eq!(house.store().tenants().unwrap(), [1, 3, 5, 900].map(tenant));
}

/// Entries, ids, runs, bodies, heads and canons of one tenant are not there for another.
pub fn nothing_of_another_tenant_is_seen(place: &dyn Place) {
    let mut house = House::at(place);
    let files = Files::from([("canon.toml".to_owned(), "name = \"one\"".to_owned())]);
    let digest = version(&files);
    house.store().put_canon(tenant(2), digest, &files).unwrap();
    house.append(tenant(1), [evidence("1")]);
    let secret = with_body(receipt(run(9), 77), Some("user:ada"), body(100));
    let drafts: Vec<_> = (0..400).map(|_| evidence("2")).collect();
    house.append(tenant(2), drafts);
    let written = house.append(tenant(2), [started(run(9)), secret]);
    house.append(tenant(3), [evidence("3")]);
    for other in [1, 3] {
        let scope = house.scope(tenant(other));
        assert_eq!(scope.tail().unwrap().unwrap().frontier.size(), 2);
        let all = scope.select(&Select::default()).unwrap();
        assert!(all.len() == 2 && all.iter().all(|entry| entry.tenant() == tenant(other)));
        assert!(scope.entry(written[1].seq()).unwrap().is_none());
        assert!(scope.leaf(written[1].seq()).unwrap().is_none());
        assert!(scope.body(written[1].seq()).unwrap().is_none());
        assert!(scope.node(8, 0).unwrap().is_none());
        assert!(scope.find(written[1].id().unwrap()).unwrap().is_empty());
        assert!(scope.session(run(9)).unwrap().is_none());
        assert!(scope.select(&Select::session(run(9))).unwrap().is_empty());
        assert!(scope.sessions(10).unwrap().is_empty());
        assert!(scope.open_sessions().unwrap().is_empty());
        assert!(scope.canon(digest).unwrap().is_none());
        assert_eq!(scope.checkpoints(0, 100).unwrap().len(), 1);
        assert!(scope.checkpoints(3, 100).unwrap().is_empty());
    }
    let own = house.scope(tenant(2));
    assert!(own.body(written[1].seq()).unwrap().is_some());
    assert!(own.node(8, 0).unwrap().is_some() && own.session(run(9)).unwrap().is_some());
}

/// The same ids in two logs are two things.
pub fn one_id_in_two_logs_is_found_in_each_alone(place: &dyn Place) {
    let mut house = House::at(place);
    for number in [1, 2] {
        house.append(tenant(number), [started(run(1)), receipt(run(1), 5)]);
    }
    house.append(tenant(2), [receipt(run(1), 6)]);
    for (number, count) in [(1, 1), (2, 2)] {
        let scope = house.scope(tenant(number));
        let run = scope.session(run(1)).unwrap().unwrap();
        assert_eq!(run.entries, 1 + count);
        let page = scope.select(&Select::session(run.id)).unwrap();
        assert!(page.iter().all(|entry| entry.tenant() == tenant(number)));
        let found = scope.find(page[1].id().unwrap()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].tenant(), tenant(number));
    }
}

/// A scope stays at the moment it was opened.
pub fn a_scope_does_not_see_what_comes_later(place: &dyn Place) {
    let mut house = House::at(place);
    let store = house.shared();
    let empty = store.scope(tenant(1)).unwrap();
    house.append(tenant(1), [started(run(1))]);
    let early = store.scope(tenant(1)).unwrap();
    house.append(tenant(1), [receipt(run(1), 1), evidence("late")]);
    let late = store.scope(tenant(1)).unwrap();
    let sizes = [&empty, &early, &late].map(|scope| {
        let size = scope.tail().unwrap().map_or(0, |tail| tail.frontier.size());
        let entries = scope.select(&Select::default()).unwrap().len() as u64;
        let heads = scope.checkpoints(0, 10).unwrap().len() as u64;
        let of_run = scope.select(&Select::session(run(1))).unwrap().len() as u64;
        [size, entries, heads, of_run]
    });
    assert_eq!(sizes, [[0, 0, 0, 0], [2, 2, 1, 1], [4, 4, 2, 2]]);
    assert!(early.leaf(2).unwrap().is_none() && late.leaf(2).unwrap().is_some());
}

/// While one thread writes commits of five entries, others never see a part of one.
pub fn readers_beside_a_writer_see_whole_commits(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), (0..4).map(|_| evidence("1")));
    let store = house.shared();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    let scope = store.scope(tenant(1)).unwrap();
                    let tail = scope.tail().unwrap().unwrap();
                    let size = tail.frontier.size();
                    assert_eq!(size % 5, 0, "part of a commit");
                    assert_eq!(tail.checkpoint.size(), size);
                    assert!(scope.entry(size - 1).unwrap().is_some());
                    assert!(scope.entry(size).unwrap().is_none());
                }
            });
        }
        for _ in 0..200 {
            house.append(tenant(1), (0..5).map(|_| evidence("1")));
        }
        done.store(true, Ordering::Release);
    });
}
