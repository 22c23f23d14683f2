//! `POST /api/admin/oauth/revoke`: revokes the grants of an account, of a client, or of an account to a
//! client.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::entry;
use super::listing::named_client;
use crate::context::{Context, SharedContext};
use crate::http::error::responses::{BodyErrors, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::JsonBody;
use crate::http::guards::Administrator;
use crate::ids::AccountId;
use crate::store::accounts;
use crate::store::audit::Event;
use crate::store::clients::Client;
use crate::store::revocation::{self, RevokedCounts, Target};

/// The grants to revoke; at least `account_id` or `client_id` is required.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = RevokeGrantsProps)]
pub struct Revoke {
    /// Grants that this account approved, by id or handle.
    #[serde(default)]
    account_id: Option<String>,
    /// Grants to this client, by public id or row id.
    #[serde(default)]
    client_id: Option<String>,
    /// Only count, without revoking.
    #[serde(default)]
    dry_run: bool,
    /// Unknown members: rejected, because a misspelt filter would revoke too much.
    #[serde(flatten)]
    #[schema(ignore)]
    unknown: BTreeMap<String, serde_json::Value>,
}

/// Numbers of revoked items.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RevokeGrantsResult)]
pub struct Revoked {
    #[serde(flatten)]
    ended: RevokedCounts,
    /// True if the items were only counted.
    dry_run: bool,
}

/// `POST /api/admin/oauth/revoke`.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/revoke",
    operation_id = "AdminOAuthRevoke",
    tag = "admin",
    request_body = Revoke,
    responses(
        (status = 200, description = "Counts of the revoked objects; with dry_run, of those to revoke", body = Revoked),
        Invalid,
        GuardErrors,
        NotFound,
        BodyErrors,
    )
)]
pub async fn revoke(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(sent): JsonBody<Revoke>,
) -> Result<Json<Revoked>, ApiError> {
    if let Some(name) = sent.unknown.keys().next() {
        let detail = format!("{name:?} is not known here; account_id, client_id and dry_run are");
        return Err(ApiError::invalid(detail));
    }
    if sent.account_id.is_none() && sent.client_id.is_none() {
        let detail = "The target is missing; set account_id, client_id or both";
        return Err(ApiError::invalid(detail));
    }
    let account = account_of(&context, sent.account_id).await?;
    let client = client_of(&context, sent.client_id).await?;
    let mut entry = entry(&context, Event::GrantsRevoked, &actor, account.as_ref());
    entry.client = client.as_ref().map(|client| client.client_id.clone());
    let target = Target {
        account,
        client: client.map(|client| client.row_id),
    };
    let ended = if sent.dry_run {
        revocation::count(&context.db, &target, entry.at).await?
    } else {
        revocation::revoke_and_count(&context.db, target, "administrator", entry).await?
    };
    let dry_run = sent.dry_run;
    Ok(Json(Revoked { ended, dry_run }))
}

async fn account_of(context: &Context, id: Option<String>) -> Result<Option<AccountId>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    let account = accounts::find_named(&context.db, &id).await?;
    let missing = || ApiError::new(Kind::NotFound, "There is no account with this account_id");
    account.map(|account| Some(account.id)).ok_or_else(missing)
}

async fn client_of(context: &Context, id: Option<String>) -> Result<Option<Client>, ApiError> {
    let Some(id) = id else { return Ok(None) };
    let client = named_client(context, &id).await?;
    let missing = || ApiError::new(Kind::NotFound, "There is no client with this client_id");
    client.map(Some).ok_or_else(missing)
}
