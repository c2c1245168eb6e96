//! Where the roots of a workflow stand: where the canon says, and never over the ledger.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use crate::program::{Answer, Folder};

const PAYMENT: &str = "
name: rebound
domain: accounts-payable
roots: { payments: { path: PLACE, access: write, create: true } }
steps:
  - id: pay
    as: agent:clerk
    uses: file.write
    with: { root: payments, path: a.json, document: { invoice: { amount_cents: 100 } } }
";

fn rebound(name: &str, place: &str) -> Folder {
    let folder = Folder::example(name, "01-quickstart");
    folder.write("rebound.yaml", &PAYMENT.replace("PLACE", place));
    folder
}

#[test]
fn a_workflow_does_not_choose_where_payments_go() {
    let folder = rebound("root-elsewhere", "./elsewhere");
    let refused = folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["root.elsewhere"]);
    let denial = refused.id("dny");
    folder.cog(&["why", &denial]).ends(0).says(&["elsewhere"]);
    assert!(!folder.has("elsewhere"), "a folder was made without a receipt");
    assert_eq!(folder.entries("receipt").len(), 0);
    folder.holds();
}

#[test]
fn a_link_leads_no_root_elsewhere() {
    let folder = rebound("root-link", "./out");
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("out")).unwrap();
    folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["root.elsewhere"]);
    assert!(folder.files("elsewhere").is_empty());
}

#[test]
fn no_root_shares_anything_with_the_data_folder() {
    for (name, place) in [("data", "data"), ("keys", "data/keys"), ("over", ".")] {
        let folder = rebound(&format!("root-{name}"), place);
        folder.cog(&["run", "workflow.yaml"]).ends(8);
        let before = folder.snapshot("data/keys");
        folder.cog(&["run", "rebound.yaml"]).ends(4).says(&["no effect may reach the ledger"]);
        assert_eq!(folder.snapshot("data/keys"), before);
        folder.holds();
    }
}

#[test]
fn no_command_writes_over_the_ledger_or_its_keys() {
    let folder = Folder::example("root-export", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    let before = folder.snapshot("data/keys");
    let out = "audit.cogbundle";
    for target in ["data/keys/master.key", "data/ledger.db", "data/new", "./out/../data/x"] {
        let refusal = ["which holds the ledger and its keys"];
        folder.cog(&["ledger", "export", "-o", target]).ends(2).says(&refusal);
        folder.cog(&["ledger", "export", "-o", out, "--key", target]).ends(2).says(&refusal);
        let record =
            ["run", "workflow.yaml", "--model", "http://127.0.0.1:1/v1#x", "--record", target];
        folder.cog(&record).ends(2).says(&refusal);
    }
    assert_eq!(folder.snapshot("data/keys"), before);
    folder.holds();
}

/// The program behind a mount of `from` at `to`, in a namespace of its own.
pub(crate) fn behind_a_mount(folder: &Folder, from: &str, to: &str, arguments: &[&str]) -> Answer {
    let whole = ["-Urm", "sh", "-c", "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"", "sh"];
    let cog = folder.command(arguments);
    let mut command = Command::new("unshare");
    command.args(whole).arg(folder.path(from)).arg(folder.path(to));
    command.arg(cog.get_program()).args(cog.get_args()).current_dir(folder.path("."));
    command.envs(cog.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Answer::of(command.output().unwrap())
}

#[test]
fn a_mount_leads_no_root_to_the_data_folder() {
    let mounts = [("data", "out"), ("data/keys", "out"), ("data", "out/in"), (".", "out")];
    for (name, (from, to)) in ["same", "keys", "below", "above"].into_iter().zip(mounts) {
        let folder = rebound(&format!("root-mount-{name}"), "./out");
        folder.cog(&["run", "workflow.yaml"]).ends(8);
        std::fs::create_dir_all(folder.path(to)).unwrap();
        let before = folder.snapshot("data/keys");
        let refused = behind_a_mount(&folder, from, to, &["run", "rebound.yaml"]);
        refused.ends(4).says(&["no effect may reach the ledger", "mount"]);
        assert_eq!(folder.snapshot("data/keys"), before);
        folder.holds();
    }
    let folder = Folder::example("root-mount-else", "01-quickstart");
    folder.write("look.yaml", &LOOK.replace("PLACE", "./here").replace("FILE", "a.txt"));
    folder.write("other/a.txt", "a");
    std::fs::create_dir_all(folder.path("here")).unwrap();
    behind_a_mount(&folder, "other", "here", &["run", "look.yaml"]).ends(0);
}

const LOOK: &str = "
name: look
domain: accounts-payable
roots: { invoices: { path: PLACE, access: read } }
steps:
  - id: look
    as: agent:clerk
    uses: file.read
    with: { root: invoices, path: FILE }
";

#[test]
fn the_kernels_own_files_are_no_files_of_a_root() {
    let folder = Folder::example("root-kernel", "01-quickstart");
    let look = |place: &str, file: &str| {
        folder.write("look.yaml", &LOOK.replace("PLACE", place).replace("FILE", file));
        folder.cog(&["run", "look.yaml"])
    };
    look("/proc/self", "environ").ends(2).says(&["of the kernel's own file systems"]);
    look("/sys", "kernel").ends(2).says(&["of the kernel's own file systems"]);
    look("/etc", "hostname").ends(0);
}

/// Whatever names a file with a secret: what holds it is within the reach of no effect.
#[test]
fn no_root_holds_a_file_with_a_key() {
    let folder = Folder::example("root-secret", "01-quickstart");
    folder.write("kept/key", "sk-1");
    folder.write("look.yaml", &LOOK.replace("PLACE", "./kept").replace("FILE", "key"));
    let key = folder.path("kept/key").display().to_string();
    let refused = ["no effect may reach the ledger and its keys"];
    for name in [
        "COGNITIONOS_MASTER_KEY_FILE",
        "COGNITIONOS_DATABASE_URL_FILE",
        "COGNITIONOS_MODEL_API_KEY_FILE",
        "OPENAI_API_KEY_FILE",
    ] {
        let ran = folder.command(&["run", "look.yaml"]).env(name, &key).output().unwrap();
        Answer::of(ran).ends(4).says(&refused);
    }
    let settings = "config/cognitionos/config.toml";
    for name in ["master_key_file", "database_url_file", "model_api_key_file"] {
        folder.write(settings, &format!("{name} = \"{key}\"\n"));
        folder.cog(&["run", "look.yaml"]).ends(4).says(&refused);
    }
    // The settings themselves, where they hold a secret.
    folder.write(settings, "database_url = \"postgres://ann:pw@localhost/x\"\n");
    let place = folder.path("config").display().to_string();
    let look = LOOK.replace("PLACE", &place).replace("FILE", "cognitionos/config.toml");
    folder.write("look.yaml", &look);
    folder.cog(&["run", "look.yaml"]).ends(4).says(&refused);
    folder.write(settings, "actor = \"user:ann\"\n");
    folder.cog(&["run", "look.yaml"]).ends(0);
}

#[test]
fn a_folder_whose_name_is_no_text_is_refused_before_anything_is_done() {
    let folder = Folder::example("root-bytes", "01-quickstart");
    let name = OsStr::from_bytes(b"dir\xFE");
    let odd = folder.path(".").join(name);
    std::fs::create_dir(&odd).unwrap();
    std::fs::copy(folder.path("workflow.yaml"), odd.join("workflow.yaml")).unwrap();
    let mut command = folder.command(&["run"]);
    command.arg(odd.join("workflow.yaml")).args(["--canon", "canon"]);
    Answer::of(command.output().unwrap()).ends(2).says(&["not UTF-8", "move it"]);
    assert_eq!(std::fs::read_dir(&odd).unwrap().count(), 1);
}
