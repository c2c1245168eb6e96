//! What the release promises and what holds it to that: each invariant with its tests.

use std::collections::BTreeMap;

use anyhow::Context as _;
use cog_base::Digest;
use serde_json::{Value, json};

use super::materials::Materials;
use crate::tidy::{invariants, tests};
use crate::workspace::Workspace;

const MAP: &str = "ARCHITECTURE.md";

/// Each invariant with the tests that hold it, and the digests of the sources that say so, so
/// that who has the commit can run the very tests.
pub(super) fn document(workspace: &Workspace, materials: &Materials) -> anyhow::Result<Value> {
    let map = workspace.text(MAP).with_context(|| format!("there is no {MAP}"))?;
    let mut sources = BTreeMap::new();
    let mut claims = Vec::new();
    for invariant in invariants(map) {
        let (claim, named) = invariant.split_once("test:").unwrap_or((&invariant, ""));
        let (number, claim) = claim.split_at_checked(6).unwrap_or(("", claim));
        let mut held_by = Vec::new();
        for (path, test) in tests(named) {
            let text = workspace.text(path).with_context(|| format!("there is no {path}"))?;
            sources.insert(path.to_owned(), Digest::of(&[text.as_bytes()]).to_string());
            held_by.push(format!("{path}::{test}"));
        }
        let claim = claim.trim_matches(|letter: char| "*| \t".contains(letter));
        claims.push(json!({ "id": number, "claim": claim, "tests": held_by }));
    }
    let commit = &materials.commit;
    Ok(json!({
        "product": "cognitionos",
        "version": materials.version,
        "commit": commit,
        "run": "cargo xtask test",
        "claims": claims,
        "sources": sources,
    }))
}
