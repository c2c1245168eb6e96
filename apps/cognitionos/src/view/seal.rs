//! The end of a run, read from its seal.

use cog_base::{Micros, Value};
use cog_engine::{Record, Sealed};
use cog_ledger::kind::DISPOSITIONS;

/// The end of a run as its seal tells it.
pub(crate) fn sealed(seal: &Record) -> Sealed {
    let data = |name: &str| seal.entry.data().get(name);
    let body = |name: &str| seal.body.as_ref().and_then(|body| body.get(name)).cloned();
    let number = |name: &str| data(name).and_then(Value::as_u64).unwrap_or(0);
    let mut outcomes = [0; 4];
    for (count, word) in outcomes.iter_mut().zip(DISPOSITIONS) {
        let told = data("outcomes").and_then(|outcomes| outcomes.get(word)?.as_u64());
        *count = told.unwrap_or(0);
    }
    Sealed {
        status: seal.entry.text("status").unwrap_or_default().to_owned(),
        next: cog_engine::again::next_of(&seal.entry),
        output: body("output").unwrap_or(Value::Null),
        error: body("error").filter(|error| *error != Value::Null),
        receipts: number("receipts"),
        denials: number("denials"),
        outcomes,
        spent: Micros::new(number("spent_micros")),
    }
}
