//! Authorization codes: `oauth_authorisation_codes`.

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, WithAccount};
use super::approver::{Approver, ApproverColumns, REQUEST_APPROVER};
use super::db::{Db, Tx};
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::open_revocations::CODE_ENDED;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::{Flag, JsonColumn};
use crate::clock::Timestamp;
use crate::ids::{AccountId, AuthorizationCodeId, ClientRowId};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::dpop::Thumbprint;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::sign_in_method::SignInMethod;
use crate::secret::SecretHash;

/// A code with the account that approved the request and the current permissions.
#[derive(Clone, Debug)]
pub struct AuthorizationCode {
    /// Row id.
    pub id: AuthorizationCodeId,
    /// The client.
    pub client: ClientRowId,
    /// The account that approved.
    pub account: Account,
    /// The credential that approved.
    pub approver: Approver,
    /// Redirect URI of the authorization request.
    pub redirect_uri: String,
    /// Granted scope.
    pub scope: String,
    /// The client's `nonce`.
    pub nonce: Option<String>,
    /// S256 challenge; `None` for a client exempt from PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// Time of the approval.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
    /// Time of the exchange, if the code was exchanged.
    pub consumed_at: Option<Timestamp>,
    /// True if an open revocation covers the code (see `open_revocations`).
    pub revoked: bool,
    /// Time of sign-in; `None` if unknown, as for a code from Storyden.
    pub auth_time: Option<Timestamp>,
    /// The way of the sign-in; `None` if unknown.
    pub sign_in_method: Option<SignInMethod>,
    /// The granted claims.
    pub claims: GrantedClaims,
    /// Resource indicators (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The key that the code is bound to (RFC 9449 §10).
    pub dpop_jkt: Option<Thumbprint>,
    /// True if the authorization request contained `redirect_uri`; the token request must then repeat
    /// the value (RFC 6749 §4.1.3).
    pub redirect_uri_given: bool,
}

struct CodeRow {
    code_id: AuthorizationCodeId,
    code_client_id: ClientRowId,
    redirect_uri: String,
    scope: String,
    nonce: Option<String>,
    code_challenge: String,
    code_created_at: Timestamp,
    expires_at: Timestamp,
    consumed_at: Option<Timestamp>,
    auth_time: Option<Timestamp>,
    sign_in_method: Option<String>,
    granted_claims: Option<JsonColumn<GrantedClaims>>,
    redirect_uri_given: Option<Flag>,
    resources: Option<JsonColumn<Option<Vec<String>>>>,
    dpop_jkt: Option<String>,
    revoked: Flag,
    approver: ApproverColumns,
}

row!(CodeRow:
    code_id, code_client_id, redirect_uri, scope, nonce, code_challenge, code_created_at, expires_at,
    consumed_at, auth_time, sign_in_method, granted_claims, redirect_uri_given, resources, dpop_jkt,
    revoked; approver
);

/// Finds a code by hash.
pub async fn find(db: &Db, code: &SecretHash) -> Result<Option<AuthorizationCode>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT "k.id AS code_id, k.client_id AS code_client_id, k.redirect_uri, k.scope, \
         k.nonce, k.code_challenge, k.created_at AS code_created_at, k.expires_at, k.consumed_at, \
         CASE WHEN i.auth_time_unknown THEN NULL ELSE i.auth_time END AS auth_time, \
         i.sign_in_method, i.granted_claims, i.redirect_uri_given, i.resources, i.dpop_jkt, ",
        CODE_ENDED,
        " AS revoked, ",
        REQUEST_APPROVER,
        ", ",
        ACCOUNT_COLUMNS;
        FROM "oauth_authorisation_codes k JOIN accounts a ON a.id = k.account_id \
         LEFT JOIN auth_request_details i ON i.code_id = k.id \
         LEFT JOIN authentications v ON v.id = i.access_key_id ",
        ACCOUNT_ROLES,
        " WHERE k.code_hash = ", [1]
    );
    let rows = db.look_up(FIND, &[Some(code.as_str())]).await?;
    let found = WithAccount::<CodeRow>::decode(&rows)?;
    let Some(WithAccount { row, account }) = found else {
        return Ok(None);
    };
    Ok(Some(AuthorizationCode {
        id: row.code_id,
        client: row.code_client_id,
        account,
        approver: row.approver.approver(),
        redirect_uri: row.redirect_uri,
        scope: row.scope,
        nonce: row.nonce,
        code_challenge: CodeChallenge::stored(row.code_challenge),
        created_at: row.code_created_at,
        expires_at: row.expires_at,
        consumed_at: row.consumed_at,
        revoked: row.revoked.0,
        auth_time: row.auth_time,
        sign_in_method: row
            .sign_in_method
            .as_deref()
            .and_then(SignInMethod::from_name),
        claims: row.granted_claims.unwrap_or_default().0,
        resources: row.resources.and_then(|list| list.0),
        dpop_jkt: row.dpop_jkt.map(Thumbprint::stored),
        redirect_uri_given: row.redirect_uri_given.is_none_or(|given| given.0),
    }))
}

/// A new code.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// Row id.
    pub id: AuthorizationCodeId,
    /// Hash of the code.
    pub code: SecretHash,
    /// The client.
    pub client: ClientRowId,
    /// The account that approved.
    pub account: AccountId,
    /// Redirect URI that receives the code.
    pub redirect_uri: String,
    /// Granted scope.
    pub scope: String,
    /// The client's `nonce`.
    pub nonce: Option<String>,
    /// S256 challenge; `None` for a client exempt from PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a code.
pub async fn insert(tx: &mut Tx, new: &NewCode) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_authorisation_codes (id, created_at, code_hash, redirect_uri, scope, \
         nonce, code_challenge, code_challenge_method, expires_at, account_id, client_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'S256', $8, $9, $10)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            (&new.code).into(),
            new.redirect_uri.as_str().into(),
            new.scope.as_str().into(),
            new.nonce.clone().into(),
            CodeChallenge::to_stored(new.code_challenge.as_ref()).into(),
            new.expires_at.into(),
            (&new.account).into(),
            (&new.client).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Marks a code exchanged, by compare and set. False if the code was already exchanged, a revocation
/// covers the code, or the account is suspended.
pub async fn consume(tx: &mut Tx, id: &AuthorizationCodeId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_authorisation_codes AS k SET consumed_at = $2 \
         WHERE k.id = $1 AND k.consumed_at IS NULL AND EXISTS \
         (SELECT 1 FROM accounts a WHERE a.id = k.account_id AND a.deleted_at IS NULL) \
         AND NOT ",
        CODE_ENDED
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}
