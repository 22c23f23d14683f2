//! What clients read before anything else: server metadata (RFC 8414, OpenID Connect Discovery),
//! keys (RFC 7517) and resource metadata (RFC 9728).

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use serde_json::json;

use crate::app::{App, Shared};
use crate::error::{ApiError, Kind};
use crate::oauth::scope::Scope;
use crate::oauth::server_metadata::ServerMetadata;

/// For an hour, by anybody.
const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=3600")];

/// A document and how long it may be kept.
type Document<T> = ([(HeaderName, &'static str); 1], Json<T>);

/// `GET /.well-known/openid-configuration` (Discovery §4).
pub async fn openid_configuration(
    State(app): State<Shared>,
) -> Result<Document<ServerMetadata>, ApiError> {
    Ok((CACHED, Json(metadata(&app)?)))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3).
pub async fn oauth_authorization_server(
    State(app): State<Shared>,
) -> Result<Document<ServerMetadata>, ApiError> {
    Ok((CACHED, Json(metadata(&app)?.without_openid())))
}

/// The same with the issuer's path behind it (RFC 8414 §3.1).
pub async fn openid_configuration_of(
    State(app): State<Shared>,
    Path(path): Path<String>,
) -> Result<Document<ServerMetadata>, ApiError> {
    require_issuer_path(&app, &path)?;
    Ok((CACHED, Json(metadata(&app)?)))
}

/// The same with the issuer's path behind it (RFC 8414 §3.1).
pub async fn oauth_authorization_server_of(
    State(app): State<Shared>,
    Path(path): Path<String>,
) -> Result<Document<ServerMetadata>, ApiError> {
    require_issuer_path(&app, &path)?;
    Ok((CACHED, Json(metadata(&app)?.without_openid())))
}

/// `GET /api/oauth/jwks` (RFC 7517 §5).
pub async fn jwks(State(app): State<Shared>) -> Result<Document<serde_json::Value>, ApiError> {
    let keys = app.keys.as_ref().ok_or_else(disabled)?;
    Ok((CACHED, Json(keys.jwks())))
}

/// `GET /.well-known/oauth-protected-resource` (RFC 9728 §3): the server as a whole.
pub async fn protected_resource(
    State(app): State<Shared>,
) -> Result<Document<serde_json::Value>, ApiError> {
    require_enabled(&app)?;
    let issuer = app.config.issuer();
    Ok((
        CACHED,
        Json(json!({
            "resource": issuer,
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
        })),
    ))
}

/// `GET /.well-known/oauth-protected-resource/api` (RFC 9728 §3.1): Storyden's API.
pub async fn protected_api(
    State(app): State<Shared>,
) -> Result<Document<serde_json::Value>, ApiError> {
    require_enabled(&app)?;
    let issuer = app.config.issuer();
    Ok((
        CACHED,
        Json(json!({
            "resource": format!("{issuer}/api"),
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
            "scopes_supported": Scope::all(),
        })),
    ))
}

/// Where the metadata of the API stands, for challenges (RFC 9728 §5.1).
#[must_use]
pub fn resource_metadata_of(app: &App) -> String {
    format!(
        "{}/.well-known/oauth-protected-resource/api",
        app.config.issuer()
    )
}

fn metadata(app: &App) -> Result<ServerMetadata, ApiError> {
    require_enabled(app)?;
    Ok(ServerMetadata::openid(
        &app.config.issuer(),
        &app.config.endpoint_base(),
    ))
}

fn require_issuer_path(app: &App, path: &str) -> Result<(), ApiError> {
    let served = !app.config.profile.issuer_path_is_not_served();
    if served && !path.is_empty() && path == app.config.issuer_path() {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::NotFound,
        "There is no issuer with this path here",
    ))
}

fn require_enabled(app: &App) -> Result<(), ApiError> {
    if app.config.oauth_enabled {
        Ok(())
    } else {
        Err(disabled())
    }
}

/// Contract 2.1.
fn disabled() -> ApiError {
    ApiError::new(Kind::NotFound, "OAuth is not enabled on this instance")
        .title("OAuth and OpenID Connect are not enabled on this Storyden instance.")
        .suggest(
            "oauth_disabled",
            "Ask the instance administrator to configure OAuth before using OAuth clients.",
        )
}
