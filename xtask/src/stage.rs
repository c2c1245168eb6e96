//! One stage of the suite: a command that is run, timed, shown and counted.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write as _};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

use crate::workspace::{Workspace, cargo_program};

/// How many passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed; 1 for a stage without tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed; at least 1 for a stage that failed.
    pub(crate) failed: u64,
}

impl Tally {
    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }

    /// What a stage counts for: its tests, or itself when it has none. A stage that failed
    /// without a failed test (it did not compile, say) is one failure.
    pub(crate) fn of_stage(self, success: bool) -> Self {
        match (success, self.passed + self.failed, self.failed) {
            (true, 0, _) => Self { passed: 1, failed: 0 },
            (false, _, 0) => Self { failed: 1, ..self },
            (true | false, ..) => self,
        }
    }

    /// The counts that a line of test output reports, of cargo's harness or of unittest.
    fn of_line(line: &str, ran: &mut u64) -> Self {
        if let Some(counts) = line.strip_prefix("test result: ") {
            let count = |word| number_before(counts, word);
            return Self { passed: count(" passed"), failed: count(" failed") };
        }
        if line.starts_with("Ran ") && line.contains(" test") {
            *ran = number_before(line, " test");
        }
        let unittest = line.strip_prefix("FAILED (").or_else(|| line.strip_prefix("OK"));
        let Some(counts) = unittest.filter(|_| *ran > 0) else { return Self::default() };
        let count = |word| number_after(counts, word);
        let failed = count("failures=") + count("errors=");
        let passed = std::mem::take(ran).saturating_sub(failed + count("skipped="));
        Self { passed, failed }
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let digits = text.split(word).next().and_then(|before| before.rsplit(' ').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn number_after(text: &str, word: &str) -> u64 {
    let rest = text.split_once(word).map_or("", |(_, rest)| rest);
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A stage of the suite.
pub(crate) struct Stage {
    name: &'static str,
    started: Instant,
}

impl Stage {
    /// Announces a stage and starts its time.
    pub(crate) fn begin(name: &'static str) -> Self {
        println!("── {name}");
        Self { name, started: Instant::now() }
    }

    /// Runs a command to its end, showing what it prints, and counts its tests.
    pub(crate) fn run(self, command: &mut Command) -> anyhow::Result<Tally> {
        self.run_and_keep(command).map(|(tally, _)| tally)
    }

    /// The same, and what its tests say that they counted.
    pub(crate) fn run_and_keep(
        self,
        command: &mut Command,
    ) -> anyhow::Result<(Tally, Vec<String>)> {
        let (reader, writer) = std::io::pipe().context("could not make a pipe")?;
        let both = writer.try_clone().context("could not make a pipe")?;
        let mut child = command
            .stdout(writer)
            .stderr(both)
            .spawn()
            .with_context(|| format!("could not start {command:?}"))?;
        // The command holds our ends of the pipe, and would keep it open.
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let (mut tally, mut ran) = (Tally::default(), 0);
        let (mut said, mut kept, mut sums) = (Said::default(), Vec::new(), Sums::default());
        for line in BufReader::new(reader).split(b'\n') {
            let line = line.context("could not read what the command prints")?;
            let line = String::from_utf8_lossy(&line);
            let bare = plain(&line);
            if said.is_shown(&bare) {
                println!("{line}");
            }
            kept.extend(bare.strip_prefix(COUNTED).map(str::to_owned));
            sums.add(&bare);
            tally = tally.and(Tally::of_line(&bare, &mut ran));
        }
        kept.extend(sums.lines());
        let success = child.wait().context("could not wait for the command")?.success();
        Ok((self.end(tally.of_stage(success)), kept))
    }

    /// Reports the stage.
    pub(crate) fn end(self, tally: Tally) -> Tally {
        let seconds = self.started.elapsed().as_secs_f64();
        let mark = if tally.failed == 0 { "ok" } else { "FAILED" };
        let Tally { passed, failed } = tally;
        println!("── {}: {mark}, {passed} passed, {failed} failed, {seconds:.1} s", self.name);
        // A closed pipe shows when the next line is printed.
        let _ = std::io::stdout().flush();
        tally
    }
}

/// How a line begins in which a test says how much it did: it is shown, and again at the end.
const COUNTED: &str = "counted: ";

/// How a line begins in which one of many tests says how much it did: a number and of what. What all of
/// them did is counted together.
const TALLY: &str = "tally: ";

/// What the tests did, by what it is.
#[derive(Default)]
struct Sums(BTreeMap<String, u64>);

impl Sums {
    fn add(&mut self, line: &str) {
        let Some((number, what)) = line.strip_prefix(TALLY).and_then(|it| it.split_once(' '))
        else {
            return;
        };
        if let Ok(number) = number.parse::<u64>() {
            *self.0.entry(what.to_owned()).or_default() += number;
        }
    }

    fn lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().map(|(what, number)| format!("{number} {what}, all tests together"))
    }
}

/// What tests that passed printed, which cargo shows after them with `--show-output`: of that,
/// only what they counted is shown here.
#[derive(Default)]
struct Said {
    is_of_passed: bool,
}

impl Said {
    fn is_shown(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.is_of_passed = true,
            "failures:" => self.is_of_passed = false,
            line if line.starts_with("test result: ") => self.is_of_passed = false,
            _ => {}
        }
        !self.is_of_passed || line.starts_with(COUNTED)
    }
}

/// The line without the escape sequences that colour it.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut text = parts.next().unwrap_or_default().to_owned();
    text.extend(parts.filter_map(|part| part.split_once('m').map(|(_, rest)| rest)));
    text
}

/// A cargo command at the root of the workspace, coloured when we are.
pub(crate) fn cargo(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut command = Command::new(cargo_program());
    let colour = if std::io::stdout().is_terminal() { "always" } else { "never" };
    command.current_dir(&workspace.root).env("CARGO_TERM_COLOR", colour).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(lines: &[&str], passed: u64, failed: u64) {
        let mut ran = 0;
        let tallies = lines.iter().map(|line| Tally::of_line(&plain(line), &mut ran));
        assert_eq!(tallies.fold(Tally::default(), Tally::and), Tally { passed, failed });
    }

    #[test]
    fn tests_of_cargo_are_counted() {
        check(
            &[
                "running 3 tests",
                "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
                "test result: \u{1b}[31mFAILED\u{1b}[0m. 1 passed; 2 failed; 0 ignored",
            ],
            4,
            2,
        );
    }

    #[test]
    fn tests_of_unittest_are_counted() {
        check(&["Ran 12 tests in 0.4s", "", "OK (skipped=2)"], 10, 0);
        check(&["Ran 1 test in 0.4s", "FAILED (failures=1)"], 0, 1);
        check(&["Ran 9 tests in 1s", "FAILED (failures=1, errors=2)"], 6, 3);
        check(&["OK, nothing ran"], 0, 0);
    }

    #[test]
    fn of_what_passed_only_what_was_counted_is_shown() {
        let mut said = Said::default();
        let lines = [
            ("test a ... ok", true),
            ("successes:", false),
            ("---- a stdout ----", false),
            ("chatter", false),
            ("counted: 98 inclusion", true),
            ("successes:", false),
            ("    a", false),
            ("failures:", true),
            ("---- b stdout ----", true),
            ("failures:", true),
            ("test result: FAILED. 1 passed; 1 failed", true),
            ("successes:", false),
            ("test result: ok. 1 passed; 0 failed", true),
            ("   Doc-tests cog_base", true),
        ];
        for (line, expected) in lines {
            assert_eq!(said.is_shown(line), expected, "{line}");
        }
    }

    #[test]
    fn what_many_tests_did_is_counted_together() {
        let mut sums = Sums::default();
        for line in
            ["tally: 3 kills", "tally: 2 runs replayed", "tally: 4 kills", "tally: many", "4 kills"]
        {
            sums.add(line);
        }
        let lines: Vec<String> = sums.lines().collect();
        assert_eq!(lines, ["7 kills, all tests together", "2 runs replayed, all tests together"]);
    }

    #[test]
    fn a_stage_without_tests_counts_for_itself() {
        assert_eq!(Tally::default().of_stage(true), Tally { passed: 1, failed: 0 });
        assert_eq!(Tally::default().of_stage(false), Tally { passed: 0, failed: 1 });
        let passed = Tally { passed: 7, failed: 0 };
        assert_eq!(passed.of_stage(false), Tally { passed: 7, failed: 1 });
        assert_eq!(passed.of_stage(true), passed);
    }
}
