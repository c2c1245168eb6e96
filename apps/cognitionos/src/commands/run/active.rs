//! The active version of a workflow: what runs are started from, where somebody has activated one.

use std::path::Path;

use cog_engine::Versions;
use cog_flow::Flow;
use cog_store::TenantTx;

use super::again::word;
use super::named::name;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::plain;

/// Refuse a file that is not the active version of its workflow.
///
/// # Errors
/// A conflict that says which version is, and how another comes to be.
pub(crate) fn check(home: &Home, flow: &Flow, file: &Path) -> anyhow::Result<()> {
    check_in(&*home.scope()?, flow, file)
}

/// The same by the entries of a tenant.
///
/// # Errors
/// As of [`check`].
pub(crate) fn check_in(scope: &dyn TenantTx, flow: &Flow, file: &Path) -> anyhow::Result<()> {
    let Some(why) = Versions::read(scope).map_err(told)?.bars(flow) else { return Ok(()) };
    if let Some(name) = name(file) {
        let message = format!("another version of `{name}` was activated meanwhile");
        return Err(Failure::advise(Exit::Conflict, message, "the same command again"));
    }
    let message = format!("{}: {}", given::name(file), plain(&why));
    let (file, name) = (word(&file.display().to_string()), word(&flow.name));
    let advice = format!(
        "cognitionos workflows activate {file}\n  what is otherwise: cognitionos workflows show {name}"
    );
    Err(Failure::advise(Exit::Conflict, message, advice))
}
