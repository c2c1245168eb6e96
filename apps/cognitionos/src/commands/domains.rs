//! `domains`: the governed domains of a ledger, and what was done in each of their environments.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::RunId;
use cog_base::words::counted;
use cog_base::{Digest, Micros, Timestamp, Value};
use cog_canon::Canon;
use cog_ledger::{Entry, Kind};
use cog_store::Select;

use crate::cli::Common;
use crate::cli::runs::DomainsArgs;
use crate::failure::Exit;
use crate::home::Home;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::told::{self, PRODUCTION};

/// A governed domain: what a canon, its bounds and its limits are for.
struct Domain {
    canon: Digest,
    since: Timestamp,
    by: String,
    environments: BTreeMap<String, Environment>,
}

/// What was done in an environment of a domain.
#[derive(Default)]
struct Environment {
    /// Runs of which anything is here, and how those of them ended that did.
    runs: u64,
    /// Those that have not ended.
    open: BTreeSet<RunId>,
    ended: BTreeMap<String, u64>,
    receipts: u64,
    denials: u64,
    spent: Micros,
    last: Option<Timestamp>,
}

pub(crate) fn domains(
    args: &DomainsArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let mut all = Vec::new();
    for (name, domain) in read(&home)? {
        // Why a canon does not load is told by `ledger verify`; what was done is told here.
        let canon = home.canon(domain.canon).ok().flatten();
        if terminal.json {
            all.push(document(&name, &domain, canon.as_ref()));
        } else {
            show(&name, &domain, canon.as_ref(), terminal);
        }
    }
    if terminal.json {
        terminal.emit(&Value::list(all));
    }
    Ok(Exit::Done)
}

/// Every domain that has a canon, with what its runs came to.
fn read(home: &Home) -> anyhow::Result<BTreeMap<String, Domain>> {
    let mut domains: BTreeMap<String, Domain> = BTreeMap::new();
    let kinds = vec![Kind::CanonActivated, Kind::SessionStarted, Kind::SessionSealed];
    home.each(Select { kinds, ..Select::default() }, |entry| {
        if entry.kind() == Kind::CanonActivated {
            if let Some(canon) = entry.digest("digest") {
                let environments = domains.remove(entry.domain()).map(|it| it.environments);
                let domain = Domain {
                    canon,
                    since: entry.at(),
                    by: entry.actor().to_owned(),
                    environments: environments.unwrap_or_default(),
                };
                domains.insert(entry.domain().to_owned(), domain);
            }
        } else if let Some(domain) = domains.get_mut(entry.domain()) {
            domain.environments.entry(entry.environment().to_owned()).or_default().take(entry);
        }
    })?;
    Ok(domains)
}

impl Environment {
    fn take(&mut self, entry: &Entry) {
        self.last = Some(entry.at());
        if entry.kind() == Kind::SessionStarted {
            self.runs += 1;
            self.open.extend(entry.session());
            return;
        }
        // The start of a run may be pruned, and its end not yet.
        if !entry.session().is_some_and(|run| self.open.remove(&run)) {
            self.runs += 1;
        }
        let count = |name| entry.count(name).unwrap_or_default();
        let status = entry.text("status").unwrap_or_default().to_owned();
        *self.ended.entry(status).or_default() += 1;
        self.receipts = self.receipts.saturating_add(count("receipts"));
        self.denials = self.denials.saturating_add(count("denials"));
        let spent = self.spent.get().saturating_add(count("spent_micros"));
        self.spent = Micros::new(spent);
    }

    fn open(&self) -> u64 {
        self.open.len() as u64
    }
}

/// Whether the canon governs an environment; one that cannot be read governs none.
fn governs(canon: Option<&Canon>, environment: &str) -> bool {
    let listed = canon.map(|canon| canon.settings().environments.as_ref());
    listed.is_some_and(|listed| listed.is_none_or(|all| all.allow.contains(environment)))
}

/// Whether effects in an environment are the real ones: the canon says it, or else its name.
fn is_production(canon: Option<&Canon>, environment: &str) -> bool {
    let all = canon.and_then(|canon| canon.settings().environments.as_ref());
    match all.filter(|all| all.tells_production()) {
        Some(all) => all.is_production(environment),
        None => environment == PRODUCTION,
    }
}

fn document(name: &str, domain: &Domain, canon: Option<&Canon>) -> Value {
    let environments = domain.environments.iter().map(|(environment, done)| {
        let ended = done.ended.iter().map(|(status, count)| (status.as_str(), Value::from(*count)));
        Value::map([
            ("environment", Value::from(environment.as_str())),
            ("production", is_production(canon, environment).into()),
            ("governed", governs(canon, environment).into()),
            ("runs", done.runs.into()),
            ("open", done.open().into()),
            ("ended", Value::map(ended)),
            ("receipts", done.receipts.into()),
            ("denials", done.denials.into()),
            ("spent_micros", done.spent.into()),
            ("last", done.last.map(|at| at.to_string()).into()),
        ])
    });
    Value::map([
        ("domain", Value::from(name)),
        ("canon", domain.canon.into()),
        ("name", canon.map(|canon| canon.settings().name.as_str()).into()),
        ("since", domain.since.to_string().into()),
        ("by", domain.by.as_str().into()),
        ("environments", Value::list(environments)),
    ])
}

fn show(name: &str, domain: &Domain, canon: Option<&Canon>, terminal: &Terminal) {
    let title = canon.map_or("a canon that does not load", |canon| &canon.settings().name);
    terminal.say(&format!("{}  {}", terminal.tint(Tone::Good, &plain(name)), plain(title)));
    let in_force = format!("  {} since {} by {}", domain.canon, domain.since, plain(&domain.by));
    terminal.say(&terminal.tint(Tone::Faint, &in_force));
    if domain.environments.is_empty() {
        terminal.say("  no run has begun in it");
    }
    for (environment, done) in &domain.environments {
        let mut words = vec![counted(done.runs, "run", "runs")];
        words.extend((done.open() > 0).then(|| format!("{} open", done.open())));
        words.extend(done.ended.iter().map(|(status, count)| format!("{count} {}", plain(status))));
        words.push(counted(done.receipts, "receipt", "receipts"));
        words.push(counted(done.denials, "denial", "denials"));
        words.push(format!("{} spent", done.spent));
        let is_real = is_production(canon, environment);
        let tone = if is_real { Tone::Ask } else { Tone::Faint };
        let outside =
            if governs(canon, environment) { "" } else { " (not one that the canon lists)" };
        let shown = terminal.tint(tone, &told::environment(environment, is_real));
        terminal.say(&format!("  {shown}{outside}: {}", words.join(", ")));
    }
}
