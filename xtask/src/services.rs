//! The servers that tests talk to: private ones, started here and gone with this process.

use std::process::Command;

use anyhow::Context as _;
use cog_services::postgres::{Cluster, PACKAGE, URL_VARIABLE, programs};

use crate::packages::install;
use crate::stage::{Stage, Tally};

/// Running servers. They stop with the value, and also when this process is interrupted or
/// killed.
pub(crate) struct Services {
    /// Nothing when the tests were given another, or when there is none.
    postgres: Option<Cluster>,
}

impl Services {
    /// Starts all. What cannot be started is a failure that is counted; the tests that need
    /// it then say so too.
    pub(crate) fn start() -> (Self, Tally) {
        let stage = Stage::begin("services");
        let postgres = postgres();
        if let Err(error) = &postgres {
            println!("{error:#}");
        }
        let tally = stage.end(Tally::default().of_stage(postgres.is_ok()));
        (Self { postgres: postgres.ok().flatten() }, tally)
    }

    /// Tells a command where the servers are.
    pub(crate) fn tell(&self, command: &mut Command) {
        if let Some(cluster) = &self.postgres {
            command.env(URL_VARIABLE, cluster.template());
        }
    }
}

fn postgres() -> anyhow::Result<Option<Cluster>> {
    if std::env::var_os(URL_VARIABLE).is_some() {
        return Ok(None);
    }
    if programs().is_none() {
        install(PACKAGE, "the tests of the PostgreSQL store")?;
    }
    Cluster::start(&[]).map(Some).context("the tests of the PostgreSQL store need a server")
}
