//! Things that write themselves as canonical JSON, without a [`super::Value`] of them being
//! built first: what is hashed and recorded at every step is written this way.

use std::collections::{BTreeMap, BTreeSet};

use super::write::{Float, write_int, write_list, write_map, write_text};
use super::{Integer, Json, Members};

/// Something with one canonical JSON text (RFC 8785).
pub trait Canonical {
    /// Append the canonical bytes to `out`.
    fn write_canonical(&self, out: &mut Vec<u8>);

    /// The canonical bytes.
    fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write_canonical(&mut out);
        out
    }
}

/// Writes an object member by member. The names must come in ascending order and need no
/// escape, which a build with debug assertions checks; then the bytes are canonical.
#[derive(Debug)]
#[must_use = "an object that is not ended is not JSON"]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    last: &'static str,
}

impl<'a> Object<'a> {
    /// Begin an object at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, last: "" }
    }

    /// Add a member.
    pub fn put(self, name: &'static str, value: &(impl Canonical + ?Sized)) -> Self {
        self.put_with(name, |out| value.write_canonical(out))
    }

    /// Add a member, if there is a value.
    pub fn put_some(self, name: &'static str, value: Option<&(impl Canonical + ?Sized)>) -> Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }

    /// Add a member whose value `write` appends.
    pub fn put_with(mut self, name: &'static str, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        debug_assert!(self.last < name, "`{name}` must stand before `{}`", self.last);
        debug_assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')), "{name}");
        self.out.extend_from_slice(if self.last.is_empty() { b"\"" } else { b",\"" });
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        write(self.out);
        self.last = name;
        self
    }

    /// End the object.
    pub fn end(self) {
        self.out.push(b'}');
    }
}

impl<T: Canonical + ?Sized> Canonical for &T {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        (**self).write_canonical(out);
    }
}

impl<F: Float> Canonical for Json<F> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        Self::write_canonical(self, out);
    }
}

impl Canonical for str {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }
}

impl Canonical for String {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_text(self, out);
    }
}

impl Canonical for bool {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

/// A number beyond 53 bits becomes decimal text, as in a [`super::Value`].
impl Canonical for u64 {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        match i64::try_from(*self).ok().and_then(Integer::new) {
            Some(number) => write_int(number.get(), out),
            None => write_text(&self.to_string(), out),
        }
    }
}

/// `null` when there is none.
impl<T: Canonical> Canonical for Option<T> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.write_canonical(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl<T: Canonical> Canonical for [T] {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }
}

impl<T: Canonical> Canonical for Vec<T> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }
}

impl<T: Canonical> Canonical for BTreeSet<T> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_list(self, out);
    }
}

impl<T: Canonical> Canonical for BTreeMap<String, T> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_map(self.iter(), out);
    }
}

impl<T: Canonical> Canonical for Members<T> {
    fn write_canonical(&self, out: &mut Vec<u8>) {
        write_map(self.iter(), out);
    }
}
