//! The one that looks after a server: a shell script that takes orders and outlives nobody.
//! It is told by the end of its input that the process that started it is gone, stops the
//! server and removes the folder.

use std::io::{BufRead as _, BufReader, Error, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Whom a server runs as.
pub(crate) type User = Option<(u32, u32)>;

/// A running keeper and the folder that goes with it.
pub(crate) struct Keeper {
    folder: PathBuf,
    orders: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    child: Child,
}

impl Keeper {
    /// Start a script. Arguments and environment are set by `prepare`.
    pub(crate) fn spawn(
        script: &str,
        folder: &Path,
        user: User,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, Error> {
        let mut command = as_user(Path::new("/bin/sh"), user);
        // A group of its own: what the terminal sends to the tests is not for it.
        command.args(["-c", script, "keeper"]).process_group(0);
        prepare(&mut command);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let orders = child.stdin.take().zip(child.stdout.take().map(BufReader::new));
        Ok(Self { folder: folder.to_owned(), orders: Mutex::new(orders), child })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Give an order and wait until it answers. Otherwise the end of the server's log.
    pub(crate) fn order(&self, order: &str, done: &str) -> Result<(), String> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = String::new();
        if let Some((input, output)) = orders.as_mut() {
            writeln!(input, "{order}").map_err(|error| error.to_string())?;
            output.read_line(&mut answer).map_err(|error| error.to_string())?;
        }
        if answer.trim_end() == done {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        Err(lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        // It ends by itself; whatever it says, there is nothing more to do.
        let _ = self.child.wait();
    }
}

/// Whom a server runs as when we are root: the user and group of its package, or else
/// nobody.
pub(crate) fn server_user(name: &str) -> User {
    let me = Command::new("id").arg("-u").output().ok()?;
    if me.stdout != b"0\n" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let row = users.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let mut numbers = row.unwrap_or("x:65534:65534").split(':').skip(1);
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

pub(crate) fn as_user(program: &Path, user: User) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// A new folder that only the user can enter. Its name is short: the path of a socket may
/// have no more than 107 bytes.
pub(crate) fn make_folder(what: &str, user: User) -> Result<PathBuf, Error> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("cog-{what}-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    give(&folder, user)?;
    Ok(folder)
}

pub(crate) fn give(path: &Path, user: User) -> Result<(), Error> {
    let Some((user, group)) = user else { return Ok(()) };
    std::os::unix::fs::chown(path, Some(user), Some(group))
}

/// A port of the loopback address that nobody listens on now.
pub(crate) fn free_port() -> Result<u16, Error> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Tests that a server goes with the process that started it, however that ends. `start` is
/// called in another process, and returns the server and its folder.
#[cfg(test)]
pub(crate) fn goes_with_its_process<T>(test: &str, start: impl FnOnce() -> (T, PathBuf)) {
    const ALONE: &str = "COGNITIONOS_TEST_ALONE_WITH_A_SERVER";
    if std::env::var_os(ALONE).is_some() {
        let (_server, folder) = start();
        println!("folder {}", folder.display());
        loop {
            std::thread::park();
        }
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--nocapture"])
        .env(ALONE, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut folders = lines.filter_map(|line| {
        line.unwrap().split_once("folder ").map(|(_, rest)| PathBuf::from(rest))
    });
    let folder = folders.next().unwrap();
    assert!(folder.is_dir());
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = std::time::Instant::now();
    while folder.exists() {
        assert!(begun.elapsed().as_secs() < 60, "{} is still there", folder.display());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
