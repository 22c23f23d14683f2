//! Statement parameters, and column types that decode from both engines.

mod flag;
mod ids;
mod json;
mod timestamp;

use super::error::Error;
use crate::clock::Timestamp;
use crate::secret::SecretHash;
pub use flag::Flag;
pub use json::{JsonColumn, Names};
pub(super) use timestamp::to_sqlite_text;

/// A parameter of a statement. `None` is SQL NULL of that type.
#[derive(Clone, Debug)]
pub enum Value {
    /// Text.
    Text(Option<String>),
    /// A whole number.
    Int(Option<i64>),
    /// A boolean.
    Bool(bool),
    /// An instant: `timestamptz`, or text in Storyden's form in UTC.
    Time(Option<Timestamp>),
    /// A JSON document: `jsonb`, or a BLOB of compact JSON, the form that Storyden writes.
    Json(serde_json::Value),
}

impl Value {
    /// Returns a JSON list of names, or JSON `null`.
    #[must_use]
    pub fn optional_names(names: Option<&[String]>) -> Self {
        Self::Json(names.map_or(serde_json::Value::Null, Into::into))
    }

    /// Returns a JSON document, or JSON `null` if the document says nothing.
    ///
    /// # Errors
    /// If the document has no JSON form.
    pub fn json_unless(is_empty: bool, document: &impl serde::Serialize) -> Result<Self, Error> {
        if is_empty {
            return Ok(Self::Json(serde_json::Value::Null));
        }
        let document = serde_json::to_value(document);
        let encoded = document.map_err(|error| Error::from(sqlx::Error::Encode(error.into())));
        encoded.map(Self::Json)
    }

    /// Returns true if the value contains U+0000, which PostgreSQL cannot store in `text` or `jsonb`.
    fn has_nul(&self) -> bool {
        match self {
            Self::Text(text) => text.as_deref().is_some_and(has_nul),
            Self::Json(json) => json_has_nul(json),
            Self::Int(_) | Self::Bool(_) | Self::Time(_) => false,
        }
    }

    /// Returns the PostgreSQL name of the type, with `?` if the value is NULL.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(Some(_)) => "text",
            Self::Text(None) => "text?",
            Self::Int(Some(_)) => "bigint",
            Self::Int(None) => "bigint?",
            Self::Bool(_) => "boolean",
            Self::Time(Some(_)) => "timestamptz",
            Self::Time(None) => "timestamptz?",
            Self::Json(_) => "jsonb",
        }
    }

    /// Returns a JSON list of names.
    pub fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Json(names.into_iter().collect())
    }
}

/// Rejects parameters that an engine cannot store. Every statement passes this check, so that both
/// engines behave alike: the client gets a 400 instead of a 500.
///
/// # Errors
/// [`Error::Unstorable`].
pub(super) fn require_storable(args: &[Value]) -> Result<(), Error> {
    if args.iter().any(Value::has_nul) {
        return Err(Error::Unstorable(None));
    }
    Ok(())
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

fn json_has_nul(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::String(text) => has_nul(text),
        serde_json::Value::Array(items) => items.iter().any(json_has_nul),
        serde_json::Value::Object(members) => members
            .iter()
            .any(|(name, value)| has_nul(name) || json_has_nul(value)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {
            false
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Time(Some(at))
    }
}

impl From<Option<Timestamp>> for Value {
    fn from(at: Option<Timestamp>) -> Self {
        Self::Time(at)
    }
}

impl From<&SecretHash> for Value {
    fn from(hash: &SecretHash) -> Self {
        Self::Text(Some(hash.as_str().to_owned()))
    }
}

impl From<Option<crate::oauth::sign_in_method::SignInMethod>> for Value {
    fn from(method: Option<crate::oauth::sign_in_method::SignInMethod>) -> Self {
        Self::Text(method.map(|method| method.name().to_owned()))
    }
}

impl From<Option<&crate::oauth::dpop::Thumbprint>> for Value {
    fn from(key: Option<&crate::oauth::dpop::Thumbprint>) -> Self {
        Self::Text(key.map(|key| key.as_str().to_owned()))
    }
}
