//! Routes with documentation: every route added here is in the OpenAPI document.

use std::convert::Infallible;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::middleware::from_fn;
use axum::response::IntoResponse;
use axum::routing::Route;
use tower::{Layer, Service};
use utoipa::IntoResponses;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::config::Config;
use crate::context::SharedContext;
use crate::http::router::rate_limit;

/// Routes with documentation.
#[derive(Default)]
pub(super) struct Documented(OpenApiRouter<SharedContext>);

impl Documented {
    /// Adds the handlers of a path, from `routes!`.
    pub(super) fn routes(self, routes: UtoipaMethodRouter<SharedContext>) -> Self {
        Self(self.0.routes(routes))
    }

    /// Adds the routes and layers of a second group.
    pub(super) fn merge(self, other: Self) -> Self {
        Self(self.0.merge(other.0))
    }

    /// Sets the answer to methods that a path does not have ([`Router::method_not_allowed_fallback`]).
    pub(super) fn method_not_allowed_fallback<H, T>(self, handler: H) -> Self
    where
        H: Handler<T, SharedContext>,
        T: 'static,
    {
        let (routes, document) = self.0.split_for_parts();
        let mut routes = OpenApiRouter::from(routes.method_not_allowed_fallback(handler));
        *routes.get_openapi_mut() = document;
        Self(routes)
    }

    /// Adds a layer around the routes added so far.
    pub(super) fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<Route> + Clone + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse + 'static,
        <L::Service as Service<Request>>::Error: Into<Infallible> + 'static,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        Self(self.0.layer(layer))
    }

    /// Adds the rate limit below the CORS layer, so that a page can read the error. If every request is
    /// charged, the rate limit is outermost instead.
    pub(super) fn rate_limited(self, config: &Config) -> Self {
        if config.policies.rate_limit.every_request_charged {
            return self;
        }
        self.layer(from_fn(rate_limit::spend))
    }

    /// Documents the errors of the layers for each route that does not document these errors.
    pub(super) fn with_errors<R: IntoResponses>(mut self) -> Self {
        let paths = &mut self.0.get_openapi_mut().paths.paths;
        for operation in paths.values_mut().flat_map(operations) {
            for (status, response) in R::responses() {
                let answers = &mut operation.responses.responses;
                answers.entry(status).or_insert(response);
            }
        }
        self
    }

    /// Splits into the routes and the OpenAPI document.
    pub(super) fn into_parts(self) -> (Router<SharedContext>, OpenApi) {
        self.0.split_for_parts()
    }
}

/// The operations of a path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem {
        get,
        put,
        post,
        delete,
        patch,
        ..
    } = item;
    [get, put, post, delete, patch]
        .into_iter()
        .filter_map(Option::as_mut)
}
