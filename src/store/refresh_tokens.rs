//! Refresh tokens, `oauth_refresh_tokens`, and the grants they belong to, `auth_grants`.
//!
//! A token that Storyden made has no grant of ours: its chain is then followed by
//! `replaced_by_token_id`, and it gets a grant when it is first used here.

use super::access_keys::{Approver, ApproverColumns, approver_columns};
use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{grant_ended, newest_revocation, refresh_token_ended};
use super::value::{Flag, JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::{
    AccessKeyId, AccountId, AuthorizationCodeId, ClientRowId, GrantId, RefreshTokenId,
};
use crate::secret::SecretHash;

/// A refresh token with its account, its grant and what came after it.
#[derive(Clone, Debug)]
pub struct RefreshToken {
    /// Its row.
    pub id: RefreshTokenId,
    /// Who it was given to.
    pub client: ClientRowId,
    /// Who approved, and what they hold now.
    pub account: Account,
    /// What was granted; every successor has the same.
    pub scope: String,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
    /// When it was used or revoked.
    pub revoked_at: Option<Timestamp>,
    /// The token that took its place.
    pub successor: Option<Successor>,
    /// Its grant; none for a token that Storyden made and nobody used here yet.
    pub grant: Option<Grant>,
    /// True if its grant was ended, or a revocation covers it, whatever its own row says.
    pub ended: bool,
}

impl RefreshToken {
    /// True if neither the grant was ended nor the access key that approved it. A token that a
    /// Storyden made, and that was not used here yet, has no grant: a revocation covers the token itself.
    #[must_use]
    pub fn is_granted(&self, now: Timestamp) -> bool {
        let counts = |grant: &Grant| grant.approver.counts(&self.account, now);
        !self.ended && self.grant.as_ref().is_none_or(counts)
    }
}

/// The token that took another's place.
#[derive(Clone, Debug)]
pub struct Successor {
    /// Its row.
    pub id: RefreshTokenId,
    /// The hash of the token, to recognize the derived one.
    pub token: SecretHash,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
    /// Whether it was used or revoked.
    pub revoked: bool,
}

/// A grant as far as a rotation needs it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The `gid` of its access tokens.
    pub id: GrantId,
    /// The credential that approved.
    pub approver: Approver,
    /// The salt of the last rotation, hex, while its window is open.
    pub salt: Option<String>,
    /// The token that the last rotation used up.
    pub rotated_token: Option<RefreshTokenId>,
    /// When the person signed in, if that is known.
    pub auth_time: Option<Timestamp>,
    /// What its tokens are for (RFC 8707); none for the community's own API.
    pub resources: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
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
    grant_resources: Option<JsonColumn<Option<Vec<String>>>>,
    grant_created_at: Option<Timestamp>,
    #[sqlx(flatten)]
    approver: ApproverColumns,
    #[sqlx(flatten)]
    account: AccountColumns,
}

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
                resources: self.grant_resources.and_then(|list| list.0),
                created_at: self.grant_created_at.unwrap_or(self.created_at),
            }),
        }
    }
}

/// The refresh token of a hash.
pub async fn find(db: &Db, token: &SecretHash) -> Result<Option<RefreshToken>> {
    macro_rules! sql {
        ($engine:ident) => {
            concat!(
                "SELECT t.id AS token_id, t.client_id AS token_client_id, t.scope, t.expires_at, \
                 t.revoked_at, n.id AS successor_id, n.token_hash AS successor_hash, \
                 n.expires_at AS successor_expires_at, n.revoked_at AS successor_revoked_at, \
                 g.id AS grant_id, g.salt AS grant_salt, \
                 g.rotated_token_id AS grant_rotated_token_id, g.auth_time AS grant_auth_time, \
                 g.resources AS grant_resources, g.created_at AS grant_created_at, t.created_at, ",
                refresh_token_ended!($engine, "t"),
                " AS ended, ",
                approver_columns!("g"),
                ", ",
                account_columns!(),
                " FROM oauth_refresh_tokens t JOIN accounts a ON a.id = t.account_id \
                 LEFT JOIN oauth_refresh_tokens n ON n.id = t.replaced_by_token_id \
                 LEFT JOIN auth_refresh_tokens m ON m.token_id = t.id \
                 LEFT JOIN auth_grants g ON g.id = m.grant_id \
                 LEFT JOIN authentications v ON v.id = g.access_key_id ",
                account_roles!(),
                " WHERE t.token_hash = $1"
            )
        };
    }
    let sql = db.pick(sql!(sqlite), sql!(postgres));
    let mut rows: Vec<TokenRow> = db.fetch_all(sql, &[token.into()]).await?;
    let Some(account) = Account::from_rows(rows.iter().map(|row| &row.account)) else {
        return Ok(None);
    };
    Ok(Some(rows.swap_remove(0).into_token(account)))
}

/// A new grant.
#[derive(Clone, Debug)]
pub struct NewGrant {
    /// Its id.
    pub id: GrantId,
    /// Who approved.
    pub account: AccountId,
    /// Who it is for.
    pub client: ClientRowId,
    /// The code it came of.
    pub code: Option<AuthorizationCodeId>,
    /// The access key that approved; the grant ends with it.
    pub access_key: Option<AccessKeyId>,
    /// When the person signed in, if that is known.
    pub auth_time: Option<Timestamp>,
    /// What its tokens are for (RFC 8707); none for the community's own API.
    pub resources: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Stores a grant.
pub async fn insert_grant(tx: &mut Tx, new: &NewGrant) -> Result<()> {
    tx.execute(
        concat!(
            "INSERT INTO auth_grants (id, account_id, client_id, code_id, auth_time, created_at, \
             resources, access_key_id, revocation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ",
            newest_revocation!(),
            ")"
        ),
        &[
            (&new.id).into(),
            (&new.account).into(),
            (&new.client).into(),
            new.code.as_ref().into(),
            new.auth_time.into(),
            new.created_at.into(),
            Value::optional_names(new.resources.as_deref()),
            new.access_key.as_ref().into(),
        ],
    )
    .await?;
    Ok(())
}

/// A new refresh token.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Its id.
    pub id: RefreshTokenId,
    /// The hash of the token.
    pub token: SecretHash,
    /// What is granted.
    pub scope: String,
    /// Who approved.
    pub account: AccountId,
    /// Who it is for.
    pub client: ClientRowId,
    /// The grant it belongs to.
    pub grant: GrantId,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// Stores a refresh token.
///
/// # Errors
/// [`super::Error::Gone`] when the client or the account is.
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

/// Makes a token that is there a member of a grant.
pub async fn join_grant(tx: &mut Tx, token: &RefreshTokenId, grant: &GrantId) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_refresh_tokens (token_id, grant_id) VALUES ($1, $2)",
        &[token.into(), grant.into()],
    )
    .await?;
    Ok(())
}

/// Notes a rotation on the grant and locks it to the end of the transaction. True if it is alive:
/// a rotation that runs into the end of its family stops here.
pub async fn lock_for_rotation(
    tx: &mut Tx,
    grant: &GrantId,
    used: &RefreshTokenId,
    salt: &str,
    now: Timestamp,
) -> Result<bool> {
    macro_rules! sql {
        ($engine:ident) => {
            concat!(
                "UPDATE auth_grants AS g SET salt = $3, rotated_token_id = $2, rotated_at = $4 \
                 WHERE g.id = $1 AND NOT ",
                grant_ended!($engine, "g")
            )
        };
    }
    let sql = tx.pick(sql!(sqlite), sql!(postgres));
    let parameters = [grant.into(), used.into(), salt.into(), now.into()];
    Ok(tx.execute(sql, &parameters).await? > 0)
}

/// Spends a token, if nobody did before, no revocation ended it and its account is not suspended.
pub async fn consume(tx: &mut Tx, id: &RefreshTokenId, now: Timestamp) -> Result<bool> {
    macro_rules! sql {
        ($engine:ident) => {
            concat!(
                "UPDATE oauth_refresh_tokens AS t SET revoked_at = $2, last_used_at = $2 \
                 WHERE t.id = $1 AND t.revoked_at IS NULL AND EXISTS \
                 (SELECT 1 FROM accounts a WHERE a.id = t.account_id AND a.deleted_at IS NULL) \
                 AND NOT ",
                refresh_token_ended!($engine, "t")
            )
        };
    }
    let sql = tx.pick(sql!(sqlite), sql!(postgres));
    Ok(tx.execute(sql, &[id.into(), now.into()]).await? > 0)
}

/// Links a spent token to the one that took its place.
pub async fn link(tx: &mut Tx, old: &RefreshTokenId, new: &RefreshTokenId) -> Result<()> {
    tx.execute(
        "UPDATE oauth_refresh_tokens SET replaced_by_token_id = $2 WHERE id = $1",
        &[old.into(), new.into()],
    )
    .await?;
    Ok(())
}

/// The live grant that came of a code.
pub async fn grant_of_code(db: &Db, code: &AuthorizationCodeId) -> Result<Option<GrantId>> {
    #[derive(sqlx::FromRow)]
    struct GrantIdRow {
        id: GrantId,
    }
    let row: Option<GrantIdRow> = db
        .fetch_optional(
            "SELECT id FROM auth_grants WHERE code_id = $1 AND revoked_at IS NULL",
            &[code.into()],
        )
        .await?;
    Ok(row.map(|row| row.id))
}
