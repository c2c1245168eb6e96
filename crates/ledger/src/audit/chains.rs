//! Runs that continue others: each begins right behind the seal that names it, as what that one
//! was, with the inputs that the seal says, and knows how often the chain went on.

use std::collections::HashMap;

use cog_base::Digest;
use cog_base::json::Value;

use super::Findings;
use crate::entry::Entry;
use crate::kind::{CONTINUED, Kind};

#[derive(Debug)]
pub(super) struct Chains {
    /// Whether entries before the kept part may have sealed some.
    is_pruned: bool,
    /// What each open run is, and how often its chain went on before it.
    open: HashMap<String, (Identity, u64)>,
    /// The seal that the entry before was, if it says which run is next.
    sealed: Option<Sealed>,
    has_begun: bool,
    not_followed: u64,
}

/// Definition, domain, environment and who begins.
type Identity = (Option<Digest>, String, String, String);

#[derive(Debug)]
struct Sealed {
    seq: u64,
    run: String,
    next: String,
    inputs: Option<String>,
    classes: Option<Value>,
    /// What the run was, if its beginning is here.
    was: Option<(Identity, u64)>,
}

fn identity(entry: &Entry) -> Identity {
    let (domain, environment) = (entry.domain().to_owned(), entry.environment().to_owned());
    let who = entry.text("initiator").unwrap_or_default().to_owned();
    (entry.digest("definition"), domain, environment, who)
}

fn text<'e>(value: Option<&'e Value>, name: &str) -> Option<&'e str> {
    value?.get(name)?.as_text()
}

impl Chains {
    pub(super) fn new(is_pruned: bool) -> Self {
        let (open, sealed) = Default::default();
        Self { is_pruned, open, sealed, has_begun: false, not_followed: 0 }
    }

    pub(super) const fn not_followed(&self) -> u64 {
        self.not_followed
    }

    pub(super) fn entry(&mut self, entry: &Entry, findings: &mut Findings) {
        let before = self.sealed.take();
        let run = entry.session().map(|run| run.to_string()).unwrap_or_default();
        let starts = entry.kind() == Kind::SessionStarted;
        let before = before.filter(|sealed| {
            let begins = starts && run == sealed.next;
            if !begins {
                not_begun(sealed, findings);
            }
            begins
        });
        if starts {
            self.started(run, entry, before, findings);
        } else if entry.kind() == Kind::SessionSealed {
            self.sealed(run, entry, findings);
        }
        self.has_begun = true;
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self, findings: &mut Findings) {
        self.sealed.take().iter().for_each(|sealed| not_begun(sealed, findings));
    }

    fn started(
        &mut self,
        run: String,
        entry: &Entry,
        before: Option<Sealed>,
        findings: &mut Findings,
    ) {
        let seq = Some(entry.seq());
        let continues = entry.data().get("continues");
        let count = continues.and_then(|it| it.get("count")).and_then(Value::as_u64);
        let own = identity(entry);
        let named = text(continues, "session").unwrap_or_default();
        let follows = before.as_ref().filter(|sealed| sealed.run == named);
        if let Some(sealed) = follows {
            let same = sealed.inputs.as_deref() == entry.text("inputs")
                && sealed.classes.as_ref() == entry.data().get("classes")
                && sealed.was.as_ref().is_none_or(|(was, _)| *was == own)
                && !["parent", "fork"].iter().any(|name| entry.data().contains_key(name));
            if !same {
                let message = format!("{run} is not what {named} was, or has other inputs");
                findings.add(seq, "chain.differs", message);
            }
            let wanted = sealed.was.as_ref().map(|(_, count)| count.saturating_add(1));
            if wanted.is_some() && wanted != count {
                let message = format!("{run} says that its chain went on another number of times");
                findings.add(seq, "chain.count", message);
            }
        } else if continues.is_some() && self.is_pruned && !self.has_begun {
            self.not_followed = self.not_followed.saturating_add(1);
        } else if continues.is_some() || before.is_some() {
            let message = format!("{run} does not continue the run that is sealed before it");
            findings.add(seq, "chain.not_sealed", message);
        }
        self.open.insert(run, (own, count.unwrap_or(0)));
    }

    fn sealed(&mut self, run: String, entry: &Entry, findings: &mut Findings) {
        let was = self.open.remove(&run);
        let next = entry.data().get("continued");
        if next.is_some() != (entry.text("status") == Some(CONTINUED)) {
            let message = format!("{run} is sealed as continued without a next run, or otherwise");
            findings.add(Some(entry.seq()), "chain.seal", message);
        }
        self.sealed = text(next, "session").map(|session| Sealed {
            seq: entry.seq(),
            run,
            next: session.to_owned(),
            inputs: text(next, "inputs").map(str::to_owned),
            classes: next.and_then(|next| next.get("classes")).cloned(),
            was,
        });
    }
}

fn not_begun(sealed: &Sealed, findings: &mut Findings) {
    let Sealed { seq, run, next, .. } = sealed;
    let message = format!("{next}, which continues {run}, does not begin behind it");
    findings.add(Some(*seq), "chain.not_begun", message);
}
