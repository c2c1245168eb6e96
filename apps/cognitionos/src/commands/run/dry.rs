//! `run --dry-run`: a run as far as it goes before anything has to be done. Its entries are made in
//! memory and gone at the end, and no adapter exists that could perform what the gate clears.

#![expect(clippy::disallowed_methods, reason = "the program's edge makes a folder and removes it")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::{ReceiptId, RunId, TenantId};
use cog_base::words::counted;
use cog_base::{Clock as _, Value};
use cog_engine::driver::{Hands, Inbox, Ledger, Reply};
use cog_engine::{Driver, Input, Place, Terms, What};
use cog_gate::{Actor, AnyEffect, Cleared};
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::{Draft, Durable, Entry, Writer};

use super::named::Definition;
use super::{again, canon, engine, family, fitting, prepare, production};
use crate::cli::{Common, RunArgs};
use crate::failure::{Exit, Failure};
use crate::folders::{self, Secrets};
use crate::given;
use crate::home::{ENGINE, Home};
use crate::models;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone};
use crate::view::{Counts, View};

/// How long it is waited for something to happen, in milliseconds: everything that does happens
/// on this thread.
const TURN_MS: u64 = 5;
/// After so many turns in which nothing happened nothing more will.
const QUIET_TURNS: u32 = 3;

/// Say what a run of this file would be permitted, refused and asked, before its first effect.
pub(super) fn preview(
    file: &Path,
    args: &RunArgs,
    common: &Common,
    actor: &Actor,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let definition = Definition::here(file, None, &common.data, terminal)?;
    let plan = prepare::fresh(definition, &args.begin, common, actor)?;
    let (home, _scratch) = opened(&common.data)?;
    let bound = canon::bind(&home, &plan, (args, None), terminal)?;
    let canon = bound.canon.as_deref();
    production::check(&home, &plan, (args, None), canon)?;
    if let Input::Start(start) = &plan.input {
        fitting::check(&start.flow, &start.source, &given::name(file), canon)?;
        models::check(args, canon, &start.flow)?;
        if let Some(step) = start.flow.half_sealed() {
            terminal.note(&format!(
                "the step `{step}` names a subject and the workflow does not: inputs and outputs of \
                 a run can still be read when that subject was erased"
            ));
        }
    }
    let roots = folders::admitted(&plan.roots, &plan.base, canon);
    again::folders(&roots, &plan.named, args)?;
    let ledger = InMemory::default();
    let mut engine = engine(&home, false)?;
    if let Some(draft) = bound.foundation(&home, &plan.environment, actor)? {
        let entries = ledger.append(vec![(home.tenant, draft)]);
        let entries = entries.map_err(|message| Failure::told(Exit::Failed, message))?;
        entries.iter().for_each(|entry| engine.observe(entry));
        bound.canon.iter().for_each(|canon| engine.know(Arc::clone(canon)));
    }
    let held = Held { data: common.data.clone(), ..Held::default() };
    let hands = Box::new(held.clone());
    let mut driver = Driver::new(engine, Box::new(ledger), hands, Arc::new(SystemClock));
    terminal.note("a dry run: nothing is recorded or performed, and its ids name nothing");
    let mut view = View::new(terminal, Counts::default(), Some(given::name(file)));
    driver.inbox().send(plan.input);
    let seen = drive(&mut driver, plan.run, &mut view)?;
    tell(held.count(), &seen, terminal);
    Ok(seen.exit)
}

/// What is seen of a run before its first effect.
struct Seen {
    /// How the program ends.
    exit: Exit,
    /// Whether it came to its end.
    is_over: bool,
}

/// Take turns until nothing goes on without an effect.
fn drive(driver: &mut Driver, run: RunId, view: &mut View<'_>) -> anyhow::Result<Seen> {
    let (mut seen, mut quiet) = (Seen { exit: Exit::Done, is_over: false }, 0);
    while quiet < QUIET_TURNS {
        let notices = driver.turn(TURN_MS)?;
        quiet = if notices.is_empty() { quiet + 1 } else { 0 };
        for notice in notices {
            view.show(&notice);
            if let What::Stopped { message } = &notice.what {
                return Err(Failure::told(Exit::Failed, message));
            }
            // A run that it began ends for itself.
            if let (What::Sealed(sealed), true) = (&notice.what, notice.run == run) {
                let exit = Exit::of_run(&sealed.status, sealed.error.as_ref());
                seen = Seen { exit, is_over: true };
            } else if matches!(notice.what, What::Asked { .. } | What::Listening { .. }) {
                seen.exit = Exit::Waiting;
            }
        }
    }
    view.clear();
    Ok(seen)
}

fn tell(held: usize, seen: &Seen, terminal: &Terminal) {
    if terminal.json {
        terminal.emit(&Value::map([
            ("event", Value::from("dry_run")),
            ("held", (held as u64).into()),
            ("exit", u64::from(seen.exit as u8).into()),
            ("foreseen", (held == 0 && seen.is_over).into()),
        ]));
        return;
    }
    let first = counted(held as u64, "effect would be performed", "effects would be performed");
    terminal.say(&match (held, seen.is_over) {
        (0, true) => "nothing would be performed".to_owned(),
        (0, false) => {
            "nothing would be performed before what it waits for; what comes then is not \
                       foreseen"
                .to_owned()
        }
        (_, _) => format!("{first}; what comes then depends on what comes of that"),
    });
    terminal.say(&terminal.tint(Tone::Faint, "nothing was recorded and nothing was done"));
}

/// The ledger to look at: that of the data folder, or where there is none yet an empty one that is
/// gone at the end.
fn opened(data: &Path) -> anyhow::Result<(Home, Option<Scratch>)> {
    if data.join("ledger.db").exists() {
        return Ok((Home::read(data)?, None));
    }
    let name = format!("cognitionos-dry-{}", std::process::id());
    let scratch = Scratch(std::env::temp_dir().join(name));
    Ok((Home::write(&scratch.0)?, Some(scratch)))
}

/// A folder that is removed when nobody needs it any more.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Entries that nobody keeps.
struct InMemory(Mutex<Writer<MemoryShelf>>);

impl Default for InMemory {
    fn default() -> Self {
        let keys = Box::new(MemoryKeys::default());
        Self(Mutex::new(Writer::new(MemoryShelf::default(), keys, ENGINE)))
    }
}

impl InMemory {
    fn append(&self, drafts: Vec<(TenantId, Draft)>) -> Result<Vec<Durable<Entry>>, String> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let appended = writer.append(drafts, SystemClock.now(), &mut SystemEntropy::new());
        appended.map_err(|error| error.to_string())
    }
}

impl Ledger for InMemory {
    fn submit(&self, drafts: Vec<(TenantId, Draft)>, reply: Reply) {
        reply(self.append(drafts));
    }
}

/// What was cleared and is not performed: it is kept, so that nobody takes it for lost.
#[derive(Clone, Default)]
struct Held {
    cleared: Arc<Mutex<Vec<Cleared<AnyEffect>>>>,
    /// The data folder, which no root of a run that the run begins may share.
    data: PathBuf,
}

impl Held {
    fn count(&self) -> usize {
        self.cleared.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Hands for Held {
    fn perform(&self, _: RunId, cleared: Cleared<AnyEffect>, _: Terms, _: Inbox) {
        self.cleared.lock().unwrap_or_else(PoisonError::into_inner).push(cleared);
    }

    fn probe(&self, _: RunId, _: ReceiptId, _: AnyEffect, _: Inbox) {}

    fn place(&self, place: Place, inbox: Inbox) {
        let placed =
            family::placed(&Secrets::of_folder(&self.data), &place).map(|(placed, ..)| placed);
        let placed = placed.map_err(|error| format!("{error:#}"));
        inbox.send(Input::Placed { parent: place.parent, run: place.run, placed });
    }
}
