//! One node at a time writes the log of a tenant, by the clock of the database.

use std::time::Duration;

use cog_base::entropy::SeededEntropy;
use cog_base::{Clock, Timestamp};
use cog_conformance::{Stopped, evidence, tenant};
use cog_ledger::{AppendError, Shelf, ShelfError, Writer};
use cog_store::{After, Committer, Shared as _, Store, StoreError, Wakeup};
use cog_store_postgres::PostgresStore;

use crate::place::Database;

type Pen = Writer<Box<dyn Shelf + Send>>;

fn pen(store: &PostgresStore) -> Pen {
    Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "cognitionos/test")
}

fn append(pen: &mut Pen, source: &str, now: Timestamp) -> Result<u64, AppendError> {
    let drafts = vec![(tenant(1), evidence(source))];
    let entries = pen.append(drafts, now, &mut SeededEntropy::new(3))?;
    Ok(entries[0].seq())
}

/// A node that shares its tenants, whose claims last so long.
fn node(database: &Database, name: &str, lease: Duration) -> PostgresStore {
    let mut options = database.options(name);
    options.claims_itself = false;
    options.lease = lease;
    database.node(options)
}

const LONG: Duration = Duration::from_secs(60);

fn owner_in(error: &ShelfError) -> &str {
    assert!(!error.transient, "{error:?}");
    match error.source.downcast_ref::<StoreError>() {
        Some(StoreError::Owned { owner, .. }) => owner,
        other => panic!("{other:?}"),
    }
}

fn refused_for(result: Result<u64, AppendError>) -> String {
    match result {
        Err(AppendError::Shelf(error)) => owner_in(&error).to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Make the claim on a tenant end now, by the clock of the database.
fn end_claim(database: &Database) {
    database.admin("UPDATE cognitionos.owner SET until = clock_timestamp()");
}

#[test]
fn a_log_is_written_by_who_claimed_it() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    let (mut first, mut second) = (pen(&one), pen(&two));
    assert_eq!(refused_for(append(&mut first, "1", Stopped.now())), "nobody");
    assert_eq!(one.claim(tenant(1)).unwrap().fence, 1);
    assert_eq!(append(&mut first, "1", Stopped.now()).unwrap(), 1);
    assert_eq!(refused_for(append(&mut second, "2", Stopped.now())), one.node());
    let error = two.claim(tenant(1)).unwrap_err();
    assert!(matches!(&error, StoreError::Owned { owner, .. } if owner == one.node()), "{error}");
    one.release(tenant(1), After::Stopping).unwrap();
    assert_eq!(two.claim(tenant(1)).unwrap().fence, 2);
    assert_eq!(append(&mut second, "2", Stopped.now()).unwrap(), 2);
    assert_eq!(refused_for(append(&mut first, "3", Stopped.now())), two.node());
}

#[test]
fn an_overtaken_node_appends_nothing_and_is_told_who_has_it() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    let (mut first, mut second) = (pen(&one), pen(&two));
    one.claim(tenant(1)).unwrap();
    append(&mut first, "1", Stopped.now()).unwrap();
    end_claim(&database);
    assert_eq!(two.claim(tenant(1)).unwrap().fence, 2);
    // The first node knows nothing of it, and begins where the log still ends.
    assert_eq!(refused_for(append(&mut first, "late", Stopped.now())), two.node());
    assert_eq!(append(&mut second, "2", Stopped.now()).unwrap(), 2);
    assert_eq!(refused_for(append(&mut first, "late", Stopped.now())), two.node());
    assert_eq!(one.renew().unwrap().lost, [tenant(1)]);
    // Even when nobody has it any more: what it believes is old until it claims anew.
    two.release(tenant(1), After::Stopping).unwrap();
    assert_eq!(refused_for(append(&mut first, "late", Stopped.now())), two.node());
    assert_eq!(one.scope(tenant(1)).unwrap().tail().unwrap().unwrap().frontier.size(), 3);
}

#[test]
fn a_claim_that_ended_is_good_until_somebody_takes_it() {
    let database = Database::new();
    let one = node(&database, "one", LONG);
    let mut first = pen(&one);
    one.claim(tenant(1)).unwrap();
    append(&mut first, "1", Stopped.now()).unwrap();
    end_claim(&database);
    append(&mut first, "2", Stopped.now()).unwrap();
    let left = "SELECT until > clock_timestamp() + interval '50 s' FROM cognitionos.owner";
    assert_eq!(database.admin(left), ["t"], "a commit renews the claim");
    end_claim(&database);
    assert_eq!(one.renew().unwrap().lost, []);
    assert_eq!(database.admin(left), ["t"]);
}

#[test]
fn who_lost_a_claim_hears_of_it_when_renewing() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    one.claim(tenant(1)).unwrap();
    one.claim(tenant(2)).unwrap();
    database.admin("UPDATE cognitionos.owner SET until = '-infinity' WHERE fence = 1");
    two.claim(tenant(2)).unwrap();
    assert_eq!(one.renew().unwrap().lost, [tenant(2)]);
    assert_eq!(one.renew().unwrap().lost, [tenant(2)], "until it is claimed anew");
}

#[test]
fn of_many_that_claim_at_once_one_wins() {
    let database = Database::new();
    let nodes: Vec<_> = (0..8).map(|number| node(&database, &number.to_string(), LONG)).collect();
    for round in 1..=10 {
        let winners: Vec<_> = std::thread::scope(|threads| {
            let claims: Vec<_> =
                nodes.iter().map(|node| threads.spawn(|| node.claim(tenant(1)))).collect();
            claims.into_iter().filter_map(|claim| claim.join().unwrap().ok()).collect()
        });
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(winners[0].fence, round);
        end_claim(&database);
        // Whoever won may not be the one who claims its own again.
        database.admin("UPDATE cognitionos.owner SET node = 'gone'");
    }
}

#[test]
fn nodes_that_look_for_work_at_once_get_different_tenants() {
    let database = Database::new();
    let nodes: Vec<_> = (0..4).map(|number| node(&database, &number.to_string(), LONG)).collect();
    for number in 1..=40 {
        nodes[0].call(tenant(number)).unwrap();
    }
    assert_eq!(nodes[0].claimable(100).unwrap().len(), 40);
    let mut claimed: Vec<_> = std::thread::scope(|threads| {
        let claims: Vec<_> = nodes
            .iter()
            .map(|node| threads.spawn(|| node.claim_waiting(15, &[]).unwrap()))
            .collect();
        claims.into_iter().flat_map(|claims| claims.join().unwrap()).collect()
    });
    // Some may be left where two looked at the same ones.
    claimed.extend(nodes[0].claim_waiting(100, &[]).unwrap());
    claimed.sort_unstable_by_key(|claim| claim.tenant);
    let tenants: Vec<_> = claimed.iter().map(|claim| claim.tenant).collect();
    assert_eq!(tenants, (1..=40).map(tenant).collect::<Vec<_>>());
    assert!(claimed.iter().all(|claim| claim.fence == 1));
    assert_eq!(nodes[0].claimable(100).unwrap(), []);
}

#[test]
fn what_was_called_for_after_a_claim_is_not_forgotten_when_it_is_given_back() {
    let database = Database::new();
    let one = node(&database, "one", LONG);
    one.call(tenant(1)).unwrap();
    let claim = one.claim(tenant(1)).unwrap();
    one.release(tenant(1), After::Idle { calls: claim.calls }).unwrap();
    assert_eq!(one.claimable(10).unwrap(), []);
    let claim = one.claim(tenant(1)).unwrap();
    one.call(tenant(1)).unwrap();
    one.release(tenant(1), After::Idle { calls: claim.calls }).unwrap();
    assert_eq!(one.claimable(10).unwrap(), [tenant(1)]);
}

/// A clock that is wrong by so many hours.
struct Wrong(i64);

impl Clock for Wrong {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(Stopped.now().micros() + self.0 * 3_600_000_000)
    }
}

#[test]
fn a_claim_ends_by_the_clock_of_the_database_whatever_the_clocks_of_the_nodes_say() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    let (mut behind, mut ahead) = (pen(&one), pen(&two));
    let until = "SELECT extract(epoch FROM until - clock_timestamp())::int FROM cognitionos.owner";
    one.claim(tenant(1)).unwrap();
    append(&mut behind, "1", Wrong(-1).now()).unwrap();
    assert!((55..=60).contains(&database.admin(until)[0].parse::<i32>().unwrap()));
    // For a node whose clock is an hour ahead the claim would have ended long ago.
    assert_eq!(refused_for(append(&mut ahead, "2", Wrong(1).now())), one.node());
    assert!(two.claim(tenant(1)).is_err());
    end_claim(&database);
    // For a node whose clock is an hour behind it would still last.
    two.claim(tenant(1)).unwrap();
    append(&mut ahead, "2", Wrong(1).now()).unwrap();
    assert_eq!(refused_for(append(&mut behind, "3", Wrong(-1).now())), two.node());
    assert!((55..=60).contains(&database.admin(until)[0].parse::<i32>().unwrap()));
}

#[test]
fn a_node_that_gets_a_tenant_back_goes_on_from_where_the_others_left_it() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    let entropy = || Box::new(SeededEntropy::new(5));
    let committer = Committer::spawn(pen(&one), std::sync::Arc::new(Stopped), entropy());
    let write = || committer.append_blocking(vec![(tenant(1), evidence("1"))]);
    one.claim(tenant(1)).unwrap();
    write().unwrap();
    one.release(tenant(1), After::Stopping).unwrap();
    two.claim(tenant(1)).unwrap();
    append(&mut pen(&two), "2", Stopped.now()).unwrap();
    two.release(tenant(1), After::Stopping).unwrap();
    assert!(write().is_err());
    one.claim(tenant(1)).unwrap();
    assert_eq!(write().unwrap()[0].seq(), 3);
    // And also when it asked for nothing while the other had it.
    one.release(tenant(1), After::Stopping).unwrap();
    two.claim(tenant(1)).unwrap();
    append(&mut pen(&two), "4", Stopped.now()).unwrap();
    two.release(tenant(1), After::Stopping).unwrap();
    one.claim(tenant(1)).unwrap();
    assert_eq!(write().unwrap()[0].seq(), 5);
}

#[test]
fn a_transaction_that_a_sleeping_node_left_open_does_not_keep_others_out() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    one.claim(tenant(1)).unwrap();
    end_claim(&database);
    // As a node would be that was stopped between the two flights of a commit.
    let url = database.url(crate::place::APPLICATION);
    let slept = crate::place::on_connection(&url, async |client| {
        client.batch_execute("SET idle_in_transaction_session_timeout = 300; BEGIN").await?;
        client.batch_execute("SELECT FROM cognitionos.owner FOR SHARE").await?;
        assert_eq!(two.claim_waiting(10, &[]).unwrap(), [], "it may still be at it");
        // Waits for the row, and so until the server has ended the sleeper.
        two.claim(tenant(1)).unwrap();
        client.batch_execute("COMMIT").await
    });
    assert!(slept.is_err());
}

#[test]
fn calls_are_heard_and_a_new_connection_says_so() {
    let database = Database::new();
    let (one, two) = (node(&database, "one", LONG), node(&database, "two", LONG));
    let mut heard = one.wakeups();
    assert_eq!(heard.next(LONG).unwrap(), Wakeup::Anything);
    two.call(tenant(7)).unwrap();
    assert_eq!(heard.next(LONG).unwrap(), Wakeup::Tenant(tenant(7)));
    assert_eq!(heard.next(Duration::from_millis(1)).unwrap(), Wakeup::Nothing);
    database.admin(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'",
    );
    assert_eq!(heard.next(LONG).unwrap(), Wakeup::Anything);
    two.call(tenant(8)).unwrap();
    assert_eq!(heard.next(LONG).unwrap(), Wakeup::Tenant(tenant(8)));
}

#[test]
fn who_renews_locks_tenants_in_their_order() {
    let database = Database::new();
    let one = node(&database, "one", LONG);
    let tenants = 1..=24;
    for number in tenants.clone() {
        one.claim(tenant(number)).unwrap();
    }
    let count = |sql: &str| database.admin(&format!("SELECT count(*) FROM ({sql}) AS found"));
    let url = database.url(crate::place::APPLICATION);
    std::thread::scope(|threads| {
        let held = crate::place::on_connection(&url, async |client| {
            let first = "BEGIN; SELECT FROM cognitionos.owner
                WHERE tenant = (SELECT min(tenant::text)::uuid FROM cognitionos.owner) FOR UPDATE";
            client.batch_execute(first).await?;
            let renewing = threads.spawn(|| one.renew().unwrap());
            let waits = "SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while count(waits) != ["1"] {}
            // Whoever waits for the first has none of the others.
            let free = count("SELECT FROM cognitionos.owner FOR UPDATE SKIP LOCKED");
            client.batch_execute("COMMIT").await?;
            assert_eq!(renewing.join().unwrap().kept.len(), tenants.count());
            Ok(free)
        });
        assert_eq!(held.unwrap(), ["23"]);
    });
}
