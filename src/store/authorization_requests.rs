//! Authorization requests that wait for consent (`oauth_authorisation_requests`), or for sign-in or a
//! redirect after a form post (`auth_pending_requests`).

use super::clients::{CLIENT_COLUMNS, Client, ClientColumns, IS_NOT_DELETED};
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::{NEWEST_REVOCATION, REQUEST_ENDED};
use super::origins::Origin;
use super::row::row;
use super::shown_consents::{self, SHOWN_COLUMNS, ShownColumns, ShownConsent};
use super::sql::{Sql, sql};
use super::value::{Flag, JsonColumn, Value};
use crate::clock::Timestamp;
use crate::ids::{
    AccessKeyId, AccountId, AuthorizationCodeId, AuthorizationRequestId, ClientRowId,
};
use crate::oauth::authorization_request::ResponseMode;
use crate::oauth::claims_request::{GrantedClaims, RequestedClaims};
use crate::oauth::dpop::Thumbprint;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::scope::Scope;
use crate::oauth::sign_in_method::SignInMethod;
use crate::secret::SecretHash;

/// A request of a signed-in member.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// Row id.
    pub id: AuthorizationRequestId,
    /// The account that must decide.
    pub account: AccountId,
    /// The client.
    pub client: Client,
    /// Redirect URI of the response.
    pub redirect_uri: String,
    /// Requested scope, as received.
    pub scope: String,
    /// `state` of the client, unchanged.
    pub state: Option<String>,
    /// `nonce` of the client, unchanged.
    pub nonce: Option<String>,
    /// S256 challenge (RFC 7636); `None` for a client exempt from PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// The way of the response to the client.
    pub response_mode: ResponseMode,
    /// The claims that the client requests one by one.
    pub claims: RequestedClaims,
    /// Expiry.
    pub expires_at: Timestamp,
    /// Time of creation.
    pub created_at: Timestamp,
    /// True if the request was approved, denied, or revoked.
    pub decided: bool,
    /// Resource indicators (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// True if a remembered consent may approve the request.
    pub repeatable: bool,
    /// The scopes and the client that the consent page showed. `None` for a request from Storyden until
    /// this server shows the page.
    pub shown: Option<ShownConsent>,
}

struct RequestRow {
    request_id: AuthorizationRequestId,
    request_account_id: AccountId,
    redirect_uri: String,
    scope: String,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: String,
    response_mode: Option<String>,
    requested_claims: Option<JsonColumn<RequestedClaims>>,
    expires_at: Timestamp,
    request_created_at: Timestamp,
    decided: bool,
    resources: Option<JsonColumn<Option<Vec<String>>>>,
    repeatable: Option<Flag>,
    shown: ShownColumns,
    client: ClientColumns,
}

row!(RequestRow:
    request_id, request_account_id, redirect_uri, scope, state, nonce, code_challenge, response_mode,
    requested_claims, expires_at, request_created_at, decided, resources, repeatable; shown, client
);

/// Finds a request by the hash of the request id, with the client.
pub async fn find(db: &Db, request_id: &SecretHash) -> Result<Option<AuthorizationRequest>> {
    const SQL: Sql = sql!(
        "SELECT q.id AS request_id, q.account_id AS request_account_id, q.redirect_uri, \
         q.scope, q.state, q.nonce, q.code_challenge, q.expires_at, \
         q.created_at AS request_created_at, \
         (q.approved_at IS NOT NULL OR q.denied_at IS NOT NULL OR ",
        REQUEST_ENDED,
        ") AS decided, e.response_mode, e.requested_claims, e.resources, e.repeatable, ",
        SHOWN_COLUMNS,
        ", ",
        CLIENT_COLUMNS,
        " FROM oauth_authorisation_requests q JOIN oauth_clients c ON c.id = q.client_id \
         LEFT JOIN auth_shown_consents s ON s.request_id = q.id \
         LEFT JOIN auth_request_details e ON e.request_id = q.id \
         WHERE q.request_id_hash = $1 AND ",
        IS_NOT_DELETED
    );
    let row: Option<RequestRow> = db.fetch_optional(SQL, &[request_id.into()]).await?;
    Ok(row.map(|row| AuthorizationRequest {
        id: row.request_id,
        account: row.request_account_id,
        client: row.client.into(),
        redirect_uri: row.redirect_uri,
        scope: row.scope,
        state: row.state,
        nonce: row.nonce,
        code_challenge: CodeChallenge::stored(row.code_challenge),
        response_mode: row
            .response_mode
            .and_then(|mode| ResponseMode::from_name(&mode))
            .unwrap_or_default(),
        claims: row.requested_claims.unwrap_or_default().0,
        expires_at: row.expires_at,
        created_at: row.request_created_at,
        decided: row.decided,
        resources: row.resources.and_then(|list| list.0),
        repeatable: row.repeatable.is_some_and(|flag| flag.0),
        shown: row.shown.into(),
    }))
}

/// A new request.
#[derive(Clone, Debug)]
pub struct NewRequest {
    /// Row id.
    pub id: AuthorizationRequestId,
    /// Hash of the request id in the browser's URL.
    pub request_id: SecretHash,
    /// The account that must decide.
    pub account: AccountId,
    /// The client.
    pub client: ClientRowId,
    /// Redirect URI of the response.
    pub redirect_uri: String,
    /// True if the request contained `redirect_uri`; false if the client omitted the only registered
    /// URI.
    pub redirect_uri_given: bool,
    /// Requested scope.
    pub scope: String,
    /// `state` of the client.
    pub state: Option<String>,
    /// `nonce` of the client.
    pub nonce: Option<String>,
    /// S256 challenge; `None` for a client exempt from PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// The way of the response to the client.
    pub response_mode: ResponseMode,
    /// The claims that the client requests one by one.
    pub claims: RequestedClaims,
    /// The key that the code is bound to (RFC 9449 §10).
    pub dpop_jkt: Option<Thumbprint>,
    /// Scopes that the consent page would show now.
    pub shown_scope: Scope,
    /// Fingerprint of the client that the consent page would show now.
    pub shown_client: String,
    /// Resource indicators (RFC 8707); `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// True if a remembered consent may approve the request.
    pub repeatable: bool,
    /// Time of sign-in; `None` for a request with an access key.
    pub auth_time: Option<Timestamp>,
    /// The way of the sign-in; `None` if unknown.
    pub sign_in_method: Option<SignInMethod>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a request.
///
/// # Errors
/// [`super::Error::Gone`] if the client or the account was deleted.
pub async fn insert(tx: &mut Tx, new: &NewRequest) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_authorisation_requests (id, created_at, request_id_hash, redirect_uri, \
         scope, state, nonce, code_challenge, code_challenge_method, expires_at, account_id, \
         client_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'S256', $9, $10, $11)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            (&new.request_id).into(),
            new.redirect_uri.as_str().into(),
            new.scope.as_str().into(),
            new.state.clone().into(),
            new.nonce.clone().into(),
            CodeChallenge::to_stored(new.code_challenge.as_ref()).into(),
            new.expires_at.into(),
            (&new.account).into(),
            (&new.client).into(),
        ],
    )
    .await?;
    tx.execute(
        sql!(
            "INSERT INTO auth_request_details (request_id, auth_time, auth_time_unknown, \
             redirect_uri_given, resources, repeatable, sign_in_method, response_mode, \
             requested_claims, dpop_jkt, revocation_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ",
            NEWEST_REVOCATION,
            ")"
        ),
        &[
            (&new.id).into(),
            new.auth_time.unwrap_or(new.created_at).into(),
            new.auth_time.is_none().into(),
            new.redirect_uri_given.into(),
            Value::optional_names(new.resources.as_deref()),
            new.repeatable.into(),
            new.sign_in_method.into(),
            stored_mode(new.response_mode),
            Value::json_unless(new.claims.is_empty(), &new.claims)?,
            new.dpop_jkt.as_ref().into(),
        ],
    )
    .await?;
    shown_consents::insert(tx, new.id.as_str(), &new.shown_scope, &new.shown_client).await
}

/// The stored response mode; NULL for the query.
fn stored_mode(mode: ResponseMode) -> Value {
    let name = (mode != ResponseMode::Query).then(|| mode.name().to_owned());
    Value::Text(name)
}

/// The approval of a request.
#[derive(Clone, Copy, Debug)]
pub struct ApprovedRequest<'a> {
    /// The request.
    pub id: &'a AuthorizationRequestId,
    /// The code that the approval issues.
    pub code: &'a AuthorizationCodeId,
    /// The access key that approved; `None` for a session.
    pub access_key: Option<&'a AccessKeyId>,
    /// The granted claims.
    pub claims: &'a GrantedClaims,
    /// The browser or program that approved.
    pub origin: &'a Origin,
    /// Time of the approval.
    pub at: Timestamp,
}

/// Records the code of an approved request, the granted claims, and the access key that approved. A request
/// from Storyden has no details row yet: the new row has an unknown sign-in time, and counts as a request
/// with `redirect_uri`.
pub async fn link_code(tx: &mut Tx, approved: ApprovedRequest<'_>) -> Result<()> {
    tx.execute(
        sql!(
            "INSERT INTO auth_request_details (request_id, auth_time, auth_time_unknown, \
             redirect_uri_given, code_id, access_key_id, granted_claims, address, user_agent, \
             revocation_id) VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, ",
            NEWEST_REVOCATION,
            ") ON CONFLICT (request_id) DO UPDATE SET code_id = excluded.code_id, \
             access_key_id = excluded.access_key_id, granted_claims = excluded.granted_claims, \
             address = excluded.address, user_agent = excluded.user_agent, revocation_id = excluded.revocation_id"
        ),
        &[
            approved.id.into(),
            approved.at.into(),
            true.into(),
            approved.code.into(),
            approved.access_key.into(),
            Value::json_unless(approved.claims.is_empty(), approved.claims)?,
            approved.origin.address.to_string().as_str().into(),
            approved.origin.user_agent.clone().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Marks a request approved, by compare and set. False if the request is decided or expired, a
/// revocation covers the request, or the account is suspended.
pub async fn approve(tx: &mut Tx, id: &AuthorizationRequestId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_authorisation_requests AS q SET approved_at = $2 \
         WHERE q.id = $1 AND q.approved_at IS NULL AND q.denied_at IS NULL AND ",
        (
            "julianday(q.expires_at) > julianday($2)",
            "q.expires_at > $2"
        ),
        " AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = q.account_id \
         AND a.deleted_at IS NULL) AND NOT ",
        REQUEST_ENDED
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}

/// Marks a request denied, by compare and set. False if the request is already decided.
pub async fn deny(tx: &mut Tx, id: &AuthorizationRequestId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_authorisation_requests SET denied_at = $2 \
             WHERE id = $1 AND approved_at IS NULL AND denied_at IS NULL",
            &[id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// A request that waits for sign-in, or for a redirect after a form post.
#[derive(Clone, Debug)]
pub struct PendingRequest {
    /// Hash of the cookie that binds the request to the browser.
    browser_hash: String,
    /// Row id of the client; `None` until the metadata document of the client is read.
    pub client_id: Option<ClientRowId>,
    /// Parameters of the authorization request.
    pub parameters: JsonColumn<std::collections::BTreeMap<String, String>>,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
    /// The account that the person chose for the request, among the accounts of the browser.
    pub chosen_account_id: Option<AccountId>,
}

row!(PendingRequest:
    browser_hash, client_id, parameters, created_at, expires_at, chosen_account_id
);

impl PendingRequest {
    /// True if the request is unexpired and bound to a cookie of this browser.
    #[must_use]
    pub fn is_open(&self, browsers: &[SecretHash], now: Timestamp) -> bool {
        let bound_to = SecretHash::stored(self.browser_hash.clone());
        browsers.contains(&bound_to) && now < self.expires_at
    }
}

/// Finds a pending request. The caller must check the browser with [`PendingRequest::is_open`].
pub async fn find_pending(db: &Db, request_id: &SecretHash) -> Result<Option<PendingRequest>> {
    db.fetch_optional(
        "SELECT browser_hash, client_id, parameters, created_at, expires_at, chosen_account_id \
         FROM auth_pending_requests WHERE request_id_hash = $1",
        &[request_id.into()],
    )
    .await
}

/// A new pending request.
#[derive(Clone, Debug)]
pub struct NewPending {
    /// Hash of the request id in the browser's URL.
    pub request_id: SecretHash,
    /// Hash of the cookie that binds the request to the browser.
    pub browser: SecretHash,
    /// Row id of the client; `None` until the metadata document of the client is read.
    pub client: Option<ClientRowId>,
    /// Parameters of the authorization request.
    pub parameters: serde_json::Value,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry.
    pub expires_at: Timestamp,
}

/// Inserts a pending request.
pub async fn insert_pending(tx: &mut Tx, new: &NewPending) -> Result<()> {
    tx.execute(
        "INSERT INTO auth_pending_requests \
         (request_id_hash, browser_hash, client_id, parameters, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&new.request_id).into(),
            (&new.browser).into(),
            new.client.as_ref().into(),
            Value::Json(new.parameters.clone()),
            new.created_at.into(),
            new.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Records the account that the person chose for a pending request. The caller has checked the browser.
pub async fn choose_account(db: &Db, request_id: &SecretHash, account: &AccountId) -> Result<()> {
    db.execute(
        "UPDATE auth_pending_requests SET chosen_account_id = $2 WHERE request_id_hash = $1",
        vec![request_id.into(), account.into()],
    )
    .await?;
    Ok(())
}

/// Deletes a pending request. False if already deleted, so that only one account can claim the request.
pub async fn claim_pending(tx: &mut Tx, request_id: &SecretHash) -> Result<bool> {
    let taken = tx
        .execute(
            "DELETE FROM auth_pending_requests WHERE request_id_hash = $1",
            &[request_id.into()],
        )
        .await?;
    Ok(taken > 0)
}
