//! Creation and changes of clients.

use super::client_details;
use super::client_keys;
use super::client_locks::touch;
use super::client_secrets;
use super::clients::{Client, IS_NOT_DELETED, policy_name};
use super::db::Tx;
use super::error::{Error, Result};
use super::own_grants;
use super::sql::sql;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::oauth::application_type::ApplicationType;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{ClientKeys, PageChanges};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::GrantType;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Revocation reason of a client's own grant after a change of the keys: a key may be stolen.
const KEYS_REPLACED: &str = "keys_replaced";

/// Inserts a client.
///
/// # Errors
/// [`Error::Taken`] if the client id is taken, [`Error::Gone`] if the owner does not
/// exist.
pub async fn insert(tx: &mut Tx, client: &Client) -> Result<()> {
    let method = client.auth_method.unwrap_or(AuthMethod::usual(client.kind));
    let redirect_uris = if client.redirect_uris_omitted {
        Value::Json(serde_json::Value::Null)
    } else {
        Value::names(client.redirect_uris.iter().map(String::as_str))
    };
    tx.execute(
        "INSERT INTO oauth_clients (id, created_at, updated_at, client_id, client_secret_hash, name, \
         type, scope_policy, token_endpoint_auth_method, pkce_required, redirect_uris, \
         allowed_scopes, allowed_grants, account_id) \
         VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        &[
            (&client.row_id).into(),
            client.created_at.into(),
            client.client_id.as_str().into(),
            client.secret_hash.clone().into(),
            client.name.as_str().into(),
            client.kind.name().into(),
            policy_name(client.scope.policy).into(),
            method.name().into(),
            client.pkce_required.into(),
            redirect_uris,
            Value::names(client.scope.allowed.names()),
            Value::names(client.grants.iter().map(|grant| grant.wire_name())),
            client.owner.as_ref().into(),
        ],
    )
    .await?;
    let is_protected = client.request_protection != RequestProtection::NONE || client.dpop_bound;
    let is_chosen =
        client.auth_method.is_some() || client.application_type.is_some() || client.fapi;
    let has_choices = is_chosen || !client.algorithms.is_empty();
    if !client.pkce_required || is_protected || has_choices {
        save_side_row(tx, client).await?;
    }
    Ok(())
}

/// Inserts a client with its keys.
///
/// # Errors
/// As [`insert`].
pub async fn insert_with_keys(tx: &mut Tx, client: &Client, keys: &ClientKeys) -> Result<()> {
    insert(tx, client).await?;
    if *keys == ClientKeys::default() {
        return Ok(());
    }
    client_keys::save(tx, &client.row_id, keys).await
}

/// Replaces the metadata of a client without an owner: a dynamically registered client (RFC 7592 §2.2)
/// or a metadata document client.
///
/// # Errors
/// [`Error::Gone`] if there is no such client, or its deletion is in progress.
pub async fn replace(tx: &mut Tx, client: &Client) -> Result<()> {
    let method = client.auth_method.unwrap_or(AuthMethod::usual(client.kind));
    let changed = tx
        .execute(
            sql!(
                "UPDATE oauth_clients AS c SET name = $2, type = $3, client_secret_hash = $4, \
                 redirect_uris = $5, allowed_scopes = $6, allowed_grants = $7, \
                 token_endpoint_auth_method = $8, updated_at = $9 \
                 WHERE c.id = $1 AND c.account_id IS NULL AND ",
                IS_NOT_DELETED
            ),
            &[
                (&client.row_id).into(),
                client.name.as_str().into(),
                client.kind.name().into(),
                client.secret_hash.clone().into(),
                Value::names(client.redirect_uris.iter().map(String::as_str)),
                Value::names(client.scope.allowed.names()),
                Value::names(client.grants.iter().map(|grant| grant.wire_name())),
                method.name().into(),
                client.updated_at.into(),
            ],
        )
        .await?;
    if changed == 0 {
        return Err(Error::Gone);
    }
    save_side_row(tx, client).await
}

/// Writes the properties of a client without a column in Storyden's `oauth_clients`. Other columns of
/// the row are unchanged.
async fn save_side_row(tx: &mut Tx, client: &Client) -> Result<()> {
    let method = client.auth_method.map(|method| method.name().to_owned());
    tx.execute(
        "INSERT INTO auth_clients \
         (client_id, auth_method, pkce_exempt, request_protection, dpop_bound, fapi, application_type) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (client_id) DO UPDATE SET \
         auth_method = excluded.auth_method, pkce_exempt = excluded.pkce_exempt, \
         request_protection = excluded.request_protection, dpop_bound = excluded.dpop_bound, \
         fapi = excluded.fapi, application_type = excluded.application_type",
        &[
            (&client.row_id).into(),
            method.into(),
            (!client.pkce_required).into(),
            stored_protection(client.request_protection),
            client.dpop_bound.into(),
            client.fapi.into(),
            Value::Text(client.application_type.map(|kind| kind.name().to_owned())),
        ],
    )
    .await?;
    save_algorithms(tx, &client.row_id, client.algorithms).await
}

async fn save_algorithms(
    tx: &mut Tx,
    client: &ClientRowId,
    algorithms: ClientAlgorithms,
) -> Result<()> {
    let name = |algorithm: Option<SigningAlgorithm>| {
        Value::from(algorithm.map(|algorithm| algorithm.name().to_owned()))
    };
    tx.execute(
        "INSERT INTO auth_clients (client_id, id_token_signed_response_alg, \
         access_token_signed_response_alg, userinfo_signed_response_alg) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (client_id) DO UPDATE SET \
         id_token_signed_response_alg = excluded.id_token_signed_response_alg, \
         access_token_signed_response_alg = excluded.access_token_signed_response_alg, \
         userinfo_signed_response_alg = excluded.userinfo_signed_response_alg",
        &[
            client.into(),
            name(algorithms.id_token),
            name(algorithms.access_token),
            name(algorithms.userinfo),
        ],
    )
    .await?;
    Ok(())
}

/// The stored protection; NULL for none.
fn stored_protection(protection: RequestProtection) -> Value {
    Value::Text(protection.stored_name().map(str::to_owned))
}

/// Changes of a client; `None` leaves a field unchanged.
#[derive(Clone, Default)]
pub struct Changes {
    /// Name.
    pub name: Option<String>,
    /// Redirect URIs.
    pub redirect_uris: Option<Vec<String>>,
    /// Scopes that the client may request.
    pub allowed_scopes: Option<Scope>,
    /// Allowed grant types.
    pub allowed_grants: Option<Vec<GrantType>>,
    /// Source of the permissions: the registered list, or all permissions of the member.
    pub scope_policy: Option<ScopePolicy>,
    /// Argon2id hash of the secret.
    pub secret_hash: Option<String>,
    /// False exempts the client from PKCE.
    pub pkce_required: Option<bool>,
    /// Protections that every authorization request must have.
    pub request_protection: Option<RequestProtection>,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2).
    pub dpop_bound: Option<bool>,
    /// Signature algorithms.
    pub algorithms: Option<ClientAlgorithms>,
    /// True holds the client to the FAPI 2.0 Security Profile.
    pub fapi: Option<bool>,
    /// The only accepted authentication method.
    pub auth_method: Option<AuthMethod>,
    /// Public keys.
    pub keys: Option<ClientKeys>,
    /// Kind of application.
    pub application_type: Option<ApplicationType>,
    /// Pages and logo.
    pub pages: PageChanges,
}

impl Changes {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            name,
            redirect_uris,
            allowed_scopes,
            allowed_grants,
            scope_policy,
            secret_hash,
            pkce_required,
            request_protection,
            dpop_bound,
            algorithms,
            fapi,
            auth_method,
            keys,
            application_type,
            pages,
        } = self;
        let has_lists =
            redirect_uris.is_some() || allowed_scopes.is_some() || allowed_grants.is_some();
        let has_flags = pkce_required.is_some()
            || request_protection.is_some()
            || dpop_bound.is_some()
            || fapi.is_some();
        let has_choices = scope_policy.is_some() || algorithms.is_some() || auth_method.is_some();
        let has_secrets = secret_hash.is_some() || keys.is_some();
        let has_about = name.is_some() || application_type.is_some() || !pages.is_empty();
        !(has_about || has_lists || has_flags || has_choices || has_secrets)
    }

    /// Returns the client after the changes, without a new secret.
    #[must_use]
    pub fn applied_to(&self, before: Client) -> Client {
        Client {
            name: self.name.clone().unwrap_or(before.name),
            redirect_uris: self.redirect_uris.clone().unwrap_or(before.redirect_uris),
            grants: self.allowed_grants.clone().unwrap_or(before.grants),
            scope: ClientScope {
                policy: self.scope_policy.unwrap_or(before.scope.policy),
                allowed: self.allowed_scopes.clone().unwrap_or(before.scope.allowed),
                ..before.scope
            },
            pkce_required: self.pkce_required.unwrap_or(before.pkce_required),
            request_protection: self.request_protection.unwrap_or(before.request_protection),
            dpop_bound: self.dpop_bound.unwrap_or(before.dpop_bound),
            algorithms: self.algorithms.unwrap_or(before.algorithms),
            fapi: self.fapi.unwrap_or(before.fapi),
            auth_method: self.auth_method.or(before.auth_method),
            application_type: self.application_type.or(before.application_type),
            ..before
        }
    }
}

/// Updates a client. False if there is no such client, or its deletion is in progress.
pub async fn update(
    tx: &mut Tx,
    id: &ClientRowId,
    changes: &Changes,
    now: Timestamp,
) -> Result<bool> {
    let text = |sql, value: String| (sql, Value::from(value));
    let uris = |uris: &Vec<String>| Value::names(uris.iter().map(String::as_str));
    let grants = |grants: &Vec<GrantType>| Value::names(grants.iter().map(|g| g.wire_name()));
    let columns = [
        changes
            .name
            .clone()
            .map(|name| text("UPDATE oauth_clients SET name = $2 WHERE id = $1", name)),
        changes.secret_hash.clone().map(|hash| {
            text(
                "UPDATE oauth_clients SET client_secret_hash = $2 WHERE id = $1",
                hash,
            )
        }),
        changes.scope_policy.map(|policy| {
            text(
                "UPDATE oauth_clients SET scope_policy = $2 WHERE id = $1",
                policy_name(policy).to_owned(),
            )
        }),
        changes.redirect_uris.as_ref().map(|list| {
            (
                "UPDATE oauth_clients SET redirect_uris = $2 WHERE id = $1",
                uris(list),
            )
        }),
        changes.allowed_scopes.as_ref().map(|scope| {
            (
                "UPDATE oauth_clients SET allowed_scopes = $2 WHERE id = $1",
                Value::names(scope.names()),
            )
        }),
        changes.allowed_grants.as_ref().map(|list| {
            (
                "UPDATE oauth_clients SET allowed_grants = $2 WHERE id = $1",
                grants(list),
            )
        }),
    ];
    if !touch(tx, id, now).await? {
        return Ok(false);
    }
    for (sql, value) in columns.into_iter().flatten() {
        tx.execute(sql, &[id.into(), value]).await?;
    }
    update_side_row(tx, id, changes).await?;
    if changes.secret_hash.is_some() {
        client_secrets::clear_old(tx, id).await?;
        own_grants::end(tx, id, client_secrets::REPLACED, now).await?;
    }
    if changes.keys.is_some() {
        own_grants::end(tx, id, KEYS_REPLACED, now).await?;
    }
    Ok(true)
}

/// Updates the properties of a client without a column in Storyden's `oauth_clients`.
async fn update_side_row(tx: &mut Tx, id: &ClientRowId, changes: &Changes) -> Result<()> {
    let columns = [
        changes.pkce_required.map(|required| {
            (
                "INSERT INTO auth_clients (client_id, pkce_exempt) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET pkce_exempt = excluded.pkce_exempt",
                Value::from(!required),
            )
        }),
        changes.request_protection.map(|protection| {
            (
                "INSERT INTO auth_clients (client_id, request_protection) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET \
                 request_protection = excluded.request_protection",
                stored_protection(protection),
            )
        }),
        changes.dpop_bound.map(|bound| {
            (
                "INSERT INTO auth_clients (client_id, dpop_bound) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET dpop_bound = excluded.dpop_bound",
                bound.into(),
            )
        }),
        changes.fapi.map(|fapi| {
            (
                "INSERT INTO auth_clients (client_id, fapi) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET fapi = excluded.fapi",
                fapi.into(),
            )
        }),
        changes.auth_method.map(|method| {
            (
                "INSERT INTO auth_clients (client_id, auth_method) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET auth_method = excluded.auth_method",
                method.name().into(),
            )
        }),
        changes.application_type.map(|kind| {
            (
                "INSERT INTO auth_clients (client_id, application_type) VALUES ($1, $2) \
                 ON CONFLICT (client_id) DO UPDATE SET \
                 application_type = excluded.application_type",
                kind.name().into(),
            )
        }),
    ];
    for (sql, value) in columns.into_iter().flatten() {
        tx.execute(sql, &[id.into(), value]).await?;
    }
    client_details::change_pages(tx, id, &changes.pages).await?;
    if let Some(algorithms) = changes.algorithms {
        save_algorithms(tx, id, algorithms).await?;
    }
    if let Some(keys) = &changes.keys {
        client_keys::save(tx, id, keys).await?;
    }
    Ok(())
}
