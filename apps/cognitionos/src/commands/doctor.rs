//! `doctor`: what this machine and the data folder can and cannot do.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge looks at its data folder"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cog_base::id::ReceiptId;
use cog_base::words::counted;
use cog_base::{Clock as _, Value};
use cog_gate::AnyEffect;

use crate::cli::Common;
use crate::clock;
use crate::failure::Exit;
use crate::home::Home;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone};

/// One thing that was looked at.
struct Finding {
    name: &'static str,
    state: State,
    what: String,
}

/// How it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// It works, and could be better.
    Warned,
    Bad,
}

impl From<bool> for State {
    fn from(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }
}

pub(crate) fn doctor(common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let findings = [data(common), sandbox(), randomness()].into_iter().chain(behind(common));
    let findings: Vec<Finding> = findings.chain(open_to_others(common)).collect();
    let good = findings.iter().all(|finding| finding.state != State::Bad);
    if terminal.json {
        terminal.emit(&Value::list(findings.iter().map(|finding| {
            Value::map([
                ("name", Value::from(finding.name)),
                ("ok", (finding.state != State::Bad).into()),
                ("warning", (finding.state == State::Warned).into()),
                ("what", finding.what.as_str().into()),
            ])
        })));
    } else {
        for finding in &findings {
            let (tone, mark) = match finding.state {
                State::Good => (Tone::Good, "ok"),
                State::Warned => (Tone::Ask, "!"),
                State::Bad => (Tone::Bad, "NO"),
            };
            let mark = terminal.tint(tone, &format!("{mark:<3}"));
            terminal.say(&format!("{mark} {:<12} {}", finding.name, finding.what));
        }
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

fn data(common: &Common) -> Finding {
    let shown = common.data.display();
    let (good, what) = if common.data.exists() {
        match Home::read(&common.data).and_then(|home| Ok(home.scope()?.tail()?)) {
            Ok(_) if let Err(error) = can_write(&common.data) => {
                (false, format!("{shown} cannot be written: {error}"))
            }
            Ok(Some(tail)) => {
                let entries = counted(tail.frontier.size(), "entry", "entries");
                (true, format!("{shown}: {entries}"))
            }
            Ok(None) => (true, format!("{shown}: empty")),
            Err(error) => (false, format!("{shown}: {error:#}")),
        }
    } else {
        let above = common.data.ancestors().skip(1).find(|it| it.is_dir());
        let above = above.unwrap_or_else(|| Path::new("."));
        match can_write(above) {
            Ok(()) => (true, format!("{shown} does not exist yet; the first run makes it")),
            Err(error) => (false, format!("{shown} does not exist and cannot be made: {error}")),
        }
    };
    Finding { name: "data", state: good.into(), what }
}

/// A clock that stands behind the ledger: nothing is permitted until it does not.
fn behind(common: &Common) -> Option<Finding> {
    let home = common.data.exists().then(|| Home::read(&common.data).ok()).flatten()?;
    let why = clock::behind(clock::last(&home).ok().flatten()?, SystemClock.now())?;
    let what = format!("{why}; {}", clock::WAY_OUT);
    Some(Finding { name: "clock", state: State::Bad, what })
}

/// Whether something can be made in a folder: tried, as modes do not tell all.
fn can_write(dir: &Path) -> std::io::Result<()> {
    let probe = dir.join(format!(".cog-doctor-{}", std::process::id()));
    std::fs::File::create_new(&probe)?;
    std::fs::remove_file(&probe)
}

/// Places of the data folder that others on this machine may look into. A folder that was
/// there before keeps its mode, so that its owner is told.
fn open_to_others(common: &Common) -> Vec<Finding> {
    let places = ["", "keys", "ledger.db", "ledger.db-wal", "ledger.db-shm", "keys/master.key"];
    let open = places.iter().filter_map(|place| {
        let path = if place.is_empty() { common.data.clone() } else { common.data.join(place) };
        let meta = std::fs::metadata(&path).ok()?;
        let (mode, mine) = (meta.permissions().mode(), if meta.is_dir() { 700 } else { 600 });
        let what = format!("{0} is open to others: chmod {mine} {0}", path.display());
        (mode & 0o077 != 0).then_some(Finding { name: "permissions", state: State::Warned, what })
    });
    open.collect()
}

/// Run `true` in the sandbox: what works there works for process effects.
fn sandbox() -> Finding {
    let (good, what) = match try_sandbox() {
        Ok(()) => (true, "programs can be run in it".to_owned()),
        Err(lack) => (false, format!("process.run will fail: {lack}")),
    };
    Finding { name: "sandbox", state: State::from(good), what }
}

fn try_sandbox() -> anyhow::Result<()> {
    let args = Value::map([("program", "true")]);
    let args = args.as_map().cloned().unwrap_or_default();
    let AnyEffect::ProcessRun(effect) = AnyEffect::from_args("process.run", &args)? else {
        return Ok(());
    };
    let sandbox = cog_effect_process::Sandbox::new(crate::system::program()?);
    let nonce = ReceiptId::new(SystemClock.now(), &mut SystemEntropy::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ran = runtime.block_on(sandbox.run(&effect, None, nonce));
    ran.map(|_| ()).map_err(|failure| anyhow::anyhow!(failure.message))
}

fn randomness() -> Finding {
    let drawn = cog_base::cipher::Key::new(&mut SystemEntropy::new());
    let what = if drawn.is_ok() { "the system gives it" } else { "the system gives none" };
    Finding { name: "randomness", state: drawn.is_ok().into(), what: what.to_owned() }
}
