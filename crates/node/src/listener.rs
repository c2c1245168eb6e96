//! The machine that hears calls for work.

use std::sync::mpsc::Sender;
use std::time::Duration;

use cog_store::{StoreError, Wakeup, Wakeups};

use crate::keeper::Event;

pub(crate) struct Listener {
    wakeups: Box<dyn Wakeups>,
    keeper: Sender<Event>,
}

impl Listener {
    pub(crate) const fn new(wakeups: Box<dyn Wakeups>, keeper: Sender<Event>) -> Self {
        Self { wakeups, keeper }
    }

    /// Wait for a call, at most so long, and pass it on. Says whether anybody hears it.
    ///
    /// # Errors
    /// [`StoreError`] while nobody can be heard.
    pub(crate) fn step(&mut self, wait: Duration) -> Result<bool, StoreError> {
        let event = match self.wakeups.next(wait)? {
            Wakeup::Tenant(tenant) => Event::Called(tenant),
            Wakeup::Anything => Event::Anything,
            Wakeup::Nothing => return Ok(true),
        };
        Ok(self.keeper.send(event).is_ok())
    }
}
