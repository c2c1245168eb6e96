//! The adapters of a node: each run has its own, bound to its folders, the hosts of its canon
//! and what answers for its models, as `run` binds them.

#![expect(clippy::disallowed_methods, reason = "the program's edge looks at real folders")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_effect_file::RootBinding;
use cog_engine::{Hands, Inbox, Input, Place, Placed};
use cog_flow::Terms;
use cog_gate::{AnyEffect, Cleared, Found, Lapse};
use cog_node::{Kit, Ready};
use tokio::runtime::Handle;

use crate::commands::run::family;
use crate::folders::{self, Secrets};
use crate::hands::{Adapters, perform, probe};
use crate::models;

/// Adapters by tenant and run.
pub(crate) struct Toolbox {
    runtime: Handle,
    /// What no root may hold and no program may see.
    secrets: Secrets,
    bound: Arc<Mutex<Bound>>,
}

/// The id of a run is chosen by who asks for it: it says nothing without the tenant.
type Bound = HashMap<(TenantId, RunId), Arc<Adapters>>;

impl Toolbox {
    pub(crate) fn new(runtime: Handle, secrets: Secrets) -> Self {
        Self { runtime, secrets, bound: Arc::default() }
    }

    /// What is bound for a run.
    pub(crate) fn of(&self, tenant: TenantId, run: RunId) -> Option<Arc<Adapters>> {
        lock(&self.bound).get(&(tenant, run)).cloned()
    }
}

fn lock(bound: &Mutex<Bound>) -> MutexGuard<'_, Bound> {
    bound.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kit for Toolbox {
    fn hands(&self, tenant: TenantId) -> Box<dyn Hands> {
        let (runtime, bound) = (self.runtime.clone(), Arc::clone(&self.bound));
        Box::new(Bench { tenant, runtime, bound })
    }

    fn bind(&self, ready: &Ready<'_>) -> Result<(), String> {
        let mut roots = BTreeMap::new();
        for (name, root) in ready.roots {
            let path = PathBuf::from(&root.path);
            // What the entry of the run names must be where it stands.
            if path.is_relative() || folders::real(&path) != path {
                return Err(format!("the root `{name}` does not stand at {}", root.path));
            }
            self.secrets.keep_apart(name, &path).map_err(|error| error.to_string())?;
            if !root.create && !path.is_dir() {
                return Err(format!("the folder {} of the root `{name}` is not here", root.path));
            }
            let (write, create) = (root.write, root.create);
            roots.insert(name.clone(), RootBinding { path, write, create });
        }
        let base = Path::new(ready.base);
        let roots = folders::admitted(&roots, base, ready.canon);
        let adapters = models::bound(base, ready.canon, ready.run, &roots, &self.secrets);
        let adapters = adapters.map_err(|error| error.to_string())?;
        lock(&self.bound).insert((ready.tenant, ready.run), Arc::new(adapters));
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        let placed = family::placed(&self.secrets, place).map(|(placed, ..)| placed);
        placed.map_err(|error| format!("{error:#}"))
    }

    fn unbind(&self, tenant: TenantId, run: RunId) {
        lock(&self.bound).remove(&(tenant, run));
    }
}

/// The hands of one engine.
struct Bench {
    tenant: TenantId,
    runtime: Handle,
    bound: Arc<Mutex<Bound>>,
}

impl Bench {
    fn of(&self, run: RunId) -> Option<Arc<Adapters>> {
        lock(&self.bound).get(&(self.tenant, run)).cloned()
    }
}

impl Hands for Bench {
    fn perform(&self, run: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        match self.of(run) {
            Some(adapters) => perform(&self.runtime, adapters, cleared, terms, inbox),
            // The run went elsewhere, and with it whoever would hear of this.
            None => {
                let lost = cleared.counterfoil().lost(Lapse::Gone);
                inbox.send(Input::Performed(Box::new(lost)));
            }
        }
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        match self.of(run) {
            Some(adapters) => probe(&self.runtime, adapters, (run, receipt), effect, inbox),
            None => inbox.send(Input::Probed { run, receipt, found: Found::CannotTell }),
        }
    }
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;
    use cog_node::Root;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    #[test]
    fn a_tenant_that_takes_the_id_of_the_run_of_another_has_neither_its_folders_nor_its_end() {
        let home = std::env::temp_dir().join(format!("cog-kit-{}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let home = folders::real(&home);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let tools = Toolbox::new(runtime.handle().clone(), Secrets::of_node(&home.join("key")));
        let run = RunId::from_uuid(Uuid::from_u128(7));
        let bind = |tenant: TenantId, name: &str| {
            let path = home.join(name).display().to_string();
            let root = Root { path, write: true, create: true };
            let (base, roots) = (home.display().to_string(), [("out".to_owned(), root)].into());
            tools.bind(&Ready { tenant, run, base: &base, roots: &roots, canon: None }).unwrap();
            lock(&tools.bound).get(&(tenant, run)).cloned().unwrap()
        };
        let bench = |tenant| {
            let (runtime, bound) = (tools.runtime.clone(), Arc::clone(&tools.bound));
            Bench { tenant, runtime, bound }
        };
        let victim = bind(tenant(1), "victim");
        let attacker = bind(tenant(2), "attacker");
        assert!(Arc::ptr_eq(&bench(tenant(1)).of(run).unwrap(), &victim));
        assert!(Arc::ptr_eq(&bench(tenant(2)).of(run).unwrap(), &attacker));
        assert!(bench(tenant(3)).of(run).is_none());
        tools.unbind(tenant(2), run);
        assert!(bench(tenant(2)).of(run).is_none());
        assert!(Arc::ptr_eq(&bench(tenant(1)).of(run).unwrap(), &victim));
        std::fs::remove_dir_all(&home).unwrap();
    }
}
