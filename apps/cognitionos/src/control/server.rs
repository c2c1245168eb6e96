//! Listening, in the process of a run, for what other commands ask.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the program's edge: it listens on a socket in its own data folder"
)]

use std::fs::File;
use std::io::{Error, ErrorKind};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cog_base::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::live::{Gone, Live};
use super::request::Request;
use super::{LINE_BYTES_MAX, PATH_BYTES_MAX, Way, decide, failed, socket};
use crate::failure::{Exit, Failure};
use crate::home::Home;

/// How many are heard at a time; who comes later waits.
const CALLS_MAX: u32 = 8;
/// How long a caller may take to say what it wants.
const SAYS_WITHIN: Duration = Duration::from_secs(5);
/// How long the end of the process waits for answers that are being given.
const ENDS_WITHIN: Duration = Duration::from_secs(3);
const MODE: u32 = 0o600;

/// The socket, as long as the run goes on.
pub(crate) struct Server {
    data: PathBuf,
    runtime: Handle,
    accepting: JoinHandle<()>,
    calls: Arc<Semaphore>,
}

impl Server {
    /// Listen in a folder that this process has locked. What a killed process left is replaced.
    pub(crate) fn open(data: &Path, runtime: &Handle, live: Live) -> Result<Self, Error> {
        let _inside = runtime.enter();
        let path = socket(data);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let address = Address::of(data)?;
        let listener = UnixListener::bind(address.path())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(MODE))?;
        let calls = Arc::new(Semaphore::new(CALLS_MAX as usize));
        let own = own_uid()?;
        let caller = Arc::new(Caller { data: data.to_owned(), live, own });
        let accepting = runtime.spawn(accept(listener, caller, Arc::clone(&calls)));
        Ok(Self { data: data.to_owned(), runtime: runtime.clone(), accepting, calls })
    }

    /// Hear nobody any more, and let who is being answered have the answer.
    pub(crate) fn close(self) {
        self.accepting.abort();
        let _ = std::fs::remove_file(socket(&self.data));
        let all = async {
            let all = self.calls.acquire_many(CALLS_MAX);
            tokio::time::timeout(ENDS_WITHIN, all).await.is_ok()
        };
        self.runtime.block_on(all);
    }
}

/// What a call needs.
struct Caller {
    data: PathBuf,
    live: Live,
    own: u32,
}

async fn accept(listener: UnixListener, caller: Arc<Caller>, calls: Arc<Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&calls).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(hear(stream, Arc::clone(&caller), permit))),
            // Such as no descriptors: whoever is heard will give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn hear(mut stream: UnixStream, caller: Arc<Caller>, permit: OwnedSemaphorePermit) {
    let answer = answer(&mut stream, &caller).await;
    // Whoever does not wait for the answer finds it in the ledger.
    let _ = stream.write_all(format!("{answer}\n").as_bytes()).await;
    let _ = stream.shutdown().await;
    drop(permit);
}

async fn answer(stream: &mut UnixStream, caller: &Arc<Caller>) -> Value {
    let refused = |exit, why: &str| {
        failed(&Failure::told(exit, format!("the process of the run does not take it: {why}")))
    };
    match stream.peer_cred() {
        Ok(peer) if [0, caller.own].contains(&peer.uid()) => {}
        Ok(_) => return refused(Exit::Refused, "it is for the account that started the run"),
        Err(_) => return refused(Exit::Refused, "it cannot tell who asks"),
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(LINE_BYTES_MAX));
    match tokio::time::timeout(SAYS_WITHIN, reader.read_until(b'\n', &mut line)).await {
        Ok(Ok(_)) if line.ends_with(b"\n") => {}
        Ok(Ok(_)) => return refused(Exit::BadInput, "it is cut off, or longer than 1 MiB"),
        Ok(Err(_)) | Err(_) => return refused(Exit::BadInput, "it was not said in time"),
    }
    let request = std::str::from_utf8(&line).map_err(|_| "it is not UTF-8".to_owned());
    let request = match request.and_then(|line| Request::read(line.trim_end())) {
        Ok(request) => request,
        Err(why) => return refused(Exit::BadInput, &why),
    };
    let caller = Arc::clone(caller);
    // What is decided waits for the engine and the store, on a thread that may wait.
    let decided = tokio::task::spawn_blocking(move || {
        let home = Home::open(&caller.data, cog_store_sqlite::Mode::ReadOnly)?;
        decide(&request, &Way::Running(&home, &caller.live))
    });
    match decided.await {
        Ok(Ok(document)) => Value::map([("done", document)]),
        Ok(Err(error)) if error.is::<Gone>() => Value::map([("gone", true)]),
        Ok(Err(error)) => failed(&error),
        Err(_) => refused(Exit::Failed, "it failed at it"),
    }
}

/// The account of this process.
pub(super) fn own_uid() -> Result<u32, Error> {
    Ok(std::fs::metadata("/proc/self")?.uid())
}

/// The address of the socket of a folder. A path that is too long for an address leads over the
/// open folder.
pub(super) struct Address {
    path: PathBuf,
    _folder: Option<File>,
}

impl Address {
    pub(super) fn of(data: &Path) -> Result<Self, Error> {
        let path = socket(data);
        if path.as_os_str().as_bytes().len() <= PATH_BYTES_MAX {
            return Ok(Self { path, _folder: None });
        }
        let folder = File::open(data)?;
        let path = socket(Path::new(&format!("/proc/self/fd/{}", folder.as_raw_fd())));
        Ok(Self { path, _folder: Some(folder) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
