//! Cross-origin requests (CORS, Fetch Standard): a rule per route group, or Storyden's single rule for
//! all paths (storyden-contract.md#headers-and-limits).

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::config::Config;
use crate::context::{Context, SharedContext};

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
const EXPOSED_HERE: HeaderValue = HeaderValue::from_static(
    "www-authenticate,dpop-nonce,retry-after,x-ratelimit-limit,x-ratelimit-remaining,x-ratelimit-reset",
);

/// [`METHODS`] as a header value.
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE,OPTIONS");

/// The request headers that a response depends on, for caches.
const VARY_BY: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// The CORS rule of a route group: every method of the API, and every request header that a page names, as
/// clients send headers of their own (`MCP-Protocol-Version`). The wildcard `*` would not include
/// `Authorization` (Fetch Standard §4.8).
#[derive(Clone, Debug)]
pub(super) enum CorsRule {
    /// Every origin, for routes without cookies.
    AnyOrigin,
    /// These origins, with the session cookie.
    Origins(Vec<String>),
}

impl CorsRule {
    /// Allows every origin.
    pub(super) fn any_origin() -> Self {
        Self::AnyOrigin
    }

    /// Allows the origins of API and pages, and the configured origins.
    pub(super) fn own_origins(config: &Config) -> Self {
        Self::Origins(config.allowed_origins())
    }

    /// Adds the headers of a response to a request from an origin.
    pub(super) fn expose(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        headers.append(VARY, VARY_BY); // the handler may have set `Vary`
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HERE);
        self.allow_origin(origin, headers);
    }

    fn allow_origin(&self, origin: Option<HeaderValue>, headers: &mut HeaderMap) {
        match self {
            Self::AnyOrigin => {
                let any = HeaderValue::from_static("*");
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
            }
            Self::Origins(allowed) => {
                let credentials = HeaderValue::from_static("true");
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
                if let Some(origin) = origin.filter(|origin| is_one_of(allowed, origin)) {
                    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                }
            }
        }
    }
}

/// Answers a preflight (Fetch Standard §3.2.2).
pub(super) fn preflight_of(rule: &CorsRule, request: &HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(VARY, VARY_BY);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
    if let Some(named) = request.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, named.clone());
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE.as_secs().into());
    rule.allow_origin(request.get(ORIGIN).cloned(), headers);
    response
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
