//! A server that goes away and comes back: nothing acknowledged is lost, nothing is written
//! twice, and nobody has to start anything again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cog_base::entropy::SeededEntropy;
use cog_conformance::{Stopped, body, evidence, outcome, receipt, run, started, tenant, with_body};
use cog_ledger::audit::Audit;
use cog_ledger::{AppendError, Draft, Writer};
use cog_services::postgres::Cluster;
use cog_store::{Committer, PAGE_MAX, Select, Store, StoreError};
use cog_store_postgres::{MIGRATION_LATEST, PostgresStore, migrate};

use crate::place::{APPLICATION, Database, OWNER};

fn committer(store: &PostgresStore) -> Committer {
    let writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "test");
    Committer::spawn(writer, Arc::new(Stopped), Box::new(SeededEntropy::new(9)))
}

/// A cluster of a test's own, with a database in it.
fn own_cluster(settings: &[&str]) -> (Cluster, Database) {
    let cluster = Cluster::start(settings).unwrap();
    let database = Database::empty(&cluster.template());
    migrate(&database.url(OWNER), APPLICATION, MIGRATION_LATEST).unwrap();
    (cluster, database)
}

/// Every source of evidence in a log, in order.
fn sources(store: &PostgresStore, log: u64) -> Vec<String> {
    let scope = store.scope(tenant(log)).unwrap();
    let mut select = Select { limit: PAGE_MAX, ..Select::default() };
    let (mut sources, mut audit) = (Vec::new(), Audit::new(0));
    loop {
        let page = scope.select(&select).unwrap();
        for entry in &page {
            audit.entry(entry);
            sources.extend(entry.text("source").map(str::to_owned));
        }
        let Some(last) = page.last() else { break };
        select = select.after(last);
    }
    let findings = audit.finish().findings;
    // The entries of these tests name a canon that nobody activated.
    let found = findings.kept();
    assert!(found.iter().all(|one| one.code.contains("canon")), "{found:?}");
    sources
}

/// Four threads append, each to one of two logs, while `trouble` makes trouble. Then each log
/// has what was acknowledged, once and in order, and nothing else.
fn append_in_trouble(store: &PostgresStore, trouble: impl FnOnce(&AtomicU64)) {
    let committer = committer(store);
    let (done, kept) = (AtomicBool::new(false), AtomicU64::new(0));
    let appending = |thread: u64| {
        let mut own = Vec::new();
        while !done.load(Ordering::Acquire) {
            let source = format!("{thread}/{}", own.len());
            let draft = with_body(evidence(&source), Some("user:ada"), body(500));
            committer.append_blocking(vec![(tenant(thread % 2), draft)]).unwrap();
            own.push(source);
            kept.fetch_add(1, Ordering::AcqRel);
        }
        own
    };
    let acknowledged: Vec<Vec<String>> = std::thread::scope(|threads| {
        let appending = &appending;
        let running: Vec<_> = (0..4).map(|n| threads.spawn(move || appending(n))).collect();
        trouble(&kept);
        done.store(true, Ordering::Release);
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    committer.shutdown();
    for log in 0..2 {
        let recorded = sources(store, log);
        for thread in (0..4).filter(|thread| thread % 2 == log) {
            let own = format!("{thread}/");
            let of_thread: Vec<_> = recorded.iter().filter(|one| one.starts_with(&own)).collect();
            let expected = &acknowledged[usize::try_from(thread).unwrap()];
            assert_eq!(of_thread, expected.iter().collect::<Vec<_>>(), "log {log}");
        }
    }
}

fn wait_for(kept: &AtomicU64, more: u64) {
    let (goal, begun) = (kept.load(Ordering::Acquire) + more, Instant::now());
    while kept.load(Ordering::Acquire) < goal {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing goes on");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_connection_that_is_ended_in_the_middle_of_commits_loses_and_doubles_nothing() {
    let database = Database::new();
    let store = database.node(database.options("one"));
    append_in_trouble(&store, |kept| {
        let mut dice = SeededEntropy::new(4);
        for _ in 0..40 {
            wait_for(kept, 1 + dice.below(12));
            database.admin(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND usename = 'cog_application'",
            );
        }
        wait_for(kept, 20);
    });
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_commits_loses_and_doubles_nothing() {
    let (cluster, database) = own_cluster(&[]);
    let store = database.node(database.options("one"));
    append_in_trouble(&store, |kept| {
        let mut dice = SeededEntropy::new(5);
        for _ in 0..6 {
            wait_for(kept, 1 + dice.below(60));
            cluster.kill().unwrap();
            cluster.restart().unwrap();
        }
        wait_for(kept, 20);
    });
}

#[test]
fn a_commit_that_was_kept_although_its_answer_was_lost_is_found() {
    let (_cluster, database) = own_cluster(&[]);
    let store = database.node(database.options("one"));
    let committer = committer(&store);
    let append =
        |source: &str| committer.append_blocking(vec![(tenant(1), evidence(source))]).unwrap();
    append("first");
    // From now on the answer of a commit waits for a second server that is not there, and
    // the connection can be ended after the commit is recorded.
    database.admin("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    database.admin("SELECT pg_reload_conf()");
    // Not every process of the server has heard of it at once.
    let mut names = vec!["first".to_owned()];
    let mut ended = 0;
    while ended == 0 && names.len() < 100 {
        let name = format!("once {}", names.len());
        let appended = std::thread::scope(|threads| {
            let appended = threads.spawn(|| append(&name));
            ended = end_waiting_commits(&database, &appended);
            appended.join().unwrap()
        });
        assert_eq!(appended.len(), 1);
        names.push(name);
    }
    database.admin("ALTER SYSTEM RESET synchronous_standby_names");
    database.admin("SELECT pg_reload_conf()");
    assert!(ended > 0, "no commit was ended while it waited");
    assert_eq!(sources(&store, 1), names);
}

/// End every connection that waits for the second server, until the append is through. Returns
/// how many.
fn end_waiting_commits<T>(
    database: &Database,
    append: &std::thread::ScopedJoinHandle<'_, T>,
) -> usize {
    let mut ended = 0;
    while !append.is_finished() {
        ended += database
            .admin(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE wait_event = 'SyncRep' AND usename = 'cog_application'",
            )
            .len();
        std::thread::sleep(Duration::from_millis(5));
    }
    ended
}

#[test]
fn a_server_that_does_not_come_back_is_a_passing_failure_and_then_work_goes_on() {
    let (cluster, database) = own_cluster(&[]);
    let mut options = database.options("one");
    options.patience = Duration::from_millis(50);
    let store = database.node(options);
    let append = |writer: &mut Writer<_>, source: &str| {
        let drafts = vec![(tenant(1), evidence(source))];
        writer.append(drafts, cog_base::Clock::now(&Stopped), &mut SeededEntropy::new(1))
    };
    let mut writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "test");
    append(&mut writer, "1").unwrap();
    cluster.stop().unwrap();
    for _ in 0..3 {
        let error = append(&mut writer, "2").unwrap_err();
        let AppendError::Shelf(error) = error else { panic!("{error:?}") };
        assert!(error.transient, "{error:?}");
    }
    let error = store.tenants().unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }) && error.is_transient(), "{error:?}");
    cluster.restart().unwrap();
    append(&mut writer, "2").unwrap();
    assert_eq!(sources(&store, 1), ["1", "2"]);
}

#[test]
fn a_run_and_its_bodies_are_whole_after_a_crash() {
    let (cluster, database) = own_cluster(&[]);
    let store = database.node(database.options("one"));
    let committer = committer(&store);
    let append = |drafts: Vec<Draft>| {
        let drafts = drafts.into_iter().map(|draft| (tenant(1), draft)).collect();
        committer.append_blocking(drafts).unwrap()
    };
    append(vec![started(run(1))]);
    for number in 0..5 {
        let receipt = with_body(receipt(run(1), number), Some("user:ada"), body(3_000));
        let entries = append(vec![receipt, outcome(run(1), number)]);
        cluster.kill().unwrap();
        cluster.restart().unwrap();
        let scope = store.scope(tenant(1)).unwrap();
        assert!(scope.body(entries[0].seq()).unwrap().is_some());
        assert_eq!(scope.session(run(1)).unwrap().unwrap().entries, 3 + 2 * number);
    }
}
