//! The program as an outsider uses it: files in, words and an exit code out.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the test writes bundles and starts the program"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cog_base::entropy::SeededEntropy;
use cog_base::id::TenantId;
use cog_base::json::{Value, parse};
use cog_base::{Digest, Timestamp};
use cog_ledger::bundle::{BundleWriter, Manifest};
use cog_ledger::memory::{MemoryKeys, MemoryShelf};
use cog_ledger::{Draft, Kind, Writer};

/// A folder with what an operator hands out.
struct Handout(PathBuf);

impl Handout {
    /// A log of `entries` entries after the first, its head and its key. `last` tells logs
    /// of one origin apart.
    fn new(name: &str, entries: usize, last: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut entropy = SeededEntropy::new(7);
        let now = Timestamp::from_micros(1_795_000_000_000_000);
        let tenant = TenantId::new(now, &mut entropy).unwrap();
        let keys = Box::new(MemoryKeys::default());
        let mut writer = Writer::new(MemoryShelf::default(), keys, "cognitionos/test");
        for number in 0..entries {
            let source = if number + 1 == entries { last } else { "test" };
            let draft = evidence(source);
            writer.append(vec![(tenant, draft)], now, &mut entropy).unwrap();
        }
        let log = writer.shelf().log(tenant).unwrap();
        let head = log.checkpoints.last().unwrap();
        let manifest = Manifest {
            tenant,
            origin: head.origin().to_owned(),
            from: 0,
            size: head.size(),
            root: head.root(),
            bodies: 0,
            canons: 0,
            left_out: std::collections::BTreeSet::new(),
        };
        let key = log.entries[0].entry.text("key").unwrap();
        let mut bundle = Vec::new();
        let mut out = BundleWriter::begin(&mut bundle, &manifest).unwrap();
        out.key(&key.parse().unwrap()).unwrap();
        log.entries().for_each(|entry| out.entry(entry).unwrap());
        out.checkpoint(head, &key.parse().unwrap()).unwrap();
        out.end().unwrap();
        std::fs::write(folder.join("log.cogbundle"), bundle).unwrap();
        std::fs::write(folder.join("log.key"), format!("# the key of the log\n{key}\n")).unwrap();
        std::fs::write(folder.join("log.checkpoint"), head.to_string()).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Write a changed copy of the bundle.
    fn change(&self, from: &str, to: &str) -> String {
        let bundle = std::fs::read_to_string(self.0.join("log.cogbundle")).unwrap();
        assert!(bundle.contains(from));
        std::fs::write(self.0.join("changed.cogbundle"), bundle.replace(from, to)).unwrap();
        self.file("changed.cogbundle")
    }
}

fn evidence(source: &str) -> Draft {
    let data = [("source", Value::from(source)), ("digest", Digest::of(&[b"seen"]).into())];
    Draft {
        kind: Kind::Evidence,
        actor: "agent:clerk".to_owned(),
        domain: "accounts-payable".to_owned(),
        environment: "test".to_owned(),
        session: None,
        canon: None,
        data: data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        body: None,
    }
}

/// The exit code and what was said.
fn program(arguments: &[&str]) -> (i32, String, String) {
    let program = env!("CARGO_BIN_EXE_cognitionos-verify");
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn an_intact_bundle_holds() {
    let handout = Handout::new("intact", 5, "test");
    let (bundle, key) = (handout.file("log.cogbundle"), handout.file("log.key"));
    let (code, out, _) = program(&[&bundle, "--key", &key]);
    assert_eq!(code, 0, "{out}");
    for words in ["everything checked holds", "Not proved", "6, from the first on"] {
        assert!(out.contains(words), "{out}");
    }
    let line = std::fs::read_to_string(&key).unwrap().lines().last().unwrap().to_owned();
    let (code, out, _) = program(&["--json", &format!("--key={line}"), &bundle]);
    let report = parse(&out).unwrap();
    assert_eq!((code, report.get("holds")), (0, Some(&Value::from(true))));
    assert_eq!(report.at(&["kinds", "evidence"]), Some(&Value::from(5_u64)));
    assert_eq!(report.get("signer").unwrap().as_text(), Some(line.as_str()));
}

#[test]
fn what_looks_like_a_comment_in_a_file_of_keys_is_one() {
    let handout = Handout::new("comments", 1, "test");
    let (bundle, key) = (handout.file("log.cogbundle"), handout.file("log.key"));
    let line = std::fs::read_to_string(&key).unwrap().lines().last().unwrap().to_owned();
    for end in ["\u{2028}", "\u{b}", "\u{c}", "\u{85}", "\u{1c}", "\r"] {
        std::fs::write(&key, format!("# an old key{end}{line}{end}\n")).unwrap();
        assert_eq!(program(&[&bundle, "--key", &key]).0, 2, "{end:?}");
    }
    std::fs::write(&key, format!("# the key\r\n\t{line} \r\n")).unwrap();
    assert_eq!(program(&[&bundle, "--key", &key]).0, 0);
}

#[test]
fn a_bundle_comes_through_a_pipe_and_leaves_nothing_behind() {
    let handout = Handout::new("piped", 5, "test");
    let (bundle, key) = (handout.file("log.cogbundle"), handout.file("log.key"));
    let temporary = handout.0.join("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    for given in ["-", "/dev/stdin"] {
        let mut cat = Command::new("cat").arg(&bundle).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_cognitionos-verify"));
        command.args([given, "--key", &key]).env("TMPDIR", &temporary);
        let output = command.stdin(cat.stdout.take().unwrap()).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && out.contains("everything checked holds"), "{out}");
        assert!(cat.wait().unwrap().success());
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    }
}

#[test]
fn a_changed_bundle_does_not_hold_and_the_report_names_why() {
    let handout = Handout::new("changed", 5, "test");
    let key = handout.file("log.key");
    let changed = handout.change("\"seq\":3", "\"seq\":4");
    let (code, out, _) = program(&[&changed, "--key", &key]);
    assert_eq!(code, 1);
    assert!(out.contains("do not rely on this bundle") && out.contains("[seq.gap]"), "{out}");
    let (code, out, _) = program(&[&changed, "--key", &key, "--json"]);
    let report = parse(&out).unwrap();
    let findings = report.get("findings").unwrap().as_list().unwrap();
    assert_eq!(code, 1);
    assert!(findings.iter().any(|it| it.get("code") == Some(&Value::from("head.root"))), "{out}");
}

#[test]
fn a_hostile_log_does_not_reach_the_terminal() {
    let handout = Handout::new("hostile", 2, "test");
    let changed = handout.change("\"origin\":\"cognitionos", "\"origin\":\"\\u001b[2Jcognitionos");
    let (code, out, _) = program(&[&changed, "--key", &handout.file("log.key")]);
    assert_eq!(code, 1);
    assert!(out.contains("[2Jcognitionos") && !out.contains('\u{1b}'), "{out:?}");
    // Names of files and keys, too, and letters that turn text round or are not seen.
    let steers = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202e}' | '\u{200b}');
    let key = handout.file("hostile\u{202e}.key");
    std::fs::write(&key, "evil\u{1b}[2J\u{9b}31m\u{200b}+00000000+AAAA\n").unwrap();
    for arguments in [[handout.file("log.cogbundle"), key.clone()], [key, handout.file("log.key")]]
    {
        let [bundle, key] = arguments;
        let (code, out, err) = program(&[&bundle, "--key", &key]);
        assert_eq!(code, 2);
        assert!(!out.contains(steers) && !err.contains(steers), "{out:?} {err:?}");
    }
}

#[test]
fn views_of_one_log_are_compared_whichever_is_longer() {
    let (short, long) = (Handout::new("short", 3, "test"), Handout::new("long", 9, "test"));
    let fork = Handout::new("fork", 9, "another");
    let key = long.file("log.key");
    let against = |one: &Handout, other: &Handout, file: &str| {
        let (bundle, other) = (one.file("log.cogbundle"), other.file(file));
        let (code, out, err) = program(&[&bundle, "--key", &key, "--against", &other]);
        assert!(code != 2, "{err}");
        out
    };
    let only_grew = "that the log only grew between the two views";
    for (one, other, file) in [
        (&long, &short, "log.cogbundle"),
        (&long, &short, "log.checkpoint"),
        (&short, &long, "log.cogbundle"),
        (&fork, &short, "log.cogbundle"),
    ] {
        let out = against(one, other, file);
        assert!(out.contains("everything checked holds") && out.contains(only_grew), "{out}");
    }
    for (one, other) in [(&long, &fork), (&fork, &long)] {
        assert!(against(one, other, "log.cogbundle").contains("[against.split]"));
        assert!(against(one, other, "log.checkpoint").contains("[against.split]"));
    }
    assert!(against(&short, &long, "log.checkpoint").contains("[against.shorter]"));
}

#[test]
fn what_gives_no_verdict_is_told_as_json_too() {
    let handout = Handout::new("json-errors", 2, "test");
    let (bundle, key) = (handout.file("log.cogbundle"), handout.file("log.key"));
    let missing = handout.file("missing");
    let table: [(&[&str], &str); 5] = [
        (&[&key, "--key", &key], "not a bundle"),
        (&[&missing, "--key", &key], "could not read"),
        (&[&bundle, "--key", &bundle], "not a verifier key"),
        (&[&bundle], "--key is needed"),
        (&[&bundle, "--key", &key, "--loud"], "unknown option `--loud`"),
    ];
    for (arguments, words) in table {
        let (code, out, err) = program(&[arguments, &["--json"]].concat());
        assert_eq!((code, err.as_str()), (2, ""), "{arguments:?}: {out}");
        let problem = parse(&out).unwrap();
        assert_eq!(problem.get("exit"), Some(&Value::from(2_u64)), "{out}");
        assert!(problem.get("error").is_some() && out.contains(words), "{arguments:?}: {out}");
        assert!(problem.get("try").and_then(Value::as_text).is_some(), "{out}");
    }
}

#[test]
fn bad_usage_and_input_are_told_apart_from_a_bad_bundle() {
    let handout = Handout::new("usage", 2, "test");
    let (bundle, key) = (handout.file("log.cogbundle"), handout.file("log.key"));
    let missing = handout.file("missing");
    let table: [(&[&str], &str); 11] = [
        (&[], "which bundle?"),
        (&[&bundle], "--key is needed"),
        (&[&bundle, "--key"], "--key needs a value"),
        (&[&bundle, "--key", &missing], "could not read"),
        (&[&bundle, "--key", &bundle], "not a verifier key"),
        (&[&missing, "--key", &key], "could not read"),
        (&[&key, "--key", &key], "not a bundle"),
        (&[&bundle, &bundle, "--key", &key], "one bundle at a time"),
        (&[&bundle, "--key", &key, "--against", &key], "neither a checkpoint nor a bundle"),
        (&[&bundle, "--key", &key, "--loud"], "unknown option `--loud`"),
        (&[&bundle, "--key", &key, "--json=yes"], "unknown option `--json=yes`"),
    ];
    for (arguments, words) in table {
        let (code, out, err) = program(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    for help in ["--help", "-h"] {
        let (code, out, _) = program(&[help]);
        assert!(code == 0 && out.contains("Exit codes"));
    }
    assert!(program(&["--version"]).1.starts_with("cognitionos-verify "));
}
