//! Strict JSON parsing (A-67): unique names per object, at most eight levels, no trailing data, no U+0000.
//!
//! Input that two parsers read differently is rejected: with two members of one name, one program
//! checks the first and the next program uses the second.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The deepest nesting of arrays and objects.
const DEPTH_MAX: usize = 8;

/// Parses a document.
///
/// # Errors
/// The fault and its position, without any of the content.
pub fn parse(text: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Level(DEPTH_MAX).deserialize(&mut reader);
    let value = value.and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => {
                format!(
                    "a name is repeated, a text has U+0000, or the document has more than 8 levels: \
                     {place}"
                )
            }
            _ => format!("the document is not JSON: {place}"),
        }
    })
}

/// Deserializes a value with the given number of levels left.
struct Level(usize);

impl Level {
    fn below<E: Error>(&self) -> Result<Self, E> {
        let left = self.0.checked_sub(1);
        left.map(Self).ok_or_else(|| E::custom("too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        storable(value.to_owned()).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            match items.next_element_seed(self.below()?)? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let name = storable(name)?;
            let value = members.next_value_seed(self.below()?)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name is repeated"));
            }
        }
        Ok(Value::Object(object))
    }
}

/// Refuses a text with U+0000 (A-66).
fn storable<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("a text has U+0000"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plain_document_is_read_as_it_is() {
        let text = r#" {"a": [1, -2, 1.5, true, null, "\u00e9"], "b": {}} "#;
        let read = json!({ "a": [1, -2, 1.5, true, null, "é"], "b": {} });
        assert_eq!(parse(text.as_bytes()).unwrap(), read);
    }

    #[test]
    fn what_two_parsers_read_differently_is_refused() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(parse(deep(8).as_bytes()).is_ok());
        for text in [
            r#"{"a": 1, "a": 1}"#,
            r#"{"x": {"a": 1, "\u0061": 2}}"#,
            r#"{"a": 1} {}"#,
            r#"{"a": 1},"#,
            r#"{"a": 1e999}"#,
            r#""\ud800""#,
            r#"{"a": ["x\u0000"]}"#,
            r#"{"a\u0000": 1}"#,
            "{'a': 1}",
            "{\"a\": \"\n\"}",
            "\u{feff}{}",
            "",
            "{",
            &deep(9),
            &deep(100_000),
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"\"\xff\"").is_err());
    }
}
