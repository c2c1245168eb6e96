//! Runs that runs of nodes begin: their files come with the request, and the whole tree goes on
//! wherever its ledger goes.

use cog_base::Value;

use crate::nodes::{Town, wait_until};
use crate::program::{Answer, text};

const MAIN: &str = "
name: orders
domain: archive
budget: { effects: 60 }
roots:
  archive: { path: out, access: write, create: true }
steps:
  - id: order
    foreach: [1, 2, 3]
    run: { workflow: ./parts/order.yaml, inputs: { number: \"${{ item }}\" } }
  - { id: sum, needs: [order], uses: compute, with: { all: \"${{ steps.order.output.map(i, string(i.output.twice)).join(' ') }}\" } }
outputs: { all: \"${{ steps.sum.output.all }}\" }
";
const ORDER: &str = "
name: order
domain: archive
inputs: { number: { type: integer } }
roots:
  archive: { path: ../out, access: write, create: true }
steps:
  - id: page
    foreach: [1, 2, 3, 4]
    max_parallel: 1
    steps:
      - { id: write, uses: file.write, as: agent:archivist,
          with: { root: archive, path: \"${{ inputs.number }}-${{ item }}.txt\", mode: create, text: x } }
      - { id: nap, needs: [write], sleep: { ms: 40 } }
  - { id: check, needs: [page], run: { workflow: check.yaml } }
outputs: { twice: \"${{ 2 * inputs.number }}\" }
";
const CHECK: &str = "
name: check
domain: archive
steps: [ { id: go, wait_for: { signal: go } } ]
";
/// The run, those that it begins, and those that they begin.
const RUNS: usize = 7;
const PAGES: usize = 12;

/// A tenant with a workflow that runs others.
pub(crate) struct Orders {
    pub(crate) town: Town,
    tenant: String,
}

impl Orders {
    pub(crate) fn new(name: &str) -> Self {
        let town = Town::new(name);
        town.folder.write("main.yaml", MAIN);
        town.folder.write("parts/order.yaml", ORDER);
        town.folder.write("parts/check.yaml", CHECK);
        let tenant = town.new_tenant();
        Self { town, tenant }
    }

    pub(crate) fn cog(&self, arguments: &[&str]) -> Answer {
        self.town.cog(&[arguments, &["--tenant", &self.tenant]].concat())
    }

    fn submit(&self) -> String {
        self.cog(&["submit", "main.yaml"]).ends(0).id("run")
    }

    /// How the runs of a workflow stand, each with its id.
    fn stand(&self, workflow: &str) -> Vec<(String, String)> {
        let runs = self.cog(&["runs", "--last", "1000", "--json"]).ends(0).json();
        let runs = runs.as_list().unwrap().iter();
        let runs = runs.filter(|run| workflow.is_empty() || text(run, &["workflow"]) == workflow);
        runs.map(|run| (text(run, &["run"]).to_owned(), text(run, &["status"]).to_owned()))
            .collect()
    }

    pub(crate) fn wait_for(&self, workflow: &str, status: &str, count: usize) {
        wait_until(&format!("{count} of `{workflow}` are {status}"), || {
            self.stand(workflow).iter().filter(|(_, it)| it == status).count() == count
        });
    }

    pub(crate) fn pages(&self) -> usize {
        self.town.folder.files("out").len()
    }

    pub(crate) fn count(&self, kind: &str) -> usize {
        let list = ["ledger", "list", "--json", "--limit", "100000", "--kind", kind];
        self.cog(&list).ends(0).jsons().len()
    }

    /// The log is whole, every run of it is what its entries say, and each page was written once.
    pub(crate) fn holds(&self) {
        self.cog(&["ledger", "verify"]).ends(0).says(&["verified"]);
        for run in self.cog(&["replay", "--all", "--json"]).ends(0).jsons() {
            assert_eq!(run.get("trace"), Some(&Value::from("same")), "{run}");
            assert_eq!(run.get("decisions"), run.get("same"), "{run}");
        }
        let audit = self.town.cog(&["database", "audit", "--json"]).ends(0).json();
        let outcomes = |word| audit.at(&["outcomes", word]).and_then(Value::as_u64).unwrap();
        assert_eq!(outcomes("completed"), self.pages() as u64);
        assert_eq!(outcomes("unknown"), 0);
    }
}

#[test]
fn a_tree_of_runs_goes_on_wherever_its_ledger_goes() {
    let orders = Orders::new("trees");
    let mut node = orders.town.node("n0");
    let run = orders.submit();
    // What the files say by now does not matter.
    orders.wait_for("orders", "open", 1);
    orders.town.folder.write("parts/order.yaml", "nothing");
    orders.town.folder.write("parts/check.yaml", "nothing");
    for (number, pages) in [2, 5, 9].into_iter().enumerate() {
        wait_until(&format!("{pages} pages"), || orders.pages() >= pages);
        node.kill();
        node = orders.town.node(&format!("n{}", number + 1));
    }
    orders.wait_for("check", "open", 3);
    node.kill();
    let node = orders.town.node("last");
    orders.cog(&["pause", &run, "--reason", "look", "--timeout", "120"]).ends(0);
    assert_eq!(orders.count("session.paused"), RUNS);
    orders.cog(&["unpause", &run, "--reason", "seen", "--timeout", "120"]).ends(0);
    for (check, _) in orders.stand("check") {
        orders.cog(&["signal", &check, "go", "--id", "go-1", "--timeout", "120"]).ends(0);
    }
    orders.wait_for("", "completed", RUNS);
    orders.cog(&["why", &run]).ends(0).says(&["all: 2 4 6"]);
    assert_eq!(orders.pages(), PAGES);
    orders.holds();
    node.ends();
}

#[test]
fn whoever_ends_a_run_of_a_node_ends_those_that_it_began_also_at_the_next_node() {
    let orders = Orders::new("trees-ended");
    let node = orders.town.node("one");
    let run = orders.submit();
    orders.wait_for("check", "open", 3);
    node.kill();
    let node = orders.town.node("two");
    orders.cog(&["run", "--cancel", &run, "--reason", "enough", "--timeout", "120"]).ends(0);
    orders.wait_for("", "cancelled", RUNS);
    orders.holds();
    node.ends();
}

#[test]
fn a_schedule_of_nodes_starts_runs_that_run_others() {
    let orders = Orders::new("trees-scheduled");
    let often = "on: { schedule: [{ id: often, every_ms: 1000, overlap: allow_all }] }\n";
    let nap = "steps: [ { id: nap, sleep: { ms: 1 } } ]\n";
    let file = |name: &str, more: &str| format!("name: {name}\ndomain: archive\n{more}");
    let sub = "steps: [ { id: sub, run: { workflow: nap.yaml } } ]\n";
    orders.town.folder.write("often.yaml", &file("often", &format!("{often}{sub}")));
    orders.town.folder.write("nap.yaml", &file("nap", nap));
    let node = orders.town.node("one");
    orders.cog(&["schedules", "set", "often.yaml", "--timeout", "120"]).ends(0).says(&["set"]);
    orders.town.folder.write("nap.yaml", "nothing");
    wait_until("two of each are over", || {
        let over = |workflow| {
            let stand = orders.stand(workflow).into_iter();
            stand.filter(|(_, status)| status == "completed").count() >= 2
        };
        over("often") && over("nap")
    });
    orders.cog(&["schedules", "remove", "often", "--timeout", "120"]).ends(0);
    wait_until("all are over", || orders.stand("").iter().all(|(_, status)| status == "completed"));
    orders.holds();
    node.ends();
}

#[test]
fn who_waits_for_a_run_hears_what_those_that_it_began_wait_for() {
    let orders = Orders::new("trees-waited-for");
    let node = orders.town.node("one");
    let waiting = orders.cog(&["submit", "main.yaml", "--wait", "--json"]).ends(8).jsons();
    let waiting = waiting.last().unwrap();
    let list = |name: &str| waiting.get(name).and_then(Value::as_list).unwrap();
    assert_eq!((text(waiting, &["event"]), list("signals")), ("waiting", &["go".into()][..]));
    assert_eq!(list("children").len(), RUNS - 1);
    for (check, _) in orders.stand("check") {
        orders.cog(&["signal", &check, "go", "--timeout", "120"]).ends(0);
    }
    orders.wait_for("", "completed", RUNS);
    orders.holds();
    node.ends();
}
