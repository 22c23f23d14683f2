//! The writes of a redemption and of a rotation. SQLite runs their statements one after another; PostgreSQL runs a
//! single statement with the same effect, because each statement costs a round trip.
//!
//! The caller holds the locks of [`super::client_locks::hold`], taken by an earlier statement: the statements here see
//! every revocation that ended before the locks were granted.

use super::authorization_codes;
use super::db::Tx;
use super::error::Result;
use super::open_revocations::{CODE_ENDED, GRANT_ENDED, REFRESH_TOKEN_ENDED};
use super::refresh_tokens::{self, GRANT_COLUMNS, GRANT_VALUES, NewGrant, NewToken};
use super::sql::{Sql, sql};
use crate::ids::{AuthorizationCodeId, RefreshTokenId};
use crate::oauth::dpop::Thumbprint;

/// The rotation of a refresh token that has a grant.
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a> {
    /// The token that the client used.
    pub used: &'a RefreshTokenId,
    /// Salt of the successor.
    pub salt: &'a str,
    /// The successor.
    pub next: &'a NewToken,
    /// The key to bind the grant to, if not bound yet (RFC 9449 §5).
    pub key: Option<&'a Thumbprint>,
}

/// Rotates a refresh token. False if the grant is revoked, the token was used or revoked, or the account is suspended;
/// the caller then rolls back.
pub async fn rotate(tx: &mut Tx, rotation: Rotation<'_>) -> Result<bool> {
    const TOGETHER: Sql = sql!(
        "WITH live AS (UPDATE auth_grants AS g SET salt = $3, rotated_token_id = $2, rotated_at = $4, \
         dpop_jkt = COALESCE(g.dpop_jkt, $5) WHERE g.id = $1 AND NOT ",
        GRANT_ENDED,
        " RETURNING g.id), used AS (UPDATE oauth_refresh_tokens AS t \
         SET revoked_at = $4, last_used_at = $4, replaced_by_token_id = $6 FROM live \
         WHERE t.id = $2 AND t.revoked_at IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.id = t.account_id AND a.deleted_at IS NULL) AND NOT ",
        REFRESH_TOKEN_ENDED,
        " RETURNING t.id), next AS (INSERT INTO oauth_refresh_tokens \
         (id, created_at, token_hash, scope, expires_at, account_id, client_id) \
         SELECT $6, $4, $7, $8, $9, $10, $11 FROM used RETURNING id) \
         INSERT INTO auth_refresh_tokens (token_id, grant_id) SELECT next.id, $1 FROM next"
    );
    let Rotation {
        used,
        salt,
        next,
        key,
    } = rotation;
    let (grant, now) = (&next.grant, next.created_at);
    if tx.is_postgres() {
        let parameters = [
            grant.into(),
            used.into(),
            salt.into(),
            now.into(),
            key.into(),
            (&next.id).into(),
            (&next.token).into(),
            next.scope.as_str().into(),
            next.expires_at.into(),
            (&next.account).into(),
            (&next.client).into(),
        ];
        return Ok(tx.execute(TOGETHER, &parameters).await? > 0);
    }
    if !refresh_tokens::lock_for_rotation(tx, grant, used, salt, now).await?
        || !refresh_tokens::consume(tx, used, now).await?
    {
        return Ok(false);
    }
    if let Some(key) = key {
        refresh_tokens::bind_grant(tx, grant, key).await?;
    }
    refresh_tokens::insert(tx, next).await?;
    refresh_tokens::link(tx, used, &next.id).await?;
    Ok(true)
}

/// Marks a code exchanged, and inserts the grant and the refresh token. False if the code was already exchanged, a
/// revocation covers the code, or the account is suspended; the caller then rolls back.
pub async fn redeem_code(
    tx: &mut Tx,
    code: &AuthorizationCodeId,
    grant: &NewGrant,
    token: Option<&NewToken>,
) -> Result<bool> {
    const USED: Sql = sql!(
        "WITH used AS (UPDATE oauth_authorisation_codes AS k SET consumed_at = $6 \
         WHERE k.id = $4 AND k.consumed_at IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.id = k.account_id AND a.deleted_at IS NULL) AND NOT ",
        CODE_ENDED,
        " RETURNING k.id)"
    );
    const GRANT: Sql = sql!(
        "INSERT INTO auth_grants (",
        GRANT_COLUMNS,
        ") SELECT ",
        GRANT_VALUES,
        " FROM used"
    );
    const WITHOUT_TOKEN: Sql = sql!(USED, " ", GRANT);
    const WITH_TOKEN: Sql = sql!(
        USED,
        ", made AS (",
        GRANT,
        " RETURNING id), first AS (INSERT INTO oauth_refresh_tokens \
         (id, created_at, token_hash, scope, expires_at, account_id, client_id) \
         SELECT $13, $6, $14, $15, $16, $2, $3 FROM made RETURNING id) \
         INSERT INTO auth_refresh_tokens (token_id, grant_id) SELECT first.id, $1 FROM first"
    );
    if tx.is_postgres() {
        let mut parameters = grant.parameters()?.to_vec();
        let Some(token) = token else {
            return Ok(tx.execute(WITHOUT_TOKEN, &parameters).await? > 0);
        };
        parameters.extend([
            (&token.id).into(),
            (&token.token).into(),
            token.scope.as_str().into(),
            token.expires_at.into(),
        ]);
        return Ok(tx.execute(WITH_TOKEN, &parameters).await? > 0);
    }
    if !authorization_codes::consume(tx, code, grant.created_at).await? {
        return Ok(false);
    }
    refresh_tokens::insert_grant(tx, grant).await?;
    if let Some(token) = token {
        refresh_tokens::insert(tx, token).await?;
    }
    Ok(true)
}
