//! `cargo xtask soak --kills`: the journey that kills for as long as somebody likes, and what it came to.

use std::io::{BufRead as _, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};

use crate::stage::cargo;
use crate::workspace::Workspace;

/// What a turn counts, as the journey names it.
const COUNTS: [&str; 7] =
    ["turns", "programs", "nodes", "workers", "databases", "runs", "receipts"];
/// The most lines of what a failure said.
const LINES_MAX: usize = 20;

/// How to kill.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kills {
    minutes: u64,
    seed: Option<u64>,
    json: bool,
}

impl Kills {
    /// Read what stands behind `--kills`.
    pub(crate) fn read(words: &[&str]) -> anyhow::Result<Self> {
        let number = |text: &str| text.parse().with_context(|| format!("`{text}` is no number"));
        let [minutes, rest @ ..] = words else { bail!("--kills needs a number of minutes") };
        let (minutes, mut kills) = (number(minutes)?, Self { minutes: 0, seed: None, json: false });
        kills.minutes = minutes;
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            match *word {
                "--json" => kills.json = true,
                "--seed" => {
                    kills.seed = Some(number(rest.next().context("--seed needs a number")?)?)
                }
                other => bail!("`{other}` is no option of `soak --kills`"),
            }
        }
        Ok(kills)
    }

    /// Kill, and say what came of it. Whether all held.
    pub(crate) fn run(&self) -> anyhow::Result<bool> {
        let test = ["test", "--workspace", "--test", "journeys", "--", "soak::", "--nocapture"];
        let mut command = cargo(&Workspace::load()?, &test);
        command.env("COGNITIONOS_SOAK_MINUTES", self.minutes.to_string());
        command.envs(self.seed.map(|seed| ("COGNITIONOS_SOAK_SEED", seed.to_string())));
        if !self.json {
            return Ok(command.status().context("could not start cargo")?.success());
        }
        let begun = Instant::now();
        command.env("COGNITIONOS_SOAK_JSON", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("could not start cargo")?;
        let (say, said) = channel();
        if let Some(out) = child.stdout.take() {
            pass_on(out, say.clone());
        }
        if let Some(err) = child.stderr.take() {
            pass_on(err, say);
        }
        let mut lines = Vec::new();
        for line in said {
            eprintln!("{line}");
            lines.push(line);
        }
        let success = child.wait().context("could not wait for cargo")?.success();
        println!("{}", document(&lines, success, begun.elapsed().as_secs()));
        Ok(success)
    }
}

/// Pass on the lines of a program until it ends.
fn pass_on(from: impl Read + Send + 'static, say: Sender<String>) {
    std::thread::spawn(move || {
        let lines = BufReader::new(from).lines().map_while(Result::ok);
        lines.for_each(|line| drop(say.send(line)));
    });
}

/// What the journey did, in one document. The seed that was begun and not ended is the one that failed.
fn document(lines: &[String], success: bool, took_s: u64) -> Value {
    let begun: Vec<u64> =
        lines.iter().filter_map(|line| line.strip_prefix("seed ")?.parse().ok()).collect();
    let turns: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("turn ")?).ok())
        .collect();
    let sum = |name: &str| turns.iter().filter_map(|turn| turn.get(name)?.as_u64()).sum::<u64>();
    let counts: Map<String, Value> =
        COUNTS.iter().map(|name| ((*name).to_owned(), sum(name).into())).collect();
    let has_ended = |seed: &u64| {
        turns.iter().any(|turn| turn.get("seed").and_then(Value::as_u64) == Some(*seed))
    };
    let failed = (!success).then(|| {
        let seed = begun.iter().find(|seed| !has_ended(seed));
        json!({ "seed": seed, "what": what(lines) })
    });
    let mut document = Map::from_iter([
        ("soak".to_owned(), "kills".into()),
        ("took_s".to_owned(), took_s.into()),
        ("first_seed".to_owned(), begun.first().copied().into()),
        ("seeds".to_owned(), begun.into()),
    ]);
    document.extend(counts);
    document.insert("failed".to_owned(), failed.into_iter().collect());
    Value::Object(document)
}

/// What a failure said: from the first panic on, or the last lines.
fn what(lines: &[String]) -> String {
    let panicked = lines.iter().position(|line| line.contains("panicked at"));
    let from = panicked.unwrap_or_else(|| lines.len().saturating_sub(LINES_MAX));
    let said: Vec<&str> = lines.iter().skip(from).take(LINES_MAX).map(String::as_str).collect();
    said.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: &str = r#"turn {"seed":7,"turns":1,"programs":0,"nodes":24,"workers":0,"databases":3,"runs":40,"receipts":480}"#;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_document_has_the_seeds_and_what_all_turns_did() {
        let second = TURN.replace("\"seed\":7", "\"seed\":8");
        let said =
            lines(&["running 1 test", "seed 7", TURN, "seed 8", &second, "counted: 54 kills"]);
        let document = document(&said, true, 61);
        assert_eq!(document["seeds"], json!([7, 8]));
        assert_eq!((&document["first_seed"], &document["took_s"]), (&json!(7), &json!(61)));
        assert_eq!((&document["turns"], &document["nodes"]), (&json!(2), &json!(48)));
        assert_eq!((&document["receipts"], &document["failed"]), (&json!(960), &json!([])));
    }

    #[test]
    fn a_turn_that_failed_is_named_with_its_seed_and_what_was_said() {
        let panicked = "thread 'soak::kills' panicked at tests/journeys/nodes.rs:9:5:";
        let said = lines(&["seed 7", TURN, "seed 8", panicked, "assertion failed", "FAILED"]);
        let document = document(&said, false, 1);
        assert_eq!(document["failed"][0]["seed"], 8);
        let what = document["failed"][0]["what"].as_str().unwrap_or_default();
        assert!(what.starts_with(panicked) && what.contains("assertion failed"), "{what}");
        assert_eq!(document["nodes"], 24, "what was done before it counts");
    }

    #[test]
    fn what_does_not_begin_has_no_seed_and_says_why() {
        let document = document(&lines(&["error: could not compile `cog-node`"]), false, 1);
        assert_eq!(document["seeds"], json!([]));
        assert_eq!(document["failed"][0]["seed"], Value::Null);
        assert_eq!(document["failed"][0]["what"], "error: could not compile `cog-node`");
    }

    #[test]
    fn options_come_in_any_order() {
        let json = Kills { minutes: 5, seed: Some(3), json: true };
        assert_eq!(Kills::read(&["5", "--json", "--seed", "3"]).unwrap(), json);
        assert_eq!(Kills::read(&["5", "--seed", "3", "--json"]).unwrap(), json);
        for words in [&[][..], &["five"], &["5", "--seed"], &["5", "3"]] {
            assert!(Kills::read(words).is_err(), "{words:?}");
        }
    }
}
