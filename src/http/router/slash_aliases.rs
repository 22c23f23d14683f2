//! Metadata documents at paths with a final or a doubled slash: clients that know the issuer with a
//! final slash append or insert the well-known path there (RFC 8414 §3.1, OpenID Connect Discovery §4).
//! The documents have the issuer without that slash.

use axum::Router;
use axum::routing::get;

use super::group::{Group, GroupLayer};
use crate::config::Config;
use crate::context::SharedContext;
use crate::http::endpoints::{protected_resource, well_known};

/// Builds the routes, which are not in the OpenAPI document. The resource metadata with a final slash
/// are a documented route, because Storyden has that route.
pub(super) fn router(config: &Config) -> Router<SharedContext> {
    if config.policies.responses.final_slash_not_served {
        return Router::new();
    }
    Router::new()
        .route(
            "/.well-known/openid-configuration/",
            get(well_known::openid_configuration),
        )
        .route(
            "//.well-known/openid-configuration",
            get(well_known::openid_configuration),
        )
        .route(
            "/.well-known/oauth-authorization-server/",
            get(well_known::oauth_authorization_server),
        )
        .route(
            "//.well-known/oauth-authorization-server",
            get(well_known::oauth_authorization_server),
        )
        .route(
            "//.well-known/oauth-protected-resource",
            get(protected_resource::protected_resource),
        )
        .layer(GroupLayer::from(Group::public(config)))
}
