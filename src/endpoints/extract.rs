//! What comes in, read once and strictly: parameters, bodies, client credentials, addresses.
//!
//! One decoder for every query and form: names count only as decoded, an empty value counts as
//! absent (RFC 6749 §3.1), a parameter that is known and repeated is refused, and everything has a
//! bound (A-62…A-66).

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::app::{App, Shared};
use crate::clients::Credentials;
use crate::error::{ApiError, Kind};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Parameters;
use crate::secret::Secret;

/// The longest body, in bytes.
pub const BODY_MAX: usize = 32 * 1_024;
/// The most parameters of a request.
const PARAMETERS_MAX: usize = 64;
/// The longest parameter, in bytes.
const PARAMETER_MAX: usize = 4 * 1_024;
/// The longest scope, in bytes.
const SCOPE_MAX: usize = 2 * 1_024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Decoded parameters. They are never shown: codes and secrets are among them.
#[derive(Default)]
pub struct Decoded {
    /// The known ones that have a value.
    pub values: Parameters,
    /// The known ones that were given more than once.
    pub repeated: Vec<&'static str>,
}

impl Decoded {
    /// The value of a parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `invalid_request` with `missing`.
    pub fn require(&self, name: &str, missing: &'static str) -> Result<&str, OAuthError> {
        self.get(name)
            .ok_or_else(|| OAuthError::invalid_request(missing))
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

/// Decodes a query or a form; parameters that are not `known` are passed over (RFC 6749 §3.1).
///
/// # Errors
/// `invalid_request` when it cannot be decoded, or something is too long or too many.
pub fn decode(text: &str, known: &[&'static str]) -> Result<Decoded, OAuthError> {
    let mut decoded = Decoded::default();
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
        let limit = if *name == "scope" {
            SCOPE_MAX
        } else {
            PARAMETER_MAX
        };
        if value.len() > limit {
            return Err(OAuthError::invalid_request(format!(
                "{name} is longer than {limit} bytes"
            )));
        }
        if value.is_empty() {
            continue; // RFC 6749 §3.1: as if it had not been sent
        }
        if decoded.values.insert((*name).to_owned(), value).is_some() {
            decoded.repeated.push(name);
        }
    }
    Ok(decoded)
}

/// Decodes one half of a pair (the URL Standard's form encoding), strictly.
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
    // no engine stores a zero
    if decoded.contains('\0') {
        Err(refused())
    } else {
        Ok(decoded.into_owned())
    }
}

/// Reads the form of a POST to a protocol endpoint.
///
/// # Errors
/// `invalid_request`: another media type, too long, too slow, not decodable, repeated.
pub async fn read_form(request: Request, known: &[&'static str]) -> Result<Decoded, OAuthError> {
    read_form_as_sent(request, known).await?.without_repeats()
}

/// The same, for who has to see what was repeated, to refuse it where the client hears of it.
///
/// # Errors
/// `invalid_request`: another media type, too long, too slow, not decodable.
pub async fn read_form_as_sent(
    request: Request,
    known: &[&'static str],
) -> Result<Decoded, OAuthError> {
    // RFC 6749 §2.3.1, §3.2: parameters come in the body alone
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(OAuthError::invalid_request(
            "parameters must be in the body, not in the URL",
        ));
    }
    require_form(request.headers())?;
    let body = read_body(request.into_body())
        .await
        .map_err(|error| match error {
            BodyError::TooLong => OAuthError::invalid_request("the body is longer than 32 KiB"),
            BodyError::TooSlow => OAuthError::invalid_request("the body did not arrive in time"),
            BodyError::Broken => OAuthError::invalid_request("the body did not arrive whole"),
        })?;
    let Ok(text) = std::str::from_utf8(&body) else {
        return Err(OAuthError::invalid_request("the body is not a form"));
    };
    decode(text, known)
}

/// One `Content-Type`, and it is a form's.
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

/// Why a body was not read.
enum BodyError {
    TooLong,
    TooSlow,
    Broken,
}

async fn read_body(body: Body) -> Result<Bytes, BodyError> {
    let read = Limited::new(body, BODY_MAX).collect();
    match tokio::time::timeout(BODY_TIMEOUT, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// A JSON body of a request outside the protocol.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, ApiError> {
        let media_type = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = media_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        // a form of another site cannot send this type without asking first
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            let detail = "Content-Type must be application/json";
            return Err(ApiError::new(Kind::UnsupportedMediaType, detail));
        }
        let body = read_body(request.into_body())
            .await
            .map_err(|error| match error {
                BodyError::TooLong => {
                    ApiError::new(Kind::TooLarge, "The body is longer than 32 KiB")
                }
                BodyError::TooSlow => ApiError::invalid("The body did not arrive in time"),
                BodyError::Broken => ApiError::invalid("The body did not arrive whole"),
            })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            let place = (error.line(), error.column());
            ApiError::invalid(match error.classify() {
                serde_json::error::Category::Data => {
                    "The body lacks a member, or one has another type than documented".to_owned()
                }
                _ => format!("The body is not JSON: line {}, column {}", place.0, place.1),
            })
        })
    }
}

/// The address a request came from: the peer's or, behind a trusted proxy, what that says.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl FromRequestParts<Shared> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Infallible> {
        Ok(Self::of(parts, app))
    }
}

impl ClientAddress {
    /// a proxy that nobody trusts says nothing.
    fn of(parts: &Parts, app: &App) -> Self {
        let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let mut address = peer
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
            .to_canonical();
        let forwarded = parts.headers.get_all("x-forwarded-for");
        let hops: Vec<&str> = forwarded
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|v| v.split(','))
            .collect();
        for hop in hops.iter().rev() {
            if !app.config.trusted_proxies.contain(address) {
                break;
            }
            let hop = hop.trim();
            let behind = hop
                .parse::<IpAddr>()
                .or_else(|_| hop.parse::<SocketAddr>().map(|at| at.ip()));
            let Ok(behind) = behind else { break };
            address = behind.to_canonical();
        }
        Self(address)
    }
}

/// What a client says of itself (RFC 6749 §2.3): by HTTP Basic or in the body, never both.
///
/// # Errors
/// `invalid_request` for two methods at once, `invalid_client` when there is none or the header
/// cannot be read.
pub fn credentials(headers: &HeaderMap, form: &Decoded) -> Result<Credentials, OAuthError> {
    let body_id = form.get("client_id");
    let body_secret = form.get("client_secret");
    let Some((client_id, secret)) = basic(headers)? else {
        let Some(client_id) = body_id else {
            return Err(OAuthError::invalid_client("Missing client_id"));
        };
        return Ok(Credentials {
            client_id: client_id.to_owned(),
            secret: body_secret.map(Secret::new),
            by_header: false,
        });
    };
    // RFC 6749 §2.3; a client_id that says the same again is no second method
    if body_secret.is_some() || body_id.is_some_and(|id| id != client_id) {
        return Err(OAuthError::invalid_request(
            "multiple client authentication methods used",
        ));
    }
    Ok(Credentials {
        client_id,
        secret: secret.map(Secret::new),
        by_header: true,
    })
}

/// The pair of an HTTP Basic header, form-decoded (RFC 6749 §2.3.1); `None` without one.
fn basic(headers: &HeaderMap) -> Result<Option<(String, Option<String>)>, OAuthError> {
    let refused =
        || OAuthError::invalid_client("the Authorization header cannot be read").challenged();
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(OAuthError::invalid_request(
            "more than one Authorization header",
        ));
    }
    let (scheme, encoded) = value
        .to_str()
        .ok()
        .and_then(|v| v.split_once(' '))
        .ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * PARAMETER_MAX {
        return Err(refused());
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
    let pair = String::from_utf8(bytes).map_err(|_| refused())?;
    let (id, secret) = pair.split_once(':').ok_or_else(refused)?;
    let id = decode_part(id).map_err(|_| refused())?;
    let secret = decode_part(secret).map_err(|_| refused())?;
    if id.is_empty() {
        return Err(refused());
    }
    Ok(Some((id, Some(secret).filter(|secret| !secret.is_empty()))))
}

/// Whether a browser's request comes from a page that may act for its person.
///
/// A present `Origin` must be one of ours; without one, a browser that says `cross-site` is
/// refused. Programs send neither and pass: they have no cookie that a page could abuse.
///
/// # Errors
/// 403 as a problem.
pub fn require_own_origin(app: &App, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    if method.is_safe() {
        return Ok(());
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let refused = match text("origin") {
        Some(origin) => {
            let origin = origin.to_ascii_lowercase();
            !app.config.allowed_origins().contains(&origin)
        }
        None => text("sec-fetch-site") == Some("cross-site"),
    };
    if refused {
        return Err(ApiError::forbidden(
            "This page may not act here; add its origin to CORS_ALLOWED_ORIGINS if it should",
        ));
    }
    Ok(())
}
