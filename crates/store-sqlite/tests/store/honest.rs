//! Whatever honestly happens to a log, its tables agree with its entries, and what is read by
//! any condition is what a look at every entry gives.

use cog_base::entropy::SeededEntropy;
use cog_conformance::{
    House, body, canon_activated, denial, evidence, outcome, receipt, run, sealed, started, tenant,
    with_body,
};
use cog_ledger::{Draft, Entry, Kind};
use cog_store::{Select, Store as _};
use cog_store_sqlite::Mode;

use crate::Folder;

const SEEDS: u64 = 6;
const TURNS: u64 = 40;

struct Story<'a> {
    folder: &'a Folder,
    house: House<'a>,
    dice: SeededEntropy,
    entries: Vec<Entry>,
    open: Vec<u64>,
    number: u64,
    pruned: u64,
}

impl Story<'_> {
    fn turn(&mut self) {
        match self.dice.below(12) {
            0 => {
                self.house.reopen();
            }
            1 => {
                self.house.rotate(tenant(1));
                self.entries = self.house.entries(tenant(1));
            }
            2 => {
                let size = self.entries.last().map_or(0, Entry::seq);
                let cut = self.house.store().prune_entries(tenant(1), self.dice.below(size + 1));
                self.pruned = cut.unwrap().to;
                self.house.store().prune_bodies(tenant(1), self.pruned / 2).unwrap();
                let pruned = self.pruned;
                self.entries.retain(|entry| entry.seq() >= pruned || entry.session().is_none());
            }
            3 => {
                self.house.store().erase(tenant(1), "user:ada").unwrap();
            }
            _ => self.append(),
        }
    }

    fn append(&mut self) {
        let count = 1 + self.dice.below(60);
        let drafts: Vec<_> = (0..count).map(|_| self.draft()).collect();
        if self.entries.is_empty() {
            self.house.append(tenant(1), drafts);
            self.entries = self.house.entries(tenant(1));
            return;
        }
        let appended = self.house.append(tenant(1), drafts);
        self.entries.extend(appended.into_iter().map(|entry| Entry::clone(&entry)));
    }

    fn draft(&mut self) -> Draft {
        self.number += 1;
        let number = self.number;
        if self.open.is_empty() || self.dice.below(20) == 0 {
            self.open.push(number);
            return started(run(number));
        }
        let nth = usize::try_from(self.dice.below(self.open.len() as u64)).unwrap();
        let own = run(*self.open.get(nth).unwrap());
        match self.dice.below(12) {
            0 => evidence("outside"),
            1 => canon_activated(&number.to_string()),
            2 => denial(own, number),
            3 => Draft { session: Some(own), ..evidence("inside") },
            4 => {
                self.open.remove(nth);
                sealed(own, "completed")
            }
            5 | 6 => outcome(own, number - 1),
            7 => with_body(receipt(own, number), Some("user:ada"), body(40)),
            _ => with_body(receipt(own, number), None, body(40)),
        }
    }

    /// Read by some conditions, from the writer's store or as another process would.
    fn read(&mut self) {
        let size = self.entries.last().map_or(0, Entry::seq) + 2;
        let (from, to) = (self.dice.below(size), self.dice.below(size + 20));
        let kinds = [
            Kind::CanonActivated,
            Kind::Evidence,
            Kind::Denial,
            Kind::SessionStarted,
            Kind::SessionSealed,
            Kind::KeyRotated,
            Kind::Receipt,
        ];
        let kinds = kinds.into_iter().filter(|_| self.dice.below(4) == 0).collect();
        let session = (self.dice.below(2) == 0).then(|| run(self.dice.below(self.number + 2)));
        let select = Select {
            from: if self.dice.below(2) == 0 { 0 } else { from },
            to: if self.dice.below(2) == 0 { u64::MAX } else { to },
            kinds,
            session,
            id: None,
            newest_first: self.dice.below(2) == 0,
            limit: 1 + usize::try_from(self.dice.below(120)).unwrap(),
        };
        let takes = |entry: &&Entry| select.takes(entry);
        let all: Vec<_> = if select.newest_first {
            self.entries.iter().rev().filter(takes).take(select.limit).cloned().collect()
        } else {
            self.entries.iter().filter(takes).take(select.limit).cloned().collect()
        };
        let read = if self.dice.below(2) == 0 {
            self.house.scope(tenant(1)).select(&select)
        } else {
            let store = self.folder.try_open(Mode::ReadOnly).unwrap();
            let scope = store.scope(tenant(1)).unwrap();
            scope.select(&select)
        };
        assert_eq!(read.unwrap(), all, "{select:?}, pruned to {}", self.pruned);
    }

    fn check(&self) {
        let store = self.folder.try_open(Mode::ReadOnly).unwrap();
        let findings = store.check_tables(tenant(1)).unwrap().findings;
        assert!(findings.is_empty(), "pruned to {}: {:?}", self.pruned, findings.kept());
        let scope = store.scope(tenant(1)).unwrap();
        let mut open: Vec<_> = self.open.iter().map(|number| run(*number)).collect();
        let mut read = scope.open_sessions().unwrap();
        open.sort_unstable();
        read.sort_unstable();
        assert_eq!(read, open);
        assert!(scope.sessions(100).is_ok() && scope.tail().is_ok());
    }
}

#[test]
fn whatever_honestly_happens_is_read_whole_and_not_accused() {
    for seed in 0..SEEDS {
        let folder = Folder::new();
        let house = House::at(&folder);
        let dice = SeededEntropy::new(seed);
        let (entries, open) = (Vec::new(), Vec::new());
        let mut story = Story { folder: &folder, house, dice, entries, open, number: 0, pruned: 0 };
        story.append();
        for turn in 0..TURNS {
            story.turn();
            for _ in 0..6 {
                story.read();
            }
            if turn % 10 == 9 {
                story.check();
            }
        }
    }
}
