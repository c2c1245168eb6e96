//! Canonical bytes, RFC 8785: no white space, members sorted by UTF-16 code units,
//! shortest escapes, numbers as ECMAScript writes them.

use std::collections::BTreeMap;
use std::fmt;

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
            Self::Map(members) => write_map(members, out),
        }
    }
}

/// Shows the canonical text.
impl<F: Float> fmt::Display for Json<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.canonical()))
    }
}

fn write_list<F: Float>(items: &[Json<F>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push(b',');
        }
        item.write_canonical(out);
    }
    out.push(b']');
}

fn write_map<F: Float>(members: &BTreeMap<String, Json<F>>, out: &mut Vec<u8>) {
    out.push(b'{');
    // Byte order and UTF-16 order differ only from U+E000 on, whose first byte is 0xEE or more.
    if members.keys().all(|key| key.bytes().all(|byte| byte < 0xEE)) {
        write_members(members.iter(), out);
    } else {
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
        write_members(sorted.into_iter(), out);
    }
    out.push(b'}');
}

fn write_members<'a, F: Float + 'a>(
    members: impl Iterator<Item = (&'a String, &'a Json<F>)>,
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

fn write_int(number: i64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // INVARIANT: writing into a Vec cannot fail.
    let _ = write!(out, "{number}");
}

/// Append `text` as a JSON string with the escapes of RFC 8785 section 3.2.2.2.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut plain = 0;
    let bytes = text.as_bytes();
    for (position, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(plain..position).unwrap_or_default());
        write_escape(byte, out);
        plain = position + 1;
    }
    out.extend_from_slice(bytes.get(plain..).unwrap_or_default());
    out.push(b'"');
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
