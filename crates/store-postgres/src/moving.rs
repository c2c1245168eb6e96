//! Moves a tenant with its ledger to another database while it goes on being written.
//!
//! What grows with the log is copied in rounds. Then the owner is asked to let go, and the rest
//! is copied while nobody writes. What has come is compared with what was there, table by table,
//! and its entries are computed anew: they must come to the head that was signed. Only then does
//! the source say, in one transaction, that the tenant is elsewhere; that is the point of no
//! return. Whoever is killed on the way leaves marks that count only for a time, or that the
//! same move goes on from.

mod copy;
mod marks;
mod tables;
mod tree;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cog_base::Digest;
use cog_base::id::TenantId;
use cog_store::StoreError;

use crate::id::Id;
use crate::link::Link;
use crate::pool::Stop;
use crate::reading::number;
use crate::{PostgresStore, places, shards};
use copy::Pair;
use tree::Tree;

/// With so few rows left, the rest is copied while nobody writes.
const REST_MAX: u64 = 512;
/// The most rounds: a log that grows as fast as it is copied is moved all the same.
const ROUNDS_MAX: u32 = 12;
/// How often it is looked whether the owner has let go.
const LOOK: Duration = Duration::from_millis(5);
/// All values come out the same on both sides.
const PLAIN: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET bytea_output = 'hex'";
const SET_TENANT: &str = "SELECT set_config('app.tenant', ($1::uuid)::text, false)";
const SIZE: &str = "SELECT size FROM log WHERE tenant = $1";
const TENANT: &str = "INSERT INTO tenant (tenant, shard) VALUES ($1, $2) ON CONFLICT DO NOTHING";

/// The move of one tenant from one database to another.
#[derive(Clone, Copy)]
pub struct Moving<'a> {
    /// Where it is.
    pub source: &'a PostgresStore,
    /// Where it is to be.
    pub target: &'a PostgresStore,
    /// Whose.
    pub tenant: TenantId,
    /// How long the owner may take to settle what is under way.
    pub grace: Duration,
    /// How long nobody may write when whoever moves it is gone.
    pub hold: Duration,
    /// Whether the rows stay at the source, where nobody reads them any more.
    pub keep: bool,
}

/// How far a move has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The log was copied up to so many entries.
    Copied {
        /// How many.
        entries: u64,
    },
    /// What was copied is what was there, up to so many entries.
    Compared {
        /// How many.
        entries: u64,
    },
    /// The owner is asked to let go.
    Asked,
    /// Nobody writes.
    Closed,
    /// Everything is there and is the same; the entries come to the signed head.
    Agreed,
    /// The source says that it is elsewhere.
    Left,
    /// The target has it.
    Here,
    /// So many rows were removed at the source.
    Forgotten {
        /// How many.
        rows: u64,
    },
}

/// What a move did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The size and the root of the signed head, which was the same before and after; nothing
    /// when the tenant has no log yet, or when an earlier move had come so far.
    pub head: Option<(u64, Digest)>,
    /// How many rows were found the same on both sides, table by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// From when the owner was asked to let go until the target had it.
    pub paused: Duration,
    /// Of that, how long nobody could write or ask.
    pub closed: Duration,
}

impl<'a> Moving<'a> {
    /// A move for which the owner has 30 seconds to settle what is under way, and which removes
    /// what it moved.
    #[must_use]
    pub const fn new(
        source: &'a PostgresStore,
        target: &'a PostgresStore,
        tenant: TenantId,
    ) -> Self {
        let (grace, hold) = (Duration::from_secs(30), Duration::from_secs(10));
        Self { source, target, tenant, grace, hold, keep: false }
    }

    /// Move it, or go on with a move that was cut short. What happens is told, step by step.
    ///
    /// # Errors
    /// [`StoreError::Moved`] when it is in neither, [`StoreError::Busy`] when its owner does not
    /// let go in time, [`StoreError::Corrupt`] when what came is not what was there. Until the
    /// source says that it is elsewhere, it goes on there as if nothing had been tried.
    pub fn run(&self, tell: &mut dyn FnMut(&Step)) -> Result<Moved, StoreError> {
        let done = self.pair().and_then(|mut pair| self.on(&mut pair, tell));
        done.map_err(|stop| stop.told("move a tenant"))
    }

    fn names(&self) -> Result<(&str, &str), StoreError> {
        let names = self.source.name().zip(self.target.name());
        let same = |(from, to): &(&str, &str)| from != to;
        names.filter(same).ok_or_else(|| {
            StoreError::io("move a tenant", "the two databases have not each a name of its own")
        })
    }

    fn pair(&self) -> Result<Pair, Stop> {
        let link = |store: &PostgresStore| -> Result<Link, Stop> {
            let mut link = Link::open(store.inner.pool.address(), PLAIN)?;
            marks::take(&mut link, self.tenant)?;
            link.query(SET_TENANT, &[&Id::from(self.tenant)])?;
            Ok(link)
        };
        Ok(Pair::new(link(self.source)?, link(self.target)?, Id::from(self.tenant)))
    }

    fn on(&self, pair: &mut Pair, tell: &mut dyn FnMut(&Step)) -> Result<Moved, Stop> {
        let ((from, to), id) = (self.names()?, pair.id);
        let mut moved = Moved {
            head: None,
            rows: BTreeMap::new(),
            paused: Duration::ZERO,
            closed: Duration::ZERO,
        };
        match marks::place(&mut pair.source, id)? {
            // The point of no return was passed before.
            Some((place, name)) if place == "moved" => {
                let there = marks::place(&mut pair.target, id)?;
                let is_coming = there.as_ref().is_some_and(|(_, name)| name == from);
                if name != to || !(there.is_none() || is_coming) {
                    return Err(StoreError::Moved { tenant: self.tenant, to: name }.into());
                }
                marks::arrive(&mut pair.target, id)?;
                tell(&Step::Here);
            }
            _ => {
                self.prepare(pair, (from, to))?;
                let mut tree = Tree::default();
                let settled = self.copy(pair, &mut tree, tell)?;
                let asked = Instant::now();
                let passed = self.pass(pair, (&mut tree, settled), asked, tell);
                match passed {
                    Ok(done) => moved = done,
                    Err(stop) => {
                        // When that fails too, the mark ends by itself.
                        drop(marks::let_be(&mut pair.source, id));
                        return Err(stop);
                    }
                }
            }
        }
        if !self.keep {
            let rows = copy::forget(&mut pair.source)?;
            tell(&Step::Forgotten { rows });
        }
        Ok(moved)
    }

    /// See that the tenant is at the source, and mark it as expected at the target.
    fn prepare(&self, pair: &mut Pair, (from, _): (&str, &str)) -> Result<(), Stop> {
        let id = pair.id;
        pair.source.batch("BEGIN")?;
        let is_here = places::keep(&mut pair.source, self.tenant);
        pair.source.batch("COMMIT")?;
        match is_here {
            // Somebody who died was moving it.
            Err(Stop::Store(StoreError::Moved { .. }))
                if marks::place(&mut pair.source, id)?
                    .is_some_and(|(place, _)| place == "leaving") => {}
            other => other?,
        }
        let before = marks::place(&mut pair.target, id)?;
        marks::expected(&mut pair.target, id, from)?;
        let expected = Some(("arriving".to_owned(), from.to_owned()));
        if marks::place(&mut pair.target, id)? != expected {
            let what = format!("{} is in both databases", self.tenant);
            return Err(StoreError::corrupt(what).into());
        }
        if before.is_some() && before != expected {
            copy::forget(&mut pair.target)?;
        }
        pair.find_ends()
    }

    /// Copy what grows, in rounds, and compare what came. Returns how many entries were compared.
    fn copy(
        &self,
        pair: &mut Pair,
        tree: &mut Tree,
        tell: &mut dyn FnMut(&Step),
    ) -> Result<u64, Stop> {
        let mut entries = size(&mut pair.source, pair.id)?;
        if entries > 0 {
            let shard = shards::of(self.tenant);
            pair.target.query(TENANT, &[&pair.id, &shard])?;
        }
        for _ in 0..ROUNDS_MAX {
            let copied = pair.grow(entries, &mut |_| Ok(()))?;
            tell(&Step::Copied { entries });
            if copied <= REST_MAX {
                break;
            }
            entries = size(&mut pair.source, pair.id)?;
        }
        pair.even(&mut |_| Ok(()))?;
        pair.compare_long(0, entries)?;
        tree.grow(&mut pair.target, pair.id, entries)?;
        tell(&Step::Compared { entries });
        let grown = size(&mut pair.source, pair.id)?;
        pair.grow(grown, &mut |_| Ok(()))?;
        Ok(entries)
    }

    /// From when the owner is asked to let go until the target has the tenant.
    fn pass(
        &self,
        pair: &mut Pair,
        (tree, settled): (&mut Tree, u64),
        asked: Instant,
        tell: &mut dyn FnMut(&Step),
    ) -> Result<Moved, Stop> {
        let ((_, to), id) = (self.names()?, pair.id);
        marks::ask(&mut pair.source, id, to, self.hold)?;
        tell(&Step::Asked);
        self.wait(pair)?;
        let node = format!("a move to {to}");
        let closed = Instant::now();
        let (held, fence, calls) = marks::close(&mut pair.source, id, (&node, to, self.hold))?;
        tell(&Step::Closed);
        let mut last = Instant::now();
        let mut hold_on = |link: &mut Link| -> Result<(), Stop> {
            if last.elapsed() < self.hold / 8 {
                return Ok(());
            }
            last = Instant::now();
            held.on(link, id)
        };
        let entries = size(&mut pair.source, id)?;
        if entries > 0 {
            pair.target.query(TENANT, &[&id, &shards::of(self.tenant)])?;
        }
        pair.grow(entries, &mut hold_on)?;
        let from = if pair.is_as_long(settled)? { settled } else { 0 };
        pair.compare_long(from, entries)?;
        hold_on(&mut pair.source)?;
        pair.even_one(&tables::LOG)?;
        pair.even(&mut hold_on)?;
        pair.renumber()?;
        hold_on(&mut pair.source)?;
        tree.grow(&mut pair.target, id, entries)?;
        let head = self.agrees(pair, tree)?;
        marks::expect(&mut pair.target, id, fence, calls)?;
        tell(&Step::Agreed);
        held.leave(&mut pair.source, id)?;
        tell(&Step::Left);
        marks::arrive(&mut pair.target, id)?;
        let (paused, closed) = (asked.elapsed(), closed.elapsed());
        tell(&Step::Here);
        Ok(Moved { head, rows: std::mem::take(&mut pair.equal), paused, closed })
    }

    /// Wait until the owner has let go.
    fn wait(&self, pair: &mut Pair) -> Result<(), Stop> {
        let (begun, mut kept) = (Instant::now(), Instant::now());
        while !marks::is_free(&mut pair.source, pair.id)? {
            if begun.elapsed() > self.grace {
                let why = "its owner has something under way and does not let go: it goes on where \
                           it is; give it longer, or try again later";
                return Err(StoreError::Busy { source: why.into() }.into());
            }
            if kept.elapsed() > self.hold / 8 {
                kept = Instant::now();
                marks::keep_asking(&mut pair.source, pair.id, self.hold)?;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// See that every table is the same on both sides, and that the entries at the target come
    /// to the head that the source has.
    fn agrees(&self, pair: &mut Pair, tree: &Tree) -> Result<Option<(u64, Digest)>, Stop> {
        let differs = |what: &str| -> Stop {
            StoreError::corrupt(format!("{what} of {} came otherwise than it was", self.tenant))
                .into()
        };
        let all = tables::ALL.iter().filter(|name| **name != "tenant");
        for name in all {
            if !pair.equal.contains_key(name) {
                return Err(differs(name));
            }
        }
        let here = tree::head(&mut pair.source, pair.id)?;
        let there = tree::head(&mut pair.target, pair.id)?;
        let text = |head: &Option<cog_ledger::Checkpoint>| head.as_ref().map(ToString::to_string);
        if text(&here) != text(&there) || there.as_ref().is_some_and(|head| !tree.is_of(head)) {
            return Err(differs("the signed head"));
        }
        Ok(there.map(|head| (head.size(), head.root())))
    }
}

impl PostgresStore {
    /// Remove what is left of a tenant that is not here; how many rows there were.
    ///
    /// # Errors
    /// [`StoreError`] when it is here, or what is left cannot be removed.
    pub fn forget(&self, tenant: TenantId) -> Result<u64, StoreError> {
        let forget = || -> Result<u64, Stop> {
            let mut link = Link::open(self.inner.pool.address(), PLAIN)?;
            link.query(SET_TENANT, &[&Id::from(tenant)])?;
            Ok(copy::forget(&mut link)?)
        };
        forget().map_err(|stop| stop.told("remove what was moved"))
    }
}

fn size(link: &mut Link, id: Id) -> Result<u64, Stop> {
    let rows = link.query(SIZE, &[&id])?;
    Ok(rows.first().map_or(0, |row| number(row.get(0))))
}
