//! JSON whose bytes are canonical (RFC 8785), with floats kept out by the type.
//!
//! Everything that is hashed or signed is a [`Value`]: its float type is [`Never`], so a
//! float cannot be built, only refused at the edge. [`Loose`] is JSON from outside; it
//! carries doubles and becomes a `Value` by [`Loose::exact`] (refuse floats) or
//! [`Loose::lenient`] (a float becomes its shortest decimal text).

mod canonical;
mod members;
mod parse;
mod write;

pub use canonical::{Canonical, Object};
pub use members::{Members, MembersIter};
pub use parse::{JsonError, MAX_DEPTH, MAX_TAKEN_DEPTH, parse, parse_loose, parse_taken};
pub use write::Float;

/// A type without values: the float of a [`Value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Never {}

/// A JSON value whose floats are of type `F`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json<F> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that every JSON reader keeps exactly.
    Int(Integer),
    /// A number with a fraction or beyond the exact range.
    Float(F),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json<F>>),
    /// An object. Keys are unique.
    Map(Members<Json<F>>),
}

/// JSON without floats: the only kind that is hashed.
pub type Value = Json<Never>;

/// JSON as the outside world writes it.
pub type Loose = Json<f64>;

/// An object of a [`Value`].
pub type Map = Members<Value>;

/// A whole number of at most 53 bits, so that RFC 8785 keeps it exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Integer(i64);

impl Integer {
    /// The largest magnitude: 2^53 - 1.
    pub const MAX: i64 = 9_007_199_254_740_991;

    /// The number, or nothing when it is beyond ±(2^53 - 1).
    #[must_use]
    pub const fn new(number: i64) -> Option<Self> {
        if number >= -Self::MAX && number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The number as an `i64`.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl<F> Json<F> {
    /// An object from pairs; a later pair wins over an earlier one of the same key.
    pub fn map<K: Into<String>, V: Into<Self>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// A list.
    pub fn list<V: Into<Self>>(items: impl IntoIterator<Item = V>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The member `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value at a path of object members.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The text, if this is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The whole number, if this is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(number.get()) } else { None }
    }

    /// The whole number, if this is one and not negative.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_int().and_then(|number| u64::try_from(number).ok())
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// The items, if this is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The members, if this is an object.
    pub fn as_map(&self) -> Option<&Members<Self>> {
        if let Self::Map(members) = self { Some(members) } else { None }
    }

    /// Whether it is nested no deeper than so many levels.
    pub fn is_within(&self, levels: usize) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_) => true,
            Self::List(items) => levels > 0 && items.iter().all(|item| item.is_within(levels - 1)),
            Self::Map(members) => {
                levels > 0 && members.values().all(|member| member.is_within(levels - 1))
            }
        }
    }

    /// The word for this kind of value in messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "number",
            Self::Text(_) => "string",
            Self::List(_) => "list",
            Self::Map(_) => "object",
        }
    }

    fn convert<G, E>(self, float: &impl Fn(F) -> Result<Json<G>, E>) -> Result<Json<G>, E> {
        Ok(match self {
            Self::Null => Json::Null,
            Self::Bool(truth) => Json::Bool(truth),
            Self::Int(number) => Json::Int(number),
            Self::Float(number) => float(number)?,
            Self::Text(text) => Json::Text(text),
            Self::List(items) => Json::List(
                items.into_iter().map(|item| item.convert(float)).collect::<Result<_, E>>()?,
            ),
            Self::Map(members) => Json::Map(
                members
                    .into_iter()
                    .map(|(key, value)| Ok((key, value.convert(float)?)))
                    .collect::<Result<_, E>>()?,
            ),
        })
    }
}

impl Loose {
    /// The same value without floats, or the first float found.
    ///
    /// # Errors
    /// [`JsonError::Float`] when there is a number that is not a whole number of 53 bits.
    pub fn exact(self) -> Result<Value, JsonError> {
        self.convert(&|number| Err(JsonError::Float { text: write::number_text(number) }))
    }

    /// The same value with each float turned into its shortest decimal text, so that what
    /// an outside program answered can be kept, hashed and shown without rounding.
    #[must_use]
    pub fn lenient(self) -> Value {
        let float = |number| Ok::<_, Never>(Json::Text(write::number_text(number)));
        match self.convert(&float) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

impl<F> From<bool> for Json<F> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl<F> From<&str> for Json<F> {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<F> From<String> for Json<F> {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// A number beyond 53 bits becomes decimal text, as it would not survive other readers.
impl<F> From<i64> for Json<F> {
    fn from(number: i64) -> Self {
        Integer::new(number).map_or_else(|| Self::Text(number.to_string()), Self::Int)
    }
}

impl<F> From<u64> for Json<F> {
    fn from(number: u64) -> Self {
        i64::try_from(number).map_or_else(|_| Self::Text(number.to_string()), Self::from)
    }
}

impl<F> From<u32> for Json<F> {
    fn from(number: u32) -> Self {
        Self::from(i64::from(number))
    }
}

impl<F> From<Members<Self>> for Json<F> {
    fn from(members: Members<Self>) -> Self {
        Self::Map(members)
    }
}

impl<F> From<Vec<Self>> for Json<F> {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items)
    }
}

impl<F, T: Into<Self>> From<Option<T>> for Json<F> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
