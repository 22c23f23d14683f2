//! Trusted issuers of identity assertions: `/api/admin/oauth/issuers`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::entry;
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::Administrator;
use crate::ids::IssuerId;
use crate::issuers::{self, Draft, Shown};
use crate::store::accounts;
use crate::store::audit::Event;

/// Every trusted issuer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthTrustedIssuerListResult)]
pub struct List {
    /// The issuers, by URL.
    issuers: Vec<Shown>,
    /// True if assertions are accepted at all (`OAUTH_JWT_BEARER`).
    enabled: bool,
}

/// `GET /api/admin/oauth/issuers`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/issuers",
    operation_id = "AdminOAuthIssuerList",
    tag = "admin",
    responses(
        (status = 200, description = "List of issuers", body = List),
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<List>, ApiError> {
    Ok(Json(List {
        issuers: issuers::list(&context).await?,
        enabled: context.config.jwt_bearer,
    }))
}

/// A new issuer.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthTrustedIssuerCreateProps)]
pub struct CreateIssuer {
    /// The claim `iss` of its assertions: an https URL.
    url: String,
    /// Name for administrators.
    #[serde(default)]
    name: Option<String>,
    /// URL of the keys; if absent, as the metadata of the issuer name.
    #[serde(default)]
    jwks_uri: Option<String>,
    /// True: a subject without a mapping is the account with the same verified e-mail address.
    #[serde(default)]
    by_email: bool,
}

/// A change of an issuer: replaces every property except the URL.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthTrustedIssuerReplaceProps)]
pub struct ReplaceIssuer {
    /// Name for administrators; none if absent.
    #[serde(default)]
    name: Option<String>,
    /// URL of the keys; if absent, as the metadata of the issuer name.
    #[serde(default)]
    jwks_uri: Option<String>,
    /// True: a subject without a mapping is the account with the same verified e-mail address.
    by_email: bool,
}

/// `POST /api/admin/oauth/issuers`.
///
/// # Errors
/// 400 for a value that is not accepted, 401, 403, 409 for a known issuer.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/issuers",
    operation_id = "AdminOAuthIssuerCreate",
    tag = "admin",
    request_body = CreateIssuer,
    responses(
        (status = 200, description = "The issuer", body = Shown),
        Invalid,
        GuardErrors,
        Conflict,
        BodyErrors,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(new): JsonBody<CreateIssuer>,
) -> Result<Json<Shown>, ApiError> {
    let draft = Draft {
        url: new.url,
        name: new.name,
        jwks_uri: new.jwks_uri,
        by_email: new.by_email,
    };
    let entry = entry(&context, Event::IssuerCreated, &actor, None);
    let stored = issuers::create(&context, draft, entry).await?;
    Ok(Json(Shown::of(&context, stored).await?))
}

/// `PUT /api/admin/oauth/issuers/{issuer_id}`.
///
/// # Errors
/// 400 for a value that is not accepted, 401, 403, 404.
#[utoipa::path(
    put,
    path = "/api/admin/oauth/issuers/{issuer_id}",
    operation_id = "AdminOAuthIssuerReplace",
    tag = "admin",
    params(("issuer_id" = String, Path, description = "Row id")),
    request_body = ReplaceIssuer,
    responses(
        (status = 200, description = "The changed issuer", body = Shown),
        Invalid,
        GuardErrors,
        NotFound,
        BodyErrors,
    )
)]
pub async fn replace(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
    JsonBody(new): JsonBody<ReplaceIssuer>,
) -> Result<Json<Shown>, ApiError> {
    let before = issuers::find(&context, &IssuerId::new(id)).await?;
    let draft = Draft {
        url: before.url.clone(),
        name: new.name,
        jwks_uri: new.jwks_uri,
        by_email: new.by_email,
    };
    let entry = entry(&context, Event::IssuerUpdated, &actor, None);
    let stored = issuers::replace(&context, &before, draft, entry).await?;
    Ok(Json(Shown::of(&context, stored).await?))
}

/// `DELETE /api/admin/oauth/issuers/{issuer_id}`.
///
/// # Errors
/// 401, 403, 404.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/issuers/{issuer_id}",
    operation_id = "AdminOAuthIssuerDelete",
    tag = "admin",
    params(("issuer_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Removed with its mapped subjects"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let entry = entry(&context, Event::IssuerDeleted, &actor, None);
    issuers::delete(&context, &IssuerId::new(id), entry).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A mapping of a subject to an account.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthTrustedIssuerMapProps)]
pub struct MapSubject {
    /// The claim `sub` of the issuer's assertions.
    subject: String,
    /// Handle of the account; if absent, the mapping of the subject is removed.
    #[serde(default)]
    handle: Option<String>,
}

/// `POST /api/admin/oauth/issuers/{issuer_id}/subjects`.
///
/// # Errors
/// 400 for a value that is not accepted, 401, 403, 404 for an unknown issuer, account or mapping.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/issuers/{issuer_id}/subjects",
    operation_id = "AdminOAuthIssuerMap",
    tag = "admin",
    params(("issuer_id" = String, Path, description = "Row id")),
    request_body = MapSubject,
    responses(
        (status = 200, description = "The issuer with its mapped subjects", body = Shown),
        Invalid,
        GuardErrors,
        NotFound,
        BodyErrors,
    )
)]
pub async fn map(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
    JsonBody(given): JsonBody<MapSubject>,
) -> Result<Json<Shown>, ApiError> {
    let issuer = issuers::find(&context, &IssuerId::new(id)).await?;
    if let Some(handle) = &given.handle {
        let account = accounts::find_by_handle(&context.db, handle).await?;
        let account = account.ok_or_else(|| {
            issuers::Error::Missing(format!("There is no account with the handle {handle:?}"))
        })?;
        let entry = entry(&context, Event::IssuerSubjectMapped, &actor, None);
        issuers::map(&context, &issuer, &given.subject, &account, entry).await?;
    } else {
        let entry = entry(&context, Event::IssuerSubjectUnmapped, &actor, None);
        issuers::unmap(&context, &issuer, &given.subject, entry).await?;
    }
    Ok(Json(Shown::of(&context, issuer).await?))
}
