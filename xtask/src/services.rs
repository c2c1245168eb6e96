//! The servers that tests talk to: private ones, started here and gone with this process.

use std::process::Command;

use anyhow::Context as _;
use cog_services::{postgres, rabbitmq};

use crate::packages::install;
use crate::stage::{Stage, Tally};

/// Running servers. They stop with the value, and also when this process is interrupted or
/// killed.
pub(crate) struct Services {
    /// Nothing when the tests were given another, or when there is none.
    postgres: Option<postgres::Cluster>,
    rabbitmq: Option<rabbitmq::Broker>,
}

impl Services {
    /// Starts all. What cannot be started is a failure that is counted; the tests that need
    /// it then say so too.
    pub(crate) fn start() -> (Self, Tally) {
        let stage = Stage::begin("services");
        let (postgres, rabbitmq) = (postgres(), rabbitmq());
        for error in [postgres.as_ref().err(), rabbitmq.as_ref().err()].into_iter().flatten() {
            println!("{error:#}");
        }
        let has_all = postgres.is_ok() && rabbitmq.is_ok();
        let tally = stage.end(Tally::default().of_stage(has_all));
        let running = Self { postgres: postgres.ok().flatten(), rabbitmq: rabbitmq.ok().flatten() };
        (running, tally)
    }

    /// Tells a command where the servers are.
    pub(crate) fn tell(&self, command: &mut Command) {
        if let Some(cluster) = &self.postgres {
            command.env(postgres::URL_VARIABLE, cluster.template());
        }
        if let Some(broker) = &self.rabbitmq {
            command.env(rabbitmq::URL_VARIABLE, broker.url());
        }
    }
}

fn postgres() -> anyhow::Result<Option<postgres::Cluster>> {
    let needed_by = "the tests of the PostgreSQL store";
    if std::env::var_os(postgres::URL_VARIABLE).is_some() {
        return Ok(None);
    }
    if postgres::programs().is_none() {
        install(postgres::PACKAGE, needed_by)?;
    }
    postgres::Cluster::start(&[]).map(Some).with_context(|| format!("{needed_by} need a server"))
}

fn rabbitmq() -> anyhow::Result<Option<rabbitmq::Broker>> {
    let needed_by = "the tests of the outbox to RabbitMQ";
    if std::env::var_os(rabbitmq::URL_VARIABLE).is_some() {
        return Ok(None);
    }
    if rabbitmq::programs().is_none() {
        install(rabbitmq::PACKAGE, needed_by)?;
    }
    rabbitmq::Broker::start().map(Some).with_context(|| format!("{needed_by} need a broker"))
}
