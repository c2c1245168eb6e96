//! `doctor`: what this machine and the data folder can and cannot do, and whether the ledger
//! holds: all of a short one, the newest entries of any other, unless all is asked for.

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
use cog_ledger::audit::Findings;

use super::ledger::{advice, verify};
use crate::cli::Common;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::folders::Secrets;
use crate::home::{Home, no_canon, told};
use crate::shared::is_of_the_folder;
use crate::system::{SystemClock, SystemEntropy};
use crate::terminal::{Terminal, Tone};

/// How many of the newest entries a quick look reads; a ledger with no more is looked at whole.
const LOOKED_AT: u64 = 1_000;
/// The most findings in the ledger that are told.
const TOLD_MAX: usize = 20;

/// One thing that was looked at.
struct Finding {
    name: &'static str,
    state: State,
    what: String,
    code: Option<&'static str>,
    /// What to do about it.
    advice: Option<String>,
}

impl Finding {
    fn new(name: &'static str, state: impl Into<State>, what: impl Into<String>) -> Self {
        Self { name, state: state.into(), what: what.into(), code: None, advice: None }
    }

    /// An error, with its code and what to do about it.
    fn failed(name: &'static str, what: &str, error: &anyhow::Error) -> Self {
        let failure = error.downcast_ref::<Failure>();
        Self {
            name,
            state: State::Bad,
            what: failure.map_or_else(
                || format!("{what}: {error:#}"),
                |failure| format!("{what}: {}", failure.message),
            ),
            code: failure.and_then(|failure| failure.code),
            advice: failure.and_then(|failure| failure.advice.clone()),
        }
    }
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

pub(crate) fn doctor(deep: bool, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    is_of_the_folder()?;
    let findings = std::iter::once(data(common)).chain(ledger(deep, common));
    let findings = findings.chain([sandbox(common), randomness()]).chain(behind(common));
    let findings: Vec<Finding> = findings.chain(open_to_others(common)).collect();
    let good = findings.iter().all(|finding| finding.state != State::Bad);
    if terminal.json {
        terminal.emit(&Value::list(findings.iter().map(|finding| {
            Value::map([
                ("name", Value::from(finding.name)),
                ("ok", (finding.state != State::Bad).into()),
                ("warning", (finding.state == State::Warned).into()),
                ("what", finding.what.as_str().into()),
                ("code", finding.code.into()),
                ("advice", finding.advice.clone().into()),
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
            let code = finding.code.map(|code| format!(" ({code})")).unwrap_or_default();
            terminal.say(&format!("{mark} {:<12} {}{code}", finding.name, finding.what));
        }
        let mut told = std::collections::BTreeSet::new();
        let advice = findings.iter().filter_map(|finding| finding.advice.as_ref());
        for advice in advice.filter(|advice| told.insert(*advice)) {
            terminal.say(&format!("What to do: {advice}"));
        }
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

fn data(common: &Common) -> Finding {
    let shown = common.data.display();
    if common.data.exists() {
        return match Home::read(&common.data).and_then(|home| Ok(home.scope()?.tail()?)) {
            Ok(_) if let Err(error) = can_write(&common.data) => {
                Finding::new("data", false, format!("{shown} cannot be written: {error}"))
            }
            Ok(Some(tail)) => {
                let entries = counted(tail.frontier.size(), "entry", "entries");
                Finding::new("data", true, format!("{shown}: {entries}"))
            }
            Ok(None) => Finding::new("data", true, format!("{shown}: empty")),
            Err(error) => Finding::failed("data", &shown.to_string(), &error),
        };
    }
    let above = common.data.ancestors().skip(1).find(|it| it.is_dir());
    match can_write(above.unwrap_or_else(|| Path::new("."))) {
        Ok(()) => {
            let what = format!("{shown} does not exist yet; the first run makes it");
            Finding::new("data", true, what)
        }
        Err(error) => {
            let what = format!("{shown} does not exist and cannot be made: {error}");
            Finding::new("data", false, what)
        }
    }
}

/// Whether the ledger holds, as far as it is looked at. One that does not open was told.
fn ledger(deep: bool, common: &Common) -> Vec<Finding> {
    let home = common.data.exists().then(|| Home::look(&common.data).ok()).flatten();
    let Some(home) = home else { return Vec::new() };
    match looked(&home, deep) {
        Ok(found) => found,
        Err(error) => vec![Finding::failed("ledger", "it cannot be looked at", &error)],
    }
}

fn looked(home: &Home, deep: bool) -> anyhow::Result<Vec<Finding>> {
    let size = match home.scope().map(|scope| scope.tail()) {
        Ok(Ok(tail)) => tail.map_or(0, |tail| tail.frontier.size()),
        // It is damaged: all that is wrong is told.
        Ok(Err(_)) | Err(_) => LOOKED_AT,
    };
    let (findings, good) = if size > 0 && (deep || size <= LOOKED_AT) {
        let entries = counted(size, "entry", "entries");
        (
            verify::look(home, &[])?.findings,
            format!("{entries} and all that stands beside them hold"),
        )
    } else {
        let good = format!("its end, keys, open runs and newest {LOOKED_AT} entries hold");
        (quick(home)?, format!("{good}; --deep looks at all"))
    };
    let mut found: Vec<Finding> = findings.kept().iter().take(TOLD_MAX).map(told_finding).collect();
    if findings.is_empty() && size > 0 {
        found.extend(canons(home)?);
    }
    if found.is_empty() && size > 0 {
        found.push(Finding::new("ledger", true, good));
    }
    let more = findings.total().saturating_sub(TOLD_MAX as u64);
    if more > 0 {
        let what = format!("{}: cognitionos ledger verify", counted(more, "more", "more"));
        found.push(Finding::new("ledger", false, what));
    }
    Ok(found)
}

/// The tables and the end of the ledger, and its newest entries.
fn quick(home: &Home) -> anyhow::Result<Findings> {
    let mut findings = home.folder()?.check_schema().map_err(told)?;
    for it in home.folder()?.look(home.tenant, LOOKED_AT).map_err(told)?.kept() {
        findings.add(it.seq, it.code, it.message.as_str());
    }
    Ok(findings)
}

fn told_finding(finding: &cog_ledger::audit::Finding) -> Finding {
    let place = finding.seq.map(|seq| format!("entry {seq}: ")).unwrap_or_default();
    Finding {
        code: Some(finding.code),
        advice: Some(advice(finding.code).to_owned()),
        ..Finding::new("ledger", false, format!("{place}{}", finding.message))
    }
}

/// The versions of canon in force whose files are not kept, or do not load.
fn canons(home: &Home) -> anyhow::Result<Vec<Finding>> {
    let mut found = Vec::new();
    for (domain, digest) in home.change_control()?.domains() {
        let error = match home.canon(digest) {
            Ok(Some(_)) => continue,
            Ok(None) => no_canon(digest),
            Err(error) => error,
        };
        found.push(Finding::failed("canon", &format!("of `{domain}`"), &error));
    }
    Ok(found)
}

/// A clock that stands behind the ledger: nothing is permitted until it does not.
fn behind(common: &Common) -> Option<Finding> {
    let home = common.data.exists().then(|| Home::read(&common.data).ok()).flatten()?;
    let why = clock::behind(clock::last(&home).ok().flatten()?, SystemClock.now())?;
    Some(Finding::new("clock", false, format!("{why}; {}", clock::WAY_OUT)))
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
        (mode & 0o077 != 0).then(|| Finding::new("permissions", State::Warned, what))
    });
    open.collect()
}

/// Run `true` in the sandbox: what works there works for process effects.
fn sandbox(common: &Common) -> Finding {
    let hidden = || Secrets::of_folder(&common.data).keep_hidden().map_err(anyhow::Error::msg);
    let (good, what) = match hidden().and_then(|()| try_sandbox()) {
        Ok(()) => (true, "programs can be run in it".to_owned()),
        Err(lack) => (false, format!("process.run will fail: {lack}")),
    };
    Finding::new("sandbox", good, what)
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
    let ran = runtime.block_on(sandbox.run(&effect, None, nonce, None));
    ran.map(|_| ()).map_err(|failure| anyhow::anyhow!(failure.message))
}

fn randomness() -> Finding {
    let drawn = cog_base::cipher::Key::new(&mut SystemEntropy::new());
    let what = if drawn.is_ok() { "the system gives it" } else { "the system gives none" };
    Finding::new("randomness", drawn.is_ok(), what)
}
