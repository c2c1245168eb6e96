//! What is between tenants when the conditions in our statements are not: the store's own
//! statements without their `tenant = $1` pass everything that every store must do, as
//! row-level security alone keeps tenants apart.

use std::borrow::Cow;

#[expect(dead_code, reason = "the tests of the store use the rest")]
#[path = "../tests/store/place.rs"]
mod place;

/// The statement as it is sent: in these tests, without the condition on the tenant. The
/// value stays, as a condition that any tenant meets.
pub(crate) fn without_filter(sql: &str) -> Cow<'_, str> {
    Cow::Owned(sql.replace("tenant = $1", "($1::uuid) IS NOT NULL"))
}

cog_conformance::conformance!(place::Database::new);
