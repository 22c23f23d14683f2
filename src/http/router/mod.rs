//! All routes, in groups that share layers.

mod cors;
mod document_texts;
pub mod documented_routes;
mod group;
mod limits;
pub mod openapi_document;
mod outer_layer;
pub mod rate_limit;
mod slash_aliases;
mod storyden;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_axum::routes;

use crate::compat::Cors;
use crate::config::Config;
use crate::context::SharedContext;
use crate::http::admin::{
    access_keys as every_access_key, audit, blocked_clients, client_errors,
    clients as every_client, device_authorizations, issuers, members, overview, refresh_tokens,
    remote, resources, revocation, signing_keys as every_signing_key,
};
use crate::http::endpoints::authorize::{
    choice, consent, decision, form_post, pending_client, push,
};
use crate::http::endpoints::{
    authorize, client_logo, device_authorization, device_consent, end_session, health,
    introspection, openapi, protected_resource, register, registration_management, remote_callback,
    revocation as revoke, token, userinfo, well_known,
};
use crate::http::error::responses::{CommonMixedErrors, CommonOAuthErrors, CommonProblems};
use crate::http::error::{ApiError, Kind, add_error_uri};
use crate::http::member::{self, session};
use crate::http::pages;
use crate::http::router::documented_routes::Documented;
use crate::http::router::group::{Group, GroupLayer};
use crate::http::router::outer_layer::OuterLayer;

/// Builds the server's routes. For an issuer with a path, routes exist with and without that path,
/// because a reverse proxy may or may not strip the path.
pub fn router(context: SharedContext) -> Router {
    let (documented, document) = documented(&context.config).into_parts();
    let document = openapi_document::assemble(document, &context.config);
    openapi::publish(&context, &document);
    let states = Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .layer(GroupLayer::from(Group::plain()));
    let routes = documented
        .merge(slash_aliases::router(&context.config))
        .merge(states);
    let routes = if context.config.web_enabled {
        routes.merge(pages::router(&context))
    } else {
        routes
    };
    let path = context.config.issuer_path().to_owned();
    let routes = if path.is_empty() || context.config.policies.responses.issuer_path_not_served {
        routes
    } else {
        routes.clone().nest(&format!("/{path}"), routes)
    };
    let routes = routes
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(OuterLayer::new(Arc::clone(&context)))
        .with_state(Arc::clone(&context));
    adapted(routes, context)
}

/// Adds the layers that only some settings need.
fn adapted(routes: Router, context: SharedContext) -> Router {
    let routes = with_error_uris(routes, &context);
    let policies = context.config.policies;
    let routes = if storyden::adapts(policies.responses) {
        routes.layer(from_fn_with_state(
            Arc::clone(&context),
            storyden::as_storyden,
        ))
    } else {
        routes
    };
    let routes = if policies.rate_limit.every_request_charged {
        routes.layer(from_fn_with_state(Arc::clone(&context), rate_limit::spend))
    } else {
        routes // charged per route group
    };
    match policies.responses.cors {
        Cors::PerGroup => routes,
        Cors::Global => routes.layer(from_fn_with_state(context, cors::global)),
    }
}

/// Adds `error_uri` to protocol errors, if the settings have an address for it.
fn with_error_uris(routes: Router, context: &SharedContext) -> Router {
    if context.config.docs_url.is_none() {
        return routes;
    }
    routes.layer(from_fn_with_state(Arc::clone(context), add_error_uri))
}

/// Builds the OpenAPI document that `/api/openapi.json` serves.
#[must_use]
pub fn document(config: &Config) -> OpenApi {
    openapi_document::assemble(documented(config).into_parts().1, config)
}

/// Builds the routes of the OpenAPI document: all except pages, `/healthz` and `/readyz`.
fn documented(config: &Config) -> Documented {
    Documented::default()
        .merge(public(config))
        .merge(protocol(config))
        .merge(browser(config))
        .merge(member(config))
        .merge(administration(config))
}

/// Public, cacheable documents for every origin.
fn public(config: &Config) -> Documented {
    Documented::default()
        .routes(routes!(well_known::openid_configuration))
        .routes(routes!(well_known::openid_configuration_of))
        .routes(routes!(well_known::oauth_authorization_server))
        .routes(routes!(well_known::oauth_authorization_server_of))
        .routes(routes!(protected_resource::protected_resource))
        .routes(routes!(protected_resource::protected_resource_with_slash))
        .routes(routes!(protected_resource::protected_resource_of))
        .routes(routes!(well_known::client_metadata))
        .routes(routes!(well_known::jwks))
        .routes(routes!(openapi::openapi))
        .with_errors::<CommonProblems>()
        .method_not_allowed_fallback(method_not_allowed)
        .in_group(Group::public(config))
}

/// Protocol endpoints for clients of every origin, without a session. Never cached (RFC 6749 §5.1).
fn protocol(config: &Config) -> Documented {
    let pushed = Documented::default();
    let pushed = if config.protects_requests() {
        pushed.routes(routes!(push::push))
    } else {
        pushed
    };
    pushed
        .routes(routes!(token::token))
        .routes(routes!(device_authorization::start))
        .routes(routes!(register::register))
        .routes(routes!(
            registration_management::show,
            registration_management::replace,
            registration_management::delete
        ))
        .routes(routes!(revoke::revoke))
        .routes(routes!(introspection::introspect))
        .routes(routes!(userinfo::userinfo, userinfo::userinfo_by_post))
        .with_errors::<CommonOAuthErrors>()
        .method_not_allowed_fallback(method_not_allowed) // in the group, for `no-store`
        .in_group(Group::protocol(config))
}

/// Endpoints for browsers with a session, from the origins of API and pages and the configured origins.
fn browser(config: &Config) -> Documented {
    let routes = Documented::default()
        .routes(routes!(consent::show_and_record, decision::decide))
        .routes(routes!(pending_client::show))
        .routes(routes!(choice::choose))
        .routes(routes!(
            device_consent::show_and_claim,
            device_consent::decide
        ))
        .routes(routes!(session::sign_in))
        .routes(routes!(session::sign_out))
        .routes(routes!(remote_callback::finish))
        .with_errors::<CommonMixedErrors>();
    for_own_origins(routes, config).merge(navigation(config))
}

/// Endpoints that a browser navigates to: no CORS, so that scripts of foreign origins cannot read the
/// redirect (RFC 9700 §2.6).
fn navigation(config: &Config) -> Documented {
    Documented::default()
        .routes(routes!(authorize::authorize, authorize::authorize_by_form))
        .routes(routes!(form_post::respond))
        .routes(routes!(
            end_session::end_session,
            end_session::end_session_by_form
        ))
        .with_errors::<CommonMixedErrors>()
        .in_group(Group::navigation(config))
}

/// Self-service of a signed-in account: applications, tokens, access keys, sessions.
fn member(config: &Config) -> Documented {
    let routes = Documented::default()
        .routes(routes!(member::clients::list, member::clients::create))
        .routes(routes!(
            member::clients::get,
            member::clients::update,
            member::clients::delete
        ))
        .routes(routes!(member::client_errors::list))
        .routes(routes!(member::client_secret::rotate))
        .routes(routes!(member::resources::list))
        .routes(routes!(member::tokens::list))
        .routes(routes!(member::tokens::delete))
        .routes(routes!(
            member::applications::list,
            member::applications::revoke_all
        ))
        .routes(routes!(member::applications::revoke))
        .routes(routes!(member::applications::forget_consent))
        .routes(routes!(
            member::access_keys::list,
            member::access_keys::create
        ))
        .routes(routes!(member::access_keys::delete))
        .routes(routes!(
            member::sessions::list,
            member::sessions::delete_all
        ))
        .routes(routes!(member::sessions::delete))
        .routes(routes!(member::accounts::list))
        .routes(routes!(member::password::change))
        .routes(routes!(member::sign_up::sign_up))
        .routes(routes!(client_logo::show))
        .with_errors::<CommonProblems>();
    for_own_origins(routes, config)
}

/// Administration, with every kind of credential.
fn administration(config: &Config) -> Documented {
    let routes = Documented::default()
        .routes(routes!(overview::get))
        .routes(routes!(every_client::list, every_client::create))
        .routes(routes!(
            every_client::get,
            every_client::update,
            every_client::delete
        ))
        .routes(routes!(client_errors::list))
        .routes(routes!(every_access_key::list))
        .routes(routes!(every_access_key::delete))
        .routes(routes!(device_authorizations::list))
        .routes(routes!(refresh_tokens::list))
        .routes(routes!(refresh_tokens::revoke_many))
        .routes(routes!(refresh_tokens::delete))
        .routes(routes!(blocked_clients::list, blocked_clients::create))
        .routes(routes!(blocked_clients::delete))
        .routes(routes!(resources::list, resources::create))
        .routes(routes!(resources::replace, resources::delete))
        .routes(routes!(issuers::list, issuers::create))
        .routes(routes!(issuers::replace, issuers::delete))
        .routes(routes!(issuers::map))
        .routes(routes!(revocation::revoke))
        .routes(routes!(every_signing_key::list))
        .routes(routes!(every_signing_key::rotate))
        .routes(routes!(every_signing_key::revoke))
        .routes(routes!(remote::discovery::discover))
        .routes(routes!(
            remote::connections::list,
            remote::connections::create
        ))
        .routes(routes!(
            remote::connections::get,
            remote::connections::update,
            remote::connections::delete
        ))
        .routes(routes!(remote::authorization::authorize))
        .routes(routes!(remote::authorization::token))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
        .routes(routes!(members::list::list))
        .routes(routes!(members::details::get))
        .routes(routes!(members::changes::suspend))
        .routes(routes!(members::changes::reinstate))
        .routes(routes!(members::changes::sign_out))
        .routes(routes!(members::changes::end_session))
        .routes(routes!(members::roles::list))
        .routes(routes!(members::roles::give, members::roles::take))
        .with_errors::<CommonProblems>();
    for_own_origins(routes, config)
}

/// Adds the rules of routes for the origins of API and pages and the configured origins.
fn for_own_origins(routes: Documented, config: &Config) -> Documented {
    routes
        .method_not_allowed_fallback(method_not_allowed)
        .in_group(Group::own_origins(config))
}

/// Answers 405 for methods that a path does not have. Each group installs this handler inside the CORS
/// layer, which must answer `OPTIONS` first.
async fn method_not_allowed() -> ApiError {
    ApiError::new(Kind::MethodNotAllowed, "This path has other methods")
}

/// Answers a path without a route: with a page to a browser, with a problem to other clients.
async fn not_found(State(context): State<SharedContext>, headers: HeaderMap) -> Response {
    if context.config.web_enabled && pages::accepts_pages(&headers) {
        return pages::Renderer::new(&context, &headers).not_found();
    }
    ApiError::new(Kind::NotFound, "There is nothing at this path").into_response()
}
