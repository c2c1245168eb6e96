//! Random flows under random orders of answers.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Value;
use cog_base::json::Map;
use cog_flow::{Action, Event, Run, Signal, Status, StepError, StepPath};
use proptest::prelude::*;

use crate::harness::{flow, with_steps};

/// A step of a random flow.
#[derive(Clone, Debug)]
enum Shape {
    Read,
    Compute,
    Sleep,
    Approve,
    WaitFor,
    Group(Vec<Node>),
    Each(usize, Vec<Node>),
    /// So many rounds, with a wait between them or none.
    Rounds(usize, bool, Vec<Node>),
    Choose(Vec<usize>),
}

#[derive(Clone, Debug)]
struct Node {
    shape: Shape,
    /// Which of the steps before it needs, as bits.
    needs: u8,
    /// 0 fail, 1 continue, 2 steps.
    handler: u8,
    skip: bool,
    /// Whether it can be undone.
    undo: bool,
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let leaf = prop_oneof![
        4 => Just(Shape::Read),
        1 => Just(Shape::Compute),
        1 => Just(Shape::Sleep),
        1 => Just(Shape::Approve),
        1 => Just(Shape::WaitFor),
        2 => proptest::collection::vec(1..3_usize, 1..4).prop_map(Shape::Choose),
    ];
    let node = |shape: BoxedStrategy<Shape>| {
        (shape, any::<u8>(), 0..3_u8, prop::bool::weighted(0.1), any::<bool>()).prop_map(
            |(shape, needs, handler, skip, undo)| Node { shape, needs, handler, skip, undo },
        )
    };
    let shape = leaf.boxed().prop_recursive(2, 16, 4, move |inner| {
        let list = proptest::collection::vec(node(inner.boxed()), 1..4);
        prop_oneof![
            list.clone().prop_map(Shape::Group),
            (0..4_usize, list.clone()).prop_map(|(count, list)| Shape::Each(count, list)),
            (1..4_usize, any::<bool>(), list)
                .prop_map(|(count, waits, list)| Shape::Rounds(count, waits, list)),
        ]
    });
    let node = (shape, any::<u8>(), 0..3_u8, prop::bool::weighted(0.1), any::<bool>())
        .prop_map(|(shape, needs, handler, skip, undo)| Node { shape, needs, handler, skip, undo });
    proptest::collection::vec(node, 1..6)
}

const EFFECT: &str = "uses: file.read, with: { root: in, path: x }";

fn write(nodes: &[Node]) -> String {
    let steps: Vec<String> = nodes.iter().enumerate().map(|(at, node)| step(at, node)).collect();
    format!("[ {} ]", steps.join(", "))
}

fn step(at: usize, node: &Node) -> String {
    let needs: Vec<String> = (0..at.min(8))
        .filter(|bit| node.needs & (1 << bit) != 0)
        .map(|bit| format!("s{bit}"))
        .collect();
    let tail = format!("steps: [ {{ id: h, {EFFECT} }} ]");
    let handler = match node.handler {
        0 => String::new(),
        1 => ", on_error: continue, on_refused: continue".to_owned(),
        _ => format!(", on_error: {{ {tail} }}, on_refused: {{ {tail} }}"),
    };
    let undo = format!(", on_cancel: {{ {} }}", tail.replace("id: h", "id: u"));
    let undo = if node.undo { undo.as_str() } else { "" };
    let skip = if node.skip { ", if: \"1 == 2\"" } else { "" };
    let body = match &node.shape {
        Shape::Read => EFFECT.to_owned(),
        Shape::Compute => "uses: compute, with: { x: \"${{ 1 + 1 }}\" }".to_owned(),
        Shape::Sleep => "sleep: { ms: 5 }".to_owned(),
        Shape::Approve => "approve: { by: [\"role:x\"], message: ok }".to_owned(),
        Shape::WaitFor => "wait_for: { signal: go }".to_owned(),
        Shape::Group(inner) => format!("steps: {}", write(inner)),
        Shape::Each(count, inner) => {
            let items: Vec<String> = (0..*count).map(|item| item.to_string()).collect();
            format!("foreach: [{}], max_parallel: 2, steps: {}", items.join(", "), write(inner))
        }
        Shape::Rounds(count, waits, inner) => {
            let every = if *waits { ", every_ms: \"${{ 5 * (index + 1) }}\"" } else { "" };
            let repeat = format!("until: \"index == {}\", most: 3{every}", count - 1);
            format!("repeat: {{ {repeat} }}, steps: {}", write(inner))
        }
        Shape::Choose(plans) => {
            let plans: Vec<String> = plans
                .iter()
                .enumerate()
                .map(|(plan, count)| {
                    let steps: Vec<String> =
                        (0..*count).map(|step| format!("{{ id: e{step}, {EFFECT} }}")).collect();
                    format!(
                        "{{ id: p{plan}, expect: {{ cost_micros: 1, latency_ms: 1, risk: low }}, steps: [ {} ] }}",
                        steps.join(", ")
                    )
                })
                .collect();
            format!("choose: {{ goal: g, plans: [ {} ] }}", plans.join(", "))
        }
    };
    format!("{{ id: s{at}, needs: [{}], {body}{handler}{undo}{skip} }}", needs.join(", "))
}

fn text(nodes: &[Node]) -> String {
    let outputs: Vec<String> =
        (0..nodes.len()).map(|at| format!("s{at}: \"${{{{ steps.s{at} }}}}\"")).collect();
    let steps = write(nodes);
    let list = steps.trim_start_matches("[ ").trim_end_matches(" ]");
    with_steps(&format!("- {}", split(list).join("\n- ")))
        + &format!("compensate_on: [failed]\noutputs: {{ {} }}\n", outputs.join(", "))
}

/// The members of a flow list at its outermost level.
fn split(list: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let mut parts = vec![String::new()];
    for letter in list.chars() {
        depth += i32::from("{[".contains(letter)) - i32::from("}]".contains(letter));
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(letter);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// How the world answers a step: by its path alone, so that the order cannot matter.
fn fate(path: &StepPath, salt: u64) -> u64 {
    path.as_str().bytes().fold(salt, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3).rotate_left(7)
    }) % 10
}

struct Answers {
    salt: u64,
    /// Whether steps may fall.
    falls: bool,
    cancelled: BTreeSet<StepPath>,
}

impl Answers {
    fn to(&self, action: &Action) -> Option<Event> {
        match action {
            Action::Perform { step, .. } => Some(self.perform(step.clone())),
            Action::Choose { step, plans, .. } => {
                let fate = fate(step, self.salt);
                let plan = (fate > 0).then(|| plans.get(fate as usize % plans.len())).flatten();
                let plan = plan.or_else(|| plans.first().filter(|_| !self.falls));
                let plan = plan.map(|plan| plan.id.clone());
                Some(Event::Planned { step: step.clone(), plan, reason: "r".into() })
            }
            Action::Ask { step, .. } if self.falls && fate(step, self.salt) < 3 => {
                let (by, reason) = ("user:a".into(), "no".into());
                Some(Event::Rejected { step: step.clone(), by, reason })
            }
            Action::Ask { step, .. } => Some(Event::Approved {
                step: step.clone(),
                by: vec!["user:a".into()],
                forms: std::collections::BTreeMap::new(),
            }),
            Action::Arm { timer, .. } | Action::ArmUntil { timer, .. } => {
                Some(Event::Due { timer: timer.clone() })
            }
            Action::Bound { step, .. } => Some(Event::Due { timer: step.clone() }),
            Action::Mark { step, .. } => Some(Event::Marked { step: step.clone() }),
            Action::StartRun { step, .. } => Some(self.perform(step.clone())),
            Action::Continue { step, .. } => Some(Event::Continued { step: step.clone() }),
            Action::Listen { signal, .. } => {
                let (id, from) = ("sig".to_owned(), "user:a".to_owned());
                let payload = Value::from(7_u64);
                Some(Event::Signalled(Signal { id, name: signal.clone(), from, payload }))
            }
            Action::Cancel { .. }
            | Action::Unbound { .. }
            | Action::Fell { .. }
            | Action::Finish { .. } => None,
        }
    }

    fn perform(&self, step: StepPath) -> Event {
        if self.cancelled.contains(&step) {
            let error =
                StepError { code: "cancelled".into(), message: "stopped".into(), transient: false };
            return Event::Failed { step, error };
        }
        match fate(&step, self.salt) {
            0 | 1 if self.falls => Event::Failed {
                step,
                error: StepError { code: "x".into(), message: "x".into(), transient: false },
            },
            2 if self.falls => {
                let denial = Value::map([("code", "rule"), ("reason", "r")]);
                Event::Refused { step, denial }
            }
            fate => Event::Completed { step, output: Value::from(fate) },
        }
    }
}

struct Played {
    run: Run,
    log: String,
    events: Vec<Event>,
    finish: Option<Action>,
}

/// Plays a flow to its end, answering in the order that `order` picks.
fn play(text: &str, salt: u64, falls: bool, order: &[u8], stop_after: Option<usize>) -> Played {
    let (mut run, mut todo) = Run::start(flow(text), Map::new());
    let mut answers = Answers { salt, falls, cancelled: BTreeSet::new() };
    let mut asked: BTreeMap<StepPath, usize> = BTreeMap::new();
    let (mut log, mut events, mut finish) = (String::new(), Vec::new(), None);
    let mut pending: Vec<Action> = Vec::new();
    for turn in 0.. {
        assert!(turn < 5_000, "it never ends");
        for action in todo.drain(..) {
            log += &format!("{action:?}\n");
            assert!(finish.is_none(), "an action after the end: {action:?}");
            match &action {
                Action::Cancel { step } => {
                    answers.cancelled.insert(step.clone());
                    // Only an effect is still answered.
                    pending.retain(|other| {
                        matches!(other, Action::Perform { .. }) || target(other) != Some(step)
                    });
                }
                Action::Finish { .. } => finish = Some(action),
                Action::Perform { step, .. } => {
                    *asked.entry(step.clone()).or_default() += 1;
                    pending.push(action);
                }
                Action::Fell { .. } => {}
                Action::Unbound { step } => pending
                    .retain(|other| !matches!(other, Action::Bound { step: of, .. } if of == step)),
                Action::Bound { .. }
                | Action::Choose { .. }
                | Action::Ask { .. }
                | Action::Arm { .. }
                | Action::ArmUntil { .. }
                | Action::Mark { .. }
                | Action::StartRun { .. }
                | Action::Continue { .. }
                | Action::Listen { .. } => pending.push(action),
            }
        }
        if pending.is_empty() {
            break;
        }
        let pick = order.get(turn % order.len()).copied().unwrap_or(0) as usize % pending.len();
        let event = if stop_after == Some(turn) {
            Event::Cancelled { reason: "enough".into() }
        } else {
            let action = pending.remove(pick);
            let answer = answers.to(&action).expect("every pending action has an answer");
            if matches!(action, Action::Listen { .. }) {
                // Which step takes the signal is for the machine to say, by a `Cancel`.
                pending.push(action);
            }
            answer
        };
        todo = match run.apply(event.clone()) {
            Ok(actions) => actions,
            // Nobody cancels a run that is being undone.
            Err(_) if stop_after == Some(turn) && log.contains(".on_cancel.") => continue,
            Err(error) => panic!("{error}\n{log}"),
        };
        events.push(event);
    }
    assert!(finish.is_some(), "stuck:\n{text}\n{log}");
    assert!(run.status().is_final());
    assert_eq!(run.open_steps().count(), 0);
    assert!(asked.values().all(|times| *times == 1), "an effect twice: {asked:?}");
    Played { run, log, events, finish }
}

fn target(action: &Action) -> Option<&StepPath> {
    match action {
        Action::Perform { step, .. }
        | Action::Choose { step, .. }
        | Action::Ask { step, .. }
        | Action::Listen { step, .. }
        | Action::Mark { step, .. }
        | Action::Bound { step, .. }
        | Action::Unbound { step }
        | Action::StartRun { step, .. }
        | Action::Continue { step, .. }
        | Action::Cancel { step }
        | Action::Fell { step, .. } => Some(step),
        Action::Arm { timer, .. } | Action::ArmUntil { timer, .. } => Some(timer),
        Action::Finish { .. } => None,
    }
}

fn statuses(run: &Run) -> BTreeMap<String, &'static str> {
    run.steps().map(|step| (step.path.to_string(), step.status.as_str())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_run_ends_and_asks_for_each_effect_once(
        nodes in nodes(), salt in any::<u64>(), order in prop::collection::vec(any::<u8>(), 1..30),
        stop in prop::option::weighted(0.3, 0..8_usize),
    ) {
        let played = play(&text(&nodes), salt, true, &order, stop);
        let Some(Action::Finish { status, output, error, .. }) = &played.finish else { panic!() };
        prop_assert_eq!(*status, played.run.status());
        prop_assert_eq!(*status == Status::Completed, error.is_none());
        prop_assert_eq!(output, &played.run.output());
    }

    #[test]
    fn the_order_of_answers_does_not_change_the_outcome(
        nodes in nodes(), salt in any::<u64>(),
        one in prop::collection::vec(any::<u8>(), 1..30),
        other in prop::collection::vec(any::<u8>(), 1..30),
    ) {
        let text = text(&nodes);
        let one = play(&text, salt, false, &one, None);
        let other = play(&text, salt, false, &other, None);
        prop_assert_eq!(&one.finish, &other.finish);
        prop_assert_eq!(statuses(&one.run), statuses(&other.run));
        prop_assert_eq!(one.run.status(), Status::Completed);
    }

    #[test]
    fn the_same_events_give_the_same_actions(
        nodes in nodes(), salt in any::<u64>(), order in prop::collection::vec(any::<u8>(), 1..30),
    ) {
        let text = text(&nodes);
        let played = play(&text, salt, true, &order, None);
        let (mut run, actions) = Run::start(flow(&text), Map::new());
        let mut log: String = actions.iter().map(|action| format!("{action:?}\n")).collect();
        for event in played.events {
            // An event that answers nothing changes nothing.
            let copy = format!("{run:?}");
            let stray = Event::Due { timer: "nobody".parse().expect("a path") };
            prop_assert!(run.apply(stray).is_err());
            prop_assert_eq!(copy, format!("{run:?}"));
            for action in run.apply(event).expect("the events are in order") {
                log += &format!("{action:?}\n");
            }
        }
        prop_assert_eq!(log, played.log);
    }
}
