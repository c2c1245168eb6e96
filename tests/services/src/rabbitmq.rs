//! A private RabbitMQ broker. It, the port mapper of Erlang that it needs and the port on
//! which Erlang programs find each other listen on the loopback address alone.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::keeper::{Keeper, free_port, give, make_folder, server_user};

/// The environment variable with the address of a broker that tests may share.
pub const URL_VARIABLE: &str = "COGNITIONOS_TEST_RABBITMQ_URL";
/// The Debian package that has it.
pub const PACKAGE: &str = "rabbitmq-server";

const KEEPER: &str = include_str!("rabbitmq/keeper.sh");
const SETTINGS: &str = "\
vm_memory_high_watermark.absolute = 256MB
disk_free_limit.absolute = 16MB
collect_statistics = none
";

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The programs are not installed.
    #[error(
        "RabbitMQ is not installed, and these tests need it; install it with \
         `apt-get install {PACKAGE}`, or set {URL_VARIABLE} to the address of a broker that \
         tests may use"
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

fn failed(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> BrokerError {
    move |error| BrokerError::Failed { doing: doing.into(), why: error.to_string() }
}

/// A running broker. It stops and its folder goes with the value, or with the process.
pub struct Broker {
    port: u16,
    keeper: Keeper,
}

impl Broker {
    /// Make a broker without anything in it and start it.
    ///
    /// # Errors
    /// [`BrokerError`] says what is missing or failed.
    pub fn start() -> Result<Self, BrokerError> {
        let (broker, mapper) = programs().ok_or(BrokerError::Missing)?;
        let user = server_user("rabbitmq");
        let folder = make_folder("rabbitmq", user).map_err(failed("make a folder"))?;
        for (name, text) in [("rabbitmq.conf", SETTINGS), ("plugins", "[].\n")] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(failed(format!("write {name}")))?;
            give(&path, user).map_err(failed(format!("give {name} to the broker")))?;
        }
        let port = || free_port().map_err(failed("find a free port"));
        let (port, mapper_port, erlang_port) = (port()?, port()?, port()?);
        let keeper = Keeper::spawn(KEEPER, &folder, user, |keeper| {
            keeper.arg(&broker).arg(&mapper).arg(&folder);
            // Nothing of the machine's own broker, and nothing of ours outside the folder.
            keeper.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", &folder);
            keeper.env("LC_ALL", "C.UTF-8");
            keeper.envs([
                ("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq.conf")),
                ("RABBITMQ_ADVANCED_CONFIG_FILE", folder.join("advanced.config")),
                ("RABBITMQ_CONF_ENV_FILE", folder.join("env.conf")),
                ("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins")),
                ("RABBITMQ_GENERATED_CONFIG_DIR", folder.join("generated")),
                ("RABBITMQ_MNESIA_BASE", folder.join("data")),
                ("RABBITMQ_LOG_BASE", folder.join("logs")),
                ("RABBITMQ_PID_FILE", folder.join("pid")),
            ]);
            keeper.envs([
                ("RABBITMQ_LOGS", "-"),
                ("RABBITMQ_NODENAME", "cog@localhost"),
                ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1"),
                // The broker takes the place of its script, so that it is its number that is killed.
                ("RUNNING_UNDER_SYSTEMD", "true"),
                ("ERL_EPMD_ADDRESS", "127.0.0.1"),
                // Not as many schedulers as the machine has processors: tests are small.
                (
                    "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                    "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none",
                ),
            ]);
            keeper.envs([
                ("RABBITMQ_NODE_PORT", port.to_string()),
                ("RABBITMQ_DIST_PORT", erlang_port.to_string()),
                ("ERL_EPMD_PORT", mapper_port.to_string()),
            ]);
        });
        let keeper = keeper.map_err(failed("start the keeper of a broker"))?;
        let broker = Self { port, keeper };
        broker.restart()?;
        Ok(broker)
    }

    /// Its address, with the user that may come from this machine alone.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Kill the broker with SIGKILL, as a crash of the machine would, and wait until it is
    /// gone.
    ///
    /// # Errors
    /// [`BrokerError`] when the keeper is gone.
    pub fn kill(&self) -> Result<(), BrokerError> {
        self.order("kill", "killed")
    }

    /// Stop the broker in good order.
    ///
    /// # Errors
    /// [`BrokerError`] when the keeper is gone.
    pub fn stop(&self) -> Result<(), BrokerError> {
        self.order("stop", "stopped")
    }

    /// Start the broker again after [`Broker::kill`] or [`Broker::stop`], and wait until it
    /// takes connections.
    ///
    /// # Errors
    /// [`BrokerError`] with the end of the broker's log.
    pub fn restart(&self) -> Result<(), BrokerError> {
        self.order("start", "ready")
    }

    fn order(&self, order: &str, done: &str) -> Result<(), BrokerError> {
        let doing = format!("{order} a broker");
        self.keeper.order(order, done).map_err(|why| BrokerError::Failed { doing, why })
    }
}

/// The address of the broker that the tests of this process share: the one that
/// [`URL_VARIABLE`] names, or else one that is started now and ends with the process.
///
/// # Errors
/// [`BrokerError`] says what is missing or failed.
pub fn shared_url() -> Result<String, BrokerError> {
    static OWN: OnceLock<Result<Broker, String>> = OnceLock::new();
    if let Ok(url) = std::env::var(URL_VARIABLE) {
        return Ok(url);
    }
    let own = OWN.get_or_init(|| Broker::start().map_err(|error| error.to_string()));
    let why = |why: &String| BrokerError::Failed {
        doing: "start the broker that these tests share".to_owned(),
        why: why.clone(),
    };
    own.as_ref().map(Broker::url).map_err(why)
}

/// The programs of the broker and of the port mapper, where packages put them.
#[must_use]
pub fn programs() -> Option<(PathBuf, PathBuf)> {
    let first = |places: &[&str]| {
        places.iter().map(Path::new).find(|path| path.is_file()).map(Path::to_owned)
    };
    // Not the one in sbin, which changes to the user and the folders of the machine's own.
    let broker =
        first(&["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server"])?;
    let mapper = first(&["/usr/bin/epmd", "/usr/local/bin/epmd", "/usr/lib/erlang/bin/epmd"])?;
    Some((broker, mapper))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::keeper::goes_with_its_process;

    /// Whether it speaks AMQP: it answers the header of the protocol with a frame.
    fn answers(broker: &Broker) -> bool {
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", broker.port)) else {
            return false;
        };
        let mut first = [0; 1];
        let asked =
            stream.write_all(b"AMQP\0\0\x09\x01").and_then(|()| stream.read_exact(&mut first));
        asked.is_ok() && first == [1]
    }

    #[test]
    fn a_broker_goes_with_the_process_that_started_it_however_that_ends() {
        goes_with_its_process("a_broker_goes_with_the_process", || {
            let broker = Broker::start().unwrap();
            let folder = broker.keeper.folder().to_owned();
            (broker, folder)
        });
    }

    #[test]
    fn a_broker_starts_stops_and_survives_being_killed() {
        let broker = Broker::start().unwrap();
        let folder = broker.keeper.folder().to_owned();
        assert!(answers(&broker));
        broker.kill().unwrap();
        assert!(!answers(&broker));
        broker.restart().unwrap();
        assert!(answers(&broker));
        broker.stop().unwrap();
        assert!(!answers(&broker));
        drop(broker);
        assert!(!folder.exists());
    }
}
