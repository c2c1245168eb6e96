//! What a node is given to act with: the adapters, which it does not know.

use std::collections::BTreeMap;

use cog_base::id::{RunId, TenantId};
use cog_canon::Canon;
use cog_engine::{Hands, Place, Placed};

/// A folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Where it stands, absolute.
    pub path: String,
    /// Whether the run may write there.
    pub write: bool,
    /// Whether it is made when it is missing.
    pub create: bool,
}

/// A run whose effects are about to be performed.
#[derive(Debug)]
pub struct Ready<'a> {
    /// Whose run.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
    /// The folder of the workflow file.
    pub base: &'a str,
    /// The folders that it names.
    pub roots: &'a BTreeMap<String, Root>,
    /// The canon in force in its domain.
    pub canon: Option<&'a Canon>,
}

/// Adapters, bound run by run. Who asks chooses the id of a run, so that two tenants may have
/// runs of one id: a run is named by its tenant and its id, and hands of one tenant never act
/// with what is bound for another.
pub trait Kit: Send + Sync {
    /// Hands for the engine of a tenant.
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands>;

    /// Get ready for the effects of a run. It replaces what was bound for the run before.
    ///
    /// # Errors
    /// Why this node cannot perform them, in words.
    fn bind(&self, ready: &Ready<'_>) -> Result<(), String>;

    /// Where the folders stand of a run that another begins. It is bound after that, as any.
    ///
    /// # Errors
    /// Why that is not known here, in words.
    fn place(&self, place: &Place) -> Result<Placed, String>;

    /// Whether nothing is left to do for a tenant here beside its runs. As long as something is,
    /// the tenant is not given back for having nothing to do.
    fn is_done(&self, _: TenantId) -> bool {
        true
    }

    /// Forget a run of a tenant that has ended or went elsewhere.
    fn unbind(&self, tenant: TenantId, run: RunId);
}
