//! Refresh tokens, `oauth_refresh_tokens`, and grants, `auth_grants`.
//!
//! A token issued by Storyden has no grant: the token family is then the chain of
//! `replaced_by_token_id`. The first use here creates a grant for the token.

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, WithAccount};
use super::approver::{Approver, ApproverColumns, GRANT_APPROVER};
use super::db::{Db, Tx};
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::open_revocations::{GRANT_ENDED, NEWEST_REVOCATION, REFRESH_TOKEN_ENDED};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::{Flag, JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::{
    AccessKeyId, AccountId, AuthorizationCodeId, ClientRowId, DeviceAuthorizationId, GrantId,
    RefreshTokenId,
};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::dpop::Thumbprint;
use crate::oauth::sign_in_method::SignInMethod;
use crate::secret::SecretHash;

/// A refresh token with the account, the grant and the successor.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Row id.
    pub id: RefreshTokenId,
    /// The client that received the token.
    pub client: ClientRowId,
    /// The account that approved, with current permissions.
    pub account: Account,
    /// Granted scope; the same for every successor.
    pub scope: String,
    /// Expiry.
    pub expires_at: Timestamp,
    /// Time of use or revocation.
    pub revoked_at: Option<Timestamp>,
    /// The successor from the rotation.
    pub successor: Option<Successor>,
    /// The grant; `None` for a token issued by Storyden and not used here yet.
    pub grant: Option<Grant>,
    /// True if the grant is revoked or an open revocation covers the token, even before the token's own
    /// row is updated.
    pub ended: bool,
}

impl RefreshToken {
    /// Returns true if the grant and the approving access key are valid. A token issued by a Storyden
    /// and not used here yet has no grant: then only a revocation that covers the token counts.
    #[must_use]
    pub fn is_granted(&self, now: Timestamp) -> bool {
        let may_use_access_keys = self.account.may_use_access_keys();
        let counts = |grant: &Grant| grant.approver.counts(may_use_access_keys, now);
        !self.ended && self.grant.as_ref().is_none_or(counts)
    }
}

/// The successor of a rotated token.
#[derive(Clone, Debug)]
pub struct Successor {
    /// Row id.
    pub id: RefreshTokenId,
    /// Hash of the token, to recognize a derived successor.
    pub token: SecretHash,
    /// Expiry.
    pub expires_at: Timestamp,
    /// True if the successor was used or revoked.
    pub revoked: bool,
}

/// The part of a grant that a rotation needs.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Grant id, the `gid` of access tokens.
    pub id: GrantId,
    /// The credential that approved.
    pub approver: Approver,
    /// Salt of the last rotation, in hex, during the reuse window.
    pub salt: Option<String>,
    /// The token used in the last rotation.
    pub rotated_token: Option<RefreshTokenId>,
    /// Time of the sign-in, if known.
    pub auth_time: Option<Timestamp>,
    /// The way of the sign-in, if known.
    pub sign_in_method: Option<SignInMethod>,
    /// The granted claims.
    pub claims: GrantedClaims,
    /// Resources of the tokens (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The key that the refresh token is bound to (RFC 9449 §5).
    pub dpop_jkt: Option<Thumbprint>,
    /// Creation time.
    pub created_at: Timestamp,
}

struct TokenRow {
    token_id: RefreshTokenId,
    token_client_id: ClientRowId,
    scope: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    successor_id: Option<RefreshTokenId>,
    successor_hash: Option<String>,
    successor_expires_at: Option<Timestamp>,
    successor_revoked_at: Option<Timestamp>,
    grant_id: Option<GrantId>,
    ended: Flag,
    grant_salt: Option<String>,
    grant_rotated_token_id: Option<RefreshTokenId>,
    grant_auth_time: Option<Timestamp>,
    grant_sign_in_method: Option<String>,
    grant_claims: Option<JsonColumn<GrantedClaims>>,
    grant_resources: Option<JsonColumn<Option<Vec<String>>>>,
    grant_dpop_jkt: Option<String>,
    grant_created_at: Option<Timestamp>,
    approver: ApproverColumns,
}

row!(TokenRow:
    token_id, token_client_id, scope, created_at, expires_at, revoked_at, successor_id,
    successor_hash, successor_expires_at, successor_revoked_at, grant_id, ended, grant_salt,
    grant_rotated_token_id, grant_auth_time, grant_sign_in_method, grant_claims, grant_resources,
    grant_dpop_jkt, grant_created_at; approver
);

impl TokenRow {
    fn into_token(self, account: Account) -> RefreshToken {
        let successor = match (
            self.successor_id,
            self.successor_hash,
            self.successor_expires_at,
        ) {
            (Some(id), Some(hash), Some(expires_at)) => Some(Successor {
                id,
                token: SecretHash::stored(hash),
                expires_at,
                revoked: self.successor_revoked_at.is_some(),
            }),
            _ => None,
        };
        RefreshToken {
            ended: self.ended.0,
            id: self.token_id,
            client: self.token_client_id,
            account,
            scope: self.scope,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            successor,
            grant: self.grant_id.map(|id| Grant {
                id,
                approver: self.approver.approver(),
                salt: self.grant_salt,
                rotated_token: self.grant_rotated_token_id,
                auth_time: self.grant_auth_time,
                sign_in_method: self
                    .grant_sign_in_method
                    .as_deref()
                    .and_then(SignInMethod::from_name),
                claims: self.grant_claims.unwrap_or_default().0,
                resources: self.grant_resources.and_then(|list| list.0),
                dpop_jkt: self.grant_dpop_jkt.map(Thumbprint::stored),
                created_at: self.grant_created_at.unwrap_or(self.created_at),
            }),
        }
    }
}

/// Finds a refresh token by hash.
pub async fn find(db: &Db, token: &SecretHash) -> Result<Option<RefreshToken>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT "t.id AS token_id, t.client_id AS token_client_id, t.scope, t.expires_at, \
         t.revoked_at, n.id AS successor_id, n.token_hash AS successor_hash, \
         n.expires_at AS successor_expires_at, n.revoked_at AS successor_revoked_at, \
         g.id AS grant_id, g.salt AS grant_salt, \
         g.rotated_token_id AS grant_rotated_token_id, g.auth_time AS grant_auth_time, \
         g.sign_in_method AS grant_sign_in_method, g.claims AS grant_claims, \
         g.resources AS grant_resources, g.dpop_jkt AS grant_dpop_jkt, g.created_at AS grant_created_at, t.created_at, ",
        REFRESH_TOKEN_ENDED,
        " AS ended, ",
        GRANT_APPROVER,
        ", ",
        ACCOUNT_COLUMNS;
        FROM "oauth_refresh_tokens t JOIN accounts a ON a.id = t.account_id \
         LEFT JOIN oauth_refresh_tokens n ON n.id = t.replaced_by_token_id \
         LEFT JOIN auth_refresh_tokens m ON m.token_id = t.id \
         LEFT JOIN auth_grants g ON g.id = m.grant_id \
         LEFT JOIN authentications v ON v.id = g.access_key_id ",
        ACCOUNT_ROLES,
        " WHERE t.token_hash = ", [1]
    );
    let rows = db.look_up(FIND, &[Some(token.as_str())]).await?;
    let found = WithAccount::<TokenRow>::decode(&rows)?;
    Ok(found.map(|WithAccount { row, account }| row.into_token(account)))
}

/// A grant to insert.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Row id.
    pub id: GrantId,
    /// The account that approved.
    pub account: AccountId,
    /// The client.
    pub client: ClientRowId,
    /// The authorization code that was exchanged.
    pub code: Option<AuthorizationCodeId>,
    /// The access key that approved; the grant ends with the key.
    pub access_key: Option<AccessKeyId>,
    /// Time of the sign-in, if known.
    pub auth_time: Option<Timestamp>,
    /// The way of the sign-in, if known.
    pub sign_in_method: Option<SignInMethod>,
    /// The granted claims.
    pub claims: GrantedClaims,
    /// Resources of the tokens (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The key that the refresh token is bound to (RFC 9449 §5).
    pub dpop_jkt: Option<Thumbprint>,
    /// The device authorization of the device code grant, with the origin of the grant.
    pub device: Option<DeviceAuthorizationId>,
    /// Creation time.
    pub created_at: Timestamp,
}

/// The columns of a grant to insert, with [`GRANT_VALUES`].
pub(super) const GRANT_COLUMNS: Sql = Sql::same(
    "id, account_id, client_id, code_id, auth_time, created_at, resources, access_key_id, sign_in_method, claims, \
     dpop_jkt, address, user_agent, device_name, revocation_id",
);

/// The values of a grant to insert, with [`NewGrant::parameters`]. The origin is copied from the device authorization,
/// or from the approval of the code.
pub(super) const GRANT_VALUES: Sql = sql!(
    "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \
     COALESCE((SELECT e.address FROM auth_request_details e WHERE e.code_id = $4), \
     (SELECT o.address FROM auth_device_origins o WHERE o.device_id = $12)), \
     COALESCE((SELECT e.user_agent FROM auth_request_details e WHERE e.code_id = $4), \
     (SELECT o.user_agent FROM auth_device_origins o WHERE o.device_id = $12)), \
     (SELECT o.name FROM auth_device_origins o WHERE o.device_id = $12), ",
    NEWEST_REVOCATION
);

impl NewGrant {
    /// Returns the parameters of [`GRANT_VALUES`].
    pub(super) fn parameters(&self) -> Result<[Value; 12]> {
        Ok([
            (&self.id).into(),
            (&self.account).into(),
            (&self.client).into(),
            self.code.as_ref().into(),
            self.auth_time.into(),
            self.created_at.into(),
            Value::optional_names(self.resources.as_deref()),
            self.access_key.as_ref().into(),
            self.sign_in_method.into(),
            Value::json_unless(self.claims.is_empty(), &self.claims)?,
            self.dpop_jkt.as_ref().into(),
            self.device.as_ref().into(),
        ])
    }
}

/// Inserts a grant.
pub async fn insert_grant(tx: &mut Tx, new: &NewGrant) -> Result<()> {
    const SQL: Sql = sql!(
        "INSERT INTO auth_grants (",
        GRANT_COLUMNS,
        ") VALUES (",
        GRANT_VALUES,
        ")"
    );
    tx.execute(SQL, &new.parameters()?).await?;
    Ok(())
}

/// A refresh token to insert.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Row id.
    pub id: RefreshTokenId,
    /// Hash of the token.
    pub token: SecretHash,
    /// Granted scope.
    pub scope: String,
    /// The account that approved.
    pub account: AccountId,
    /// The client.
    pub client: ClientRowId,
    /// The grant.
    pub grant: GrantId,
    /// Creation time.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a refresh token as a member of the grant.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn insert(tx: &mut Tx, new: &NewToken) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_refresh_tokens \
         (id, created_at, token_hash, scope, expires_at, account_id, client_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            (&new.token).into(),
            new.scope.as_str().into(),
            new.expires_at.into(),
            (&new.account).into(),
            (&new.client).into(),
        ],
    )
    .await?;
    join_grant(tx, &new.id, &new.grant).await
}

/// Adds a stored token to a grant.
pub async fn join_grant(tx: &mut Tx, token: &RefreshTokenId, grant: &GrantId) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_refresh_tokens (token_id, grant_id) VALUES ($1, $2)",
        &[token.into(), grant.into()],
    )
    .await?;
    Ok(())
}

/// Records a rotation on the grant and locks the grant until the end of the transaction. Returns true
/// if the grant is live: a rotation that races with the revocation of the family stops here.
pub async fn lock_for_rotation(
    tx: &mut Tx,
    grant: &GrantId,
    used: &RefreshTokenId,
    salt: &str,
    now: Timestamp,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE auth_grants AS g SET salt = $3, rotated_token_id = $2, rotated_at = $4 \
         WHERE g.id = $1 AND NOT ",
        GRANT_ENDED
    );
    let parameters = [grant.into(), used.into(), salt.into(), now.into()];
    Ok(tx.execute(SQL, &parameters).await? > 0)
}

/// Binds the refresh token of a grant to a key, if not bound yet (RFC 9449 §5). The caller has locked the
/// grant.
pub async fn bind_grant(tx: &mut Tx, grant: &GrantId, key: &Thumbprint) -> Result<()> {
    tx.execute(
        "UPDATE auth_grants SET dpop_jkt = $2 WHERE id = $1 AND dpop_jkt IS NULL",
        &[grant.into(), Some(key).into()],
    )
    .await?;
    Ok(())
}

/// Consumes a token (compare and set). Returns false if the token was used or revoked, or the account
/// is suspended.
pub async fn consume(tx: &mut Tx, id: &RefreshTokenId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_refresh_tokens AS t SET revoked_at = $2, last_used_at = $2 \
         WHERE t.id = $1 AND t.revoked_at IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.id = t.account_id AND a.deleted_at IS NULL) \
         AND NOT ",
        REFRESH_TOKEN_ENDED
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}

/// Records a use of a token that stays valid, until the new expiry. Returns false if the token was used up or
/// revoked, or the account is suspended.
pub async fn renew(
    tx: &mut Tx,
    id: &RefreshTokenId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_refresh_tokens AS t SET last_used_at = $2, expires_at = $3 \
         WHERE t.id = $1 AND t.revoked_at IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.id = t.account_id AND a.deleted_at IS NULL) \
         AND NOT ",
        REFRESH_TOKEN_ENDED
    );
    let parameters = [id.into(), now.into(), expires_at.into()];
    Ok(tx.execute(SQL, &parameters).await? > 0)
}

/// Links a used token to the successor.
pub async fn link(tx: &mut Tx, old: &RefreshTokenId, new: &RefreshTokenId) -> Result<()> {
    tx.execute(
        "UPDATE oauth_refresh_tokens SET replaced_by_token_id = $2 WHERE id = $1",
        &[old.into(), new.into()],
    )
    .await?;
    Ok(())
}

/// Finds the live grant made from an authorization code.
pub async fn grant_of_code(db: &Db, code: &AuthorizationCodeId) -> Result<Option<GrantId>> {
    db.fetch_optional(
        "SELECT id FROM auth_grants WHERE code_id = $1 AND revoked_at IS NULL",
        &[code.into()],
    )
    .await
}
