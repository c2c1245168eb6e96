//! The keys that a worker was given: it acts on receipts that they prove, and on no others.

use std::collections::BTreeMap;
use std::path::Path;

use cog_base::id::TenantId;
use cog_ledger::VerifierKey;
use verify::open_file;

use crate::failure::{Exit, Failure};

const ADVICE: &str = "one line for each log, as `cognitionos ledger key --tenant TENANT` prints it";

/// The key in force of each log that a worker acts for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust(pub(crate) BTreeMap<TenantId, VerifierKey>);

/// Read the file of keys.
pub(crate) fn read(path: &Path) -> anyhow::Result<Trust> {
    let text = open_file(path).and_then(std::io::read_to_string).map_err(|error| {
        let message = format!("cannot read the keys in {}: {error}", path.display());
        Failure::advise(Exit::BadInput, message, ADVICE)
    })?;
    parse(&text).map_err(|why| {
        Failure::advise(Exit::BadInput, format!("{}: {why}", path.display()), ADVICE)
    })
}

fn parse(text: &str) -> Result<Trust, String> {
    let mut trust = BTreeMap::new();
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let key: VerifierKey = line.parse().map_err(|error| format!("`{line}`: {error}"))?;
        let tenant = key.name().rsplit('/').next().and_then(|name| name.parse().ok());
        let tenant: TenantId = tenant.ok_or_else(|| format!("`{}` names no tenant", key.name()))?;
        if trust.insert(tenant, key).is_some() {
            return Err(format!("there are two keys of {tenant}: only one is in force"));
        }
    }
    Ok(Trust(trust))
}
