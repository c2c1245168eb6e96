//! What expressions see, and their values.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::limits::MAX_RUN_OPERATIONS;
use cog_flow::{Bindings, Block, StepFacts, Template};

use super::Reading;
use super::source::Life;
use super::stand::Stand;

/// A level of names.
pub(super) struct Scope {
    pub(super) parent: Option<usize>,
    pub(super) kind: Level,
}

pub(super) enum Level {
    /// The steps of a block, as far as they are worked out.
    Steps { block: Arc<Block>, stands: BTreeMap<String, Stand> },
    /// An item of a `foreach`, and how its step stands once that is known; or a round of a
    /// `repeat`, with no step of its own.
    Item { id: Option<String>, value: Option<Value>, index: u32, own: Option<Box<Stand>> },
}

/// From where expressions look: which steps are in sight, and which of the runs that go on from one
/// another says what the inputs are.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    /// The level of names.
    pub(super) frame: usize,
    /// The place behind which what they are part of begins.
    pub(super) at: usize,
}

/// Why a template has no value here.
#[derive(Debug)]
pub(super) enum Gap {
    /// It has none: the step fails by itself.
    Fails(Value),
    /// Something that it reads is gone.
    Unknown,
}

struct View<'r, 'l> {
    reading: &'r Reading<'l>,
    sight: Sight,
    missed: Cell<bool>,
}

const NULL: &Value = &Value::Null;

impl View<'_, '_> {
    fn levels(&self) -> impl Iterator<Item = &Scope> {
        let frames = &self.reading.frames;
        std::iter::successors(frames.get(self.sight.frame), |scope| frames.get(scope.parent?))
    }

    fn seer(&self) -> &Life {
        let source = &self.reading.source;
        if self.reading.is_of_any(self.sight.at) {
            self.missed.set(true);
        }
        source.life(source.seen_by(self.sight.at))
    }

    fn known<'v>(&self, value: Option<&'v Value>) -> &'v Value {
        if value.is_none() {
            self.missed.set(true);
        }
        value.unwrap_or(NULL)
    }
}

impl Bindings for View<'_, '_> {
    fn inputs(&self) -> &Value {
        &self.seer().inputs
    }

    fn run(&self) -> &Value {
        &self.seer().facts
    }

    fn item(&self) -> Option<(&Value, u32)> {
        self.levels().find_map(|scope| match &scope.kind {
            Level::Item { value, index, .. } => Some((self.known(value.as_ref()), *index)),
            Level::Steps { .. } => None,
        })
    }

    fn step(&self, id: &str) -> Option<StepFacts<'_>> {
        let stand = self.levels().find_map(|scope| match &scope.kind {
            Level::Item { id: own, own: stand, .. } => {
                (own.as_deref() == Some(id)).then_some(stand.as_deref())
            }
            Level::Steps { block, stands } => {
                let is_here = block.steps.iter().any(|step| step.id == id);
                is_here.then(|| stands.get(id))
            }
        })?;
        let Some(stand) = stand else {
            self.missed.set(true);
            return Some(StepFacts { status: "waiting", output: NULL, error: NULL });
        };
        if !stand.later.is_empty() && self.reading.is_of_any(self.sight.at) {
            self.missed.set(true);
        }
        let stand = stand.in_life(self.reading.source.seen_by(self.sight.at));
        Some(StepFacts {
            status: stand.how.word(),
            output: self.known(stand.output.as_ref()),
            error: self.known(stand.error.as_ref()),
        })
    }

    fn took(&self, operations: u64) {
        let done = &self.reading.operations;
        done.set(done.get().saturating_add(operations));
    }
}

impl Reading<'_> {
    pub(super) fn open(&mut self, parent: Option<usize>, kind: Level) -> usize {
        self.frames.push(Scope { parent, kind });
        self.frames.len() - 1
    }

    /// How a step of a level stands, from now on.
    pub(super) fn note(&mut self, frame: usize, id: &str, stand: Stand) {
        match self.frames.get_mut(frame).map(|scope| &mut scope.kind) {
            Some(Level::Steps { stands, .. }) => drop(stands.insert(id.to_owned(), stand)),
            Some(Level::Item { own, .. }) => *own = Some(Box::new(stand)),
            None => {}
        }
    }

    pub(super) fn evaluate(&self, template: &Template, sight: Sight) -> Result<Value, Gap> {
        if let Some(plain) = template.plain() {
            return Ok(plain.clone());
        }
        // What the expressions of a run may take together is bounded. Here they are evaluated in
        // another order, and some of them not as often.
        if self.operations.get() > MAX_RUN_OPERATIONS / 4 {
            return Err(Gap::Unknown);
        }
        let view = View { reading: self, sight, missed: Cell::new(false) };
        let value = template.evaluate(&view);
        match value {
            _ if view.missed.get() => Err(Gap::Unknown),
            Ok(value) => Ok(value),
            Err(error) => Err(Gap::Fails(super::failure("expression", &error.to_string()))),
        }
    }

    pub(super) fn evaluate_all(
        &self,
        members: &BTreeMap<String, Template>,
        sight: Sight,
    ) -> Result<Map, Gap> {
        let mut values = Map::new();
        for (name, template) in members {
            values.insert(name.clone(), self.evaluate(template, sight)?);
        }
        Ok(values)
    }

    pub(super) fn evaluate_number(&self, template: &Template, sight: Sight) -> Result<u64, Gap> {
        let value = self.evaluate(template, sight)?;
        let fails = || {
            let message = format!("a number was wanted, it came to {}", value.kind());
            Gap::Fails(super::failure("expression", &message))
        };
        value.as_u64().ok_or_else(fails)
    }

    pub(super) fn evaluate_text(&self, template: &Template, sight: Sight) -> Result<(), Gap> {
        let value = self.evaluate(template, sight)?;
        if value.as_text().is_some() || value.as_int().is_some() {
            return Ok(());
        }
        let message = format!("a string was wanted, it came to {}", value.kind());
        Err(Gap::Fails(super::failure("expression", &message)))
    }
}
