//! What the command line asks for.

use std::path::PathBuf;

use anyhow::{Context as _, bail};

/// The help text.
pub(crate) const HELP: &str = "\
usage: cargo xtask bench [NAME...] [OPTIONS]

  decide   one decision of the canon and of the whole gate; stock Cedar beside it
  append   provable, synced appends in batches; a bare SQLite table beside it
  steps    runs of 10 governed durable steps, 1 and 64 at once; beside them runs that only wait
           for their commits, and bare group commit for which nobody waits
  fanout   a run of 100 steps side by side, and one that waits for all of them
  fair     1,000 tenants on a node: the others beside a noisy one, and alone; and what it costs
           that they are many
  parked   the memory that 1,000 and 100,000 runs take that wait for time, how late some of them
           go on that are due one by one, and 60,000 that are due within one second
  resume   the state of a long run, worked out from its entries; reading them beside it
  verify   a bundle checked offline; SHA-256 of the same bytes beside it
  start    from the start of the program to its first receipt; `--version` beside it. And from
           `kill -9` of a node with 200 and 10,000 runs in flight to the next receipt

  --store NAME   only in this store: sqlite or postgres
  --nodes N      `steps`: also with so many nodes on one database
  --timers N     `parked`: so many runs that wait (default 100000, quick 5000)
  --json         one JSON document instead of lines
  --quick        short runs, for a first look
  --seconds N    how long each case is measured (default 3, quick 0.5)
  --entries N    entries of the bundle that `verify` checks (default 1000000, quick 50000)
  --alone        without floors and peers, for a profiler
  --only TEXT    only the cases whose name has this text
  --data DIR     where databases and bundles are written (default target/bench): a disk,
                 not memory, or syncs cost nothing";

const SECONDS: f64 = 3.0;
const SECONDS_QUICK: f64 = 0.5;
const SECONDS_MAX: f64 = 600.0;
const ENTRIES: u64 = 1_000_000;
const ENTRIES_QUICK: u64 = 50_000;
const ENTRIES_MAX: u64 = 20_000_000;
const NODES_MAX: u64 = 16;
const TIMERS_MAX: u64 = 1_000_000;

/// Where logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The embedded store, driven as the program does in a data folder.
    Sqlite,
    /// The store of many nodes, with nodes.
    Postgres,
}

/// How to measure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    names: Vec<String>,
    only: Option<String>,
    store: Option<Kept>,
    /// So many nodes beside one alone.
    pub(crate) nodes: Option<u64>,
    /// So many runs that wait for time.
    pub(crate) timers: Option<u64>,
    pub(crate) json: bool,
    pub(crate) quick: bool,
    /// Without floors and peers.
    pub(crate) alone: bool,
    /// How long each case is measured.
    pub(crate) seconds: f64,
    /// Entries of the bundle to verify.
    pub(crate) entries: u64,
    /// Where files are written.
    pub(crate) data: PathBuf,
}

/// What is wanted.
pub(crate) enum Wanted {
    Help,
    Run(Options),
}

impl Options {
    /// Read the arguments; `known` are the names of the benches.
    pub(crate) fn read(arguments: &[String], known: &[&str]) -> anyhow::Result<Wanted> {
        let mut options = Self {
            names: Vec::new(),
            only: None,
            store: None,
            nodes: None,
            timers: None,
            json: false,
            quick: arguments.iter().any(|word| word == "--quick"),
            alone: false,
            seconds: SECONDS,
            entries: ENTRIES,
            data: PathBuf::from("target/bench"),
        };
        if options.quick {
            (options.seconds, options.entries) = (SECONDS_QUICK, ENTRIES_QUICK);
        }
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word {
                "--help" | "-h" | "help" => return Ok(Wanted::Help),
                "--json" => options.json = true,
                "--quick" => {}
                "--alone" => options.alone = true,
                "--seconds" => options.seconds = value()?.parse().context("--seconds")?,
                "--entries" => options.entries = value()?.parse().context("--entries")?,
                "--only" => options.only = Some(value()?.to_owned()),
                "--store" => options.store = Some(store(value()?)?),
                "--nodes" => options.nodes = Some(value()?.parse().context("--nodes")?),
                "--timers" => options.timers = Some(value()?.parse().context("--timers")?),
                "--data" => options.data = value()?.into(),
                name if known.contains(&name) => options.names.push(name.to_owned()),
                other => bail!("there is no bench or option `{other}`"),
            }
        }
        options.check()?;
        Ok(Wanted::Run(options))
    }

    fn check(&self) -> anyhow::Result<()> {
        if !(self.seconds > 0.0 && self.seconds <= SECONDS_MAX) {
            bail!("--seconds is more than 0 and at most {SECONDS_MAX}");
        }
        if !(1..=ENTRIES_MAX).contains(&self.entries) {
            bail!("--entries is at least 1 and at most {ENTRIES_MAX}");
        }
        if self.nodes.is_some_and(|nodes| !(1..=NODES_MAX).contains(&nodes)) {
            bail!("--nodes is at least 1 and at most {NODES_MAX}");
        }
        if self.timers.is_some_and(|timers| !(1..=TIMERS_MAX).contains(&timers)) {
            bail!("--timers is at least 1 and at most {TIMERS_MAX}");
        }
        Ok(())
    }

    /// Whether a bench is to be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    /// Whether a store is to be measured.
    pub(crate) fn wants_store(&self, store: Kept) -> bool {
        self.store.is_none_or(|wanted| wanted == store)
    }

    /// Whether a case of a bench is to be run.
    pub(crate) fn wants_case(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|text| case.contains(text.as_str()))
    }
}

fn store(word: &str) -> anyhow::Result<Kept> {
    match word {
        "sqlite" => Ok(Kept::Sqlite),
        "postgres" => Ok(Kept::Postgres),
        other => bail!("there is no store `{other}`: it is sqlite or postgres"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> anyhow::Result<Options> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match Options::read(&words, &["decide", "steps"])? {
            Wanted::Run(options) => Ok(options),
            Wanted::Help => bail!("help"),
        }
    }

    #[test]
    fn no_name_means_every_bench() {
        let options = read(&["--json"]).unwrap();
        assert!(options.json && options.wants("decide") && options.wants("steps"));
        let options = read(&["steps", "--only", "64"]).unwrap();
        assert!(!options.wants("decide") && options.wants("steps"));
        assert!(options.wants_case("64 runs") && !options.wants_case("1 run"));
    }

    #[test]
    fn what_is_said_outweighs_quick() {
        let options = read(&["--entries", "7", "--quick"]).unwrap();
        assert_eq!((options.entries, options.seconds), (7, SECONDS_QUICK));
    }

    #[test]
    fn both_stores_are_measured_unless_one_is_named() {
        let options = read(&["steps"]).unwrap();
        assert!(options.wants_store(Kept::Sqlite) && options.wants_store(Kept::Postgres));
        let options = read(&["steps", "--store", "postgres", "--nodes", "4"]).unwrap();
        assert!(!options.wants_store(Kept::Sqlite) && options.wants_store(Kept::Postgres));
        assert_eq!((options.nodes, options.timers), (Some(4), None));
        assert_eq!(read(&["--timers", "1000000"]).unwrap().timers, Some(1_000_000));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for words in [
            &["step"][..],
            &["--seconds"],
            &["--seconds", "0"],
            &["--entries", "0"],
            &["--store", "redis"],
            &["--nodes", "0"],
            &["--timers", "0"],
            &["--timers", "1000001"],
        ] {
            assert!(read(words).is_err(), "{words:?}");
        }
    }
}
