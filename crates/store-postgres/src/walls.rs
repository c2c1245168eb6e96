//! What is between tenants when the conditions in our statements are not: the store's own
//! statements without their `tenant = $1` pass everything that every store must do, as
//! row-level security alone keeps tenants apart.

use std::borrow::Cow;

#[expect(dead_code, reason = "the tests outside use the rest")]
#[path = "../tests/store/place.rs"]
mod place;

/// The statement as it is sent: in these tests, without the condition on the tenant. The
/// value stays, as a condition that any tenant meets.
pub(crate) fn without_filter(sql: &str) -> Cow<'_, str> {
    Cow::Owned(sql.replace("tenant = $1", "($1::uuid) IS NOT NULL"))
}

cog_conformance::conformance!(place::Database::new);

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
