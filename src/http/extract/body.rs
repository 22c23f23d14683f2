//! Bodies with a size limit and a time limit, and JSON bodies.

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, OptionalFromRequest, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::media_type::MediaType;
use crate::context::SharedContext;
use crate::http::error::{ApiError, Kind};
use crate::oauth::OAuthError;
use crate::timeouts::Timeouts;

/// Size limit of a body, in bytes.
pub(super) const BODY_MAX: usize = 32 * 1_024;

/// Reasons for which a body could not be read.
pub(super) enum BodyError {
    TooLong,
    TooSlow,
    Broken,
}

pub(super) async fn read_body(parts: &Parts, body: Body) -> Result<Bytes, BodyError> {
    let timeouts = parts.extensions.get::<Timeouts>().copied();
    let read = Limited::new(body, BODY_MAX).collect();
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
/// `invalid_client_metadata` (RFC 7591 §3.2.2): wrong media type or charset, too long, or too slow.
pub async fn read_json(request: Request) -> Result<Bytes, OAuthError> {
    let refuse = |text: &'static str| Err(OAuthError::invalid_client_metadata(text));
    require_json(request.headers()).map_err(OAuthError::invalid_client_metadata)?;
    let (parts, body) = request.into_parts();
    match read_body(&parts, body).await {
        Ok(body) => Ok(body),
        Err(BodyError::TooLong) => refuse("the body is longer than 32 KiB"),
        Err(BodyError::TooSlow) => refuse("the body did not arrive in time"),
        Err(BodyError::Broken) => refuse("the body did not arrive whole"),
    }
}

/// Requires JSON in UTF-8 (RFC 8259 §8.1).
///
/// # Errors
/// The text for the client.
fn require_json(headers: &HeaderMap) -> Result<(), String> {
    MediaType::of(headers)
        .filter(|media_type| media_type.is("application/json"))
        .ok_or("Content-Type must be application/json")?
        .require_utf8()
}

/// The JSON body of a request outside the OAuth protocol.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<SharedContext> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &SharedContext) -> Result<Self, ApiError> {
        // A-49 (CSRF): a form of a foreign site cannot send this media type without a CORS preflight.
        require_json(request.headers())
            .map_err(|detail| ApiError::new(Kind::UnsupportedMediaType, detail))?;
        let (parts, body) = request.into_parts();
        let body = read_body(&parts, body).await.map_err(|error| match error {
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

/// The JSON body of an operation that also works without: absent for an empty body and for every other
/// media type, which such operations ignore.
impl<T: DeserializeOwned> OptionalFromRequest<SharedContext> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(
        request: Request,
        state: &SharedContext,
    ) -> Result<Option<Self>, ApiError> {
        let media_type = MediaType::of(request.headers());
        let is_json = media_type.is_some_and(|media_type| media_type.is("application/json"));
        if !is_json || request.body().is_end_stream() {
            return Ok(None);
        }
        let body = <Self as FromRequest<SharedContext>>::from_request(request, state).await?;
        Ok(Some(body))
    }
}
