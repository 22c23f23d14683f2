//! The layer of a route group: CORS, rate limit, deadline, panics, cache headers and nonces, in one service.
//!
//! One service, because axum clones the stack of layers of a route for each request, and boxes the future of
//! each layer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, ORIGIN, PRAGMA};
use axum::http::{HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use axum::routing::Route;
use tower::{Layer, Service};

use super::cors::{self, CorsRule};
use super::rate_limit::{Charge, with_rate_limit_headers};
use super::{limits, method_not_allowed};
use crate::compat::Cors;
use crate::config::Config;
use crate::context::{Context, SharedContext};
use crate::http::dpop;
use crate::http::entity_tag::Conditions;

/// The answer of a layer.
pub(super) type Answer = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

/// A `Cache-Control` that forbids storing the response.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The kind of the routes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Cacheable documents, pages, and the states for monitoring.
    Public,
    /// Protocol endpoints: OAuth errors (RFC 6749 §5.2), and no response is stored (§5.1).
    Protocol,
    /// Responses for a single account: `no-store`, unless the handler chose a `Cache-Control`.
    Private,
}

/// The rules of a route group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    kind: Kind,
    cors: Option<CorsRule>,
    rate_limited: bool,
}

impl Group {
    /// Routes without rules of their own.
    pub(super) fn plain() -> Self {
        Self {
            kind: Kind::Public,
            cors: None,
            rate_limited: false,
        }
    }

    /// Public documents, for every origin.
    pub(super) fn public(config: &Config) -> Self {
        Self {
            cors: per_group(config, CorsRule::any_origin),
            ..Self::plain()
        }
    }

    /// Protocol endpoints, for every origin.
    pub(super) fn protocol(config: &Config) -> Self {
        Self {
            kind: Kind::Protocol,
            cors: per_group(config, CorsRule::any_origin),
            rate_limited: charged_per_group(config),
        }
    }

    /// Responses for a single account, for the origins of API and pages and the configured origins.
    pub(super) fn own_origins(config: &Config) -> Self {
        Self {
            kind: Kind::Private,
            cors: per_group(config, || CorsRule::own_origins(config)),
            rate_limited: charged_per_group(config),
        }
    }

    /// Endpoints that a browser navigates to: no origin may read a response.
    pub(super) fn navigation(config: &Config) -> Self {
        Self {
            kind: Kind::Private,
            cors: None,
            rate_limited: charged_per_group(config),
        }
    }
}

fn per_group(config: &Config, rule: impl FnOnce() -> CorsRule) -> Option<CorsRule> {
    (config.policies.responses.cors == Cors::PerGroup).then(rule)
}

/// True if the rate limit is charged here, below CORS, so that a page can read the error; false if it is
/// charged for every request instead.
fn charged_per_group(config: &Config) -> bool {
    !config.policies.rate_limit.every_request_charged
}

impl Group {
    async fn answer(&self, request: Request, route: Route) -> Response {
        let context = request.extensions().get::<SharedContext>();
        let context = context.map(Arc::clone);
        let context = context.expect("the outer layer adds the context to every request");
        let has_proof = request.headers().contains_key(dpop::DPOP);
        // axum runs the `GET` handler for `HEAD`, with all side effects: store a request, claim a user code.
        let refused = self.kind == Kind::Private && request.method() == Method::HEAD;
        let mut response = if refused {
            method_not_allowed().await.into_response()
        } else {
            self.cross_origin(&context, request, route).await
        };
        if self.kind == Kind::Private {
            if has_proof {
                dpop::add_nonce(&context, &mut response).await;
            }
            response
                .headers_mut()
                .entry(CACHE_CONTROL)
                .or_insert(NO_STORE);
        }
        response
    }

    /// Answers a preflight, or adds the CORS headers.
    async fn cross_origin(&self, context: &Context, request: Request, route: Route) -> Response {
        let Some(rule) = &self.cors else {
            return self.limited(context, request, route).await;
        };
        if request.method() == Method::OPTIONS {
            return cors::preflight_of(rule, request.headers());
        }
        let origin = request.headers().get(ORIGIN).cloned();
        let mut response = self.limited(context, request, route).await;
        rule.expose(origin, response.headers_mut());
        response
    }

    /// Charges the rate limit of the address.
    async fn limited(&self, context: &Context, request: Request, route: Route) -> Response {
        if !self.rate_limited {
            return self.handled(context, request, route).await;
        }
        let charge = Charge::of(context, &request);
        let address = match charge.spend(context).await {
            Ok(address) => address,
            Err(refusal) => return *refusal,
        };
        let response = self.handled(context, request, route).await;
        with_rate_limit_headers(context, response, address)
    }

    /// Runs the handler within the deadline.
    async fn handled(&self, context: &Context, request: Request, mut route: Route) -> Response {
        if self.kind == Kind::Private {
            let answer = limits::answer_in_time(route.call(request)).await;
            return answer.unwrap_or_else(limits::Failure::problem);
        }
        if self.kind == Kind::Public {
            let conditions = Conditions::of(request.headers());
            let answer = limits::answer_in_time(route.call(request)).await;
            return conditions.apply(answer.unwrap_or_else(limits::Failure::problem));
        }
        let has_proof = request.headers().contains_key(dpop::DPOP);
        let mut response = if request.method() == Method::HEAD {
            method_not_allowed().await.into_response()
        } else {
            limits::answer_in_time(route.call(request))
                .await
                .unwrap_or_else(limits::Failure::oauth_error)
        };
        if has_proof {
            dpop::add_nonce(context, &mut response).await;
        }
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }
}

/// Puts the routes of a group under its rules.
#[derive(Clone, Debug)]
pub(super) struct GroupLayer(Arc<Group>);

impl From<Group> for GroupLayer {
    fn from(group: Group) -> Self {
        Self(Arc::new(group))
    }
}

impl Layer<Route> for GroupLayer {
    type Service = GroupService;

    fn layer(&self, route: Route) -> GroupService {
        GroupService {
            group: Arc::clone(&self.0),
            route,
        }
    }
}

/// A route under the rules of its group.
#[derive(Clone)]
pub(super) struct GroupService {
    group: Arc<Group>,
    route: Route,
}

impl Service<Request> for GroupService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        let (group, route) = (Arc::clone(&self.group), self.route.clone());
        Box::pin(async move { Ok(group.answer(request, route).await) })
    }
}
