//! Answers in the place of another: somebody who may answer has another person do so, where the canon lets
//! them. That takes a voice away before it gives one, so that there are never more people than before.

use std::collections::BTreeSet;

use cog_base::Timestamp;
use cog_base::id::ApprovalId;
use cog_canon::Canon;
use cog_ledger::{Draft, Kind};

use super::{Approvals, NotCounted, Request};
use crate::gate::Gate;
use crate::intent::Actor;

impl Approvals {
    /// The draft by which `who` has another person answer.
    ///
    /// # Errors
    /// [`NotCounted`] says why that may not be. Nothing is changed.
    pub fn delegate(
        &self,
        id: ApprovalId,
        (who, to): (&Actor, &Actor),
        reason: Option<&str>,
        canon: &Canon,
        now: Timestamp,
    ) -> Result<Draft, NotCounted> {
        let request = self.get(id).ok_or_else(|| NotCounted::Unknown(id.to_string()))?;
        request.delegable((who, to), canon, now)?;
        let mut draft = request.draft(Kind::ApprovalDelegated, who.as_str());
        draft.data.insert("to".to_owned(), to.as_str().into());
        Ok(match reason {
            Some(reason) => draft.saying("reason", reason),
            None => draft,
        })
    }
}

impl Gate {
    /// From here on the one answers in the place of the other: its entry is on its way.
    pub fn hand_over(&mut self, approval: ApprovalId, who: &Actor, to: &Actor) {
        if let Some(request) = self.approvals.requests.get_mut(&approval) {
            request.delegated.insert(who.to_string(), to.to_string());
        }
    }
}

impl Request {
    /// In whose name somebody answers: that of who has them do so, or their own.
    #[must_use]
    pub fn voice<'a>(&'a self, who: &'a str) -> &'a str {
        let handed = self.delegated.iter().find(|(_, to)| *to == who);
        handed.map_or(who, |(from, _)| from.as_str())
    }

    pub(super) fn answer(&self, kind: Kind, who: &str) -> Draft {
        let mut draft = self.draft(kind, who);
        let voice = self.voice(who);
        if voice != who {
            draft.data.insert("for".to_owned(), voice.into());
        }
        draft
    }

    /// How many different people could answer, when this one does so in the place of that one.
    fn speakers(&self, canon: &Canon, (from, name): (&str, &str)) -> u64 {
        let own = |who: &String| *who == self.actor || *who == self.initiator;
        let people = self.of().flat_map(|group| canon.people(group)).filter(|who| !own(who));
        let speaks = |who: String| match self.delegated.get(&who) {
            Some(to) => to.clone(),
            None if who == from => name.to_owned(),
            None => who,
        };
        people.map(speaks).collect::<BTreeSet<_>>().len() as u64
    }

    /// Whether `who` may have another person answer.
    ///
    /// # Errors
    /// [`NotCounted`] says why not.
    pub fn delegable(
        &self,
        (who, to): (&Actor, &Actor),
        canon: &Canon,
        now: Timestamp,
    ) -> Result<(), NotCounted> {
        self.answerable(who, canon, now)?;
        let of: Vec<String> = self.of().cloned().collect();
        let (from, name) = (who.as_str(), to.as_str());
        let has_part = self.granted.contains(name)
            || self.delegated.iter().any(|(who, to)| who == name || to == name);
        let why = if canon.settings().runs.delegate.is_none() {
            "the canon lets nobody answer for another"
        } else if self.voice(from) != from {
            "they answer in the place of somebody else themselves"
        } else if name == self.actor || name == self.initiator {
            "they asked for this or started the run"
        } else if name == from || has_part {
            "they have a part in it already"
        } else if !to.is_person() || !canon.may_stand_in(name, &of) {
            "it takes a person who may answer, or whom the canon names under `[runs] delegate`"
        } else if self.speakers(canon, (from, name)) < self.need.count {
            "too few people would be left, as each of them answers once"
        } else {
            return Ok(());
        };
        Err(NotCounted::NoDelegate { who: from.to_owned(), to: name.to_owned(), why })
    }
}
