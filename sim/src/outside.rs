//! The world that effects act on, and its memory of what was done to it.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::ReceiptId;
use cog_base::{Digest, Micros, Value};
use cog_gate::effect::Redo;
use cog_gate::{AnyEffect, Cleared, Effect, Failure, Found, Performed};

/// What the adapters of the simulated world did.
#[derive(Default)]
pub(crate) struct Outside {
    files: BTreeMap<String, Digest>,
    /// How often each receipt's effect took place.
    pub(crate) done: BTreeMap<ReceiptId, u64>,
    /// Posts that took place, by what they said.
    pub(crate) posts: BTreeMap<String, u64>,
    /// What each receipt's effect was done to: a path or an address.
    pub(crate) targets: BTreeMap<ReceiptId, String>,
    /// Everything that was asked of an adapter, in full.
    pub(crate) calls: Vec<String>,
    /// Effects that began without a durable receipt: there must be none.
    pub(crate) unauthorised: BTreeSet<ReceiptId>,
}

/// What becomes of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Transient,
    Failed,
    /// It is done, and the adapter cannot say so.
    Unclear,
}

impl Outside {
    /// Let the effect take place, or not.
    pub(crate) fn perform(
        &mut self,
        cleared: Cleared<AnyEffect>,
        fate: Fate,
    ) -> Performed<AnyEffect> {
        let cost = cleared.prices().of(10, 10);
        match fate {
            Fate::Done => {
                let output = self.act(&cleared);
                cleared.done(output, cost)
            }
            Fate::Transient => cleared.failed(failure("sim.transient", true), Micros::ZERO),
            Fate::Failed => cleared.failed(failure("file.io", false), Micros::ZERO),
            Fate::Unclear => {
                self.act(&cleared);
                cleared.unknown()
            }
        }
    }

    /// Let the effect take place and forget who asked: the process dies right after.
    pub(crate) fn act(&mut self, cleared: &Cleared<AnyEffect>) -> Value {
        let times = self.done.entry(cleared.idempotency_key()).or_default();
        // What changes nothing may be done again after an attempt that was lost.
        *times = if cleared.effect().redo() == Redo::Safe { 1 } else { *times + 1 };
        self.calls.push(format!("{:?}", cleared.effect()));
        self.targets.insert(cleared.idempotency_key(), target(cleared.effect()));
        match cleared.effect() {
            AnyEffect::FileWrite(write) => {
                let path = format!("{}/{}", write.root, write.path);
                self.files.insert(path, Digest::of(&[&write.content.bytes()]));
                Value::map([("path", write.path.as_str())])
            }
            AnyEffect::FileDelete(delete) => {
                let path = format!("{}/{}", delete.root, delete.path);
                Value::map([("existed", self.files.remove(&path).is_some())])
            }
            AnyEffect::HttpRequest(request) => {
                if request.method != "GET" {
                    *self.posts.entry(request.url.clone()).or_default() += 1;
                }
                Value::map([("status", 200_u64)])
            }
            AnyEffect::FileRead(read) => {
                let known = self.files.get(&format!("{}/{}", read.root, read.path));
                Value::map([("text", Value::from(known.map(ToString::to_string)))])
            }
            AnyEffect::ProcessRun(_) => Value::map([("exit_code", 0_u64)]),
            AnyEffect::ModelChat(chat) => {
                let words = chat.messages.last().map_or(0, |message| message.content.len());
                Value::map([("text", Value::from(format!("{words} bytes read")))])
            }
            AnyEffect::SessionAccept(accept) => accept.accepted(),
        }
    }

    /// Look for the traces of an effect.
    pub(crate) fn probe(&self, effect: &AnyEffect) -> Found {
        match effect {
            AnyEffect::FileWrite(write) => {
                let path = format!("{}/{}", write.root, write.path);
                let there = self.files.get(&path);
                if there == Some(&Digest::of(&[&write.content.bytes()])) {
                    Found::Done(Value::map([("path", write.path.as_str())]))
                } else {
                    Found::NotDone
                }
            }
            AnyEffect::FileDelete(delete) => {
                let path = format!("{}/{}", delete.root, delete.path);
                if self.files.contains_key(&path) {
                    Found::NotDone
                } else {
                    Found::Done(Value::map([("existed", true)]))
                }
            }
            AnyEffect::FileRead(_)
            | AnyEffect::HttpRequest(_)
            | AnyEffect::ProcessRun(_)
            | AnyEffect::ModelChat(_)
            | AnyEffect::SessionAccept(_) => Found::CannotTell,
        }
    }
}

/// A path or an address; nothing where there is neither.
fn target(effect: &AnyEffect) -> String {
    match effect {
        AnyEffect::FileWrite(write) => write.path.clone(),
        AnyEffect::FileDelete(delete) => delete.path.clone(),
        AnyEffect::FileRead(read) => read.path.clone(),
        AnyEffect::HttpRequest(request) => request.url.clone(),
        AnyEffect::ProcessRun(_) | AnyEffect::ModelChat(_) | AnyEffect::SessionAccept(_) => {
            String::new()
        }
    }
}

fn failure(code: &str, transient: bool) -> Failure {
    Failure { code: code.into(), message: "the simulated world said no".into(), transient }
}
