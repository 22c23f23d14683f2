//! Values of a request in error descriptions: the refused value, and the values that are accepted.

use super::error::OAuthError;

/// The length of error descriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorTexts {
    /// A description names the refused value and the accepted values.
    Explained,
    /// Storyden's descriptions, which name no value.
    Storyden,
}

impl ErrorTexts {
    /// Adds a clause to the description.
    #[must_use]
    pub fn explain(self, mut error: OAuthError, clause: impl FnOnce() -> String) -> OAuthError {
        if self == Self::Explained {
            error.description = format!("{}; {}", error.description, clause()).into();
        }
        error
    }
}

/// The most bytes of a refused value in a description.
const LENGTH_MAX: usize = 64;

/// The length from which a value of base64url alone may be a secret: codes, tokens and secrets have 43
/// characters and more.
const SECRET_LENGTH: usize = 40;

/// The most accepted values in a description.
const LISTED_MAX: usize = 12;

/// Names a refused value: `noun value`, or the noun alone if the value is not safe to repeat.
///
/// A safe value is short, has only characters of scopes, grant types and URIs, and cannot be a secret.
/// Quotes, backslashes, control characters and non-ASCII are outside RFC 6749 §5.2; angle brackets are
/// markup in a careless client (reflected XSS).
#[must_use]
pub fn named(noun: &str, value: &str) -> String {
    if is_safe(value) {
        format!("{noun} {value}")
    } else {
        noun.to_owned()
    }
}

fn is_safe(value: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let may_be_secret = value
        .as_bytes()
        .split(|byte| !is_base64url(*byte))
        .any(|run| run.len() >= SECRET_LENGTH);
    (1..=LENGTH_MAX).contains(&value.len())
        && value
            .bytes()
            .all(|byte| is_base64url(byte) || b".:/~+*".contains(&byte))
        && !may_be_secret
}

/// The clause for a value that is not accepted: the value, and the accepted values.
#[must_use]
pub fn none_of<'a>(value: &str, accepted: impl IntoIterator<Item = &'a str>) -> String {
    format!(
        "{} is none of {}",
        named("the value", value),
        listed(accepted)
    )
}

/// Lists accepted values: `a`, `a and b`, `a, b and c`, at most `LISTED_MAX` of these. Leaves out values
/// with characters outside RFC 6749 §5.2.
#[must_use]
pub fn listed<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    let values = values.into_iter();
    let values: Vec<&str> = values.filter(|value| value.bytes().all(allowed)).collect();
    if values.len() > LISTED_MAX {
        let shown = values[..LISTED_MAX].join(", ");
        return format!("{shown} and {} more", values.len() - LISTED_MAX);
    }
    match values.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// req_027, A-83: a value is repeated only if it is plain, short, and cannot be a secret.
    #[test]
    fn unsafe_values_are_not_repeated() {
        for value in [
            "password",
            "tools:read",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "https://files.example/v1",
        ] {
            assert_eq!(named("value", value), format!("value {value}"));
        }
        for value in [
            "",
            "a b",
            "<script>",
            "a\"b",
            "a\\b",
            "a\r\nb",
            "é",
            "https://user:password@a.example",
            "https://a.example?key=x",
            &"a".repeat(LENGTH_MAX + 1),
            "sdoas_dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "https://a.example/dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ] {
            assert_eq!(named("value", value), "value");
        }
    }

    #[test]
    fn accepted_values_are_a_list() {
        assert_eq!(listed([]), "none");
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b"]), "a and b");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!(listed(["a", "b\"", "é"]), "a");
        let many = ["x"; LISTED_MAX + 3];
        assert!(listed(many).ends_with("x and 3 more"));
    }

    proptest! {
        /// req_027: no text puts a character outside RFC 6749 §5.2 into a description.
        #[test]
        fn any_text_stays_within_the_set(text in ".{0,80}") {
            let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
            prop_assert!(named("value", &text).bytes().all(allowed));
        }
    }
}
