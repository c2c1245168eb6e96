//! The members of an object, in one piece of memory.
//!
//! Most objects are small, and there are many of them: a record of a decision has dozens. Each as a
//! tree whose nodes have room for eleven, a run of 50,000 steps took 2.0 GB to take up; so, 1.1 GB.

use std::fmt;
use std::{slice, vec};

/// The members of an object by their names, in the order of the names' bytes.
///
/// Looking one up takes `log n` steps, and so does putting one in behind the others; in between, those
/// behind it are moved. Whoever has many at once collects or extends, which sorts them once.
#[derive(Clone, PartialEq, Eq)]
pub struct Members<V>(Vec<(String, V)>);

/// The members with their names.
pub type MembersIter<'a, V> =
    std::iter::Map<slice::Iter<'a, (String, V)>, fn(&'a (String, V)) -> (&'a String, &'a V)>;

impl<V> Members<V> {
    /// No members.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Members of which no two have the same name; the name that two have.
    ///
    /// # Errors
    /// That name.
    pub(super) fn unique(mut members: Vec<(String, V)>) -> Result<Self, String> {
        sort(&mut members);
        let twice = members.windows(2).find_map(|pair| match pair {
            [(one, _), (other, _)] if one == other => Some(one.clone()),
            _ => None,
        });
        members.shrink_to_fit();
        twice.map_or(Ok(Self(members)), Err)
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_str().cmp(name))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        self.get_key_value(name).map(|(_, value)| value)
    }

    /// The member of this name, to change it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        let place = self.place(name).ok()?;
        self.0.get_mut(place).map(|(_, value)| value)
    }

    /// The member of this name, with the name as it stands here.
    #[must_use]
    pub fn get_key_value(&self, name: &str) -> Option<(&String, &V)> {
        self.place(name).ok().and_then(|place| self.0.get(place)).map(|(name, value)| (name, value))
    }

    /// Whether there is a member of this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Put a member in; gives back the one that had its name.
    pub fn insert(&mut self, name: String, value: V) -> Option<V> {
        match self.place(&name) {
            Ok(place) => self.0.get_mut(place).map(|(_, there)| std::mem::replace(there, value)),
            Err(place) => {
                self.0.insert(place, (name, value));
                None
            }
        }
    }

    /// Take a member out.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Keep the members of which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut V) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// The members with their names.
    pub fn iter(&self) -> MembersIter<'_, V> {
        self.into_iter()
    }

    /// The names.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &String> + Clone {
        self.0.iter().map(|(name, _)| name)
    }

    /// The members without their names.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The same, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Sort by name; of several with one name the last one stays.
    fn settle(&mut self) {
        sort(&mut self.0);
        self.0.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
    }
}

/// Sort by name; those of one name stay in their order.
fn sort<V>(members: &mut [(String, V)]) {
    if !members.is_sorted_by(|(one, _), (other, _)| one <= other) {
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
}

impl<V> Default for Members<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V: fmt::Debug> fmt::Debug for Members<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

/// Of several members of one name the last one stays.
impl<V> FromIterator<(String, V)> for Members<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(members: I) -> Self {
        let mut all = Self(members.into_iter().collect());
        all.settle();
        all.0.shrink_to_fit();
        all
    }
}

/// Of several members of one name the last one stays.
impl<V> Extend<(String, V)> for Members<V> {
    fn extend<I: IntoIterator<Item = (String, V)>>(&mut self, members: I) {
        self.0.extend(members);
        self.settle();
    }
}

/// Of several members of one name the last one stays.
impl<V, const N: usize> From<[(String, V); N]> for Members<V> {
    fn from(members: [(String, V); N]) -> Self {
        members.into_iter().collect()
    }
}

impl<V> IntoIterator for Members<V> {
    type Item = (String, V);
    type IntoIter = vec::IntoIter<(String, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, V> IntoIterator for &'a Members<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = MembersIter<'a, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (name, value))
    }
}
