//! `schedules trigger` and `schedules backfill`: runs that somebody asks a schedule for.

use cog_base::id::RunId;
use cog_base::words::counted;
use cog_base::{Clock as _, Timestamp, Value};
use cog_engine::Firing;
use cog_engine::timetable::{NotFired, Plan, made};
use cog_gate::Actor;
use cog_node::{Fire, Request};

use super::{timetable, unknown, wanted};
use crate::cli::Common;
use crate::cli::nodes::Asking;
use crate::cli::schedules::{BackfillArgs, FireArgs, OneArgs, TriggerArgs};
use crate::commands::owner::{Answered, Owner};
use crate::commands::refused;
use crate::commands::run::scheduled::{self, Begins};
use crate::commands::submit::waiting::{Patience, wait};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, plain};

/// The most runs that one command starts for times of the past.
const BACKFILL_MAX: usize = 1_000;
/// The most times of a span that are looked at.
const LOOKED_AT_MAX: usize = 100_000;

/// Somebody asks a schedule for runs.
struct Asker<'a> {
    home: &'a Home,
    id: &'a str,
    who: Actor,
    /// Whether runs may be open together, whatever the schedule says.
    beside: bool,
    asking: &'a Asking,
    common: &'a Common,
    terminal: &'a Terminal,
}

pub(super) fn trigger(
    TriggerArgs { fire }: &TriggerArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let home = Home::at(&fire.one.asking.at, || Home::change(&common.data))?;
    let terminal = &terminal.alone();
    let asker = Asker::of(&home, fire, common, terminal)?;
    asker.admitted()?;
    asker.start(None).map(|(_, exit)| exit)
}

pub(super) fn backfill(
    args: &BackfillArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let (from, until) = (given::past(&args.from)?, args.until.as_deref().map(given::past));
    let until = until.transpose()?.unwrap_or_else(|| SystemClock.now());
    let data = &common.data;
    let open = || if args.dry_run { Home::read(data) } else { Home::change(data) };
    let home = Home::at(&args.fire.one.asking.at, open)?;
    let terminal = &terminal.alone();
    let asker = Asker::of(&home, &args.fire, common, terminal)?;
    let times = asker.times(from, until)?;
    if args.dry_run {
        asker.list(&times);
        return Ok(Exit::Done);
    }
    asker.admitted()?;
    asker.announce(&times);
    let mut worst = Exit::Done;
    for (number, at) in times.iter().enumerate() {
        let left = times.len() - number;
        if number > 0 && asker.in_the_way()?.is_some() {
            return Ok(asker.stop(left, Exit::Waiting));
        }
        let exit = asker.one(*at)?;
        if matches!(exit, Exit::Interrupted | Exit::Terminated) {
            return Ok(asker.stop(left - 1, exit));
        }
        worst = if worst == Exit::Done { exit } else { worst };
    }
    Ok(worst)
}

impl<'a> Asker<'a> {
    fn of(
        home: &'a Home,
        FireArgs { one, allow_overlap }: &'a FireArgs,
        common: &'a Common,
        terminal: &'a Terminal,
    ) -> anyhow::Result<Self> {
        let OneArgs { id, by, asking } = one;
        let who = given::actor(&by.actor)?;
        Ok(Self { home, id, who, beside: *allow_overlap, asking, common, terminal })
    }

    /// Ask something of the schedule as it stands.
    fn plan<T>(&self, ask: impl FnOnce(&Plan) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let timetable = timetable(self.home)?;
        ask(timetable.plans().get(self.id).ok_or_else(|| unknown(self.id))?)
    }

    /// Refuse what it does not do for anybody, and on the record what it does not do for this one.
    fn admitted(&self) -> anyhow::Result<()> {
        let open = self.in_the_way()?;
        self.plan(|plan| {
            if let Some(no) = plan.not_now() {
                return Err(self.not_fired(no));
            }
            self.entitled(plan)?;
            open.map_or(Ok(()), |run| Err(self.not_fired(NotFired::Open(run))))
        })
    }

    /// Refuse it to whoever did not set the schedule. In a database its owner has that on record.
    fn entitled(&self, plan: &Plan) -> anyhow::Result<()> {
        let in_force = self.home.change_control()?.in_force(plan.domain());
        let canon = in_force.map(|digest| self.home.canon(digest)).transpose()?.flatten();
        let canon = canon.as_ref();
        let (act, facts) = plan.firing_by(self.home.tenant, &self.who, canon);
        let Some(no) = act.judge(&facts, SystemClock.now(), canon) else { return Ok(()) };
        let denial = if self.home.is_of_nodes() {
            refused::earlier(self.home, &act, &act.same(&no))
        } else {
            let append = |draft| self.home.append(vec![draft]).map(drop);
            refused::record(self.home, &act, &facts, canon, &append)
        };
        let (who, id) = (&self.who, plain(self.id));
        let message = format!("{who} may not have the schedule `{id}` start a run. {}", no.reason);
        let advice = "say who does it with --as user:NAME";
        Err(refused::explained(Failure::advise(Exit::Refused, message, advice), denial))
    }

    /// A run of the schedule that is not over and beside which none may be started.
    fn in_the_way(&self) -> anyhow::Result<Option<RunId>> {
        self.plan(|plan| {
            let may = self.beside || plan.may_overlap();
            Ok(plan.open().first().copied().filter(|_| !may))
        })
    }

    fn not_fired(&self, no: NotFired) -> anyhow::Error {
        let message = format!("the schedule `{}` starts nothing: {no}", plain(self.id));
        match no {
            NotFired::Event => {
                Failure::advise(Exit::BadInput, message, "cognitionos events send EVENT")
            }
            NotFired::Open(_) => {
                let advice = "wait until it is over, or start one beside it: --allow-overlap";
                Failure::advise(Exit::Conflict, message, advice)
            }
            NotFired::NotNamed(_) | NotFired::Undecided(_) | NotFired::Made => {
                Failure::told(Exit::Conflict, message)
            }
        }
    }

    /// The times of a span that no run was started for.
    fn times(&self, from: Timestamp, until: Timestamp) -> anyhow::Result<Vec<Timestamp>> {
        let now = SystemClock.now();
        self.plan(|plan| {
            if let Some(no) = plan.not_now() {
                return Err(self.not_fired(no));
            }
            let until = until.min(now);
            let named = plan.schedule.within((from, until), LOOKED_AT_MAX);
            let made = made(&*self.home.scope()?, self.id, (from, until)).map_err(told)?;
            let to_come = named.iter().filter(|at| **at > plan.decided_until(now)).count();
            let times = named.iter().copied().filter(|at| *at <= plan.decided_until(now));
            let times: Vec<_> = times.filter(|at| !made.contains(at)).collect();
            if named.len() == LOOKED_AT_MAX || times.len() > BACKFILL_MAX {
                let message = format!(
                    "there are more than {BACKFILL_MAX} such times from {from} to {until}, or too \
                     many to look at"
                );
                let advice = "choose a shorter span with --from and --until";
                return Err(Failure::advise(Exit::Limit, message, advice));
            }
            if to_come > 0 {
                let times = counted(to_come as u64, "later time is", "later times are");
                self.terminal.note(&format!("{times} not decided yet: the schedule comes to that"));
            }
            Ok(times)
        })
    }

    fn list(&self, times: &[Timestamp]) {
        if self.terminal.json {
            let one = |at: &Timestamp| {
                Value::map([("at", Value::from(*at)), ("schedule", self.id.into())])
            };
            self.terminal.emit(&Value::list(times.iter().map(one)));
            return;
        }
        times.iter().for_each(|at| self.terminal.say(&format!("{at}  {}", self.id)));
        self.announce(times);
    }

    /// Say what is about to be started.
    fn announce(&self, times: &[Timestamp]) {
        let (Some(first), Some(last)) = (times.first(), times.last()) else {
            self.terminal.note("no time was left out: there is nothing to start");
            return;
        };
        let runs = counted(times.len() as u64, "run", "runs");
        self.terminal.note(&format!("{runs}, for times from {first} to {last}"));
    }

    /// Something is left, and why is told.
    fn stop(&self, left: usize, exit: Exit) -> Exit {
        if left > 0 {
            let times = counted(left as u64, "time is", "times are");
            let why = if exit == Exit::Waiting { ": a run is not over" } else { "" };
            self.terminal.warn(&format!("{times} left{why}; the same command goes on with them"));
        }
        exit
    }

    /// Start a run for a time, and see it through where no other may be beside it.
    fn one(&self, at: Timestamp) -> anyhow::Result<Exit> {
        let (run, exit) = self.start(Some(at))?;
        let Some(run) = run.filter(|_| !self.beside) else { return Ok(exit) };
        if self.plan(|plan| Ok(plan.may_overlap()))? {
            return Ok(exit);
        }
        wait(self.home.database()?, self.home.tenant, run, Patience::ENDLESS, self.terminal)
    }

    /// Start a run, for a time or now. In a folder it goes on as far as it does by itself; the owner of
    /// a log in the database goes on with this one.
    fn start(&self, at: Option<Timestamp>) -> anyhow::Result<(Option<RunId>, Exit)> {
        if self.home.is_of_nodes() {
            return self.post(at).map(|run| (Some(run), Exit::Done));
        }
        let wanted = self.plan(|plan| wanted(self.home, plan))?;
        let (schedule, by) = (self.id.to_owned(), Some(self.who.clone()));
        let firing = Firing { schedule, at: at.unwrap_or_else(|| SystemClock.now()), by };
        let begins = Begins::At(firing);
        let exit = scheduled::start(self.home, &wanted, begins, self.common, self.terminal)?;
        Ok((None, exit))
    }

    fn post(&self, at: Option<Timestamp>) -> anyhow::Result<RunId> {
        let run = RunId::new(SystemClock.now(), &mut SystemEntropy::new())?;
        let (schedule, who) = (self.id.to_owned(), self.who.clone());
        let fire = Fire { run, schedule, at, beside: self.beside, who };
        let owner = Owner::of(self.home, self.asking.timeout)?;
        let seq = match owner.ask(&Request::Fire(Box::new(fire)))? {
            Answered::Done(seq) => seq,
            Answered::Refused(why) => {
                self.plan(|plan| self.entitled(plan))?;
                let message = format!("the schedule `{}` starts nothing: {why}", plain(self.id));
                return Err(Failure::advise(Exit::Conflict, message, "cognitionos schedules list"));
            }
        };
        if self.terminal.json {
            let members = [("event", Value::from("started")), ("schedule", self.id.into())];
            let more = [("run", run.into()), ("at", at.into()), ("entry", seq.into())];
            self.terminal.emit(&Value::map(members.into_iter().chain(more)));
        } else {
            let due = at.map(|at| format!(" for {at}")).unwrap_or_default();
            self.terminal.say(&format!("started  {run}{due}  {}, entry {seq}", self.id));
        }
        Ok(run)
    }
}
