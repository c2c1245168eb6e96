//! A disk that is full: what cannot be recorded is not done, it is said what to do, and with room
//! the run goes on. The data folder is on a small file system of its own, which no other process sees.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::program::{Answer, Folder, text};

/// More than the smaller file system has room for.
const PAGES: usize = 120;
const PAGE_BYTES: usize = 100_000;

/// A folder whose `data` is a file system of so much room.
struct Room {
    folder: Folder,
    /// In whose view it is mounted, as long as that lives.
    keeper: Child,
}

impl Room {
    /// Nothing where the system lets nobody mount anything.
    fn new(name: &str, size: &str) -> Option<Self> {
        let may = Command::new("unshare").args(["-rm", "true"]).output();
        if !may.is_ok_and(|may| may.status.success()) {
            return None;
        }
        let folder = Folder::example(name, "04-survives-kill-9");
        std::fs::create_dir(folder.path("data")).unwrap();
        let mount = format!("mount -t tmpfs -o size={size} tmpfs data && echo ready && exec cat");
        let mut keeper = Command::new("unshare");
        keeper.args(["-rm", "sh", "-c", &mount]).current_dir(folder.path(""));
        let mut keeper = keeper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n");
        Some(Self { folder, keeper })
    }

    /// What starts its arguments where the file system is seen.
    fn inside(&self) -> Command {
        let mut inside = Command::new("nsenter");
        inside.args(["--target", &self.keeper.id().to_string(), "--mount", "--user"]);
        inside.args(["--preserve-credentials", "--wd"]);
        inside
    }

    fn cog(&self, arguments: &[&str]) -> Answer {
        Answer::of(self.folder.through(self.inside(), arguments).output().unwrap())
    }

    fn shell(&self, script: &str) {
        let mut command = self.inside();
        command.args(["sh", "-c", script]).current_dir(self.folder.path(""));
        assert!(command.status().unwrap().success(), "{script}");
    }

    fn has_room_for(&self, size: &str) {
        self.shell(&format!("mount -o remount,size={size} data"));
    }

    /// What entries of a kind have as a member of their data.
    fn recorded(&self, kind: &str, member: &str) -> Vec<String> {
        let list = ["ledger", "list", "--json", "--limit", "100000", "--kind", kind];
        let entries = self.cog(&list).ends(0).jsons();
        entries.iter().map(|entry| text(entry, &["data", member]).to_owned()).collect()
    }

    /// The steps that wrote their page.
    fn written(&self) -> BTreeSet<String> {
        let pages = self.folder.files("out").into_iter();
        let step = |(name, text): (String, String)| {
            assert_eq!(text.len(), PAGE_BYTES, "{name} is whole");
            format!("file[{}].write", name.trim_start_matches("page-"))
        };
        pages.map(step).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // It may be gone.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// Many pages, each of which stands in the record of its receipt.
fn workflow() -> String {
    let items: Vec<String> = (0..PAGES).map(|page| page.to_string()).collect();
    let items = items.join(", ");
    format!(
        "name: many-pages\ndomain: archive\ninputs: {{ text: {{ type: string }} }}\n\
         roots: {{ archive: {{ path: ./out, access: write, create: true }} }}\n\
         budget: {{ effects: 500, minutes: 30 }}\nsteps:\n  - id: file\n    foreach: [{items}]\n    \
         max_parallel: 1\n    steps:\n      - id: write\n        uses: file.write\n        \
         as: agent:archivist\n        with: {{ root: archive, path: \"page-${{{{ item }}}}\", \
         mode: create, text: \"${{{{ inputs.text }}}}\" }}\n"
    )
}

#[test]
fn on_a_full_disk_nothing_is_done_without_a_receipt_and_with_room_the_run_goes_on() {
    // The write-ahead log alone takes 16 MiB.
    let Some(room) = Room::new("full", "8m") else {
        println!("counted: no full disk, as nobody may mount a file system here");
        return;
    };
    room.folder.write("workflow.yaml", &workflow());
    room.folder.change("canon/canon.toml", "resources_max = 30", "resources_max = 500");
    let input = format!("text={}", "a page of many. ".repeat(PAGE_BYTES / 16));
    let asked = ["run", "workflow.yaml", "--input", &input];
    room.cog(&asked).ends(1).says(&["the disk is full", "try: "]);
    assert!(!room.folder.has("out") || room.written().is_empty(), "nothing was done");

    room.has_room_for("18m");
    let stopped = room.cog(&asked).ends(1);
    let stopped = stopped.says(&["the disk is full", "cognitionos run --resume run_"]);
    let run = stopped.id("run");
    // There is no room to look either, perhaps.
    let written = room.written();
    room.has_room_for("128m");
    let receipts: BTreeSet<String> = room.recorded("receipt", "step").into_iter().collect();
    assert!(!written.is_empty() && written.len() < PAGES, "{}", written.len());
    assert!(written.is_subset(&receipts), "done without a receipt: {written:?}, {receipts:?}");
    assert!(
        room.recorded("outcome", "receipt").len() <= written.len(),
        "an outcome of what was not done"
    );

    room.cog(&["run", "--resume", &run]).ends(0);
    assert_eq!(room.written().len(), PAGES);
    let outcomes = room.recorded("outcome", "receipt");
    let once: BTreeSet<&String> = outcomes.iter().collect();
    assert_eq!(once.len(), outcomes.len(), "each receipt has one outcome");
    assert_eq!(outcomes.len(), room.recorded("receipt", "step").len());
    assert_eq!(room.recorded("receipt", "step").iter().collect::<BTreeSet<_>>().len(), PAGES);
    room.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    // Where the end of the test finds it, and rebuilds it.
    room.shell("cp -r data kept");
}
