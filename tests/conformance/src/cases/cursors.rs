//! Where consumers stand, and who may move that.

use cog_base::Timestamp;
use cog_store::cursors::{CONSUMER_BYTES_MAX, CONSUMERS_MAX, DEAD_LETTERS_MAX, WHY_BYTES_MAX};
use cog_store::{Cursor, CursorStep, DeadLetter, Keep, PAGE_MAX, StoreError};

use crate::{House, Place, evidence, tenant};

fn letter(seq: u64) -> DeadLetter {
    let at = Timestamp::from_micros(1_800_000_000_000_001);
    DeadLetter { seq, attempts: 3, at, why: format!("no queue for {seq}") }
}

fn to(fence: u64, next: u64) -> CursorStep {
    CursorStep { fence, next, ..CursorStep::default() }
}

/// A cursor without its fence: name, place, dead letters.
type Stand = (String, u64, u64);

fn stand(consumer: &str, next: u64, dead_letters: u64) -> Stand {
    (consumer.to_owned(), next, dead_letters)
}

fn of(cursor: Cursor) -> Stand {
    (cursor.consumer, cursor.next, cursor.dead_letters)
}

/// Where all consumers of a tenant stand.
fn stands(store: &dyn Keep, number: u64) -> Vec<Stand> {
    store.cursors(tenant(number)).unwrap().into_iter().map(of).collect()
}

/// Only a new one: one that is there stays where it is.
pub fn a_new_one_begins_where_it_is_told(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    let store = house.store();
    let first = store.take_cursor(tenant(1), "billing", 7).unwrap();
    let second = store.take_cursor(tenant(1), "billing", 9).unwrap();
    assert!(first.fence < second.fence);
    assert_eq!([of(first), of(second)], [stand("billing", 7, 0), stand("billing", 7, 0)]);
}

/// Also after closing, with its fence.
pub fn one_goes_on_where_it_was_left(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    let fence = house.store().take_cursor(tenant(1), "billing", 0).unwrap().fence;
    house.store().move_cursor(tenant(1), "billing", &to(fence, 5)).unwrap();
    house.store().move_cursor(tenant(1), "billing", &to(fence, 1 << 40)).unwrap();
    house.reopen();
    let kept = house.store().cursors(tenant(1)).unwrap().remove(0);
    assert_eq!(kept.fence, fence);
    let taken = house.store().take_cursor(tenant(1), "billing", 0).unwrap();
    assert!(taken.fence > fence);
    assert_eq!([of(kept), of(taken)], [stand("billing", 1 << 40, 0), stand("billing", 1 << 40, 0)]);
}

/// Whoever has it must take it anew then.
pub fn one_does_not_go_back_but_when_it_is_set(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let fence = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    store.move_cursor(tenant(1), "billing", &to(fence, 9)).unwrap();
    store.move_cursor(tenant(1), "billing", &to(fence, 3)).unwrap();
    assert_eq!(stands(store, 1), [stand("billing", 9, 0)]);
    let set = store.set_cursor(tenant(1), "billing", 2).unwrap();
    assert!(set.fence > fence);
    assert_eq!(of(set), stand("billing", 2, 0));
    let late = store.move_cursor(tenant(1), "billing", &to(fence, 10)).unwrap_err();
    assert!(matches!(late, StoreError::Overtaken { .. }), "{late:?}");
    assert_eq!(of(store.set_cursor(tenant(1), "new", 4).unwrap()), stand("new", 4, 0));
}

/// Neither the place nor what it gave up.
pub fn who_was_overtaken_moves_nothing(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let old = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    let new = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    let step = CursorStep { dead: vec![letter(1)], ..to(old, 5) };
    for (consumer, step) in [("billing", &step), ("nobody", &step)] {
        let error = store.move_cursor(tenant(1), consumer, step).unwrap_err();
        assert!(matches!(&error, StoreError::Overtaken { .. }), "{error:?}");
        assert!(!error.is_transient());
    }
    assert_eq!(stands(store, 1), [stand("billing", 0, 0)]);
    assert!(store.dead_letters(tenant(1), "billing", 0, 10).unwrap().is_empty());
    store.move_cursor(tenant(1), "billing", &to(new, 2)).unwrap();
}

/// Fences are given once, whoever asks at the same time.
pub fn of_two_at_once_one_moves_it(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let fences = std::thread::scope(|threads| {
        let take = |_| threads.spawn(|| store.take_cursor(tenant(1), "billing", 0).unwrap().fence);
        let takers: Vec<_> = (0..8).map(take).collect();
        let mut fences: Vec<u64> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        fences.sort_unstable();
        fences
    });
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
    for (place, fence) in fences.iter().enumerate() {
        assert_eq!(store.move_cursor(tenant(1), "billing", &to(*fence, 1)).is_ok(), place == 7);
    }
}

/// In name order, and with dead letters of its own.
pub fn each_consumer_and_tenant_has_its_own(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    for (number, consumer, next) in [(1, "b", 1), (1, "a", 2), (2, "b", 3)] {
        let fence = store.take_cursor(tenant(number), consumer, 0).unwrap().fence;
        let step = CursorStep { dead: vec![letter(next)], ..to(fence, next) };
        store.move_cursor(tenant(number), consumer, &step).unwrap();
    }
    let of_one = [stand("a", 2, 1), stand("b", 1, 1)];
    assert_eq!(stands(store, 1), of_one);
    assert_eq!(stands(store, 2), [stand("b", 3, 1)]);
    assert!(stands(store, 3).is_empty());
    assert_eq!(store.dead_letters(tenant(2), "b", 0, 10).unwrap(), [letter(3)]);
    assert!(store.dead_letters(tenant(2), "a", 0, 10).unwrap().is_empty());
    assert!(store.drop_cursor(tenant(2), "b").unwrap());
    assert_eq!(stands(store, 1), of_one);
}

/// They come back in the order of the log, page by page, until they are revived. The reason
/// is cut where it is long.
pub fn what_was_given_up_is_kept_with_the_step(place: &dyn Place) {
    let mut house = House::at(place);
    let store = house.store();
    let fence = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    let long = DeadLetter { why: "é".repeat(WHY_BYTES_MAX), ..letter(8) };
    let dead = vec![letter(5), long, letter(2), letter(3)];
    store.move_cursor(tenant(1), "billing", &CursorStep { dead, ..to(fence, 9) }).unwrap();
    house.reopen();
    let store = house.store();
    assert_eq!(stands(store, 1), [stand("billing", 9, 4)]);
    let page = |from, limit| store.dead_letters(tenant(1), "billing", from, limit).unwrap();
    assert_eq!(page(0, 3), [letter(2), letter(3), letter(5)]);
    assert_eq!(page(6, 3).iter().map(|one| one.why.len()).collect::<Vec<_>>(), [WHY_BYTES_MAX]);
    // Given up again, it is still one.
    let dead = vec![DeadLetter { attempts: 6, ..letter(5) }];
    let step = CursorStep { dead, revived: vec![2, 8, 77], ..to(fence, 9) };
    store.move_cursor(tenant(1), "billing", &step).unwrap();
    assert_eq!(page(0, 3), [letter(3), DeadLetter { attempts: 6, ..letter(5) }]);
    let error = store.dead_letters(tenant(1), "billing", 0, PAGE_MAX + 1).unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { .. }), "{error:?}");
}

/// The step that has one too many is not made at all.
pub fn too_many_dead_letters_stop_it_whole(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let fence = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    let dead = (0..DEAD_LETTERS_MAX).map(letter).collect();
    let full = CursorStep { dead, ..to(fence, DEAD_LETTERS_MAX) };
    store.move_cursor(tenant(1), "billing", &full).unwrap();
    let more = CursorStep { dead: vec![letter(20_000)], ..to(fence, 20_001) };
    let error = store.move_cursor(tenant(1), "billing", &more).unwrap_err();
    assert!(matches!(error, StoreError::TooMuch { .. }), "{error:?}");
    assert_eq!(stands(store, 1), [stand("billing", DEAD_LETTERS_MAX, DEAD_LETTERS_MAX)]);
    let room = CursorStep { revived: vec![0], ..more };
    store.move_cursor(tenant(1), "billing", &room).unwrap();
}

/// One more is refused, and those that are there go on.
pub fn names_and_consumers_have_a_maximum(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let long = "n".repeat(CONSUMER_BYTES_MAX + 1);
    assert!(matches!(store.take_cursor(tenant(1), &long, 0), Err(StoreError::TooMuch { .. })));
    for number in 0..CONSUMERS_MAX {
        store.take_cursor(tenant(1), &format!("consumer {number}"), 0).unwrap();
    }
    for one in [store.take_cursor(tenant(1), "more", 0), store.set_cursor(tenant(1), "more", 0)] {
        assert!(matches!(one, Err(StoreError::TooMuch { .. })), "{one:?}");
    }
    assert_eq!(store.cursors(tenant(1)).unwrap().len(), CONSUMERS_MAX);
    store.take_cursor(tenant(1), "consumer 7", 0).unwrap();
    store.take_cursor(tenant(2), "more", 0).unwrap();
}

/// Whoever still has it moves nothing, and a new one of its name begins anew.
pub fn one_that_is_dropped_leaves_nothing(place: &dyn Place) {
    let house = House::at(place);
    let store = house.store();
    let fence = store.take_cursor(tenant(1), "billing", 0).unwrap().fence;
    let step = CursorStep { dead: vec![letter(1)], ..to(fence, 5) };
    store.move_cursor(tenant(1), "billing", &step).unwrap();
    assert!(store.drop_cursor(tenant(1), "billing").unwrap());
    assert!(!store.drop_cursor(tenant(1), "billing").unwrap());
    assert!(store.cursors(tenant(1)).unwrap().is_empty());
    assert!(store.move_cursor(tenant(1), "billing", &step).is_err());
    assert!(store.dead_letters(tenant(1), "billing", 0, 10).unwrap().is_empty());
    let anew = store.take_cursor(tenant(1), "billing", 3).unwrap();
    assert!(anew.fence > fence);
    assert_eq!(of(anew), stand("billing", 3, 0));
    assert!(store.dead_letters(tenant(1), "billing", 0, 10).unwrap().is_empty());
}

/// A consumer is set up before anything happens.
pub fn a_consumer_may_come_before_its_log(place: &dyn Place) {
    let mut house = House::at(place);
    let fence = house.store().take_cursor(tenant(1), "billing", 0).unwrap().fence;
    assert!(house.store().tenants().unwrap().is_empty());
    house.append(tenant(1), [evidence("1")]);
    house.store().move_cursor(tenant(1), "billing", &to(fence, 2)).unwrap();
    assert_eq!(stands(house.store(), 1), [stand("billing", 2, 0)]);
}
