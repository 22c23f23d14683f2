//! Discovery documents: server metadata (RFC 8414, OpenID Connect Discovery) and keys (RFC 7517).

use std::sync::{OnceLock, PoisonError};

use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use crate::context::{Context, RenderedDocument, SharedContext};
use crate::http::entity_tag::etag;
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::keys;
use crate::keys::schedule::KEY_SET_MAX_AGE;
use crate::oauth::server_metadata::ServerMetadata;

/// A JSON document that caches may store for an hour. The layer of the public routes answers a conditional
/// request (RFC 9110 §13.1.2).
#[derive(Clone, Debug)]
pub struct Document(RenderedDocument);

impl Document {
    /// Renders a document.
    pub(super) fn new(context: &Context, document: &impl Serialize) -> Self {
        Self(Self::render(context, document))
    }

    /// Wraps a rendered document.
    pub(super) fn of(rendered: RenderedDocument) -> Self {
        Self(rendered)
    }

    /// Returns the rendered document, and renders it at the first request.
    pub(super) fn rendered_once<T: Serialize>(
        context: &Context,
        place: &OnceLock<RenderedDocument>,
        build: impl FnOnce() -> T,
    ) -> Self {
        let render = || Self::render(context, &build());
        Self(place.get_or_init(render).clone())
    }

    pub(super) fn render(context: &Context, document: &impl Serialize) -> RenderedDocument {
        let text = serde_json::to_vec(document).expect("texts and flags have a JSON form");
        let has_tag = !context.config.policies.metadata.storyden_members_only;
        RenderedDocument {
            tag: has_tag.then(|| tag_of(&text)),
            body: text.into(),
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl IntoResponse for Document {
    fn into_response(self) -> Response {
        const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=3600");
        respond(self.0, CACHED)
    }
}

fn respond(RenderedDocument { body, tag }: RenderedDocument, cached: HeaderValue) -> Response {
    let mut response = ([(CONTENT_TYPE, JSON), (CACHE_CONTROL, cached)], body).into_response();
    if let Some(Ok(tag)) = tag.map(HeaderValue::from_maybe_shared) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

fn tag_of(text: &[u8]) -> Bytes {
    Bytes::copy_from_slice(etag(text).as_bytes())
}

/// The public keys (RFC 7517 §5).
#[derive(Debug, ToSchema)]
#[schema(as = OAuthJWKS)]
pub struct Jwks {
    /// The keys that sign, the keys that will sign next, and the keys of tokens that have not expired.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Debug, ToSchema)]
#[schema(as = OAuthJWK)]
pub struct Jwk {
    /// `RS256`, `PS256`, `ES256`, `EdDSA` or `Ed25519`.
    pub alg: String,
    /// The curve of an elliptic curve key.
    pub crv: Option<String>,
    /// The exponent of an RSA key, base64url.
    pub e: Option<String>,
    /// The key id.
    pub kid: String,
    /// `RSA`, `EC` or `OKP`.
    pub kty: String,
    /// The modulus of an RSA key, base64url.
    pub n: Option<String>,
    /// The coordinates of an elliptic curve key, base64url.
    pub x: Option<String>,
    /// The y coordinate of a P-256 key, base64url.
    pub y: Option<String>,
    /// `sig`.
    #[schema(rename = "use")]
    pub key_use: String,
}

/// `GET /.well-known/openid-configuration` (Discovery §4).
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration",
    operation_id = "OpenIDConfiguration",
    tag = "metadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (OpenID Connect Discovery §3)", body = ServerMetadata),
        responses::NotFound,
    ),
)]
pub async fn openid_configuration(
    State(context): State<SharedContext>,
) -> Result<Document, ApiError> {
    openid(&context)
}

/// `GET /.well-known/oauth-authorization-server` (RFC 8414 §3).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server",
    operation_id = "OAuthAuthorizationServerMetadata",
    tag = "metadata",
    security(()),
    responses(
        (status = 200, description = "Metadata (RFC 8414 §2)", body = ServerMetadata),
        responses::NotFound,
    ),
)]
pub async fn oauth_authorization_server(
    State(context): State<SharedContext>,
) -> Result<Document, ApiError> {
    oauth(&context)
}

/// `GET /.well-known/openid-configuration/PATH`: the same document for an issuer with a path
/// (RFC 8414 §3.1).
#[utoipa::path(
    get,
    path = "/.well-known/openid-configuration/{*path}",
    operation_id = "OpenIDConfigurationOf",
    tag = "metadata",
    security(()),
    params(("path" = String, Path, description = "Path of the issuer")),
    responses(
        (status = 200, description = "Metadata (OpenID Connect Discovery §3)", body = ServerMetadata),
        responses::NotFound,
    ),
)]
pub async fn openid_configuration_of(
    State(context): State<SharedContext>,
    Path(path): Path<String>,
) -> Result<Document, ApiError> {
    require_issuer_path(&context, &path)?;
    openid(&context)
}

/// `GET /.well-known/oauth-authorization-server/PATH`: the same document for an issuer with a path
/// (RFC 8414 §3.1).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-authorization-server/{*path}",
    operation_id = "OAuthAuthorizationServerMetadataOf",
    tag = "metadata",
    security(()),
    params(("path" = String, Path, description = "Path of the issuer")),
    responses(
        (status = 200, description = "Metadata (RFC 8414 §2)", body = ServerMetadata),
        responses::NotFound,
    ),
)]
pub async fn oauth_authorization_server_of(
    State(context): State<SharedContext>,
    Path(path): Path<String>,
) -> Result<Document, ApiError> {
    require_issuer_path(&context, &path)?;
    oauth(&context)
}

/// `GET /api/oauth/jwks` (RFC 7517 §5).
#[utoipa::path(
    get,
    path = "/api/oauth/jwks",
    operation_id = "OAuthJWKS",
    tag = "auth",
    security(()),
    responses(
        (
            status = 200,
            description = "JWK set (RFC 7517 §5)",
            body = Jwks,
            headers(("ETag" = String, description = "Version of the key set"))
        ),
        (status = 304, description = "The key set has the version of `If-None-Match`"),
        responses::NotFound,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn jwks(State(context): State<SharedContext>) -> Result<Response, ApiError> {
    let keys = context.keys.as_ref().ok_or_else(disabled)?;
    let body = keys.jwks().await;
    if context.config.policies.tokens.single_key {
        return Ok(Document::of(RenderedDocument { body, tag: None }).into_response());
    }
    let seconds = KEY_SET_MAX_AGE.whole_seconds(); // short, since keys rotate
    let cached = HeaderValue::try_from(format!("public, max-age={seconds}"));
    let cached = cached.expect("digits are legal in a header");
    Ok(respond(tagged(&context, body), cached))
}

/// Returns the key set with the entity tag, which is computed again when the text changes.
fn tagged(context: &Context, body: Bytes) -> RenderedDocument {
    let place = &context.documents.jwks;
    // The keys return the same text until they change, so a pointer identifies the text.
    let is_same = |known: &&RenderedDocument| known.body.as_ptr() == body.as_ptr();
    let known = place.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.as_ref().filter(is_same) {
        return known.clone();
    }
    drop(known);
    let tag = Some(tag_of(&body));
    let document = RenderedDocument { body, tag };
    *place.write().unwrap_or_else(PoisonError::into_inner) = Some(document.clone());
    document
}

/// Metadata of this community as a client of other servers (RFC 7591 §2).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthClientMetadata)]
pub struct ClientDocument {
    /// The URL of this document.
    client_id: String,
    /// Name of this community.
    client_name: String,
    /// Front page of this community.
    client_uri: String,
    /// Grant types that this community uses.
    grant_types: [&'static str; 2],
    /// Redirect URIs of this community.
    redirect_uris: [String; 1],
    /// Response types that this community uses.
    response_types: [&'static str; 1],
    /// `none`: this client has no secret.
    token_endpoint_auth_method: &'static str,
}

/// `GET /.well-known/oauth-client-metadata`: this community as a client of other servers
/// (storyden-contract.md#identity-as-a-client).
#[utoipa::path(
    get,
    path = "/.well-known/oauth-client-metadata",
    operation_id = "OAuthClientMetadata",
    tag = "metadata",
    security(()),
    responses((status = 200, description = "Client metadata; the client id is the URL of this document", body = ClientDocument)),
)]
pub async fn client_metadata(State(context): State<SharedContext>) -> Document {
    Document::rendered_once(&context, &context.documents.client_metadata, || {
        let web = context.config.web_address();
        ClientDocument {
            client_id: context.config.own_client_id().into(),
            client_name: context.config.own_client_name(),
            client_uri: web.as_str().trim_end_matches('/').to_owned(),
            grant_types: ["authorization_code", "refresh_token"],
            redirect_uris: [context.config.remote_callback_page().into()],
            response_types: ["code"],
            token_endpoint_auth_method: "none",
        }
    })
}

fn openid(context: &Context) -> Result<Document, ApiError> {
    require_enabled(context)?;
    let place = &context.documents.openid_configuration;
    Ok(Document::rendered_once(context, place, || {
        metadata(context)
    }))
}

fn oauth(context: &Context) -> Result<Document, ApiError> {
    require_enabled(context)?;
    let place = &context.documents.oauth_authorization_server;
    let build = || metadata(context).without_openid();
    Ok(Document::rendered_once(context, place, build))
}

fn metadata(context: &Context) -> ServerMetadata {
    let policies = context.config.policies;
    let base = context.config.endpoint_base();
    let mut metadata = ServerMetadata::openid(&context.config.issuer(), &base)
        .with_signing_algorithms(&context.config.signing_algorithms.0);
    if context.config.registration_enabled {
        metadata = metadata.with_registration(&base);
    }
    if policies.authorize.iss_omitted {
        metadata = metadata.without_iss();
    }
    if policies.metadata.storyden_members_only {
        metadata = metadata.with_storydens_members();
    }
    if context.config.documents_enabled() {
        metadata = metadata.with_client_documents();
    }
    if context.config.protects_requests() {
        let pushing_required = context.config.pushed_requests_required;
        metadata = metadata.with_protected_requests(&base, pushing_required);
    }
    for grant in context.config.further_grants() {
        metadata = metadata.with_grant(grant);
    }
    if context.config.supports_dpop() {
        metadata = metadata.with_dpop();
    }
    if policies.metadata.storyden_endpoints_only {
        metadata
    } else {
        metadata
            .with_client_keys(keys::ASSERTION_ALGORITHM_NAMES)
            .with_what_storyden_has_not(&base)
    }
}

fn require_issuer_path(context: &Context, path: &str) -> Result<(), ApiError> {
    let served = !context.config.policies.responses.issuer_path_not_served;
    let path = path.strip_suffix('/').unwrap_or(path); // the issuer with a final slash
    if served && !path.is_empty() && path == context.config.issuer_path() {
        return Ok(());
    }
    Err(ApiError::new(
        Kind::NotFound,
        "There is no issuer with this path here",
    ))
}

pub(super) fn require_enabled(context: &Context) -> Result<(), ApiError> {
    if context.config.oauth_enabled {
        Ok(())
    } else {
        Err(disabled())
    }
}

/// Builds the error while OAuth is off (storyden-contract.md#while-oauth-is-off).
fn disabled() -> ApiError {
    ApiError::new(Kind::NotFound, "OAuth is not enabled on this instance")
        .title("OAuth and OpenID Connect are not enabled on this Storyden instance.")
        .suggest(
            "oauth_disabled",
            "Ask the instance administrator to configure OAuth before using OAuth clients.",
        )
}
