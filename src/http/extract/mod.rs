//! Request input: parameters, bodies, client credentials, client addresses.
//!
//! A single decoder reads all queries and forms. Parameter names are compared after decoding, an empty
//! value counts as absent (RFC 6749 §3.1), a repeated known parameter is rejected, and all sizes are
//! limited (A-62…A-66).

mod address;
mod credentials;
mod path;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use http_body_util::{BodyDataStream, BodyExt as _, Full, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::compat::FormSyntax;
use crate::context::SharedContext;
use crate::http::error::{ApiError, Kind};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Parameters;
use crate::timeouts::Timeouts;

pub use address::ClientAddress;
pub use credentials::{credentials, refuse_two_methods};
pub use path::PathId;

/// Size limit of a body, in bytes.
pub const BODY_MAX: usize = 32 * 1_024;
/// Limit of parameters in a request.
const PARAMETERS_MAX: usize = 64;
/// Size limit of a parameter, in bytes.
const PARAMETER_MAX: usize = 4 * 1_024;
/// Size limit of a scope, in bytes.
const SCOPE_MAX: usize = 2 * 1_024;
/// Size limit of a client assertion, in bytes.
const ASSERTION_MAX: usize = 8 * 1_024;

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
        // RFC 8707 §2: `resource` may be repeated. Joined by spaces, which URIs cannot contain.
        if name == "resource"
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
fn pairs(text: &str, known: &[&'static str]) -> Result<Vec<(&'static str, String)>, OAuthError> {
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
        pairs.push((*name, value));
    }
    Ok(pairs)
}

/// Returns the size limit of a parameter's value, in bytes.
fn limit_of(name: &str) -> usize {
    match name {
        "scope" => SCOPE_MAX,
        "client_assertion" => ASSERTION_MAX,
        _ => PARAMETER_MAX,
    }
}

/// Decodes a parameter name or value (form encoding of the URL Standard), strictly.
fn decode_part(text: &str) -> Result<String, OAuthError> {
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
        Ok(decoded.into_owned())
    }
}

/// Reads the form of a POST to a protocol endpoint.
///
/// # Errors
/// `invalid_request`: wrong media type, too long, too slow, malformed, or with repeated parameters.
pub async fn read_form(
    syntax: FormSyntax,
    request: Request,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let decoded = read_form_as_sent(syntax, request, known).await?;
    match syntax {
        FormSyntax::Strict => decoded.without_repeats(),
        FormSyntax::Go => Ok(decoded),
    }
}

/// Reads a form like [`read_form`], but returns repeated parameters to the caller, which may report the
/// error by redirect.
///
/// # Errors
/// `invalid_request`: wrong media type, too long, too slow, or malformed.
pub async fn read_form_as_sent(
    syntax: FormSyntax,
    request: Request,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let is_form = require_form(request.headers());
    if syntax == FormSyntax::Go {
        let boundary = multipart_boundary(request.headers());
        let body = match (is_form, boundary) {
            (Ok(()), _) => pairs(&read_text(request).await?, known)?,
            (_, Some(boundary)) => multipart(read_bytes(request).await?, &boundary, known).await?,
            (Err(_), None) => Vec::new(), // other media types: an empty form
        };
        return Ok(leniently(body.into_iter().chain(pairs(&query, known)?)));
    }
    // RFC 6749 §2.3.1, §3.2: parameters only in the body
    if !query.is_empty() {
        return Err(OAuthError::invalid_request(
            "parameters must be in the body, not in the URL",
        ));
    }
    is_form?;
    decode(&read_text(request).await?, known)
}

async fn read_bytes(request: Request) -> Result<Bytes, OAuthError> {
    read_body(request).await.map_err(|error| match error {
        BodyError::TooLong => OAuthError::invalid_request("the body is longer than 32 KiB"),
        BodyError::TooSlow => OAuthError::invalid_request("the body did not arrive in time"),
        BodyError::Broken => OAuthError::invalid_request("the body did not arrive whole"),
    })
}

async fn read_text(request: Request) -> Result<String, OAuthError> {
    let text = String::from_utf8(read_bytes(request).await?.into());
    text.map_err(|_| OAuthError::invalid_request("the body is not a form"))
}

/// Returns the boundary of a `multipart/form-data` body (RFC 7578); `None` for other media types.
fn multipart_boundary(headers: &HeaderMap) -> Option<String> {
    multer::parse_boundary(headers.get(CONTENT_TYPE)?.to_str().ok()?).ok()
}

/// Reads the known parameters of a multipart body, in order.
async fn multipart(
    body: Bytes,
    boundary: &str,
    known: &[&'static str],
) -> Result<Vec<(&'static str, String)>, OAuthError> {
    let refused = |_| OAuthError::invalid_request("the body is not a form");
    let mut parts =
        multer::Multipart::new(BodyDataStream::new(Full::<Bytes>::from(body)), boundary);
    let mut pairs = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(refused)? {
        let name = known.iter().find(|known| part.name() == Some(known));
        let Some(name) = name.copied() else { continue };
        let value = part.text().await.map_err(refused)?;
        if value.len() > limit_of(name) || value.contains('\0') {
            let description = format!("{name} is too long or has a control zero");
            return Err(OAuthError::invalid_request(description));
        }
        pairs.push((name, value));
        if pairs.len() > PARAMETERS_MAX {
            return Err(OAuthError::invalid_request(
                "the request has more than 64 parameters",
            ));
        }
    }
    Ok(pairs)
}

/// Decodes like Storyden: the first of repeated values counts, and an empty value counts as present.
///
/// # Errors
/// `invalid_request` for malformed encoding, or beyond a size limit.
pub fn decode_leniently(text: &str, known: &[&'static str]) -> Result<Decoded, OAuthError> {
    Ok(leniently(pairs(text, known)?.into_iter()))
}

fn leniently(pairs: impl Iterator<Item = (&'static str, String)>) -> Decoded {
    let mut decoded = Decoded::default();
    for (name, value) in pairs {
        if decoded.values.contains_key(name) {
            decoded.repeated.push(name);
        }
        decoded.values.entry(name.to_owned()).or_insert(value);
    }
    decoded
}

/// Requires exactly one `Content-Type`, of a form.
fn require_form(headers: &HeaderMap) -> Result<(), OAuthError> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let only = match (types.next(), types.next()) {
        (Some(only), None) => only.to_str().unwrap_or_default(),
        _ => "",
    };
    let (essence, parameters) = only.split_once(';').unwrap_or((only, ""));
    let charset = parameters.trim();
    let fits = essence
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        && (charset.is_empty() || charset.eq_ignore_ascii_case("charset=utf-8"));
    if fits {
        return Ok(());
    }
    Err(OAuthError::invalid_request(
        "Content-Type must be application/x-www-form-urlencoded",
    ))
}

/// Reasons for which a body could not be read.
enum BodyError {
    TooLong,
    TooSlow,
    Broken,
}

async fn read_body(request: Request) -> Result<Bytes, BodyError> {
    let timeouts = request.extensions().get::<Timeouts>().copied();
    let read = Limited::new(request.into_body(), BODY_MAX).collect();
    match tokio::time::timeout(timeouts.unwrap_or_default().body, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// Reads the JSON body of a POST to a protocol endpoint, without parsing.
///
/// # Errors
/// `invalid_client_metadata` (RFC 7591 §3.2.2): wrong media type, too long, or too slow.
pub async fn read_json(request: Request) -> Result<Bytes, OAuthError> {
    let refuse = |text: &'static str| Err(OAuthError::invalid_client_metadata(text));
    let media_type = request.headers().get(CONTENT_TYPE);
    if !media_type.is_some_and(is_json) {
        return refuse("Content-Type must be application/json");
    }
    match read_body(request).await {
        Ok(body) => Ok(body),
        Err(BodyError::TooLong) => refuse("the body is longer than 32 KiB"),
        Err(BodyError::TooSlow) => refuse("the body did not arrive in time"),
        Err(BodyError::Broken) => refuse("the body did not arrive whole"),
    }
}

fn is_json(media_type: &HeaderValue) -> bool {
    let essence = media_type.to_str().unwrap_or_default().split(';').next();
    let essence = essence.unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The JSON body of a request outside the OAuth protocol.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<SharedContext> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &SharedContext) -> Result<Self, ApiError> {
        let media_type = request.headers().get(CONTENT_TYPE);
        // A-49 (CSRF): a form of a foreign site cannot send this media type without a CORS preflight.
        if !media_type.is_some_and(is_json) {
            let detail = "Content-Type must be application/json";
            return Err(ApiError::new(Kind::UnsupportedMediaType, detail));
        }
        let body = read_body(request).await.map_err(|error| match error {
            BodyError::TooLong => ApiError::new(Kind::TooLarge, "The body is longer than 32 KiB"),
            BodyError::TooSlow => ApiError::invalid("The body did not arrive in time"),
            BodyError::Broken => ApiError::invalid("The body did not arrive whole"),
        })?;
        // serde also reads an array, as the members in order of declaration.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let read = serde_json::from_slice(&body).and_then(|value| {
            let refused = || serde::de::Error::custom("the body is no object");
            is_object.then_some(value).ok_or_else(refused)
        });
        read.map(Self).map_err(|error: serde_json::Error| {
            let place = (error.line(), error.column());
            ApiError::invalid(match error.classify() {
                serde_json::error::Category::Data => {
                    "The body lacks a member, or a member has the wrong type".to_owned()
                }
                _ => format!("The body is not JSON: line {}, column {}", place.0, place.1),
            })
        })
    }
}
