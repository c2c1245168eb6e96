//! Lending a folder to programs, and looking at what they say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use cog_base::entropy::SeededEntropy;
use cog_base::id::ReceiptId;
use cog_base::{Timestamp, Value};
use cog_effect_process::{Sandbox, WorkFolder};
use cog_gate::Failure;
use cog_gate::effect::ProcessRun;

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A folder to lend and a secret beside it, removed at the end.
pub(crate) struct Bench {
    pub(crate) folder: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cog-effect-process-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(folder.join("root")).unwrap();
        std::fs::write(folder.join("root/in.txt"), "input\n").unwrap();
        std::fs::write(folder.join("secret.txt"), "secret").unwrap();
        Self { folder }
    }

    pub(crate) fn lend(&self, write: bool) -> WorkFolder {
        WorkFolder::new(std::fs::File::open(self.folder.join("root")).unwrap().into(), write)
    }

    /// A sandbox whose helper is started by a shell script, which finds it as `$0` and the
    /// helper's argument as `$1`. Another process writes the script: were this one to hold it
    /// open, a child that some other test forks meanwhile would hold it too, and starting it
    /// would fail with "text file busy".
    pub(crate) fn helper(&self, script: &str) -> Sandbox {
        let helper = self.folder.join("helper");
        let real = env!("CARGO_BIN_EXE_cog-sandbox-enter");
        let text = format!("#!/bin/sh\nexec sh -c '{script}' {real} \"$1\"\n");
        let written = std::process::Command::new("sh")
            .args(["-c", "printf %s \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", &text])
            .arg(&helper)
            .status();
        assert!(written.unwrap().success(), "the helper's script could not be written");
        Sandbox::new(helper)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub(crate) fn receipt() -> ReceiptId {
    let seed = COUNT.fetch_add(1, Ordering::Relaxed) + (u64::from(std::process::id()) << 32);
    ReceiptId::new(Timestamp::default(), &mut SeededEntropy::new(seed)).unwrap()
}

pub(crate) fn program(program: &str, args: &[&str]) -> ProcessRun {
    ProcessRun {
        program: program.into(),
        args: args.iter().map(|&word| word.into()).collect(),
        stdin: None,
        root: None,
        network: false,
        timeout_ms: 20_000,
        memory_bytes_max: 512 << 20,
        output_bytes_max: 1 << 20,
        env: BTreeMap::new(),
    }
}

pub(crate) fn sh(script: &str) -> ProcessRun {
    program("sh", &["-c", script])
}

pub(crate) fn python(script: &str) -> ProcessRun {
    program("python3", &["-c", script])
}

pub(crate) async fn run(
    effect: &ProcessRun,
    folder: Option<&WorkFolder>,
) -> Result<Value, Failure> {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_cog-sandbox-enter").into());
    sandbox.run(effect, folder, receipt(), None).await
}

/// `code|stdout|stderr`, or the code of the failure.
pub(crate) async fn outcome(effect: &ProcessRun, folder: Option<&WorkFolder>) -> String {
    match run(effect, folder).await {
        Ok(output) => {
            let text = |name| output.get(name).and_then(Value::as_text).unwrap_or_default();
            let code = output.get("exit_code").and_then(Value::as_int).unwrap_or(-1);
            format!("{code}|{}|{}", text("stdout"), text("stderr"))
        }
        Err(failure) => format!("{}: {}", failure.code, failure.message),
    }
}

/// What a script prints on its standard output, with or without a folder.
pub(crate) async fn prints(effect: &ProcessRun) -> String {
    let output = run(effect, None).await.unwrap();
    output.get("stdout").and_then(Value::as_text).unwrap_or_default().to_owned()
}

/// The tests that need Python say so when it is not there.
pub(crate) fn has_python() -> bool {
    let has = Path::new("/usr/bin/python3").exists();
    if !has {
        println!("skipped: /usr/bin/python3 is not installed");
    }
    has
}
