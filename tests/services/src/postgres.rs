//! A private PostgreSQL cluster.

mod database;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

pub use database::{APPLICATION, Database, OWNER};

/// The environment variable with the address of a cluster that tests may share, as its
/// superuser, with `{database}` where the name of a database goes.
pub const URL_VARIABLE: &str = "COGNITIONOS_TEST_POSTGRES_URL";
/// The oldest release that will do.
pub const VERSION_MIN: u32 = 15;
/// The Debian package that has it.
pub const PACKAGE: &str = "postgresql";

const KEEPER: &str = include_str!("postgres/keeper.sh");
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The programs are not installed.
    #[error(
        "PostgreSQL {VERSION_MIN} or newer is not installed, and these tests need its programs \
         (initdb, postgres); install it with `apt-get install {PACKAGE}`, or set \
         {URL_VARIABLE} to the address of a cluster that tests may use as its superuser"
    )]
    Missing,
    /// A program or a file failed.
    #[error("could not {doing}: {why}")]
    Failed {
        /// What was tried, as an infinitive.
        doing: String,
        /// What was said.
        why: String,
    },
}

fn failed(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> ClusterError {
    move |error| ClusterError::Failed { doing: doing.into(), why: error.to_string() }
}

/// A running cluster. It stops and its folder goes with the value, or with the process.
pub struct Cluster {
    folder: PathBuf,
    port: Option<u16>,
    orders: Mutex<Option<(ChildStdin, BufReader<ChildStdout>)>>,
    keeper: Child,
}

impl Cluster {
    /// Make a cluster and start it. It listens on a socket in a folder that only its own
    /// user can enter. `settings` are options of the server, like `work_mem=8MB`.
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing or failed.
    pub fn start(settings: &[&str]) -> Result<Self, ClusterError> {
        Self::with(settings, None, &[])
    }

    /// As [`Cluster::start`], and it also listens on the loopback address, with TLS by this
    /// certificate and key (PEM), for users with passwords.
    ///
    /// # Errors
    /// [`ClusterError`] says what is missing or failed.
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self, ClusterError> {
        let files = [("server.crt", certificate), ("server.key", key)];
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0));
        let port = listener.and_then(|listener| listener.local_addr());
        let port = port.map_err(failed("find a free port"))?.port();
        Self::with(&["ssl=on"], Some(port), &files)
    }

    fn with(
        settings: &[&str],
        port: Option<u16>,
        files: &[(&str, &str)],
    ) -> Result<Self, ClusterError> {
        let programs = programs().ok_or(ClusterError::Missing)?;
        let user = server_user();
        let folder = make_folder(user)?;
        let data = folder.join("data");
        let mut initdb = as_user(&programs.join("initdb"), user);
        initdb.args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        initdb.arg(&data).args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        run(initdb.current_dir(&folder), "make a cluster")?;
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text).map_err(failed(format!("write {name}")))?;
            give(&path, user)?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, mode).map_err(failed(format!("guard {name}")))?;
        }
        let mut keeper = as_user(Path::new("/bin/sh"), user);
        // A group of its own: what the terminal sends to the tests is not for it.
        keeper.args(["-c", KEEPER, "keeper"]).arg(&programs).arg(&folder).process_group(0);
        let listen = if port.is_some() { "127.0.0.1" } else { "" };
        let mut options = vec![
            format!("listen_addresses={listen}"),
            format!("unix_socket_directories={}", folder.display()),
            "max_connections=300".to_owned(),
            // After a crash: one sync of the file system, not one for each of its files.
            "recovery_init_sync_method=syncfs".to_owned(),
        ];
        options.extend(port.map(|port| format!("port={port}")));
        options.extend(settings.iter().map(|setting| (*setting).to_owned()));
        keeper.args(options.iter().flat_map(|option| ["-c", option]));
        if let Some(port) = port {
            keeper.env("PGPORT", port.to_string());
        }
        keeper.current_dir(&folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().map_err(failed("start the keeper of a cluster"))?;
        let orders = keeper.stdin.take().zip(keeper.stdout.take().map(BufReader::new));
        let cluster = Self { folder, port, orders: Mutex::new(orders), keeper };
        cluster.restart()?;
        Ok(cluster)
    }

    /// The address of a database over the socket, as the superuser.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.template().replace("{database}", database)
    }

    /// The address over the socket with `{database}` in it: see [`URL_VARIABLE`].
    #[must_use]
    pub fn template(&self) -> String {
        let socket = self.folder.to_string_lossy().replace('/', "%2F");
        let port = self.port.unwrap_or(5432);
        format!("postgres://postgres@{socket}:{port}/{{database}}")
    }

    /// The port on the loopback address, if it listens there.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Kill the server with SIGKILL, as a crash of the machine would, and wait until it is
    /// gone.
    ///
    /// # Errors
    /// [`ClusterError`] when the keeper is gone.
    pub fn kill(&self) -> Result<(), ClusterError> {
        self.order("kill", "killed")
    }

    /// Stop the server in good order.
    ///
    /// # Errors
    /// [`ClusterError`] when the keeper is gone.
    pub fn stop(&self) -> Result<(), ClusterError> {
        self.order("stop", "stopped")
    }

    /// Start the server again after [`Cluster::kill`] or [`Cluster::stop`], and wait until
    /// it takes connections.
    ///
    /// # Errors
    /// [`ClusterError`] with the end of the server's log.
    pub fn restart(&self) -> Result<(), ClusterError> {
        self.order("start", "ready")
    }

    fn order(&self, order: &str, done: &str) -> Result<(), ClusterError> {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answer = String::new();
        if let Some((input, output)) = orders.as_mut() {
            let cannot = || format!("{order} a cluster");
            writeln!(input, "{order}").map_err(failed(cannot()))?;
            output.read_line(&mut answer).map_err(failed(cannot()))?;
        }
        if answer.trim_end() == done {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(10).collect();
        let why = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        Err(ClusterError::Failed { doing: format!("{order} a cluster"), why })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        // It ends by itself; whatever it says, there is nothing more to do.
        let _ = self.keeper.wait();
    }
}

/// The address of a database of the cluster that the tests of this process share: the one
/// that [`URL_VARIABLE`] names, or else one that is started now and ends with the process.
///
/// # Errors
/// [`ClusterError`] says what is missing or failed.
pub fn shared_url(database: &str) -> Result<String, ClusterError> {
    static OWN: OnceLock<Result<Cluster, String>> = OnceLock::new();
    if let Ok(template) = std::env::var(URL_VARIABLE) {
        return Ok(template.replace("{database}", database));
    }
    let own = OWN.get_or_init(|| Cluster::start(&[]).map_err(|error| error.to_string()));
    let why = |why: &String| ClusterError::Failed {
        doing: "start the cluster that these tests share".to_owned(),
        why: why.clone(),
    };
    own.as_ref().map(|cluster| cluster.url(database)).map_err(why)
}

/// The folder of the programs of the newest installed release, if it is new enough.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let config = Command::new("pg_config").arg("--bindir").output().ok();
    let config = config.and_then(|output| String::from_utf8(output.stdout).ok());
    let mut folders: Vec<PathBuf> = config.map(|path| path.trim().into()).into_iter().collect();
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    folders.extend(releases.map(|release| release.path().join("bin")));
    let found = folders.into_iter().filter_map(|folder| Some((version(&folder)?, folder)));
    found.filter(|(version, _)| *version >= VERSION_MIN).max().map(|(_, folder)| folder)
}

/// The release of the server in a folder that has all the programs.
fn version(folder: &Path) -> Option<u32> {
    if !folder.join("initdb").is_file() || !folder.join("pg_isready").is_file() {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number =
        text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    number?.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whom the server runs as when we are root, which it refuses to be: the user and group of
/// its package, or else nobody.
fn server_user() -> Option<(u32, u32)> {
    let me = Command::new("id").arg("-u").output().ok()?;
    if me.stdout != b"0\n" {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let row = users.lines().find_map(|line| line.strip_prefix("postgres:"));
    let mut numbers = row.unwrap_or("x:65534:65534").split(':').skip(1);
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    command.env("LC_ALL", "C.UTF-8");
    command
}

fn make_folder(user: Option<(u32, u32)>) -> Result<PathBuf, ClusterError> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // The path of a socket may have no more than 107 bytes.
    let name = format!("cog-postgres-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(failed(format!("make {}", folder.display())))?;
    give(&folder, user)?;
    Ok(folder)
}

fn give(path: &Path, user: Option<(u32, u32)>) -> Result<(), ClusterError> {
    let Some((user, group)) = user else { return Ok(()) };
    let given = std::os::unix::fs::chown(path, Some(user), Some(group));
    given.map_err(failed(format!("give {} to the server", path.display())))
}

fn run(command: &mut Command, doing: &str) -> Result<(), ClusterError> {
    let output = command.output().map_err(failed(doing))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ClusterError::Failed { doing: doing.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(url: &str) -> bool {
        let psql = programs().unwrap().join("psql");
        let output = Command::new(psql).args([url, "-Atc", "SELECT 1"]).output();
        output.is_ok_and(|output| output.stdout == b"1\n")
    }

    const ALONE: &str = "COGNITIONOS_TEST_ALONE_WITH_A_CLUSTER";

    #[test]
    fn a_cluster_goes_with_the_process_that_started_it_however_that_ends() {
        if std::env::var_os(ALONE).is_some() {
            let cluster = Cluster::start(&[]).unwrap();
            println!("folder {}", cluster.folder.display());
            loop {
                std::thread::park();
            }
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["however_that_ends", "--nocapture"])
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

    #[test]
    fn a_cluster_starts_stops_and_survives_being_killed() {
        let cluster = Cluster::start(&[]).unwrap();
        let (url, folder) = (cluster.url("postgres"), cluster.folder.clone());
        assert!(answers(&url));
        cluster.kill().unwrap();
        assert!(!answers(&url));
        cluster.restart().unwrap();
        assert!(answers(&url));
        cluster.stop().unwrap();
        assert!(!answers(&url));
        cluster.restart().unwrap();
        drop(cluster);
        assert!(!answers(&url) && !folder.exists());
    }
}
