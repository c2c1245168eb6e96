//! Who has a tenant, and who calls for work on one.

#![expect(missing_docs, reason = "the name of a case is the sentence that it holds")]

use std::time::Duration;

use cog_base::Timestamp;
use cog_base::id::{MailId, TenantId, Uuid};
use cog_store::{After, Mail, Shared, Wakeup};

use crate::{SharedPlace, claimed, run, tenant};

const LONG: Duration = Duration::from_secs(60);

/// Call for work on a tenant.
fn call(store: &dyn Shared, of: u64, number: u64) {
    let id = MailId::from_uuid(Uuid::from_u128(number.into()));
    let mail = Mail { id, kind: "start".to_owned(), run: Some(run(number)), payload: Vec::new() };
    store.post(tenant(of), &mail, None).unwrap();
}

/// The tenants that can be claimed, each of which is.
fn claim(store: &dyn Shared, limit: u32, except: &[TenantId]) -> Vec<TenantId> {
    store.claim_waiting(limit, except).unwrap().iter().map(|claim| claim.tenant).collect()
}

/// Give all of these back, with work left.
fn give_back(store: &dyn Shared, tenants: &[TenantId]) {
    tenants.iter().for_each(|tenant| store.release(*tenant, After::Stopping).unwrap());
}

pub fn nothing_waits_in_an_empty_store(place: &dyn SharedPlace) {
    let store = place.share();
    assert_eq!(claim(&*store, 8, &[]), []);
    let renewed = store.renew().unwrap();
    assert_eq!(renewed, cog_store::Renewed { at: renewed.at, ..cog_store::Renewed::default() });
    assert_eq!(store.next_end().unwrap(), None);
}

pub fn no_more_are_claimed_than_wanted(place: &dyn SharedPlace) {
    let store = place.share();
    for of in 1..=3 {
        call(&*store, of, of);
    }
    let mut all = claim(&*store, 2, &[]);
    assert_eq!(all.len(), 2);
    all.extend(claim(&*store, 2, &[]));
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3].map(tenant));
    assert_eq!(claim(&*store, 0, &[]), []);
}

pub fn some_may_be_left_where_they_are(place: &dyn SharedPlace) {
    let store = place.share();
    for of in 1..=3 {
        call(&*store, of, of);
    }
    let mut others = claim(&*store, 8, &[tenant(2)]);
    others.sort_unstable();
    assert_eq!(others, [1, 3].map(tenant));
    assert_eq!(claim(&*store, 8, &[tenant(2)]), []);
    assert_eq!(claim(&*store, 8, &[tenant(1)]), [tenant(2)]);
}

pub fn a_claimed_one_is_not_claimed_again(place: &dyn SharedPlace) {
    let store = place.share();
    call(&*store, 1, 1);
    assert_eq!(claim(&*store, 8, &[]), [tenant(1)]);
    call(&*store, 1, 2);
    assert_eq!(claim(&*store, 8, &[]), []);
}

pub fn the_fence_rises_with_each_claim(place: &dyn SharedPlace) {
    let mut fences = Vec::new();
    for number in 0..6 {
        let store = place.share();
        if number == 0 {
            call(&*store, 1, 1);
        }
        fences.push(claimed(&*store, 1).fence);
        if number % 2 == 0 {
            give_back(&*store, &[tenant(1)]);
        }
        // The others are free because the store is closed.
    }
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
}

pub fn calls_are_counted(place: &dyn SharedPlace) {
    let store = place.share();
    call(&*store, 1, 1);
    let before = claimed(&*store, 1).calls;
    call(&*store, 1, 2);
    call(&*store, 1, 3);
    assert_eq!(store.renew().unwrap().kept, [(tenant(1), before + 2)]);
}

pub fn what_is_given_back_idle_waits_no_more(place: &dyn SharedPlace) {
    let store = place.share();
    call(&*store, 1, 1);
    let calls = claimed(&*store, 1).calls;
    store.release(tenant(1), After::Idle { calls }).unwrap();
    assert_eq!(claim(&*store, 8, &[]), []);
    call(&*store, 1, 2);
    assert_eq!(claim(&*store, 8, &[]), [tenant(1)]);
}

pub fn what_was_called_for_meanwhile_is_not_forgotten(place: &dyn SharedPlace) {
    let store = place.share();
    call(&*store, 1, 1);
    let calls = claimed(&*store, 1).calls;
    call(&*store, 1, 2);
    store.release(tenant(1), After::Idle { calls }).unwrap();
    assert_eq!(claim(&*store, 8, &[]), [tenant(1)]);
}

pub fn what_was_given_back_is_not_renewed(place: &dyn SharedPlace) {
    let store = place.share();
    call(&*store, 1, 1);
    call(&*store, 2, 2);
    claim(&*store, 8, &[]);
    give_back(&*store, &[tenant(1)]);
    let renewed = store.renew().unwrap();
    assert_eq!(renewed.kept.iter().map(|(tenant, _)| *tenant).collect::<Vec<_>>(), [tenant(2)]);
    assert_eq!(renewed.lost, []);
}

pub fn to_give_back_what_one_does_not_have_changes_nothing(place: &dyn SharedPlace) {
    let store = place.share();
    give_back(&*store, &[tenant(7)]);
    assert_eq!(claim(&*store, 8, &[]), []);
}

pub fn a_call_is_heard_by_everybody_who_listens(place: &dyn SharedPlace) {
    let store = place.share();
    let mut listeners = [store.wakeups(), store.wakeups()];
    for heard in &mut listeners {
        assert_eq!(heard.next(LONG).unwrap(), Wakeup::Anything);
    }
    call(&*store, 7, 1);
    for heard in &mut listeners {
        assert_eq!(heard.next(LONG).unwrap(), Wakeup::Tenant(tenant(7)));
        assert_eq!(heard.next(Duration::from_millis(1)).unwrap(), Wakeup::Nothing);
    }
}

pub fn its_time_goes_on(place: &dyn SharedPlace) {
    let store = place.share();
    let first = store.time().unwrap();
    let year_2020 = Timestamp::from_micros(1_577_836_800_000_000);
    assert!(first > year_2020, "{first}");
    assert!(store.time().unwrap() >= first);
}
