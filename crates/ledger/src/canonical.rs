//! A reader that accepts a JSON text only if its bytes are the canonical ones (RFC 8785).
//!
//! Equal to reading loosely, writing canonically and comparing, but in one pass: an entry
//! has one spelling, and every other is refused as changed.

use cog_base::json::{Integer, Json, MAX_DEPTH, Map, Value};

/// Bytes that are not the canonical form of any JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not canonical JSON at byte {offset}: {what}")]
pub struct NotCanonical {
    /// What was found or missing.
    pub what: &'static str,
    /// Where, in bytes from the start.
    pub offset: usize,
}

/// Read one canonical JSON object.
pub(crate) fn read_map(bytes: &[u8]) -> Result<Map, NotCanonical> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| NotCanonical { what: "not UTF-8", offset: error.valid_up_to() })?;
    let mut reader = Reader { text, bytes, offset: 0 };
    let map = reader.map(0)?;
    if reader.offset < bytes.len() {
        return Err(reader.wrong("bytes after the object"));
    }
    Ok(map)
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    const fn wrong(&self, what: &'static str) -> NotCanonical {
        NotCanonical { what, offset: self.offset }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.offset).copied()
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), NotCanonical> {
        if self.peek() != Some(byte) {
            return Err(self.wrong(what));
        }
        self.offset += 1;
        Ok(())
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, NotCanonical> {
        if !self.bytes.get(self.offset..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Err(self.wrong("an unknown word"));
        }
        self.offset += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Value, NotCanonical> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("nested too deeply"));
        }
        match self.peek() {
            Some(b'"') => self.string().map(Json::Text),
            Some(b'{') => self.map(depth).map(Json::Map),
            Some(b'[') => self.list(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(_) => Err(self.wrong("no value starts like this")),
            None => Err(self.wrong("a value is missing")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, NotCanonical> {
        self.offset += 1;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.offset += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.peek() != Some(b',') {
                self.take(b']', "neither `,` nor `]`")?;
                return Ok(Json::List(items));
            }
            self.offset += 1;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Map, NotCanonical> {
        self.take(b'{', "an object is missing")?;
        let mut members: Vec<(String, Value)> = Vec::new();
        if self.peek() == Some(b'}') {
            self.offset += 1;
            return Ok(Map::new());
        }
        loop {
            let key = self.string()?;
            if members.last().is_some_and(|(last, _)| !in_order(last, &key)) {
                return Err(self.wrong("a key out of order or twice"));
            }
            self.take(b':', "a missing `:`")?;
            let value = self.value(depth + 1)?;
            members.push((key, value));
            if self.peek() != Some(b',') {
                self.take(b'}', "neither `,` nor `}`")?;
                return Ok(Map::from_iter(members));
            }
            self.offset += 1;
        }
    }

    fn string(&mut self) -> Result<String, NotCanonical> {
        self.take(b'"', "a missing string")?;
        let mut out = String::new();
        loop {
            let rest = self.bytes.get(self.offset..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
                .ok_or_else(|| self.wrong("a string without end"))?;
            let from = self.offset;
            self.offset += plain;
            let span = self.text.get(from..self.offset).unwrap_or_default();
            match self.peek() {
                Some(b'"') if out.is_empty() => {
                    self.offset += 1;
                    return Ok(span.to_owned());
                }
                Some(b'"') => {
                    self.offset += 1;
                    out.push_str(span);
                    return Ok(out);
                }
                Some(b'\\') => {
                    out.push_str(span);
                    let escaped = self.escape()?;
                    out.push(escaped);
                }
                _ => return Err(self.wrong("a bare control character in a string")),
            }
        }
    }

    /// The only escapes of RFC 8785: two characters where JSON has such, else `\u00` and
    /// two lower-case digits, and only for what cannot stand bare.
    fn escape(&mut self) -> Result<char, NotCanonical> {
        let wrong = self.wrong("an escape that is not the canonical one");
        let letter = self.bytes.get(self.offset + 1).copied().ok_or(wrong)?;
        let (escaped, length) = match letter {
            b'"' => ('"', 2),
            b'\\' => ('\\', 2),
            b'b' => ('\u{8}', 2),
            b't' => ('\t', 2),
            b'n' => ('\n', 2),
            b'f' => ('\u{c}', 2),
            b'r' => ('\r', 2),
            b'u' => (self.control().ok_or(wrong)?, 6),
            _ => return Err(wrong),
        };
        self.offset += length;
        Ok(escaped)
    }

    fn control(&self) -> Option<char> {
        let digits = self.text.get(self.offset + 2..self.offset + 6)?;
        let lower = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let code = u8::from_str_radix(digits.strip_prefix("00")?, 16).ok()?;
        let has_short_form = matches!(code, 0x08 | 0x09 | 0x0A | 0x0C | 0x0D);
        let canonical = digits.bytes().all(lower) && code < 0x20 && !has_short_form;
        canonical.then_some(char::from(code))
    }

    fn number(&mut self) -> Result<Value, NotCanonical> {
        let rest = self.text.get(self.offset..).unwrap_or_default();
        let length = rest
            .bytes()
            .position(|byte| !matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(rest.len());
        let digits = rest.get(..length).unwrap_or_default();
        let unsigned = digits.strip_prefix('-').unwrap_or(digits);
        let leading_zero = unsigned.starts_with('0') && digits != "0";
        let number = digits.parse().ok().filter(|_| !leading_zero && !digits.starts_with('+'));
        let number = number.and_then(Integer::new).map(Json::Int);
        let number = number.ok_or_else(|| self.wrong("not a whole number of 53 bits"))?;
        self.offset += length;
        Ok(number)
    }
}

/// Whether `left` stands before `right` by UTF-16 code units. UTF-8 bytes give the same
/// order except where one has a character from U+E000 to U+FFFF, whose first byte is 0xEE
/// or 0xEF, against one beyond, whose first byte is 0xF0 or more.
fn in_order(left: &str, right: &str) -> bool {
    let plain = |text: &str| text.bytes().all(|byte| byte < 0xEE);
    if plain(left) || plain(right) {
        return left < right;
    }
    left.encode_utf16().lt(right.encode_utf16())
}

#[cfg(test)]
mod tests {
    use cog_base::json::parse;
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let texts = prop_oneof![any::<String>(), "[ -~]{0,8}", "[\u{0}-\u{20}\"\\\\\u{7f}]{0,4}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            texts.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let keys = prop_oneof!["[a-c]{0,2}", any::<String>(), "[\u{e000}-\u{10ffff}]{1,2}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
                proptest::collection::vec((keys, inner), 0..6).prop_map(Value::map),
            ]
        })
    }

    fn slow(bytes: &[u8]) -> Option<Map> {
        let value = parse(std::str::from_utf8(bytes).ok()?).ok()?;
        if value.canonical() != bytes {
            return None;
        }
        if let Value::Map(map) = value { Some(map) } else { None }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn canonical_bytes_are_read_back(value in values()) {
            let map = Map::from([("value".to_owned(), value)]);
            let bytes = Value::Map(map.clone()).canonical();
            prop_assert_eq!(read_map(&bytes), Ok(map));
        }

        #[test]
        fn changed_bytes_are_judged_as_by_the_slow_way(
            value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>(), insert in any::<bool>(),
        ) {
            let mut bytes = Value::map([("value", value)]).canonical();
            let at = at.index(bytes.len());
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            prop_assert_eq!(read_map(&bytes).ok(), slow(&bytes));
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let table = [
            r#"{"a":1} "#,
            r#" {"a":1}"#,
            r#"{"a": 1}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":1,"a":1}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e0}"#,
            r#"{"a":-0}"#,
            r#"{"a":01}"#,
            r#"{"a":+1}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            "{\"a\":\"\n\"}",
            r#"["a"]"#,
            "",
            "{\"\u{e000}\":1,\"\u{10000}\":2}",
        ];
        for text in table {
            assert!(read_map(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read_map("{\"\u{10000}\":2,\"\u{e000}\":1}".as_bytes()).is_ok());
    }
}
