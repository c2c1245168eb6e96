//! What work costs.

use std::fmt;

use crate::json::{Canonical, Json};

/// Cost in millionths of a US dollar. Model calls cost fractions of a cent, so that the
/// minor unit of the currency is too coarse; sums stay exact integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Micros(u64);

impl Micros {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    #[must_use]
    pub const fn new(micros: u64) -> Self {
        Self(micros)
    }

    /// The number of millionths.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, or nothing when it does not fit: a sum that overflowed is no budget.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// What is left after `other`, never below zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Dollars with at least two and at most six decimals: `$0.25`, `$0.000125`.
impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % 1_000_000);
        let (cents, rest) = fraction.split_at(2);
        write!(f, "${}.{cents}{}", self.0 / 1_000_000, rest.trim_end_matches('0'))
    }
}

impl<F> From<Micros> for Json<F> {
    fn from(cost: Micros) -> Self {
        Self::from(cost.0)
    }
}

impl Canonical for Micros {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        self.0.write_canonical(out);
    }
}
