//! What a person sees of a run: a line for each thing that happens, and on a terminal a
//! status line that counts along. With `--json`, one event a line.

pub(crate) mod event;
pub(crate) mod seal;
pub(crate) mod told;
pub(crate) mod undone;

use std::collections::{BTreeMap, BTreeSet};

use cog_base::id::{ApprovalId, ReceiptId, RunId};
use cog_base::words::{counted, lasting};
use cog_base::{Micros, Value};
use cog_engine::{Intervention, Notice, Sealed, What};
use cog_gate::Wish;
use cog_ledger::{Entry, Kind};

use crate::terminal::{Terminal, Tone, plain};
use crate::view::event::event;
use crate::view::told::{environment, placed, timed};

/// Shows a run while it goes on.
#[derive(Debug)]
pub(crate) struct View<'a> {
    terminal: &'a Terminal,
    counts: Counts,
    /// The workflow file, if the run was started from one here.
    file: Option<String>,
    /// Models that a recording answers for, as resources.
    recorded: BTreeSet<String>,
    /// The receipts on which one of them was asked.
    asked: BTreeSet<ReceiptId>,
    /// Whether one of them answered.
    has_recording: bool,
    /// The environment, where it is production.
    production: Option<String>,
    /// The runs that it began, and these began, by the steps that did so.
    begun: BTreeMap<RunId, String>,
    /// What steps wait for, as it was told last.
    waits: BTreeMap<(RunId, String), Vec<String>>,
}

/// What a run did so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    receipts: u64,
    denials: u64,
    settled: u64,
    waiting: u64,
    spent: u64,
}

impl Counts {
    /// What the entries of a run say that it did.
    pub(crate) fn of<'e>(entries: impl Iterator<Item = &'e Entry>) -> Self {
        let mut counts = Self::default();
        entries.for_each(|entry| counts.count(entry));
        counts
    }

    /// One more entry of the run.
    pub(crate) fn count(&mut self, entry: &Entry) {
        match entry.kind() {
            Kind::Receipt => self.receipts += 1,
            Kind::Denial => self.denials += 1,
            Kind::ApprovalRequested => self.waiting += 1,
            Kind::Outcome => {
                self.settled += 1;
                let cost = entry.data().get("cost_micros").and_then(Value::as_u64);
                self.spent = self.spent.saturating_add(cost.unwrap_or(0));
            }
            Kind::Genesis
            | Kind::KeyRotated
            | Kind::CanonProposed
            | Kind::CanonApproved
            | Kind::CanonRejected
            | Kind::CanonActivated
            | Kind::Evidence
            | Kind::Promotion
            | Kind::SessionStarted
            | Kind::PlanSelected
            | Kind::ApprovalGranted
            | Kind::ApprovalRejected
            | Kind::ApprovalEscalated
            | Kind::ApprovalDelegated
            | Kind::Output
            | Kind::Signal
            | Kind::SessionPaused
            | Kind::SessionUnpaused
            | Kind::ChildStarted
            | Kind::ChildEnded
            | Kind::SessionSealed
            | Kind::Checkpoint
            | Kind::Replay
            | Kind::ScheduleSet
            | Kind::ScheduleRemoved
            | Kind::ScheduleFired
            | Kind::SessionQueued
            | Kind::SessionUnqueued
            | Kind::SchedulePaused
            | Kind::ScheduleUnpaused
            | Kind::WorkflowActivated
            | Kind::BodiesErased
            | Kind::SegmentPruned => {}
        }
    }

    /// In words.
    pub(crate) fn told(&self) -> String {
        let Self { receipts, denials, settled, waiting, spent } = *self;
        let open = receipts.saturating_sub(settled);
        format!(
            "  {} · {open} open · {} · {waiting} asked · {} spent",
            counted(receipts, "receipt", "receipts"),
            counted(denials, "denial", "denials"),
            Micros::new(spent)
        )
    }
}

impl<'a> View<'a> {
    /// A view of a run that did `counts` before.
    pub(crate) fn new(terminal: &'a Terminal, counts: Counts, file: Option<String>) -> Self {
        let (recorded, begun) = (BTreeSet::new(), BTreeMap::new());
        let (waits, production) = (BTreeMap::new(), None);
        let (asked, has_recording) = (BTreeSet::new(), false);
        Self { terminal, counts, file, recorded, asked, has_recording, production, begun, waits }
    }

    /// Look out for questions to these models, which a recording answers for.
    pub(crate) fn watching(mut self, recorded: BTreeSet<String>) -> Self {
        self.recorded = recorded;
        self
    }

    /// Say that effects are the real ones, in this environment.
    pub(crate) fn in_production(mut self, environment: Option<String>) -> Self {
        self.production = environment;
        self
    }

    /// Whether an answer came from a recording.
    pub(crate) fn has_recording(&self) -> bool {
        self.has_recording
    }

    /// Show what happened.
    pub(crate) fn show(&mut self, notice: &Notice) {
        self.count(&notice.what);
        if let What::Begun { step, child, .. } = &notice.what {
            let step = self.stepped(notice.run, step);
            self.begun.insert(*child, step);
        }
        if self.terminal.json {
            self.terminal.emit(&event(notice));
            return;
        }
        if self.terminal.quiet || self.is_told(notice) {
            return;
        }
        self.terminal.status("");
        for line in self.lines(notice) {
            self.terminal.say(&line);
        }
        self.terminal.status(&self.summary());
    }

    /// The status line goes away, so that what follows starts on a clean line.
    pub(crate) fn clear(&self) {
        self.terminal.status("");
    }

    fn count(&mut self, what: &What) {
        let counts = &mut self.counts;
        match what {
            What::Permitted { resource, receipt, .. } => {
                counts.receipts += 1;
                self.asked.extend(self.recorded.contains(resource).then_some(*receipt));
            }
            What::Refused { .. }
            | What::NotGranted { .. }
            | What::NotCounted { denial: Some(_), .. } => counts.denials += 1,
            What::Settled { cost, receipt, disposition, .. } => {
                counts.settled += 1;
                self.has_recording |= *disposition == "completed" && self.asked.contains(receipt);
                counts.spent = counts.spent.saturating_add(cost.get());
            }
            What::Asked { .. } => counts.waiting += 1,
            What::Started { .. }
            | What::Queued { .. }
            | What::Called
            | What::Unqueued { .. }
            | What::Waiting { .. }
            | What::Fell { .. }
            | What::Sleeping { .. }
            | What::Escalated { .. }
            | What::Begun { .. }
            | What::Retried { .. }
            | What::Planned { .. }
            | What::Given { .. }
            | What::Listening { .. }
            | What::Held { .. }
            | What::NotPaused { .. }
            | What::Signalled { .. }
            | What::NotTaken { .. }
            | What::NotCounted { denial: None, .. }
            | What::EndsAlready { .. }
            | What::Parked { .. }
            | What::Sealed(_)
            | What::NotBegun { .. }
            | What::Stopped { .. } => {}
        }
    }

    /// The counts so far, in words.
    pub(crate) fn totals(&self) -> String {
        self.counts.told()
    }

    fn summary(&self) -> String {
        self.terminal.tint(Tone::Faint, &self.totals())
    }

    /// Whether it was told already that this step waits, for the same.
    fn is_told(&mut self, notice: &Notice) -> bool {
        let What::Waiting { step, keys } = &notice.what else { return false };
        let before = self.waits.insert((notice.run, step.clone()), keys.clone());
        before.as_ref() == Some(keys)
    }

    /// The counts of it and all the runs that it began, in words; nothing when it began none.
    pub(crate) fn with_begun(&self) -> Option<String> {
        let begun = self.begun.len() as u64;
        let runs = counted(begun, "run that it began", "runs that it began");
        (begun > 0).then(|| format!("  with {runs}: {}", self.totals().trim_start()))
    }

    /// A step, behind the steps that began its run.
    fn stepped(&self, run: RunId, step: &str) -> String {
        match self.begun.get(&run) {
            Some(begun) => format!("{begun} > {step}"),
            None => step.to_owned(),
        }
    }

    /// A mark of a run whose effects are real.
    fn mark_of_production(&self) -> String {
        let real = self.production.as_deref().map(|it| environment(it, true));
        let real = real.map(|it| format!("  {}", self.terminal.tint(Tone::Ask, &it)));
        real.unwrap_or_default()
    }

    fn lines(&self, notice: &Notice) -> Vec<String> {
        let at = |step: &str| self.stepped(notice.run, step);
        match &notice.what {
            What::Started { workflow } => {
                let head = self.terminal.tint(Tone::Strong, &plain(workflow));
                vec![format!("{head}  {}{}", notice.run, self.mark_of_production())]
            }
            What::Permitted { step, receipt, actor, action, resource } => {
                let what = format!("{action} on {resource} by {actor}");
                vec![self.line(Tone::Good, "permit", &at(step), &what, &receipt.to_string())]
            }
            What::Refused { step, denial, code, reason, flips } => {
                self.refused(&at(step), &denial.to_string(), code, reason, flips)
            }
            What::Asked { step, approval, need, about } => {
                let of = format!("{about} — needs {} of {}", need.count, need.of.join(" or "));
                vec![self.line(Tone::Ask, "ask", &at(step), &of, &approval.to_string())]
            }
            What::Escalated { step, approval, of } => vec![self.escalated(&at(step), approval, of)],
            What::Waiting { step, keys } => {
                let what = format!("until nobody else holds {}", keys.join(", "));
                vec![self.line(Tone::Faint, "wait", &at(step), &what, "")]
            }
            What::Given { step, name, text, .. } => {
                let given = |text| self.line(Tone::Faint, name, &at(step), text, "");
                text.lines().map(given).collect()
            }
            What::Retried { step, receipt, message } => {
                vec![self.line(Tone::Ask, "retry", &at(step), message, &receipt.to_string())]
            }
            What::Settled { step, receipt, disposition, message, cost } => self.settled(
                &at(step),
                &receipt.to_string(),
                disposition,
                message.as_deref(),
                *cost,
            ),
            What::Planned { step, selection, goal, chosen, candidates } => {
                let what = format!("{}: {}", goal, chosen.as_deref().unwrap_or(NONE));
                let id = selection.to_string();
                let line = self.line(Tone::Strong, "plan", &at(step), &what, &id);
                let candidates = candidates.as_list().unwrap_or_default().iter();
                let candidates = candidates.map(candidate_line);
                let faint = candidates.map(|it| self.terminal.tint(Tone::Faint, &it));
                std::iter::once(line).chain(faint).collect()
            }
            What::Fell { step, message } => {
                let message = placed(message, self.file.as_deref());
                vec![self.line(Tone::Bad, "failed", &at(step), &message, "")]
            }
            What::Sleeping { step, ms } => {
                vec![self.line(Tone::Faint, "sleep", &at(step), &lasting(*ms), "")]
            }
            What::Begun { step, child, workflow } => {
                vec![self.line(Tone::Strong, "run", &at(step), workflow, &child.to_string())]
            }
            What::Listening { .. }
            | What::Signalled { .. }
            | What::Held { .. }
            | What::NotPaused { .. }
            | What::NotTaken { .. }
            | What::NotGranted { .. }
            | What::EndsAlready { .. }
            | What::Called
            | What::NotCounted { .. } => self.outside(notice),
            What::Sealed(sealed) => self.goes_on(sealed),
            What::Queued { .. } | What::Unqueued { .. } | What::Parked { .. } => Vec::new(),
            What::NotBegun { message } | What::Stopped { message } => {
                vec![self.line(Tone::Bad, "stopped", "", message, "")]
            }
        }
    }

    /// Which run continues one.
    fn goes_on(&self, sealed: &Sealed) -> Vec<String> {
        let next = sealed.next.iter();
        next.map(|next| self.line(Tone::Strong, "continue", "", "as", &next.to_string())).collect()
    }

    /// What somebody outside sent or did, and what is waited for.
    fn outside(&self, notice: &Notice) -> Vec<String> {
        match &notice.what {
            What::Listening { step, signal, timeout_ms } => {
                let most = timeout_ms.map(|ms| format!(", for {} at most", lasting(ms)));
                vec![self.line(
                    Tone::Faint,
                    "listen",
                    &self.stepped(notice.run, step),
                    &format!("for the signal {signal}{}", most.unwrap_or_default()),
                    "",
                )]
            }
            What::Signalled { signal, name, from, again } => {
                let what = if *again { "the run has it already" } else { from.as_str() };
                vec![self.line(Tone::Good, "signal", name, what, signal)]
            }
            What::Held { pauses, by, reason } => {
                let word = if *pauses { "paused" } else { "go on" };
                vec![self.line(Tone::Ask, word, by, reason, "")]
            }
            What::Called => {
                let go_on = format!("cognitionos run --resume {}", notice.run);
                vec![self.line(Tone::Ask, "may begin", "", &go_on, "")]
            }
            What::NotPaused { message, .. } => vec![self.line(Tone::Bad, "no", "", message, "")],
            What::NotTaken { signal, message } => {
                vec![self.line(Tone::Bad, "no", signal, message, "")]
            }
            What::NotGranted { wish, who, denial, code, reason, .. } => {
                let deed = match wish {
                    Wish::Cancel => "end it",
                    Wish::Pause => "pause it",
                    Wish::Unpause => "let it go on",
                };
                let what = format!("{who} may not {deed}: {reason} ({code})");
                vec![self.line(Tone::Bad, "refuse", "run", &what, &denial.to_string())]
            }
            What::EndsAlready { cancelled } => {
                let what = ends_already(cancelled.as_ref());
                vec![self.line(Tone::Ask, "ending", "run", &what, "")]
            }
            What::NotCounted { approval, message, .. } => {
                vec![self.line(Tone::Bad, "no", &approval.to_string(), message, "")]
            }
            What::Started { .. }
            | What::Given { .. }
            | What::Permitted { .. }
            | What::Refused { .. }
            | What::Asked { .. }
            | What::Escalated { .. }
            | What::Waiting { .. }
            | What::Retried { .. }
            | What::Settled { .. }
            | What::Planned { .. }
            | What::Fell { .. }
            | What::Sleeping { .. }
            | What::Begun { .. }
            | What::Parked { .. }
            | What::Sealed(_)
            | What::NotBegun { .. }
            | What::Queued { .. }
            | What::Unqueued { .. }
            | What::Stopped { .. } => Vec::new(),
        }
    }

    fn line(&self, tone: Tone, word: &str, step: &str, what: &str, id: &str) -> String {
        // What is done on what may name what a model said: it stays on its line.
        let (step, what) = (plain(step), plain(what));
        self.terminal.columns(&[word, &step, &what, id], || {
            let word = self.terminal.tint(tone, &format!("{word:<7}"));
            let id = if id.is_empty() {
                String::new()
            } else {
                format!("  {}", self.terminal.tint(Tone::Faint, id))
            };
            format!("  {word} {step:<24} {what}{id}").trim_end().to_owned()
        })
    }

    fn escalated(&self, step: &str, approval: &ApprovalId, of: &[String]) -> String {
        let what = format!("nobody answered in time: {} may as well", of.join(" or "));
        self.line(Tone::Ask, "ask", step, &what, &approval.to_string())
    }

    fn refused(
        &self,
        step: &str,
        denial: &str,
        code: &str,
        reason: &str,
        flips: &[String],
    ) -> Vec<String> {
        let what = format!("{reason} ({code})");
        let mut lines = vec![self.line(Tone::Bad, "refuse", step, &what, denial)];
        if let Some(flip) = flips.first() {
            let flip = format!("would be permitted {}", plain(flip));
            lines.push(format!("          {}", self.terminal.tint(Tone::Faint, &flip)));
        }
        lines
    }

    fn settled(
        &self,
        step: &str,
        receipt: &str,
        disposition: &str,
        message: Option<&str>,
        cost: Micros,
    ) -> Vec<String> {
        let (tone, word) = match disposition {
            "completed" => (Tone::Good, "done"),
            "failed" => (Tone::Bad, "failed"),
            "unknown" => (Tone::Bad, "unknown"),
            _ => (Tone::Ask, "void"),
        };
        let price = if cost == Micros::ZERO { String::new() } else { cost.to_string() };
        let what = message.map_or(price, str::to_owned);
        vec![self.line(tone, word, step, &what, receipt)]
    }
}

/// What is said to who wants to end a run that is being ended.
pub(crate) fn ends_already(cancelled: Option<&Intervention>) -> String {
    let before = match cancelled {
        Some(Intervention { by, reason }) => {
            format!("is already being cancelled, by {by}: {reason}")
        }
        None => "is already ending by itself".to_owned(),
    };
    format!("{before}; this wish is not recorded")
}

/// What is said in place of a plan when there is none.
const NONE: &str = "none is admissible";

/// A candidate plan with its score, or why it fell out.
pub(crate) fn candidate_line(candidate: &Value) -> String {
    let text = |path: &[&str]| candidate.at(path).and_then(Value::as_text).unwrap_or_default();
    let name = plain(text(&["plan"]));
    match candidate.at(&["score", "total_micros"]).and_then(Value::as_u64) {
        Some(total) => format!("          {name:<10} scores {}", Micros::new(total)),
        None => {
            format!("          {name:<10} falls out: {}", plain(&timed(text(&["reason", "text"]))))
        }
    }
}

/// The end of a run, in words.
pub(crate) fn sealed_lines(
    terminal: &Terminal,
    run: RunId,
    sealed: &Sealed,
    file: Option<&str>,
) -> Vec<String> {
    let [completed, failed, abandoned, unknown] = sealed.outcomes;
    let tone = match sealed.status.as_str() {
        // It came to its end, but somebody should look at what did not.
        "completed" if failed + unknown > 0 => Tone::Ask,
        "completed" | "continued" => Tone::Good,
        _ => Tone::Bad,
    };
    let status = terminal.tint(tone, &sealed.status);
    let mut lines = vec![
        String::new(),
        format!("{status}  {run}"),
        format!(
            "  {} ({completed} completed, {failed} failed, {abandoned} abandoned, \
             {unknown} unknown) · {} · {} spent",
            counted(sealed.receipts, "receipt", "receipts"),
            counted(sealed.denials, "denial", "denials"),
            sealed.spent
        ),
    ];
    if let Some(error) = &sealed.error {
        let message = error.get("message").or(error.get("reason")).and_then(Value::as_text);
        let step = error.get("step").and_then(Value::as_text);
        let step = step.map_or_else(String::new, |step| format!("`{}`: ", plain(step)));
        let message = message.map_or_else(|| error.to_string(), |message| placed(message, file));
        let message = timed(&message);
        lines.push(format!("  because: {step}{}", plain(&message)));
    }
    if let Some(outputs) = sealed.output.as_map().filter(|outputs| !outputs.is_empty()) {
        for (name, value) in outputs {
            let shown = value.as_text().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("  {name}: {}", plain(&shown)));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn that_a_step_waits_for_the_same_is_told_once() {
        let cli = Cli::try_parse_from(["cognitionos", "runs"]).unwrap();
        let terminal = Terminal::new(&cli.common);
        let mut view = View::new(&terminal, Counts::default(), None);
        let run: RunId = "run_01m7yb4qxbf438zjd8206fmvk4".parse().unwrap();
        let mut is_told = |step: &str, keys: &[&str]| {
            let keys = keys.iter().map(|key| (*key).to_owned()).collect();
            view.is_told(&Notice { run, what: What::Waiting { step: step.to_owned(), keys } })
        };
        let told = [
            is_told("a", &["x"]),
            is_told("b", &["x"]),
            is_told("a", &["x"]),
            is_told("a", &["x", "y"]),
            is_told("a", &["x"]),
        ];
        assert_eq!(told, [false, false, true, false, false]);
    }
}
