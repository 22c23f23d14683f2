//! Parameters of a query or a form.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::http::error::ApiError;
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Parameters;

/// Limit of parameters in a request.
pub(super) const PARAMETERS_MAX: usize = 64;
/// Size limit of a parameter, in bytes.
pub(super) const PARAMETER_MAX: usize = 4 * 1_024;
/// Size limit of a scope, in bytes.
const SCOPE_MAX: usize = 2 * 1_024;
/// Size limit of an assertion, a request object or an access token, in bytes.
const TOKEN_MAX: usize = 8 * 1_024;

/// The parameters of revocation and introspection: the token and the client credentials (RFC 7009 §2.1,
/// RFC 7662 §2.1).
pub const TOKEN_PARAMETERS: &[&str] = &[
    "token",
    "token_type_hint",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
];

/// Decoded parameters. No `Debug`, because codes and secrets are among them.
#[derive(Default)]
pub struct Decoded {
    /// Known parameters with a value.
    pub values: Parameters,
    /// Known parameters that were given more than once.
    pub repeated: Vec<&'static str>,
}

impl Decoded {
    /// Returns the value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns the value of a required parameter.
    ///
    /// # Errors
    /// `invalid_request` with the description `missing`.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::invalid_request(missing))
    }

    /// Rejects parameters that exceed `most` bytes in total, measured as the stored JSON. Escaping
    /// matters: a control character takes six bytes.
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn within(self, most: usize) -> Result<Self, OAuthError> {
        let stored = serde_json::to_vec(&self.values).map_err(OAuthError::server_error)?;
        if stored.len() <= most {
            return Ok(self);
        }
        let most = most / 1_024;
        Err(OAuthError::invalid_request(format!(
            "the parameters are longer than {most} KiB together; send shorter ones"
        )))
    }

    /// Refuses repeated parameters (RFC 6749 §3.1).
    ///
    /// # Errors
    /// `invalid_request`.
    pub fn without_repeats(self) -> Result<Self, OAuthError> {
        match self.repeated.first() {
            Some(name) => Err(OAuthError::invalid_request(format!(
                "{name} is given more than once"
            ))),
            None => Ok(self),
        }
    }
}

/// Decodes the query of a request outside the OAuth protocol.
///
/// # Errors
/// 400 for a malformed query or a repeated parameter.
pub fn decode_query(query: Option<&str>, known: &[&'static str]) -> Result<Decoded, ApiError> {
    decode(query.unwrap_or_default(), known)
        .and_then(Decoded::without_repeats)
        .map_err(|error| ApiError::invalid(error.description))
}

/// Decodes a query or a form. Ignores parameters that are not in `known` (RFC 6749 §3.1).
///
/// # Errors
/// `invalid_request` for malformed encoding, or beyond a size limit.
pub fn decode(text: &str, known: &[&'static str]) -> Result<Decoded, OAuthError> {
    let mut decoded = Decoded::default();
    for (name, value) in pairs(text, known)? {
        if value.is_empty() {
            continue; // RFC 6749 §3.1: an empty value counts as absent
        }
        // RFC 8707 §2, RFC 8693 §2.1: `resource` and `audience` may be repeated. Joined by spaces, which URIs cannot
        // contain.
        if matches!(name, "resource" | "audience")
            && let Some(others) = decoded.values.get_mut(name)
        {
            others.push(' ');
            others.push_str(&value);
            continue;
        }
        if decoded.values.insert(name.to_owned(), value).is_some() {
            decoded.repeated.push(name);
        }
    }
    Ok(decoded)
}

/// Decodes the known parameters of a query or a form, in order.
pub(super) fn pairs(
    text: &str,
    known: &[&'static str],
) -> Result<Vec<(&'static str, String)>, OAuthError> {
    let mut pairs = Vec::new();
    for (index, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if index >= PARAMETERS_MAX {
            return Err(OAuthError::invalid_request(
                "the request has more than 64 parameters",
            ));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode_part(name)?;
        let Some(name) = known.iter().find(|known| **known == name) else {
            continue;
        };
        let value = decode_part(value)?;
        let limit = limit_of(name);
        if value.len() > limit {
            let description = format!("{name} is longer than {limit} bytes");
            return Err(OAuthError::invalid_request(description));
        }
        pairs.push((*name, value.into_owned()));
    }
    Ok(pairs)
}

/// Returns the size limit of a parameter's value, in bytes.
#[must_use]
pub fn limit_of(name: &str) -> usize {
    match name {
        "scope" => SCOPE_MAX,
        "client_assertion" | "request" | "access_token" | "subject_token" | "assertion" => {
            TOKEN_MAX
        }
        _ => PARAMETER_MAX,
    }
}

/// Decodes a parameter name or value (form encoding of the URL Standard), strictly.
pub(super) fn decode_part(text: &str) -> Result<Cow<'_, str>, OAuthError> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+' | 0)) {
        return Ok(Cow::Borrowed(text));
    }
    let refused = || {
        OAuthError::invalid_request(
            "a parameter is not percent-encoded UTF-8 without control zeros",
        )
    };
    let bytes = text.as_bytes();
    let escapes_hold = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| {
            bytes
                .get(at + 1..at + 3)
                .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        });
    if !escapes_hold {
        return Err(refused());
    }
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced)
        .decode_utf8()
        .map_err(|_| refused())?;
    // PostgreSQL cannot store U+0000 in text
    if decoded.contains('\0') {
        Err(refused())
    } else {
        Ok(Cow::Owned(decoded.into_owned()))
    }
}

/// Decodes like Storyden: the first of repeated values counts, and an empty value counts as present.
///
/// # Errors
/// `invalid_request` for malformed encoding, or beyond a size limit.
pub fn decode_leniently(text: &str, known: &[&'static str]) -> Result<Decoded, OAuthError> {
    Ok(leniently(pairs(text, known)?.into_iter()))
}

pub(super) fn leniently(pairs: impl Iterator<Item = (&'static str, String)>) -> Decoded {
    let mut decoded = Decoded::default();
    for (name, value) in pairs {
        if decoded.values.contains_key(name) {
            decoded.repeated.push(name);
        }
        decoded.values.entry(name.to_owned()).or_insert(value);
    }
    decoded
}
