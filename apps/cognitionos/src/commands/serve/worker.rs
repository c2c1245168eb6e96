//! `serve --role worker`, and where a scheduler listens to workers.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use cog_base::Value;
use cog_base::id::{RunId, TenantId};
use cog_gate::AnyEffect;
use cog_wire::{Bounds, Server};
use cog_worker::Task;
use tokio::runtime::Runtime;

use super::{LOOK, Voice, say};
use crate::cli::nodes::ServeArgs;
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::kit::Toolbox;
use crate::remote::{Counter, Office, Setup, Tale, UsedUp, Worker, all_kinds, token};
use crate::terminal::{Terminal, Tone, plain};

/// How long what is under way may take when a worker stops.
const GRACE: Duration = Duration::from_secs(30);
/// The largest report: an output, with what JSON adds.
const REPORT_BYTES_MAX: usize = 64 << 20;
/// How long an answer to a worker may take: a poll, and a little more.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(cog_worker::WAIT_MS_MAX + 15_000);

/// What waits for a worker, and at which of the databases.
type Waits = (usize, TenantId, RunId, &'static str);

/// Where a scheduler listens to workers.
pub(super) struct Open {
    /// One for each database.
    pub(super) offices: Vec<Arc<Office>>,
    server: Server,
    waiting: Receiver<Waits>,
}

/// Listen to workers of the nodes at so many databases.
pub(super) fn counter(
    args: &ServeArgs,
    databases: usize,
    runtime: &Runtime,
    terminal: &Terminal,
) -> anyhow::Result<Open> {
    let token = token::made(&args.workers.worker_token_file)?;
    let first = Office::new();
    let further: Vec<Office> = (1..databases).map(|_| first.beside()).collect();
    let bell = Arc::clone(&first.bell);
    let offices: Vec<Arc<Office>> = std::iter::once(first).chain(further).map(Arc::new).collect();
    let (tell, waiting) = channel();
    for (place, office) in offices.iter().enumerate() {
        let tell = tell.clone();
        let looking = Arc::clone(office).look_after(move |tenant, run, action| {
            // Nobody hears it when the program ends.
            let _ = tell.send((place, tenant, run, action));
        });
        runtime.spawn(looking);
    }
    let service = Arc::new(Counter::new(offices.clone(), bell, token));
    let bounds = Bounds {
        body_bytes_max: REPORT_BYTES_MAX,
        answer_time_max: ANSWER_TIME_MAX,
        ..Bounds::default()
    };
    let address = args.workers.listen;
    let server = Server::start(runtime.handle(), address, bounds, service).map_err(|error| {
        let message = format!("cannot listen to workers at {address}: {error}");
        Failure::advise(
            Exit::BadInput,
            message,
            "--listen 127.0.0.1:PORT, with a port that is free",
        )
    })?;
    let address = server.address();
    if !address.ip().is_loopback() {
        let warning = format!(
            "workers are listened to at {address} without TLS: the token and what effects are about \
             can be read on the way"
        );
        terminal.note(&terminal.tint(Tone::Ask, &warning));
    }
    let text = address.to_string();
    say(
        terminal,
        "listening",
        &format!("to workers at {text}"),
        &[("address", text.as_str().into())],
    );
    Ok(Open { offices, server, waiting })
}

impl Open {
    /// Tell of what waits for a worker.
    pub(super) fn show<'a>(&self, voice: impl Fn(usize) -> Voice<'a>) {
        for (place, tenant, run, action) in self.waiting.try_iter() {
            let members =
                [("tenant", tenant.into()), ("run", run.into()), ("action", action.into())];
            let words = format!("{run}: {action} waits for a worker");
            say(voice(place), "waiting", &words, &members);
        }
    }

    /// Hand out nothing more.
    pub(super) fn close(&self) {
        self.offices.iter().for_each(|office| office.board().close());
    }

    pub(super) fn stop(self) {
        self.server.stop();
    }
}

/// Be a worker.
pub(super) fn work(
    args: &ServeArgs,
    name: &str,
    (runtime, ends): (&Runtime, &Receiver<()>),
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let workers = &args.workers;
    let needs = |what: &str| {
        Failure::advise(
            Exit::BadInput,
            format!("a worker needs {what}"),
            "cognitionos serve --role worker --scheduler http://127.0.0.1:8720 --trust keys.txt",
        )
    };
    let trust =
        workers.trust.clone().ok_or_else(|| needs("the keys that it trusts, --trust FILE"))?;
    if workers.scheduler.is_empty() {
        return Err(needs("a scheduler to ask for work, --scheduler URL"));
    }
    let secrets = Secrets::of_worker(&workers.worker_token_file, &trust, &workers.journal);
    let setup = Setup {
        name: name.to_owned(),
        owners: workers.scheduler.clone(),
        token: token::read(&workers.worker_token_file)?,
        trust,
        kinds: kinds(&workers.kinds)?,
        slots: usize::try_from(workers.slots).unwrap_or(1).max(workers.scheduler.len()),
    };
    let journal = UsedUp::open(Path::new(&workers.journal))?;
    let tools = Toolbox::new(runtime.handle().clone(), secrets);
    let (tell, heard) = channel();
    let tell = Box::new(move |tale| drop(tell.send(tale)));
    let owners = setup.owners.clone();
    let inside = runtime.enter();
    let worker = Arc::new(Worker::new(setup, tools, journal, tell)?);
    let asking: Vec<_> = owners
        .into_iter()
        .map(|owner| runtime.spawn(Arc::clone(&worker).work_for(owner)))
        .collect();
    drop(inside);
    say(terminal, "working", &format!("as {name}"), &[("worker", name.into())]);
    while ends.try_recv().is_err() {
        match heard.recv_timeout(LOOK) {
            Ok(tale) => show(terminal, &tale),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    say(terminal, "stopping", "when what is under way is over", &[]);
    worker.stop();
    runtime.block_on(worker.finish(GRACE));
    for asking in asking {
        asking.abort();
    }
    heard.try_iter().for_each(|tale| show(terminal, &tale));
    say(terminal, "stopped", "nothing is under way", &[]);
    Ok(Exit::Done)
}

/// The kinds of effects with these names; all when none is named.
fn kinds(named: &[String]) -> anyhow::Result<Vec<String>> {
    if let Some(unknown) = named.iter().find(|kind| !AnyEffect::ACTIONS.contains(&kind.as_str())) {
        let message = format!("there is no effect `{unknown}`");
        let advice = format!("--kinds, with some of {}", AnyEffect::ACTIONS.join(","));
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    Ok(if named.is_empty() { all_kinds() } else { named.to_vec() })
}

fn show(terminal: &Terminal, tale: &Tale) {
    let about = |task: &Task| -> [(&'static str, Value); 4] {
        [
            ("tenant", task.tenant.into()),
            ("run", task.run.into()),
            ("receipt", task.receipt.into()),
            ("action", task.action.as_str().into()),
        ]
    };
    match tale {
        Tale::Away(owner, why) => {
            let members = [("scheduler", owner.as_str().into()), ("why", why.as_str().into())];
            let word = terminal.tint(Tone::Bad, "is away");
            say(terminal, "away", &format!("{} {word}: {}", plain(owner), plain(why)), &members);
        }
        Tale::Back(owner) => {
            let words = format!("{} is there again", plain(owner));
            say(terminal, "back", &words, &[("scheduler", owner.as_str().into())]);
        }
        Tale::Began(task) => {
            say(terminal, "began", &format!("{} {}", task.receipt, task.action), &about(task));
        }
        Tale::Ended(task, word) => {
            let [tenant, run, receipt, action] = about(task);
            let members = [tenant, run, receipt, action, ("came", word.as_str().into())];
            say(terminal, "ended", &format!("{} {}", task.receipt, plain(word)), &members);
        }
    }
}
