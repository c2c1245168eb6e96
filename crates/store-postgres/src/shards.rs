//! Which of the logical shards a tenant is on. The shard is a property of the tenant and
//! never changes; which database has a shard is a map that can.

use cog_base::Digest;
use cog_base::id::TenantId;

const CONTEXT: &str = "cognitionos/shard/v1";
/// How many logical shards there are.
pub const SHARDS: u8 = 16;

/// The shard of a tenant, as the database has it.
pub(crate) fn of(tenant: TenantId) -> i16 {
    i16::from(number(tenant))
}

/// The shard of a tenant: a stable hash of its id, below [`SHARDS`].
#[must_use]
pub fn number(tenant: TenantId) -> u8 {
    let digest = Digest::in_context(CONTEXT, &tenant.uuid().as_u128().to_be_bytes());
    digest.as_bytes().first().copied().unwrap_or_default() % SHARDS
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    #[test]
    fn tenants_spread_over_all_shards_and_stay_where_they_are() {
        let shard = |number| of(TenantId::from_uuid(Uuid::from_u128(number)));
        let mut counts = [0; SHARDS as usize];
        for number in 0..1_600 {
            counts[usize::try_from(shard(number)).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (50..150).contains(count)), "{counts:?}");
        // A release that computed another shard would look for tenants in the wrong place.
        assert_eq!([1, 2, 3, 4].map(shard), [14, 10, 12, 0]);
    }
}
