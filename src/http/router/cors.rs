//! Cross-origin requests (CORS, Fetch Standard): a rule per route group, or Storyden's single rule for
//! all paths (storyden-contract.md#headers-and-limits).

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::compat::Cors;
use crate::config::Config;
use crate::context::{Context, SharedContext};
use crate::http::dpop::DPOP_NONCE;

/// Time for which a browser may cache a preflight response.
const MAX_AGE: Duration = Duration::from_mins(5);

/// The methods that pages may use, in both profiles.
const METHODS: [Method; 6] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// Response headers that pages of other origins may read: authentication errors, nonces and retry times.
const EXPOSED_HERE: [HeaderName; 6] = [
    WWW_AUTHENTICATE,
    DPOP_NONCE,
    RETRY_AFTER,
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];

/// Allows every origin, for routes without cookies.
pub(super) fn any_origin(config: &Config) -> Option<CorsLayer> {
    let cors = rule().allow_origin(Any);
    (config.policies.responses.cors == Cors::PerGroup).then_some(cors)
}

/// Allows the origins of API and pages, and the configured origins, with the session cookie.
pub(super) fn own_origins(config: &Config) -> Option<CorsLayer> {
    let allowed = config.allowed_origins();
    let is_ours = move |origin: &HeaderValue, _: &request::Parts| is_one_of(&allowed, origin);
    let cors = rule()
        .allow_origin(AllowOrigin::predicate(is_ours))
        .allow_credentials(true);
    (config.policies.responses.cors == Cors::PerGroup).then_some(cors)
}

/// The rule of both groups, without the origins: every method of the API, and every request header that
/// a page names, as clients send headers of their own (`MCP-Protocol-Version`). The wildcard `*` would
/// not include `Authorization` (Fetch Standard §4.8).
fn rule() -> CorsLayer {
    CorsLayer::new()
        .allow_methods(METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED_HERE)
        .max_age(MAX_AGE)
}

fn is_one_of(allowed: &[String], origin: &HeaderValue) -> bool {
    origin
        .to_str()
        .is_ok_and(|origin| allowed.contains(&origin.to_ascii_lowercase()))
}

/// Response headers that Storyden exposes to pages.
const EXPOSED: &str = "Link, Location, Content-Type, Content-Length, Stream-Next-Offset, \
    Stream-Up-To-Date, Stream-Closed, Stream-Cursor, X-Ratelimit-Limit, X-Ratelimit-Remaining, \
    X-Ratelimit-Reset";

/// Applies Storyden's CORS rule to all paths: known origins are allowed with credentials, and a preflight
/// is always 204.
pub(super) async fn global(
    State(context): State<SharedContext>,
    request: Request,
    next: Next,
) -> Response {
    let asked = request
        .headers()
        .get(ACCESS_CONTROL_REQUEST_METHOD)
        .cloned();
    let origin = request.headers().get(ORIGIN).cloned();
    if let (&Method::OPTIONS, Some(origin), Some(method)) = (request.method(), &origin, asked) {
        let headers = request
            .headers()
            .get(ACCESS_CONTROL_REQUEST_HEADERS)
            .cloned();
        return preflight(&context, origin, method, headers);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) =
        origin.filter(|origin| is_one_of(&context.config.allowed_origins(), origin))
    {
        allow(headers, origin);
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
    response
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        HeaderValue::from_static("true"),
    );
}

fn preflight(
    context: &Context,
    origin: &HeaderValue,
    method: HeaderValue,
    asked: Option<HeaderValue>,
) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    let vary = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    headers.insert(VARY, HeaderValue::from_static(vary));
    let known = METHODS
        .iter()
        .any(|known| known.as_str().as_bytes() == method.as_bytes());
    if known && is_one_of(&context.config.allowed_origins(), origin) {
        allow(headers, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(MAX_AGE.as_secs()));
        if let Some(asked) = asked {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked);
        }
    }
    response
}
