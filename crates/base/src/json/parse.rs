//! A strict JSON reader: duplicate keys, lone surrogates, trailing bytes and deep nesting
//! are errors, because two readers must never see two different values in the same bytes.

use super::write::number_text;
use super::{Integer, Json, Loose, Members, Value};

/// The deepest nesting of what is read again that was written here.
pub const MAX_DEPTH: usize = 64;
/// The deepest nesting of what comes from outside. It is put into other values, and those into
/// records, which have to be read again.
pub const MAX_TAKEN_DEPTH: usize = 32;

/// Why a text is not acceptable JSON. Offsets are bytes from the start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text breaks the grammar.
    #[error("{what} at byte {offset}")]
    Syntax {
        /// What was found or missing.
        what: &'static str,
        /// Where.
        offset: usize,
    },
    /// An object names a key twice.
    #[error("the key `{key}` stands twice in one object, at byte {offset}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where the object ends.
        offset: usize,
    },
    /// Nesting beyond [`MAX_DEPTH`], or beyond [`MAX_TAKEN_DEPTH`].
    #[error("nested deeper than {levels} levels at byte {offset}")]
    TooDeep {
        /// The most there may be.
        levels: usize,
        /// Where.
        offset: usize,
    },
    /// A number that is not a whole number of 53 bits, where only those are hashed.
    #[error("`{text}` is not a whole number below 2^53; write amounts in minor units or as text")]
    Float {
        /// The number.
        text: String,
    },
}

/// Read JSON that holds no floats.
///
/// # Errors
/// [`JsonError`] says what is wrong and where.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    read(text, MAX_DEPTH, exactly)
}

/// Read JSON that holds no floats and comes from outside: it is nested at most [`MAX_TAKEN_DEPTH`]
/// levels deep.
///
/// # Errors
/// [`JsonError`] says what is wrong and where.
pub fn parse_taken(text: &str) -> Result<Value, JsonError> {
    read(text, MAX_TAKEN_DEPTH, exactly)
}

/// Read any JSON from outside: it is nested at most [`MAX_TAKEN_DEPTH`] levels deep.
///
/// # Errors
/// [`JsonError`] says what is wrong and where.
pub fn parse_loose(text: &str) -> Result<Loose, JsonError> {
    read(text, MAX_TAKEN_DEPTH, |number| Ok(Json::Float(number)))
}

fn exactly<F>(number: f64) -> Result<Json<F>, JsonError> {
    Err(JsonError::Float { text: number_text(number) })
}

fn read<F>(text: &str, levels: usize, float: ReadFloat<F>) -> Result<Json<F>, JsonError> {
    let mut reader = Reader { text, offset: 0, levels, float };
    let value = reader.value(0)?;
    reader.skip_space();
    if reader.offset < text.len() {
        return Err(reader.wrong("text after the value"));
    }
    Ok(value)
}

/// What a number becomes that is not a whole one of 53 bits.
type ReadFloat<F> = fn(f64) -> Result<Json<F>, JsonError>;

struct Reader<'a, F> {
    text: &'a str,
    offset: usize,
    levels: usize,
    float: ReadFloat<F>,
}

impl<F> Reader<'_, F> {
    fn wrong(&self, what: &'static str) -> JsonError {
        JsonError::Syntax { what, offset: self.offset }
    }

    fn rest(&self) -> &str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.offset += 1;
        }
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.offset += 1;
            Ok(())
        } else {
            Err(self.wrong(what))
        }
    }

    fn word(&mut self, word: &str, value: Json<F>) -> Result<Json<F>, JsonError> {
        if self.rest().starts_with(word) {
            self.offset += word.len();
            Ok(value)
        } else {
            Err(self.wrong("an unknown word"))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json<F>, JsonError> {
        self.skip_space();
        if depth >= self.levels && matches!(self.peek(), Some(b'{' | b'[')) {
            return Err(JsonError::TooDeep { levels: self.levels, offset: self.offset });
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') => self.word("null", Json::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.wrong("not a JSON value")),
            None => Err(self.wrong("a missing value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json<F>, JsonError> {
        self.offset += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.offset += 1;
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.peek() == Some(b',') {
                self.offset += 1;
            } else {
                self.take(b']', "neither `,` nor `]`")?;
                return Ok(Json::List(items));
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Json<F>, JsonError> {
        self.offset += 1;
        let mut members = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.offset += 1;
            return Ok(Json::Map(Members::new()));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.take(b':', "a missing `:`")?;
            let value = self.value(depth + 1)?;
            members.push((key, value));
            self.skip_space();
            if self.peek() == Some(b',') {
                self.offset += 1;
            } else {
                self.take(b'}', "neither `,` nor `}`")?;
                let twice = |key| JsonError::DuplicateKey { key, offset: self.offset };
                return Members::unique(members).map(Json::Map).map_err(twice);
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.take(b'"', "a missing string")?;
        let mut out = String::new();
        loop {
            let plain = self
                .rest()
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')
                .ok_or_else(|| self.wrong("a string without end"))?;
            out.push_str(self.rest().get(..plain).unwrap_or_default());
            self.offset += plain;
            match self.peek() {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.wrong("a bare control character in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.offset += 1;
        let letter = self.peek().ok_or_else(|| self.wrong("a string without end"))?;
        self.offset += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(self.wrong("an unknown escape")),
        })
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.four_hex()?;
        let code = match first {
            0xD800..=0xDBFF => {
                self.take(b'\\', "a lone surrogate")?;
                self.take(b'u', "a lone surrogate")?;
                let second = self.four_hex()?;
                if !(0xDC00..=0xDFFF).contains(&second) {
                    return Err(self.wrong("a lone surrogate"));
                }
                0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| self.wrong("a lone surrogate"))
    }

    fn four_hex(&mut self) -> Result<u32, JsonError> {
        let digits = self.rest().get(..4).unwrap_or_default();
        let code = digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(digits, 16).ok())
            .flatten()
            .filter(|_| digits.len() == 4)
            .ok_or_else(|| self.wrong("a bad \\u escape"))?;
        self.offset += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<Json<F>, JsonError> {
        let text = self.number_span()?;
        let whole = !text.contains(['.', 'e', 'E']);
        if whole && let Some(number) = text.parse().ok().and_then(Integer::new) {
            // `-0` has no integer twin; RFC 8785 writes it as 0, and so does this.
            return Ok(Json::Int(number));
        }
        let number: f64 = text.parse().map_err(|_| self.wrong("a bad number"))?;
        if !number.is_finite() {
            return Err(self.wrong("a number beyond the range of doubles"));
        }
        whole_double(number).map_or_else(|| (self.float)(number), |whole| Ok(Json::Int(whole)))
    }

    fn number_span(&mut self) -> Result<String, JsonError> {
        let start = self.offset;
        if self.peek() == Some(b'-') {
            self.offset += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(self.wrong("a number that starts with 0"));
        }
        if self.peek() == Some(b'.') {
            self.offset += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.offset += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.offset += 1;
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.offset).unwrap_or_default().to_owned())
    }

    fn digits(&mut self) -> Result<usize, JsonError> {
        let start = self.offset;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.offset += 1;
        }
        if self.offset == start {
            return Err(self.wrong("a missing digit"));
        }
        Ok(self.offset - start)
    }
}

/// `56.0` and `5.6e1` are the whole number 56.
fn whole_double(number: f64) -> Option<Integer> {
    if number.fract() != 0.0 || number.abs() > Integer::MAX as f64 {
        return None;
    }
    Integer::new(number as i64)
}
