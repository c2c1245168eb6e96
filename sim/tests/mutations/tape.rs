//! A history that can be changed: its entries as they say, without place and links.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Value;
use cog_base::json::{Map, parse};
use cog_history::Record;
use cog_ledger::session::Tally;
use cog_ledger::{Entry, Kind};

/// An entry with its body.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) run: String,
    /// Its place in the log of the world, by which forks name it.
    pub(crate) seq: u64,
    pub(crate) kind: Kind,
    pub(crate) members: Map,
    pub(crate) body: Option<Value>,
}

/// The entries of all runs of a world.
#[derive(Clone)]
pub(crate) struct Tape {
    pub(crate) lines: Vec<Line>,
}

impl Line {
    fn read(record: &Record) -> Self {
        let text = std::str::from_utf8(record.entry.bytes()).unwrap();
        let members: Map = parse(text).unwrap().as_map().unwrap().clone();
        // What is about a run that has not begun belongs to none.
        let run = record.entry.session().map(|run| run.to_string()).unwrap_or_default();
        let (seq, kind) = (record.entry.seq(), record.entry.kind());
        Self { run, seq, kind, members, body: record.body.clone() }
    }

    pub(crate) fn data(&self) -> &Map {
        self.members.get("data").unwrap().as_map().unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.data().get(name).and_then(Value::as_text).unwrap_or_default()
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        let Some(Value::Map(data)) = self.members.get_mut("data") else { return };
        data.insert(name.to_owned(), value.into());
    }

    /// The run and the entry that this one goes on from.
    pub(crate) fn fork(&self) -> Option<(&str, u64)> {
        let fork = self.data().get("fork").filter(|_| self.kind == Kind::SessionStarted)?;
        Some((fork.get("session")?.as_text()?, fork.get("seq")?.as_u64()?))
    }

    pub(crate) fn set_fork(&mut self, session: &str, seq: u64) {
        let fork = Value::map([("session", Value::from(session)), ("seq", seq.into())]);
        self.set("fork", fork);
    }

    pub(crate) fn at(&self) -> Value {
        self.members.get("at").unwrap().clone()
    }

    pub(crate) fn is(&self, kind: Kind, name: &str, value: &str) -> bool {
        self.kind == kind && self.text(name) == value
    }
}

impl Tape {
    pub(crate) fn read(records: &[Record]) -> Self {
        Self { lines: records.iter().map(Line::read).collect() }
    }

    /// The same without the runs that go on from others, and what those began and what continues them.
    pub(crate) fn without_forks(&self) -> Self {
        let mut gone: Vec<String> = Vec::new();
        for line in self.lines.iter().filter(|line| line.kind == Kind::SessionStarted) {
            let parent = line.data().get("parent").and_then(|it| it.get("session")?.as_text());
            let before = line.data().get("continues").and_then(|it| it.get("session")?.as_text());
            let is_gone = |it: &str| gone.iter().any(|run| run == it);
            let inside = parent.into_iter().chain(before).any(is_gone);
            if line.fork().is_some() || inside {
                gone.push(line.run.clone());
            }
        }
        let lines = self.lines.iter().filter(|line| !gone.contains(&line.run)).cloned();
        Self { lines: lines.collect() }
    }

    /// Put the line at `from` before the one at `to`, at the time of what then stands before it.
    pub(crate) fn shift(&mut self, from: usize, to: usize) {
        let mut line = self.lines.remove(from);
        let to = if to > from { to - 1 } else { to };
        if let Some(before) = to.checked_sub(1) {
            line.members.insert("at".into(), self.lines[before].at());
        }
        self.lines.insert(to, line);
    }

    /// The places of lines.
    pub(crate) fn places(&self, is: impl Fn(&Line) -> bool) -> Vec<usize> {
        (0..self.lines.len()).filter(|place| is(&self.lines[*place])).collect()
    }

    /// The place of the outcome of the receipt at a place, if it is `disposition`.
    pub(crate) fn outcome(&self, receipt: usize, disposition: &str) -> Option<usize> {
        let id = self.lines[receipt].text("id");
        let places = self.places(|line| line.is(Kind::Outcome, "receipt", id));
        places.first().copied().filter(|at| self.lines[*at].text("disposition") == disposition)
    }

    /// State in each seal what its run adds up to now.
    pub(crate) fn seal_anew(&mut self) {
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for place in 0..self.lines.len() {
            let line = &mut self.lines[place];
            if line.kind == Kind::SessionSealed {
                let sums = tallies.entry(line.run.clone()).or_default().sums();
                sums.into_iter().for_each(|(name, value)| line.set(&name, value));
            }
            let entry = self.entry(place);
            tallies.entry(self.lines[place].run.clone()).or_default().add(&entry);
        }
    }

    fn entry(&self, place: usize) -> Entry {
        let mut line = self.lines[place].clone();
        if let Some((session, seq)) = line.fork() {
            // Where it stands now; what is gone has no place.
            let now = self.lines.iter().position(|other| other.seq == seq);
            let (session, seq) = (session.to_owned(), now.map_or(0, |now| now as u64 + 1));
            line.set_fork(&session, seq);
        }
        let mut members = line.members;
        members.insert("seq".into(), Value::from(place as u64 + 1));
        Entry::parse(&Value::Map(members).canonical()).expect("a changed entry is still one")
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let record = |place| Record {
            entry: Arc::new(self.entry(place)),
            body: self.lines[place].body.clone(),
        };
        (0..self.lines.len()).map(record).collect()
    }
}
