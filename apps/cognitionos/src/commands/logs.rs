//! `logs`: what the effects of a run gave while they were under way, as it came.

#![expect(clippy::disallowed_methods, reason = "the program's edge: waits are real here")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cog_base::{Value, suggest};
use cog_engine::Record;
use cog_ledger::{Entry, Kind};
use cog_store::{PAGE_MAX, Select};

use crate::cli::Common;
use crate::cli::runs::LogsArgs;
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::terminal::{Terminal, plain};

/// What there is to do where none can be named.
const NONE: &str = "leave --step away: nothing of the run was permitted";
/// How often it is looked whether there is anything new.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn logs(args: &LogsArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let home = Home::at(&args.at, || Home::read(&common.data))?;
    let run = given::run(&args.run)?;
    home.knows(run)?;
    let mut page = Select { limit: PAGE_MAX, ..Select::session(run) };
    page.kinds = vec![Kind::Receipt, Kind::Output, Kind::SessionSealed];
    let mut shown = Shown { args, terminal, steps: BTreeMap::new(), line: None, is_any: false };
    loop {
        let entries = home.scope()?.select(&page).map_err(told)?;
        for entry in &entries {
            if entry.kind() == Kind::SessionSealed {
                shown.is_known()?;
                return Ok(shown.end());
            }
            shown.entry(&home, entry)?;
        }
        match entries.last() {
            Some(last) => page = page.after(last),
            None if args.follow => std::thread::sleep(LOOK),
            None => return Ok(shown.end()),
        }
    }
}

struct Shown<'a> {
    args: &'a LogsArgs,
    terminal: &'a Terminal,
    /// The steps of receipts.
    steps: BTreeMap<String, String>,
    /// What is shown when the line is whole: of which stream of which step.
    line: Option<(String, String)>,
    is_any: bool,
}

impl Shown<'_> {
    fn entry(&mut self, home: &Home, entry: &Entry) -> anyhow::Result<()> {
        let text = |name: &str| entry.text(name).unwrap_or_default().to_owned();
        if entry.kind() == Kind::Receipt {
            self.steps.insert(text("id"), text("step"));
            return Ok(());
        }
        let step = self.steps.get(&text("receipt")).cloned().unwrap_or_default();
        let behind = entry.count("offset").unwrap_or_default() + entry.count("bytes").unwrap_or(0);
        if self.args.step.as_ref().is_some_and(|it| *it != step) || behind <= self.args.from {
            return Ok(());
        }
        self.is_any = true;
        let record = home.record(entry.clone())?;
        let offset = entry.count("offset").unwrap_or_default();
        let skipped = self.args.from.saturating_sub(offset);
        let whole = given(&record);
        let skipped = whole.map_or(0, |text| {
            let skipped = usize::try_from(skipped).unwrap_or(usize::MAX).min(text.len());
            text.ceil_char_boundary(skipped)
        });
        let text = whole.map(|text| text.split_at(skipped).1);
        if self.terminal.json {
            self.terminal.emit(&piece(entry, &step, (offset + skipped as u64, text)));
            return Ok(());
        }
        self.say((step, entry.text("name").unwrap_or_default()), text);
        Ok(())
    }

    /// Show the lines that are whole by now, each behind its step where several may be meant.
    fn say(&mut self, (step, name): (String, &str), text: Option<&str>) {
        let of = if self.args.step.is_some() { String::new() } else { format!("{step} ") };
        let of = if name == "stdout" { of } else { format!("{of}{name} ") };
        if self.line.as_ref().is_some_and(|(other, _)| *other != of) {
            self.leave();
        }
        let Some(text) = text else {
            self.terminal.say(&format!("{}(erased)", plain(&of)));
            return;
        };
        let mut lines = text.split('\n');
        let first = lines.next().unwrap_or_default();
        self.line.get_or_insert_with(|| (of.clone(), String::new())).1.push_str(first);
        for line in lines {
            self.flush();
            self.line = Some((of.clone(), line.to_owned()));
        }
    }

    fn flush(&mut self) {
        if let Some((of, line)) = self.line.take() {
            self.terminal.say(&format!("{}{}", plain(&of), plain(&line)));
        }
    }

    /// Show what stands on a line that was not ended.
    fn leave(&mut self) {
        if self.line.as_ref().is_some_and(|(_, line)| line.is_empty()) {
            self.line = None;
        }
        self.flush();
    }

    /// Whether the step that is asked about is one of the run, which is over.
    fn is_known(&self) -> anyhow::Result<()> {
        let known: BTreeSet<&str> = self.steps.values().map(String::as_str).collect();
        let Some(step) = self.args.step.as_deref().filter(|step| !known.contains(step)) else {
            return Ok(());
        };
        let why = format!("no step `{}` of the run had a receipt", plain(step));
        let hint = suggest::hint(step, known.iter().copied());
        Err(Failure::advise(Exit::BadInput, why, plain(&hint.unwrap_or_else(|| NONE.to_owned()))))
    }

    fn end(&mut self) -> Exit {
        self.leave();
        if !self.is_any && !self.terminal.json {
            self.terminal.note(
                "nothing was recorded while it was under way: a step with `stream: true` has that",
            );
        }
        Exit::Done
    }
}

/// What was given, unless it was erased.
fn given(record: &Record) -> Option<&str> {
    record.body.as_ref()?.get("text")?.as_text()
}

fn piece(entry: &Entry, step: &str, (offset, text): (u64, Option<&str>)) -> Value {
    let member = |name: &str| entry.data().get(name).cloned().unwrap_or(Value::Null);
    Value::map([
        ("event", Value::from("output")),
        ("seq", entry.seq().into()),
        ("at", entry.at().to_string().into()),
        ("step", step.into()),
        ("receipt", member("receipt")),
        ("name", member("name")),
        ("offset", offset.into()),
        ("text", text.into()),
    ])
}
