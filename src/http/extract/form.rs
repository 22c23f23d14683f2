//! The form of a POST to a protocol endpoint.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use http_body_util::{BodyDataStream, Full};

use super::body::{BodyError, read_body};
use super::media_type::MediaType;
use super::parameters::{Decoded, PARAMETERS_MAX, decode, leniently, limit_of, pairs};
use crate::compat::FormSyntax;
use crate::oauth::OAuthError;

/// The media type of a form (RFC 6749, appendix B).
const FORM: &str = "application/x-www-form-urlencoded";

/// Reads the form of a POST to a protocol endpoint.
///
/// # Errors
/// `invalid_request`: wrong media type or charset, too long, too slow, malformed, or with repeated
/// parameters.
pub async fn read_form(
    syntax: FormSyntax,
    request: Request,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let (parts, body) = request.into_parts();
    read_form_of(syntax, &parts, body, known).await
}

/// Reads a form like [`read_form`], and leaves the head of the request to the caller.
///
/// # Errors
/// As [`read_form`].
pub async fn read_form_of(
    syntax: FormSyntax,
    parts: &Parts,
    body: Body,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let decoded = read_as_sent(syntax, parts, body, known).await?;
    match syntax {
        FormSyntax::Strict => decoded.without_repeats(),
        FormSyntax::Go => Ok(decoded),
    }
}

/// Reads a form like [`read_form`], but returns repeated parameters to the caller, which may report the
/// error by redirect.
///
/// # Errors
/// `invalid_request`: wrong media type or charset, too long, too slow, or malformed.
pub async fn read_form_as_sent(
    syntax: FormSyntax,
    request: Request,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let (parts, body) = request.into_parts();
    read_as_sent(syntax, &parts, body, known).await
}

async fn read_as_sent(
    syntax: FormSyntax,
    parts: &Parts,
    body: Body,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    let query = parts.uri.query().unwrap_or_default();
    let media_type = MediaType::of(&parts.headers);
    let media_type = media_type.filter(|media_type| media_type.is(FORM));
    if syntax == FormSyntax::Go {
        let boundary = multipart_boundary(&parts.headers);
        let body = match (media_type, boundary) {
            // parameters such as `charset` have no effect
            (Some(_), _) => pairs(&read_text(parts, body).await?, known)?,
            (_, Some(boundary)) => {
                multipart(read_bytes(parts, body).await?, &boundary, known).await?
            }
            (None, None) => Vec::new(), // other media types: an empty form
        };
        return Ok(leniently(body.into_iter().chain(pairs(query, known)?)));
    }
    // RFC 6749 §2.3.1, §3.2: parameters only in the body
    if !query.is_empty() {
        return Err(OAuthError::invalid_request(
            "parameters must be in the body, not in the URL",
        ));
    }
    media_type
        .ok_or_else(|| OAuthError::invalid_request(format!("Content-Type must be {FORM}")))?
        .require_utf8()
        .map_err(OAuthError::invalid_request)?;
    decode(&read_text(parts, body).await?, known)
}

async fn read_bytes(parts: &Parts, body: Body) -> Result<Bytes, OAuthError> {
    read_body(parts, body).await.map_err(|error| match error {
        BodyError::TooLong => OAuthError::invalid_request("the body is longer than 32 KiB"),
        BodyError::TooSlow => OAuthError::invalid_request("the body did not arrive in time"),
        BodyError::Broken => OAuthError::invalid_request("the body did not arrive whole"),
    })
}

async fn read_text(parts: &Parts, body: Body) -> Result<String, OAuthError> {
    let text = String::from_utf8(read_bytes(parts, body).await?.into());
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

/// True if the body is a form, by its `Content-Type`.
#[must_use]
pub fn is_form(headers: &HeaderMap) -> bool {
    MediaType::of(headers).is_some_and(|media_type| media_type.is(FORM))
}
