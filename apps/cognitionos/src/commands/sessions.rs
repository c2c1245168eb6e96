//! `sessions accept`: a session that ended elsewhere, taken in as evidence where the canon permits
//! it, once.

mod proof;

use std::io::Read as _;
use std::path::Path;

use cog_base::Value;
use cog_base::id::{MailId, RunId};
use cog_base::json::Map;
use cog_gate::AnyEffect;
use cog_gate::effect::SessionAccept;
use cog_ledger::{Entry, Kind};
use cog_store::{Delivery, Select};
use verify::open_file;

use crate::canon_dir;
use crate::cli::Common;
use crate::cli::sessions::{AcceptArgs, SessionsCommand};
use crate::commands::run::accept::{Asked, start, submitted};
use crate::commands::run::scheduled::take_up;
use crate::commands::submit::waiting::{Patience, wait};
use crate::failure::{Exit, Failure};
use crate::given;
use crate::home::{Home, told};
use crate::shared::whose;
use crate::terminal::{Terminal, plain};

/// How many runs of one completion are looked for one by one.
const LOOKED_AT_MAX: u64 = 100;
/// What an event is to be.
const SHAPE: &str = "give one event in the JSON format of CloudEvents 1.0, such as a line of \
                     cognitionos ledger events --json";

pub(crate) fn sessions(
    command: &SessionsCommand,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    match command {
        SessionsCommand::Accept(args) => accept(args, common, terminal),
    }
}

fn accept(args: &AcceptArgs, common: &Common, terminal: &Terminal) -> anyhow::Result<Exit> {
    let actor = given::actor(&args.by.actor)?;
    let event = event(&args.event)?;
    let effect = match &args.proof {
        Some(file) => proof::proven(&event, file, &args.key)?,
        None => effect(&event, None)?,
    };
    let of_nodes = whose(&args.at)?.is_some();
    if of_nodes && args.canon.is_some() {
        let message =
            "in the database the canon in force decides, and no folder founds a domain here";
        let advice = "cognitionos canon propose DIR --tenant TENANT --as user:NAME";
        return Err(Failure::advise(Exit::BadInput, message, advice));
    }
    let beside = Path::new("canon");
    let beside = (!of_nodes && canon_dir::is_canon(beside)).then(|| beside.to_owned());
    let canon = args.canon.clone().or(beside);
    let folder = || {
        if canon.is_some() { Home::write(&common.data) } else { Home::change(&common.data) }
    };
    let home = Home::at(&args.at, folder)?;
    let domain = domain(&home, args, canon.as_deref())?;
    match standing(&home, &domain, &effect)? {
        Standing::New(run) => {
            let (environment, canon) = (args.environment.as_deref(), args.canon.as_deref());
            let asked = Asked { run, effect: &effect, domain: &domain, environment, canon };
            let exit = if of_nodes {
                submitted(&home, &asked, &actor, terminal)?
            } else {
                start(&home, &asked, &actor, common, terminal)?
            };
            if let Some(outcome) = outcome(&home, run)? {
                tell(&outcome, run, false, terminal);
            }
            Ok(exit)
        }
        // Delivered again, it goes on as far as it can: somebody may have answered.
        Standing::Open(run) => {
            let exit = if of_nodes {
                wait(home.database()?, home.tenant, run, Patience::ENDLESS, terminal)?
            } else {
                drop(home);
                take_up(run, &actor, None, common, terminal)?
            };
            let home = Home::at(&args.at, || Home::read(&common.data))?;
            if let Some(outcome) = outcome(&home, run)? {
                tell(&outcome, run, false, terminal);
            }
            Ok(exit)
        }
        Standing::There(run, outcome) => {
            tell(&outcome, run, true, terminal);
            Ok(Exit::Done)
        }
    }
}

/// The text of the event that is named; `-` is standard input.
pub(super) fn event(file: &Path) -> anyhow::Result<String> {
    let name = given::name(file);
    let path = if file == Path::new("-") { Path::new("/dev/stdin") } else { file };
    let mut text = String::new();
    let most = cog_events::BYTES_MAX as u64 + 1;
    let read = open_file(path).map_err(|error| error.to_string());
    let read = read.and_then(|file| {
        file.take(most).read_to_string(&mut text).map_err(|error| error.to_string())
    });
    read.map_err(|error| {
        Failure::advise(Exit::BadInput, format!("cannot read {name}: {error}"), SHAPE)
    })?;
    if text.len() > cog_events::BYTES_MAX {
        let message = format!("{name} is larger than an event may be: 65,536 bytes");
        return Err(Failure::advise(Exit::BadInput, message, SHAPE));
    }
    cog_events::read(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let message = format!("{name}: {error}{}", cause.unwrap_or_default());
        Failure::advise(Exit::BadInput, message, SHAPE)
    })?;
    Ok(text)
}

/// What is asked of the gate.
fn effect(event: &str, proof: Option<(&str, &str)>) -> anyhow::Result<SessionAccept> {
    let mut args = Map::from([("event".to_owned(), event.into())]);
    if let Some((proof, key)) = proof {
        args.insert("proof".into(), proof.into());
        args.insert("key".into(), key.into());
    }
    let effect = AnyEffect::from_args(SessionAccept::ACTION, &args)
        .map_err(|error| Failure::advise(Exit::BadInput, error, SHAPE))?;
    let AnyEffect::SessionAccept(effect) = effect else {
        return Err(Failure::told(Exit::Failed, "no completion was made of the event"));
    };
    Ok(effect)
}

/// Which canon decides.
fn domain(home: &Home, args: &AcceptArgs, canon: Option<&Path>) -> anyhow::Result<String> {
    if let Some(domain) = &args.domain {
        return Ok(domain.clone());
    }
    if let Some(dir) = canon {
        return Ok(canon_dir::load(dir)?.1.domain().to_owned());
    }
    let change = home.change_control()?;
    let domains: Vec<String> = change.domains().map(|(domain, _)| plain(domain)).collect();
    match domains.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(Failure::advise(
            Exit::BadInput,
            "no domain has a canon here, so nothing is taken in",
            "--canon DIR, of a canon that says from which sources",
        )),
        several => {
            let message = format!("several domains have a canon here: {}", several.join(", "));
            Err(Failure::advise(Exit::BadInput, message, "--domain NAME"))
        }
    }
}

/// How a completion stands.
enum Standing {
    /// It was not taken in; this run would do it.
    New(RunId),
    /// A run is about to take it in.
    Open(RunId),
    /// A run took it in: this is the outcome.
    There(RunId, Box<Entry>),
}

/// A completion has one run in a domain. When that was refused it may be brought again, for the
/// canon may have changed: whatever was refused is in nobody's way.
fn standing(home: &Home, domain: &str, effect: &SessionAccept) -> anyhow::Result<Standing> {
    let scope = home.scope()?;
    let run = |tried| run_of(home, domain, effect, tried);
    // Nodes may refuse a run before it begins.
    let is_refused = |run: RunId| {
        let id = MailId::from_uuid(run.uuid());
        let delivery =
            home.is_of_nodes().then(|| home.database()?.delivery(home.tenant, id).map_err(told));
        Ok::<_, anyhow::Error>(matches!(
            delivery.transpose()?.flatten(),
            Some(Delivery::Refused(_))
        ))
    };
    let is_there = |tried| {
        let session = scope.session(run(tried)).map_err(told)?;
        Ok::<_, anyhow::Error>(session.is_some() || is_refused(run(tried))?)
    };
    // The first of them may be pruned. Only the last can be anything but refused.
    let mut last = None;
    for tried in 0..LOOKED_AT_MAX {
        last = if is_there(tried)? { Some(tried) } else { last };
    }
    if last == Some(LOOKED_AT_MAX - 1) {
        let (mut there, mut none) = (LOOKED_AT_MAX - 1, LOOKED_AT_MAX);
        while is_there(none)? {
            (there, none) = (none, none.saturating_mul(2));
        }
        while none - there > 1 {
            let middle = there + (none - there) / 2;
            if is_there(middle)? { there = middle } else { none = middle }
        }
        last = Some(there);
    }
    let Some(last) = last else { return Ok(Standing::New(run(0))) };
    let Some(session) = scope.session(run(last)).map_err(told)? else {
        return Ok(Standing::New(run(last.saturating_add(1))));
    };
    let outcome = outcome(home, run(last))?;
    if session.status.is_some() && outcome.is_none() {
        return Ok(Standing::New(run(last.saturating_add(1))));
    }
    same(home, run(last), session.first, effect)?;
    Ok(match outcome {
        Some(outcome) => Standing::There(run(last), Box::new(outcome)),
        None => Standing::Open(run(last)),
    })
}

/// The run of a completion, the same whenever it is brought: domain, source and id say which it is.
fn run_of(home: &Home, domain: &str, effect: &SessionAccept, tried: u64) -> RunId {
    let (source, id) = effect.completion();
    let named = Value::map([
        ("domain", Value::from(domain)),
        ("id", id.into()),
        ("source", source.into()),
        ("tenant", home.tenant.into()),
        ("tried", tried.into()),
    ]);
    let digest = cog_base::Digest::in_context("cognitionos/completion/v2", &named.canonical());
    RunId::from_uuid(cog_base::id::Uuid::of(&digest))
}

/// Refuse another event with the `source` and `id` of one that was taken in.
fn same(home: &Home, run: RunId, first: u64, brought: &SessionAccept) -> anyhow::Result<()> {
    let entry = home.scope()?.entry(first).map_err(told)?;
    let body = entry.map(|entry| home.record(entry)).transpose()?.and_then(|record| record.body);
    let input = |name: &str| body.as_ref().and_then(|body| body.at(&["inputs", name])?.as_text());
    let known =
        input("event").and_then(|event| effect(event, input("proof").zip(input("key"))).ok());
    let (source, id) = brought.completion();
    let what = match known {
        Some(known) if brought.is_same(&known) => return Ok(()),
        Some(_) => "says something else",
        None => "was erased, and nobody can tell whether this is it",
    };
    let message = format!("the event of {source} with the id {id} that {run} has {what}");
    let advice = format!("cognitionos why {run}");
    Err(Failure::advise(Exit::Conflict, plain(&message), advice))
}

/// What came of a run that takes one completion in, if it did.
fn outcome(home: &Home, run: RunId) -> anyhow::Result<Option<Entry>> {
    let kinds = vec![Kind::Outcome];
    let found = home.scope()?.select(&Select { kinds, ..Select::session(run) }).map_err(told)?;
    Ok(found.into_iter().find(|entry| entry.text("disposition") == Some("completed")))
}

fn tell(outcome: &Entry, run: RunId, again: bool, terminal: &Terminal) {
    let receipt = outcome.text("receipt").unwrap_or_default();
    if terminal.json {
        terminal.emit(&Value::map([
            ("event", Value::from("accepted")),
            ("run", run.into()),
            ("receipt", receipt.into()),
            ("outcome", outcome.seq().into()),
            ("again", again.into()),
        ]));
        return;
    }
    let seq = outcome.seq();
    if again {
        terminal.say(&format!("taken in before: entry {seq}, under {receipt}"));
        terminal.note("nothing was added");
    } else {
        terminal.say(&format!("\ntaken in as evidence: entry {seq}, under {receipt}"));
    }
    terminal.say(&format!("  cognitionos why {receipt}"));
    let promote = format!("  cognitionos canon propose DIR --as user:NAME --evidence {seq}");
    terminal.say(&promote);
}
