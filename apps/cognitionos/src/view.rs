//! What a person sees of a run: a line for each thing that happens, and on a terminal a
//! status line that counts along. With `--json`, one event a line.

mod event;

use cog_base::id::RunId;
use cog_base::words::counted;
use cog_base::{Micros, Value};
use cog_engine::{Notice, Sealed, What};

use crate::terminal::{Terminal, Tone, plain};
use crate::view::event::event;

/// Shows a run while it goes on.
#[derive(Debug)]
pub(crate) struct View<'a> {
    terminal: &'a Terminal,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    receipts: u64,
    denials: u64,
    settled: u64,
    waiting: u64,
    spent: u64,
}

impl<'a> View<'a> {
    pub(crate) fn new(terminal: &'a Terminal) -> Self {
        Self { terminal, counts: Counts::default() }
    }

    /// Show what happened.
    pub(crate) fn show(&mut self, notice: &Notice) {
        self.count(&notice.what);
        if self.terminal.json {
            self.terminal.emit(&event(notice));
            return;
        }
        if self.terminal.quiet {
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
            What::Permitted { .. } => counts.receipts += 1,
            What::Refused { .. } => counts.denials += 1,
            What::Settled { cost, .. } => {
                counts.settled += 1;
                counts.spent = counts.spent.saturating_add(cost.get());
            }
            What::Asked { .. } => counts.waiting += 1,
            What::Started { .. }
            | What::Waiting { .. }
            | What::Retried { .. }
            | What::Planned { .. }
            | What::NotCounted { .. }
            | What::Parked { .. }
            | What::Sealed(_)
            | What::Stopped { .. } => {}
        }
    }

    /// The counts so far, in words.
    pub(crate) fn totals(&self) -> String {
        let Counts { receipts, denials, settled, waiting, spent } = self.counts;
        let open = receipts.saturating_sub(settled);
        format!(
            "  {} · {open} open · {} · {waiting} asked · {} spent",
            counted(receipts, "receipt", "receipts"),
            counted(denials, "denial", "denials"),
            Micros::new(spent)
        )
    }

    fn summary(&self) -> String {
        self.terminal.tint(Tone::Faint, &self.totals())
    }

    fn lines(&self, notice: &Notice) -> Vec<String> {
        match &notice.what {
            What::Started { workflow } => {
                let head = self.terminal.tint(Tone::Strong, &plain(workflow));
                vec![format!("{head}  {}", notice.run)]
            }
            What::Permitted { step, receipt, actor, action, resource } => {
                let what = format!("{action} on {resource} by {actor}");
                vec![self.line(Tone::Good, "permit", step, &what, &receipt.to_string())]
            }
            What::Refused { step, denial, code, reason, flips } => {
                self.refused(step, &denial.to_string(), code, reason, flips)
            }
            What::Asked { step, approval, need, about } => {
                let of = need.of.join(" or ");
                let what = format!("{} — needs {} of {of}", plain(about), need.count);
                vec![self.line(Tone::Ask, "ask", step, &what, &approval.to_string())]
            }
            What::Waiting { step, keys } => {
                let what = format!("until nobody else holds {}", keys.join(", "));
                vec![self.line(Tone::Faint, "wait", step, &what, "")]
            }
            What::Retried { step, receipt, message } => {
                vec![self.line(Tone::Ask, "retry", step, &plain(message), &receipt.to_string())]
            }
            What::Settled { step, receipt, disposition, message, cost } => {
                self.settled(step, &receipt.to_string(), disposition, message.as_deref(), *cost)
            }
            What::Planned { step, selection, goal, chosen, candidates } => {
                let what = format!("{}: {}", plain(goal), chosen.as_deref().unwrap_or(NONE));
                let id = selection.to_string();
                let line = self.line(Tone::Strong, "plan", step, &what, &id);
                let candidates = candidates.as_list().unwrap_or_default().iter();
                let candidates = candidates.map(candidate_line);
                let faint = candidates.map(|it| self.terminal.tint(Tone::Faint, &it));
                std::iter::once(line).chain(faint).collect()
            }
            What::NotCounted { approval, message } => {
                vec![self.line(Tone::Bad, "no", &approval.to_string(), message, "")]
            }
            What::Parked { .. } | What::Sealed(_) => Vec::new(),
            What::Stopped { message } => {
                vec![self.line(Tone::Bad, "stopped", "", message, "")]
            }
        }
    }

    fn line(&self, tone: Tone, word: &str, step: &str, what: &str, id: &str) -> String {
        let word = self.terminal.tint(tone, &format!("{word:<7}"));
        let id = self.terminal.tint(Tone::Faint, id);
        format!("  {word} {step:<24} {what}  {id}").trim_end().to_owned()
    }

    fn refused(
        &self,
        step: &str,
        denial: &str,
        code: &str,
        reason: &str,
        flips: &[String],
    ) -> Vec<String> {
        let what = format!("{} ({code})", plain(reason));
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
        let what = message.map_or(price, plain);
        vec![self.line(tone, word, step, &what, receipt)]
    }
}

/// What is said in place of a plan when there is none.
const NONE: &str = "none is admissible";

/// A candidate plan with its score, or why it fell out.
pub(crate) fn candidate_line(candidate: &Value) -> String {
    let text = |path: &[&str]| candidate.at(path).and_then(Value::as_text).unwrap_or_default();
    let name = text(&["plan"]);
    match candidate.at(&["score", "total_micros"]).and_then(Value::as_u64) {
        Some(total) => format!("          {name:<10} scores {}", Micros::new(total)),
        None => {
            format!("          {name:<10} falls out: {}", plain(text(&["reason", "text"])))
        }
    }
}

/// The end of a run, in words.
pub(crate) fn sealed_lines(terminal: &Terminal, run: RunId, sealed: &Sealed) -> Vec<String> {
    let tone = if sealed.status == "completed" { Tone::Good } else { Tone::Bad };
    let status = terminal.tint(tone, &sealed.status);
    let [completed, failed, abandoned, unknown] = sealed.outcomes;
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
        lines.push(format!("  because: {}", plain(message.unwrap_or(&error.to_string()))));
    }
    if let Some(outputs) = sealed.output.as_map().filter(|outputs| !outputs.is_empty()) {
        for (name, value) in outputs {
            let shown = value.as_text().map_or_else(|| value.to_string(), str::to_owned);
            lines.push(format!("  {name}: {}", plain(&shown)));
        }
    }
    lines
}
