//! Canonical bytes, RFC 8785: no white space, members sorted by UTF-16 code units,
//! shortest escapes, numbers as ECMAScript writes them.

use std::fmt;

use super::canonical::Canonical;
use super::{Json, Never};

/// How a float type is written. `Never` has no values, so canonical [`super::Value`]s
/// hold no floats; `f64` is written as ECMAScript does.
pub trait Float: Copy {
    /// Append the number's text.
    fn write(self, out: &mut Vec<u8>);
}

impl Float for Never {
    fn write(self, _: &mut Vec<u8>) {
        match self {}
    }
}

impl Float for f64 {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(number_text(self).as_bytes());
    }
}

/// The shortest decimal text that reads back as the same double (ECMA-262 `Number::toString`).
pub(super) fn number_text(number: f64) -> String {
    ryu_js::Buffer::new().format(number).to_owned()
}

impl<F: Float> Json<F> {
    /// The canonical bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.write_canonical(&mut out);
        out
    }

    /// Append the canonical bytes to `out`.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Bool(true) => out.extend_from_slice(b"true"),
            Self::Bool(false) => out.extend_from_slice(b"false"),
            Self::Int(number) => write_int(number.get(), out),
            Self::Float(number) => number.write(out),
            Self::Text(text) => write_text(text, out),
            Self::List(items) => write_list(items, out),
            Self::Map(members) => write_map(members.iter(), out),
        }
    }
}

/// Shows the canonical text.
impl<F: Float> fmt::Display for Json<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.canonical()))
    }
}

/// Append a list.
pub(super) fn write_list<'a, T: Canonical + 'a>(
    items: impl IntoIterator<Item = &'a T>,
    out: &mut Vec<u8>,
) {
    out.push(b'[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        item.write_canonical(out);
    }
    out.push(b']');
}

/// Append an object, whose members come in the order of their names' bytes.
pub(super) fn write_map<'a, T: Canonical + 'a>(
    members: impl Iterator<Item = (&'a String, &'a T)> + Clone,
    out: &mut Vec<u8>,
) {
    out.push(b'{');
    // Byte order and UTF-16 order differ only from U+E000 on, whose first byte is 0xEE or more.
    if members.clone().all(|(key, _)| key.bytes().all(|byte| byte < 0xEE)) {
        write_members(members, out);
    } else {
        let mut sorted: Vec<_> = members.collect();
        sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
        write_members(sorted.into_iter(), out);
    }
    out.push(b'}');
}

fn write_members<'a, T: Canonical + 'a>(
    members: impl Iterator<Item = (&'a String, &'a T)>,
    out: &mut Vec<u8>,
) {
    for (position, (key, value)) in members.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_text(key, out);
        out.push(b':');
        value.write_canonical(out);
    }
}

/// Append a whole number.
pub(super) fn write_int(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut rest = number.unsigned_abs();
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Append `text` as a JSON string with the escapes of RFC 8785 section 3.2.2.2.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((plain, after)) = rest.split_at_checked(plain_length(rest)) {
        out.extend_from_slice(plain);
        let Some((special, after)) = after.split_first() else { break };
        write_escape(*special, out);
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes come before the first that needs an escape. Most texts need none, so that
/// it looks at many bytes at once.
fn plain_length(bytes: &[u8]) -> usize {
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let mut length = 0;
    for chunk in bytes.chunks(16) {
        if chunk.iter().fold(false, |any, byte| any | special(*byte)) {
            return length + chunk.iter().position(|byte| special(*byte)).unwrap_or(0);
        }
        length += chunk.len();
    }
    length
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x09 => out.extend_from_slice(b"\\t"),
        0x0A => out.extend_from_slice(b"\\n"),
        0x0C => out.extend_from_slice(b"\\f"),
        0x0D => out.extend_from_slice(b"\\r"),
        control => {
            let hex = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0') as u8;
            out.extend_from_slice(b"\\u00");
            out.push(hex(control >> 4));
            out.push(hex(control & 0x0F));
        }
    }
}
