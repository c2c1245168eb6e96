//! What the value of each step came from: whatever its expressions read, and where it was got.
//!
//! Told by what expressions name, not by what they came to: all of a step, an item or an input
//! counts that is named anywhere in them. What is only decided by a value (an `if`, which plan is
//! taken, how many items there are) is not counted as coming from it.

use std::collections::BTreeMap;

use cog_base::json::{Map, parse_loose};
use cog_base::place::Place;
use cog_base::{Source, Sources, Value};

use super::Run;
use super::cell::{Cell, CellId, FrameId, FrameKind};
use super::event::Status;
use super::view::View;
use crate::definition::{Body, EffectCall, Flow, Plan, Sleep, Step};
use crate::effect::Operation;
use crate::expr::Target;
use crate::path::StepPath;
use crate::template::Template;

impl Run {
    /// What these templates read, evaluated there.
    pub(super) fn reads<'t>(
        &self,
        templates: impl IntoIterator<Item = &'t Template>,
        frame: FrameId,
    ) -> Sources {
        let mut sources = Sources::default();
        for template in templates {
            template.each_program(&mut |program| {
                for reference in program.references() {
                    self.add_target(&reference.target, frame, &mut sources);
                }
            });
        }
        sources
    }

    fn add_target(&self, target: &Target, frame: FrameId, sources: &mut Sources) {
        let view = View { run: self, frame };
        match target {
            Target::Step(id) => {
                if let Some(cell) = view.cell(id) {
                    sources.add(&self.cells.get(cell).sources);
                }
            }
            Target::Input(name) => self.add_input(name, sources),
            Target::Inputs => sources.add(&self.input_sources),
            Target::Item | Target::Index => {
                let item = view.frames().find_map(|id| match &self.frames.get(id).kind {
                    FrameKind::Item { sources, .. } => Some(sources),
                    FrameKind::Root
                    | FrameKind::Group(_)
                    | FrameKind::Plan(_)
                    | FrameKind::Handler(_)
                    | FrameKind::Undo(_) => None,
                });
                item.into_iter().for_each(|item| sources.add(item));
            }
            Target::Run(_) | Target::Event => {}
        }
    }

    fn add_input(&self, name: &str, sources: &mut Sources) {
        add_input(&self.flow, &self.classes, name, sources);
    }

    /// What a step and those around it are labelled with.
    pub(super) fn labels(&self, id: CellId) -> Sources {
        let mut sources = Sources::default();
        let cell = self.cells.get(id);
        add_label(&cell.step, &cell.path, &mut sources);
        for frame in (View { run: self, frame: cell.frame }).frames() {
            if let Some(owner) = self.frames.get(frame).kind.owner() {
                let around = self.cells.get(owner);
                add_label(&around.step, &around.path, &mut sources);
            }
        }
        sources
    }

    /// What a step is handed: what these read, and what it is labelled with.
    pub(super) fn handed<'t>(
        &self,
        id: CellId,
        templates: impl IntoIterator<Item = &'t Template>,
    ) -> Sources {
        let mut sources = self.reads(templates, self.cells.get(id).frame);
        sources.add(&self.labels(id));
        sources
    }

    /// What a plan's step would be handed, before there is one.
    pub(super) fn foreseen_sources(
        &self,
        id: CellId,
        plan: &Plan,
        step: &Step,
        call: &EffectCall,
    ) -> Sources {
        let mut sources = self.handed(id, call.with.values());
        let path = self.cells.get(id).path.child(&plan.id).child(&step.id);
        add_label(step, &path, &mut sources);
        sources
    }

    /// A step could not do what its body says: what it fails with may show any of that.
    pub(super) fn shows_its_body(&mut self, id: CellId, step: &Step) {
        let mut shown = self.handed(id, step.body.templates().into_iter().chain(&step.subject));
        let around = |owner: &Cell, subject: &Template| self.reads([subject], owner.frame);
        let around = self.subject_around(self.cells.get(id).frame, around);
        shown.add(&around.unwrap_or_default());
        self.cells.get_mut(id).sources.add(&shown);
    }

    /// All that the steps of a frame came from.
    pub(super) fn add_frame(&mut self, owner: CellId, frame: FrameId) {
        let entry = self.frames.get(frame);
        let (first, count) = (entry.first, entry.block.steps.len());
        let mut sources = self.labels(owner);
        (0..count).for_each(|place| sources.add(&self.cells.get(first.plus(place)).sources));
        self.cells.get_mut(owner).sources.add(&sources);
    }

    /// What the run answers with came from; where it did not complete, from anything.
    pub(super) fn answer_sources(&self, status: Status) -> Sources {
        // It answers with nothing: the run that goes on from it does.
        if status == Status::Continued {
            return Sources::default();
        }
        let mut sources = self.reads(self.flow.outputs.values(), super::Arena::first());
        if status != Status::Completed {
            self.cells.iter().for_each(|cell| sources.add(&cell.sources));
        }
        sources
    }

    /// What comes of a step that waits for its effect is of this class from then on, whatever it
    /// was made from, if not of a higher one by its own word.
    pub fn lower(&mut self, step: &StepPath, class: &str) {
        let Some(id) = self.open.get(step).copied() else { return };
        let mut sources = Sources::of(Source::Lowered(class.to_owned()), step);
        sources.add(&self.labels(id));
        self.cells.get_mut(id).sources = sources;
    }

    /// What comes of a step that waits for a run is of the class that this one says, or of one
    /// that it does not say.
    pub fn raise(&mut self, step: &StepPath, class: Option<&str>) {
        let Some(id) = self.open.get(step).copied() else { return };
        let cell = self.cells.get_mut(id);
        let Body::Run(call) = &cell.step.body else { return };
        let source = match class {
            Some(class) => Source::Labelled(class.to_owned()),
            None => Source::Run(call.workflow.clone()),
        };
        let label = Sources::of(source, step);
        cell.sources.add(&label);
    }
}

/// What all inputs of a run came from.
pub(super) fn of_inputs(flow: &Flow, classes: &BTreeMap<String, String>) -> Sources {
    let mut sources = Sources::default();
    flow.inputs.keys().for_each(|name| add_input(flow, classes, name, &mut sources));
    sources
}

fn add_input(flow: &Flow, classes: &BTreeMap<String, String>, name: &str, sources: &mut Sources) {
    let place = format!("inputs.{name}");
    sources.add(&Sources::of(Source::Input(name.to_owned()), &place));
    let own = flow.inputs.get(name).and_then(|spec| spec.label.as_ref());
    let own = own.map(|label| &label.class);
    for class in own.into_iter().chain(classes.get(name)) {
        sources.add(&Sources::of(Source::Labelled(class.clone()), &place));
    }
}

fn add_label(step: &Step, path: &StepPath, sources: &mut Sources) {
    if let Some(label) = &step.label {
        sources.add(&Sources::of(Source::Labelled(label.class.clone()), path));
    }
}

/// What an effect gets its answer from. What is written says nothing of what was there.
pub(super) fn got_from(operation: Operation, with: &Map, step: &StepPath) -> Sources {
    let text = |name: &str| with.get(name).and_then(Value::as_text).map(str::to_owned);
    let root = || text("root").map(Source::Root);
    let all = match operation {
        Operation::FileRead | Operation::FileDelete => [root(), None],
        Operation::FileWrite => [None, None],
        Operation::HttpRequest => {
            let place = text("url").and_then(|url| Place::of(&url));
            [place.map(|place| Source::Host(place.host)), None]
        }
        Operation::ProcessRun => [text("program").map(Source::Program), root()],
        Operation::ModelChat => [text("model").map(Source::Model), None],
        Operation::SessionAccept => {
            let event = text("event").and_then(|event| parse_loose(&event).ok());
            let from = event.as_ref().and_then(|event| event.get("source")?.as_text());
            [from.map(|from| Source::Session(from.to_owned())), None]
        }
    };
    let mut sources = Sources::default();
    all.into_iter().flatten().for_each(|source| sources.add(&Sources::of(source, step)));
    sources
}

impl Body {
    /// Every template of it that is evaluated before it begins.
    fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Effect(call) => call.with.values().collect(),
            Self::Compute(with) => with.values().collect(),
            Self::Group(_) | Self::Checkpoint(_) => Vec::new(),
            Self::Choose(choose) => {
                let constraints = choose.cost_micros.iter().chain(&choose.deadline_ms);
                let plans = choose.plans.iter().flat_map(|plan| {
                    let steps = plan.block.steps.iter();
                    let steps = steps
                        .flat_map(|step| step.body.templates().into_iter().chain(&step.subject));
                    [&plan.cost_micros, &plan.latency_ms].into_iter().chain(steps)
                });
                [&choose.goal].into_iter().chain(constraints).chain(plans).collect()
            }
            Self::Approve(approve) => vec![&approve.message],
            Self::Sleep(Sleep::For(by) | Sleep::Until(by)) => vec![by],
            Self::WaitFor(wait) => wait.matching.values().chain(&wait.timeout_ms).collect(),
            Self::Run(call) => call.inputs.values().collect(),
            Self::Continue(inputs) => inputs.values().collect(),
        }
    }
}
