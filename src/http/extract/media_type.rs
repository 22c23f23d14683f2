//! The `Content-Type` of a request body (RFC 9110 §8.3). The crate `mime` refuses white space before a
//! semicolon and an empty parameter, which §5.6.6 permits.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use crate::oauth::error_value::named;

/// The names of UTF-8, and of its subset ASCII, in lower case. The registered names are `utf-8` and
/// `us-ascii`; `utf8` and `ascii` are common.
const UTF_8: &[&str] = &["utf-8", "utf8", "us-ascii", "ascii"];

/// A media type with the charset of the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MediaType {
    /// Type and subtype in lower case, without parameters.
    essence: String,
    /// The values of the parameter `charset`, without quotes.
    charsets: Vec<String>,
}

impl MediaType {
    /// Reads the `Content-Type` of a request; `None` unless there is exactly one.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut types = headers.get_all(CONTENT_TYPE).iter();
        match (types.next(), types.next()) {
            (Some(only), None) => Some(Self::parse(only.to_str().ok()?)),
            _ => None,
        }
    }

    /// Reads a media type. A parameter that is malformed has no effect; the type itself is compared, so
    /// that a malformed type equals none.
    fn parse(text: &str) -> Self {
        let mut parts = split_outside_quotes(text);
        let essence = parts.next().unwrap_or_default();
        let charset = |parameter: &str| {
            let (name, value) = parameter.split_once('=')?;
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| unquoted(value.trim()))
        };
        Self {
            essence: essence.trim().to_ascii_lowercase(),
            charsets: parts.filter_map(charset).collect(),
        }
    }

    /// True if the type and the subtype are these.
    pub(super) fn is(&self, essence: &str) -> bool {
        self.essence == essence
    }

    /// Rejects a charset other than UTF-8: the body would be read as a different text.
    ///
    /// # Errors
    /// The text for the client.
    pub(super) fn require_utf8(&self) -> Result<(), String> {
        let is_utf8 = |charset: &&String| {
            UTF_8.contains(&charset.to_ascii_lowercase().as_str()) || charset.is_empty()
        };
        match self.charsets.iter().find(|charset| !is_utf8(charset)) {
            None => Ok(()),
            Some(charset) => Err(format!(
                "{} of Content-Type is not supported; send the body as UTF-8",
                named("charset", charset)
            )),
        }
    }
}

/// Splits at semicolons that are outside of quoted strings (RFC 9110 §5.6.4).
fn split_outside_quotes(text: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let after_backslash = std::mem::take(&mut escaped);
        match c {
            '"' if !after_backslash => quoted = !quoted,
            '\\' if quoted && !after_backslash => escaped = true,
            _ => {}
        }
        c == ';' && !quoted
    })
}

/// Returns the value of a parameter: a token, or the content of a quoted string (RFC 9110 §5.6.4).
fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(c) = characters.next() {
        let plain = if c == '\\' {
            characters.next()
        } else {
            Some(c)
        };
        text.extend(plain);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 §5.6.6, §8.3: names and the charset in any case, quoted or not, with optional white
    /// space and empty parameters.
    #[test]
    fn every_spelling_of_utf8_is_read() {
        for text in [
            "application/json",
            "Application/JSON;Charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json; charset=\"U\\TF-8\"",
            "application/json;charset=utf8",
            "application/json ;\tCHARSET=Utf8 ;",
            "application/json; ; charset=us-ascii",
            "application/json; charset=",
            "application/json; profile=\"a;charset=latin1\"; charset=utf-8",
            "application/json; profile=\"a\\\";charset=latin1\"",
            "application/json; boundary",
        ] {
            let read = MediaType::parse(text);
            assert!(read.is("application/json"), "{text}");
            assert_eq!(read.require_utf8(), Ok(()), "{text}");
        }
    }

    /// A charset that is not UTF-8 is named, unless the value is unsafe to repeat.
    #[test]
    fn another_charset_is_named() {
        for (text, named) in [
            ("a/b; charset=iso-8859-1", "charset iso-8859-1"),
            ("a/b; charset=\"UTF-16\"", "charset UTF-16"),
            ("a/b; charset=utf-8; charset=latin1", "charset latin1"),
            ("a/b; charset=\"<x>\"", "charset"),
            ("a/b; charset=\"utf-8", "charset"),
        ] {
            let expected =
                format!("{named} of Content-Type is not supported; send the body as UTF-8");
            assert_eq!(
                MediaType::parse(text).require_utf8(),
                Err(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn another_type_is_another_type() {
        for text in [
            "",
            ";",
            "application/jsonx",
            "application",
            "\"application/json\"",
        ] {
            assert!(!MediaType::parse(text).is("application/json"), "{text}");
        }
    }
}
