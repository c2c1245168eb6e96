//! From the start of the program to its first receipt.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::canons::{Generated, SHARED, Spread};
use crate::meter::{Figures, Samples};
use crate::options::{Kept, Options};
use crate::report::Row;
use crate::system::Scratch;
use crate::{flight, usage};

const TIMES: usize = 20;
const TIMES_QUICK: usize = 5;
const POLICIES: u64 = 10;
const PROGRAM: &str = "cognitionos";
const UNIT: &str = "start";

pub(crate) fn run(options: &Options) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    if options.wants_store(Kept::Sqlite) {
        rows.extend(embedded(options)?);
    }
    rows.extend(flight::run(options)?);
    Ok(rows)
}

fn embedded(options: &Options) -> anyhow::Result<Vec<Row>> {
    let cases = ["with a fresh data folder", "with a data folder that is there"];
    let Some(program) = program()? else {
        let why = "the program is not built; run `cargo build --release -p cognitionos` first";
        return Ok(cases.map(|case| Row::skipped(case, UNIT, why.to_owned())).into());
    };
    let times = if options.quick { TIMES_QUICK } else { TIMES };
    let bare = (!options.alone).then(|| measure(times, |_| version(&program))).transpose()?;
    let scratch = Scratch::new(&options.data, "start")?;
    let place = std::path::absolute(scratch.path())?;
    write(&place).context("the workflow to start")?;
    // Reading the program from disk is not what is measured.
    let warm = |number: &str| receipt(&program, &place, &place.join(number));
    warm("kept")?;
    let fresh = measure(times, |turn| warm(&format!("fresh-{turn}")))?;
    let kept = measure(times, |_| warm("kept"))?;
    Ok([fresh, kept]
        .into_iter()
        .zip(cases)
        .map(|(figures, case)| {
            Row::new(case, UNIT, figures)
                .parameter("times", times)
                .parameter("policies", POLICIES)
                .floor("the program says its version", bare.clone())
        })
        .collect())
}

/// The program beside this one.
fn program() -> anyhow::Result<Option<PathBuf>> {
    let own = std::env::current_exe().context("where this program stands")?;
    let path = own.with_file_name(PROGRAM);
    Ok(path.is_file().then_some(path))
}

/// The time that `operation` returns counts, and the CPU of all children.
fn measure(
    times: usize,
    mut operation: impl FnMut(usize) -> anyhow::Result<Duration>,
) -> anyhow::Result<Figures> {
    let mut samples = Samples::default();
    let (cpu, mut wall) = (usage::cpu_of_children(), Duration::ZERO);
    for turn in 0..times {
        let time = operation(turn)?;
        samples.note(time);
        wall += time;
    }
    let cpu = usage::cpu_of_children().saturating_sub(cpu);
    Ok(samples.figures(times as u64, wall, cpu))
}

fn version(program: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let output = Command::new(program).arg("--version").output()?;
    if !output.status.success() {
        bail!("the program does not say its version: {}", output.status);
    }
    Ok(began.elapsed())
}

/// A workflow of one step with its canon and a file to read.
fn write(place: &Path) -> anyhow::Result<()> {
    let workflow = format!(
        "name: bench\ndomain: bench\nenvironment: production\n\
         roots: {{ {SHARED}: {{ path: ./in, access: read }} }}\n\
         steps:\n  - {{ id: read, as: \"agent:a0\", uses: file.read, \
         with: {{ root: {SHARED}, path: hello.txt }} }}\n"
    );
    let put = |path: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let path = place.join(path);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(std::fs::write(path, bytes)?)
    };
    put("workflow.yaml", workflow.as_bytes())?;
    put("in/hello.txt", b"hello")?;
    let source = Generated::new(POLICIES, Spread::Scattered).source();
    source.files().iter().try_for_each(|(path, bytes)| put(&format!("canon/{path}"), bytes))
}

/// Run the workflow; the time until its first receipt is told.
fn receipt(program: &Path, place: &Path, data: &Path) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut child = Command::new(program)
        .current_dir(place)
        .args(["run", "workflow.yaml", "--json", "--no-input", "--data"])
        .arg(data)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("could not start the program")?;
    let out = child.stdout.take().context("the program's output")?;
    let mut time = None;
    let mut said = String::new();
    for line in BufReader::new(out).lines() {
        let line = line?;
        if time.is_none() && is_receipt(&line) {
            time = Some(began.elapsed());
        }
        said = line;
    }
    let status = child.wait()?;
    match time.filter(|_| status.success()) {
        Some(time) => Ok(time),
        None => bail!("the program ended with {status} and said last: {said}"),
    }
}

fn is_receipt(line: &str) -> bool {
    let value: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    value.get("event").and_then(serde_json::Value::as_str) == Some("permitted")
}
