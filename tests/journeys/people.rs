//! What people do to runs of nodes: the same words, JSON and exit codes as in a data folder.

use crate::nodes::{Town, wait_until};
use crate::program::{Answer, id, text};

/// Somebody signs, something is paid, and then a page is written.
const FLOW: &str = "name: signed
domain: archive
roots:
  archive: { path: out, access: write, create: true }
steps:
  - { id: sign, approve: { by: [\"user:head-of-archive\"], count: 1, message: \"Go on?\" } }
  - { id: paid, needs: [sign], wait_for: { signal: payment } }
  - { id: page, needs: [paid], uses: file.write, as: agent:archivist,
      with: { root: archive, path: p, mode: create, text: x } }
";

/// Those who share a tenant.
struct Office {
    town: Town,
    tenant: String,
}

impl Office {
    fn new(name: &str) -> Self {
        let town = Town::new(name);
        town.folder.write("signed.yaml", FLOW);
        let tenant = town.new_tenant();
        Self { town, tenant }
    }

    fn cog(&self, arguments: &[&str]) -> Answer {
        self.town.cog(&[arguments, &["--tenant", &self.tenant]].concat())
    }

    /// How it is told where to look: with the tenant that was named.
    fn why(&self, id: &str) -> String {
        format!("cognitionos why --tenant {} {id}", self.tenant)
    }

    /// A run that waits for somebody who signs, and what they are asked.
    fn waiting(&self) -> (String, String) {
        let answer = self.cog(&["submit", "signed.yaml", "--wait"]).ends(8);
        (answer.id("run"), answer.id("apr"))
    }
}

#[test]
fn people_do_to_runs_of_nodes_what_they_do_to_their_own() {
    let office = Office::new("people");
    let node = office.town.node("one");
    let (run, request) = office.waiting();
    let listed = office.cog(&["approvals", "list", "--json"]).ends(0).json();
    let listed = &listed.as_list().unwrap()[0];
    assert_eq!(
        [text(listed, &["id"]), text(listed, &["run"]), text(listed, &["step"])],
        [request.as_str(), &run, "sign"]
    );
    let approve = |who| office.cog(&["approvals", "approve", &request, "--as", who]);
    approve("user:operator").ends(4).says(&["started the run"]);
    approve("user:nobody").ends(4).says(&["it takes user:head-of-archive"]);
    approve("user:head-of-archive").ends(0).says(&["approved by user:head-of-archive, entry"]);
    approve("user:head-of-archive").ends(4).says(&["already answered"]);

    let hold = |word, who| office.cog(&[word, &run, "--reason", "an audit", "--as", who]);
    let refused = hold("pause", "user:head-of-archive").ends(4);
    let see = office.why("dny_");
    let refused = refused.says(&["may not pause", &see]);
    let denial = id(&refused.err, "dny").unwrap();
    office.cog(&["why", &denial]).ends(0).says(&["wanted to", "refused"]);
    hold("unpause", "user:operator").ends(7).says(&["cannot be let go on: it is not paused"]);
    hold("pause", "user:operator").ends(0).says(&["paused by user:operator, entry"]);
    hold("pause", "user:operator").ends(7).says(&["it is paused already"]);

    let signal = |name, its_id| {
        office.cog(&["signal", &run, name, "--id", its_id, "--payload", "{\"order\": 7}", "--json"])
    };
    let sent = signal("payment", "evt_1").ends(0).json();
    assert!(sent.at(&["entry"]).unwrap().as_u64().is_some(), "{sent}");
    let again = signal("payment", "evt_1").ends(0).json();
    assert_eq!(again.at(&["again"]).unwrap().as_bool(), Some(true), "{again}");
    signal("payments", "evt_2").ends(7).says(&["its steps wait for payment"]);
    hold("unpause", "user:operator").ends(0).says(&["unpaused by user:operator"]);
    wait_until("it has ended", || {
        office.cog(&["ledger", "list", "--kind", "session.sealed"]).ends(0).out.contains(&run)
    });

    let again = signal("payment", "evt_1").ends(0).json();
    assert_eq!(again.at(&["ended"]).unwrap().as_bool(), Some(true), "{again}");
    office.cog(&["why", &run]).ends(0).says(&["signed", "completed"]);
    office.cog(&["why", &request]).ends(0).says(&["user:head-of-archive approved it"]);
    office.cog(&["replay", &run]).ends(0);
    office.cog(&["ledger", "show", &request]).ends(0).says(&["approval.granted"]);
    office.cog(&["ledger", "proof", &request]).ends(0).says(&["c2sp.org/tlog-proof"]);
    office.cog(&["ledger", "verify"]).ends(0).says(&["verified", "every hash, link, signature"]);
    let head = office.cog(&["ledger", "checkpoint"]).ends(0).out;
    office.town.folder.write("head.txt", &head);
    office.cog(&["ledger", "verify", "--against", "head.txt"]).ends(0).says(&["only grew"]);
    office.cog(&["ledger", "export", "-o", "log.cogbundle", "--key", "log.vkey"]).ends(0);
    let verify = ["verify", "log.cogbundle", "--key", "log.vkey", "--against", "head.txt"];
    office.town.folder.cog(&verify).ends(0).says(&["everything checked holds"]);
    node.ends();
}

#[test]
fn people_end_runs_of_nodes() {
    let office = Office::new("people-end");
    let node = office.town.node("one");
    let (run, _) = office.waiting();
    let cancel = |who| office.cog(&["run", "--cancel", &run, "--reason", "gone", "--as", who]);
    cancel("user:head-of-archive").ends(4).says(&["may not end", &office.why("dny_")]);
    cancel("user:operator").ends(0).says(&["cancelled", "checkpoint:"]);
    cancel("user:operator").ends(7).says(&["has ended, ", "; a sealed run cannot go on"]);
    office.cog(&["approvals", "list"]).ends(0).says(&["nothing waits"]);
    let (other, _) = office.waiting();
    let events = ["run", "--cancel", &other, "--reason", "gone", "--json"];
    let events = office.cog(&events).ends(0).jsons();
    let told: Vec<&str> = events.iter().map(|event| text(event, &["event"])).collect();
    assert_eq!(told, ["sealed", "checkpoint"]);
    assert_eq!(text(&events[0], &["status"]), "cancelled");
    node.ends();
}

#[test]
fn who_asks_when_no_node_runs_is_told_in_time_and_stays_asked() {
    let office = Office::new("people-alone");
    let node = office.town.node("one");
    let (run, request) = office.waiting();
    node.ends();
    let approve = ["approvals", "approve", &request, "--as", "user:head-of-archive"];
    let late = [&approve[..], &["--timeout", "1"]].concat();
    office.cog(&late).ends(6).says(&["within 1 s", "stays asked for", "cognitionos serve"]);
    // Reading takes no node.
    office.cog(&["why", &run]).ends(0).says(&["signed"]);
    let node = office.town.node("two");
    // Whether the node has heard of the first by then, and the run is over, is not known.
    let again = office.cog(&approve);
    assert!(matches!(again.code, 0 | 4 | 7), "{again}");
    let granted = office.cog(&["ledger", "list", "--kind", "approval.granted"]).ends(0).out;
    assert_eq!(granted.lines().count(), 1, "asked twice, answered once:\n{granted}");
    node.ends();
}

#[test]
fn which_ledger_is_meant_is_said() {
    let office = Office::new("people-which");
    let town = &office.town;
    town.cog(&["ledger", "list"]).ends(2).says(&["not whose ledger", "--tenant TENANT"]);
    office.cog(&["run", "signed.yaml"]).ends(2).says(&["cognitionos submit"]);
    let node = town.node("one");
    let (run, _) = office.waiting();
    let stranger = town.new_tenant();
    town.cog(&["why", &run, "--tenant", &stranger]).ends(2).says(&["there is no run"]);
    town.cog(&["ledger", "verify", "--tenant", &stranger]).ends(2).says(&["is empty"]);
    let pause = ["pause", &run, "--reason", "x", "--tenant", &stranger];
    town.cog(&pause).ends(2).says(&["there is no run"]);
    node.ends();
}
