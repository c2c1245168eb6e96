//! A node over a real store, one machine at a time, with a clock and a world of its own. When nothing
//! is left to do now, people do what comes next; when they have nothing to do, time passes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use cog_base::entropy::{Entropy, SeededEntropy};
use cog_base::id::{ApprovalId, MailId, RunId, TenantId};
use cog_base::json::parse;
use cog_base::{Clock as _, Timestamp, Value};
use cog_engine::fork::{gather, place};
use cog_engine::replay::as_far;
use cog_engine::{Record, Sent};
use cog_finished::Log;
use cog_flow::{Flow, Opened, Signal};
use cog_ledger::Kind;
use cog_node::{Forked, Part, Parts, Request, Settings, Stepped, Told, Wanted, ask};
use cog_store::{Delivery, Shared as _, Store as _};

use crate::home::Home;
use crate::link::{Hours, Life, Link};
use crate::trace::Trace;
use crate::world::{Tools, World};

/// The most that happens in a test: beyond it something is stuck.
const STEPS_MAX: u64 = 40_000;
/// The most lives of its node.
const LIVES_MAX: u64 = 80;
/// Claims of a node that never looks after them, and of one that does.
const FOR_EVER: Duration = Duration::from_secs(10 * 365 * 86_400);
const SHORT: Duration = Duration::from_secs(8);

/// When a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kills {
    Never,
    /// As soon as something is recorded, before anybody hears of it.
    Behind,
    /// When something is about to be recorded: what was done by then nobody knows of.
    Before,
}

/// A workflow, and what people do.
#[derive(Clone, Copy)]
pub(crate) struct Script<'a> {
    /// The file below its head.
    pub(crate) flow: &'a str,
    /// Those that it runs, by their names.
    pub(crate) others: &'a [(&'a str, &'a str)],
    /// What people do, one after the other.
    pub(crate) acts: &'a [&'a str],
    /// Whether runs that wait leave memory.
    pub(crate) parks: bool,
    /// Whether the same comes of it when its node dies: not where it is about what happens at the same
    /// time.
    pub(crate) dies: bool,
}

impl<'a> Script<'a> {
    pub(crate) const fn new(flow: &'a str, acts: &'a [&'a str]) -> Self {
        Self { flow, others: &[], acts, parks: false, dies: true }
    }
}

/// What is left when everything has come to rest.
pub(crate) struct Left {
    pub(crate) trace: Trace,
    pub(crate) refused: Vec<String>,
    pub(crate) log: Log,
    pub(crate) world: Arc<World>,
    pub(crate) lives: u64,
}

pub(crate) struct Town<'h> {
    home: &'h Home,
    tenant: TenantId,
    others: Vec<TenantId>,
    script: Script<'h>,
    kills: Kills,
    hours: Arc<Hours>,
    world: Arc<World>,
    node: Option<(Arc<Stepped>, Link)>,
    lives: u64,
    refused: Arc<Mutex<Vec<String>>>,
    /// How many sources of randomness there were: ids are the same each time.
    dice: Arc<AtomicU64>,
    names: BTreeMap<RunId, String>,
    acts: VecDeque<String>,
    waits: Option<Timestamp>,
    mail: Vec<MailId>,
}

/// Have a machine do something, and let the life end when it is time. Says whether there was one.
fn step(stepped: &Stepped, life: &Life, (kills, commits_max): (Kills, u64)) -> bool {
    let Some(part) = stepped.ready().first().copied() else { return false };
    let commits = || life.commits.load(Ordering::Relaxed);
    let end = || {
        life.is_over.store(true, Ordering::Relaxed);
        stepped.kill();
    };
    if part == Part::Committer && kills == Kills::Before && commits() == commits_max {
        end();
        return true;
    }
    stepped.step(part);
    if kills == Kills::Behind && commits() == commits_max {
        end();
    }
    true
}

impl<'h> Town<'h> {
    /// Have a script played for a new tenant, to its end.
    pub(crate) fn play(home: &'h mut Home, script: Script<'h>, kills: Kills) -> Left {
        let (tenant, others) = home.tenant();
        let start: Timestamp = "2026-11-24T12:00:00.000000Z".parse().unwrap();
        let hours = Arc::new(Hours::from(start));
        let mut town = Self {
            home,
            tenant,
            others,
            script,
            kills,
            world: Arc::new(World::new(Arc::clone(&hours))),
            hours,
            node: None,
            lives: 0,
            refused: Arc::default(),
            dice: Arc::default(),
            names: BTreeMap::new(),
            acts: script.acts.iter().map(|act| (*act).to_owned()).collect(),
            waits: None,
            mail: Vec::new(),
        };
        let (files, environment) = (crate::canon(), "production".to_owned());
        let who = "user:cfo".parse().unwrap();
        town.ask(&Request::Found { files, environment, who });
        if script.acts.first().is_none_or(|act| !act.starts_with("start a")) {
            town.acts.push_front("start a".to_owned());
        }
        town.run_until_quiet();
        let log = town.log();
        let trace = Trace::of(&log.records, &town.names);
        let refused = town.refused.lock().unwrap().clone();
        let refused = refused.iter().map(|why| trace.without_ids(why)).collect();
        Left { trace, refused, log, world: Arc::clone(&town.world), lives: town.lives }
    }

    fn run_until_quiet(&mut self) {
        for _ in 0..STEPS_MAX {
            if self.lives > LIVES_MAX {
                break;
            }
            let (stepped, link) = self.node();
            if step(&stepped, &link.life, self.ends()) {
                continue;
            }
            if link.life.is_called() {
                stepped.step(Part::Listener);
            } else if self.world.act() || self.somebody_acts() {
            } else if self.is_over(&link) {
                return;
            } else {
                let next = [stepped.next(), self.world.next(), self.waits];
                self.hours.reach(next.into_iter().flatten().min().unwrap());
            }
        }
        panic!("it is stuck, {:?}:\n{}", self.kills, Trace::of(&self.records(), &self.names));
    }

    /// When the life that is now ends: the first two with the first thing that is recorded in them, the
    /// next two with the second, and so on. A node that never lived to use a receipt came to no end.
    const fn ends(&self) -> (Kills, u64) {
        (self.kills, self.lives.div_ceil(2))
    }

    /// The node; another life of it, where the last one is over.
    fn node(&mut self) -> (Arc<Stepped>, Link) {
        if let Some((stepped, link)) = &self.node
            && !stepped.is_over()
        {
            return (Arc::clone(stepped), link.clone());
        }
        // The store is closed with it.
        self.node = None;
        self.world.lose();
        self.lives += 1;
        let (life, others) = (Arc::new(Life::new(Arc::clone(&self.hours))), self.others.clone());
        let link = Link { store: self.home.open(), life, others };
        let lease = if self.script.parks { SHORT } else { FOR_EVER };
        let mut settings = Settings::new("cognitionos/test", lease);
        (settings.lanes, settings.stay) = (1, Duration::from_secs(4));
        let (refused, dice) = (Arc::clone(&self.refused), Arc::clone(&self.dice));
        let parts = Parts {
            store: Arc::new(link.clone()),
            kit: Arc::new(Tools(Arc::clone(&self.world))),
            clock: Arc::clone(&self.hours) as _,
            entropy: Box::new(move || drawn(&dice)),
            tell: Box::new(move |told| {
                if let Told::Panicked { why, .. } | Told::Left { why, .. } = &told {
                    panic!("{why}");
                }
                if let Told::Refused { why, .. } = told {
                    refused.lock().unwrap().push(why);
                }
            }),
        };
        let itself: Arc<OnceLock<Weak<Stepped>>> = Arc::default();
        let (own, life, ends) = (Arc::clone(&itself), Arc::clone(&link.life), self.ends());
        let meanwhile = move || {
            if let Some(stepped) = own.get().and_then(Weak::upgrade) {
                assert!(step(&stepped, &life, ends), "a machine waits for nobody");
            }
        };
        let stepped = Stepped::start(settings, parts, meanwhile).unwrap();
        itself.set(Arc::downgrade(&stepped)).unwrap();
        self.node = Some((Arc::clone(&stepped), link.clone()));
        (stepped, link)
    }

    /// Whether nobody wants anything any more, and all that was asked for is over.
    fn is_over(&self, link: &Link) -> bool {
        if !self.acts.is_empty() || self.waits.is_some() {
            return false;
        }
        let waits =
            |id: &MailId| link.delivery(self.tenant, *id).unwrap() == Some(Delivery::Waiting);
        if self.mail.iter().any(waits) {
            return false;
        }
        let scope = link.scope(self.tenant).unwrap();
        if !scope.open_sessions().unwrap().is_empty() {
            return false;
        }
        drop(scope);
        let records = self.records();
        let of = |kind: Kind| records.iter().filter(move |it| it.entry.kind() == kind);
        let begun = of(Kind::SessionStarted).filter(|it| it.entry.data().get("parent").is_none());
        of(Kind::SessionQueued).all(|queued| {
            let id = queued.entry.text("id").unwrap_or_default();
            let is_begun = begun.clone().any(|it| it.entry.session().unwrap().to_string() == id);
            is_begun || of(Kind::SessionUnqueued).any(|it| it.entry.text("id") == Some(id))
        })
    }

    fn records(&self) -> Vec<Record> {
        let (_, link) = self.node.as_ref().unwrap();
        cog_finished::records(link.store.scope(self.tenant).unwrap().as_ref()).unwrap()
    }

    fn log(&self) -> Log {
        let (_, link) = self.node.as_ref().unwrap();
        Log::read(link.store.scope(self.tenant).unwrap().as_ref()).unwrap()
    }

    fn ask(&mut self, request: &Request) {
        let (_, link) = self.node();
        let id = request.begins().map(|run| MailId::from_uuid(run.uuid()));
        let id = id
            .unwrap_or_else(|| MailId::new(self.hours.now(), drawn(&self.dice).as_mut()).unwrap());
        ask(&link, self.tenant, id, request, None).unwrap();
        self.mail.push(id);
    }

    /// The next of what people do, if it is time for it.
    fn somebody_acts(&mut self) -> bool {
        if let Some(at) = self.waits {
            if self.hours.now() < at {
                return false;
            }
            self.waits = None;
        }
        let Some(act) = self.acts.pop_front() else { return false };
        let words: Vec<&str> = act.split_whitespace().collect();
        let run = |name: &str| Trace::of(&self.records(), &self.names).run(name);
        let who = |word: &str| word.parse().unwrap();
        let (reason, seen) = ("it is so".to_owned(), self.records().len() as u64);
        let request = match words.as_slice() {
            ["wait", ms] => {
                self.waits = Some(self.hours.now().plus_ms(ms.parse().unwrap()));
                return true;
            }
            ["start", name, given @ ..] => self.wanted(name, given),
            ["fork", name, from, step, given @ ..] => self.forked(name, run(from), step, given),
            ["signal", name, signal, id, payload @ ..] => {
                let payload = parse(&payload.join(" ")).unwrap_or(Value::Null);
                let (id, name, run) = ((*id).to_owned(), (*signal).to_owned(), run(name));
                let from = "user:shop".to_owned();
                let signal = Signal { id, name, from, payload };
                Request::Signal { run, sent: Box::new(Sent { signal, subject: None }) }
            }
            ["yes", name, step, by] => self.answer(run(name), step, (who(by), Ok(()))),
            ["no", name, step, by] => self.answer(run(name), step, (who(by), Err(reason))),
            ["cancel", name, by] => Request::Cancel { run: run(name), who: who(by), reason },
            ["pause", name, by] => {
                Request::Hold { run: run(name), pauses: true, who: who(by), reason, seen }
            }
            ["unpause", name, by] => {
                Request::Hold { run: run(name), pauses: false, who: who(by), reason, seen }
            }
            ["schedule", id, overlap] => {
                let when = Value::map([
                    ("id", Value::from(*id)),
                    ("every_ms", 10_000_u64.into()),
                    ("overlap", (*overlap).into()),
                ]);
                let Request::Start(wanted) = self.wanted("", &[]) else { unreachable!() };
                Request::Schedule { when, wanted, seen }
            }
            ["unschedule", id] => {
                let who = who("user:operator");
                Request::Unschedule { schedule: (*id).to_owned(), who, seen }
            }
            _ => panic!("nobody knows how to `{act}`"),
        };
        self.ask(&request);
        true
    }

    fn answer(
        &self,
        run: RunId,
        step: &str,
        (who, verdict): (cog_gate::Actor, Result<(), String>),
    ) -> Request {
        let records = self.records();
        let asked = records.iter().map(|record| &record.entry).rfind(|entry| {
            entry.kind() == Kind::ApprovalRequested
                && entry.session() == Some(run)
                && entry.text("step") == Some(step)
        });
        let approval: ApprovalId = asked.unwrap().id().unwrap().parse().unwrap();
        let verdict = verdict.map(|()| cog_base::json::Map::new());
        Request::Answer { run, approval, who, verdict }
    }

    /// A run of the script, or of another file of it: `start b file=other n=2 @9 +5000`.
    fn wanted(&mut self, name: &str, words: &[&str]) -> Request {
        let run = RunId::new(self.hours.now(), drawn(&self.dice).as_mut()).unwrap();
        let mut given = given(words);
        let file = given.remove("file");
        let found =
            file.map(|file| self.script.others.iter().find(|(name, _)| *name == file).unwrap().1);
        let source = source(found.map_or("test", |_| "other"), found.unwrap_or(self.script.flow));
        let flow = whole(&source, self.script.others);
        if !name.is_empty() {
            self.names.insert(run, name.to_owned());
        }
        let number = |mark: char| {
            let word = words.iter().find_map(|word| word.strip_prefix(mark));
            word.map(|word| word.parse::<u64>().unwrap())
        };
        Request::Start(Box::new(Wanted {
            run,
            children: flow.children_record(),
            source,
            given,
            places: places(),
            base: "/srv".to_owned(),
            labels: BTreeMap::new(),
            trigger: None,
            priority: number('@').map(|it| u8::try_from(it).unwrap()),
            not_before: number('+').map(|ms| self.hours.now().plus_ms(ms)),
            initiator: "user:operator".parse().unwrap(),
            environment: None,
        }))
    }

    fn forked(&mut self, name: &str, from: RunId, step: &str, words: &[&str]) -> Request {
        let records = self.records();
        let read = |run: RunId, until: u64| {
            let own = records.iter().filter(|it| it.entry.session() == Some(run)).cloned();
            Ok::<Vec<Record>, ()>(own.take_while(|it| it.entry.seq() <= until).collect())
        };
        let past = gather(from, u64::MAX, read).unwrap();
        let (history, _) = as_far(&past).unwrap();
        let fork = place(&past, &history, step).unwrap();
        let run = RunId::new(self.hours.now(), drawn(&self.dice).as_mut()).unwrap();
        self.names.insert(run, name.to_owned());
        let initiator = "user:operator".parse().unwrap();
        let (given, places) = (given(words), places());
        Request::Fork(Box::new(Forked { run, fork, given, places, initiator }))
    }
}

/// The next source of randomness.
fn drawn(dice: &AtomicU64) -> Box<dyn Entropy> {
    Box::new(SeededEntropy::new(dice.fetch_add(1, Ordering::Relaxed)))
}

fn places() -> BTreeMap<String, String> {
    [("out".to_owned(), "/srv/out".to_owned())].into()
}

/// `n=2` among the words.
fn given(words: &[&str]) -> BTreeMap<String, String> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn source(name: &str, flow: &str) -> String {
    format!(
        "name: {name}\ndomain: simulation\nroots: {{ out: {{ path: out, access: write }} }}\n{flow}"
    )
}

/// A workflow with those that it runs.
fn whole(text: &str, others: &[(&str, &str)]) -> Flow {
    let mut open = |_: &str, name: &str| {
        let found = others.iter().find(|(known, _)| *known == name).ok_or("no such file")?;
        let stem = name.trim_start_matches("./").trim_end_matches(".yaml");
        Ok(Opened { id: name.into(), file: name.into(), text: source(stem, found.1) })
    };
    let flow = cog_flow::parse(text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}"));
    flow.with_children("test.yaml", &mut open).unwrap_or_else(|errors| panic!("{errors}"))
}
