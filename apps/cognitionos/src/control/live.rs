//! The runs that are under way in this process, one and those that it began, as somebody outside
//! reaches them: what they ask goes into the engine's inbox, and what the engine says to it goes
//! back.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cog_base::id::{ApprovalId, RunId, TenantId};
use cog_engine::{Driver, Inbox, Input, Notice, What};
use cog_gate::{Actor, Wish};
use cog_ledger::{Draft, Durable, Entry};
use cog_store::Committer;

use crate::failure::{Exit, Failure};
use crate::view::ends_already;

/// How long the engine may take to decide about an input. It waits for nothing but the disk.
const DECIDES_WITHIN: Duration = Duration::from_secs(30);

/// The process is about to give the folder back: whoever opens it next decides.
#[derive(Debug)]
pub(crate) struct Gone;

impl std::fmt::Display for Gone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the run has stopped")
    }
}

impl std::error::Error for Gone {}

/// Runs under way.
type Runs = Arc<Mutex<BTreeSet<RunId>>>;

fn lock(runs: &Runs) -> MutexGuard<'_, BTreeSet<RunId>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs under way, seen from other threads.
pub(crate) struct Live {
    runs: Runs,
    inbox: Inbox,
    committer: Committer,
    asked: Sender<Asked>,
    /// Whether a person at the terminal is being asked, and nobody else is heard.
    is_asking: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What the engine's answer will be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// An answer to a request, by this person.
    Answer(ApprovalId, Actor),
    /// Having another person answer a request, by this one.
    Delegate(ApprovalId, Actor),
    /// A signal with this id.
    Signal(String),
    /// Holding the run, or letting it go on.
    Hold(bool),
    /// Its end, as this person wants it.
    Cancel(Actor),
}

/// What the engine said.
#[derive(Debug)]
pub(crate) enum Said {
    /// It is on record.
    Done,
    /// The run has the signal already.
    Again,
    /// The run is being ended already; who waits for its end goes on waiting.
    Already(String),
    /// The run has ended so, and was being ended before.
    Ended { status: String, before: Option<String> },
    /// It is not taken, and why.
    No(String),
    /// It is refused, and on record.
    Refused { denial: String, reason: String },
}

struct Asked {
    run: RunId,
    about: About,
    reply: Sender<Said>,
}

impl Live {
    /// Whether a run is under way here.
    pub(crate) fn has(&self, run: RunId) -> bool {
        lock(&self.runs).contains(&run)
    }

    /// Have the engine take an input about a run, and wait for what it says to it.
    ///
    /// # Errors
    /// [`Gone`], or that nobody hears it now.
    pub(crate) fn deliver(&self, run: RunId, about: About, input: Input) -> anyhow::Result<Said> {
        if (self.is_asking)() {
            return Err(Failure::advise(
                Exit::Conflict,
                format!("somebody at the terminal of {run} is being asked"),
                "answer there, or leave the question open there with an empty answer",
            ));
        }
        let ends = matches!(about, About::Cancel(_));
        let (reply, said) = channel();
        // First what is waited for, so that it is known when the engine takes the input.
        self.asked.send(Asked { run, about, reply }).map_err(|_| Gone)?;
        self.inbox.send(input);
        // What ends a run waits for what is under way, however long that takes.
        if ends {
            return Ok(ended(&said)?);
        }
        match said.recv_timeout(DECIDES_WITHIN) {
            Ok(said) => Ok(said),
            Err(RecvTimeoutError::Disconnected) => Err(Gone.into()),
            Err(RecvTimeoutError::Timeout) => Err(Failure::advise(
                Exit::Timeout,
                format!("the process of {run} did not decide in time"),
                format!("see whether it did since: cognitionos why {run}"),
            )),
        }
    }

    /// Append what was decided about another run.
    pub(crate) fn append(
        &self,
        tenant: TenantId,
        drafts: Vec<Draft>,
    ) -> anyhow::Result<Vec<Durable<Entry>>> {
        let drafts = drafts.into_iter().map(|draft| (tenant, draft)).collect();
        let appended = self.committer.append_blocking(drafts);
        appended.map_err(|error| anyhow::Error::new(error).context("nothing was recorded"))
    }
}

/// What came of a wish to end a run.
fn ended(said: &Receiver<Said>) -> Result<Said, Gone> {
    let first = said.recv().map_err(|_| Gone)?;
    let Said::Already(before) = first else { return Ok(first) };
    let last = said.recv().map_err(|_| Gone)?;
    let Said::Ended { status, .. } = last else { return Ok(last) };
    Ok(Said::Ended { status, before: Some(before) })
}

/// The side of the engine: who waits for what.
pub(crate) struct Switchboard {
    runs: Runs,
    asked: Receiver<Asked>,
    waiting: Vec<Asked>,
}

impl Switchboard {
    /// Both sides, for runs that `driver` drives.
    pub(crate) fn of(
        driver: &Driver,
        runs: BTreeSet<RunId>,
        committer: Committer,
        is_asking: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> (Self, Live) {
        let (sender, asked) = channel();
        let runs = Arc::new(Mutex::new(runs));
        let inbox = driver.inbox();
        let live = Live { runs: Arc::clone(&runs), inbox, committer, asked: sender, is_asking };
        (Self { runs, asked, waiting: Vec::new() }, live)
    }

    /// Tell who waits what the engine said in its last turn.
    pub(crate) fn hear(&mut self, driver: &Driver, notices: &[Notice]) {
        self.waiting.extend(self.asked.try_iter());
        for notice in notices {
            if let What::Begun { child, .. } = &notice.what {
                lock(&self.runs).insert(*child);
            }
            if let Some(place) = self.waiting.iter().position(|it| it.is_told(notice)) {
                self.reply(place, said(&notice.what));
            }
            if let What::Sealed(sealed) = &notice.what {
                lock(&self.runs).extend(sealed.next);
                lock(&self.runs).remove(&notice.run);
                // The end of the run answers all who waited for it.
                while let Some(place) = self.waiting.iter().position(|it| it.is_told(notice)) {
                    self.reply(place, said(&notice.what));
                }
            }
        }
        // Who came too late for a run that has ended while others go on.
        let going = lock(&self.runs).clone();
        let ended = |asked: &Asked| !going.contains(&asked.run);
        while let Some(place) = self.waiting.iter().position(ended) {
            self.reply(place, Said::No("the run has ended".to_owned()));
        }
        // Of answers that count, no notice speaks: they stand in the request.
        let approvals = driver.engine().gate().approvals();
        let counts = |asked: &Asked| {
            if let About::Delegate(id, who) = &asked.about {
                let request = approvals.get(*id);
                return request.is_some_and(|it| it.delegated.contains_key(who.as_str()));
            }
            let About::Answer(id, who) = &asked.about else { return false };
            approvals.get(*id).is_some_and(|request| {
                let no = request.rejected.as_ref().map(|(by, _)| by.as_str());
                request.granted.contains(request.voice(who.as_str())) || no == Some(who.as_str())
            })
        };
        while let Some(place) = self.waiting.iter().position(counts) {
            self.reply(place, Said::Done);
        }
    }

    fn reply(&mut self, place: usize, said: Said) {
        let is_last = !matches!(said, Said::Already(_));
        // Whoever does not wait any more finds it in the ledger.
        drop(self.waiting.get(place).map(|asked| asked.reply.send(said)));
        if is_last {
            self.waiting.remove(place);
        }
    }
}

impl Asked {
    fn is_told(&self, notice: &Notice) -> bool {
        self.run == notice.run && says(&self.about, &notice.what)
    }
}

/// Whether a notice answers what somebody asked.
fn says(about: &About, what: &What) -> bool {
    match about {
        About::Answer(id, _) | About::Delegate(id, _) => {
            matches!(what, What::NotCounted { approval, .. } if approval == id)
        }
        About::Signal(id) => matches!(
            what,
            What::Signalled { signal, .. } | What::NotTaken { signal, .. } if signal == id
        ),
        About::Hold(to) => {
            matches!(what, What::Held { pauses, .. } if pauses == to)
                || matches!(what, What::NotPaused { pauses, .. } if pauses == to)
                || matches!(what, What::NotGranted { wish, .. } if *wish == wish_of(*to))
        }
        About::Cancel(by) => {
            matches!(what, What::NotGranted { wish: Wish::Cancel, who, .. } if who == by.as_str())
                || matches!(what, What::Sealed(_) | What::EndsAlready { .. })
        }
    }
}

const fn wish_of(pauses: bool) -> Wish {
    if pauses { Wish::Pause } else { Wish::Unpause }
}

/// What a notice says to who asked.
fn said(what: &What) -> Said {
    if let What::Signalled { again: true, .. } = what {
        Said::Again
    } else if let What::Sealed(sealed) = what {
        Said::Ended { status: sealed.status.clone(), before: None }
    } else if let What::EndsAlready { cancelled } = what {
        Said::Already(ends_already(cancelled.as_ref()))
    } else if let What::NotCounted { message, .. }
    | What::NotTaken { message, .. }
    | What::NotPaused { message, .. } = what
    {
        Said::No(message.clone())
    } else if let What::NotGranted { denial, reason, .. } = what {
        Said::Refused { denial: denial.to_string(), reason: reason.clone() }
    } else {
        Said::Done
    }
}
