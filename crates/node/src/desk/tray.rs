//! What waits on a desk: a pile for each tenant, and whose turn it is among them. However much one
//! tenant has brought, another one's paper waits for one of each.

use std::collections::{BTreeMap, VecDeque};

use cog_base::id::TenantId;
use cog_base::turns::Turns;

use super::Paper;

pub(super) struct Tray {
    /// What is about all tenants has a pile like those of each.
    piles: BTreeMap<Option<TenantId>, VecDeque<Paper>>,
    turns: Turns<Option<TenantId>>,
    /// The node ends when all else is done.
    last: Option<Paper>,
}

impl Tray {
    pub(super) fn new(weights: BTreeMap<TenantId, u32>) -> Self {
        let weights = weights.into_iter().map(|(tenant, weight)| (Some(tenant), weight));
        let turns = Turns::new(1).weighing(weights.collect());
        Self { piles: BTreeMap::new(), turns, last: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty() && self.last.is_none()
    }

    pub(super) fn put(&mut self, paper: Paper) {
        if matches!(paper, Paper::Quit) {
            self.last = Some(paper);
            return;
        }
        let whose = paper.tenant();
        let pile = self.piles.entry(whose).or_default();
        // To look once for two calls is enough.
        let is_again = |before: &Paper| {
            let both = (before, &paper);
            matches!(both, (Paper::Room(_), Paper::Room(_)) | (Paper::Beat, Paper::Beat))
        };
        if let (Some(Paper::Mail(_, before)), Paper::Mail(_, calls)) = (pile.back_mut(), &paper) {
            *before = *calls;
        } else if !pile.back().is_some_and(is_again) {
            pile.push_back(paper);
        }
        self.turns.join(whose);
    }

    /// The next paper.
    pub(super) fn take(&mut self) -> Option<Paper> {
        let Some((whose, _)) = self.turns.begin() else { return self.last.take() };
        let pile = self.piles.entry(whose).or_default();
        let paper = pile.pop_front();
        let has_more = !pile.is_empty();
        if !has_more {
            self.piles.remove(&whose);
        }
        self.turns.did(whose, 1, has_more);
        paper
    }
}

#[cfg(test)]
mod tests {
    use cog_base::id::Uuid;

    use super::*;

    fn tenant(number: u8) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number.into()))
    }

    fn name(paper: &Paper) -> String {
        let whose = paper.tenant().map_or(0, |tenant| tenant.uuid().as_u128());
        if let Paper::Mail(_, calls) = paper {
            return format!("mail {whose} at {calls}");
        }
        let names = [
            ("room", matches!(paper, Paper::Room(_))),
            ("gone", matches!(paper, Paper::Gone(_))),
            ("beat", matches!(paper, Paper::Beat)),
            ("quit", matches!(paper, Paper::Quit)),
        ];
        let name = names.iter().find(|(_, is_it)| *is_it).unwrap().0;
        if whose == 0 { name.to_owned() } else { format!("{name} {whose}") }
    }

    fn taken(papers: Vec<Paper>) -> Vec<String> {
        let mut tray = Tray::new(BTreeMap::new());
        papers.into_iter().for_each(|paper| tray.put(paper));
        let all = std::iter::from_fn(|| tray.take()).map(|paper| name(&paper)).collect();
        assert!(tray.is_empty());
        all
    }

    #[test]
    fn a_tenant_that_brings_much_keeps_another_waiting_for_one_paper() {
        let (a, b) = (tenant(1), tenant(2));
        let mut papers = Vec::new();
        for calls in 0..50 {
            papers.extend([Paper::Mail(a, calls), Paper::Gone(a)]);
        }
        papers.extend([Paper::Mail(b, 0), Paper::Room(b), Paper::Quit, Paper::Beat, Paper::Beat]);
        let taken = taken(papers);
        assert_eq!(
            taken[..6],
            ["mail 1 at 0", "mail 2 at 0", "beat", "gone 1", "room 2", "mail 1 at 1"]
        );
        assert_eq!((taken.len(), taken.last().unwrap().as_str()), (104, "quit"));
    }

    #[test]
    fn calls_that_nothing_came_between_are_one() {
        let (a, b) = (tenant(1), tenant(2));
        let calls = [Paper::Mail(a, 1), Paper::Mail(b, 7), Paper::Mail(a, 2), Paper::Mail(a, 3)];
        let rooms = [Paper::Room(a), Paper::Room(a), Paper::Mail(a, 4)];
        let taken = taken(calls.into_iter().chain(rooms).collect());
        assert_eq!(taken, ["mail 1 at 3", "mail 2 at 7", "room 1", "mail 1 at 4"]);
    }
}
