//! A growing list whose entries are named by typed positions and never removed.

use std::marker::PhantomData;

/// Entries of one kind.
#[derive(Clone, Debug)]
pub(super) struct Arena<T>(Vec<T>);

/// The position of an entry.
pub(super) struct Id<T>(usize, PhantomData<fn() -> T>);

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for Id<T> {}

impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl<T> Id<T> {
    /// The entry so many positions after this one.
    pub(super) const fn plus(self, count: usize) -> Self {
        Self(self.0 + count, PhantomData)
    }
}

impl<T> Arena<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The entry that was added first.
    pub(super) const fn first() -> Id<T> {
        Id(0, PhantomData)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Where the next entry will be.
    pub(super) const fn next(&self) -> Id<T> {
        Id(self.0.len(), PhantomData)
    }

    pub(super) fn add(&mut self, entry: T) -> Id<T> {
        let id = self.next();
        self.0.push(entry);
        id
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: an id comes from `add`; nothing is removed")]
    pub(super) fn get(&self, id: Id<T>) -> &T {
        self.0.get(id.0).expect("an id without an entry")
    }

    #[expect(clippy::expect_used, reason = "INVARIANT: an id comes from `add`; nothing is removed")]
    pub(super) fn get_mut(&mut self, id: Id<T>) -> &mut T {
        self.0.get_mut(id.0).expect("an id without an entry")
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id<T>> + use<T> {
        (0..self.0.len()).map(|position| Id(position, PhantomData))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}
