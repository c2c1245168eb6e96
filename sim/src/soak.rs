//! Fresh worlds and towns for as long as somebody likes, and what they came to.

use std::fmt;

use cog_base::Value;

use crate::{Broken, Summary};

/// How many towns are run for each world: they are smaller.
const TOWNS_A_SEED: u64 = 4;

/// What a soak came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Soaked {
    /// The first seed; the others follow it.
    pub first: u64,
    /// Worlds in which everything held.
    pub worlds: u64,
    /// Towns in which everything held.
    pub towns: u64,
    /// What they went through.
    pub total: Summary,
    /// Where something did not hold: a `world` or a `town`, and what. Nothing is run after it.
    pub failed: Option<(&'static str, Broken)>,
}

/// Run worlds and towns in turn, from a seed on, until one fails or `goes_on` says no.
pub fn soak(
    first: u64,
    mut goes_on: impl FnMut() -> bool,
    world: impl Fn(u64) -> Result<Summary, Broken>,
    town: impl Fn(u64) -> Result<Summary, Broken>,
) -> Soaked {
    let mut soaked = Soaked { first, ..Soaked::default() };
    while goes_on() {
        match world(first.wrapping_add(soaked.worlds)) {
            Ok(summary) => soaked.total = soaked.total.plus(summary),
            Err(broken) => return Soaked { failed: Some(("world", broken)), ..soaked },
        }
        soaked.worlds += 1;
        for _ in 0..TOWNS_A_SEED {
            match town(first.wrapping_add(soaked.towns)) {
                Ok(summary) => soaked.total = soaked.total.plus(summary),
                Err(broken) => return Soaked { failed: Some(("town", broken)), ..soaked },
            }
            soaked.towns += 1;
        }
    }
    soaked
}

impl Soaked {
    /// All of it as one document.
    #[must_use]
    pub fn to_value(&self, took_s: u64) -> Value {
        let Self { first, worlds, towns, total, failed } = self;
        let counts = |counts: &crate::Counts| Value::map(counts.each());
        let failed = failed.iter().map(|(what, broken)| {
            Value::map([
                ("seed", Value::from(broken.seed)),
                ("of", Value::from(*what)),
                ("what", broken.what.as_str().into()),
            ])
        });
        Value::map([
            ("soak", Value::from("simulation")),
            ("took_s", took_s.into()),
            ("first_seed", (*first).into()),
            ("worlds", (*worlds).into()),
            ("towns", (*towns).into()),
            ("tenants", total.tenants.into()),
            ("runs", total.runs.into()),
            ("forks", total.forks.into()),
            ("embedded", total.embedded.into()),
            ("faults", counts(&total.faults)),
            ("acts", counts(&total.acts)),
            ("receipts", total.receipts.into()),
            ("entries", total.entries.into()),
            ("events", total.events.into()),
            ("failed", Value::list(failed)),
        ])
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, worlds, towns, total, failed } = self;
        write!(f, "{worlds} seeds and {towns} towns from {first}: {total}")?;
        failed.iter().try_for_each(|(what, broken)| write!(f, "\nBROKEN {what}, {broken}"))
    }
}
