//! Where consumers stand, in memory.

use std::collections::BTreeMap;

use cog_base::id::TenantId;

use super::MemoryStore;
use crate::cursors::{check_consumer, check_consumers, check_dead_letters, kept_why};
use crate::{Cursor, CursorStep, Cursors, DeadLetter, PAGE_MAX, Select, StoreError};

/// All consumers of all logs.
pub(super) type Kept = BTreeMap<TenantId, BTreeMap<String, Place>>;

#[derive(Default)]
pub(super) struct Place {
    next: u64,
    fence: u64,
    dead: BTreeMap<u64, DeadLetter>,
}

impl Place {
    fn cursor(&self, consumer: &str) -> Cursor {
        Cursor {
            consumer: consumer.to_owned(),
            next: self.next,
            fence: self.fence,
            dead_letters: self.dead.len() as u64,
        }
    }
}

impl MemoryStore {
    fn raise(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        is_set: bool,
    ) -> Result<Cursor, StoreError> {
        check_consumer(consumer)?;
        let mut state = self.state();
        state.fence += 1;
        let fence = state.fence;
        let consumers = state.cursors.entry(tenant).or_default();
        let is_new = !consumers.contains_key(consumer);
        check_consumers(consumers.len() as u64 + u64::from(is_new))?;
        let place = consumers.entry(consumer.to_owned()).or_default();
        if is_new || is_set {
            place.next = from;
        }
        place.fence = fence;
        Ok(place.cursor(consumer))
    }
}

impl Cursors for MemoryStore {
    fn take_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
    ) -> Result<Cursor, StoreError> {
        self.raise(tenant, consumer, from, false)
    }

    fn move_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        step: &CursorStep,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let consumers = state.cursors.entry(tenant).or_default();
        let Some(place) = consumers.get_mut(consumer).filter(|place| place.fence == step.fence)
        else {
            return Err(StoreError::Overtaken { tenant, consumer: consumer.to_owned() });
        };
        let mut dead = place.dead.clone();
        dead.retain(|seq, _| !step.revived.contains(seq));
        for letter in &step.dead {
            let why = kept_why(&letter.why).to_owned();
            dead.insert(letter.seq, DeadLetter { why, ..letter.clone() });
        }
        check_dead_letters(dead.len() as u64)?;
        place.dead = dead;
        place.next = place.next.max(step.next);
        Ok(())
    }

    fn set_cursor(
        &self,
        tenant: TenantId,
        consumer: &str,
        next: u64,
    ) -> Result<Cursor, StoreError> {
        self.raise(tenant, consumer, next, true)
    }

    fn drop_cursor(&self, tenant: TenantId, consumer: &str) -> Result<bool, StoreError> {
        let mut state = self.state();
        let consumers = state.cursors.get_mut(&tenant);
        Ok(consumers.is_some_and(|consumers| consumers.remove(consumer).is_some()))
    }

    fn cursors(&self, tenant: TenantId) -> Result<Vec<Cursor>, StoreError> {
        let state = self.state();
        let consumers = state.cursors.get(&tenant).into_iter().flatten();
        Ok(consumers.map(|(consumer, place)| place.cursor(consumer)).collect())
    }

    fn dead_letters(
        &self,
        tenant: TenantId,
        consumer: &str,
        from: u64,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        Select { limit, ..Select::default() }.check()?;
        let state = self.state();
        let place = state.cursors.get(&tenant).and_then(|consumers| consumers.get(consumer));
        let Some(place) = place else { return Ok(Vec::new()) };
        let letters = place.dead.range(from..).take(limit.min(PAGE_MAX));
        Ok(letters.map(|(_, letter)| letter.clone()).collect())
    }
}
