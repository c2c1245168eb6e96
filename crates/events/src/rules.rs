//! The rules of CloudEvents 1.0.2 and its JSON format, for what we send and what we are sent.

use cog_base::json::{Json, JsonError, Loose, parse_loose};

/// The most bytes of an event that is read.
const READ_BYTES_MAX: usize = 1 << 20;
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

/// Why something is no CloudEvent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Larger than what is read.
    #[error("the event has {0} bytes; at most {READ_BYTES_MAX} are read")]
    TooLarge(usize),
    /// No JSON.
    #[error("the event is not JSON")]
    NotJson(#[from] JsonError),
    /// Not an object.
    #[error("an event is a JSON object")]
    NotAnObject,
    /// An attribute that every event has is not there.
    #[error("the attribute `{0}` is missing")]
    Missing(&'static str),
    /// An attribute is not what it must be.
    #[error("the attribute `{name}` must be {expected}")]
    Attribute {
        /// Which.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Both `data` and `data_base64`.
    #[error("an event has `data` or `data_base64`, not both")]
    TwoData,
}

/// Read an event in the JSON format and check it.
///
/// # Errors
/// [`Broken`] says which rule it breaks.
pub fn read(text: &str) -> Result<Loose, Broken> {
    if text.len() > READ_BYTES_MAX {
        return Err(Broken::TooLarge(text.len()));
    }
    let event = parse_loose(text)?;
    check(&event)?;
    Ok(event)
}

/// Check an event against the rules. An attribute that is null counts as not there.
///
/// # Errors
/// [`Broken`] names the first rule that it breaks.
pub fn check<F>(event: &Json<F>) -> Result<(), Broken> {
    let members = event.as_map().ok_or(Broken::NotAnObject)?;
    let is_there = |name: &str| members.get(name).is_some_and(|value| !matches!(value, Json::Null));
    if let Some(missing) = REQUIRED.into_iter().find(|name| !is_there(name)) {
        return Err(Broken::Missing(missing));
    }
    if is_there("data") && is_there("data_base64") {
        return Err(Broken::TwoData);
    }
    for (name, value) in members {
        let expected = match (name.as_str(), value) {
            ("data", _) | (_, Json::Null) => None,
            ("data_base64", value) => value.as_text().is_none().then_some("text in base64"),
            (name, value) => broken_attribute(name, value),
        };
        if let Some(expected) = expected {
            return Err(Broken::Attribute { name: name.clone(), expected });
        }
    }
    Ok(())
}

/// What an attribute must be and is not.
fn broken_attribute<F>(name: &str, value: &Json<F>) -> Option<&'static str> {
    let is_name = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    if name.is_empty() || !name.bytes().all(is_name) {
        return Some("named with lower-case letters and digits alone");
    }
    let text = value.as_text();
    let is = |fits: fn(&str) -> bool| text.is_some_and(fits);
    let (fits, expected) = match name {
        "specversion" => (text == Some("1.0"), "1.0"),
        "id" | "type" | "subject" => (is(is_line), "text that is not empty"),
        "source" => (is(is_uri_reference), "a URI reference that is not empty"),
        "dataschema" => (is(is_uri), "an absolute URI"),
        "datacontenttype" => (is(is_media_type), "a media type like application/json"),
        "time" => (is(is_rfc3339), "a time of RFC 3339"),
        _ => (is_attribute_value(value), "text, true or false, or a whole number of 32 bits"),
    };
    (!fits).then_some(expected)
}

fn is_attribute_value<F>(value: &Json<F>) -> bool {
    match value {
        Json::Text(text) => text.chars().all(is_allowed),
        Json::Bool(_) => true,
        Json::Int(number) => i32::try_from(number.get()).is_ok(),
        Json::Null | Json::Float(_) | Json::List(_) | Json::Map(_) => false,
    }
}

/// No control characters and no code points that stand for no character.
fn is_allowed(letter: char) -> bool {
    let code = u32::from(letter);
    !letter.is_control() && !(0xFDD0..=0xFDEF).contains(&code) && code & 0xFFFE != 0xFFFE
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_allowed)
}

/// The characters of RFC 3986, and a percent sign only before two hex digits.
fn is_uri_reference(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=".contains(&byte);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_escaped = byte == b'%'
            && bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())
            && bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        if !is_plain(byte) && !is_escaped {
            return false;
        }
    }
    !text.is_empty()
}

fn is_uri(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    let mut letters = scheme.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        && is_uri_reference(text)
}

/// Type and subtype of RFC 2046; parameters may be anything printable.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let is_letter =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        !part.is_empty() && part.bytes().all(is_letter)
    };
    let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
    let parts = kind.trim_end().split_once('/');
    parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// `2026-02-17T10:00:00Z`, with any fraction and offset.
fn is_rfc3339(text: &str) -> bool {
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let marks = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    let bytes = text.as_bytes();
    let is_marked = marks.iter().all(|(place, mark)| bytes.get(*place) == Some(mark))
        && bytes.get(10).is_some_and(|mark| b"Tt ".contains(mark));
    let within = |value: Option<u32>, low, high| value.is_some_and(|it| (low..=high).contains(&it));
    let (year, month) = (number(0, 4), number(5, 7));
    let days = days_of(year.unwrap_or(0), month.unwrap_or(0));
    let is_date = year.is_some() && within(month, 1, 12) && within(number(8, 10), 1, days);
    // A leap second is a second.
    let is_time = within(number(11, 13), 0, 23)
        && within(number(14, 16), 0, 59)
        && within(number(17, 19), 0, 60);
    is_marked && is_date && is_time && is_offset(text.get(19..).unwrap_or_default())
}

fn days_of(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// An optional fraction, then `Z` or an offset.
fn is_offset(rest: &str) -> bool {
    let rest = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let after = fraction.trim_start_matches(|letter: char| letter.is_ascii_digit());
            if after.len() == fraction.len() {
                return false;
            }
            after
        }
    };
    if matches!(rest, "Z" | "z") {
        return true;
    }
    let Some(offset) = rest.strip_prefix(['+', '-']) else { return false };
    let Some((hours, minutes)) = offset.split_once(':') else { return false };
    let within = |digits: &str, max: u32| {
        digits.len() == 2
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse::<u32>().is_ok_and(|number| number <= max)
    };
    within(hours, 23) && within(minutes, 59)
}
