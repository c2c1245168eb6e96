//! One thing that could be otherwise: what it is in words, and how it would be decided then.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::hosts::{Allowance, Hosts};
use cog_base::place::{HTTP_PORT, Place};
use cog_base::{Micros, Timestamp, Value};
use cog_canon::{
    Canon, Change, ChangeRule, DataRules, Envelope, Interference, Model, Optr, Program, Retention,
    RootRules, RunRule, Sender, Settings, Window,
};

use crate::decision::{CheckName, Supposed, variables};
use crate::intent::Intent;
use crate::snapshot::{Access, Snapshot, TenantStatus};

/// How far ahead a time is looked for: a week has every window.
const WEEK_MINUTES: u64 = 7 * 24 * 60;
const MINUTE_MS: u64 = 60_000;

/// One thing that could be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A part of the request.
    Request(Change),
    /// What is no whole number would be one, at most `to`.
    Whole { path: String, to: u64 },
    /// The run would be of another environment.
    Environment(String),
    /// The canon would know who asks.
    Known,
    /// Who asks would have begun the run.
    Begun,
    /// There would be enough people who could agree.
    People { count: u64, of: String },
    /// The tenant would be active.
    Active,
    /// The plan would include the action.
    Entitled,
    /// The run might use so many effects.
    Effects(u64),
    /// The run's budget would be so many micros.
    Budget(u64),
    /// The workflow would declare a root.
    Declared { root: String, access: Access },
    /// A program would run in another root.
    WorkIn { from: String, to: String },
    /// The path would stay inside the root.
    Inside,
    /// The canon would let a root stand in a folder, or anywhere.
    Admitted { root: String, folder: Option<String> },
    /// The URL would hold no user.
    NoUser,
    /// The URL would begin with https.
    Https,
    /// The canon would list the host, with these terms.
    Host { allowance: Allowance, terms: String },
    /// The canon would list the program, with these terms.
    Program { network: bool, env: BTreeSet<String> },
    /// The program would not be lent these variables.
    Unset(Vec<String>),
    /// The canon would list the model.
    Model,
    /// The canon would let others answer for models in production.
    StandIns,
    /// The canon would list the source, and with it the key of the proof.
    Sender,
    /// The canon would let a place have data of a class.
    Entrusted { kind: &'static str, name: String, class: String },
    /// What it hands on would be of a lower class.
    Classed { from: String, to: String },
    /// A canon that permits it would be in force.
    Canon,
    /// A limit of a policy would leave room.
    Raised { policy: String, limit: String, words: String },
    /// It would be asked inside these windows.
    At(Vec<Window>),
    /// It would be asked when a period of its domain has ended.
    After(Timestamp),
    /// Those who said no would have said yes.
    Consented,
    /// The leases in the way would have ended.
    LeaseEnded,
    /// It would touch nothing new.
    Touched,
    /// The run would not have done these.
    NotDone(Vec<String>),
    /// Clock and canon would be current.
    Fresh,
}

/// What a decision would read.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) intent: Intent,
    pub(super) snapshot: Snapshot,
    pub(super) supposed: Supposed,
}

impl Turn {
    /// What it changes: of two turns of one thing the later holds.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Declared { root, .. }, Self::Declared { root: same, .. }) => root == same,
            (Self::At(_), Self::At(_)) | (Self::After(_), Self::After(_)) => true,
            _ => self == other || self.path().is_some_and(|path| other.path() == Some(path)),
        }
    }

    /// The path of the context that it is about.
    fn path(&self) -> Option<&str> {
        if let Self::Whole { path, .. } = self {
            return Some(path);
        }
        if matches!(self, Self::Environment(_)) {
            return Some("environment");
        }
        if matches!(self, Self::Classed { .. }) {
            return Some("data_class");
        }
        if matches!(self, Self::WorkIn { .. }) {
            return Some("args.root");
        }
        let Self::Request(change) = self else { return None };
        match change {
            Change::Number { path, .. }
            | Change::Text { path, .. }
            | Change::Other { path, .. }
            | Change::Truth { path, .. } => Some(path),
            Change::Resource { .. } | Change::Principal { .. } => None,
        }
    }

    /// The check whose place it takes among what is said.
    pub(super) fn check(&self) -> CheckName {
        match self {
            Self::Known | Self::Begun => CheckName::Identity,
            Self::Active => CheckName::Tenant,
            Self::Entitled => CheckName::Entitlement,
            Self::Effects(_) => CheckName::Quota,
            Self::Budget(_) => CheckName::Budget,
            Self::Environment(_)
            | Self::Declared { .. }
            | Self::WorkIn { .. }
            | Self::Inside
            | Self::Admitted { .. }
            | Self::NoUser
            | Self::Https
            | Self::Host { .. }
            | Self::Program { .. }
            | Self::Unset(_)
            | Self::Model
            | Self::StandIns
            | Self::Sender => CheckName::Confinement,
            Self::Entrusted { .. } | Self::Classed { .. } => CheckName::Data,
            Self::Request(_)
            | Self::Whole { .. }
            | Self::Canon
            | Self::Raised { .. }
            | Self::At(_) => CheckName::Canon,
            Self::Consented | Self::People { .. } => CheckName::Approval,
            Self::LeaseEnded => CheckName::Interference,
            Self::Touched | Self::NotDone(_) | Self::After(_) => CheckName::Envelope,
            Self::Fresh => CheckName::Freshness,
        }
    }

    /// In words, behind `if`.
    pub(super) fn words(&self, intent: &Intent) -> String {
        let (_, name) = intent.resource();
        match self {
            Self::Request(change) => change.to_string(),
            Self::Whole { path, to } => format!("{path} were a whole number, at most {to}"),
            Self::Environment(name) => format!("the run were one of the environment `{name}`"),
            Self::Known => format!("the canon knew {}", intent.actor()),
            Self::Begun => format!("{} began the run", intent.actor()),
            Self::People { count, of } => format!("there were {count} others of {of}"),
            Self::Active => "the tenant were active".into(),
            Self::Entitled => format!("the plan included {}", intent.action()),
            Self::Effects(count) => format!("the run might use {count} effects"),
            Self::Budget(micros) => {
                format!("the run's budget were at least {}", Micros::new(*micros))
            }
            Self::Declared { root, access } => {
                format!("the workflow declared the root `{root}` with access: {}", access.word())
            }
            Self::WorkIn { from, to } => {
                format!("it ran in the root `{to}` (it runs in `{from}`)")
            }
            Self::Inside => format!("the path stayed inside the root `{name}`"),
            Self::Admitted { root, folder: Some(folder) } => {
                format!("the canon let the root `{root}` stand in {folder}")
            }
            Self::Admitted { root, folder: None } => {
                format!("the canon let the root `{root}` stand anywhere")
            }
            Self::NoUser => "the URL held no user or password".into(),
            Self::Https => "the URL began with https://".into(),
            Self::Host { terms, .. } => {
                let with = if terms.is_empty() { "" } else { " with " };
                format!("the canon listed the host `{name}`{with}{terms}")
            }
            Self::Program { network, env } => {
                let network = network.then(|| "network = true".to_owned());
                let names: Vec<_> = env.iter().map(|name| format!("{name:?}")).collect();
                let env = (!env.is_empty()).then(|| format!("env = [{}]", names.join(", ")));
                let terms: Vec<_> = [network, env].into_iter().flatten().collect();
                let with = if terms.is_empty() { "" } else { " with " };
                format!("the canon listed the program `{name}`{with}{}", terms.join(", "))
            }
            Self::Unset(names) => format!("args.env set no {}", names.join(", ")),
            Self::Model => format!("the canon listed the model `{name}`"),
            Self::StandIns => "the canon let recordings answer in production".into(),
            Self::Sender => {
                let with = key_of(intent).map(|key| format!(" with the key {key}"));
                format!("the canon listed the source `{name}`{}", with.unwrap_or_default())
            }
            Self::Entrusted { kind, name, class } => {
                let kind = kind.to_lowercase();
                format!("the canon let the {kind} `{name}` have {class} data")
            }
            Self::Classed { from, to } => {
                format!("what it hands on were {to} data at most (it is {from})")
            }
            Self::Canon => "a canon that permits it were in force".into(),
            Self::Raised { words, .. } => words.clone(),
            Self::At(windows) => {
                let windows: Vec<_> = windows.iter().map(Window::to_string).collect();
                format!("it were asked {}", windows.join(" and "))
            }
            Self::After(end) => format!("it were asked from {} on", end.to_minute()),
            Self::Consented => "those who were asked approved it".into(),
            Self::LeaseEnded => "it were asked again when the lease has ended".into(),
            Self::Touched => "it touched only what the run has touched already".into(),
            Self::NotDone(actions) => {
                format!("the run had not done {} before", actions.join(" or "))
            }
            Self::Fresh => "clock and canon were current".into(),
        }
    }

    /// The intent with it; the same where it is about something else.
    pub(super) fn intend(&self, intent: &Intent, canon: Option<&Canon>) -> Option<Intent> {
        let url = || intent.at("args.url").and_then(Value::as_text);
        match self {
            Self::Request(change) => requested(change, intent, canon?),
            Self::Whole { path, to } => intent.changed(path, &(*to).into()),
            Self::Environment(name) => intent.changed("environment", &name.as_str().into()),
            Self::WorkIn { to, .. } => intent.changed("args.root", &to.as_str().into()),
            Self::Inside => {
                let path = intent.at("args.path")?.as_text()?;
                intent.changed("args.path", &inside(path).into())
            }
            Self::NoUser => {
                let (scheme, rest) = url()?.split_once("://")?;
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (authority, tail) = rest.split_at_checked(end)?;
                let (_, place) = authority.rsplit_once('@')?;
                intent.changed("args.url", &format!("{scheme}://{place}{tail}").into())
            }
            Self::Https => intent.changed("args.url", &secured(url()?)?.into()),
            Self::Unset(names) => {
                let mut env = intent.at("args.env")?.as_map()?.clone();
                env.retain(|name, _| !names.contains(name));
                intent.changed("args.env", &env.into())
            }
            Self::Classed { to, .. } => Some(intent.of_class(rules(canon)?, to)),
            Self::Begun
            | Self::People { .. }
            | Self::Known
            | Self::Active
            | Self::Entitled
            | Self::Effects(_)
            | Self::Budget(_)
            | Self::Declared { .. }
            | Self::Admitted { .. }
            | Self::Entrusted { .. }
            | Self::Host { .. }
            | Self::Program { .. }
            | Self::Model
            | Self::StandIns
            | Self::Sender
            | Self::Canon
            | Self::Raised { .. }
            | Self::At(_)
            | Self::After(_)
            | Self::Consented
            | Self::LeaseEnded
            | Self::Touched
            | Self::NotDone(_)
            | Self::Fresh => Some(intent.clone()),
        }
    }

    /// Suppose it in what is read beside the intent; nothing when it cannot be.
    pub(super) fn suppose(&self, case: &mut Case, canon: Option<&Canon>) -> Option<()> {
        let Case { intent, snapshot, supposed } = case;
        let (_, name) = intent.resource();
        let mut list = |listing: Listing<'_>| {
            let own = || canon.map(Canon::settings).cloned().map(Box::new);
            let mut settings = supposed.settings.take().or_else(own)?;
            listing.add_to(&mut settings);
            supposed.settings = Some(settings);
            Some(())
        };
        match self {
            Self::Known => supposed.knows = true,
            Self::Begun => supposed.began = true,
            Self::People { .. } => supposed.answerable = true,
            Self::Active => snapshot.tenant = TenantStatus::Active,
            Self::Entitled => {
                let action = intent.action().to_owned();
                snapshot.entitled.get_or_insert_default().insert(action);
            }
            Self::Effects(count) => snapshot.effects.limit = Some(*count),
            Self::Budget(micros) => snapshot.budget.limit = Some(*micros),
            Self::Declared { root, access } => {
                snapshot.roots.insert(root.clone(), *access);
            }
            Self::Admitted { root, folder } => list(Listing::Root(root, folder.as_deref()))?,
            Self::Host { allowance, .. } => list(Listing::Host(allowance.clone()))?,
            Self::Program { network, env } => {
                let lent = Program { network: *network, env: env.clone() };
                list(Listing::Program(name, lent))?;
            }
            Self::Model => list(Listing::Model(name))?,
            Self::StandIns => list(Listing::StandIns)?,
            Self::Sender => list(Listing::Sender(name, key_of(intent)))?,
            Self::Entrusted { kind, name, class } => list(Listing::Data(kind, name, class))?,
            Self::Canon => {
                supposed.settings = Some(Box::new(free(intent)));
                (supposed.knows, supposed.permits) = (true, true);
                snapshot.canon = None;
            }
            Self::Raised { policy, limit, .. } => {
                supposed.raised.insert((policy.clone(), limit.clone()));
            }
            Self::After(end) => snapshot.now = snapshot.now.max(*end),
            Self::At(windows) => snapshot.now = next(snapshot.now, windows)?,
            Self::Consented => snapshot.approvals.retain(|approval| !approval.rejected),
            Self::LeaseEnded => snapshot.conflicts.clear(),
            Self::Touched => snapshot.spread.adds = 0,
            Self::NotDone(actions) => snapshot.spread.actions.retain(|it| !actions.contains(it)),
            Self::Fresh => {
                snapshot.clock_behind_ms = 0;
                snapshot.canon = canon.map(Canon::digest);
            }
            Self::Request(_)
            | Self::Whole { .. }
            | Self::Environment(_)
            | Self::WorkIn { .. }
            | Self::Inside
            | Self::NoUser
            | Self::Unset(_)
            | Self::Classed { .. }
            | Self::Https => {}
        }
        Some(())
    }
}

/// What a canon may be supposed to list.
enum Listing<'a> {
    Root(&'a str, Option<&'a str>),
    Host(Allowance),
    Program(&'a str, Program),
    Model(&'a str),
    Sender(&'a str, Option<&'a str>),
    StandIns,
    Data(&'static str, &'a str, &'a str),
}

impl Listing<'_> {
    fn add_to(self, settings: &mut Settings) {
        match self {
            Self::Root(root, folder) => {
                let rules = std::mem::take(&mut settings.roots);
                settings.roots = rules.admitting(root, folder.unwrap_or("/"));
            }
            Self::Host(allowance) => {
                settings.hosts = std::mem::take(&mut settings.hosts).with(allowance);
            }
            Self::Program(name, lent) => {
                settings.programs.insert(name.to_owned(), lent);
            }
            Self::Model(name) => {
                let model = Model {
                    provider: String::new(),
                    base_url: None,
                    model: None,
                    input_micros_per_million: 0,
                    output_micros_per_million: 0,
                    replaceable: Default::default(),
                    class: None,
                    class_max: None,
                };
                settings.models.insert(name.to_owned(), model);
            }
            Self::Sender(name, key) => {
                let sender: &mut Sender = settings.sources.entry(name.to_owned()).or_default();
                sender.keys.extend(key.map(str::to_owned));
            }
            Self::StandIns => {
                settings.environments.iter_mut().for_each(|it| it.stand_ins = true);
            }
            Self::Data(kind, name, class) => {
                let rules = settings.data.take();
                settings.data = rules.map(|rules| rules.admitting(kind, name, class));
            }
        }
    }
}

/// The settings of a canon under which this intent goes through.
fn free(intent: &Intent) -> Settings {
    let mut settings = Settings {
        name: String::new(),
        domain: intent.origin().domain.clone(),
        change: ChangeRule { approvals: 1, approvers: Vec::new() },
        risk: BTreeMap::new(),
        optr: Optr::default(),
        actions: BTreeMap::new(),
        envelope: Envelope::default(),
        interference: Interference::default(),
        environments: None,
        runs: RunRule::default(),
        retention: Retention::default(),
        models: BTreeMap::new(),
        hosts: Hosts::default(),
        roots: RootRules::default(),
        programs: BTreeMap::new(),
        sources: BTreeMap::new(),
        data: None,
    };
    let (_, name) = intent.resource();
    let url = intent.at("args.url").and_then(Value::as_text);
    let root = intent.root().map(|root| Listing::Root(root, None));
    let host = url.and_then(Place::of).map(|place| Listing::Host(allowance(&place)));
    let env = variables(intent).map(str::to_owned).collect();
    let lent = Program { network: true, env };
    let sender = Listing::Sender(name, key_of(intent));
    let others = [Listing::Program(name, lent), Listing::Model(name), sender];
    let all = root.into_iter().chain(host).chain(others);
    all.for_each(|listing| listing.add_to(&mut settings));
    settings
}

/// The key that is to prove a completion.
fn key_of(intent: &Intent) -> Option<&str> {
    intent.at("args.key").and_then(Value::as_text)
}

/// What a canon must list for a place.
pub(super) fn allowance(place: &Place) -> Allowance {
    let ports = [place.port].into();
    Allowance { host: place.host.clone(), ports, private: true, plain_http: true }
}

fn rules(canon: Option<&Canon>) -> Option<&DataRules> {
    canon?.settings().data.as_ref()
}

fn requested(change: &Change, intent: &Intent, canon: &Canon) -> Option<Intent> {
    match change {
        Change::Number { path, to, .. } => intent.changed(path, &(*to).into()),
        Change::Text { path, to, .. } if path == "data_class" => {
            Some(intent.of_class(rules(Some(canon))?, to))
        }
        Change::Text { path, to, .. } => intent.changed(path, &to.as_str().into()),
        Change::Other { path, .. } if path == "data_class" => None,
        Change::Other { path, .. } => intent.changed(path, &canon.unmentioned().into()),
        Change::Truth { path, from } => intent.changed(path, &(!from).into()),
        Change::Resource { to, .. } => intent.about(to),
        Change::Principal { to, .. } => Some(intent.by(to.parse().ok()?)),
    }
}

/// The path without what leads out of its root.
fn inside(path: &str) -> String {
    let plain = |part: &&str| !matches!(*part, "" | "." | "..");
    let bare: String = path.chars().filter(|c| *c != '\\' && !c.is_control()).collect();
    let parts: Vec<_> = bare.split('/').filter(plain).collect();
    if parts.is_empty() { ".".into() } else { parts.join("/") }
}

/// The URL under https, and not under the port of http.
pub(super) fn secured(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at_checked(end)?;
    let place = authority.strip_suffix(&format!(":{HTTP_PORT}")).unwrap_or(authority);
    Some(format!("https://{place}{tail}"))
}

/// The first moment from `now` on that is inside all of these windows.
fn next(now: Timestamp, windows: &[Window]) -> Option<Timestamp> {
    let mut moments = (0..=WEEK_MINUTES).map(|minutes| now.plus_ms(minutes * MINUTE_MS));
    moments.find(|moment| {
        let (day, minute) = moment.weekday_and_minute();
        windows.iter().all(|window| window.contains(day, minute))
    })
}
