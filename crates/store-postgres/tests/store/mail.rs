//! Mail among several nodes; what any store does with it is in the conformance suite.

use cog_base::id::{MailId, RunId, Uuid};
use cog_conformance::{run, tenant};
use cog_store::{After, Claim, Delivery, Except, Mail, Shared, StoreError, Wakeup};
use cog_store_postgres::PostgresStore;

use crate::place::Database;

fn id(number: u128) -> MailId {
    MailId::from_uuid(Uuid::from_u128(number))
}

fn mail(number: u128, about: RunId, text: &str) -> Mail {
    let payload = text.as_bytes().to_vec();
    Mail { id: id(number), kind: "start".to_owned(), run: Some(about), payload }
}

fn node(database: &Database, name: &str) -> PostgresStore {
    let mut options = database.options(name);
    options.claims_itself = false;
    database.node(options)
}

#[test]
fn mail_is_put_away_by_who_has_the_last_claim_alone() {
    let database = Database::new();
    let (one, two) = (node(&database, "one"), node(&database, "two"));
    one.post(tenant(1), &mail(1, run(1), "a"), None).unwrap();
    let nothing = |node: &PostgresStore, claim: &Claim, whose: &str| {
        let is_owned = |error: StoreError| {
            assert!(matches!(&error, StoreError::Owned { owner, .. } if owner == whose), "{error}");
        };
        is_owned(node.mail(claim, Except::default()).unwrap_err());
        is_owned(node.remove_mail(claim, &[id(1)]).unwrap_err());
        is_owned(node.refuse_mail(claim, id(1), "an old belief").unwrap_err());
    };
    let first = one.claim(tenant(1)).unwrap();
    nothing(&two, &first, one.node());
    // It is overtaken and does not know it, it has the tenant again, and it gave it back.
    database.admin("UPDATE cognitionos.owner SET until = clock_timestamp()");
    let second = two.claim(tenant(1)).unwrap();
    nothing(&one, &first, two.node());
    two.release(tenant(1), After::Stopping).unwrap();
    nothing(&two, &second, "nobody");
    let third = one.claim(tenant(1)).unwrap();
    nothing(&one, &first, one.node());
    assert_eq!(one.delivery(tenant(1), id(1)).unwrap(), Some(Delivery::Waiting));
    one.remove_mail(&third, &[id(1)]).unwrap();
    assert_eq!(one.delivery(tenant(1), id(1)).unwrap(), None);
}

#[test]
fn mail_calls_for_work_and_is_sealed() {
    let database = Database::new();
    let (one, two) = (node(&database, "one"), node(&database, "two"));
    let mut heard = one.wakeups();
    let long = std::time::Duration::from_secs(60);
    assert_eq!(heard.next(long).unwrap(), Wakeup::Anything);
    two.post(tenant(1), &mail(1, run(1), "open sesame"), None).unwrap();
    assert_eq!(heard.next(long).unwrap(), Wakeup::Tenant(tenant(1)));
    let claims = one.claim_waiting(10, &[]).unwrap();
    assert_eq!((claims[0].tenant, claims[0].calls), (tenant(1), 1));
    two.post(tenant(1), &mail(2, run(2), "x"), None).unwrap();
    assert_eq!(one.renew().unwrap().kept, [(tenant(1), 2)]);
    let hidden = "SELECT count(*) FROM cognitionos.mail WHERE position('sesame' IN
        encode(sealed, 'escape')) > 0";
    assert_eq!(database.admin(hidden), ["0"]);
    assert_eq!(one.claim_waiting(10, &[]).unwrap(), []);
}

#[test]
fn the_end_of_the_claim_of_another_is_known() {
    let database = Database::new();
    let (one, two) = (node(&database, "one"), node(&database, "two"));
    assert_eq!(one.next_end().unwrap(), None);
    one.post(tenant(1), &mail(1, run(1), "a"), None).unwrap();
    one.claim_waiting(1, &[]).unwrap();
    assert_eq!(one.next_end().unwrap(), None);
    let left = two.next_end().unwrap().unwrap();
    assert!((1_000..=3_000).contains(&left.as_millis()), "{left:?}");
}

#[test]
fn a_spoiled_row_keeps_nobody_from_the_rest() {
    let database = Database::new();
    let one = node(&database, "one");
    for number in 1..=3 {
        one.post(tenant(1), &mail(number, run(1), "a"), None).unwrap();
    }
    database.admin(
        "UPDATE cognitionos.mail SET sealed = 'x'
            WHERE id = '00000000-0000-0000-0000-000000000002'",
    );
    let claim = one.claim(tenant(1)).unwrap();
    let read = one.mail(&claim, Except::default()).unwrap();
    assert_eq!(read, [Ok(mail(1, run(1), "a")), Err(id(2)), Ok(mail(3, run(1), "a"))]);
    let other = Except { ids: &[id(1)], kind: Some("start") };
    assert_eq!(one.mail(&claim, other).unwrap(), []);
}
