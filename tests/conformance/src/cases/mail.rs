//! Mail to whoever owns a log, and names that make asking twice asking once.

#![expect(missing_docs, reason = "the name of a case is the sentence that it holds")]

use std::sync::Arc;

use cog_base::Digest;
use cog_base::id::{MailId, RunId, Uuid};
use cog_store::shared::WHY_BYTES_MAX;
use cog_store::{
    After, Claim, Delivery, Except, MAIL_MAX, Mail, Posted, RequestKey, Shared, StoreError,
};

use crate::{SharedPlace, claimed, run, tenant};

fn id(number: u64) -> MailId {
    MailId::from_uuid(Uuid::from_u128(number.into()))
}

fn mail(number: u64, about: RunId, text: &str) -> Mail {
    let payload = text.as_bytes().to_vec();
    Mail { id: id(number), kind: "start".to_owned(), run: Some(about), payload }
}

/// Post mail to the first tenant.
fn post(store: &dyn Shared, number: u64, text: &str) -> Mail {
    let mail = mail(number, run(number), text);
    assert_eq!(store.post(tenant(1), &mail, None).unwrap(), Posted::Waiting);
    mail
}

/// The mail that waits, all of which opens.
fn waiting(store: &dyn Shared, claim: &Claim, except: &[MailId]) -> Vec<Mail> {
    let mail = store.mail(claim, Except { ids: except, kind: None }).unwrap();
    mail.into_iter().map(Result::unwrap).collect()
}

fn is_owned<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Owned { .. }))
}

pub fn it_waits_in_the_order_in_which_it_came(place: &dyn SharedPlace) {
    let store = place.share();
    let sent = [3, 1, 2].map(|number| post(&*store, number, "a"));
    let claim = claimed(&*store, 1);
    assert_eq!(waiting(&*store, &claim, &[]), sent);
}

pub fn what_is_posted_twice_is_there_once(place: &dyn SharedPlace) {
    let store = place.share();
    let sent = post(&*store, 1, "a");
    post(&*store, 1, "what came second is not looked at");
    let claim = claimed(&*store, 1);
    assert_eq!(waiting(&*store, &claim, &[]), [sent]);
}

pub fn some_may_be_left_out(place: &dyn SharedPlace) {
    let store = place.share();
    let sent = [1, 2, 3].map(|number| post(&*store, number, "a"));
    let other = Mail { kind: "signal".to_owned(), run: None, ..mail(4, run(4), "b") };
    store.post(tenant(1), &other, None).unwrap();
    let claim = claimed(&*store, 1);
    let [first, second, third] = sent;
    assert_eq!(waiting(&*store, &claim, &[id(2)]), [first, third.clone(), other.clone()]);
    let of_kind = |ids, kind| {
        let mail = store.mail(&claim, Except { ids, kind: Some(kind) }).unwrap();
        mail.into_iter().map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(of_kind(&[], "start"), [other]);
    assert_eq!(of_kind(&[id(1), id(4)], "signal"), [second, third]);
}

pub fn it_is_read_in_pages(place: &dyn SharedPlace) {
    let store = place.share();
    for number in 0..=u64::from(MAIL_MAX) {
        post(&*store, number, "a");
    }
    let claim = claimed(&*store, 1);
    let first: Vec<_> = waiting(&*store, &claim, &[]).into_iter().map(|mail| mail.id).collect();
    assert_eq!(first.len(), MAIL_MAX as usize);
    let rest: Vec<_> = waiting(&*store, &claim, &first).into_iter().map(|mail| mail.id).collect();
    assert_eq!(rest, [id(MAIL_MAX.into())]);
}

pub fn it_may_be_empty_or_large(place: &dyn SharedPlace) {
    let store = place.share();
    let large = "x".repeat(2 << 20);
    let sent = [post(&*store, 1, ""), post(&*store, 2, &large)];
    let claim = claimed(&*store, 1);
    assert_eq!(waiting(&*store, &claim, &[]), sent);
}

pub fn what_is_removed_is_gone(place: &dyn SharedPlace) {
    let store = place.share();
    let sent = [1, 2, 3].map(|number| post(&*store, number, "a"));
    let claim = claimed(&*store, 1);
    store.remove_mail(&claim, &[id(1), id(3), id(9)]).unwrap();
    assert_eq!(waiting(&*store, &claim, &[]), [sent[1].clone()]);
    assert_eq!(store.delivery(tenant(1), id(1)).unwrap(), None);
    assert_eq!(store.delivery(tenant(1), id(2)).unwrap(), Some(Delivery::Waiting));
}

pub fn what_is_refused_stays_with_its_reason(place: &dyn SharedPlace) {
    let store = place.share();
    post(&*store, 1, "a");
    let claim = claimed(&*store, 1);
    store.refuse_mail(&claim, id(1), "no such thing").unwrap();
    assert_eq!(waiting(&*store, &claim, &[]), []);
    let refused = Some(Delivery::Refused("no such thing".to_owned()));
    assert_eq!(store.delivery(tenant(1), id(1)).unwrap(), refused);
    // Posted again, as after an answer that was lost, it does not come back.
    post(&*store, 1, "a");
    assert_eq!(waiting(&*store, &claim, &[]), []);
    assert_eq!(store.delivery(tenant(1), id(1)).unwrap(), refused);
}

pub fn a_long_reason_is_cut(place: &dyn SharedPlace) {
    let store = place.share();
    post(&*store, 1, "a");
    let claim = claimed(&*store, 1);
    store.refuse_mail(&claim, id(1), &"ü".repeat(WHY_BYTES_MAX)).unwrap();
    let kept = "ü".repeat(WHY_BYTES_MAX / 2);
    assert_eq!(store.delivery(tenant(1), id(1)).unwrap(), Some(Delivery::Refused(kept)));
}

pub fn each_tenant_has_its_own(place: &dyn SharedPlace) {
    let store = place.share();
    post(&*store, 1, "mine");
    let theirs = mail(1, run(1), "theirs");
    store.post(tenant(2), &theirs, None).unwrap();
    let claims = store.claim_waiting(8, &[]).unwrap();
    let of = |number| claims.iter().find(|claim| claim.tenant == tenant(number)).unwrap();
    let (first, second) = (of(1), of(2));
    assert_eq!(waiting(&*store, second, &[]), [theirs]);
    store.remove_mail(second, &[id(1)]).unwrap();
    assert_eq!(waiting(&*store, first, &[]).len(), 1);
    assert_eq!(store.delivery(tenant(3), id(1)).unwrap(), None);
}

pub fn it_is_there_after_closing(place: &dyn SharedPlace) {
    let sent = post(&*place.share(), 1, "a");
    let store = place.share();
    let claim = claimed(&*store, 1);
    assert_eq!(waiting(&*store, &claim, &[]), [sent]);
}

pub fn it_is_put_away_by_who_has_the_last_claim_alone(place: &dyn SharedPlace) {
    let store = place.share();
    let sent = post(&*store, 1, "a");
    let old = claimed(&*store, 1);
    let nothing = |claim: &Claim| {
        assert!(is_owned(store.mail(claim, Except::default())));
        assert!(is_owned(store.remove_mail(claim, &[id(1)])));
        assert!(is_owned(store.refuse_mail(claim, id(1), "an old belief")));
    };
    store.release(tenant(1), After::Stopping).unwrap();
    nothing(&old);
    let claim = claimed(&*store, 1);
    nothing(&old);
    assert_eq!(waiting(&*store, &claim, &[]), [sent]);
}

fn key<'a>(name: &'a str, request: &str) -> Option<RequestKey<'a>> {
    Some(RequestKey { name, request: Digest::of(&[request.as_bytes()]) })
}

pub fn a_name_stands_for_one_run(place: &dyn SharedPlace) {
    let store = place.share();
    let post = |number, key| store.post(tenant(1), &mail(number, run(number), "a"), key).unwrap();
    assert_eq!(post(1, key("order 7", "a")), Posted::Waiting);
    assert_eq!(post(2, key("order 7", "a")), Posted::Before(run(1)));
    assert_eq!(post(3, key("order 7", "b")), Posted::Differs(run(1)));
    assert_eq!(post(4, key("order 8", "b")), Posted::Waiting);
    // The very request once more, as after an answer that was lost.
    assert_eq!(post(1, key("order 7", "a")), Posted::Waiting);
    // Of those that were turned away nothing waits.
    let claim = claimed(&*store, 1);
    let ids: Vec<_> = waiting(&*store, &claim, &[]).into_iter().map(|mail| mail.id).collect();
    assert_eq!(ids, [id(1), id(4)]);
}

pub fn a_name_is_of_one_tenant(place: &dyn SharedPlace) {
    let store = place.share();
    let post = |number, of| {
        store.post(tenant(of), &mail(number, run(number), "a"), key("order 7", "a")).unwrap()
    };
    assert_eq!((post(1, 1), post(2, 2)), (Posted::Waiting, Posted::Waiting));
    assert_eq!((post(3, 1), post(4, 2)), (Posted::Before(run(1)), Posted::Before(run(2))));
}

pub fn a_name_outlives_its_mail(place: &dyn SharedPlace) {
    let store = place.share();
    let first = mail(1, run(1), "a");
    store.post(tenant(1), &first, key("order 7", "a")).unwrap();
    let claim = claimed(&*store, 1);
    store.remove_mail(&claim, &[id(1)]).unwrap();
    drop(store);
    let store = place.share();
    let again = store.post(tenant(1), &mail(2, run(2), "a"), key("order 7", "a")).unwrap();
    assert_eq!(again, Posted::Before(run(1)));
}

pub fn of_many_that_give_a_name_at_once_one_wins(place: &dyn SharedPlace) {
    let store = place.share();
    let posted: Vec<Posted> = std::thread::scope(|threads| {
        let post = |number| {
            let store = Arc::clone(&store);
            threads.spawn(move || {
                let mail = mail(number, run(number), "a");
                store.post(tenant(1), &mail, key("k", "a")).unwrap()
            })
        };
        let posts: Vec<_> = (1..=8).map(post).collect();
        posts.into_iter().map(|post| post.join().unwrap()).collect()
    });
    let won = posted.iter().filter(|posted| **posted == Posted::Waiting).count();
    let before = posted.iter().filter(|posted| matches!(posted, Posted::Before(_))).count();
    assert_eq!((won, before), (1, 7), "{posted:?}");
    let claim = claimed(&*store, 1);
    assert_eq!(waiting(&*store, &claim, &[]).len(), 1);
}
