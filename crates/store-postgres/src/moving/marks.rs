//! The marks that say where a tenant is, as a move sets them.

use std::time::Duration;

use cog_base::id::TenantId;
use cog_store::StoreError;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::id::Id;
use crate::link::Link;
use crate::owning::NOTIFY;
use crate::pool::Stop;

const PLACE: &str = "SELECT place, elsewhere FROM owner WHERE $1 = tenant";
const BEGIN: &str =
    "INSERT INTO owner (tenant, node, fence, until, wanted, calls, place, elsewhere)
    VALUES ($1, NULL, 0, '-infinity', false, 0, 'arriving', $2) ON CONFLICT DO NOTHING";
const ARRIVING: &str = "UPDATE owner SET place = 'arriving', elsewhere = $2
    WHERE $1 = tenant AND place IN ('arriving', 'moved')";
const ASK: &str = "UPDATE owner SET place = 'asked', elsewhere = $2,
        place_until = clock_timestamp() + $3::bigint * interval '1 microsecond',
        node = CASE WHEN place = 'leaving' THEN NULL ELSE node END,
        until = CASE WHEN place = 'leaving' THEN '-infinity' ELSE until END
    WHERE $1 = tenant AND (place IS NULL OR place IN ('asked', 'leaving')) RETURNING 1";
const IS_FREE: &str = "SELECT node IS NULL OR until <= clock_timestamp() FROM owner
    WHERE $1 = tenant";
const KEEP_ASKING: &str = "UPDATE owner
    SET place_until = clock_timestamp() + $2::bigint * interval '1 microsecond'
    WHERE $1 = tenant AND place = 'asked'";
/// Waits for whatever is being written.
const LOCK: &str = "SELECT FROM owner WHERE $1 = tenant FOR UPDATE";
const CLOSE: &str = "UPDATE owner SET place = 'leaving', node = $2, fence = fence + 1,
        until = clock_timestamp() + $4::bigint * interval '1 microsecond',
        place_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
    WHERE $1 = tenant AND place = 'asked' AND elsewhere = $3
        AND (node IS NULL OR until <= clock_timestamp())
    RETURNING fence, calls";
const HOLD: &str = "UPDATE owner
    SET until = clock_timestamp() + $4::bigint * interval '1 microsecond',
        place_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
    WHERE $1 = tenant AND place = 'leaving' AND node = $2 AND fence = $3
        AND place_until > clock_timestamp()
    RETURNING 1";
const LEAVE: &str = "UPDATE owner SET place = 'moved', node = NULL, until = '-infinity',
        wanted = false, place_until = '-infinity'
    WHERE $1 = tenant AND place = 'leaving' AND node = $2 AND fence = $3
        AND place_until > clock_timestamp()
    RETURNING 1";
const LET_BE: &str = "UPDATE owner SET place = NULL, elsewhere = NULL, place_until = '-infinity',
        node = CASE WHEN place = 'leaving' THEN NULL ELSE node END,
        until = CASE WHEN place = 'leaving' THEN '-infinity' ELSE until END
    WHERE $1 = tenant AND place IN ('asked', 'leaving') RETURNING 1";
const EXPECT: &str = "UPDATE owner
    SET fence = greatest(fence, $2), calls = greatest(calls, $3)
    WHERE $1 = tenant AND place = 'arriving'";
const ARRIVE: &str = "UPDATE owner SET place = NULL, elsewhere = NULL, wanted = true
    WHERE $1 = tenant AND place = 'arriving' RETURNING 1";
const TAKE: &str = "SELECT pg_try_advisory_lock($1)";

/// How often it is tried to be the only one: the server hears a little later that somebody died.
const TRIES: u32 = 100;
/// How long after each other.
const LOOK: Duration = Duration::from_millis(20);

/// The claim of who copies a tenant away.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    node: String,
    fence: i64,
    hold: i64,
}

pub(crate) fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4)
}

/// See that nobody else moves this tenant while this connection lasts.
pub(crate) fn take(link: &mut Link, tenant: TenantId) -> Result<(), Stop> {
    let bits = tenant.uuid().as_u128();
    let mixed = (bits ^ (bits >> 64)).to_be_bytes();
    let key = i64::from_be_bytes(mixed.last_chunk().copied().unwrap_or_default());
    for _ in 0..TRIES {
        let rows = link.query(TAKE, &[&key])?;
        if rows.first().is_some_and(|row| row.get(0)) {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(StoreError::io(format!("move {tenant}"), "it is being moved by somebody else").into())
}

/// The mark of a tenant, and the database that it names.
pub(crate) fn place(link: &mut Link, id: Id) -> Result<Option<(String, String)>, Stop> {
    let rows = link.query(PLACE, &[&id])?;
    let mark = |row: &Row| row.get::<_, Option<String>>(0).zip(row.get::<_, Option<String>>(1));
    Ok(rows.first().and_then(mark))
}

/// Mark a tenant as on its way from `from`, at the target.
pub(crate) fn expected(link: &mut Link, id: Id, from: &str) -> Result<(), Stop> {
    link.query(BEGIN, &[&id, &from])?;
    link.query(ARRIVING, &[&id, &from])?;
    Ok(())
}

/// Ask the owner to let go, or take up what somebody who died over it began.
pub(crate) fn ask(link: &mut Link, id: Id, to: &str, hold: Duration) -> Result<(), Stop> {
    let rows = link.query(ASK, &[&id, &to, &micros(hold)])?;
    if rows.is_empty() {
        return Err(busy("it is not here any more"));
    }
    Ok(())
}

pub(crate) fn is_free(link: &mut Link, id: Id) -> Result<bool, Stop> {
    let rows = link.query(IS_FREE, &[&id])?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

pub(crate) fn keep_asking(link: &mut Link, id: Id, hold: Duration) -> Result<(), Stop> {
    link.query(KEEP_ASKING, &[&id, &micros(hold)])?;
    Ok(())
}

/// From here on nobody writes at the source. With the claim come fence and calls.
pub(crate) fn close(
    link: &mut Link,
    id: Id,
    (node, to, hold): (&str, &str, Duration),
) -> Result<(Held, i64, i64), Stop> {
    let hold = micros(hold);
    link.batch("BEGIN")?;
    link.query(LOCK, &[&id])?;
    let rows = link.query(CLOSE, &[&id, &node, &to, &hold])?;
    let Some(row) = rows.first() else {
        link.batch("ROLLBACK")?;
        return Err(busy("somebody took it"));
    };
    let (fence, calls): (i64, i64) = (row.get(0), row.get(1));
    link.batch("COMMIT")?;
    Ok((Held { node: node.to_owned(), fence, hold }, fence, calls))
}

impl Held {
    /// Hold on a little longer.
    pub(crate) fn on(&self, link: &mut Link, id: Id) -> Result<(), Stop> {
        let values: &[&(dyn ToSql + Sync)] = &[&id, &self.node, &self.fence, &self.hold];
        let rows = link.query(HOLD, values)?;
        if rows.is_empty() { Err(busy("it took too long")) } else { Ok(()) }
    }

    /// The point of no return: from here on the tenant is elsewhere.
    pub(crate) fn leave(&self, link: &mut Link, id: Id) -> Result<(), Stop> {
        link.batch("BEGIN")?;
        link.query(LOCK, &[&id])?;
        let rows = link.query(LEAVE, &[&id, &self.node, &self.fence])?;
        link.batch(if rows.is_empty() { "ROLLBACK" } else { "COMMIT" })?;
        if rows.is_empty() { Err(busy("it took too long")) } else { Ok(()) }
    }
}

/// Take back that it is to leave.
pub(crate) fn let_be(link: &mut Link, id: Id) -> Result<(), Stop> {
    link.query(LET_BE, &[&id])?;
    link.query(NOTIFY, &[&id])?;
    Ok(())
}

/// What the target goes on from when it has the tenant.
pub(crate) fn expect(link: &mut Link, id: Id, fence: i64, calls: i64) -> Result<(), Stop> {
    link.query(EXPECT, &[&id, &fence, &calls])?;
    Ok(())
}

/// The tenant is here, and there may be work.
pub(crate) fn arrive(link: &mut Link, id: Id) -> Result<(), Stop> {
    link.query(ARRIVE, &[&id])?;
    link.query(NOTIFY, &[&id])?;
    Ok(())
}

fn busy(why: &str) -> Stop {
    StoreError::Busy { source: format!("the tenant could not be held: {why}").into() }.into()
}
