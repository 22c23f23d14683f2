//! Rate limit layer, per address (storyden-contract.md#headers-and-limits, A-35, A-42): adds headers to
//! every response, and answers 429 over the limit.

use std::cell::RefCell;
use std::net::IpAddr;

use axum::extract::{Request, State};
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
use crate::rate_limit::refusals::from_address;
use crate::rate_limit::requests::RateLimitState;
use crate::store::audit::Event;

/// Charges a request to the address; runs the request only within the rate limit.
pub(super) async fn spend(
    State(context): State<SharedContext>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(path_of(&context, &request), "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let charge = Charge::of(&context, &request);
    let address = charge.address;
    let answer = async {
        if let Err(refusal) = charge.spend(&context).await {
            return *refusal;
        }
        let response = next.run(request).await;
        with_rate_limit_headers(&context, response, address)
    };
    from_address(address, answer).await // for the log of refused requests
}

/// The path of a request, below the path of the issuer.
fn path_of<'a>(context: &Context, request: &'a Request) -> &'a str {
    let path = request.uri().path();
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(context.config.issuer_path()))
        .filter(|rest| rest.starts_with('/'))
        .unwrap_or(path)
}

/// The price of a request.
pub(super) struct Charge {
    address: IpAddr,
    units: u64,
    /// True for an endpoint with OAuth errors.
    is_protocol: bool,
    /// The headers, if guests pay more.
    credentials: Option<HeaderMap>,
}

impl Charge {
    /// Determines the address and the price of a request.
    pub(super) fn of(context: &Context, request: &Request) -> Self {
        let headers = request.headers();
        let ClientAddress(address) = ClientAddress::of(request.extensions(), headers, context);
        let path = path_of(context, request);
        let units = cost(context, request.method(), path);
        let guests_pay_more = units > 0 && context.config.rate_limit_guest_cost != 1;
        Self {
            address,
            units,
            is_protocol: path.starts_with("/api/oauth/"),
            credentials: guests_pay_more.then(|| headers.clone()),
        }
    }

    /// Charges the address, and returns it.
    ///
    /// # Errors
    /// The 429, over the limit.
    pub(super) async fn spend(mut self, context: &Context) -> Result<IpAddr, Box<Response>> {
        if let Some(headers) = self.credentials.take()
            && is_guest(context, headers).await
        {
            let factor = context.config.rate_limit_guest_cost;
            self.units = self.units.saturating_mul(factor);
        }
        if self.units == 0 {
            return Ok(self.address); // always within the limit
        }
        let left = context.budget.spend(self.address, self.units);
        if left.within {
            return Ok(self.address);
        }
        context.refused(Event::RequestLimited);
        let refusal = refuse(context, self.is_protocol, left);
        Err(Box::new(with_headers(refusal, left)))
    }
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
fn refuse(context: &Context, is_protocol: bool, left: RateLimitState) -> Response {
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
    if is_protocol {
        return over_budget(left.wait);
    }
    ApiError::new(Kind::TooManyRequests, "Too many requests from this address")
        .retry_after(left.wait)
        .into_response()
}

/// Adds the state of an address to a response. Reads the state again: the endpoint may have spent more units.
pub(super) fn with_rate_limit_headers(
    context: &Context,
    response: Response,
    address: IpAddr,
) -> Response {
    with_headers(response, context.budget.spend(address, 0))
}

fn with_headers(mut response: Response, left: RateLimitState) -> Response {
    let headers = response.headers_mut();
    let mut tell = |name: &'static str, value| {
        headers.insert(HeaderName::from_static(name), value);
    };
    tell("x-ratelimit-limit", left.limit.into());
    tell("x-ratelimit-remaining", left.remaining.into());
    tell("x-ratelimit-reset", reset_date(left.reset));
    response
}

/// Formats the time of a reset, which changes once a second.
fn reset_date(at: Timestamp) -> HeaderValue {
    thread_local! {
        static LAST: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
    }
    let second = at.unix_seconds();
    LAST.with_borrow_mut(|last| match last {
        Some((known, text)) if *known == second => text.clone(),
        _ => last.insert((second, date(at))).1.clone(),
    })
}

fn date(at: Timestamp) -> HeaderValue {
    HeaderValue::from_str(&at.to_http_date()).expect("a date is plain ASCII")
}
