//! Asking whoever sits at the terminal, until an answer counts or there is none.

use std::collections::{BTreeMap, BTreeSet};

use cog_base::Clock as _;
use cog_base::id::ApprovalId;
use cog_base::json::Map;
use cog_canon::Canon;
use cog_engine::Driver;
use cog_gate::Actor;
use cog_gate::approvals::{NotCounted, Request};

use super::signals::Signals;
use crate::commands::approvals::{arguments, form, people};
use crate::home::Home;
use crate::system::SystemClock;
use crate::terminal::{Terminal, Tone, plain};
use crate::view::told::deed;

/// How often one question is put; then it is left open.
const TRIES_MAX: usize = 20;

/// A person's answer to a request.
pub(super) struct Answer {
    pub(super) approval: ApprovalId,
    pub(super) who: Actor,
    pub(super) verdict: Result<Map, String>,
}

/// Puts requests for consent to whoever sits at the terminal.
pub(super) struct Desk<'a> {
    pub(super) home: &'a Home,
    pub(super) canon: Option<&'a Canon>,
    pub(super) terminal: &'a Terminal,
    pub(super) signals: &'a Signals,
    /// What somebody left open; it is not asked again.
    pub(super) left: BTreeSet<ApprovalId>,
}

/// What became of a question.
enum Said<T> {
    It(T),
    /// Nothing: it stays open.
    Nothing,
    /// There is nobody any more.
    Gone,
}

impl Desk<'_> {
    /// The answers to these requests. None when nobody is there, or whoever is leaves them open.
    pub(super) fn ask(&mut self, driver: &Driver, approvals: &[ApprovalId]) -> Vec<Answer> {
        let mut answers = Vec::new();
        let Some(canon) = self.canon.filter(|_| self.terminal.interactive) else { return answers };
        for id in approvals {
            let request = driver.engine().gate().approvals().get(*id).filter(|it| it.is_open());
            let Some(request) = request.filter(|_| !self.left.contains(id)) else { continue };
            self.show(request, canon);
            let check = |who: &Actor| {
                let requests = driver.engine().gate().approvals();
                requests.grant(*id, who, canon, SystemClock.now()).map(drop)
            };
            match self.answer(request, canon, &check) {
                Said::It((who, verdict)) => answers.push(Answer { approval: *id, who, verdict }),
                Said::Nothing => {
                    self.left.insert(*id);
                }
                Said::Gone => {
                    self.left.extend(approvals);
                    break;
                }
            }
        }
        answers
    }

    /// What somebody is asked to agree to.
    fn show(&self, request: &Request, canon: &Canon) {
        let say = |line: &str| self.terminal.say(line);
        let word = self.terminal.tint(Tone::Ask, "approval");
        say(&format!("\n  {word} {}  {}", plain(&request.step), request.id));
        let deed = deed(&request.action, &request.resource);
        say(&format!("    {} wants to {deed}", plain(&request.actor)));
        match arguments(self.home, request) {
            Ok(Some(lines)) => lines.iter().for_each(|line| say(&format!("      {line}"))),
            // Nobody should agree to what nobody can see.
            Ok(None) | Err(_) => say("      what exactly is not on record any more: leave it open"),
        }
        let (count, of) = (request.need.count, request.need.of.join(" or "));
        say(&format!("    needs {count} of {of}: {}", people(request, canon).join(", ")));
    }

    /// Who answers, and what.
    fn answer(
        &self,
        request: &Request,
        canon: &Canon,
        check: &dyn Fn(&Actor) -> Result<(), NotCounted>,
    ) -> Said<(Actor, Result<Map, String>)> {
        let example = people(request, canon).first().cloned().unwrap_or("user:NAME".into());
        for _ in 0..TRIES_MAX {
            let question = format!("  Who answers? Such as {example}; empty leaves it open: ");
            let who = match self.question(&question) {
                Said::It(who) => who,
                Said::Nothing => return Said::Nothing,
                Said::Gone => return Said::Gone,
            };
            let who = match read(&who, &example).and_then(|who| {
                check(&who).map_err(|error| error.to_string())?;
                Ok(who)
            }) {
                Ok(who) => who,
                Err(why) => {
                    self.terminal.say(&format!("  That does not count: {}", plain(&why)));
                    continue;
                }
            };
            return match self.verdict(&who) {
                Said::It(Ok(())) => match self.fill(request) {
                    Said::It(form) => Said::It((who, Ok(form))),
                    Said::Nothing => Said::Nothing,
                    Said::Gone => Said::Gone,
                },
                Said::It(Err(why)) => Said::It((who, Err(why))),
                Said::Nothing => Said::Nothing,
                Said::Gone => Said::Gone,
            };
        }
        Said::Nothing
    }

    /// Yes, or no and why.
    fn verdict(&self, who: &Actor) -> Said<Result<(), String>> {
        for _ in 0..TRIES_MAX {
            let question = format!("  Does {who} approve it? y or n; empty leaves it open: ");
            match self.question(&question) {
                Said::It(answer) if is_yes(&answer) => return Said::It(Ok(())),
                Said::It(answer) if is_no(&answer) => {
                    let why = match self.question("  Why not? It is kept in the ledger: ") {
                        Said::It(why) => why,
                        Said::Nothing => "said no at the terminal".to_owned(),
                        Said::Gone => return Said::Gone,
                    };
                    return Said::It(Err(why));
                }
                Said::It(answer) => {
                    self.terminal.say(&format!("  `{}` is neither y nor n", plain(&answer)));
                }
                Said::Nothing => return Said::Nothing,
                Said::Gone => return Said::Gone,
            }
        }
        Said::Nothing
    }

    /// What the step has people fill in.
    fn fill(&self, request: &Request) -> Said<Map> {
        let Ok(form) = form::of(self.home, request) else { return Said::Nothing };
        for _ in 0..TRIES_MAX {
            let mut given = BTreeMap::new();
            for (name, spec) in &form.0 {
                let kind = spec.kind.as_str();
                let about = spec.description.as_deref().map(|it| format!("; {}", plain(it)));
                let about = about.unwrap_or_default();
                let else_ =
                    spec.default.as_ref().map(|it| format!("; else {}", plain(&it.to_string())));
                let about = about + &else_.unwrap_or_default();
                match self.question(&format!("  {name} ({kind}{about}): ")) {
                    Said::It(text) => drop(given.insert(name.clone(), text)),
                    Said::Nothing => {}
                    Said::Gone => return Said::Gone,
                }
            }
            match form.bind(&given) {
                Ok(filled) => return Said::It(filled),
                Err(why) => self.terminal.say(&format!("  {}", plain(&why))),
            }
        }
        Said::Nothing
    }

    fn question(&self, question: &str) -> Said<String> {
        match self.signals.while_asking(|| self.terminal.question(question)) {
            Some(answer) if answer.is_empty() => Said::Nothing,
            Some(answer) => Said::It(answer),
            None => {
                self.terminal.say("");
                Said::Gone
            }
        }
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "y" | "yes")
}

fn is_no(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "n" | "no")
}

/// The actor that an answer names.
fn read(answer: &str, example: &str) -> Result<Actor, String> {
    if is_yes(answer) || is_no(answer) {
        return Err(format!("first say who answers, such as {example}; yes or no comes then"));
    }
    answer.parse::<Actor>().map_err(|error| format!("{error}; a person is named like {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_not_a_name() {
        for (answer, expected) in [
            ("y", "first say who answers, such as user:cfo; yes or no comes then"),
            ("No", "first say who answers, such as user:cfo; yes or no comes then"),
            ("user:cfo", "user:cfo"),
        ] {
            let found = read(answer, "user:cfo").map_or_else(|why| why, |who| who.to_string());
            assert_eq!(found, expected);
        }
        assert!(read("cfo", "user:cfo").unwrap_err().contains("named like user:cfo"));
    }
}
