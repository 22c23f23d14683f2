//! `/api/auth/access-keys`: the access keys of an account (storyden-contract.md#access-keys).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{closed_session_error, entry, require_below_limit, require_open_session};
use crate::accounts::access_keys::{generate, updated_at};
use crate::clock::Timestamp;
use crate::compat::UpdatedAt;
use crate::context::SharedContext;
use crate::http::client_members::given;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::{KeyHolder, Person};
use crate::ids::AccessKeyId;
use crate::oauth::client_rules::Rules;
use crate::oauth::permission::Permission;
use crate::store;
use crate::store::access_keys::{self, ListedKey, NewKey};
use crate::store::audit::{self, Event};

/// Maximum number of keys per account, including deleted keys.
const MOST: i64 = 500;

/// An access key, without the secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AccessKey)]
pub struct Key {
    /// Time of creation.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// True if the key is not deleted. An expired key is still `enabled`.
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

/// The access keys of an account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AccessKeyListResult)]
pub struct KeyList {
    /// Oldest first, including deleted keys.
    keys: Vec<Key>,
}

/// A new access key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AccessKeyIssued)]
pub struct IssuedKey {
    #[serde(flatten)]
    key: Key,
    /// The full key, shown only in this response.
    secret: String,
}

/// Request body for a new access key.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = AccessKeyInitialProps)]
pub struct CreateKey {
    /// Time of expiry; absent for a key that does not expire.
    #[serde(default, deserialize_with = "given")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Name of the key.
    name: String,
}

impl Key {
    /// Converts a key. `enabled` can be false for an enabled key, in the response to a creation
    /// (storyden-contract.md#sign-in-and-sign-out).
    fn shown(policy: UpdatedAt, key: ListedKey, enabled: bool) -> Self {
        Self {
            created_at: key.created_at,
            enabled,
            expires_at: key.expires_at,
            id: key.id,
            name: key.name.unwrap_or_default(),
            updated_at: updated_at(policy, key.created_at),
        }
    }
}

/// `GET /api/auth/access-keys`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get, path = "/api/auth/access-keys", operation_id = "AccessKeyList", tag = "auth",
    security(("browser" = []), ("access_key" = [])),
    responses(
        (status = 200, body = KeyList),
        responses::Invalid,
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    holder: KeyHolder,
) -> Result<Json<KeyList>, ApiError> {
    let policy = context.config.policies.access_keys.updated_at;
    let keys = access_keys::list(&context.db, &holder.account.id).await?;
    let keys = keys.into_iter().map(|key| {
        let enabled = !key.disabled.0;
        Key::shown(policy, key, enabled)
    });
    Ok(Json(KeyList {
        keys: keys.collect(),
    }))
}

/// `POST /api/auth/access-keys`.
///
/// # Errors
/// 400 for an invalid name or expiry, 401, 403, 429.
#[utoipa::path(
    post, path = "/api/auth/access-keys", operation_id = "AccessKeyCreate", tag = "auth",
    security(("browser" = [])),
    request_body = CreateKey,
    responses(
        (status = 200, body = IssuedKey),
        responses::Invalid,
        responses::GuardErrors,
        responses::BodyErrors,
        responses::TooManyRequests,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    person: Person,
    body: Result<JsonBody<CreateKey>, ApiError>,
) -> Result<Json<IssuedKey>, ApiError> {
    person.require(Permission::UsePersonalAccessKeys)?;
    let JsonBody(asked) = body?;
    let Person { session, address } = person;
    let (session, account) = (session.id, session.account);
    let (policies, now) = (context.config.policies, context.clock.now());
    let expires_at = asked.expires_at.as_deref().map(expiry).transpose()?;
    let input_unchecked = policies.access_keys.input_unchecked;
    let name = if input_unchecked {
        asked.name
    } else {
        let rules = Rules {
            policy: policies.member_clients,
            held: account.permissions,
        };
        rules.name(&asked.name)?
    };
    if !input_unchecked && expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("expires_at must be in the future"));
    }
    let have = access_keys::count(&context.db, &account.id).await?;
    require_below_limit(&context, &account.id, have, MOST)?;
    let (identifier, secret_hash, secret) = generate(&context).await?;
    let new = NewKey {
        id: AccessKeyId::generate(now),
        account: account.id.clone(),
        identifier,
        secret_hash,
        name,
        created_at: now,
        expires_at,
    };
    let listed = ListedKey {
        id: new.id.clone(),
        created_at: now,
        name: Some(new.name.clone()),
        disabled: store::value::Flag(false),
        expires_at,
    };
    let entry = entry(&context, Event::AccessKeyCreated, &account.id, address).subject(&new.id);
    let write = context
        .db
        .write((session, new, entry), |tx, (session, new, entry)| {
            Box::pin(async move {
                require_open_session(tx, session).await?;
                access_keys::insert(tx, new).await?;
                audit::insert(tx, entry).await
            })
        });
    write.await.map_err(closed_session_error)?;
    Ok(Json(IssuedKey {
        key: Key::shown(
            policies.access_keys.updated_at,
            listed,
            !policies.access_keys.new_keys_shown_disabled,
        ),
        secret: secret.reveal().to_owned(),
    }))
}

fn expiry(text: &str) -> Result<Timestamp, ApiError> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| {
        ApiError::invalid(format!(
            "expires_at must be a time as in 2030-01-31T12:00:00Z (RFC 3339), {}",
            Timestamp::RANGE
        ))
    })
}

/// `DELETE /api/auth/access-keys/{access_key_id}`: with a session, or with the key to delete.
///
/// # Errors
/// 401, 403 with a different key, 404 if the account has no such key.
#[utoipa::path(
    delete, path = "/api/auth/access-keys/{access_key_id}", operation_id = "AccessKeyDelete",
    tag = "auth",
    security(("browser" = []), ("access_key" = [])),
    params(("access_key_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Deleted; the key is invalid"),
        responses::Invalid,
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    holder: KeyHolder,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = AccessKeyId::new(id);
    if holder.by_key.is_some_and(|by_key| by_key != id) {
        let detail = "An access key can only delete itself; sign in with a browser to delete other \
                      keys";
        return Err(ApiError::forbidden(detail));
    }
    let account = holder.account.id;
    let entry = entry(&context, Event::AccessKeyDeleted, &account, holder.address).subject(&id);
    let write = context
        .db
        .write((id, account, entry), |tx, (id, account, entry)| {
            Box::pin(async move {
                if !access_keys::end(tx, account, id, entry.at).await? {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        });
    let missing = "You have no access key with this id";
    let written = write.await;
    written.map_err(|error| ApiError::of_write(error, missing))?;
    Ok(StatusCode::NO_CONTENT)
}
