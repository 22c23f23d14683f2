//! Access keys of every account: `/api/admin/access-keys` (storyden-contract.md#administration).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::entry;
use super::listing::{AdministratorQuery, PageParameters, unless_whole};
use crate::accounts::access_keys::updated_at;
use crate::clock::Timestamp;
use crate::compat::UpdatedAt;
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, Invalid, NotFound};
use crate::http::extract::PathId;
use crate::http::guards::Administrator;
use crate::ids::{AccessKeyId, AccountId};
use crate::store;
use crate::store::access_keys;
use crate::store::access_keys::KeyWithOwner;
use crate::store::audit::{self, Event};
use crate::store::paging::Pages;

/// An access key and the owner, without the secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OwnedAccessKey)]
pub struct ShownKey {
    /// Time of creation.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// The owner.
    created_by: Owner,
    /// False for a deleted key. An expired key is still `enabled`.
    enabled: bool,
    /// Time of expiry; absent if the key does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    /// Row id.
    id: AccessKeyId,
    /// Name chosen by the owner.
    name: String,
    /// Time of creation, since keys cannot be changed; in the profile `storyden` the zero time.
    #[serde(rename = "updatedAt")]
    updated_at: String,
}

/// The account that owns an access key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AccessKeyOwner)]
pub struct Owner {
    /// Unique name.
    handle: String,
    /// Account id.
    id: AccountId,
    /// Time of sign-up.
    joined: Timestamp,
    /// Display name.
    name: String,
    /// Always empty, as in Storyden.
    #[schema(value_type = Vec<String>)]
    roles: [&'static str; 0],
    /// Time of suspension, if the account is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<Timestamp>,
}

impl ShownKey {
    fn of(policy: UpdatedAt, key: KeyWithOwner) -> Self {
        Self {
            created_at: key.created_at,
            created_by: Owner {
                handle: key.owner_handle,
                id: key.owner_id,
                joined: key.owner_joined,
                name: key.owner_name,
                roles: [],
                suspended: key.owner_suspended,
            },
            enabled: !key.disabled.0,
            expires_at: key.expires_at,
            id: key.id,
            name: key.name.unwrap_or_default(),
            updated_at: updated_at(policy, key.created_at),
        }
    }
}

/// A page of access keys, or all keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OwnedAccessKeyListResult)]
pub struct KeyList {
    /// Oldest first, including deleted keys.
    keys: Vec<ShownKey>,
    /// The page; absent if all keys are listed.
    #[serde(flatten)]
    pages: Option<Pages>,
}

/// `GET /api/admin/access-keys`.
///
/// # Errors
/// 400 for an invalid query, 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/access-keys",
    operation_id = "AdminAccessKeyList",
    tag = "admin",
    params(
        PageParameters,
        ("account_id" = Option<String>, Query, description = "Filter by account: id or handle"),
    ),
    responses(
        (status = 200, description = "List of access keys", body = KeyList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<KeyList>, ApiError> {
    let asked = query.read(&["account_id"])?;
    let owner = asked.account(&context, "account_id").await?;
    let policies = context.config.policies;
    let page = asked.page_or_whole(policies.admin.lists_unpaged)?;
    let found = access_keys::list_all(&context.db, owner.as_ref(), page).await?;
    let keys = found
        .rows
        .into_iter()
        .map(|key| ShownKey::of(policies.access_keys.updated_at, key));
    Ok(Json(KeyList {
        keys: keys.collect(),
        pages: unless_whole(found.pages),
    }))
}

/// `DELETE /api/admin/access-keys/{access_key_id}`: revokes a key of any account.
///
/// # Errors
/// 401, 403, 404 for an unknown key.
#[utoipa::path(
    delete,
    path = "/api/admin/access-keys/{access_key_id}",
    operation_id = "AdminAccessKeyDelete",
    tag = "admin",
    params(("access_key_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Deleted; the key is invalid"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = AccessKeyId::new(id);
    let entry = entry(&context, Event::AccessKeyDeleted, &actor, None).subject(&id);
    let write = context.db.write((id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let Some(owner) = access_keys::owner(tx, id).await? else {
                return Err(store::Error::Gone);
            };
            access_keys::end(tx, &owner, id, entry.at).await?;
            audit::insert(tx, &entry.clone().of(&owner)).await
        })
    });
    let missing = "There is no access key with this id";
    let written = write.await;
    written.map_err(|error| ApiError::of_write(error, missing))?;
    Ok(StatusCode::NO_CONTENT)
}
