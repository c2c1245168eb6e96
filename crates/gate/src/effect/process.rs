//! Programs in the operating system's sandbox.

use std::collections::BTreeMap;

use cog_base::Value;
use cog_base::bounds::{
    PROCESS_MEMORY_BYTES_MAX, PROCESS_OUTPUT_BYTES_MAX, PROCESS_TIMEOUT_MS_MAX,
};
use cog_base::json::Map;

use super::args::{Args, BadArgs};
use super::{Effect, Footprint, Redo, Resource};

/// What a program may take when nothing is said.
const TIMEOUT_MS: u64 = 60_000;
/// The memory when nothing is said.
const MEMORY: u64 = 512 << 20;
/// The output when nothing is said.
const OUTPUT: u64 = 1 << 20;

/// Run one program: no shell, no network unless granted, no file but the system's
/// libraries and the one root it works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRun {
    /// Absolute path, or a name looked up in `/usr/bin` and `/bin`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads on standard input.
    pub stdin: Option<String>,
    /// The root it works in and may write to.
    pub root: Option<String>,
    /// Whether it may use the network.
    pub network: bool,
    /// The time it may take, in milliseconds.
    pub timeout_ms: u64,
    /// The memory it may map, in bytes.
    pub memory_bytes_max: u64,
    /// The output that is kept of each stream, in bytes; more ends it.
    pub output_bytes_max: u64,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
}

impl ProcessRun {
    pub(super) fn from_args(args: &Map) -> Result<Self, BadArgs> {
        let known = [
            "program",
            "args",
            "stdin",
            "root",
            "network",
            "timeout_ms",
            "memory_bytes_max",
            "output_bytes_max",
            "env",
        ];
        let args = Args::new("process.run", &known, args)?;
        let words = match args.get("args") {
            None => Vec::new(),
            Some(value) => value
                .as_list()
                .and_then(|list| {
                    list.iter().map(|word| word.as_text().map(str::to_owned)).collect()
                })
                .ok_or_else(|| args.wrong("args", "a list of strings", value))?,
        };
        Ok(Self {
            program: args.text("program")?,
            args: words,
            stdin: args.text_or_none("stdin")?,
            root: args.text_or_none("root")?,
            network: args.flag("network")?,
            timeout_ms: args.number("timeout_ms", TIMEOUT_MS, PROCESS_TIMEOUT_MS_MAX)?,
            memory_bytes_max: args.number("memory_bytes_max", MEMORY, PROCESS_MEMORY_BYTES_MAX)?,
            output_bytes_max: args.number("output_bytes_max", OUTPUT, PROCESS_OUTPUT_BYTES_MAX)?,
            env: args.texts("env")?,
        })
    }
}

impl Effect for ProcessRun {
    fn action(&self) -> &'static str {
        "process.run"
    }
    fn resource(&self) -> Resource {
        Resource { kind: "Program", name: self.program.clone() }
    }
    fn args(&self) -> Map {
        let env = self.env.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut args = Map::from([
            ("program".into(), self.program.as_str().into()),
            ("args".into(), Value::list(self.args.iter().map(String::as_str))),
            ("network".into(), self.network.into()),
            ("timeout_ms".into(), self.timeout_ms.into()),
            ("memory_bytes_max".into(), self.memory_bytes_max.into()),
            ("output_bytes_max".into(), self.output_bytes_max.into()),
            ("env".into(), Value::map(env)),
        ]);
        if let Some(stdin) = &self.stdin {
            args.insert("stdin".into(), stdin.as_str().into());
        }
        if let Some(root) = &self.root {
            args.insert("root".into(), root.as_str().into());
        }
        args
    }
    fn footprint(&self) -> Footprint {
        let writes = self.root.iter().map(|root| format!("file:{root}")).collect();
        Footprint { writes, ..Footprint::default() }
    }
    fn redo(&self) -> Redo {
        Redo::Unknown
    }
}
