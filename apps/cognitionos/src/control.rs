//! What a command asks of the process that has a data folder open, over a socket in the folder.
//!
//! A run holds the folder's lock until it parks or ends. What is decided about it meanwhile is
//! decided by the process that runs it: the command sends what it was asked, that process decides
//! it as the command would have done, and answers with the same document. Where nobody listens,
//! the command opens the folder itself. Nobody gets a right by the socket: whoever may use it has
//! the account that the folder and its keys belong to (docs/adr/0008).

pub(crate) mod client;
pub(crate) mod live;
pub(crate) mod request;
pub(crate) mod server;

use std::path::{Path, PathBuf};

use cog_base::Value;
use cog_ledger::Durable;

use crate::cli::nodes::Asking;
use crate::commands::owner::Owner;
use crate::failure::{Exit, Failure, explain};
use crate::home::Home;
use crate::shared::whose;
use crate::terminal::Terminal;
use live::Live;
use request::Request;

/// The name of the socket in the data folder.
const SOCKET: &str = "control.sock";
/// The most bytes of a request or of an answer, each of them one line.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// The longest path of a socket, in bytes: `sun_path` less its end.
const PATH_BYTES_MAX: usize = 107;

/// Who decides what is asked.
pub(crate) enum Way<'a> {
    /// This command, which has the folder to itself.
    Own(&'a Home),
    /// The process of a run, for another command; it reads by this view of the folder.
    Running(&'a Home, &'a Live),
    /// The node that owns the ledger in the database that is named, whichever that is.
    Owner(Owner<'a>),
}

impl Way<'_> {
    /// The folder, to read.
    pub(crate) fn home(&self) -> &Home {
        match self {
            Self::Own(home) | Self::Running(home, _) => home,
            Self::Owner(owner) => owner.home(),
        }
    }

    /// The node to ask, where it is one.
    pub(crate) const fn owner(&self) -> Option<&Owner<'_>> {
        match self {
            Self::Own(_) | Self::Running(..) => None,
            Self::Owner(owner) => Some(owner),
        }
    }

    /// The run that is under way here, if it is this one.
    pub(crate) fn live(&self, run: cog_base::id::RunId) -> Option<&Live> {
        match self {
            Self::Own(_) | Self::Owner(_) => None,
            Self::Running(_, live) => live.has(run).then_some(*live),
        }
    }

    /// Append what was decided about a run that is not under way here, and about those that it
    /// began; gives the number of the first entry.
    pub(crate) fn append(&self, mut drafts: Vec<cog_ledger::Draft>) -> anyhow::Result<u64> {
        let entries = match self {
            Self::Own(home) => home.append(drafts)?,
            // A node records what it is asked for by itself.
            Self::Owner(owner) => owner.home().append(drafts)?,
            Self::Running(home, live) => {
                home.seal(&mut drafts)?;
                let entries = live.append(home.tenant, drafts)?;
                entries.into_iter().map(Durable::into_inner).collect()
            }
        };
        Ok(entries.first().map_or(0, |entry| entry.seq()))
    }
}

/// Have something decided by whoever has the folder, or here when nobody has; of a ledger in the
/// database, by the node that owns it. Gives the document that says what came of it.
pub(crate) fn done(asking: &Asking, data: &Path, request: &Request) -> anyhow::Result<Value> {
    if whose(&asking.at)?.is_some() {
        let home = Home::at(&asking.at, || Home::change(data))?;
        return decide(request, &Way::Owner(Owner::of(&home, asking.timeout)?));
    }
    for _ in 0..client::TRIES_MAX {
        if let Some(document) = elsewhere(data, request)? {
            return Ok(document);
        }
        match Home::change(data) {
            Ok(home) => return decide(request, &Way::Own(&home)),
            // Somebody began to listen between the two looks.
            Err(error) if is_in_use(&error) && client::is_there(data) => client::nap(),
            Err(error) => return Err(error),
        }
    }
    decide(request, &Way::Own(&Home::change(data)?))
}

/// Have something decided by the process that has the folder open; nothing when none listens.
pub(crate) fn elsewhere(data: &Path, request: &Request) -> anyhow::Result<Option<Value>> {
    for _ in 0..client::TRIES_MAX {
        match client::ask(data, request)? {
            client::Reply::Done(document) => return Ok(Some(document)),
            client::Reply::Failed(failure) => return Err(failure.into()),
            // It is about to give the folder back.
            client::Reply::Gone => client::nap(),
            client::Reply::Nobody => return Ok(None),
        }
    }
    Ok(None)
}

/// Decide what is asked.
pub(crate) fn decide(request: &Request, way: &Way<'_>) -> anyhow::Result<Value> {
    use crate::commands::{approvals, pause, run, signal};
    match request {
        Request::Answer { id, who, verdict } => approvals::decide(way, *id, who, verdict.as_ref()),
        Request::Delegate { id, who, to, reason } => {
            approvals::delegate::decide(way, *id, (who, to), reason.as_deref())
        }
        Request::Signal { run, sent } => signal::decide(way, *run, sent),
        Request::Hold { run, pauses, who, reason } => {
            pause::decide(way, *run, *pauses, (who, reason))
        }
        Request::Cancel { run, who, reason } => run::decide_cancel(way, *run, who, reason),
    }
}

/// Say how a run goes on about which something was decided.
pub(crate) fn goes_on(document: &Value, terminal: &Terminal) {
    let is = |name: &str| document.get(name).and_then(Value::as_bool) == Some(true);
    let run = document.get("run").and_then(Value::as_text);
    if let (true, Some(run)) = (is("paused"), run) {
        terminal.note(&format!("it is held: cognitionos unpause {run} --reason TEXT"));
    } else if is("under_way") {
        terminal.note("it is under way and goes on");
    } else if let Some(run) = run {
        terminal.note(&format!("go on with: cognitionos run --resume {run}"));
    }
}

/// Whether another process has the folder.
fn is_in_use(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.exit == Exit::Conflict)
}

/// An error as it goes over the socket, as `--json` has it.
fn failed(error: &anyhow::Error) -> Value {
    Value::map([("failed", explain(error, "cognitionos").document())])
}

fn socket(data: &Path) -> PathBuf {
    data.join(SOCKET)
}
