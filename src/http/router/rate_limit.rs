//! Rate limit layer, per address (storyden-contract.md#headers-and-limits, A-35, A-42): adds headers to
//! every response, and answers 429 over the limit.

use axum::Extension;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::Caller;
use crate::http::endpoints::{over_budget, token};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::ClientAddress;
use crate::rate_limit::requests::RateLimitState;
use crate::store::audit::Event;

/// Charges a request to the address; runs the request only within the rate limit.
pub(super) async fn spend(
    Extension(context): Extension<SharedContext>,
    request: Request,
    next: Next,
) -> Response {
    let ClientAddress(address) =
        ClientAddress::of(request.extensions(), request.headers(), &context);
    let path = request.uri().path();
    let path = path
        .strip_prefix(&format!("/{}", context.config.issuer_path()))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
        .to_owned();
    if matches!(path.as_str(), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let mut cost = cost(&context, request.method(), &path);
    if cost > 0
        && context.config.rate_limit_guest_cost != 1
        && is_guest(&context, request.headers().clone()).await
    {
        cost = cost.saturating_mul(context.config.rate_limit_guest_cost);
    }
    let left = context.budget.spend(address, cost);
    if !left.within {
        context.refused(Event::RequestLimited);
        return with_rate_limit_headers(refuse(&context, &path, left), left);
    }
    let response = next.run(request).await;
    // Read the budget again: the endpoint may have spent more units.
    with_rate_limit_headers(response, context.budget.spend(address, 0))
}

/// Returns the rate limit units of a request.
fn cost(context: &Context, method: &Method, path: &str) -> u64 {
    let free = if context.config.policies.rate_limit.every_request_charged {
        false
    } else {
        // polls of devices are free, and only the token endpoint can recognize polls.
        method == Method::OPTIONS || path == token::PATH
    };
    match path {
        _ if free => 0,
        "/api/oauth/device/consent" => 20,
        "/api/oauth/register" => 10,
        _ => 1,
    }
}

async fn is_guest(context: &Context, headers: HeaderMap) -> bool {
    let caller = Caller::without_proof(context, &headers).await;
    matches!(caller, Ok(Caller::Guest | Caller::Refused(_)))
}

/// Builds the 429 response: plain text, or an OAuth error for the protocol's paths and a problem for all
/// other paths.
fn refuse(context: &Context, path: &str, left: RateLimitState) -> Response {
    if context.config.policies.rate_limit.plain_text_error {
        let mut response = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n").into_response();
        let again = context.clock.now() + time::Duration::seconds(left.wait.cast_signed());
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, date(again));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        return response;
    }
    if path.starts_with("/api/oauth/") {
        return over_budget(left.wait);
    }
    ApiError::new(Kind::TooManyRequests, "Too many requests from this address")
        .retry_after(left.wait)
        .into_response()
}

fn with_rate_limit_headers(mut response: Response, left: RateLimitState) -> Response {
    let headers = response.headers_mut();
    let mut tell = |name: &'static str, value| {
        headers.insert(HeaderName::from_static(name), value);
    };
    tell("x-ratelimit-limit", left.limit.into());
    tell("x-ratelimit-remaining", left.remaining.into());
    tell("x-ratelimit-reset", date(left.reset));
    response
}

fn date(at: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&at.to_http_date()).expect("a date is plain ASCII")
}
