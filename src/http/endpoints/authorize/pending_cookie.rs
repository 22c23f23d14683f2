//! Cookies that bind pending authorization requests to the browser.
//!
//! Each request has a separate cookie. A form posted by a foreign site arrives without cookies
//! (`SameSite=Lax`), so the response must not overwrite the cookies of other requests. A cookie is
//! cleared once the request is done. The oldest are cleared if a browser has many: proxies reject
//! requests with long headers (nginx: 8 KiB), and sign-in would fail until the cookies expire.

use std::cmp::Reverse;

use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use time::Duration;
use url::Url;

use super::request::REQUEST_TTL;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::cookies::{self, HOST_PREFIX, Lifetime, Scope, set_cookies};
use crate::secret::{Secret, SecretHash};

/// The name without the [`HOST_PREFIX`]; eight hexadecimal digits of the request id's hash follow.
const NAME: &str = "storyden-auth-request-";

/// The name with the [`HOST_PREFIX`], for https.
const HOST_NAME: &str = "__Host-storyden-auth-request-";

/// Limit of cookies in a browser: together shorter than 2 KiB.
const COOKIES_MAX: usize = 16;

/// Limit of cookies that are compared. Browsers keep fewer for a host.
const COMPARED_MAX: usize = 200;

/// Limit of cookies that one response clears. Proxies limit response headers too (nginx: 4 KiB).
const CLEARED_MAX: usize = 16;

/// Sets the cookie of a new request, and clears the oldest cookies beyond [`COOKIES_MAX`].
pub(super) fn begin(
    context: &Context,
    headers: &HeaderMap,
    request_id: &SecretHash,
    browser: &Secret,
) -> Vec<String> {
    let cookie = scope(context, &current_name(context, request_id));
    let value = format!("{}.{}", browser.reveal(), milliseconds(context.clock.now()));
    let secure = context.config.secure_cookies();
    let mut set = vec![cookie.set(&value, Lifetime::For(REQUEST_TTL), secure)];
    set.extend(clear_oldest(context, headers, request_id));
    set
}

/// Clears the oldest cookies beyond [`COOKIES_MAX`]; the cookie of this request always stays.
pub(super) fn clear_oldest(
    context: &Context,
    headers: &HeaderMap,
    request_id: &SecretHash,
) -> Vec<String> {
    let mut others: Vec<(&str, i64)> = Vec::new();
    let is_other = |name| id_of(name).is_some_and(|id| id != short(request_id));
    let pairs = cookies::pairs(headers).filter(|(name, _)| is_other(name));
    for (name, value) in pairs.take(COMPARED_MAX) {
        if !others.iter().any(|(known, _)| *known == name) {
            others.push((name, started_at(value)));
        }
    }
    // Browsers send older cookies first (RFC 6265 §5.4), which orders cookies of equal times. Cookies
    // without the prefix are cleared first: a sibling domain can plant such cookies with any time
    // (cookie tossing).
    others.reverse();
    others.sort_by_key(|(name, started_at)| (!name.starts_with(HOST_PREFIX), Reverse(*started_at)));
    let beyond = others.iter().skip(COOKIES_MAX - 1).rev();
    let oldest = beyond.take(CLEARED_MAX);
    oldest.map(|(name, _)| clear(context, name)).collect()
}

/// Adds the `Set-Cookie` headers that clear the cookies of a finished request; none without a request.
pub(super) fn cleared(
    context: &Context,
    headers: &HeaderMap,
    request_id: Option<&SecretHash>,
    response: Response,
) -> Response {
    let Some(request_id) = request_id else {
        return response;
    };
    let sent = names(request_id).into_iter();
    let sent = sent.filter(|name| cookies::values(headers, name).next().is_some());
    let clearing = sent.map(|name| clear(context, &name)).collect();
    (set_cookies(clearing), response).into_response()
}

/// Hashes the cookies of a request; empty if the browser sent no such cookie.
pub(super) fn browsers_of(headers: &HeaderMap, request_id: &SecretHash) -> Vec<SecretHash> {
    let names = names(request_id);
    let values = names.iter().flat_map(|name| cookies::values(headers, name));
    let browsers = values.map(|value| value.split_once('.').map_or(value, |(browser, _)| browser));
    browsers
        .map(|browser| Secret::new(browser).hash())
        .collect()
}

/// Returns the cookie name of a request: with the prefix if the API has https.
fn current_name(context: &Context, request_id: &SecretHash) -> String {
    let [host_name, name] = names(request_id);
    if context.config.public_api_address.scheme() == "https" {
        host_name
    } else {
        name
    }
}

fn names(request_id: &SecretHash) -> [String; 2] {
    let id = short(request_id);
    [format!("{HOST_NAME}{id}"), format!("{NAME}{id}")]
}

fn short(request_id: &SecretHash) -> &str {
    &request_id.as_str()[..8]
}

/// Reads the digits of a name; `None` for other cookies.
fn id_of(name: &str) -> Option<&str> {
    let id = name.strip_prefix(HOST_NAME).or(name.strip_prefix(NAME))?;
    let is_ours = id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_ours.then_some(id)
}

/// Reads the time in a cookie, in milliseconds; 0 for a value without a time.
fn started_at(value: &str) -> i64 {
    let time = value
        .split_once('.')
        .and_then(|(_, time)| time.parse().ok());
    time.unwrap_or(0)
}

fn milliseconds(at: Timestamp) -> i128 {
    at.to_offset_date_time().unix_timestamp_nanos() / 1_000_000
}

fn clear(context: &Context, name: &str) -> String {
    let at_once = Lifetime::For(Duration::ZERO);
    scope(context, name).set("", at_once, context.config.secure_cookies())
}

/// Returns the scope of a cookie. The prefix `__Host-` requires the path `/`.
fn scope(context: &Context, name: &str) -> Scope {
    let path = if name.starts_with(HOST_PREFIX) {
        "/".to_owned()
    } else {
        let base = Url::parse(&context.config.endpoint_base());
        let base = base.map_or_else(|_| "/api".to_owned(), |url| url.path().to_owned());
        format!("{base}/oauth")
    };
    Scope {
        name: name.to_owned(),
        path,
        domain: None,
    }
}
