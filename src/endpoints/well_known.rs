//! What clients read before anything else: server metadata (RFC 8414, OpenID Connect Discovery),
//! keys (RFC 7517) and resource metadata (RFC 9728).

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use crate::app::{App, Shared};
use crate::error::{ApiError, Kind};
use crate::oauth::scope::Scope;
use crate::oauth::server_metadata::ServerMetadata;

/// The documents of a server. Settings and key are the same for as long as it runs, so each is
/// written when it is asked for first and sent as it is from then on.
#[derive(Debug, Default)]
pub struct Documents {
    openid: OnceLock<Document>,
    oauth: OnceLock<Document>,
    keys: OnceLock<Document>,
    resource: OnceLock<Document>,
    api: OnceLock<Document>,
}

/// A JSON document that anybody may keep for an hour.
#[derive(Clone, Debug)]
pub struct Document(Bytes);

impl Document {
    fn new(content: &impl Serialize) -> Self {
        let text = serde_json::to_vec(content).expect("texts and flags have a JSON form");
        Self(text.into())
    }
}

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");
        ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, CACHED)], self.0).into_response()
    }
}

/// `GET /.well-known/openid-configuration` (Discovery §4).
pub async fn openid_configuration(State(app): State<Shared>) -> Result<Document, ApiError> {
    require_enabled(&app)?;
    Ok(openid(&app))
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3).
pub async fn oauth_authorization_server(State(app): State<Shared>) -> Result<Document, ApiError> {
    require_enabled(&app)?;
    Ok(oauth(&app))
}

/// The same with the issuer's path behind it (RFC 8414 §3.1).
pub async fn openid_configuration_of(
    State(app): State<Shared>,
    Path(path): Path<String>,
) -> Result<Document, ApiError> {
    require_issuer_path(&app, &path)?;
    require_enabled(&app)?;
    Ok(openid(&app))
}

/// The same with the issuer's path behind it (RFC 8414 §3.1).
pub async fn oauth_authorization_server_of(
    State(app): State<Shared>,
    Path(path): Path<String>,
) -> Result<Document, ApiError> {
    require_issuer_path(&app, &path)?;
    require_enabled(&app)?;
    Ok(oauth(&app))
}

/// `GET /api/oauth/jwks` (RFC 7517 §5).
pub async fn jwks(State(app): State<Shared>) -> Result<Document, ApiError> {
    let keys = app.keys.as_ref().ok_or_else(disabled)?;
    let write = || Document::new(&keys.jwks());
    Ok(app.documents.keys.get_or_init(write).clone())
}

/// `GET /.well-known/oauth-protected-resource` (RFC 9728 §3): the server as a whole.
pub async fn protected_resource(State(app): State<Shared>) -> Result<Document, ApiError> {
    require_enabled(&app)?;
    let write = || {
        let issuer = app.config.issuer();
        Document::new(&json!({
            "resource": issuer,
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
        }))
    };
    Ok(app.documents.resource.get_or_init(write).clone())
}

/// `GET /.well-known/oauth-protected-resource/api` (RFC 9728 §3.1): Storyden's API.
pub async fn protected_api(State(app): State<Shared>) -> Result<Document, ApiError> {
    require_enabled(&app)?;
    let write = || {
        let issuer = app.config.issuer();
        Document::new(&json!({
            "resource": format!("{issuer}/api"),
            "authorization_servers": [issuer],
            "bearer_methods_supported": ["header"],
            "scopes_supported": Scope::all(),
        }))
    };
    Ok(app.documents.api.get_or_init(write).clone())
}

/// Where the metadata of the API stands, for challenges (RFC 9728 §5.1).
#[must_use]
pub fn resource_metadata_of(app: &App) -> String {
    format!(
        "{}/.well-known/oauth-protected-resource/api",
        app.config.issuer()
    )
}

fn openid(app: &App) -> Document {
    let write = || Document::new(&metadata(app));
    app.documents.openid.get_or_init(write).clone()
}

fn oauth(app: &App) -> Document {
    let write = || Document::new(&metadata(app).without_openid());
    app.documents.oauth.get_or_init(write).clone()
}

fn metadata(app: &App) -> ServerMetadata {
    ServerMetadata::openid(&app.config.issuer(), &app.config.endpoint_base())
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
