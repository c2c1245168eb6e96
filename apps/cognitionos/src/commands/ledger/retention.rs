//! How long the canons keep what is recorded of runs: what is due, and what must not go yet.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::words::counted;
use cog_base::{Clock as _, Timestamp, Value};
use cog_canon::{Canon, Length};
use cog_gate::Actor;
use cog_gate::act::{Act, Facts};
use cog_ledger::Entry;
use cog_store::Select;

use crate::commands::refused::{act, explained, record};
use crate::failure::{Exit, Failure};
use crate::home::{Home, no_canon, told};
use crate::system::SystemClock;
use crate::terminal::{Terminal, plain};

/// How long entries of a domain are kept whose canon says nothing, before `--expired` takes them.
const UNSAID: Length = Length::years(7);

/// The canons in force, which say how long things are kept.
pub(super) struct Rules(BTreeMap<String, Canon>);

/// What no canon keeps any longer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The first entry that is here.
    pub(super) from: u64,
    /// The first entry that stays.
    pub(super) before: u64,
    /// Entries whose bodies go, by domain.
    pub(super) bodies: BTreeMap<String, Vec<u64>>,
}

/// What is here of a domain.
#[derive(Default)]
struct Kept {
    entries: u64,
    bodies: u64,
    bytes: u64,
    oldest: Option<Timestamp>,
    due: u64,
    bodies_due: u64,
}

/// The time of an act: never before the last entry, so that a clock that is set back changes
/// nothing.
pub(super) fn now(home: &Home) -> anyhow::Result<Timestamp> {
    let tail = home.scope()?.tail().map_err(told)?;
    let now = SystemClock.now();
    Ok(tail.map_or(now, |tail| tail.last_at.max(now)))
}

/// Give entries until one is refused.
fn walk(
    home: &Home,
    mut select: Select,
    mut take: impl FnMut(&Entry) -> bool,
) -> anyhow::Result<()> {
    let scope = home.scope()?;
    loop {
        let page = scope.select(&select).map_err(told)?;
        let Some(last) = page.last() else { return Ok(()) };
        select = select.after(last);
        if !page.iter().all(&mut take) {
            return Ok(());
        }
    }
}

impl Rules {
    pub(super) fn of(home: &Home) -> anyhow::Result<Self> {
        let change = home.change_control()?;
        let canons = change.domains().map(|(domain, digest)| {
            let canon = home.canon(digest)?.ok_or_else(|| no_canon(digest))?;
            Ok((domain.to_owned(), canon))
        });
        Ok(Self(canons.collect::<anyhow::Result<_>>()?))
    }

    /// How long entries of a domain are kept, if its canon says so.
    fn entries(&self, domain: &str) -> Option<Length> {
        self.0.get(domain)?.settings().retention.of_entries()
    }

    fn bodies(&self, domain: &str) -> Option<Length> {
        self.0.get(domain)?.settings().retention.bodies
    }

    /// Whether what stands beside an entry has been kept for as long as its canon says.
    fn is_body_due(&self, entry: &Entry, now: Timestamp) -> bool {
        let length = self.bodies(entry.domain()).filter(|_| entry.session().is_some());
        length.is_some_and(|length| length.after(entry.at()) <= now)
    }

    /// Refuse to drop entries before `to` that a canon still keeps, on the record.
    ///
    /// # Errors
    /// A refusal that names the youngest.
    pub(super) fn refuse_what_is_kept(
        &self,
        home: &Home,
        who: &Actor,
        to: u64,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let longest = self.0.keys().filter_map(|domain| self.entries(domain)).max();
        let Some(longest) = longest else { return Ok(()) };
        let mut youngest: BTreeMap<String, (u64, Timestamp)> = BTreeMap::new();
        let select = Select { to, newest_first: true, ..Select::default() };
        walk(home, select, |entry| {
            if entry.session().is_some() {
                let seen = (entry.seq(), entry.at());
                youngest.entry(entry.domain().to_owned()).or_insert(seen);
            }
            longest.after(entry.at()) > now
        })?;
        for (domain, (seq, at)) in youngest {
            let Some(canon) = self.0.get(&domain) else { continue };
            let resource = format!("Ledger::\"{}\"", home.tenant);
            let act = act(home.tenant, &domain, who, "ledger.prune", resource);
            let act = Act { canon: Some(canon.digest()), ..act };
            let append = |draft| home.append(vec![draft]).map(drop);
            let facts = Facts::Kept { seq, at };
            let denial = record(home, &act, &facts, Some(canon), &append)?;
            let Some(length) = self.entries(&domain).filter(|_| denial.is_some()) else { continue };
            let message = format!(
                "entry {seq} of {at} must not be pruned: the canon of `{domain}` keeps entries for \
                 {length}, until {}",
                length.after(at)
            );
            let advice = "cognitionos ledger prune --expired: prunes what may go";
            return Err(explained(Failure::advise(Exit::Refused, message, advice), Ok(denial)));
        }
        Ok(())
    }

    /// What may go: all entries before the first that somebody still keeps, or `kept`, and bodies of
    /// runs before `needed`, where an open run begins.
    pub(super) fn due(
        &self,
        home: &Home,
        now: Timestamp,
        (kept, needed): (u64, u64),
    ) -> anyhow::Result<Due> {
        let scope = home.scope()?;
        let from = scope.pruned().map_err(told)?.entries;
        let size = scope.tail().map_err(told)?.map_or(0, |tail| tail.frontier.size());
        drop(scope);
        let to = needed.min(size);
        let here = home.keep().bodies(home.tenant, from..to).map_err(told)?;
        let here: BTreeSet<u64> = here.into_iter().map(|(seq, _)| seq).collect();
        let mut due = Due { from, before: kept.min(to), bodies: BTreeMap::new() };
        walk(home, Select { from, to, ..Select::default() }, |entry| {
            let (seq, domain) = (entry.seq(), entry.domain());
            if entry.session().is_none() {
                return true;
            }
            if self.entries(domain).unwrap_or(UNSAID).after(entry.at()) > now {
                due.before = due.before.min(seq);
            }
            if self.is_body_due(entry, now) && here.contains(&seq) {
                due.bodies.entry(domain.to_owned()).or_default().push(seq);
            }
            true
        })?;
        Ok(due)
    }
}

impl Due {
    pub(super) fn json(&self) -> Value {
        let bodies: u64 = self.bodies.values().map(|seqs| seqs.len() as u64).sum();
        Value::map([("from", self.from), ("to", self.before.max(self.from)), ("bodies", bodies)])
    }

    pub(super) fn told(&self) -> String {
        let bodies: u64 = self.bodies.values().map(|seqs| seqs.len() as u64).sum();
        let bodies = counted(bodies, "body", "bodies");
        if self.before > self.from {
            let (from, before) = (self.from, self.before);
            return format!("due: entries {from} to {before}, and {bodies} beside entries");
        }
        format!("due: no whole segment of entries, and {bodies} beside entries")
    }
}

/// What is here of each domain, and what of it is old enough to go.
fn here(home: &Home, rules: &Rules, now: Timestamp) -> anyhow::Result<BTreeMap<String, Kept>> {
    let bodies = home.keep().bodies(home.tenant, 0..u64::MAX).map_err(told)?;
    let bodies: BTreeMap<u64, u64> = bodies.into_iter().collect();
    let mut domains: BTreeMap<String, Kept> = BTreeMap::new();
    walk(home, Select::default(), |entry| {
        let kept = domains.entry(entry.domain().to_owned()).or_default();
        let body = bodies.get(&entry.seq());
        kept.entries += 1;
        kept.bodies += u64::from(body.is_some());
        kept.bytes += entry.bytes().len() as u64 + body.copied().unwrap_or(0);
        kept.oldest = kept.oldest.or(Some(entry.at()));
        let length = rules.entries(entry.domain()).unwrap_or(UNSAID);
        let is_due = entry.session().is_some() && length.after(entry.at()) <= now;
        kept.due += u64::from(is_due);
        kept.bodies_due += u64::from(body.is_some() && rules.is_body_due(entry, now));
        true
    })?;
    Ok(domains)
}

/// Say how long things are kept, what is here, and what is due.
pub(super) fn report(home: &Home, terminal: &Terminal) -> anyhow::Result<Exit> {
    let rules = Rules::of(home)?;
    let domains = here(home, &rules, now(home)?)?;
    let rule = |length: Option<Length>| length.map(|length| length.to_string());
    if terminal.json {
        terminal.emit(&Value::list(domains.iter().map(|(domain, kept)| {
            Value::map([
                ("domain", Value::from(domain.as_str())),
                ("keeps_entries", rule(rules.entries(domain)).into()),
                ("keeps_bodies", rule(rules.bodies(domain)).into()),
                ("entries", kept.entries.into()),
                ("bodies", kept.bodies.into()),
                ("bytes", kept.bytes.into()),
                ("oldest", kept.oldest.into()),
                ("due", kept.due.into()),
                ("bodies_due", kept.bodies_due.into()),
            ])
        })));
        return Ok(Exit::Done);
    }
    for (domain, kept) in &domains {
        let said = |length| rule(length).unwrap_or_else(|| "as nobody says".to_owned());
        let oldest = kept.oldest.map(|at| at.to_string()).unwrap_or_default();
        terminal.say(&format!(
            "{}  entries are kept {}, bodies {}",
            plain(domain),
            said(rules.entries(domain)),
            said(rules.bodies(domain))
        ));
        terminal.say(&format!(
            "  {}, {}, {} bytes; the oldest of {oldest}; {} and {} old enough to go",
            counted(kept.entries, "entry", "entries"),
            counted(kept.bodies, "body", "bodies"),
            kept.bytes,
            counted(kept.bodies_due, "body", "bodies"),
            counted(kept.due, "entry", "entries")
        ));
    }
    terminal.note("what would go now: cognitionos ledger prune --expired --dry-run");
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests;
