//! Pages of entries are what a plain filter over the whole log gives.

use cog_base::entropy::SeededEntropy;
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select, StoreError};

use crate::{
    House, Place, canon_activated, denial, evidence, outcome, receipt, run, sealed, started, tenant,
};

/// A log with four runs in parallel, things between them, and two batches sizes.
fn busy(house: &mut House<'_>) {
    house.append(tenant(1), [canon_activated("1")]);
    house.append(tenant(1), (1..5).map(|number| started(run(number))));
    for number in 0..150_u64 {
        let of = run(1 + number % 4);
        let mut drafts = vec![receipt(of, number), outcome(of, number)];
        if number % 10 == 0 {
            drafts.push(denial(of, 1_000 + number));
        }
        if number % 50 == 0 {
            drafts.push(evidence("between"));
            drafts.push(canon_activated("2"));
        }
        house.append(tenant(1), drafts);
    }
    house.append(tenant(1), [sealed(run(1), "completed")]);
    house.append(tenant(2), [started(run(1)), receipt(run(1), 3)]);
}

/// What a filter over everything gives, in the order asked for.
fn filtered(all: &[Entry], select: &Select) -> Vec<Entry> {
    let mut found: Vec<Entry> = all.iter().filter(|entry| select.takes(entry)).cloned().collect();
    if select.newest_first {
        found.reverse();
    }
    found
}

fn check(house: &House<'_>, all: &[Entry], select: &Select) {
    for newest_first in [false, true] {
        let select = Select { newest_first, ..select.clone() };
        let expected = filtered(all, &select);
        assert_eq!(house.pages(tenant(1), &select), expected, "{select:?}");
        let one = house.scope(tenant(1)).select(&select).unwrap();
        assert_eq!(one, expected[..expected.len().min(select.limit)], "{select:?}");
    }
}

/// Forwards and backwards, with pages of any size.
pub fn all_entries_page_by_page(place: &dyn Place) {
    let mut house = House::at(place);
    busy(&mut house);
    let all = house.entries(tenant(1));
    assert_eq!(all.len(), 1 + 1 + 4 + 300 + 15 + 6 + 1);
    for limit in [1, 7, 64, PAGE_MAX] {
        check(&house, &all, &Select { limit, ..Select::default() });
    }
    check(&house, &all, &Select { from: 10, to: 20, limit: 3, ..Select::default() });
    check(&house, &all, &Select { from: 20, to: 10, ..Select::default() });
    check(&house, &all, &Select { from: 5_000, ..Select::default() });
}

/// Rare ones, common ones, and both.
pub fn kinds(place: &dyn Place) {
    let mut house = House::at(place);
    busy(&mut house);
    let all = house.entries(tenant(1));
    for kinds in [
        vec![Kind::CanonActivated],
        vec![Kind::Receipt],
        vec![Kind::Denial, Kind::Outcome],
        vec![Kind::Denial, Kind::Evidence, Kind::Genesis],
        vec![Kind::Denial, Kind::Denial],
        vec![Kind::KeyRotated],
    ] {
        for limit in [1, 4, PAGE_MAX] {
            check(&house, &all, &Select { kinds: kinds.clone(), limit, ..Select::default() });
        }
    }
    let newest = house.scope(tenant(1)).select(&Select::newest(Kind::CanonActivated)).unwrap();
    assert_eq!(newest.last(), all.iter().rfind(|entry| entry.kind() == Kind::CanonActivated));
}

/// The entries of one run, also of some kinds and between two places.
pub fn a_run_among_others(place: &dyn Place) {
    let mut house = House::at(place);
    busy(&mut house);
    let all = house.entries(tenant(1));
    for number in 1..6 {
        let select = Select::session(run(number));
        for limit in [1, 10, 64, PAGE_MAX] {
            check(&house, &all, &Select { limit, ..select.clone() });
            check(&house, &all, &Select { limit, from: 100, to: 200, ..select.clone() });
        }
        let kinds = vec![Kind::Denial, Kind::SessionSealed];
        check(&house, &all, &Select { kinds, limit: 2, ..select });
    }
}

/// A run of a thousand entries beside another, over reopening.
pub fn a_long_run_page_by_page(place: &dyn Place) {
    let mut house = House::at(place);
    for number in 0..500_u64 {
        house.append(tenant(1), [receipt(run(1), number), receipt(run(2), 5_000 + number)]);
        if number % 2 == 0 {
            house.append(tenant(1), [outcome(run(1), number)]);
        }
        if number == 250 {
            house.reopen();
        }
    }
    let all = house.entries(tenant(1));
    for limit in [1, 63, 64, 65, 200, PAGE_MAX] {
        check(&house, &all, &Select { limit, ..Select::session(run(1)) });
        check(&house, &all, &Select { limit, ..Select::session(run(2)) });
    }
    check(&house, &all, &Select { from: 333, to: 334, ..Select::session(run(1)) });
}

/// A receipt and its outcome; a denial alone; an unknown id nothing.
pub fn an_id_finds_what_belongs_together(place: &dyn Place) {
    let mut house = House::at(place);
    busy(&mut house);
    let scope = house.scope(tenant(1));
    let all = house.entries(tenant(1));
    let of_kind = |kind| all.iter().find(|entry| entry.kind() == kind).unwrap();
    let receipt = of_kind(Kind::Receipt);
    let kinds: Vec<Kind> =
        scope.find(receipt.id().unwrap()).unwrap().iter().map(Entry::kind).collect();
    assert_eq!(kinds, [Kind::Receipt, Kind::Outcome]);
    let denial = of_kind(Kind::Denial);
    assert_eq!(scope.find(denial.id().unwrap()).unwrap(), std::slice::from_ref(denial));
    for unknown in ["", "rcp_", "nothing", "rcp_7zzzzzzzzzzzzzzzzzzzzzzzzz", "' OR 1 = 1 --"] {
        assert!(scope.find(unknown).unwrap().is_empty(), "{unknown}");
    }
    // The same time in another kind of id is another id.
    let twin = receipt.id().unwrap().replace("rcp_", "dny_");
    assert!(scope.find(&twin).unwrap().is_empty());
    drop(scope);
    let id = receipt.id().map(str::to_owned);
    check(&house, &all, &Select { id: id.clone(), limit: 1, ..Select::default() });
    check(&house, &all, &Select { id, kinds: vec![Kind::Outcome], ..Select::default() });
}

/// Conditions drawn at random, five hundred times.
pub fn any_conditions_together(place: &dyn Place) {
    let mut house = House::at(place);
    busy(&mut house);
    let all = house.entries(tenant(1));
    let mut dice = SeededEntropy::new(11);
    for _ in 0..500 {
        let kinds = (0..dice.below(4))
            .map(|_| Kind::ALL[dice.below(Kind::ALL.len() as u64) as usize])
            .collect();
        let id = &all[dice.below(all.len() as u64) as usize];
        let select = Select {
            from: dice.below(400),
            to: [u64::MAX, dice.below(400)][dice.below(2) as usize],
            kinds,
            session: (dice.below(2) == 0).then(|| run(1 + dice.below(5))),
            id: (dice.below(4) == 0).then(|| id.id().unwrap_or("none").to_owned()),
            newest_first: false,
            limit: 1 + dice.below(30) as usize,
        };
        check(&house, &all, &select);
    }
}

/// Beyond the maximum is refused, and a page of nothing is empty.
pub fn a_page_has_a_maximum(place: &dyn Place) {
    let mut house = House::at(place);
    house.append(tenant(1), [evidence("1")]);
    let scope = house.scope(tenant(1));
    let too_much = Select { limit: PAGE_MAX + 1, ..Select::default() };
    assert!(matches!(scope.select(&too_much), Err(StoreError::TooMuch { .. })));
    assert!(matches!(scope.sessions(PAGE_MAX + 1), Err(StoreError::TooMuch { .. })));
    assert!(matches!(scope.checkpoints(0, PAGE_MAX + 1), Err(StoreError::TooMuch { .. })));
    assert!(scope.select(&Select { limit: 0, ..Select::default() }).unwrap().is_empty());
}

/// The first entry of a time, in a log of many, also where the beginning was pruned.
pub fn where_a_time_begins(place: &dyn Place) {
    let mut house = House::at(place);
    let first = |house: &House<'_>, at| {
        cog_store::first_since(house.scope(tenant(1)).as_ref(), at).unwrap()
    };
    for number in 0..4_u64 {
        let mut drafts = vec![started(run(number))];
        drafts.extend((0..126).map(|of| receipt(run(number), number * 1_000 + of)));
        drafts.push(sealed(run(number), "completed"));
        let drafts = drafts.into_iter().map(|draft| (tenant(1), draft)).collect();
        house.append_later(drafts, number * 1_000);
    }
    let all = house.entries(tenant(1));
    let expected = |at| all.iter().find(|entry| entry.at() >= at).map_or(513, Entry::seq);
    let began = all[0].at();
    let times = [0, 1, 1_000, 1_001, 3_000, 3_001].map(|ms| began.plus_ms(ms));
    for at in times {
        assert_eq!(first(&house, at), expected(at), "{at}");
    }
    house.store().prune_entries(tenant(1), 300).unwrap();
    for at in times {
        assert_eq!(first(&house, at), expected(at).max(256), "{at}");
    }
}
