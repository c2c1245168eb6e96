//! A private PostgreSQL cluster.

mod database;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::keeper::{Keeper, as_user, free_port, give, make_folder, server_user};

pub use database::{APPLICATION, Database, OWNER};

/// The environment variable with the address of a cluster that tests may share, as its
/// superuser, with `{database}` where the name of a database goes.
pub const URL_VARIABLE: &str = "COGNITIONOS_TEST_POSTGRES_URL";
/// The oldest release that will do.
pub const VERSION_MIN: u32 = 15;
/// The Debian package that has it.
pub const PACKAGE: &str = "postgresql";

const KEEPER: &str = include_str!("postgres/keeper.sh");

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
    port: Option<u16>,
    keeper: Keeper,
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
        let port = free_port().map_err(failed("find a free port"))?;
        Self::with(&["ssl=on"], Some(port), &files)
    }

    fn with(
        settings: &[&str],
        port: Option<u16>,
        files: &[(&str, &str)],
    ) -> Result<Self, ClusterError> {
        let programs = programs().ok_or(ClusterError::Missing)?;
        let user = server_user("postgres");
        let folder = make_folder("postgres", user).map_err(failed("make a folder"))?;
        let data = folder.join("data");
        let mut initdb = as_user(&programs.join("initdb"), user);
        initdb.args(["-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "-D"]);
        initdb.arg(&data).args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        run(initdb.current_dir(&folder), "make a cluster")?;
        for (name, text) in files {
            let path = data.join(name);
            std::fs::write(&path, text).map_err(failed(format!("write {name}")))?;
            give(&path, user).map_err(failed(format!("give {name} to the server")))?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, mode).map_err(failed(format!("guard {name}")))?;
        }
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
        let keeper = Keeper::spawn(KEEPER, &folder, user, |keeper| {
            keeper.arg(&programs).arg(&folder);
            keeper.args(options.iter().flat_map(|option| ["-c", option]));
            if let Some(port) = port {
                keeper.env("PGPORT", port.to_string());
            }
        });
        let keeper = keeper.map_err(failed("start the keeper of a cluster"))?;
        let cluster = Self { port, keeper };
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
        let socket = self.keeper.folder().to_string_lossy().replace('/', "%2F");
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
        let doing = format!("{order} a cluster");
        self.keeper.order(order, done).map_err(|why| ClusterError::Failed { doing, why })
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
    use crate::keeper::goes_with_its_process;

    fn answers(url: &str) -> bool {
        let psql = programs().unwrap().join("psql");
        let output = Command::new(psql).args([url, "-Atc", "SELECT 1"]).output();
        output.is_ok_and(|output| output.stdout == b"1\n")
    }

    #[test]
    fn a_cluster_goes_with_the_process_that_started_it_however_that_ends() {
        goes_with_its_process("a_cluster_goes_with_the_process", || {
            let cluster = Cluster::start(&[]).unwrap();
            let folder = cluster.keeper.folder().to_owned();
            (cluster, folder)
        });
    }

    #[test]
    fn a_cluster_starts_stops_and_survives_being_killed() {
        let cluster = Cluster::start(&[]).unwrap();
        let (url, folder) = (cluster.url("postgres"), cluster.keeper.folder().to_owned());
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
