//! A world that a test drives by hand: actions as short lines, events by short calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use cog_base::{Value, json};
use cog_flow::{Action, Event, Flow, OutOfOrder, Run, Signal, Status, StepError, StepPath, parse};

/// A run and the actions it gave since they were last looked at.
pub(crate) struct World {
    pub(crate) run: Run,
    pub(crate) actions: Vec<Action>,
}

pub(crate) fn flow(text: &str) -> Arc<Flow> {
    Arc::new(parse(text, "test.yaml").unwrap_or_else(|errors| panic!("{errors}\n\n{text}")))
}

/// A flow of file reads with these ids and needs.
pub(crate) fn plain_flow(steps: &[(&str, &[&str])]) -> String {
    let steps: Vec<String> = steps
        .iter()
        .map(|(id, needs)| {
            format!(
                "- {{ id: {id}, needs: [{}], uses: file.read, with: {{ root: in, path: {id} }} }}",
                needs.join(", ")
            )
        })
        .collect();
    with_steps(&steps.join("\n"))
}

/// A flow around these steps; each line of `steps` is moved in by two.
pub(crate) fn with_steps(steps: &str) -> String {
    let steps: Vec<String> = steps.lines().map(|line| format!("  {line}")).collect();
    format!(
        "name: test\ndomain: demo\nroots: {{ in: {{ path: in, access: write }} }}\nsteps:\n{}\n",
        steps.join("\n")
    )
}

pub(crate) fn path(text: &str) -> StepPath {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn start(text: &str) -> Self {
        Self::start_with(text, &[])
    }

    pub(crate) fn start_with(text: &str, inputs: &[(&str, &str)]) -> Self {
        let flow = flow(text);
        let given: BTreeMap<String, String> =
            inputs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let inputs = flow.bind(&given).unwrap_or_else(|errors| panic!("{errors}"));
        let (run, actions) = Run::start(flow, inputs);
        Self { run, actions }
    }

    pub(crate) fn apply(&mut self, event: Event) -> Result<(), OutOfOrder> {
        let actions = self.run.apply(event)?;
        self.actions.extend(actions);
        Ok(())
    }

    pub(crate) fn must(&mut self, event: Event) {
        self.apply(event).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Completes a step with this JSON as output.
    pub(crate) fn complete(&mut self, step: &str, output: &str) {
        let output = json::parse(output).unwrap();
        self.must(Event::Completed { step: path(step), output });
    }

    pub(crate) fn fail(&mut self, step: &str, code: &str) {
        let error = StepError { code: code.into(), message: format!("{code}!"), transient: false };
        self.must(Event::Failed { step: path(step), error });
    }

    pub(crate) fn refuse(&mut self, step: &str, code: &str) {
        let denial = Value::map([("id", "dny_1"), ("code", code), ("reason", "because")]);
        self.must(Event::Refused { step: path(step), denial });
    }

    pub(crate) fn plan(&mut self, step: &str, plan: Option<&str>) {
        let plan = plan.map(str::to_owned);
        self.must(Event::Planned { step: path(step), plan, reason: "no way".into() });
    }

    pub(crate) fn approve(&mut self, step: &str) {
        self.must(Event::Approved {
            step: path(step),
            by: vec!["user:cfo".into()],
            forms: std::collections::BTreeMap::new(),
        });
    }

    pub(crate) fn reject(&mut self, step: &str) {
        let (by, reason) = ("user:cfo".into(), "too much".into());
        self.must(Event::Rejected { step: path(step), by, reason });
    }

    pub(crate) fn due(&mut self, timer: &str) {
        self.must(Event::Due { timer: path(timer) });
    }

    pub(crate) fn signal(&mut self, id: &str, name: &str, payload: &str) {
        let (payload, from) = (json::parse(payload).unwrap(), "user:ada".to_owned());
        let signal = Signal { id: id.into(), name: name.into(), from, payload };
        self.must(Event::Signalled(signal));
    }

    /// The actions since the last call, as short lines.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.actions).iter().map(line).collect()
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, lines: &[&str]) {
        assert_eq!(self.lines(), lines);
    }

    #[track_caller]
    pub(crate) fn expect_steps(&self, steps: &[&str]) {
        let found: Vec<String> = self
            .run
            .steps()
            .map(|step| format!("{} {}", step.path, step.status.as_str()))
            .collect();
        assert_eq!(found, steps);
    }

    pub(crate) fn status(&self) -> Status {
        self.run.status()
    }
}

fn line(action: &Action) -> String {
    match action {
        Action::Perform { step, .. } => format!("perform {step}"),
        Action::Choose { step, plans, attempt, .. } => {
            let plans: Vec<&str> = plans.iter().map(|plan| plan.id.as_str()).collect();
            format!("choose {step} {attempt} of {}", plans.join(","))
        }
        Action::Ask { step, message, .. } => format!("ask {step}: {message}"),
        Action::Mark { step, name } => format!("mark {step} {name}"),
        Action::Arm { timer, ms } => format!("arm {timer} {ms}"),
        Action::ArmUntil { timer, at } => format!("arm {timer} until {at}"),
        Action::Bound { step, ms } => format!("bound {step} {ms}"),
        Action::Unbound { step } => format!("unbound {step}"),
        Action::Listen { step, signal, timeout_ms } => match timeout_ms {
            Some(ms) => format!("listen {step} for {signal}, {ms}"),
            None => format!("listen {step} for {signal}"),
        },
        Action::StartRun { step, workflow, inputs, wait, outlives, .. } => {
            let inputs = Value::Map(inputs.clone());
            let wait = if *wait { "" } else { ", go on" };
            let outlives = if *outlives { ", leave" } else { "" };
            format!("run {step}: {workflow} {inputs}{wait}{outlives}")
        }
        Action::Continue { step, inputs, .. } => {
            format!("continue {step}: {}", Value::Map(inputs.clone()))
        }
        Action::Cancel { step } => format!("cancel {step}"),
        Action::Fell { step, error } => format!("fell {step} {}", error.code),
        Action::Finish { status, output, error, .. } => {
            let mut text = format!("finish {}", status.as_str());
            if !matches!(output, json::Json::Null)
                && output.as_map().is_none_or(|map| !map.is_empty())
            {
                text = format!("{text} {output}");
            }
            match error {
                Some(error) => {
                    let word = |key: &str| error.get(key).and_then(Value::as_text).unwrap_or("-");
                    format!("{text}: {} {}", word("step"), word("code"))
                }
                None => text,
            }
        }
    }
}
