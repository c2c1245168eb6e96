//! The world that effects act on. What is named says what becomes of it: a path or an address
//! `flaky/2/a` fails twice before it is done, `broken/file.io/a` fails for good, `passing/http.timeout/2/a`
//! fails twice with that code, `slow/500/a` takes so many milliseconds, and `lost/a` is done and never
//! answered. Everything else is done at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::{Clock as _, Micros, Timestamp, Value};
use cog_engine::{Hands, Inbox, Input, Place, Placed, Terms};
use cog_gate::effect::Redo;
use cog_gate::{AnyEffect, Cleared, Effect as _, Failure, Found, Lapse, Performed};
use cog_node::{Kit, Ready};

use crate::link::Hours;

/// How long something takes that is lost.
const FOR_EVER_MS: u64 = 10_000_000_000;

/// What the effects of a tenant did.
pub(crate) struct World {
    hours: Arc<Hours>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, String>,
    /// How often something was tried that fails a few times first.
    tries: BTreeMap<ReceiptId, u64>,
    /// How often each act took place that must not take place twice.
    acts: BTreeMap<(ReceiptId, String), u64>,
    work: Vec<Work>,
}

/// What is under way.
struct Work {
    due: Timestamp,
    inbox: Inbox,
    task: Task,
}

enum Task {
    Effect { cleared: Box<Cleared<AnyEffect>>, outlives: bool },
    Probe { run: RunId, receipt: ReceiptId, effect: Box<AnyEffect> },
}

impl World {
    pub(crate) fn new(hours: Arc<Hours>) -> Self {
        Self { hours, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The files that there are, with what stands in them.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        self.state().files.clone()
    }

    /// What was done how often that must not be done twice, by what it was done to.
    pub(crate) fn acts(&self) -> Vec<String> {
        let state = self.state();
        let twice = state.acts.iter().find(|(_, times)| **times > 1);
        assert_eq!(twice, None, "something was done twice under one receipt");
        let mut acts: Vec<String> = state.acts.keys().map(|(_, what)| what.clone()).collect();
        acts.sort();
        acts
    }

    /// When the next of what is under way is over.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.state().work.iter().map(|work| work.due).min()
    }

    /// All that is under way comes to nothing.
    pub(crate) fn lose(&self) {
        let work = std::mem::take(&mut self.state().work);
        drop(work);
    }

    /// What is over first takes place, if something is over.
    pub(crate) fn act(&self) -> bool {
        let now = self.hours.now();
        let mut state = self.state();
        let Some(place) = state.work.iter().position(|work| work.due <= now) else { return false };
        let Work { inbox, task, .. } = state.work.remove(place);
        let input = match task {
            Task::Effect { cleared, outlives } => {
                let performed = if outlives {
                    state.take_place(&cleared);
                    cleared.counterfoil().lost(Lapse::TimedOut)
                } else {
                    state.perform(*cleared)
                };
                Input::Performed(Box::new(performed))
            }
            Task::Probe { run, receipt, effect } => {
                Input::Probed { run, receipt, found: state.probe(&effect) }
            }
        };
        drop(state);
        inbox.send(input);
        true
    }
}

impl State {
    fn perform(&mut self, cleared: Cleared<AnyEffect>) -> Performed<AnyEffect> {
        let target = target(cleared.effect());
        let parts: Vec<&str> = target.split('/').collect();
        let failure = |code: &str, transient| {
            let message = format!("{target} says no");
            Failure { code: code.to_owned(), message, transient }
        };
        let (fails, code) = match parts.as_slice() {
            ["flaky", times, ..] => (times.parse().unwrap(), "world.busy"),
            ["passing", code, times, ..] => (times.parse().unwrap(), *code),
            ["broken", code, ..] => return cleared.failed(failure(code, false), Micros::ZERO),
            _ => (0, ""),
        };
        let tries = self.tries.entry(cleared.idempotency_key()).or_default();
        *tries += 1;
        if *tries <= fails {
            return cleared.failed(failure(code, true), Micros::ZERO);
        }
        let output = self.take_place(&cleared);
        let cost = cleared.prices().of(10, 10);
        cleared.done(output, cost)
    }

    fn take_place(&mut self, cleared: &Cleared<AnyEffect>) -> Value {
        let effect = cleared.effect();
        if effect.redo() != Redo::Safe {
            let what = format!("{} {}", effect.action(), target(effect));
            *self.acts.entry((cleared.idempotency_key(), what)).or_default() += 1;
        }
        let path = |path: &str| ("path", Value::from(path));
        match effect {
            AnyEffect::FileWrite(write) => {
                let text = String::from_utf8(write.content.bytes()).unwrap();
                let bytes = ("bytes", Value::from(text.len() as u64));
                self.files.insert(write.path.clone(), text);
                Value::map([path(&write.path), bytes])
            }
            AnyEffect::FileDelete(delete) => {
                let existed = self.files.remove(&delete.path).is_some();
                Value::map([path(&delete.path), ("existed", existed.into())])
            }
            AnyEffect::FileRead(read) => {
                let text = self.files.get(&read.path).map_or("nothing", String::as_str);
                Value::map([path(&read.path), ("kind", "file".into()), ("text", text.into())])
            }
            AnyEffect::HttpRequest(_) => {
                Value::map([("status", 200_u64.into()), ("text", Value::from("ok"))])
            }
            AnyEffect::ModelChat(chat) => {
                let words = chat.messages.last().map_or(0, |message| message.content.len());
                Value::map([("text", Value::from(format!("{words} bytes read")))])
            }
            AnyEffect::ProcessRun(_) => Value::map([("exit_code", 0_u64)]),
            AnyEffect::SessionAccept(accept) => accept.accepted(),
        }
    }

    fn probe(&self, effect: &AnyEffect) -> Found {
        let path = |path: &str| Value::map([("path", path)]);
        if let AnyEffect::FileWrite(write) = effect {
            let is_there = self
                .files
                .get(&write.path)
                .is_some_and(|text| text.as_bytes() == write.content.bytes());
            let bytes = Value::from(write.content.bytes().len() as u64);
            let done = Value::map([("path", Value::from(write.path.as_str())), ("bytes", bytes)]);
            if is_there { Found::Done(done) } else { Found::NotDone }
        } else if let AnyEffect::FileDelete(delete) = effect {
            let is_there = self.files.contains_key(&delete.path);
            if is_there { Found::NotDone } else { Found::Done(path(&delete.path)) }
        } else {
            Found::CannotTell
        }
    }
}

/// A path, or what follows the host in an address.
fn target(effect: &AnyEffect) -> String {
    match effect {
        AnyEffect::FileWrite(write) => write.path.clone(),
        AnyEffect::FileDelete(delete) => delete.path.clone(),
        AnyEffect::FileRead(read) => read.path.clone(),
        AnyEffect::HttpRequest(request) => {
            let path = request.url.splitn(4, '/').nth(3).unwrap_or_default();
            path.split('?').next().unwrap_or_default().to_owned()
        }
        AnyEffect::ModelChat(chat) => chat.messages.last().unwrap().content.clone(),
        AnyEffect::ProcessRun(_) | AnyEffect::SessionAccept(_) => String::new(),
    }
}

/// What a node acts with.
pub(crate) struct Tools(pub(crate) Arc<World>);

impl Hands for Tools {
    fn perform(&self, _: RunId, cleared: Cleared<AnyEffect>, terms: Terms, inbox: Inbox) {
        let target = target(cleared.effect());
        let takes_ms = match target.split('/').collect::<Vec<_>>().as_slice() {
            ["slow", ms, ..] => ms.parse().unwrap(),
            ["lost", ..] => FOR_EVER_MS,
            _ => 0,
        };
        let limit_ms = terms.timeout_ms.filter(|limit| *limit <= takes_ms);
        let due = self.0.hours.now().plus_ms(limit_ms.unwrap_or(takes_ms));
        let task = Task::Effect { cleared: Box::new(cleared), outlives: limit_ms.is_some() };
        self.0.state().work.push(Work { due, inbox, task });
    }

    fn probe(&self, run: RunId, receipt: ReceiptId, effect: AnyEffect, inbox: Inbox) {
        let task = Task::Probe { run, receipt, effect: Box::new(effect) };
        let due = self.0.hours.now();
        self.0.state().work.push(Work { due, inbox, task });
    }
}

impl Kit for Tools {
    fn hands(&self, _: TenantId) -> Box<dyn Hands> {
        Box::new(Self(Arc::clone(&self.0)))
    }

    fn bind(&self, _: &Ready<'_>) -> Result<(), String> {
        Ok(())
    }

    fn place(&self, place: &Place) -> Result<Placed, String> {
        let places = place.roots.iter().map(|root| (root.name.clone(), "/srv/out".to_owned()));
        Ok(Placed { base: place.base.clone(), places: places.collect() })
    }

    fn unbind(&self, _: TenantId, _: RunId) {}
}
