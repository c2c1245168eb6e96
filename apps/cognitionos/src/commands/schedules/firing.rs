//! `schedules run`: keeps to the schedules of a data folder. Between the runs that it starts the
//! folder is free for other commands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context as _;
use cog_base::id::RunId;
use cog_base::words::counted;
use cog_base::{Clock as _, Timestamp, Value};
use cog_engine::replay::replay_run;
use cog_engine::{Firing, Timetable};
use cog_schedule::Decided;
use cog_store::Select;

use super::{left_out, stands, wanted};
use crate::cli::Common;
use crate::clock;
use crate::commands::run::scheduled::{self, Begins};
use crate::commands::serve::ends;
use crate::failure::{Exit, explain};
use crate::home::{Home, told};
use crate::system::SystemClock;
use crate::terminal::Terminal;

/// The longest sleep: others may set schedules and answer requests meanwhile.
const LOOK_MS: u64 = 1_000;
/// The shortest one.
const REST_MS: u64 = 20;

pub(super) fn run(once: bool, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot listen to signals")?;
    let ends = ends(&runtime).context("cannot listen to signals")?;
    let terminal = &terminal.alone();
    let (timetable, seen, tried, refused) = Default::default();
    let mut keeper = Keeper { common, terminal, timetable, seen, tried, refused };
    keeper.greet()?;
    loop {
        let did = keeper.look(&ends)?;
        let rest = match did {
            Did::End => return Ok(Exit::Done),
            Did::Something => 0,
            Did::Nothing if once => return Ok(Exit::Done),
            Did::Nothing | Did::Busy => keeper.rest_ms(),
        };
        match ends.recv_timeout(Duration::from_millis(rest)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(Exit::Done),
        }
    }
}

/// What a look led to.
enum Did {
    /// There may be more.
    Something,
    Nothing,
    /// Another command has the folder.
    Busy,
    /// Somebody wants the program to end.
    End,
}

/// What is to be done now.
enum Deed {
    LeaveOut { id: String, until: Timestamp, times: u64, why: &'static str },
    Start { id: String, at: Timestamp },
    End { id: String, run: RunId },
    GoOn { id: String, run: RunId, last: u64 },
}

struct Keeper<'a> {
    common: &'a Common,
    terminal: &'a Terminal,
    timetable: Timetable,
    /// How many entries were looked through.
    seen: u64,
    /// The last entry of open runs that were brought on as far as they go by themselves.
    tried: BTreeMap<RunId, u64>,
    /// Runs that could not be ended: whatever waits for that waits for people.
    refused: BTreeSet<RunId>,
}

impl Keeper<'_> {
    fn greet(&mut self) -> anyhow::Result<()> {
        let home = Home::read(&self.common.data)?;
        self.read(&home)?;
        let schedules = self.timetable.plans().len() as u64;
        let words = counted(schedules, "schedule", "schedules");
        self.say("keeping", &words, [("schedules", schedules.into())]);
        let last = clock::last(&home)?;
        if let Some(why) = last.and_then(|last| clock::behind(last, SystemClock.now())) {
            self.terminal
                .warn(&format!("{why}, and no schedule starts anything; {}", clock::WAY_OUT));
        }
        Ok(())
    }

    fn say<const N: usize>(&self, event: &str, words: &str, members: [(&str, Value); N]) {
        if self.terminal.json {
            let event = ("event", Value::from(event));
            self.terminal.emit(&Value::map(std::iter::once(event).chain(members)));
        } else if !self.terminal.quiet {
            self.terminal.say(&format!("{event:<9} {words}"));
        }
    }

    /// Take note of what the ledger tells since the last look.
    fn read(&mut self, home: &Home) -> anyhow::Result<()> {
        let kinds = Timetable::KINDS.into();
        let size = home.size()?;
        let select = Select { kinds, from: self.seen, to: size, ..Select::default() };
        home.each(select, |entry| self.timetable.observe(entry))?;
        self.seen = size;
        let ids: Vec<String> = self.timetable.plans().keys().cloned().collect();
        for id in ids {
            self.timetable.look_after(&id, |run| stands(home, run))?;
        }
        Ok(())
    }

    fn rest_ms(&self) -> u64 {
        let now = SystemClock.now();
        let next = self.timetable.next().map_or(LOOK_MS, |at| at.ms_since(now));
        next.clamp(REST_MS, LOOK_MS)
    }

    /// Do one thing that is to be done, if there is any.
    fn look(&mut self, ends: &Receiver<()>) -> anyhow::Result<Did> {
        let home = Home::read(&self.common.data)?;
        self.read(&home)?;
        if self.deed(&home)?.is_none() {
            return Ok(Did::Nothing);
        }
        drop(home);
        // Nobody else writes from here on; what was to be done may be done by now.
        let home = match Home::change(&self.common.data) {
            Ok(home) => home,
            Err(error) if explain(&error, "").exit == Exit::Conflict => return Ok(Did::Busy),
            Err(error) => return Err(error),
        };
        self.read(&home)?;
        let Some(deed) = self.deed(&home)? else { return Ok(Did::Something) };
        self.act(home, deed)?;
        Ok(if ends.try_recv().is_ok() { Did::End } else { Did::Something })
    }

    fn deed(&mut self, home: &Home) -> anyhow::Result<Option<Deed>> {
        let now = SystemClock.now();
        // What has waited longest comes first.
        let plans = self.timetable.plans().iter();
        let mut ids: Vec<_> = plans.map(|(id, plan)| (plan.next(), id.clone())).collect();
        ids.sort_unstable();
        for (_, id) in ids {
            let open = self.timetable.plans().get(&id).map(|plan| plan.open().to_vec());
            for run in open.iter().flatten() {
                if let Some(last) = self.goes_on(home, *run)? {
                    return Ok(Some(Deed::GoOn { id, run: *run, last }));
                }
            }
            match self.timetable.decide(&id, now) {
                None => {}
                Some(Decided::Start(at)) => return Ok(Some(Deed::Start { id, at })),
                Some(Decided::LeaveOut { until, times, why }) => {
                    let why = why.as_str();
                    return Ok(Some(Deed::LeaveOut { id, until, times, why }));
                }
                Some(Decided::EndOpen) => {
                    let run = open.into_iter().flatten().find(|it| !self.refused.contains(it));
                    if let Some(run) = run {
                        return Ok(Some(Deed::End { id, run }));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether an open run goes on when it is taken up: it was broken off, or somebody brought it
    /// on since; its last entry.
    fn goes_on(&self, home: &Home, run: RunId) -> anyhow::Result<Option<u64>> {
        let last = home.scope()?.session(run).map_err(told)?.map(|session| session.last);
        let Some(last) = last.filter(|last| self.tried.get(&run) != Some(last)) else {
            return Ok(None);
        };
        let history = replay_run(&home.history(run)?).ok();
        let waits = history.is_none_or(|history| history.waits().is_some());
        Ok((!waits).then_some(last))
    }

    fn act(&mut self, home: Home, deed: Deed) -> anyhow::Result<()> {
        let plan = |id: &str| self.timetable.plans().get(id);
        match deed {
            Deed::LeaveOut { id, until, times, why } => {
                let draft = plan(&id).map(|plan| plan.leaving_out(until, times, why));
                self.record(&home, draft)
            }
            Deed::Start { id, at } => self.start(&home, &id, at),
            Deed::End { id, run } => {
                let Some(plan) = plan(&id) else { return Ok(()) };
                let reason = format!("the next start of the schedule `{id}` is due");
                let by = plan.by.clone();
                drop(home);
                let ended = scheduled::take_up(run, &by, Some(&reason), self.common, self.terminal);
                if ended.is_err() {
                    self.refused.insert(run);
                }
                self.heard(ended);
                Ok(())
            }
            Deed::GoOn { id, run, last } => {
                let Some(plan) = plan(&id) else { return Ok(()) };
                let by = plan.by.clone();
                self.tried.insert(run, last);
                drop(home);
                let went = scheduled::take_up(run, &by, None, self.common, self.terminal);
                self.heard(went);
                Ok(())
            }
        }
    }

    /// Start a run. Why none could be started is on record as well.
    fn start(&mut self, home: &Home, id: &str, at: Timestamp) -> anyhow::Result<()> {
        let Some(plan) = self.timetable.plans().get(id) else { return Ok(()) };
        self.say("due", &format!("{id} {at}"), [("schedule", id.into()), ("at", at.into())]);
        let firing = Firing { schedule: id.to_owned(), at, by: None };
        let started = wanted(home, plan).and_then(|wanted| {
            scheduled::start(home, &wanted, Begins::At(firing), self.common, self.terminal)
        });
        let before = self.seen;
        self.read(home)?;
        let fired = Select { kinds: Timetable::KINDS.into(), from: before, ..Select::default() };
        let mut began = false;
        home.each(fired, |entry| began |= entry.text("run").is_some())?;
        let Err(error) = started else { return Ok(()) };
        if began {
            self.heard(Err(error));
            return Ok(());
        }
        let reason = explain(&error, "cognitionos schedules run").message;
        let plan = self.timetable.plans().get(id);
        let draft = plan.map(|plan| plan.not_started(at, &reason));
        self.heard(Err(error));
        self.record(home, draft)
    }

    fn record(&self, home: &Home, draft: Option<cog_ledger::Draft>) -> anyhow::Result<()> {
        let Some(draft) = draft else { return Ok(()) };
        let words = left_out(&draft).unwrap_or_default();
        let data = Value::Map(draft.data.clone());
        home.append(vec![draft])?;
        self.say("left out", &words, [("fired", data)]);
        Ok(())
    }

    /// A run that goes wrong is told, and the next one has its turn.
    fn heard(&self, came: anyhow::Result<Exit>) {
        if let Err(error) = came {
            self.terminal.fail(&explain(&error, "cognitionos schedules run"));
        }
    }
}
