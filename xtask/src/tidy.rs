//! `cargo xtask tidy`: the rules of the house that no other tool checks.
//!
//! Each check is a function from the tree to its findings, in a file of its own, with tests
//! that show that it can find something.

mod canary;
mod examples;
mod files;
mod homes;
mod invariants;
mod layers;
mod rings;

use std::fmt;

pub(crate) use self::invariants::{invariants, tests};
use crate::stage::{Stage, Tally};
use crate::suite::Extent;
use crate::workspace::Workspace;

/// Something that is against a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    place: String,
    remark: String,
}

impl Finding {
    fn new(place: impl Into<String>, remark: impl Into<String>) -> Self {
        Self { place: place.into(), remark: remark.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.remark)
    }
}

type Check = fn(&Workspace) -> anyhow::Result<Vec<Finding>>;

const CHECKS: [(&str, Check); 7] = [
    ("dependencies point down", |tree| Ok(layers::check(&tree.packages))),
    ("each crate of others has a home and a reason", homes::check),
    ("the lints are in place", rings::check),
    ("files keep to the house style", |tree| Ok(files::check(&tree.files))),
    ("examples explain themselves", |tree| Ok(examples::check(&tree.files))),
    ("each invariant names a test, and the tests that pages name exist", |tree| {
        Ok(invariants::check(tree))
    }),
    ("the canary is refused", canary::check),
];

/// Runs all checks as a command of its own.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<bool> {
    let stage = Stage::begin("tidy");
    let tally = stage.end(report(workspace, Extent::Full)?);
    Ok(tally.failed == 0)
}

/// Runs the checks, prints what they find and counts the checks that find nothing. The
/// canary is left out of the quick extent: it starts a compiler.
pub(crate) fn report(workspace: &Workspace, extent: Extent) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let quick = extent == Extent::Quick;
    for (name, check) in CHECKS.iter().take(CHECKS.len() - usize::from(quick)) {
        let findings = check(workspace)?;
        println!("{} {name}", if findings.is_empty() { "ok    " } else { "FAILED" });
        for finding in &findings {
            println!("       {finding}");
        }
        tally = tally.and(Tally::default().of_stage(findings.is_empty()));
    }
    Ok(tally)
}
