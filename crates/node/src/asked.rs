//! Mail whose inputs an engine has and may say no to: which of it a no is about.

use std::collections::BTreeMap;

use cog_base::id::{ApprovalId, MailId, RunId};
use cog_engine::{Input, Notice, What};
use cog_gate::{Actor, Wish};

/// What an engine was asked and may say no to, in the order in which it came.
#[derive(Default)]
pub(crate) struct Asked {
    waiting: Vec<One>,
    /// What it said no to, and why, since somebody last took these.
    noes: BTreeMap<MailId, String>,
}

/// Something that the engine may say no to.
struct One {
    mail: MailId,
    run: RunId,
    about: About,
}

#[derive(PartialEq, Eq)]
enum About {
    Answer(ApprovalId),
    /// What is wanted of the run, and by whom.
    Wish(Wish, String),
    /// The id of a signal.
    Signal(String),
    /// That the run begins, or goes on from a place of another.
    Begin,
}

impl About {
    fn wish(wish: Wish, who: &Actor) -> Self {
        Self::Wish(wish, who.to_string())
    }

    fn hold(pauses: bool, who: &str) -> Self {
        Self::Wish(if pauses { Wish::Pause } else { Wish::Unpause }, who.to_owned())
    }
}

impl Asked {
    /// The engine is given this input, which came by mail.
    pub(crate) fn of(&mut self, mail: MailId, input: &Input) {
        let (run, about) = if let Input::Answer { run, approval, .. }
        | Input::Delegate { run, approval, .. } = input
        {
            (*run, About::Answer(*approval))
        } else if let Input::Cancel { run, who, .. } = input {
            (*run, About::wish(Wish::Cancel, who))
        } else if let Input::Pause { run, who, .. } = input {
            (*run, About::wish(Wish::Pause, who))
        } else if let Input::Unpause { run, who, .. } = input {
            (*run, About::wish(Wish::Unpause, who))
        } else if let Input::Signal { run, sent } = input {
            (*run, About::Signal(sent.signal.id.clone()))
        } else if let Input::Fork(forking) = input {
            (forking.run, About::Begin)
        } else if let Input::Start(start) = input {
            (start.run, About::Begin)
        } else {
            return;
        };
        self.waiting.push(One { mail, run, about });
    }

    /// Note which mail it is that the engine says no to. Each notice is the answer to one that
    /// asked. Of what the engine agreed to, the log tells.
    pub(crate) fn hear(&mut self, notice: &Notice) {
        let run = notice.run;
        if matches!(notice.what, What::Sealed(_) | What::Unqueued { .. }) {
            return self.waiting.retain(|one| one.run != run);
        }
        if let What::NotCounted { approval, message, .. } = &notice.what {
            // Of answers that count the log says so, which goes before this.
            let about = About::Answer(*approval);
            let theirs = |one: &mut One| one.run == run && one.about == about;
            let answers = self.waiting.extract_if(.., theirs);
            return self.noes.extend(answers.map(|one| (one.mail, message.clone())));
        }
        if let What::NotGranted { wish, who, reason, .. } = &notice.what {
            self.answered(run, &About::Wish(*wish, who.clone()), Some(reason));
        } else if let What::NotPaused { pauses, who, message } = &notice.what {
            self.answered(run, &About::hold(*pauses, who), Some(message));
        } else if let What::Held { pauses, by, .. } = &notice.what {
            self.answered(run, &About::hold(*pauses, by), None);
        } else if let What::NotTaken { signal, message } = &notice.what {
            self.answered(run, &About::Signal(signal.clone()), Some(message));
        } else if let What::Signalled { signal, .. } = &notice.what {
            self.answered(run, &About::Signal(signal.clone()), None);
        } else if matches!(notice.what, What::Started { .. } | What::Queued { .. }) {
            self.answered(run, &About::Begin, None);
        } else if let What::NotBegun { message } = &notice.what {
            self.answered(run, &About::Begin, Some(message));
        } else if matches!(notice.what, What::EndsAlready { .. }) {
            let is_it =
                |one: &One| one.run == run && matches!(one.about, About::Wish(Wish::Cancel, _));
            let place = self.waiting.iter().position(is_it);
            self.answer(place, Some(&format!("{run} is being ended already")));
        }
    }

    /// Whatever the engine said no to since this was last asked.
    pub(crate) fn noes(&mut self) -> BTreeMap<MailId, String> {
        std::mem::take(&mut self.noes)
    }

    fn answered(&mut self, run: RunId, about: &About, no: Option<&str>) {
        let place = self.waiting.iter().position(|one| one.run == run && one.about == *about);
        self.answer(place, no);
    }

    fn answer(&mut self, place: Option<usize>, no: Option<&str>) {
        let Some(one) = place.map(|place| self.waiting.remove(place)) else { return };
        if let Some(no) = no {
            self.noes.insert(one.mail, no.to_owned());
        }
    }
}
