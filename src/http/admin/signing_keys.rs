//! Signing keys: `/api/admin/oauth/keys`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use serde::{Deserialize, Serialize};

use super::entry;
use crate::context::{Context, SharedContext};
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{JsonBody, decode_query};
use crate::http::guards::Administrator;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::signing_keys::{self, Error, KeyResource};
use crate::store::audit::Event;
use crate::store::forged_access::ForgedAccess;

/// The signing keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthSigningKeyListResult)]
pub struct KeyList {
    /// The keys of the settings, then the generated keys by algorithm, in the order of signing.
    keys: Vec<KeyResource>,
    /// The algorithms with generated keys, which can be rotated.
    rotated_algorithms: Vec<&'static str>,
}

/// `GET /api/admin/oauth/keys`.
///
/// # Errors
/// 401, 403, 404 while OAuth is off.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/keys",
    operation_id = "AdminOAuthKeyList",
    tag = "admin",
    responses(
        (status = 200, description = "List of keys", body = KeyList),
        GuardErrors,
        NotFound,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<KeyList>, ApiError> {
    Ok(Json(key_list(&context).await?))
}

async fn key_list(context: &Context) -> Result<KeyList, Error> {
    let rotated = signing_keys::keys_of(context)?.rotated_algorithms();
    Ok(KeyList {
        keys: signing_keys::list(context).await?,
        rotated_algorithms: rotated.into_iter().map(SigningAlgorithm::name).collect(),
    })
}

/// A rotation.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthSigningKeyRotateProps)]
pub struct Rotate {
    /// The algorithm; if absent, every algorithm with generated keys.
    #[serde(default)]
    algorithm: Option<String>,
    /// True: the new key signs at once, before clients had time to fetch it.
    #[serde(default)]
    immediately: bool,
}

/// `POST /api/admin/oauth/keys/rotate`.
///
/// # Errors
/// 400 for an unknown algorithm, 401, 403, 409 for an algorithm without generated keys.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/keys/rotate",
    operation_id = "AdminOAuthKeyRotate",
    tag = "admin",
    request_body = Rotate,
    responses(
        (status = 200, description = "List of keys after the rotation", body = KeyList),
        Invalid,
        GuardErrors,
        NotFound,
        Conflict,
        BodyErrors,
    )
)]
pub async fn rotate(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(sent): JsonBody<Rotate>,
) -> Result<Json<KeyList>, ApiError> {
    let algorithm = sent.algorithm.as_deref().map(algorithm).transpose()?;
    let entry = entry(&context, Event::SigningKeyRotated, &actor, None);
    signing_keys::rotate(&context, algorithm, sent.immediately, &entry).await?;
    Ok(Json(key_list(&context).await?))
}

fn algorithm(name: &str) -> Result<SigningAlgorithm, ApiError> {
    SigningAlgorithm::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = SigningAlgorithm::ALL.iter().map(|one| one.name()).collect();
        ApiError::invalid(format!("algorithm must be one of: {}", names.join(", ")))
    })
}

/// Numbers of ended items.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthSigningKeyRevokeResult)]
pub struct Revoked {
    /// The key.
    kid: String,
    /// True if the items were only counted.
    dry_run: bool,
    #[serde(flatten)]
    ended: ForgedAccess,
}

/// `POST /api/admin/oauth/keys/{kid}/revoke`.
///
/// # Errors
/// 400 for an unknown parameter, 401, 403, 404 for an unknown key and for a key of the settings.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/keys/{kid}/revoke",
    operation_id = "AdminOAuthKeyRevoke",
    tag = "admin",
    params(
        ("kid" = String, Path, description = "Key id"),
        ("dry_run" = Option<bool>, Query, description = "Only count, without revoking"),
    ),
    responses(
        (status = 200, description = "Counts of the ended objects; with dry_run, of those to end", body = Revoked),
        Invalid,
        GuardErrors,
        NotFound,
    )
)]
pub async fn revoke(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    kid: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Json<Revoked>, ApiError> {
    let kid = kid.map(|Path(kid)| kid).unwrap_or_default();
    let dry_run = is_dry_run(query.as_deref())?;
    let ended = if dry_run {
        signing_keys::count(&context, &kid).await?
    } else {
        let entry = entry(&context, Event::SigningKeyRevoked, &actor, None);
        let (context, kid) = (context.clone(), kid.clone());
        // In a task of its own: a client that disconnects must not interrupt the revocation.
        let revoked = async move { signing_keys::revoke(&context, &kid, entry).await };
        let revoked = tokio::spawn(revoked).await;
        revoked.map_err(|_| ApiError::new(Kind::Internal, "The revocation was interrupted"))??
    };
    Ok(Json(Revoked {
        kid,
        dry_run,
        ended,
    }))
}

/// Reads the query. Other parameters are rejected: with a misspelt `dry_run`, the key would be revoked.
fn is_dry_run(query: Option<&str>) -> Result<bool, ApiError> {
    let names = query.unwrap_or_default().split('&');
    let mut names = names.filter_map(|pair| pair.split('=').next());
    if let Some(name) = names.find(|name| !matches!(*name, "" | "dry_run")) {
        let detail = format!("{name:?} is not known here; dry_run is");
        return Err(ApiError::invalid(detail));
    }
    let decoded = decode_query(query, &["dry_run"])?;
    match decoded.get("dry_run") {
        None if names_dry_run(query) => Ok(true),
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::invalid("dry_run must be true or false")),
    }
}

/// True for `?dry_run` without a value.
fn names_dry_run(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.contains("dry_run"))
}
