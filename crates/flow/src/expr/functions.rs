//! The closed list of functions.

use std::borrow::Cow;

use cog_base::Value;
use cog_base::json::Json;

use super::eval::Fault;
use super::meter::Meter;
use super::operators::whole;

/// The most that a workflow can say of its own failure, in characters.
const MESSAGE_CHARS_MAX: usize = 500;

macro_rules! functions {
    ($($variant:ident $name:literal $least:literal $most:literal $method:literal $usage:literal;)*) => {
        /// A function that expressions can call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($variant),* }

        impl Function {
            pub(super) const NAMES: [&'static str; [$($name),*].len()] = [$($name),*];

            pub(super) fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            /// Least and most arguments, the target among them, and whether it needs one.
            pub(super) const fn shape(self) -> (usize, usize, bool) {
                match self { $(Self::$variant => ($least, $most, $method)),* }
            }

            /// How it is called.
            pub(super) const fn usage(self) -> &'static str {
                match self { $(Self::$variant => $usage),* }
            }

            const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

functions! {
    Size "size" 1 1 false "x.size()";
    Contains "contains" 2 2 true "text.contains(part)";
    StartsWith "startsWith" 2 2 true "text.startsWith(part)";
    EndsWith "endsWith" 2 2 true "text.endsWith(part)";
    Text "string" 1 1 false "string(x)";
    Int "int" 1 1 false "int(x)";
    LowerAscii "lowerAscii" 1 1 true "text.lowerAscii()";
    UpperAscii "upperAscii" 1 1 true "text.upperAscii()";
    Trim "trim" 1 1 true "text.trim()";
    Replace "replace" 3 3 true "text.replace(old, new)";
    Split "split" 2 2 true "text.split(separator)";
    Join "join" 1 2 true "list.join(separator)";
    Substring "substring" 2 3 true "text.substring(start, end)";
    IndexOf "indexOf" 2 2 true "text.indexOf(part)";
    Sum "sum" 1 1 false "list.sum()";
    Fail "fail" 1 1 false "fail(message)";
}

pub(super) fn call(
    function: Function,
    args: &[Cow<'_, Value>],
    meter: &Meter,
) -> Result<Value, Fault> {
    for arg in args {
        meter.scan(arg.as_text().map_or(0, str::len))?;
    }
    match args {
        [one] => unary(function, one, meter),
        [one, two] => binary(function, one, two, meter),
        [one, two, three] => ternary(function, one, two, three, meter),
        _ => Err(Fault::NoOverload(function.name(), format!("{} arguments", args.len()))),
    }
}

fn no_overload(function: Function, args: &[&Value]) -> Fault {
    let kinds: Vec<&str> = args.iter().map(|arg| arg.kind()).collect();
    Fault::NoOverload(function.name(), kinds.join(" and "))
}

fn unary(function: Function, one: &Value, meter: &Meter) -> Result<Value, Fault> {
    let built = |text: String| -> Result<Value, Fault> {
        meter.bytes(text.len())?;
        Ok(Json::Text(text))
    };
    match (function, one) {
        (Function::Size, Json::Text(text)) => count(text.chars().count()),
        (Function::Size, Json::List(items)) => count(items.len()),
        (Function::Size, Json::Map(members)) => count(members.len()),
        (Function::Text, Json::Text(text)) => built(text.clone()),
        (Function::Text, Json::Int(number)) => built(number.get().to_string()),
        (Function::Text, Json::Bool(truth)) => built(truth.to_string()),
        (Function::Int, Json::Int(number)) => Ok(Json::Int(*number)),
        (Function::Int, Json::Text(text)) => {
            whole(Some(text.parse().map_err(|_| Fault::NotANumber)?))
        }
        (Function::LowerAscii, Json::Text(text)) => built(text.to_ascii_lowercase()),
        (Function::UpperAscii, Json::Text(text)) => built(text.to_ascii_uppercase()),
        (Function::Trim, Json::Text(text)) => built(text.trim().to_owned()),
        (Function::Join, Json::List(items)) => built(join(items, "", meter)?),
        (Function::Sum, Json::List(items)) => sum(items),
        (Function::Fail, Json::Text(message)) => {
            Err(Fault::Said(message.chars().take(MESSAGE_CHARS_MAX).collect()))
        }
        _ => Err(no_overload(function, &[one])),
    }
}

fn binary(function: Function, one: &Value, two: &Value, meter: &Meter) -> Result<Value, Fault> {
    match (function, one, two) {
        (Function::Contains, Json::Text(text), Json::Text(part)) => {
            Ok(Json::Bool(text.contains(part)))
        }
        (Function::StartsWith, Json::Text(text), Json::Text(part)) => {
            Ok(Json::Bool(text.starts_with(part)))
        }
        (Function::EndsWith, Json::Text(text), Json::Text(part)) => {
            Ok(Json::Bool(text.ends_with(part)))
        }
        (Function::Split, Json::Text(text), Json::Text(separator)) => split(text, separator, meter),
        (Function::Join, Json::List(items), Json::Text(separator)) => {
            join(items, separator, meter).map(Json::Text)
        }
        (Function::Substring, Json::Text(text), Json::Int(start)) => {
            substring(text, start.get(), None, meter)
        }
        (Function::IndexOf, Json::Text(text), Json::Text(part)) => {
            let found = text.find(part.as_str());
            let characters =
                found.and_then(|byte| text.get(..byte)).map(|head| head.chars().count());
            characters.map_or_else(|| whole(Some(-1)), count)
        }
        _ => Err(no_overload(function, &[one, two])),
    }
}

fn ternary(
    function: Function,
    one: &Value,
    two: &Value,
    three: &Value,
    meter: &Meter,
) -> Result<Value, Fault> {
    match (function, one, two, three) {
        (Function::Replace, Json::Text(text), Json::Text(old), Json::Text(new)) => {
            let hits = if old.is_empty() {
                text.chars().count().saturating_add(1)
            } else {
                text.matches(old.as_str()).count()
            };
            meter.bytes(text.len().saturating_add(hits.saturating_mul(new.len())))?;
            Ok(Json::Text(text.replace(old.as_str(), new)))
        }
        (Function::Substring, Json::Text(text), Json::Int(start), Json::Int(end)) => {
            substring(text, start.get(), Some(end.get()), meter)
        }
        _ => Err(no_overload(function, &[one, two, three])),
    }
}

fn count(count: usize) -> Result<Value, Fault> {
    whole(i64::try_from(count).ok())
}

fn sum(items: &[Value]) -> Result<Value, Fault> {
    let mut total = 0_i64;
    for item in items {
        let number = item.as_int().ok_or(Fault::Needed("an integer", item.kind()))?;
        total = total.checked_add(number).ok_or(Fault::Overflow)?;
    }
    whole(Some(total))
}

fn split(text: &str, separator: &str, meter: &Meter) -> Result<Value, Fault> {
    let pieces: Vec<Value> = if separator.is_empty() {
        meter.bytes(text.len().saturating_mul(4))?;
        text.chars().map(|letter| Value::from(letter.to_string())).collect()
    } else {
        meter.bytes(text.len().saturating_mul(4))?;
        text.split(separator).map(Value::from).collect()
    };
    Ok(Json::List(pieces))
}

fn join(items: &[Value], separator: &str, meter: &Meter) -> Result<String, Fault> {
    let mut text = String::new();
    for (position, item) in items.iter().enumerate() {
        let piece = item.as_text().ok_or(Fault::Needed("a list of texts", item.kind()))?;
        meter.bytes(piece.len().saturating_add(separator.len()))?;
        if position > 0 {
            text.push_str(separator);
        }
        text.push_str(piece);
    }
    Ok(text)
}

/// The characters from `start` up to, not including, `end`.
fn substring(text: &str, start: i64, end: Option<i64>, meter: &Meter) -> Result<Value, Fault> {
    let length = text.chars().count();
    let place = |number: i64| {
        usize::try_from(number).ok().filter(|place| *place <= length).ok_or(Fault::OutOfText)
    };
    let start = place(start)?;
    let end = end.map_or(Ok(length), place)?;
    let wanted = end.checked_sub(start).ok_or(Fault::OutOfText)?;
    meter.bytes(wanted)?;
    Ok(Json::Text(text.chars().skip(start).take(wanted).collect()))
}
