//! The floor of governed steps: runs that do nothing but wait for their commits.
//!
//! What a step demands of any engine: its receipt is durable before its effect, and its outcome
//! before the next. The outcome rides with the receipt of the next step, so that a step is one
//! commit, which its run waits for and the others share. Here one thread has the runs and
//! another commits, as in the kernel: rows of the same bytes, handed over in the same pieces,
//! and an answer for each run. Nothing is decided, written as JSON, hashed, sealed, signed,
//! indexed or checked.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};

use crate::bare::{Bare, Shape};
use crate::meter::{Figures, Samples};
use crate::options::Options;
use crate::system::Scratch;
use crate::usage;

/// So many submissions are handed over together, as the kernel's driver does.
const TOGETHER: usize = 32;
/// The longest silence of the committing thread.
const SILENCE: Duration = Duration::from_secs(10);

/// So many runs for some seconds, if floors are wanted. `shape` is that of one step, and the
/// times are those from one commit of a run to its next.
pub(crate) fn measure(
    options: &Options,
    shape: Shape,
    runs: u64,
) -> anyhow::Result<Option<Figures>> {
    if options.alone {
        return Ok(None);
    }
    let scratch = Scratch::new(&options.data, "waiting")?;
    let bare = Bare::open(scratch.path(), shape)?;
    let (submit, submitted) = channel();
    let (answer, answers) = channel();
    let committer = std::thread::spawn(move || commit(bare, &submitted, &answer));
    let figures = drive(runs, options.seconds, &submit, &answers);
    drop(submit);
    let ended = committer.join().map_err(|_| anyhow!("the committing thread panicked"))?;
    ended.and(figures).map(Some)
}

/// Every run submits its next step when its last is durable: a tenth of the time to warm up,
/// then for so many seconds.
fn drive(
    runs: u64,
    seconds: f64,
    submit: &Sender<Vec<u64>>,
    answers: &Receiver<u64>,
) -> anyhow::Result<Figures> {
    let gone = |_| anyhow!("the committing thread is gone");
    let mut since: Vec<Instant> = (0..runs).map(|_| Instant::now()).collect();
    let mut samples = Samples::default();
    let (mut cpu, mut start, mut is_warm) = (usage::cpu(), Instant::now(), false);
    submit.send((0..runs).collect()).map_err(gone)?;
    loop {
        let first = match answers.recv_timeout(SILENCE) {
            Ok(run) => run,
            Err(RecvTimeoutError::Timeout) => bail!("nothing was committed for {SILENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the committing thread is gone"),
        };
        let others = answers.try_iter().take(TOGETHER - 1);
        let together: Vec<u64> = std::iter::once(first).chain(others).collect();
        let now = Instant::now();
        for run in &together {
            if let Some(since) = usize::try_from(*run).ok().and_then(|run| since.get_mut(run)) {
                samples.note(now - std::mem::replace(since, now));
            }
        }
        submit.send(together).map_err(gone)?;
        let elapsed = start.elapsed().as_secs_f64();
        if !is_warm && elapsed > seconds / 10.0 {
            (cpu, start, samples, is_warm) =
                (usage::cpu(), Instant::now(), Samples::default(), true);
        } else if is_warm && elapsed > seconds {
            let (wall, cpu) = (start.elapsed(), usage::cpu().saturating_sub(cpu));
            let steps = samples.len() as u64;
            return Ok(samples.figures(steps, wall, cpu));
        }
    }
}

/// Commit what waits, and answer each run of it.
fn commit(
    mut bare: Bare,
    submitted: &Receiver<Vec<u64>>,
    answer: &Sender<u64>,
) -> anyhow::Result<()> {
    while let Ok(mut runs) = submitted.recv() {
        runs.extend(submitted.try_iter().flatten());
        bare.commit(runs.len())?;
        for run in runs {
            // Whoever asked may have heard enough.
            let _ = answer.send(run);
        }
    }
    Ok(())
}
