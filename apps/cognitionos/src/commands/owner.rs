//! What is asked of the node that owns a ledger in the database, and waited for.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::time::Duration;

use cog_base::Clock as _;
use cog_base::id::{MailId, RunId};
use cog_gate::{Actor, Wish};
use cog_node::{Came, Request, ask, came_of, denied};
use cog_store::Delivery;
use cog_store_postgres::Databases;

use crate::failure::{Exit, Failure};
use crate::home::{Home, told};
use crate::shared::is_known;
use crate::system::{SystemClock, SystemEntropy};

/// How often it is looked whether there is an answer.
const LOOK: Duration = Duration::from_millis(40);

/// What the owner answers.
pub(crate) enum Answered {
    /// It was done, as the entry of this number says.
    Done(u64),
    /// Nothing comes of it, for this reason.
    Refused(String),
}

/// The node that owns a ledger in the database, whichever that is.
pub(crate) struct Owner<'a> {
    home: &'a Home,
    store: &'a Databases,
    /// How long it is waited, in seconds.
    timeout: u64,
}

impl<'a> Owner<'a> {
    /// That of a ledger that was opened in the database.
    ///
    /// # Errors
    /// When it is that of a folder, or the database knows no such tenant.
    pub(crate) fn of(home: &'a Home, timeout: u64) -> anyhow::Result<Self> {
        let store = home.database()?;
        is_known(store, home.tenant)?;
        Ok(Self { home, store, timeout })
    }

    /// The ledger, to read.
    pub(crate) const fn home(&self) -> &'a Home {
        self.home
    }

    /// Ask for something, and wait for the answer.
    ///
    /// # Errors
    /// When there is none in time. What was asked for stays asked for.
    pub(crate) fn ask(&self, request: &Request) -> anyhow::Result<Answered> {
        let (tenant, store) = (self.home.tenant, self.store);
        let id = match request.begins() {
            Some(run) => MailId::from_uuid(run.uuid()),
            None => MailId::new(SystemClock.now(), &mut SystemEntropy::new())?,
        };
        store.with(tenant, |store| ask(store, tenant, id, request, None)).map_err(told)?;
        self.in_time("the answer", || {
            Ok(match store.delivery(tenant, id).map_err(told)? {
                Some(Delivery::Waiting) => None,
                Some(Delivery::Refused(why)) => Some(Answered::Refused(why)),
                None => match came_of(&*self.home.scope()?, request).map_err(told)? {
                    Some(Came::Done(seq)) => Some(Answered::Done(seq)),
                    Some(Came::Refused { why, .. }) => Some(Answered::Refused(why)),
                    None => None,
                },
            })
        })
    }

    /// The id of the denial, and why, of what somebody wished of a run since the ledger had so
    /// many entries.
    pub(crate) fn denied(
        &self,
        since: (RunId, u64),
        wish: Wish,
        who: &Actor,
    ) -> anyhow::Result<Option<String>> {
        let denial = denied(&*self.home.scope()?, since, wish, who).map_err(told)?;
        Ok(denial.and_then(|(denial, _)| denial.id().map(str::to_owned)))
    }

    /// Look again and again until it is there, for as long as somebody is patient.
    ///
    /// # Errors
    /// When it is not there in time.
    pub(crate) fn in_time<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let timeout = self.timeout;
        let until = SystemClock.now().plus_ms(timeout.saturating_mul(1_000));
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if SystemClock.now() >= until {
                return Err(Failure::advise(
                    Exit::Timeout,
                    format!(
                        "{what} did not come within {timeout} s; it stays asked for, and the node \
                         that owns the ledger takes it when it can"
                    ),
                    "see that a node runs (cognitionos serve), or wait longer with --timeout \
                     SECONDS",
                ));
            }
            std::thread::sleep(LOOK);
        }
    }
}
