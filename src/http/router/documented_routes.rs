//! Routes with documentation: every route added here is in the OpenAPI document.

use axum::Router;
use axum::handler::Handler;
use utoipa::IntoResponses;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{OpenApi, PathItem};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::group::{Group, GroupLayer};
use crate::context::SharedContext;

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

    /// Puts the routes added so far under the rules of a group.
    pub(super) fn in_group(self, group: Group) -> Self {
        Self(self.0.layer(GroupLayer::from(group)))
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
