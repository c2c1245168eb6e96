//! An event and its JSON form.

use cog_base::Timestamp;
use cog_base::id::TenantId;
use cog_base::json::{Map, Value};
use cog_ledger::{Entry, Kind};

use crate::Facts;
use crate::registry::{NOT_OF_A_RUN, OF_A_RUN, is_of_a_state, status, type_of};

/// The most bytes of an event in JSON: what every intermediary must forward (CloudEvents
/// 1.0.2, "Size Limits"). Of a larger one the copy of the entry is left out.
pub const BYTES_MAX: usize = 65_536;

/// An entry as a CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    id: String,
    kind: String,
    tenant: TenantId,
    seq: u64,
    lane: String,
    sequence: String,
    time: Timestamp,
    json: String,
}

impl Event {
    /// The event that `entry` is, in the log of this origin. `facts` are of its run.
    ///
    /// Its id is the origin, the place in the log and the beginning of the leaf hash, so that
    /// it is the same whenever and by whomever it is made, and no other event has it: not even
    /// one in the same place of a log that goes on from an older copy.
    #[must_use]
    pub fn of(entry: &Entry, origin: &str, facts: &Facts) -> Self {
        let leaf: String =
            entry.leaf().as_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{origin}/{}/{leaf}", entry.seq());
        let lane = run_of(entry).unwrap_or_else(|| entry.tenant().to_string());
        let sequence = format!("{:020}", entry.seq());
        let mut attributes = attributes(entry, &id, &lane, &sequence);
        let mut data = data(entry, facts);
        let mut json = write(&mut attributes, &data);
        if json.len() > BYTES_MAX {
            data.remove("entry");
            data.insert("entry_omitted".to_owned(), Value::Bool(true));
            json = write(&mut attributes, &data);
        }
        Self {
            id,
            kind: type_of(entry.kind()),
            tenant: entry.tenant(),
            seq: entry.seq(),
            lane,
            sequence,
            time: entry.at(),
            json,
        }
    }

    /// Stable and unique: origin, place and the beginning of the leaf hash of the entry.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The CloudEvents type.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whose log it is of.
    #[must_use]
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The place of its entry in the log.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Events of one lane keep their order: those of one run, and those of a log that are of
    /// no run. It is the attribute `partitionkey`.
    #[must_use]
    pub fn lane(&self) -> &str {
        &self.lane
    }

    /// The attribute `sequence`: the place, of a width that sorts as text.
    #[must_use]
    pub fn sequence(&self) -> &str {
        &self.sequence
    }

    /// When its entry was recorded.
    #[must_use]
    pub const fn time(&self) -> Timestamp {
        self.time
    }

    /// The event in the JSON format of CloudEvents 1.0, on one line. Its bytes are canonical
    /// (RFC 8785) and the same whenever it is made.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// The run of an entry; one that has not begun is named as the id.
fn run_of(entry: &Entry) -> Option<String> {
    let waits = || entry.id().filter(|_| is_of_a_state(entry.kind())).map(str::to_owned);
    entry.session().map(|run| run.to_string()).or_else(waits)
}

fn attributes(entry: &Entry, id: &str, lane: &str, sequence: &str) -> Map {
    let run = run_of(entry);
    let source = if run.is_some() { OF_A_RUN } else { NOT_OF_A_RUN };
    let mut attributes: Map = [
        ("specversion", "1.0"),
        ("source", source),
        ("id", id),
        ("datacontenttype", "application/json"),
        ("partitionkey", lane),
        ("sequence", sequence),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), Value::from(text)))
    .collect();
    attributes.insert("type".to_owned(), type_of(entry.kind()).into());
    attributes.insert("time".to_owned(), entry.at().into());
    let subject =
        if is_of_a_state(entry.kind()) { run } else { entry.id().map(str::to_owned).or(run) };
    if let Some(subject) = subject.filter(|subject| !subject.is_empty()) {
        attributes.insert("subject".to_owned(), subject.into());
    }
    attributes
}

fn data(entry: &Entry, facts: &Facts) -> Map {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| drop(data.insert(name.to_owned(), value));
    put("tenant_id", entry.tenant().into());
    put("domain", entry.domain().into());
    put("environment", entry.environment().into());
    put("actor", entry.actor().into());
    put("leaf", entry.leaf().into());
    put("entry", Value::Map(entry.data().clone()));
    if let Some(run) = run_of(entry) {
        put("execution_id", run.into());
        let asked = entry.text("workflow").map(str::to_owned);
        let asked = asked.filter(|_| entry.kind() == Kind::SessionQueued);
        if let Some(workflow) = facts.workflow.as_ref().or(asked.as_ref()) {
            put("workflow_id", workflow.as_str().into());
        }
    }
    if entry.kind() == Kind::SessionStarted {
        put("status", "running".into());
    }
    if entry.kind() == Kind::SessionQueued {
        put("status", "queued".into());
    }
    if entry.kind() == Kind::SessionUnqueued {
        put("status", entry.text("why").unwrap_or_default().into());
    }
    if entry.kind() == Kind::SessionSealed {
        put("status", status(entry.text("status").unwrap_or_default()).into());
        put("cost_micros", entry.count("spent_micros").unwrap_or_default().into());
        if let Some(started_at) = facts.started_at {
            put("duration_ms", entry.at().ms_since(started_at).into());
        }
        if let Some(tokens) = facts.tokens {
            put("token_usage", tokens.into());
        }
    }
    data
}

fn write(attributes: &mut Map, data: &Map) -> String {
    attributes.insert("data".to_owned(), Value::Map(data.clone()));
    let value = Value::Map(std::mem::take(attributes));
    let text = value.to_string();
    if let Value::Map(map) = value {
        *attributes = map;
    }
    text
}
