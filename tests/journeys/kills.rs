//! `kill -9` at any moment, and again while the run goes on: in the end everything was done
//! once, and what nobody can tell is named.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cog_base::Value;
use cog_base::entropy::{Entropy as _, SeededEntropy};

use crate::program::{Folder, text};

/// Kills under fixed seeds; those of the fresh seed come on top.
const KILLS_MIN: usize = 40;
/// Kills of one run before it is left in peace.
const KILLS_OF_ONE_RUN: usize = 6;
const PAGES: usize = 30;

/// Writes, overwrites, reads and deletes side by side, and programs of which nobody can
/// tell after a crash whether they ran.
const WORKFLOW: &str = r#"
name: killed
domain: kills
roots:
  pages: { path: ./out/pages, access: write, create: true }
  ticks: { path: ./out/ticks, access: write, create: true }
budget: { effects: 2000, minutes: 30 }
steps:
  - id: page
    foreach: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]
    max_parallel: 3
    steps:
      - id: write
        uses: file.write
        with: { root: pages, path: "page-${{ item }}", mode: create, text: "draft ${{ item }}" }
      - id: append
        needs: [write]
        uses: file.write
        with: { root: pages, path: "page-${{ item }}", mode: replace, text: "draft ${{ item }}, final" }
      - id: read
        needs: [append]
        uses: file.read
        with: { root: pages, path: "page-${{ item }}" }
      - id: scratch
        if: "${{ item % 3 == 0 }}"
        uses: file.write
        with: { root: pages, path: "scratch-${{ item }}", mode: create, text: "x" }
      - id: scrap
        needs: [scratch]
        if: "${{ item % 3 == 0 }}"
        uses: file.delete
        with: { root: pages, path: "scratch-${{ item }}" }
      - id: tick
        if: "${{ item % 5 == 0 && inputs.ticks }}"
        uses: process.run
        with: { program: sh, args: ["-c", "echo tick >> tick-${{ item }}"], root: ticks }
        on_error: continue
inputs:
  ticks: { type: boolean }
outputs:
  read: "${{ steps.page.output.map(i, i.steps.read.output.text).join('; ') }}"
  unknown: "${{ steps.page.output.filter(i, i.steps.tick.status == 'failed').map(i, string(i.item)).join(' ') }}"
"#;

const CANON: &str = "name = \"kills\"\ndomain = \"kills\"\n[change]\napprovals = 1\n\
    approvers = [\"user:operator\"]\n[programs]\nallow = [\"sh\"]\n\
    [roots]\n\"*\" = { within = [\".\"] }\n";

const SCHEMA: &str = "entity User;\nentity Root;\nentity Program;\n\
    action \"file.read\", \"file.write\", \"file.delete\" appliesTo { principal: [User], resource: [Root], context: {} };\n\
    action \"process.run\" appliesTo { principal: [User], resource: [Program], context: {} };\n";

const POLICY: &str = "@id(\"all\")\n@reason(\"It is about kills.\")\npermit (principal == User::\"operator\", action, resource);\n";

const FACTS: &str = r#"[{"uid": {"type": "User", "id": "operator"}, "attrs": {}, "parents": []}]"#;

pub(crate) struct Chance(SeededEntropy);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) % limit
    }
}

#[test]
fn a_run_that_is_killed_again_and_again_does_everything_once() {
    let ticks = has_sandbox("kills-doctor");
    let (mut kills, mut unknown, mut runs) = (0, 0, 0);
    for seed in 1.. {
        let (killed, unsure) = one_run(&format!("kills-{seed}"), seed, ticks);
        (kills, unknown, runs) = (kills + killed, unknown + unsure, runs + 1);
        if kills >= KILLS_MIN {
            break;
        }
        assert!(runs < 40, "the kills miss: only {kills} in {runs} runs");
    }
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos();
    println!("fresh seed {fresh}");
    let (killed, unsure) = one_run("kills-0", fresh.into(), ticks);
    println!(
        "counted: {} kills in {} runs, {} effects of which nobody could tell, programs {}",
        kills + killed,
        runs + 1,
        unknown + unsure,
        if ticks { "among them" } else { "left out: there is no sandbox here" }
    );
}

/// Whether programs can be run here. A kernel may lack what it takes; a sandbox that is
/// built and then does not run `true` is ours to mend.
pub(crate) fn has_sandbox(name: &str) -> bool {
    let doctor = Folder::new(name).cog(&["doctor"]);
    for broken in ["could not run", "helper ended"] {
        assert!(!doctor.out.contains(broken), "{doctor}");
    }
    doctor.code == 0
}

/// One workflow from its start through its kills to its seal. How often it was killed, and
/// how many effects were unknown.
pub(crate) fn one_run(name: &str, seed: u64, ticks: bool) -> (usize, usize) {
    println!("seed {seed}");
    let folder = Folder::new(name);
    folder.write("workflow.yaml", WORKFLOW);
    for (name, text) in [
        ("canon/canon.toml", CANON),
        ("canon/schema.cedarschema", SCHEMA),
        ("canon/policies/all.cedar", POLICY),
        ("canon/facts/people.json", FACTS),
    ] {
        folder.write(name, text);
    }
    let input = format!("ticks={ticks}");
    let mut chance = Chance::new(seed);
    let mut kills = 0;
    while kills < KILLS_OF_ONE_RUN {
        let run = started(&folder);
        let child = match &run {
            Some(run) => folder.start(&["run", "--resume", run]),
            None => folder.start(&["run", "workflow.yaml", "--input", &input]),
        };
        kills += usize::from(killed(child, &mut chance));
        if is_sealed(&folder) {
            break;
        }
    }
    if !is_sealed(&folder) {
        match started(&folder) {
            Some(run) => folder.cog(&["run", "--resume", &run]).ends(0),
            None => folder.cog(&["run", "workflow.yaml", "--input", &input]).ends(0),
        };
    }
    (kills, is_whole(&folder, ticks))
}

fn started(folder: &Folder) -> Option<String> {
    let list = folder.cog(&["ledger", "list", "--json", "--kind", "session.started"]);
    crate::program::id(&list.out, "run")
}

fn is_sealed(folder: &Folder) -> bool {
    let list = folder.cog(&["ledger", "list", "--json", "--kind", "session.sealed"]);
    list.out.contains("session.sealed")
}

/// Kill it after a number of lines or after a while. Whether it still lived then.
fn killed(mut child: Child, chance: &mut Chance) -> bool {
    let out = child.stdout.take().unwrap();
    if chance.below(2) == 0 {
        let lines = usize::try_from(chance.below(40)).unwrap();
        BufReader::new(out).lines().take(lines).for_each(drop);
    } else {
        std::thread::sleep(Duration::from_micros(chance.below(120_000)));
    }
    child.kill().unwrap();
    // A process that a signal ended has no exit code.
    child.wait().unwrap().code().is_none()
}

/// Everything happened once; how many effects nobody can tell of.
fn is_whole(folder: &Folder, ticks: bool) -> usize {
    let sealed = folder.entries("session.sealed");
    assert_eq!(sealed.len(), 1);
    assert_eq!(text(&sealed[0], &["data", "status"]), "completed");

    // A half-written file stands under another name, which a kill leaves behind.
    let mut pages = folder.files("out/pages");
    pages.retain(|(name, _)| !(name.starts_with(".cog-rcp_") && name.ends_with(".tmp")));
    assert_eq!(pages.len(), PAGES, "{pages:?}");
    for page in 0..PAGES {
        let wanted = (format!("page-{page}"), format!("draft {page}, final"));
        assert!(pages.contains(&wanted), "{wanted:?} is not in {pages:?}");
    }

    let mut outcomes = BTreeMap::new();
    for outcome in folder.entries("outcome") {
        let receipt = text(&outcome, &["data", "receipt"]).to_owned();
        let disposition = text(&outcome, &["data", "disposition"]).to_owned();
        assert_eq!(outcomes.insert(receipt, disposition), None, "a second outcome: {outcome}");
    }
    let receipts = folder.entries("receipt");
    assert_eq!(receipts.len(), outcomes.len(), "each receipt has its outcome");
    let mut completed = BTreeMap::new();
    let mut unknown = Vec::new();
    for receipt in &receipts {
        let step = text(receipt, &["data", "step"]);
        match outcomes[text(receipt, &["data", "id"])].as_str() {
            "completed" => *completed.entry(step).or_insert(0) += 1,
            "unknown" => unknown.push(step),
            other => assert_eq!(other, "abandoned", "{step}"),
        }
    }
    assert!(completed.values().all(|times| *times == 1), "twice: {completed:?}");
    let ticked = if ticks { PAGES / 5 } else { 0 };
    let steps = PAGES * 3 + PAGES.div_ceil(3) * 2 + ticked;
    assert_eq!(completed.len() + unknown.len(), steps, "something is lost");
    unknown_is_named(folder, &unknown, &sealed[0]);
    for (name, lines) in folder.files("out/ticks") {
        // The shell makes the file before it writes: a kill in between leaves it empty.
        let step = name.replace("tick-", "page[") + "].tick";
        let is_cut = lines.is_empty() && unknown.contains(&step.as_str());
        assert!(is_cut || lines == "tick\n", "{name} did not run once: {lines:?}");
    }
    folder.holds();
    unknown.len()
}

/// Only programs can be unknown, and the run says which.
fn unknown_is_named(folder: &Folder, unknown: &[&str], sealed: &Value) {
    let counted = sealed.at(&["data", "outcomes", "unknown"]).and_then(Value::as_u64);
    assert_eq!(counted, Some(unknown.len() as u64));
    for step in unknown {
        assert!(step.ends_with(".tick"), "{step} could be told");
        let item = step.trim_start_matches("page[").split(']').next().unwrap();
        let receipts = folder.entries("receipt");
        let receipt = receipts.iter().find(|it| text(it, &["data", "step"]) == *step).unwrap();
        let why = folder.cog(&["why", text(receipt, &["data", "id"])]).ends(0);
        why.says(&["Nobody can tell whether it was done"]);
        let run = folder.cog(&["why", text(sealed, &["session"])]).ends(0);
        run.says(&["Nobody can tell", text(receipt, &["data", "id"])]);
        let ran = folder.has(&format!("out/ticks/tick-{item}"));
        println!("{step} is unknown; it {}", if ran { "ran" } else { "did not run" });
    }
}
