//! What an expression may refer to at one point of the file.

use std::collections::BTreeSet;

use crate::diagnostic::Reports;
use crate::expr::{Program, Reference, Target};
use cog_base::suggest;

/// The facts of a run that expressions can read as `run.<name>`.
pub(crate) const RUN_FACTS: [&str; 6] =
    ["id", "workflow", "domain", "environment", "initiator", STARTED_AT];

/// The fact that only runs of flows have that read it.
pub(crate) const STARTED_AT: &str = "started_at";

/// Those that are known before there is a run, when its folders are opened.
const EARLY_FACTS: [&str; 3] = ["workflow", "domain", "environment"];

/// One level of names, inside those of the levels around it.
pub(super) struct Scope<'o> {
    outer: Option<&'o Scope<'o>>,
    /// Every step of this level.
    ids: Option<&'o BTreeSet<String>>,
    /// Those that are surely done when the expression is evaluated.
    visible: BTreeSet<String>,
    /// The step of this level whose expressions are read.
    owner: Option<&'o str>,
    /// Whether this level is a `foreach` or a `repeat`.
    item: bool,
    /// Whether there is no run yet.
    early: bool,
    /// Whether an event has come that starts one.
    event: bool,
}

enum Sight<'o> {
    Visible,
    /// It is a step of a level, but not needed by the step of this level around.
    NotNeeded(Option<&'o str>),
    Unknown,
}

impl<'o> Scope<'o> {
    pub(super) const fn outside() -> Self {
        let visible = BTreeSet::new();
        Self {
            outer: None,
            ids: None,
            visible,
            owner: None,
            item: false,
            early: false,
            event: false,
        }
    }

    /// What can be read before there is a run.
    pub(super) fn before() -> Self {
        Self { early: true, ..Self::outside() }
    }

    /// What can be read of an event, before there is a run.
    pub(super) fn event() -> Self {
        Self { event: true, ..Self::before() }
    }

    /// A level with these steps, of which `visible` can be read.
    pub(super) const fn within(
        &'o self,
        ids: &'o BTreeSet<String>,
        visible: BTreeSet<String>,
        owner: Option<&'o str>,
    ) -> Scope<'o> {
        Scope {
            outer: Some(self),
            ids: Some(ids),
            visible,
            owner,
            item: false,
            early: false,
            event: false,
        }
    }

    /// A level that binds `item` and `index`.
    pub(super) const fn with_item(&'o self) -> Scope<'o> {
        let visible = BTreeSet::new();
        Scope {
            outer: Some(self),
            ids: None,
            visible,
            owner: None,
            item: true,
            early: false,
            event: false,
        }
    }

    /// A level in which a step sees itself: its handlers.
    pub(super) fn with_itself(&'o self, id: &str) -> Scope<'o> {
        let visible = BTreeSet::from([id.to_owned()]);
        Scope {
            outer: Some(self),
            ids: None,
            visible,
            owner: None,
            item: false,
            early: false,
            event: false,
        }
    }

    fn levels(&self) -> impl Iterator<Item = &Scope<'o>> {
        std::iter::successors(Some(self), |level| level.outer)
    }

    fn sight(&self, id: &str) -> Sight<'o> {
        for level in self.levels() {
            if level.visible.contains(id) {
                return Sight::Visible;
            }
            if level.ids.is_some_and(|ids| ids.contains(id)) {
                return Sight::NotNeeded(level.owner);
            }
        }
        Sight::Unknown
    }

    /// Reports each reference of an expression that is not in sight.
    pub(super) fn check(
        &self,
        program: &Program,
        inputs: &BTreeSet<String>,
        reports: &mut Reports<'_>,
    ) {
        for Reference { at, target } in program.references() {
            if reports.is_full() {
                return;
            }
            let at = program.origin().byte(*at);
            match target {
                Target::Step(id) => self.check_step(id, at, reports),
                Target::Input(name) if !inputs.contains(name) => {
                    let hint = suggest::hint(name, inputs.iter().map(String::as_str))
                        .unwrap_or_else(|| "declare it under `inputs`".to_owned());
                    reports.with_hint(at, format!("there is no input `{name}`"), hint);
                }
                Target::Run(name) if !RUN_FACTS.contains(&name.as_str()) => {
                    let hint = suggest::hint(name, RUN_FACTS);
                    reports.with_hint(at, format!("a run has no `{name}`"), hint);
                }
                Target::Run(name) if self.early && !EARLY_FACTS.contains(&name.as_str()) => {
                    let message = format!("`run.{name}` is not known before the run begins");
                    let known = suggest::quoted(&["run.workflow", "run.domain", "run.environment"]);
                    let hint = format!(
                        "the path of a root and `subject` of a workflow may use `inputs` and {known}"
                    );
                    reports.with_hint(at, message, hint);
                }
                Target::Item | Target::Index if !self.levels().any(|level| level.item) => {
                    let message =
                        "`item` and `index` are bound only inside a `foreach` or a `repeat`";
                    reports.with_hint(at, message, "its own `if` is decided before it".to_owned());
                }
                Target::Input(_) | Target::Inputs if self.event => {
                    let message = "there are no inputs yet where they are taken from an event";
                    reports.with_hint(at, message, "name a member of `event`".to_owned());
                }
                Target::Event if !self.event => {
                    let message = "`event` is known only under `on`, where it starts a run";
                    let hint = "take what the run needs of it into its `inputs`".to_owned();
                    reports.with_hint(at, message, hint);
                }
                Target::Input(_)
                | Target::Inputs
                | Target::Event
                | Target::Run(_)
                | Target::Item
                | Target::Index => {}
            }
        }
    }

    /// Whether an expression reads when the run began.
    pub(super) fn tells_start(program: &Program) -> bool {
        let is_it = |it: &Reference| matches!(&it.target, Target::Run(name) if name == STARTED_AT);
        program.references().iter().any(is_it)
    }

    fn check_step(&self, id: &str, at: usize, reports: &mut Reports<'_>) {
        match self.sight(id) {
            Sight::Visible => {}
            Sight::NotNeeded(Some(owner)) if owner == id => {
                let message = format!("the step `{id}` is not done while it runs");
                let hint = "a step cannot read its own output; only its handlers can";
                reports.with_hint(at, message, hint.to_owned());
            }
            Sight::NotNeeded(owner) => {
                let message = format!("the step `{id}` may not be done when this is evaluated");
                let to = owner.map(|owner| format!(" to `{owner}`")).unwrap_or_default();
                reports.with_hint(at, message, format!("add `needs: [{id}]`{to}"));
            }
            Sight::Unknown => {
                let known = self.levels().flat_map(|level| {
                    level.ids.into_iter().flatten().chain(&level.visible).map(String::as_str)
                });
                let dashed = id.replace('_', "-");
                // A step does not see itself.
                let is_own = |known: &&str| self.levels().any(|it| it.owner == Some(*known));
                let known: BTreeSet<&str> = known.filter(|known| !is_own(known)).collect();
                let hint = if let Some(found) =
                    known.iter().find(|known| known.starts_with(&format!("{id}-")))
                {
                    Some(format!("an id with `-` is written `steps[\"{found}\"]` in CEL"))
                } else if known.contains(dashed.as_str()) {
                    Some(format!("did you mean `steps[\"{dashed}\"]`?"))
                } else {
                    suggest::hint(id, known)
                };
                reports.with_hint(at, format!("there is no step `{id}` in sight"), hint);
            }
        }
    }
}
