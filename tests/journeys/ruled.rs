//! What people change in a ledger of nodes: its canon, what is named in it, and what is kept.

use cog_base::Value;

use crate::nodes::wait_until;
use crate::program::{Answer, id, text};
use crate::trees::Orders;

const HEAD: &str = "user:head-of-archive";
/// For the owner of the ledger, which may have been killed, on a machine with much to do.
const PATIENT: [&str; 2] = ["--timeout", "120"];
/// A run that waits for one that waits for somebody.
const MAIN: &str =
    "name: main\ndomain: archive\nsteps:\n  - { id: sub, run: { workflow: sub.yaml } }\n";
const SUB: &str = "name: sub\ndomain: archive\nsteps:\n  \
    - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, message: \"Go on?\" } }\n";

fn ruled(name: &str) -> Orders {
    let orders = Orders::new(name);
    let folder = &orders.town.folder;
    folder.copy("canon", "canon-v2");
    folder.change("canon-v2/canon.toml", "resources_max = 30", "resources_max = 31");
    folder.write("main.yaml", MAIN);
    folder.write("sub.yaml", SUB);
    orders
}

impl Orders {
    /// Have the owner of the ledger do something.
    fn ask(&self, arguments: &[&str]) -> Answer {
        self.cog(&[arguments, &PATIENT].concat())
    }

    /// What people are asked, of the newest request.
    fn asked(&self) -> Vec<String> {
        let asked = self.cog(&["approvals", "list", "--json"]).ends(0).json();
        let asked = asked.as_list().unwrap().iter();
        asked.map(|request| text(request, &["id"]).to_owned()).collect()
    }

    fn denials(&self) -> Vec<[String; 3]> {
        let denials = ["ledger", "list", "--json", "--kind", "denial"];
        let denials = self.cog(&denials).ends(0).jsons().into_iter();
        let of = |it: &Value, path: &[&str]| text(it, path).to_owned();
        denials
            .map(|it| {
                [of(&it, &["actor"]), of(&it, &["data", "action"]), of(&it, &["data", "code"])]
            })
            .collect()
    }
}

#[test]
fn a_canon_of_nodes_is_changed_by_people_and_binds_from_then_on() {
    let orders = ruled("ruled");
    let change = |word, id: &str, who| orders.ask(&["canon", word, id, "--as", who]);
    // The first one founds the domain, also without a run.
    let node = orders.town.node("n0");
    change("propose", "canon", HEAD).ends(0).says(&["founds the domain `archive`"]);
    let run = orders.cog(&["submit", "main.yaml", "--wait"]).ends(8).id("run");
    let before = orders.asked();
    change("propose", "canon-v2", "user:nobody").ends(4).says(&["does not know user:nobody"]);
    change("propose", "canon", "user:operator").ends(7);
    let proposal = change("propose", "canon-v2", "user:operator").ends(0).id("prp");
    let listed = orders.cog(&["canon", "list"]).ends(0);
    listed.says(&["in force", "open", "nobody yet", &proposal]);
    change("activate", &proposal, HEAD).ends(4);
    change("approve", &proposal, "user:operator").ends(4);
    node.kill();
    let node = orders.town.node("n1");
    change("approve", &proposal, HEAD).ends(0).says(&["approved"]);
    change("approve", &proposal, HEAD).ends(4).says(&["canon activate"]);
    node.kill();
    let node = orders.town.node("n2");
    change("activate", &proposal, "user:operator").ends(0).says(&["activated"]);
    change("activate", &proposal, "user:operator").ends(2).says(&["activated already"]);
    orders.cog(&["canon", "impact", "canon"]).ends(0);
    orders.cog(&["canon", "diff", "canon", "active"]).ends(0).says(&["changed from 30 to 31"]);
    // Whoever was asked under the other canon is asked anew.
    wait_until("they are asked anew", || {
        orders.asked().iter().any(|request| !before.contains(request))
    });
    orders.ask(&["approvals", "approve", &before[0], "--as", HEAD]).ends(7).says(&["withdrawn"]);
    let anew = orders.asked();
    let anew = anew.iter().find(|request| !before.contains(request)).unwrap();
    orders.ask(&["approvals", "approve", anew, "--as", HEAD]).ends(0);
    orders.wait_for("main", "completed", 1);
    orders.cog(&["why", &run]).ends(0);
    let refused = orders.denials();
    let codes: Vec<&str> = refused.iter().map(|it| it[2].as_str()).collect();
    let expected = ["identity.unknown", "change.none", "change.not_approved"];
    assert_eq!(codes[..3], expected, "{refused:?}");
    orders.holds();
    node.ends();
}

#[test]
fn what_rests_on_what_has_changed_since_is_not_recorded() {
    let orders = ruled("ruled-at-once");
    let node = orders.town.node("one");
    orders.ask(&["canon", "propose", "canon", "--as", HEAD]).ends(0);
    let propose = ["canon", "propose", "canon-v2", "--as", "user:operator"];
    let proposals: Vec<String> = (0..2).map(|_| orders.ask(&propose).ends(0).id("prp")).collect();
    for proposal in &proposals {
        orders.ask(&["canon", "approve", proposal, "--as", HEAD]).ends(0);
    }
    // At once: of two that would each be in force, one is.
    let activate = |proposal: &String| -> Answer {
        orders.ask(&["canon", "activate", proposal, "--as", HEAD])
    };
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let both = proposals.iter().map(|proposal| scope.spawn(|| activate(proposal).code));
        let both: Vec<_> = both.collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut sorted = codes.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 7], "{codes:?}");
    assert_eq!(orders.count("canon.activated"), 2);
    orders.holds();
    node.ends();
}

const ABOUT: &str = "
name: letter
domain: archive
subject: ${{ inputs.about }}
inputs: { about: { type: string } }
roots:
  archive: { path: out, access: write, create: true }
steps:
  - { id: page, uses: file.write, as: agent:archivist,
      with: { root: archive, path: \"${{ run.id }}\", mode: create, text: x } }
  - { id: go, needs: [page], if: \"${{ inputs.about == 'ada' }}\", wait_for: { signal: go } }
";

#[test]
fn what_is_kept_of_somebody_in_a_ledger_of_nodes_can_be_erased() {
    let orders = ruled("ruled-erased");
    orders.town.folder.write("letter.yaml", ABOUT);
    let node = orders.town.node("n0");
    let submit = |about: &str, code| {
        let about = format!("about={about}");
        orders.cog(&["submit", "letter.yaml", "--input", &about, "--wait"]).ends(code).id("run")
    };
    let (ada, grace) = (submit("ada", 8), submit("grace", 0));
    let erase = |whom: &str, who| orders.ask(&["ledger", "erase", whom, "--as", who]);
    erase("grace", "user:operator").ends(4).says(&["user:operator may not erase"]);
    erase("ada", HEAD).ends(7).says(&[&ada, "is open", "--cancel"]);
    node.kill();
    let node = orders.town.node("n1");
    erase("grace", HEAD).ends(0).says(&["bodies erased"]);
    erase("grace", HEAD).ends(0).says(&["erased before, as entry"]);
    orders.cog(&["why", &grace]).ends(0).says(&["erased"]);
    orders.ask(&["signal", &ada, "go"]).ends(0);
    orders.wait_for("letter", "completed", 2);
    let seal =
        orders.cog(&["ledger", "list", "--json", "--kind", "session.sealed"]).ends(0).jsons();
    let seal = seal.last().unwrap().get("seq").and_then(Value::as_u64).unwrap().to_string();
    let one = ["ledger", "erase", "--entry", &seal, "--reason", "it names her", "--as", HEAD];
    orders.ask(&one).ends(0).says(&["1 body erased"]);
    orders.ask(&one).ends(0).says(&["erased before, as entry"]);
    assert_eq!(orders.count("bodies.erased"), 2);
    orders.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    orders.cog(&["ledger", "retention"]).ends(0);
    node.ends();
}

#[test]
fn a_ledger_of_nodes_is_pruned_and_goes_on() {
    let orders = ruled("ruled-pruned");
    let node = orders.town.node("n0");
    let submit = |folder: &str| {
        let folder = format!("folder=pages/{folder}");
        orders.cog(&[
            "submit",
            "workflow.yaml",
            "--wait",
            "--input",
            &folder,
            "--input",
            "pause_ms=0",
        ])
    };
    for number in 0..8 {
        submit(&number.to_string()).ends(0);
    }
    let prune = |before: &str, who| {
        let reason = ["--reason", "kept for five years", "--as", who];
        orders.ask(&[&["ledger", "prune", "--before", before][..], &reason].concat())
    };
    prune("256", "user:operator").ends(4).says(&["may not prune"]);
    node.kill();
    let node = orders.town.node("n1");
    prune("256", HEAD).ends(0).says(&["entries 0 to 256 pruned"]);
    prune("256", HEAD).ends(2).says(&["nothing can be pruned"]);
    let expired = ["ledger", "prune", "--expired", "--as", HEAD];
    orders.ask(&expired).ends(0);
    submit("later").ends(0).says(&["completed"]);
    assert_eq!(orders.count("segment.pruned"), 1);
    orders.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
    let first = orders.cog(&["ledger", "show", "100"]);
    assert!(first.code != 0 || first.out.contains("pruned"), "{first}");
    node.ends();
}

#[test]
fn places_of_runs_of_nodes_get_names_and_recomputations_are_kept() {
    let orders = ruled("ruled-named");
    orders.town.folder.write("letter.yaml", ABOUT);
    let node = orders.town.node("one");
    let submit = ["submit", "letter.yaml", "--input", "about=ada", "--wait"];
    let run = orders.cog(&submit).ends(8).id("run");
    let create = |name: &str, more: &[&str]| {
        orders.ask(&[&["checkpoint", "create", &run, name][..], more].concat())
    };
    let made = create("here", &[]).ends(0);
    assert!(id(&made.out, "chk").is_some(), "{made}");
    create("here", &[]).ends(7).says(&["has a checkpoint `here` already"]);
    create("before", &["--step", "page"]).ends(0);
    let restored = ["checkpoint", "restore", &run, "before", "--input", "about=grace"];
    orders.cog(&restored).ends(0).says(&["completed"]);
    orders.ask(&["signal", &run, "go"]).ends(0);
    orders.wait_for("letter", "completed", 2);
    orders.cog(&["replay", &run, "--keep"]).ends(0).says(&["kept"]);
    orders.cog(&["replay", "--list"]).ends(0).says(&[&run]);
    orders.holds();
    node.ends();
}

#[test]
fn the_old_key_of_a_ledger_of_nodes_leads_to_the_new_one_whichever_node_has_it() {
    let orders = ruled("ruled-rotated");
    let first = orders.town.node("n0");
    orders.ask(&["canon", "propose", "canon", "--as", HEAD]).ends(0);
    let key = || orders.cog(&["ledger", "key"]).ends(0).out.trim().to_owned();
    let nap = "name: nap\ndomain: archive\nsteps: [ { id: nap, sleep: { ms: 1 } } ]\n";
    orders.town.folder.write("nap.yaml", nap);
    let submit = || orders.cog(&["submit", "nap.yaml", "--wait"]).ends(0);
    submit();
    let old = key();
    orders.ask(&["ledger", "rotate", "--as", "user:operator"]).ends(4);
    orders.ask(&["ledger", "rotate", "--as", HEAD]).ends(0).says(&["new key"]);
    let second = key();
    // Another node takes the ledger over and gives it another key; then the first has it again.
    first.signal("-STOP");
    let other = orders.town.node("n1");
    orders.ask(&["ledger", "rotate", "--as", HEAD]).ends(0);
    submit();
    let third = key();
    other.kill();
    first.signal("-CONT");
    submit();
    assert!(old != second && second != third && third == key());
    assert_eq!(orders.count("key.rotated"), 2);
    orders.cog(&["ledger", "export", "-o", "all.cogbundle"]).ends(0);
    for key in [&old, &second, &third] {
        orders.town.folder.cog(&["verify", "all.cogbundle", "--key", key]).ends(0);
    }
    orders.holds();
    first.ends();
}
