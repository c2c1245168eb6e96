//! What is between tenants when the conditions in our statements are not: the store's own
//! statements without their `tenant = $1` pass everything that every store must do, as
//! row-level security alone keeps tenants apart.

use std::borrow::Cow;

#[expect(dead_code, reason = "the tests outside use the rest")]
#[path = "../tests/store/place.rs"]
mod place;

/// The statement as it is sent: in these tests, without the condition on the tenant. The
/// value stays, as a condition that any tenant meets. Who has a tenant every node may see: there
/// the condition is what is asked, and no wall.
pub(crate) fn without_filter(sql: &str) -> Cow<'_, str> {
    if sql.contains("FROM owner ") {
        return Cow::Borrowed(sql);
    }
    let sql = sql.replace("s.tenant = $1", "tenant = $1");
    Cow::Owned(sql.replace("tenant = $1", "($1::uuid) IS NOT NULL"))
}

cog_conformance::conformance!(place::Database::new);
cog_conformance::conformance!(@shared place::Database::new);

/// The suite passes for the right reason: the statements do go out without the condition.
#[test]
fn of_another_tenant_nothing_is_seen_without_our_conditions() {
    use cog_conformance::{House, evidence, tenant};

    let database = place::Database::new();
    let mut house = House::at(&database);
    house.append(tenant(1), [evidence("1"), evidence("2")]);
    house.append(tenant(2), [evidence("3")]);
    let sql = without_filter("SELECT seq FROM cognitionos.entry WHERE tenant = $1");
    assert_eq!(sql, "SELECT seq FROM cognitionos.entry WHERE ($1::uuid) IS NOT NULL");
    // Whom the walls do not bind sees all five entries; we see ours.
    let sql = sql.replace("$1", "gen_random_uuid()");
    assert_eq!(database.admin(&sql).len(), 5);
    assert_eq!(house.entries(tenant(1)).len(), 3);
    assert_eq!(house.entries(tenant(2)).len(), 2);
}

/// The same of mail, of names of requests and of runs that are parked.
#[test]
fn of_the_mail_of_another_tenant_nothing_is_seen_without_our_conditions() {
    use cog_base::Digest;
    use cog_base::id::{MailId, Uuid};
    use cog_conformance::{SharedPlace as _, run, tenant};
    use cog_store::{Delivery, Except, Mail, Posted, RequestKey};

    let database = place::Database::new();
    let store = database.share();
    let mail = |number: u64| {
        let id = MailId::from_uuid(Uuid::from_u128(number.into()));
        Mail { id, kind: "start".to_owned(), run: Some(run(number)), payload: vec![1] }
    };
    let key = RequestKey { name: "order-1", request: Digest::of(&[b"please"]) };
    for number in [1, 2] {
        // The name that another tenant gave stands for nothing here.
        let posted = store.post(tenant(number), &mail(number), Some(key)).unwrap();
        assert_eq!(posted, Posted::Waiting);
    }
    let claims = store.claim_waiting(64, &[]).unwrap();
    let claim = |number| claims.iter().find(|it| it.tenant == tenant(number)).unwrap();
    for number in [1, 2] {
        assert_eq!(store.mail(claim(number), Except::default()).unwrap(), [Ok(mail(number))]);
    }
    // Of the mail of another nothing is removed, refused or told.
    store.remove_mail(claim(1), &[mail(2).id]).unwrap();
    store.refuse_mail(claim(1), mail(2).id, "not here").unwrap();
    assert_eq!(store.delivery(tenant(1), mail(2).id).unwrap(), None);
    assert_eq!(store.delivery(tenant(2), mail(2).id).unwrap(), Some(Delivery::Waiting));
    let sql = without_filter("DELETE FROM mail WHERE tenant = $1 AND id = ANY ($2)");
    assert_eq!(sql, "DELETE FROM mail WHERE ($1::uuid) IS NOT NULL AND id = ANY ($2)");
}
