//! Settings: of flags, environment, files and defaults the nearer one counts, and each is told with
//! where it comes from.

use cog_base::Value;

use crate::program::{Answer, Folder, text};

fn without_data(folder: &Folder, arguments: &[&str]) -> Answer {
    Answer::of(folder.command(arguments).env_remove("COGNITIONOS_DATA").output().unwrap())
}

/// Value and source of a setting.
fn explained(answer: &Answer, name: &str) -> (String, String) {
    let all = answer.json();
    let it = all.as_list().unwrap().iter().find(|it| text(it, &["name"]) == name).unwrap();
    let value = it.get("value").and_then(Value::as_text).unwrap_or("-").to_owned();
    (value, text(it, &["source"]).to_owned())
}

#[test]
fn the_nearer_setting_counts() {
    let folder = Folder::example("config", "02-refusal-and-why");
    let explain = ["config", "explain", "--json"];
    let own = folder.path("config/cognitionos/config.toml").display().to_string();
    let pair = |value: &str, source: &str| (value.to_owned(), source.to_owned());
    let data = |arguments: &[&str]| {
        let answer = without_data(&folder, &[arguments, &explain].concat()).ends(0);
        explained(&answer, "data")
    };
    assert_eq!(data(&[]), pair(".cognitionos", "default"));
    folder.write("cognitionos.toml", "data = \"of-the-project\"\n");
    assert_eq!(data(&[]), pair("of-the-project", "cognitionos.toml:1"));
    let mine = "config/cognitionos/config.toml";
    folder.write(mine, "# mine\ndata = \"/tmp/own\"\nactor = \"user:ann\"\n");
    // A project does not move the ledger of who says where it is.
    assert_eq!(data(&[]), pair("/tmp/own", &format!("{own}:2")));
    folder.write(mine, "# mine\nactor = \"user:ann\"\n");
    assert_eq!(data(&[]), pair("of-the-project", "cognitionos.toml:1"));
    let by_environment = folder.cog(&explain).ends(0);
    assert_eq!(explained(&by_environment, "data"), pair("data", "environment COGNITIONOS_DATA"));
    assert_eq!(data(&["--data", "here"]), pair("here", "flag --data"));
    // And what is told is what holds.
    without_data(&folder, &["run", "workflow.yaml"]).ends(0);
    assert!(folder.has("of-the-project/ledger.db") && !folder.has("data"));
    let list = without_data(&folder, &["ledger", "--kind", "session.started", "--json"]).ends(0);
    assert_eq!(text(&list.jsons()[0], &["actor"]), "user:ann");
    folder.cog(&["config", "explain"]).ends(0).says(&["data", "user:ann", &own, "not set"]);
}

#[test]
fn a_setting_that_is_none_is_refused_and_help_is_there_all_the_same() {
    let folder = Folder::new("config-bad");
    for (text, says, advice) in [
        (
            "dta = \"x\"",
            "cognitionos.toml:1: `dta` is nothing that can be set",
            "did you mean `data`?",
        ),
        ("\ndata = 5", "cognitionos.toml:2: `data` is a text", "data = "),
        ("data", "cognitionos.toml:1: ", "in TOML"),
        ("data = \"/srv/other\"", "`data` of a project is a folder in it", "COGNITIONOS_DATA"),
        ("data = \"a/../../b\"", "`data` of a project is a folder in it", "COGNITIONOS_DATA"),
        ("master_key_file = \"k\"", "`master_key_file` is not for a file", "MASTER_KEY_FILE"),
        ("actor = \"user:cfo\"", "`actor` is not for a file that a project", "COGNITIONOS_ACTOR"),
        ("approver = \"user:cfo\"", "`approver` is not for a file", "COGNITIONOS_APPROVER"),
    ] {
        folder.write("cognitionos.toml", text);
        for command in [&["ledger"][..], &["config", "explain"], &["doctor"]] {
            folder.cog(command).ends(2).says(&[says, advice]);
        }
        folder.cog(&["run", "--help"]).ends(0).says(&["Usage: "]);
        assert!(!folder.has("data"));
    }
}

/// A secret in a file of settings is in no help, manual or explanation.
#[test]
fn a_secret_is_not_shown() {
    let folder = Folder::new("config-secret");
    let url = "postgres://cog:hunter2@db/cognitionos";
    folder.write("config/cognitionos/config.toml", &format!("database_url = \"{url}\"\n"));
    for command in [
        &["config", "explain"][..],
        &["config", "explain", "--json"],
        &["serve", "--help"],
        &["man", "serve"],
        &["completions", "zsh"],
        &["ledger"],
    ] {
        let answer = folder.cog(command);
        assert!(!format!("{answer}").contains("hunter2"), "{answer}");
    }
    folder.cog(&["config", "explain"]).ends(0).says(&["(hidden)"]);
}

/// A setting that names a ledger in the database is no less than the flag that does.
#[test]
fn no_command_turns_to_the_folder_while_a_setting_names_a_ledger_in_the_database() {
    let folder = Folder::example("config-tenant", "02-refusal-and-why");
    let tenant = folder.cog(&["database", "new-tenant"]).ends(0).out.trim().to_owned();
    let run = folder.cog(&["run", "workflow.yaml"]).ends(0).id("run");
    let before = folder.cog(&["ledger", "checkpoint"]).ends(0).out;
    let of_the_folder: [&[&str]; 7] = [
        &["run", "workflow.yaml"],
        &["run", "workflow.yaml", "--dry-run"],
        &["run", "--resume", &run],
        &["run", "--fork", &run, "--from", "book"],
        &["ledger", "accept-restore"],
        &["doctor"],
        &["schedules", "run", "--once"],
    ];
    let of_either: [&[&str]; 9] = [
        &["redrive", &run],
        &["checkpoint", "list"],
        &["checkpoint", "create", &run, "here"],
        &["canon", "list"],
        &["canon", "impact", "canon"],
        &["canon", "propose", "canon", "--as", "user:ann"],
        &["ledger", "rotate", "--as", "user:ann"],
        &["ledger", "erase", "ann", "--as", "user:ann"],
        &["ledger", "prune", "--before", "9", "--reason", "old", "--as", "user:ann"],
    ];
    let refused = |command: &[&str]| {
        let output = folder.command(command).env("COGNITIONOS_TENANT", &tenant).output();
        Answer::of(output.unwrap()).ends(2)
    };
    for command in of_the_folder {
        refused(command).says(&["names a ledger in the database", "unset COGNITIONOS_TENANT"]);
    }
    for command in of_either {
        refused(command).says(&["which database is not said", "--database-url"]);
    }
    folder.write("config/cognitionos/config.toml", &format!("tenant = \"{tenant}\"\n"));
    folder.cog(&["run", "workflow.yaml"]).ends(2).says(&["take `tenant` in ", "config.toml:1"]);
    // An empty variable says nothing.
    folder.write("config/cognitionos/config.toml", "");
    let mut command = folder.command(&["run", "workflow.yaml", "--dry-run"]);
    for name in ["TENANT", "ACTOR", "DATABASE_URL", "MASTER_KEY_FILE"] {
        command.env(format!("COGNITIONOS_{name}"), "");
    }
    Answer::of(command.output().unwrap()).ends(0);
    assert_eq!(folder.cog(&["ledger", "checkpoint"]).ends(0).out, before);
    Answer::of(folder.command(&["runs"]).env("COGNITIONOS_DATA", "").output().unwrap())
        .ends(2)
        .says(&[".cognitionos"]);
}

#[test]
fn the_folder_that_a_project_names_is_behind_no_link() {
    let folder = Folder::new("config-link");
    std::fs::create_dir(folder.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("link")).unwrap();
    let explain = |data: &str| {
        folder.write("cognitionos.toml", &format!("data = \"{data}\"\n"));
        without_data(&folder, &["config", "explain"])
    };
    explain("link/ledger").ends(2).says(&["`data` of a project is a folder in it, behind no link"]);
    explain("link").ends(2);
    explain("elsewhere/ledger").ends(0);
}

#[test]
fn a_command_that_is_printed_has_its_words_in_quotes() {
    let folder = Folder::example("config-words", "02-refusal-and-why");
    folder.cog(&["run", "workflow.yaml"]);
    let export = ["ledger", "export", "-o", "b c.cogbundle", "--key", "k d"];
    let check = "check it: cognitionos verify 'b c.cogbundle' --key 'k d'";
    folder.cog(&export).ends(0).says(&[check]);
    // What is no file is written to as it is.
    let told = folder.cog(&["ledger", "export", "--format", "json", "-o", "/dev/fd/1"]).ends(0);
    assert!(told.out.starts_with("[\n{") && told.out.contains("]\nwrote /dev/fd/1"), "{told}");
}
