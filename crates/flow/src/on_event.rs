//! Events that start a workflow: which of them, and what a run is given of one.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::json::{Json, Map};
use cog_schedule::{Rule, Schedule};

use crate::definition::{Flow, Scheduled};
use crate::expr::{Bindings, StepFacts};
use crate::template::Template;

/// An event that starts a run of a workflow, once somebody sets it.
#[derive(Clone, Debug)]
pub struct OnEvent {
    /// Its name, unique in the ledger among those of all schedules.
    pub id: String,
    /// The type of the event, with `*` for one word of it and `#` for any number.
    pub kind: String,
    /// Its source; any where there is none.
    pub source: Option<String>,
    /// Whether it is one, as far as type and source do not say.
    pub condition: Option<Template>,
    /// What the run is given.
    pub inputs: BTreeMap<String, Template>,
}

impl Flow {
    /// All that starts it: its schedules, and behind them the events. What a run is given of an event
    /// is known when it has come ([`Flow::given_by`]).
    #[must_use]
    pub fn starts(&self) -> Vec<Scheduled> {
        let event = |it: &OnEvent| {
            let (kind, source) = (it.kind.clone(), it.source.clone());
            let schedule = Schedule::new(&it.id, Rule::Event { kind, source });
            Scheduled { schedule, inputs: Map::new() }
        };
        self.schedules.iter().cloned().chain(self.events.iter().map(event)).collect()
    }

    /// What an event gives a run; nothing where its condition says that it starts none.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub fn given_by(&self, id: &str, event: &Value) -> Result<Option<Map>, String> {
        let Some(on) = self.events.iter().find(|on| on.id == id) else {
            return Err(format!("the workflow has no event `{id}`"));
        };
        let bindings = Event { event, inputs: Value::Map(Map::new()), run: self.facts() };
        let not = |what: &str, why: &str| format!("{what} of the event `{id}` {why}");
        if let Some(condition) = &on.condition {
            match condition.evaluate(&bindings) {
                Ok(Json::Bool(true)) => {}
                Ok(Json::Bool(false)) => return Ok(None),
                Ok(other) => {
                    let why = format!("is {}, and must be true or false", other.kind());
                    return Err(not("`if`", &why));
                }
                Err(error) => return Err(not("`if`", &format!("cannot be told: {error}"))),
            }
        }
        let mut given = Map::new();
        for (name, template) in &on.inputs {
            let value = template.evaluate(&bindings);
            let value =
                value.map_err(|error| not(&format!("the input `{name}`"), &error.to_string()))?;
            given.insert(name.clone(), value);
        }
        Ok(Some(given))
    }
}

/// What expressions of an event see.
struct Event<'e> {
    event: &'e Value,
    inputs: Value,
    run: Value,
}

impl Bindings for Event<'_> {
    fn inputs(&self) -> &Value {
        &self.inputs
    }

    fn run(&self) -> &Value {
        &self.run
    }

    fn item(&self) -> Option<(&Value, u32)> {
        None
    }

    fn event(&self) -> Option<&Value> {
        Some(self.event)
    }

    fn step(&self, _: &str) -> Option<StepFacts<'_>> {
        None
    }
}
