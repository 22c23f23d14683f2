//! Clients: `oauth_clients`.

use sha2::{Digest as _, Sha256};

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, AccountColumns};
use super::db::Db;
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::row::{Row, row};
use super::sql::{Sql, sql};
use super::value::{Flag, JsonColumn, Names};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::application_type::ApplicationType;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_id_url::is_url;
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::fapi;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::Scope;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::secret::hex;

/// Columns of the client `c`.
pub(super) const CLIENT_COLUMNS: Sql = Sql::same(
    "c.id AS client_row_id, c.client_id AS client_client_id, \
     c.client_secret_hash AS client_secret_hash, c.name AS client_name, \
     c.type AS client_type, EXISTS (SELECT 1 FROM auth_clients y \
         WHERE y.client_id = c.id AND y.pkce_exempt) AS client_pkce_exempt, \
     EXISTS (SELECT 1 FROM auth_clients y \
         WHERE y.client_id = c.id AND y.dpop_bound) AS client_dpop_bound, \
     EXISTS (SELECT 1 FROM auth_clients y \
         WHERE y.client_id = c.id AND y.fapi) AS client_fapi, \
     (SELECT y.auth_method FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_auth_method, \
     (SELECT y.old_secret_hash FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_old_secret_hash, \
     (SELECT y.old_secret_until FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_old_secret_until, \
     (SELECT y.request_protection FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_request_protection, \
     (SELECT y.id_token_signed_response_alg FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_id_token_alg, \
     (SELECT y.access_token_signed_response_alg FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_access_token_alg, \
     (SELECT y.userinfo_signed_response_alg FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_userinfo_alg, \
     (SELECT y.application_type FROM auth_clients y WHERE y.client_id = c.id) \
         AS client_application_type, \
     c.scope_policy AS client_scope_policy, \
     c.redirect_uris AS client_redirect_uris, \
     c.allowed_scopes AS client_allowed_scopes, c.allowed_grants AS client_allowed_grants, \
     c.account_id AS client_owner, c.created_at AS client_created_at, \
     c.updated_at AS client_updated_at",
);

/// Condition: client `c` is not being deleted. Deletion renames the client id to `deleted:` and the row id,
/// which no client can register.
pub(super) const IS_NOT_DELETED: Sql = Sql::same("c.client_id <> 'deleted:' || c.id");

/// The columns of `CLIENT_COLUMNS`.
#[expect(clippy::struct_field_names, reason = "other tables are joined too")]
pub struct ClientColumns {
    client_row_id: ClientRowId,
    client_client_id: String,
    client_secret_hash: Option<String>,
    client_name: String,
    client_type: String,
    client_pkce_exempt: Flag,
    client_dpop_bound: Flag,
    client_fapi: Flag,
    client_auth_method: Option<String>,
    client_old_secret_hash: Option<String>,
    client_old_secret_until: Option<Timestamp>,
    client_request_protection: Option<String>,
    client_id_token_alg: Option<String>,
    client_access_token_alg: Option<String>,
    client_userinfo_alg: Option<String>,
    client_application_type: Option<String>,
    client_scope_policy: String,
    client_redirect_uris: JsonColumn<Option<Vec<String>>>,
    client_allowed_scopes: Names,
    client_allowed_grants: Names,
    client_owner: Option<AccountId>,
    client_created_at: Timestamp,
    client_updated_at: Timestamp,
}

row!(ClientColumns:
    client_row_id, client_client_id, client_secret_hash, client_name, client_type,
    client_pkce_exempt, client_dpop_bound, client_fapi, client_auth_method, client_old_secret_hash,
    client_old_secret_until,
    client_request_protection, client_id_token_alg, client_access_token_alg, client_userinfo_alg,
    client_application_type,
    client_scope_policy, client_redirect_uris, client_allowed_scopes, client_allowed_grants,
    client_owner, client_created_at, client_updated_at
);

/// An OAuth client.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent setting"
)]
pub struct Client {
    /// Row id.
    pub row_id: ClientRowId,
    /// Client id (RFC 6749 §2.2).
    pub client_id: String,
    /// Argon2id hash of the secret.
    pub secret_hash: Option<String>,
    /// Previous secret, during the overlap after a rotation.
    pub old_secret: Option<OldSecret>,
    /// Chosen authentication method; only that method is then accepted. Storyden's column
    /// `token_endpoint_auth_method` is ignored, because most rows only hold the default.
    pub auth_method: Option<AuthMethod>,
    /// Name.
    pub name: String,
    /// Confidential or public (RFC 6749 §2.1).
    pub kind: ClientType,
    /// Kind of application, as the developer chose it.
    pub application_type: Option<ApplicationType>,
    /// True unless an administrator exempted the client from PKCE (RFC 7636). Storyden's column of this
    /// name is ignored: Storyden never reads the column, and the default there is `false`.
    pub pkce_required: bool,
    /// Protections that every authorization request of the client must have.
    pub request_protection: RequestProtection,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2).
    pub dpop_bound: bool,
    /// True if the client is held to the FAPI 2.0 Security Profile. A client read from the database then has the
    /// settings that the profile implies; the stored settings hold again when the client leaves the profile.
    pub fapi: bool,
    /// Chosen signature algorithms.
    pub algorithms: ClientAlgorithms,
    /// Scopes that the client may request.
    pub scope: ClientScope,
    /// Registered redirect URIs.
    pub redirect_uris: Vec<String>,
    /// True if the row holds JSON `null` instead of an empty list. Storyden stores and returns `null`
    /// for a self-service client created without `redirect_uris` (storyden-contract.md#ids-and-times).
    pub redirect_uris_omitted: bool,
    /// Allowed grant types.
    pub grants: Vec<GrantType>,
    /// Account that owns the client, if any.
    pub owner: Option<AccountId>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// The secret before the last rotation.
#[derive(Clone)]
pub struct OldSecret {
    /// Argon2id hash.
    pub hash: String,
    /// End of the overlap.
    pub until: Timestamp,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// True if the client may use `grant`.
    #[must_use]
    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grants.contains(&grant)
    }

    /// True if the client authenticates with a secret: it is confidential, and has no key instead.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        self.kind == ClientType::Confidential && self.auth_method != Some(AuthMethod::PrivateKeyJwt)
    }

    /// Returns the client with the settings that the FAPI 2.0 Security Profile implies, if the client is held to
    /// it. A chosen algorithm that the profile forbids counts as not chosen.
    #[must_use]
    pub fn with_fapi(self) -> Self {
        if !self.fapi {
            return self;
        }
        let permitted =
            |chosen: Option<SigningAlgorithm>| chosen.filter(|one| fapi::is_permitted(*one));
        Self {
            auth_method: Some(AuthMethod::PrivateKeyJwt),
            pkce_required: true,
            request_protection: RequestProtection {
                pushed: true,
                ..self.request_protection
            },
            dpop_bound: true,
            algorithms: ClientAlgorithms {
                id_token: permitted(self.algorithms.id_token),
                access_token: permitted(self.algorithms.access_token),
                userinfo: permitted(self.algorithms.userinfo),
            },
            ..self
        }
    }

    /// Returns a hash of everything a member recognizes the client by: name, owner, and redirect URIs.
    /// A consent page shows all three, so a change requires a new consent page.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.name, self.owner.as_ref(), &self.redirect_uris)
    }

    /// Iterates over the hashes of the secrets valid at `now`, the current secret first.
    pub fn secret_hashes(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let old = self.old_secret.as_ref().filter(|old| now < old.until);
        self.secret_hash
            .as_deref()
            .into_iter()
            .chain(old.map(|old| old.hash.as_str()))
    }
}

pub(super) fn fingerprint(
    name: &str,
    owner: Option<&AccountId>,
    redirect_uris: &[String],
) -> String {
    let owner = owner.map(AccountId::as_str).unwrap_or_default();
    let parts = [name, owner]
        .into_iter()
        .chain(redirect_uris.iter().map(String::as_str));
    let mut digest = Sha256::new();
    for part in parts {
        // length prefix, so that different lists never hash alike
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

impl From<ClientColumns> for Client {
    fn from(row: ClientColumns) -> Self {
        // An unknown value is read as the more restrictive value.
        let kind = match row.client_type.as_str() {
            "public" => ClientType::Public,
            _ => ClientType::Confidential,
        };
        let policy = match row.client_scope_policy.as_str() {
            "inherit" => ScopePolicy::Inherit,
            _ => ScopePolicy::Explicit,
        };
        let self_registered = row.client_owner.is_none()
            && (row.client_client_id.starts_with("sdoak_") || is_url(&row.client_client_id));
        // An algorithm of a later version of this server counts as not chosen.
        let algorithm = |name: Option<String>| SigningAlgorithm::from_name(&name?);
        let client = Self {
            row_id: row.client_row_id,
            client_id: row.client_client_id,
            secret_hash: row.client_secret_hash,
            old_secret: row
                .client_old_secret_hash
                .zip(row.client_old_secret_until)
                .map(|(hash, until)| OldSecret { hash, until }),
            auth_method: row
                .client_auth_method
                .and_then(|name| AuthMethod::from_name(&name)),
            name: row.client_name,
            kind,
            application_type: row
                .client_application_type
                .and_then(|name| ApplicationType::from_name(&name)),
            pkce_required: !row.client_pkce_exempt.0,
            request_protection: row
                .client_request_protection
                .map_or(RequestProtection::NONE, |name| {
                    RequestProtection::from_stored_name(&name)
                }),
            dpop_bound: row.client_dpop_bound.0,
            fapi: row.client_fapi.0,
            algorithms: ClientAlgorithms {
                id_token: algorithm(row.client_id_token_alg),
                access_token: algorithm(row.client_access_token_alg),
                userinfo: algorithm(row.client_userinfo_alg),
            },
            scope: ClientScope {
                policy,
                allowed: Scope::from_names(row.client_allowed_scopes.iter()),
                self_registered,
            },
            grants: row
                .client_allowed_grants
                .iter()
                .filter_map(GrantType::from_stored_name)
                .collect(),
            redirect_uris_omitted: row.client_redirect_uris.0.is_none(),
            redirect_uris: row.client_redirect_uris.0.unwrap_or_default(),
            owner: row.client_owner,
            created_at: row.client_created_at,
            updated_at: row.client_updated_at,
        };
        client.with_fapi()
    }
}

/// Finds a client by client id, compared byte for byte.
pub async fn find(db: &Db, client_id: &str) -> Result<Option<Client>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT CLIENT_COLUMNS;
        FROM "oauth_clients c WHERE c.client_id = ", [1], " AND ", IS_NOT_DELETED
    );
    let rows = db.look_up(FIND, &[Some(client_id)]).await?;
    let row = rows.first().map(ClientColumns::decode).transpose()?;
    Ok(row.map(Client::from))
}

/// Finds a client by row id.
pub async fn find_by_row(db: &Db, id: &ClientRowId) -> Result<Option<Client>> {
    const SQL: Sql = sql!(
        "SELECT ",
        CLIENT_COLUMNS,
        " FROM oauth_clients c WHERE c.id = $1 AND ",
        IS_NOT_DELETED
    );
    let row: Option<ClientColumns> = db.fetch_optional(SQL, &[id.into()]).await?;
    Ok(row.map(Client::from))
}

/// Finds the account that owns a client, with the current permissions.
pub async fn owner(db: &Db, client: &ClientRowId) -> Result<Option<Account>> {
    const SQL: Sql = sql!(
        "SELECT ",
        ACCOUNT_COLUMNS,
        " FROM oauth_clients c JOIN accounts a ON a.id = c.account_id ",
        ACCOUNT_ROLES,
        " WHERE c.id = $1"
    );
    let rows: Vec<AccountColumns> = db.fetch_all(SQL, &[client.into()]).await?;
    Ok(Account::from_rows(&rows))
}

/// Lists all clients, oldest first.
pub async fn list(db: &Db) -> Result<Vec<Client>> {
    const SQL: Sql = sql!(
        "SELECT ",
        CLIENT_COLUMNS,
        " FROM oauth_clients c WHERE ",
        IS_NOT_DELETED,
        " ORDER BY c.created_at, c.id"
    );
    let rows: Vec<ClientColumns> = db.fetch_all(SQL, &[]).await?;
    Ok(rows.into_iter().map(Client::from).collect())
}

/// Lists the clients of an account, oldest first.
pub async fn list_by_owner(db: &Db, owner: &AccountId) -> Result<Vec<Client>> {
    const SQL: Sql = sql!(
        "SELECT ",
        CLIENT_COLUMNS,
        " FROM oauth_clients c WHERE c.account_id = $1 ORDER BY c.created_at, c.id"
    );
    let rows: Vec<ClientColumns> = db.fetch_all(SQL, &[owner.into()]).await?;
    Ok(rows.into_iter().map(Client::from).collect())
}

/// Counts the clients of an account.
pub async fn count_by_owner(db: &Db, owner: &AccountId) -> Result<i64> {
    db.fetch_one(
        "SELECT COUNT(*) AS n FROM oauth_clients WHERE account_id = $1",
        &[owner.into()],
    )
    .await
}

/// Lists the client ids of the confidential clients that are exempt from PKCE, at most `most`.
pub async fn list_pkce_exempt(db: &Db, most: i64) -> Result<Vec<String>> {
    const SQL: Sql = sql!(
        "SELECT c.client_id FROM auth_clients y JOIN oauth_clients c ON c.id = y.client_id \
         WHERE y.pkce_exempt AND c.type = 'confidential' AND ",
        IS_NOT_DELETED,
        " ORDER BY c.client_id LIMIT $1"
    );
    db.fetch_all(SQL, &[most.into()]).await
}

/// Lists the clients that are held to the FAPI 2.0 Security Profile, at most `most`.
pub async fn list_fapi(db: &Db, most: i64) -> Result<Vec<Client>> {
    const SQL: Sql = sql!(
        "SELECT ",
        CLIENT_COLUMNS,
        " FROM auth_clients f JOIN oauth_clients c ON c.id = f.client_id WHERE f.fapi AND ",
        IS_NOT_DELETED,
        " ORDER BY f.client_id LIMIT $1"
    );
    let rows: Vec<ClientColumns> = db.fetch_all(SQL, &[most.into()]).await?;
    Ok(rows.into_iter().map(Client::from).collect())
}

/// Lists the names of the signature algorithms that clients chose.
pub async fn list_chosen_algorithms(db: &Db) -> Result<Vec<String>> {
    db.fetch_all(
        "SELECT id_token_signed_response_alg AS name FROM auth_clients \
             WHERE id_token_signed_response_alg IS NOT NULL \
         UNION SELECT access_token_signed_response_alg FROM auth_clients \
             WHERE access_token_signed_response_alg IS NOT NULL \
         UNION SELECT userinfo_signed_response_alg FROM auth_clients \
             WHERE userinfo_signed_response_alg IS NOT NULL ORDER BY name",
        &[],
    )
    .await
}

/// The owner of a client.
#[derive(Debug)]
pub struct Owner {
    /// Account id.
    pub id: AccountId,
    /// Handle.
    pub handle: String,
}

row!(Owner: id, handle);

/// Lists the accounts that own a client.
pub async fn owners(db: &Db) -> Result<Vec<Owner>> {
    db.fetch_all(
        "SELECT a.id, a.handle FROM accounts a \
         WHERE a.id IN (SELECT c.account_id FROM oauth_clients c)",
        &[],
    )
    .await
}

/// Name of a policy in the database.
#[must_use]
pub fn policy_name(policy: ScopePolicy) -> &'static str {
    match policy {
        ScopePolicy::Explicit => "explicit",
        ScopePolicy::Inherit => "inherit",
    }
}
