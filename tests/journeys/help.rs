//! Help, completions, and the command lines that help and manuals show: each can be given.

use std::collections::BTreeSet;
use std::process::Command;

use crate::program::{Folder, program, text, workspace};

/// Every command by its words, found from the help itself.
fn commands(folder: &Folder) -> Vec<Vec<String>> {
    let mut found = vec![vec![]];
    let mut at = 0;
    while let Some(words) = found.get(at).cloned() {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = folder.cog(&arguments).ends(0).says(&["Usage: "]).out;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| !line.is_empty()) {
            // A description that goes on in the next line is indented further.
            let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
            let name = name.and_then(|rest| rest.split_whitespace().next());
            let name = name.filter(|name| *name != "help");
            found.extend(name.map(|name| [&words[..], &[name.to_owned()]].concat()));
        }
        at += 1;
    }
    found
}

#[test]
fn every_command_has_help_and_json() {
    let folder = Folder::new("help");
    let found: BTreeSet<String> =
        commands(&folder).into_iter().map(|words| words.join(" ")).collect();
    for promised in [
        "run",
        "replay",
        "why",
        "approvals list",
        "approvals approve",
        "approvals reject",
        "ledger list",
        "ledger show",
        "ledger verify",
        "ledger export",
        "ledger proof",
        "ledger checkpoint",
        "verify",
        "canon check",
        "canon test",
        "canon diff",
        "canon impact",
        "canon propose",
        "canon approve",
        "canon activate",
        "canon list",
        "submit",
        "serve",
        "database prepare",
        "database new-tenant",
        "database audit",
        "doctor",
        "completions",
    ] {
        assert!(found.contains(promised), "no command `{promised}` in {found:?}");
        let arguments: Vec<&str> = promised.split(' ').chain(["--help"]).collect();
        folder.cog(&arguments).ends(0).says(&["--json", "--data"]);
    }
    folder.cog(&["--version"]).ends(0).says(&["cognitionos 0."]);
    folder.cog(&[]).ends(2).says(&["Usage: "]);
    assert!(!folder.has("data"));
}

#[test]
fn every_command_shows_how_it_is_used() {
    let folder = Folder::new("help-examples");
    for words in commands(&folder) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = folder.cog(&arguments).ends(0).out;
        let command = format!("  cognitionos {}", words.join(" "));
        let (first, usage) = (help.find("Examples:"), help.find("Usage: "));
        assert!(first < usage, "{words:?} does not begin with examples");
        let shown = help.lines().skip_while(|line| *line != "Examples:").skip(1);
        let shown: Vec<&str> = shown.take_while(|line| line.starts_with("  ")).collect();
        assert!((1..=4).contains(&shown.len()), "{words:?} shows {shown:?}");
        for line in shown {
            assert!(line.starts_with(command.trim_end()), "{words:?} shows `{line}`");
        }
    }
}

#[test]
fn without_a_command_there_is_help_and_a_typo_gets_a_suggestion() {
    let folder = Folder::new("typos");
    folder.cog(&[]).ends(2).says(&["Usage: ", "Commands:", "Examples:"]);
    let answer = folder.cog(&["database"]).ends(2);
    answer.says(&["Usage: cognitionos database", "Commands:", "Examples:"]);
    for (typo, suggestion) in [
        (&["rum"][..], "'run'"),
        (&["ledgr", "list"], "'ledger'"),
        (&["rnu", "w.yaml"], "try: cognitionos run --help"),
        (&["wyh"], "try: cognitionos why --help"),
        (&["ledger", "lsit"], "try: cognitionos ledger list --help"),
        (&["run", "w.yaml", "--input", "a=1", "b=2"], "try: --input b=2; the flag is given once"),
        (&["ledger", "lst"], "'list'"),
        (&["canon", "porpose"], "'propose'"),
        (&["run", "w.yaml", "--imput", "a=b"], "'--input'"),
        (&["ledger", "export", "--format", "bundel"], "'bundle'"),
    ] {
        folder.cog(typo).ends(2).says(&[suggestion]);
    }
}

/// What is shown in a group comes without naming it, and goes with the flags of the list.
#[test]
fn a_group_without_a_command_lists() {
    let folder = Folder::example("alone", "01-quickstart");
    folder.cog(&["run", "workflow.yaml"]).ends(8);
    for (alone, whole) in [
        (&["approvals"][..], &["approvals", "list"][..]),
        (&["ledger"], &["ledger", "list"]),
        (&["canon"], &["canon", "list"]),
        (&["checkpoint"], &["checkpoint", "list"]),
        (&["approvals", "--json"], &["approvals", "list", "--json"]),
        (&["ledger", "--kind", "denial"], &["ledger", "list", "--kind", "denial"]),
        (&["--quiet", "ledger", "--last=3"], &["--quiet", "ledger", "list", "--last=3"]),
    ] {
        let expected = folder.cog(whole).ends(0);
        assert_eq!(folder.cog(alone).ends(0).out, expected.out, "{alone:?}");
    }
    folder.cog(&["ledger", "--help"]).ends(0).says(&["Commands:"]);
    folder.cog(&["ledger", "--frob"]).ends(2).says(&["--frob"]);
}

/// Every command has a page, which a reader of manuals takes.
#[test]
fn every_command_has_a_manual_page() {
    let folder = Folder::new("man");
    let mut read = 0;
    for words in commands(&folder) {
        let arguments: Vec<&str> =
            std::iter::once("man").chain(words.iter().map(String::as_str)).collect();
        let page = folder.cog(&arguments).ends(0).out;
        let name = [&["cognitionos".to_owned()], &words[..]].concat().join("-");
        for part in [&format!(".TH {}", name.to_uppercase()), ".SH SYNOPSIS", "Examples:"] {
            assert!(page.contains(part), "{name} has no {part}\n{page}");
        }
        folder.write("page.1", &page);
        let groff = ["-man", "-Tutf8", "-ww", "-z", "page.1"];
        let read_by = Command::new("groff").args(groff).current_dir(folder.path("")).output();
        // A machine without it has nobody who reads this.
        let Ok(read_by) = read_by else { continue };
        assert!(read_by.status.success(), "{name}");
        read += 1;
    }
    println!("{read} pages read by groff");
    let json = folder.cog(&["man", "run", "--json"]).ends(0).json();
    assert_eq!(text(&json, &["command"]), "cognitionos-run");
    folder.cog(&["man", "frob"]).ends(2).says(&["no command `frob`"]);
}

#[test]
fn completions_know_the_commands() {
    let folder = Folder::new("completions");
    let json = folder.cog(&["completions", "fish", "--json"]).ends(0).json();
    let script = folder.cog(&["completions", "fish"]).ends(0).out;
    assert_eq!(text(&json, &["shell"]), "fish");
    assert_eq!(text(&json, &["script"]), script);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.cog(&["completions", shell]).ends(0).out;
        for word in ["approvals", "ledger", "checkpoint", "activate"] {
            assert!(script.contains(word), "{shell} does not complete `{word}`");
        }
    }
}

/// Each shell that is here reads its script without an error.
#[test]
fn shells_can_load_their_completions() {
    let folder = Folder::new("completions-load");
    let mut loaded = Vec::new();
    for shell in ["bash", "zsh", "fish"] {
        let file = format!("cognitionos.{shell}");
        folder.write(&file, &folder.cog(&["completions", shell]).ends(0).out);
        let checked = Command::new(shell).args(["-n", &file]).current_dir(folder.path("")).output();
        // A shell that is not installed is nobody's who reads this.
        let Ok(checked) = checked else { continue };
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && said.is_empty(), "{shell}: {said}");
        loaded.push(shell);
    }
    println!("completions loaded by {loaded:?}");
}

/// The part of the manual about a command.
fn section(manual: &str, command: &str) -> String {
    let named = format!("`{command}`");
    let sections = manual.split("\n## ").skip(1);
    let own = sections.filter(|it| it.lines().next().is_some_and(|title| title.contains(&named)));
    own.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_and_flag_is_in_the_manual() {
    let folder = Folder::new("manual");
    let manual = std::fs::read_to_string(workspace().join("docs/guide/cli.md")).unwrap();
    let top = manual.split("\n## ").next().unwrap();
    let mut flags = 0;
    for words in commands(&folder) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = folder.cog(&arguments).ends(0).out;
        let section = words.first().map_or(top.to_owned(), |first| section(&manual, first));
        let group = help.contains("\nCommands:\n");
        let line = words.join(" ");
        assert!(group || section.contains(&line), "the manual has no `{line}`");
        let options = help.lines().filter(|line| line.trim_start().starts_with('-'));
        let long =
            options.filter_map(|line| line.split_whitespace().find(|it| it.starts_with("--")));
        for flag in long.map(|flag| flag.trim_end_matches([',', '.'])) {
            let common = top.contains(flag) || ["--help", "--version"].contains(&flag);
            assert!(common || section.contains(flag), "the manual has no {flag} of `{line}`");
            flags += 1;
        }
    }
    assert!(flags > 60, "{flags} flags");
}

#[test]
fn exit_codes_are_the_same_in_help_and_manual() {
    let folder = Folder::new("exit-codes");
    let help = folder.cog(&["--help"]).ends(0).out.replace('\n', " ");
    let (_, listed) = help.split_once("Exit codes: ").unwrap();
    let codes = |text: &str| -> BTreeSet<u8> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    let manual = std::fs::read_to_string(workspace().join("docs/guide/cli.md")).unwrap();
    let rows = manual.lines().skip_while(|line| !line.starts_with("| Exit code"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let first: Vec<&str> = rows.filter_map(|row| row.split('|').nth(1)).collect();
    // The manual tells apart what is kept for later.
    let mut told = codes(&first.join(" "));
    assert!(manual.contains("3 is kept for sign-in"));
    told.insert(3);
    assert_eq!(codes(listed), told);
}

/// What bash offers for a line that was begun; nothing where there is no bash.
fn offered(folder: &Folder, words: &[&str]) -> Option<String> {
    let begun = words.join(" ");
    let ask = format!(
        "source cognitionos.bash; COMP_WORDS=({begun}); COMP_CWORD={}; \
         _cognitionos cognitionos {} {}; echo \"${{COMPREPLY[*]}}\"",
        words.len() - 1,
        words[words.len() - 1],
        words[words.len() - 2],
    );
    let bash =
        Command::new("bash").args(["-c", &ask]).current_dir(folder.path("")).output().ok()?;
    assert!(bash.status.success(), "{}", String::from_utf8_lossy(&bash.stderr));
    Some(String::from_utf8(bash.stdout).unwrap().trim().to_owned())
}

#[test]
fn bash_completes_commands_and_options() {
    let folder = Folder::new("bash");
    folder.write("cognitionos.bash", &folder.cog(&["completions", "bash"]).ends(0).out);
    for (words, expected) in [
        (&["cognitionos", "app"][..], "approvals"),
        (&["cognitionos", "ledger", "ch"], "checkpoint"),
        (&["cognitionos", "canon", "propose", "--no-i"], "--no-input"),
        (&["cognitionos", "canon", "propose", "--not"], "--note"),
        (&["cognitionos", "ledger", "export", "--format", "b"], "bundle"),
    ] {
        if let Some(offered) = offered(&folder, words) {
            assert_eq!(offered, expected, "{words:?}");
        }
    }
}

/// The command lines in help and manuals, ids filled in.
fn shown(folder: &Folder) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for words in commands(folder) {
        let arguments: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = folder.cog(&arguments).out;
        let lines = help.lines().filter(|line| line.starts_with("  cognitionos "));
        shown.extend(lines.map(|line| (format!("help of `{}`", words.join(" ")), line.to_owned())));
    }
    for manual in manuals() {
        let text = std::fs::read_to_string(workspace().join(&manual)).unwrap();
        let mut prompt = None;
        for line in text.replace("\\\n", " ").lines() {
            if line.starts_with("```") {
                prompt = match line {
                    "```sh" => Some(""),
                    "```console" => Some("$ "),
                    _ => None,
                };
            }
            let command = prompt.and_then(|prompt| line.strip_prefix(prompt));
            // Built and run in one, as the README does it.
            let command =
                command.map(|line| line.replace("cargo run --release -- ", "cognitionos "));
            let command = command.filter(|line| line.starts_with("cognitionos "));
            shown.extend(
                command.filter(|line| !line.contains(['[', '|'])).map(|it| (manual.clone(), it)),
            );
        }
    }
    shown.into_iter().map(|(from, line)| (from, filled(&line))).collect()
}

fn manuals() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "examples/README.md".to_owned()];
    for folder in ["docs/guide", "examples"] {
        for entry in std::fs::read_dir(workspace().join(folder)).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            found.push(format!("{folder}/{name}"));
            found.push(format!("{folder}/{name}/README.md"));
        }
    }
    found.retain(|name| name.ends_with(".md") && workspace().join(name).is_file());
    found.sort();
    found.dedup();
    found
}

/// An id that is shown cut short, such as `run_01j…`, made whole, and a number for `N`.
fn filled(line: &str) -> String {
    let mut words = Vec::new();
    for word in line.split_whitespace() {
        let prefix = word.split_once('_').map(|(prefix, _)| prefix);
        match prefix.filter(|prefix| prefix.len() == 3 && word.ends_with('…')) {
            Some(prefix) => words.push(format!("{prefix}_01m7yb4qxbf438zjd8206fmvk4")),
            None if word == "N" => words.push("1".to_owned()),
            None => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

/// What a shell says of a command that was told to end before it could hear of it.
const TERMINATED: i32 = 143;

#[test]
fn every_command_line_that_is_shown_can_be_given() {
    let folder = Folder::new("shown");
    std::fs::create_dir(folder.path("bin")).unwrap();
    std::os::unix::fs::symlink(program(), folder.path("bin/cognitionos")).unwrap();
    let shown = shown(&folder);
    let manuals: BTreeSet<&str> = shown.iter().map(|(from, _)| from.as_str()).collect();
    assert!(shown.len() > 20 && manuals.len() > 5, "{manuals:?}");
    for (from, line) in &shown {
        // In a folder where nothing is: what is asked for is missing, but it can be asked. What goes
        // on until somebody ends it is ended.
        let ended =
            line.replace("cognitionos serve", "timeout --preserve-status 3 cognitionos serve");
        let data = if ended == *line { "data" } else { "served" };
        let mut shell = Command::new("sh");
        shell.args(["-c", &ended]).current_dir(folder.path("bin")).env("COGNITIONOS_DATA", data);
        let path = std::env::var("PATH").unwrap();
        shell.env("PATH", format!("{}:{path}", folder.path("bin").display()));
        let output = shell.stdin(std::process::Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("--help"), "{from}: {line}\n{said}");
        let fits = |code: i32| code <= 8 || (code == TERMINATED && *line != ended);
        assert!(output.status.code().is_some_and(fits), "{from}: {line}\n{said}");
    }
}
