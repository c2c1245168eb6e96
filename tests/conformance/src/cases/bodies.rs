//! Bodies open as they were recorded, until they are erased or pruned.

use cog_ledger::body::commitment;
use cog_ledger::merkle::{inclusion, verify_inclusion};
use cog_store::{RECORDS_PAGE, Select, Tree};

use crate::{House, Place, body, evidence, receipt, run, tenant, with_body};

fn about(subject: Option<&str>, text: usize) -> cog_ledger::Draft {
    with_body(evidence("body"), subject, body(text))
}

/// Salt and bytes are what the entry commits to, also after closing.
pub fn they_open_with_their_salt(place: &dyn Place) {
    let mut house = House::at(place);
    let drafts = [about(None, 10), about(Some("user:ada"), 20), about(Some("user:bob"), 30)];
    let written = house.append(tenant(1), drafts);
    for _ in 0..2 {
        for (entry, size) in written.iter().zip([10, 20, 30]) {
            let open = house.scope(tenant(1)).body(entry.seq()).unwrap().unwrap();
            assert_eq!(open.bytes, body(size));
            assert_eq!(entry.commit(), Some(commitment(&open.salt, &open.bytes)));
        }
        house.reopen();
    }
}

/// From nothing to a few megabytes.
pub fn one_may_be_large_or_empty(place: &dyn Place) {
    let mut house = House::at(place);
    let sizes = [0, 1, 5_000, 3_000_000];
    let drafts = sizes.map(|size| with_body(evidence("size"), None, vec![b'1'; size]));
    let written = house.append(tenant(1), drafts);
    for (entry, size) in written.iter().zip(sizes) {
        let open = house.scope(tenant(1)).body(entry.seq()).unwrap().unwrap();
        assert_eq!(open.bytes.len(), size);
    }
}

/// No body, no such entry: nothing.
pub fn an_entry_without_one_has_none(place: &dyn Place) {
    let mut house = House::at(place);
    let written = house.append(tenant(1), [evidence("1")]);
    let scope = house.scope(tenant(1));
    assert!(scope.body(written[0].seq()).unwrap().is_none());
    assert!(scope.body(999).unwrap().is_none());
}

/// Which of the entries have a body.
fn present(house: &House<'_>, number: u64) -> Vec<u64> {
    let scope = house.scope(tenant(number));
    let size = scope.tail().unwrap().unwrap().frontier.size();
    (0..size).filter(|seq| scope.body(*seq).unwrap().is_some()).collect()
}

/// All of the subject's, none of another's, and for good.
pub fn erasing_takes_those_of_one_subject(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(
        tenant(1),
        [about(None, 1), about(Some("user:ada"), 1), about(Some("user:bob"), 1)],
    );
    house.append(tenant(1), [about(Some("user:ada"), 2)]);
    assert_eq!(present(&house, 1), [1, 2, 3, 4]);
    let erasable = house.store().erasable(tenant(1), "user:ada").unwrap();
    assert_eq!(erasable.entries, [2, 4]);
    let erased = house.store().erase(tenant(1), "user:ada").unwrap();
    assert_eq!((erased.bodies, erased.subject), (2, erasable.subject));
    assert_eq!(house.store().erasable(tenant(1), "user:ada").unwrap().entries, [0; 0]);
    for _ in 0..2 {
        assert_eq!(present(&house, 1), [1, 3]);
        house.reopen();
    }
}

/// An unknown subject, and one erased before, have nothing; the name stands for both alike.
pub fn erasing_again_finds_nothing(place: &dyn Place) {
    let mut house = House::at(place);
    assert_eq!(house.store().erase(tenant(1), "user:ada").unwrap().bodies, 0);
    house.append(tenant(1), [about(Some("user:ada"), 1)]);
    let first = house.store().erase(tenant(1), "user:ada").unwrap();
    let second = house.store().erase(tenant(1), "user:ada").unwrap();
    assert_eq!((first.bodies, second.bodies), (1, 0));
    assert_eq!(first.subject, second.subject);
    assert_ne!(first.subject, house.store().erase(tenant(1), "user:bob").unwrap().subject);
}

/// The same name in another tenant is another subject.
pub fn erasing_is_of_one_tenant(place: &dyn Place) {
    let mut house = House::at(place);
    let drafts = [1, 2].map(|number| (tenant(number), about(Some("user:ada"), 1)));
    house.append_all(drafts.into());
    house.store().erase(tenant(1), "user:ada").unwrap();
    assert_eq!((present(&house, 1), present(&house, 2)), (vec![], vec![1]));
}

/// New bodies after an erasure have a new key; the old ones stay gone.
pub fn an_erased_subject_may_come_back(place: &dyn Place) {
    let mut house = House::at(place);
    for seq in 1..4 {
        house.append(tenant(1), [about(Some("user:ada"), 1)]);
        assert_eq!(present(&house, 1), [seq]);
        assert_eq!(house.store().erase(tenant(1), "user:ada").unwrap().bodies, 1);
        assert_eq!(present(&house, 1), []);
    }
    house.append(tenant(1), [about(Some("user:ada"), 1)]);
    house.reopen();
    assert_eq!(present(&house, 1), [4]);
}

/// Entries, tail and proofs are the same before and after.
pub fn erasing_leaves_every_proof_valid(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), (0..40).map(|number| about(Some("user:ada"), number)));
    let before = (house.entries(tenant(1)), house.scope(tenant(1)).tail().unwrap());
    house.store().erase(tenant(1), "user:ada").unwrap();
    assert_eq!((house.entries(tenant(1)), house.scope(tenant(1)).tail().unwrap()), before);
    let scope = house.scope(tenant(1));
    let head = scope.checkpoint().unwrap().unwrap();
    for entry in before.0 {
        let path = inclusion(&mut Tree(&*scope), entry.seq(), head.size()).unwrap();
        assert!(verify_inclusion(entry.leaf(), entry.seq(), head.size(), head.root(), &path));
    }
}

/// Those of the named entries go, whosever they are, and nobody else's.
pub fn those_of_entries_are_listed_and_erased(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(
        tenant(1),
        [about(None, 1), about(Some("user:ada"), 1), evidence("none"), about(None, 9)],
    );
    house.append(tenant(2), [about(None, 1)]);
    let listed = |house: &House<'_>, number, range| -> Vec<u64> {
        let kept = house.store().bodies(tenant(number), range).unwrap();
        assert!(kept.iter().all(|(_, bytes)| *bytes > 0));
        kept.into_iter().map(|(seq, _)| seq).collect()
    };
    assert_eq!(listed(&house, 1, 0..u64::MAX), [1, 2, 4]);
    assert_eq!(listed(&house, 1, 2..4), [2]);
    let before = house.entries(tenant(1));
    assert_eq!(house.store().erase_bodies(tenant(1), &[1, 2, 3, 77]).unwrap(), 2);
    assert_eq!(house.store().erase_bodies(tenant(1), &[1, 2]).unwrap(), 0);
    assert_eq!(house.store().erase_bodies(tenant(3), &[1]).unwrap(), 0);
    house.reopen();
    assert_eq!((listed(&house, 1, 0..u64::MAX), present(&house, 1)), (vec![4], vec![4]));
    assert_eq!(present(&house, 2), [1]);
    assert_eq!(house.entries(tenant(1)), before);
    assert_eq!(house.store().erase(tenant(1), "user:ada").unwrap().bodies, 0);
}

/// Those before the place go, whosever they are; entries stay.
pub fn pruning_takes_the_old_ones(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [about(None, 1), about(Some("user:ada"), 1), about(None, 1)]);
    house.append(tenant(2), [about(None, 1)]);
    let cut = house.store().prune_bodies(tenant(1), 3).unwrap();
    assert_eq!((cut.from, cut.to, cut.removed), (0, 3, 2));
    let cut = house.store().prune_bodies(tenant(1), 2).unwrap();
    assert_eq!((cut.from, cut.to, cut.removed), (3, 3, 0));
    house.reopen();
    assert_eq!((present(&house, 1), present(&house, 2)), (vec![3], vec![1]));
    assert_eq!(house.entries(tenant(1)).len(), 4);
    assert_eq!(house.scope(tenant(1)).pruned().unwrap().bodies, 3);
    assert_eq!(house.store().erase(tenant(1), "user:ada").unwrap().bodies, 0);
    assert_eq!(house.store().prune_bodies(tenant(1), u64::MAX).unwrap().to, 4);
}

/// Each entry of a page with what it has: its own body, that of a subject, or none.
pub fn a_page_comes_with_its_bodies(place: &dyn Place) {
    let mut house = House::at(place);
    let subjects = [None, Some("user:ada"), Some("user:bob"), None];
    house.append(tenant(1), (0..40).map(|number| about(subjects[number % 4], number)));
    house.append(tenant(1), [evidence("none"), about(Some("user:ada"), 7)]);
    house.append(tenant(2), [about(Some("user:ada"), 3)]);
    house.store().erase(tenant(1), "user:bob").unwrap();
    house.store().erase_bodies(tenant(1), &[5]).unwrap();
    for newest_first in [false, true] {
        let scope = house.scope(tenant(1));
        let select = Select { newest_first, from: 2, limit: 30, ..Select::default() };
        let page = scope.records(&select).unwrap();
        let entries: Vec<_> = page.iter().map(|(entry, _)| entry.clone()).collect();
        assert_eq!(entries, scope.select(&select).unwrap());
        let bodies: Vec<_> = page.iter().map(|(_, body)| body.clone()).collect();
        let single: Vec<_> = entries.iter().map(|it| scope.body(it.seq()).unwrap()).collect();
        assert_eq!(bodies, single);
        let has = |seq| page.iter().any(|(entry, body)| entry.seq() == seq && body.is_some());
        assert!(has(14) && !has(5), "what is kept is there, and what was erased is not");
    }
    assert!(house.scope(tenant(3)).records(&Select::default()).unwrap().is_empty());
}

/// Page by page, however many there are.
pub fn all_records_come_in_their_order(place: &dyn Place) {
    let mut house = House::at(place);
    let count = RECORDS_PAGE * 2 + 3;
    let own = |number: usize| {
        let draft = receipt(run(1 + number as u64 % 2), number as u64);
        with_body(draft, None, body(number))
    };
    house.append(tenant(1), (0..count * 2).map(own));
    let mut seen = Vec::new();
    house
        .scope(tenant(1))
        .each_record(Select::session(run(1)), &mut |(entry, opened)| {
            let bytes = opened.unwrap().bytes;
            assert_eq!(entry.commit().is_some(), !bytes.is_empty());
            seen.push((entry.seq(), bytes.len()));
        })
        .unwrap();
    let small = body(0).len();
    let expected: Vec<_> =
        (0..count).map(|number| (1 + 2 * number as u64, small + 2 * number)).collect();
    assert_eq!(seen, expected);
}
