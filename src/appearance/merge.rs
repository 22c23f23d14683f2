//! Messages of one catalogue over those of another: what is missing is taken from below.

use serde_json::{Map, Value};

/// Plural categories (Unicode TR 35, part 3).
pub(super) const CATEGORIES: &[&str] = &["zero", "one", "two", "few", "many", "other"];

/// True for the forms of a plural message.
pub(super) fn is_plural(messages: &Map<String, Value>) -> bool {
    messages.contains_key("other")
        && messages
            .iter()
            .all(|(key, form)| CATEGORIES.contains(&key.as_str()) && form.is_string())
}

/// Replaces messages of `base`. The forms of a plural message are replaced together.
pub(super) fn merged(base: &Value, given: Value) -> Value {
    match (base, given) {
        (Value::Object(base), Value::Object(given)) if !is_plural(base) => {
            let mut all = base.clone();
            for (key, value) in given {
                let value = match base.get(&key) {
                    Some(base) => merged(base, value),
                    None => value,
                };
                all.insert(key, value);
            }
            Value::Object(all)
        }
        (_, given) => given,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partial_catalogue_keeps_the_other_messages() {
        let base = json!({ "a": { "b": "1", "c": "2" }, "n": { "one": "x", "other": "y" } });
        let given = json!({ "a": { "c": "3" }, "n": { "other": "z" } });
        let all = json!({ "a": { "b": "1", "c": "3" }, "n": { "other": "z" } });
        assert_eq!(merged(&base, given), all);
    }
}
