//! A process that is killed in the middle of its work, again and again. The test starts
//! itself as that process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use cog_base::entropy::SeededEntropy;
use cog_conformance::{
    House, Stopped, body, evidence, outcome, receipt, run, started, tenant, with_body,
};
use cog_ledger::audit::Audit;
use cog_ledger::merkle::{Frontier, root};
use cog_ledger::{Draft, Writer};
use cog_store::{Committer, Store as _, Tree};
use cog_store_sqlite::Mode;

use crate::Folder;
use crate::place::open;

const FOLDER: &str = "COGNITIONOS_TEST_KILLED_IN";
const TEST: &str = "kill::nothing_acknowledged_is_lost_when_killed";
const ROUNDS: u64 = 20;
const THREADS: u64 = 4;

#[test]
fn nothing_acknowledged_is_lost_when_killed() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return append_until_killed(folder.as_ref());
    }
    let folder = Folder::new();
    let mut dice = SeededEntropy::new(2);
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let more = acknowledged.len();
        acknowledged.extend(run_and_kill(&folder, 1 + dice.below(120)));
        assert!(acknowledged.len() > more, "round {round} did nothing");
        check(&folder, &acknowledged);
    }
}

/// The child: four threads, each with a log and a run of its own, say what is acknowledged.
fn append_until_killed(folder: &std::path::Path) {
    let store = open(folder, Mode::ReadWrite).unwrap();
    let writer = Writer::new(store.shelf().unwrap(), store.signing_keys().unwrap(), "test");
    let entropy = Box::new(SeededEntropy::new(u64::from(std::process::id())));
    let committer = Committer::spawn(writer, Arc::new(Stopped), entropy);
    std::thread::scope(|threads| {
        for thread in 0..THREADS {
            let committer = &committer;
            threads.spawn(move || {
                let own = run(u64::from(std::process::id()) * THREADS + thread);
                let append = |drafts: Vec<Draft>| {
                    let drafts = drafts.into_iter().map(|draft| (tenant(thread % 2), draft));
                    for entry in committer.append_blocking(drafts.collect()).unwrap() {
                        let (log, seq, leaf) = (thread % 2, entry.seq(), entry.leaf());
                        // One write for a line, so that a killed one is never a whole one.
                        let line = format!("ack {log} {seq} {leaf}\n");
                        std::io::stdout().write_all(line.as_bytes()).unwrap();
                    }
                };
                append(vec![started(own)]);
                for number in u64::from(std::process::id()) << 20.. {
                    let id = number * THREADS + thread;
                    append(vec![with_body(receipt(own, id), Some("user:ada"), body(3_000))]);
                    append(vec![outcome(own, id), with_body(evidence("1"), None, body(10))]);
                }
            });
        }
    });
}

/// Run the child until it acknowledged so many entries, kill it, and return all that it
/// acknowledged.
fn run_and_kill(folder: &Folder, count: u64) -> Vec<(u64, u64, String)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(FOLDER, folder.data(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        let words: Vec<&str> = line.trim_end().split(' ').collect();
        if let ["ack", log, seq, leaf] = words[..]
            && line.ends_with('\n')
        {
            acknowledged.push((log.parse().unwrap(), seq.parse().unwrap(), leaf.to_owned()));
            if acknowledged.len() as u64 == count {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    acknowledged
}

fn check(folder: &Folder, acknowledged: &[(u64, u64, String)]) {
    let store = folder.try_open(Mode::ReadOnly).unwrap();
    for tenant in store.tenants().unwrap() {
        let findings = store.check_tables(tenant).unwrap().findings;
        assert!(findings.is_empty(), "{:?}", findings.kept());
    }
    drop(store);
    let house = House::at(folder);
    for (log, seq, leaf) in acknowledged {
        let entry = house.scope(tenant(*log)).entry(*seq).unwrap();
        let entry = entry.unwrap_or_else(|| panic!("entry {seq} of log {log} is lost"));
        assert_eq!(entry.leaf().to_string(), *leaf);
        if entry.commit().is_some() {
            assert!(house.scope(tenant(*log)).body(*seq).unwrap().is_some());
        }
    }
    for log in 0..2 {
        check_log(&house, log);
    }
}

fn check_log(house: &House<'_>, log: u64) {
    let entries = house.entries(tenant(log));
    if entries.is_empty() {
        return;
    }
    let (mut audit, mut edge) = (Audit::new(0), Frontier::new());
    for entry in &entries {
        audit.entry(entry);
        edge.push(entry.leaf(), |_, _, _| {});
    }
    let audited = audit.finish();
    // The entries of these tests name a canon that nobody activated.
    let found = audited.findings.kept();
    assert!(found.iter().all(|one| one.code.contains("canon")), "{found:?}");
    let scope = house.scope(tenant(log));
    let tail = scope.tail().unwrap().unwrap();
    assert_eq!(tail.frontier, edge);
    assert_eq!(tail.checkpoint.root(), edge.root());
    assert_eq!(root(&mut Tree(&*scope), edge.size()).unwrap(), edge.root());
    let keys: Vec<_> = audited.keys.into_iter().map(|one| one.key).collect();
    assert!(tail.checkpoint.verify(&audited.origin.unwrap(), &keys).is_ok());
    let of_runs = scope.sessions(100).unwrap().iter().map(|run| run.entries).sum::<u64>();
    let in_runs = entries.iter().filter(|entry| entry.session().is_some()).count() as u64;
    assert_eq!(of_runs, in_runs);
}
