//! Runs that schedules start, runs that are asked for before they begin, what people are asked, and
//! chains of runs.

use cog_base::Value;
use cog_base::id::{ApprovalId, RunId};
use cog_ledger::Kind;

use super::{Act, House, data, digest};

impl House {
    /// A time of it came, and a run is said to be started; whether it `begins` is another matter.
    pub(crate) fn fired(&mut self, day: u8, begins: bool) {
        let session = RunId::new(self.now, &mut self.entropy).unwrap();
        let at = format!("2026-11-{day}T00:00:00.000000Z");
        self.schedule(Kind::ScheduleFired, [("at", at.into()), ("run", session.into())]);
        if begins {
            self.start_as(session);
            self.seal(session);
        }
    }

    /// A run begins, of which `more` is said or otherwise.
    pub(crate) fn start_with<const N: usize>(
        &mut self,
        session: RunId,
        more: [(&'static str, Value); N],
    ) {
        let start = [
            ("workflow", "pay".into()),
            ("definition", digest("definition")),
            ("inputs", digest("inputs")),
            ("roots", Value::map([("", ""); 0])),
            ("initiator", "user:clerk".into()),
        ];
        let mut members = data(start);
        members.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let act = self.act(Kind::SessionStarted, "user:clerk", Some(session));
        self.record(Act { body: Some("definition"), ..act }, members);
    }

    /// A run is sealed as one that the next continues. Gives that.
    pub(crate) fn seal_of_chain(&mut self, session: RunId, inputs: &str) -> RunId {
        let next = RunId::new(self.now, &mut self.entropy).unwrap();
        let mut seal = self.seal_data(session);
        seal.insert("status".to_owned(), "continued".into());
        let said = Value::map([("session", Value::from(next)), ("inputs", digest(inputs))]);
        seal.insert("continued".to_owned(), said);
        let act = self.act(Kind::SessionSealed, "service:engine", Some(session));
        self.record(act, seal);
        next
    }

    /// A run is sealed, and the next one begins in its place.
    pub(crate) fn goes_on(&mut self, session: RunId, count: u64) -> RunId {
        let next = self.seal_of_chain(session, "inputs");
        self.start_with(next, [continues(session, count)]);
        next
    }

    /// Three runs, each of which continues the one before.
    pub(super) fn a_chain(&mut self) {
        let first = self.start();
        let second = self.goes_on(first, 1);
        let third = self.goes_on(second, 2);
        self.seal(third);
    }

    /// Two runs of a key are asked for: one begins and ends, the other never does.
    pub(super) fn one_begins_and_one_is_withdrawn(&mut self) {
        let asked = self.asked("definition", [limit("pay", 1)]);
        self.start_as(asked);
        self.seal(asked);
        let withdrawn = self.asked("definition", [limit("pay", 1)]);
        self.unqueued(withdrawn);
    }

    /// Somebody asks for a run by a definition, held to what `more` says.
    pub(crate) fn asked(
        &mut self,
        definition: &str,
        more: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> RunId {
        let session = RunId::new(self.now, &mut self.entropy).unwrap();
        self.asked_as(session, definition, more);
        session
    }

    pub(crate) fn asked_as(
        &mut self,
        session: RunId,
        definition: &str,
        more: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let named = [
            ("id", session.into()),
            ("workflow", "pay".into()),
            ("definition", digest(definition)),
            ("inputs", digest("inputs")),
            ("priority", 5_u64.into()),
        ];
        let act = self.act(Kind::SessionQueued, "user:clerk", None);
        let mut members = data(named);
        members.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
        self.record(act, members);
    }

    /// People are asked whether an intent may be.
    pub(crate) fn ask(
        &mut self,
        session: RunId,
        intent: &str,
        of: &[&str],
        count: u64,
    ) -> ApprovalId {
        self.ask_and(session, intent, of, count, None)
    }

    /// The same, where others may answer later.
    pub(crate) fn ask_and(
        &mut self,
        session: RunId,
        intent: &str,
        of: &[&str],
        count: u64,
        later: Option<Value>,
    ) -> ApprovalId {
        let id = ApprovalId::new(self.now, &mut self.entropy).unwrap();
        let need = [("count", Value::from(count)), ("of", Value::list(of.iter().copied()))];
        let later = later.map(|later| ("escalate", later));
        let need = Value::map(need.into_iter().chain(later));
        let request = [
            ("id", id.into()),
            ("intent", digest(intent)),
            ("action", "file.write".into()),
            ("resource", "Root::\"payments\"".into()),
            ("step", "pay".into()),
            ("need", need),
            ("expires", self.now.plus_ms(60_000).into()),
            ("procedure", Value::from(1_u64)),
            ("snapshot", digest("snapshot")),
        ];
        let act = self.act(Kind::ApprovalRequested, "agent:clerk", Some(session));
        self.record(act, data(request));
        id
    }

    /// A run that waits never begins.
    pub(crate) fn unqueued(&mut self, session: RunId) {
        let act = self.act(Kind::SessionUnqueued, "user:clerk", None);
        self.record(act, data([("id", session.into()), ("why", "cancelled".into())]));
    }
}

/// At most so many of a key are open at once.
pub(crate) fn limit(key: &str, limit: u64) -> (&'static str, Value) {
    let full = ("when_full", "queue".into());
    ("concurrency", Value::map([("key", digest(key)), ("limit", limit.into()), full]))
}

/// That a run continues another.
pub(crate) fn continues(session: RunId, count: u64) -> (&'static str, Value) {
    ("continues", Value::map([("session", Value::from(session)), ("count", count.into())]))
}
