//! `serve --hooks`: webhooks that start what waits for them.
//!
//! A webhook is taken for what its signature proves and nothing else: of what is not signed, too old
//! or for no hook here nothing is read further, recorded or told but to who sent it.

#![expect(
    clippy::disallowed_types,
    reason = "the program's edge reads and makes the files of secrets"
)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cog_base::id::TenantId;
use cog_base::json::parse_loose;
use cog_base::{Clock as _, Value};
use cog_embed::{Error, Tenant};
use cog_events::hook::{Hook, NotSigned, SECRETS_MAX, Secrets, is_name};
use cog_store::Shared;
use cog_wire::{Answer, Bounds, Head, Problem, Request, Server, Service, Work};
use tokio::runtime::Runtime;
use verify::open_file;

use super::say;
use crate::cli::nodes::ServeArgs;
use crate::failure::{Exit, Failure};
use crate::shared::tenant;
use crate::system::{SystemClock, SystemEntropy, env};
use crate::terminal::{Terminal, Tone, plain};

/// The largest webhook, in bytes.
const BODY_BYTES_MAX: usize = 256 << 10;
/// The most connections at once.
const CONNECTIONS_MAX: usize = 64;
/// When a webhook that could not be taken is sent again, in milliseconds.
const AGAIN_MS: u64 = 5_000;
const PATH: &str = "/hooks/";
const MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;
/// The largest file of secrets, in bytes.
const FILE_BYTES_MAX: u64 = 192 * SECRETS_MAX as u64;

/// Where the secrets of a hook are; they themselves are nowhere in a command line.
#[derive(Clone)]
enum Kept {
    /// A file that is read anew for each webhook, so that its secrets change while the node runs.
    File(PathBuf),
    /// A variable of the environment, which stays as it is.
    Variable(String),
}

impl Kept {
    /// `FILE`, `file:FILE` or `env:NAME`.
    fn of(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("env:") {
            let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let is_name = !name.is_empty() && name.bytes().all(is_letter);
            return is_name.then(|| Self::Variable(name.to_owned()));
        }
        let file = text.strip_prefix("file:").unwrap_or(text);
        (!file.is_empty() && !Secrets::is_one(file)).then(|| Self::File(file.into()))
    }

    /// The secrets, or why there are none.
    fn read(&self) -> anyhow::Result<Secrets> {
        match self {
            Self::File(path) => read(path),
            Self::Variable(name) => {
                let text = env(name).unwrap_or_default();
                let told = |error| bad_secret(format!("the variable {name}: {error}"));
                Secrets::read(&text).map_err(told)
            }
        }
    }
}

/// Where the secrets of each hook are that was named, and whose ledger it is about.
fn named(args: &ServeArgs) -> anyhow::Result<BTreeMap<String, (String, Kept)>> {
    let mut hooks = BTreeMap::new();
    for text in &args.hooks.hook {
        let bad = |why: String| {
            let advice = "--hook NAME=TENANT:SECRET, such as shop=ten_01j…:shop.secret; SECRET is a \
                          file or env:VARIABLE, and never the secret itself";
            Failure::advise(Exit::BadInput, why, advice)
        };
        let parts = text.split_once('=').and_then(|(name, rest)| {
            let (tenant, kept) = rest.split_once(':')?;
            Some((name, tenant, Kept::of(kept)?))
        });
        let Some((name, tenant, kept)) = parts else {
            let why = match text.split_once('=') {
                // What stands behind may be the secret.
                Some((name, _)) => format!("of the hook `{}`", plain(name)),
                None => "of a hook".to_owned(),
            };
            return Err(bad(format!("{why} it is not said whose it is and where its secret is")));
        };
        if !is_name(name) {
            let name = plain(name);
            return Err(bad(format!("`{name}` is no name of a hook: a-z, 0-9 and -, at most 64")));
        }
        if hooks.insert(name.to_owned(), (tenant.to_owned(), kept)).is_some() {
            return Err(bad(format!("the hook `{name}` is named twice")));
        }
    }
    Ok(hooks)
}

/// The files that hold secrets of hooks.
pub(super) fn files(args: &ServeArgs) -> anyhow::Result<Vec<PathBuf>> {
    let file = |(_, kept)| match kept {
        Kept::File(path) => Some(path),
        Kept::Variable(_) => None,
    };
    Ok(named(args)?.into_values().filter_map(file).collect())
}

/// Listen for webhooks, if that was asked for.
pub(super) fn open(
    args: &ServeArgs,
    (store, own): (&Arc<dyn Shared>, Option<TenantId>),
    runtime: &Runtime,
    terminal: &Terminal,
) -> anyhow::Result<Option<Server>> {
    let Some(address) = args.hooks.hooks else { return Ok(None) };
    let mut doors = BTreeMap::new();
    for (name, (whose, kept)) in named(args)? {
        let tenant = tenant(&whose)?;
        // A database may hear of a tenant later; a folder has the one.
        if let Some(own) = own.filter(|own| *own != tenant) {
            let why = format!("the hook `{name}` is of {tenant}, and the data folder has {own}");
            return Err(Failure::advise(
                Exit::BadInput,
                why,
                format!("--hook {name}={own}:SECRET"),
            ));
        }
        let tenant = Tenant::of(Arc::clone(store), tenant);
        if let Kept::File(path) = &kept {
            make(path, terminal)?;
        }
        kept.read()?;
        doors.insert(name, Door { tenant, kept, is_told: AtomicBool::new(false) });
    }
    let bounds = Bounds {
        body_bytes_max: BODY_BYTES_MAX,
        connections_max: CONNECTIONS_MAX,
        ..Bounds::default()
    };
    let porter = Arc::new(Porter { doors, terminal: Mutex::new(terminal.clone()) });
    let server = Server::start(runtime.handle(), address, bounds, porter).map_err(|error| {
        let message = format!("cannot listen for webhooks at {address}: {error}");
        let advice = "--hooks 127.0.0.1:PORT, with a port that is free";
        Failure::advise(Exit::BadInput, message, advice)
    })?;
    let address = server.address();
    if !address.ip().is_loopback() {
        let warning = format!(
            "webhooks are listened for at {address} without TLS: what they say can be read on the \
             way; put something before it that has TLS"
        );
        terminal.note(&terminal.tint(Tone::Ask, &warning));
    }
    let (text, words) = (address.to_string(), format!("for webhooks at {address}"));
    say(terminal, "listening", &words, &[("hooks", text.as_str().into())]);
    Ok(Some(server))
}

fn bad_secret(why: String) -> anyhow::Error {
    let advice = "a file that is not there is made as the node begins, with a new secret in it";
    Failure::advise(Exit::BadInput, why, advice)
}

fn cannot(path: &Path, error: &std::io::Error) -> anyhow::Error {
    bad_secret(format!("cannot read or make {}: {error}", path.display()))
}

/// Make the file of secrets with a new one in it, where there is none.
fn make(path: &Path, terminal: &Terminal) -> anyhow::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(mut file) => {
            let secret = Secrets::make(&mut SystemEntropy::new())?;
            let written = file.write_all(format!("{secret}\n").as_bytes());
            written.and_then(|()| file.sync_all()).map_err(|error| cannot(path, &error))?;
            let at = path.display();
            terminal.warn(&format!("the new secret that its sender signs with is in {at}"));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cannot(path, &error)),
    }
}

/// The secrets in a file that its owner alone may read.
fn read(path: &Path) -> anyhow::Result<Secrets> {
    let (at, cannot) = (path.display(), |error| cannot(path, &error));
    let file = open_file(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        let why = format!("others may read the secret of a hook at {at}: it has mode {mode:04o}");
        return Err(Failure::advise(Exit::BadInput, why, format!("chmod 600 {at}")));
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
    Secrets::read(&text).map_err(|error| bad_secret(format!("{at}: {error}")))
}

/// Where the webhooks of a sender come in.
struct Door {
    tenant: Tenant,
    kept: Kept,
    /// It is told that its secrets cannot be read.
    is_told: AtomicBool,
}

/// Answers senders of webhooks.
struct Porter {
    doors: BTreeMap<String, Door>,
    terminal: Mutex<Terminal>,
}

impl Service for Porter {
    fn admit(&self, head: &Head) -> Result<(), Problem> {
        self.door(head)?;
        if head.method != "POST" {
            let title = "It is asked for otherwise";
            return Err(Problem::new(405, "hook.other_method", title, "this is a POST"));
        }
        hook(head)?.is_in_time(SystemClock.now()).map_err(not_signed)?;
        let kind = header(head, "content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if kind == "application/json" || kind.ends_with("+json") {
            return Ok(());
        }
        let detail = "content-type is application/json";
        Err(Problem::new(415, "hook.not_json", "A webhook is JSON", detail))
    }

    fn answer(&self, request: Request) -> Work<'_, Answer> {
        Box::pin(async move {
            let id = request.head.request_id.clone();
            self.answered(&request).await.unwrap_or_else(|problem| problem.answer(&id))
        })
    }
}

impl Porter {
    fn door<'a>(&self, head: &'a Head) -> Result<(&'a str, &Door), Problem> {
        let name = head.path.strip_prefix(PATH).unwrap_or_default();
        let door = self.doors.get(name).map(|door| (name, door));
        door.ok_or_else(|| {
            Problem::new(404, "hook.unknown", "There is no such hook", "under this path")
        })
    }

    /// The secrets of a hook as they are now. While they cannot be read nothing is taken; that is told once.
    async fn secrets(&self, name: &str, door: &Door) -> Result<Secrets, Problem> {
        let kept = door.kept.clone();
        let read = tokio::task::spawn_blocking(move || kept.read().map_err(|it| it.to_string()));
        let read = read.await.unwrap_or_else(|error| Err(error.to_string()));
        match read {
            Ok(secrets) => {
                door.is_told.store(false, Ordering::Relaxed);
                Ok(secrets)
            }
            Err(why) => {
                if !door.is_told.swap(true, Ordering::Relaxed) {
                    let words = format!("nothing for {name}: {}", plain(&why));
                    let members = [("hook", Value::from(name)), ("why", why.as_str().into())];
                    let terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
                    say(&*terminal, "closed", &words, &members);
                }
                let (title, detail) = ("Its secret cannot be read now", "send it again");
                let problem = Problem::new(503, "hook.no_secret", title, detail);
                Err(Problem { retry_after_ms: Some(AGAIN_MS), ..problem })
            }
        }
    }

    async fn answered(&self, request: &Request) -> Result<Answer, Problem> {
        let (name, door) = self.door(&request.head)?;
        let hook = hook(&request.head)?;
        let secrets = self.secrets(name, door).await?;
        hook.is_signed(&secrets, &request.body, SystemClock.now()).map_err(not_signed)?;
        let bad = |why: &str| Problem::new(400, "hook.malformed", "It is no JSON document", why);
        let text = std::str::from_utf8(&request.body).map_err(|error| bad(&error.to_string()))?;
        let data = parse_loose(text).map_err(|error| bad(&error.to_string()))?.lenient();
        let (event, tenant) = (hook.event(name, data), door.tenant.clone());
        let brought = tokio::task::spawn_blocking(move || tenant.bring(event)).await;
        let runs = brought.map_err(|_| away())?.map_err(not_begun)?;
        let runs = Value::list(runs.into_iter().map(Value::from));
        Ok(Answer::json(202, &Value::map([("runs", runs)])))
    }
}

/// The value of a header that stands there once.
fn header<'a>(head: &'a Head, name: &str) -> Option<&'a str> {
    let mut all = head.headers.iter().filter(|(own, _)| own == name);
    let (_, value) = all.next().filter(|_| all.next().is_none())?;
    Some(value)
}

fn hook(head: &Head) -> Result<Hook<'_>, Problem> {
    Hook::of(|name| header(head, name)).map_err(not_signed)
}

fn not_signed(why: NotSigned) -> Problem {
    Problem::new(401, why.code(), "It is not known who sends it", &why.to_string())
}

fn not_begun(error: Error) -> Problem {
    if matches!(error, Error::Store(_)) {
        return away();
    }
    let title = "What waits for it cannot be started by it";
    Problem::new(422, "hook.not_started", title, &error.to_string())
}

/// Where and why is nothing for who sent it.
fn away() -> Problem {
    let detail = "nothing is known of what it starts; send it again";
    let problem = Problem::new(503, "hook.store_away", "The ledger cannot be asked now", detail);
    Problem { retry_after_ms: Some(AGAIN_MS), ..problem }
}
