//! The layer around all routes: client address, trace id, span, default headers, metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context as Task, Poll};

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::response::Response;
use axum::routing::Route;
use tower::{Layer, Service};

use super::group::Answer;
use super::limits::{Failure, answer_or_panic};
use crate::context::SharedContext;
use crate::http::extract::ClientAddress;
use crate::http::trace::trace;
use crate::rate_limit::refusals::from_address;
use crate::statistics;
use crate::telemetry::metrics::RequestMetrics;

/// The layer. Clones share the metrics.
#[derive(Clone)]
pub(super) struct OuterLayer(Arc<Shared>);

struct Shared {
    context: SharedContext,
    metrics: RequestMetrics,
}

impl OuterLayer {
    pub(super) fn new(context: SharedContext) -> Self {
        Self(Arc::new(Shared {
            context,
            metrics: RequestMetrics::default(),
        }))
    }
}

impl Shared {
    async fn answer(&self, mut request: Request, mut route: Route) -> Response {
        let context = &self.context;
        let ClientAddress(address) =
            ClientAddress::of(request.extensions(), request.headers(), context);
        // For the layers of the groups, which are built without the context.
        request.extensions_mut().insert(Arc::clone(context));
        let answer = |request: Request| async move {
            let answer = answer_or_panic(route.call(request)).await;
            let mut response = answer.unwrap_or_else(Failure::problem);
            set_default_headers(&mut response);
            response
        };
        // The log of refused requests needs the address, the statistics need the client.
        let answer = trace(&self.metrics, context, request, answer);
        from_address(address, statistics::with_client(answer)).await
    }
}

/// Sets the headers of every response; a value from the handler wins.
fn set_default_headers(response: &mut Response) {
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"), // RFC 9700 §4.2.4
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        let headers = response.headers_mut();
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

impl Layer<Route> for OuterLayer {
    type Service = OuterService;

    fn layer(&self, route: Route) -> OuterService {
        OuterService {
            shared: Arc::clone(&self.0),
            route,
        }
    }
}

/// A route below the layer.
#[derive(Clone)]
pub(super) struct OuterService {
    shared: Arc<Shared>,
    route: Route,
}

impl Service<Request> for OuterService {
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Task<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        let (shared, route) = (Arc::clone(&self.shared), self.route.clone());
        Box::pin(async move { Ok(shared.answer(request, route).await) })
    }
}
