//! The consent decision of the code flow: `GET` and `POST /api/oauth/authorize/consent`
//! (storyden-contract.md#consent).
//!
//! The consent page shows the response of `GET` and posts the decision; the API never redirects here. A
//! request that is pending since before sign-in goes to the first account that signs in with the same
//! browser.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clients::documents::{self, Requester};
use crate::clients::facts::{self, ClientFacts};
use crate::clients::{find_or_fetch, require_grant};
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::{Caller, ResourceOwner, WrongCredential, require_may_authorize};
use crate::http::endpoints::authorize::validation::accept;
use crate::http::endpoints::authorize::{
    add_default_scope, answer_location, browsers_of, claim_pending, clear_pending_cookie,
    error_location, parameters_of, wrong_credential,
};
use crate::http::endpoints::consent::{self, Undecided};
use crate::http::endpoints::require_enabled;
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::{ClientAddress, JsonBody, decode};
use crate::http::guards::{require_not_suspended, require_own_origin};
use crate::ids::{AccessKeyId, AuthorizationCodeId, AuthorizationRequestId};
use crate::oauth::authorization_request::Interaction;
use crate::oauth::grant_type::GrantType;
use crate::oauth::redirect_uri::{is_registered, resolve};
use crate::oauth::scope::{Scope, ScopePolicy};
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::access_keys;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry, Event};
use crate::store::authorization_codes::{self, NewCode};
use crate::store::authorization_requests::{self, AuthorizationRequest, NewRequest};
use crate::store::clients::{self, Client};
use crate::store::shown_consents::ShownConsent;

/// Errors of a consent request.
#[derive(Debug)]
pub enum ConsentError {
    /// A protocol error.
    OAuth(OAuthError),
    /// A protocol error and the redirect URI with that error, for the page to follow.
    Location(OAuthError, String),
    /// Wrong kind of credential, a suspended account, or a page of a foreign origin (CSRF).
    Problem(ApiError),
    /// No session: 401 without a body; the page then opens the login page.
    SignIn,
}

impl From<OAuthError> for ConsentError {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<ApiError> for ConsentError {
    fn from(error: ApiError) -> Self {
        Self::Problem(error)
    }
}

impl From<store::Error> for ConsentError {
    fn from(error: store::Error) -> Self {
        Self::OAuth(error.into())
    }
}

impl IntoResponse for ConsentError {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error) => error.into_response(),
            Self::Problem(problem) => problem.into_response(),
            Self::SignIn => StatusCode::UNAUTHORIZED.into_response(),
            Self::Location(error, location) => {
                error.log();
                let body = OAuthErrorBody::of(&error, Some(location));
                (error.status(), Json(body)).into_response()
            }
        }
    }
}

/// Returns the account that decides on a code: by session or personal access key
/// (storyden-contract.md#callers-of-each-operation).
async fn require_decider(
    context: &Context,
    headers: &HeaderMap,
) -> Result<ResourceOwner, ConsentError> {
    decider_of(Caller::of(context, headers).await?)
}

/// Returns the account that decides on a device: by session only
/// (storyden-contract.md#callers-of-each-operation).
pub(in crate::http::endpoints) async fn require_session_account(
    context: &Context,
    headers: &HeaderMap,
) -> Result<Account, ConsentError> {
    match Caller::of(context, headers).await? {
        Caller::PersonalKey(_) => Err(wrong_credential().into()),
        caller => Ok(decider_of(caller)?.account),
    }
}

fn decider_of(caller: Caller) -> Result<ResourceOwner, ConsentError> {
    let decider = caller.into_resource_owner();
    match decider.map_err(|WrongCredential| wrong_credential())? {
        Some(decider) => {
            require_not_suspended(&decider.account)?;
            Ok(decider)
        }
        None => Err(ConsentError::SignIn),
    }
}

/// Content of the consent page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsent)]
pub struct Consent {
    client_id: String,
    client_name: String,
    /// Fingerprint of the client's name, owner and redirect URIs. Send it back with the decision.
    client_version: String,
    expires_at: Timestamp,
    #[schema(value_type = Vec<String>)]
    granted_scopes: Scope,
    inherits_user_permissions: bool,
    redirect_uri: String,
    request_id: String,
    #[schema(value_type = Vec<String>)]
    requested_scopes: Scope,
    #[serde(flatten)]
    facts: ClientFacts,
}

/// `GET /api/oauth/authorize/consent?request_id=`.
#[utoipa::path(
    get,
    path = "/api/oauth/authorize/consent",
    operation_id = "OAuthAuthoriseConsent",
    tag = "auth",
    security(("browser" = []), ("access_key" = [])),
    params(("request_id" = Option<String>, Query, description = "Id of the authorization request")),
    responses(
        (status = 200, description = "Client, redirect URI and scopes of the request", body = Consent),
        (
            status = 400,
            description = "The request is invalid",
            content((OAuthErrorBody = "application/json"), (Problem = "application/problem+json"))
        ),
        (status = 401, description = "No session"),
        responses::Forbidden,
    ),
)]
pub async fn show(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Response {
    let request_id = decode(query.as_deref().unwrap_or_default(), &["request_id"]).ok();
    let request_id = request_id.and_then(|query| query.get("request_id").map(Secret::new));
    let outcome = shown(&context, query, address, &headers).await;
    answer(&context, &headers, request_id.as_ref(), outcome)
}

async fn shown(
    context: &Context,
    query: Option<String>,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<Json<Consent>, ConsentError> {
    let decider = require_decider(context, headers).await?;
    let account = &decider.account;
    require_enabled(context)?;
    let query = decode(query.as_deref().unwrap_or_default(), &["request_id"])?;
    if !query.repeated.is_empty() && context.config.policies.consent.request_validated_first {
        return Err(ApiError::invalid("request_id is given more than once").into());
    }
    let query = query.without_repeats()?;
    let request_id = Secret::new(query.require("request_id", "Missing request_id")?);
    let request = undecided(context, &decider, &request_id, headers, address).await?;
    require_may_authorize(account)?;
    let requested = Scope::stored(&request.scope);
    let granted = undecided_of(&request, account, &requested)
        .show(context)
        .await?;
    let uri = Some(request.redirect_uri.as_str());
    let facts = facts::of(context, &request.client, &account.id, &granted, uri).await?;
    Ok(Json(Consent {
        facts,
        granted_scopes: granted,
        inherits_user_permissions: request.client.scope.policy == ScopePolicy::Inherit,
        client_version: request.client.fingerprint(),
        client_id: request.client.client_id,
        client_name: request.client.name,
        expires_at: request.expires_at,
        redirect_uri: request.redirect_uri,
        request_id: request_id.reveal().to_owned(),
        requested_scopes: requested,
    }))
}

/// A decision about an authorization request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsentSubmitProps)]
pub struct DecisionBody {
    #[schema(value_type = String)]
    request_id: Secret,
    decision: Decision,
    /// The `client_version` of the page that the user saw. If the client changed since, an approval is
    /// refused with `consent_required`. If absent, all pages shown so far must have had the current
    /// version.
    client_version: Option<String>,
}

/// A user's decision.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseDecision)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Grants the request.
    Approve,
    /// Refuses the request.
    Deny,
}

/// Reports an invalid body before authentication, or passes the result on unchanged, as the policy says.
pub(in crate::http::endpoints) fn reject_early<T>(
    context: &Context,
    body: Result<JsonBody<T>, ApiError>,
) -> Result<Result<JsonBody<T>, ApiError>, ApiError> {
    if context.config.policies.consent.request_validated_first {
        Ok(Ok(body?))
    } else {
        Ok(body)
    }
}

/// The result of a decision and the next URL of the browser.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsentResult)]
pub struct Decided {
    location: String,
    status: &'static str,
}

/// `POST /api/oauth/authorize/consent`.
#[utoipa::path(
    post,
    path = "/api/oauth/authorize/consent",
    operation_id = "OAuthAuthoriseConsentSubmit",
    tag = "auth",
    security(("browser" = []), ("access_key" = [])),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Redirect target for the browser", body = Decided),
        (
            status = 400,
            description = "The request is invalid",
            content((OAuthErrorBody = "application/json"), (Problem = "application/problem+json"))
        ),
        (status = 401, description = "No session"),
        responses::Forbidden,
        responses::TooLarge,
        responses::UnsupportedMediaType,
    ),
)]
pub async fn decide(
    State(context): State<SharedContext>,
    address: ClientAddress,
    headers: HeaderMap,
    body: Result<JsonBody<DecisionBody>, ApiError>,
) -> Response {
    let request_id = body.as_ref().ok().map(|body| body.0.request_id.clone());
    let outcome = decided(&context, address, &headers, body).await;
    answer(&context, &headers, request_id.as_ref(), outcome)
}

/// Builds the response. Clears the cookie of a pending request that was claimed or decided, or that can
/// no longer be decided.
fn answer<T: Serialize>(
    context: &Context,
    headers: &HeaderMap,
    request_id: Option<&Secret>,
    outcome: Result<Json<T>, ConsentError>,
) -> Response {
    let is_done = match &outcome {
        Ok(_) | Err(ConsentError::Location(..)) => true,
        Err(ConsentError::OAuth(error)) => error.code == ErrorCode::InvalidRequest,
        Err(ConsentError::Problem(_) | ConsentError::SignIn) => false,
    };
    let response = outcome.into_response();
    match request_id {
        Some(request_id) if is_done => {
            clear_pending_cookie(context, headers, &request_id.hash(), response)
        }
        _ => response,
    }
}

async fn decided(
    context: &Context,
    address: ClientAddress,
    headers: &HeaderMap,
    body: Result<JsonBody<DecisionBody>, ApiError>,
) -> Result<Json<Decided>, ConsentError> {
    require_own_origin(context, &Method::POST, headers)?;
    let body = reject_early(context, body)?;
    let person = require_decider(context, headers).await?;
    let JsonBody(DecisionBody {
        request_id,
        decision,
        client_version,
    }) = body?;
    require_enabled(context)?;
    if request_id.reveal().trim().is_empty() {
        return Err(OAuthError::invalid_request("Missing request_id").into());
    }
    let request = undecided(context, &person, &request_id, headers, address).await?;
    let answer = match decision {
        Decision::Approve => {
            let version = client_version.as_deref();
            approve(context, &person, &request, version, address).await?
        }
        Decision::Deny => deny(context, &request, address).await?,
    };
    Ok(Json(answer))
}

async fn approve(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
    client_version: Option<&str>,
    address: ClientAddress,
) -> Result<Decided, ConsentError> {
    let account = &decider.account;
    require_may_authorize(account)?;
    // the client may have lost the redirect URI or the grant type since the request
    if !is_registered(&request.redirect_uri, &request.client.redirect_uris) {
        let description = "Redirect URI is not registered for this client";
        return Err(OAuthError::invalid_request(description).into());
    }
    require_grant(&request.client, GrantType::AuthorizationCode)?;
    let requested = Scope::stored(&request.scope);
    let undecided = undecided_of(request, account, &requested);
    let granted = undecided.approve(context, client_version).await?;
    let (code, now) = (Secret::generate(&context.random), context.clock.now());
    let new = NewCode {
        id: AuthorizationCodeId::generate(now),
        code: code.hash(),
        client: request.client.row_id.clone(),
        account: account.id.clone(),
        redirect_uri: request.redirect_uri.clone(),
        scope: granted.to_string(),
        nonce: request.nonce.clone(),
        code_challenge: request.code_challenge.clone(),
        created_at: now,
        expires_at: now + context.config.code_ttl(),
    };
    let approval = Approval {
        entry: entry(Event::GrantApproved, request, address, now).subject(&new.id),
        request: request.id.clone(),
        access_key: decider.access_key().cloned(),
        client_version: request.client.fingerprint(),
        code: new,
    };
    let commit = context
        .db
        .write(approval, |tx, approval| Box::pin(approval.commit(tx)));
    match commit.await {
        Ok(Approved::Yes) => {}
        Ok(Approved::AlreadyDecided) => return Err(already_processed().into()),
        Ok(Approved::KeyEnded) => return Err(ConsentError::SignIn),
        Ok(Approved::ClientChanged) => return Err(consent::changed().into()),
        Err(store::Error::Gone) => {
            return Err(OAuthError::invalid_client("Client not found").into());
        }
        Err(error) => return Err(error.into()),
    }
    let (uri, state) = (&request.redirect_uri, request.state.as_deref());
    let location = answer_location(context, uri, &[("code", code.reveal())], state);
    Ok(Decided {
        location,
        status: "approved",
    })
}

/// Joins the request with the deciding account and the requested scopes.
fn undecided_of<'a>(
    request: &'a AuthorizationRequest,
    account: &'a Account,
    requested: &'a Scope,
) -> Undecided<'a> {
    Undecided {
        id: request.id.as_str(),
        client: &request.client,
        account,
        requested,
        shown: request.shown.as_ref(),
        created_at: request.created_at,
    }
}

/// Builds the audit event of a decision.
fn entry(
    event: Event,
    request: &AuthorizationRequest,
    ClientAddress(address): ClientAddress,
    now: Timestamp,
) -> Entry {
    Entry::new(event, now)
        .by(&request.account)
        .client(&request.client.client_id)
        .from(address)
}

/// Everything that an approval writes, in one transaction: the decision, the code, the audit event.
struct Approval {
    request: AuthorizationRequestId,
    access_key: Option<AccessKeyId>,
    /// Fingerprint of the client that the user approved.
    client_version: String,
    code: NewCode,
    entry: Entry,
}

/// The outcome of an [`Approval`]. All variants except `Yes` wrote nothing.
enum Approved {
    Yes,
    AlreadyDecided,
    /// The approving access key was revoked meanwhile.
    KeyEnded,
    /// The client was changed meanwhile.
    ClientChanged,
}

impl Approval {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<Approved> {
        let now = self.code.created_at;
        let (client, account) = (&self.code.client, &self.code.account);
        if !clients::lock_as_shown(tx, client, account, &self.client_version).await? {
            return Ok(Approved::ClientChanged);
        }
        let key = self.access_key.as_ref();
        if let Some(key) = key
            && !access_keys::lock_live(tx, key, now).await?
        {
            return Ok(Approved::KeyEnded);
        }
        if !authorization_requests::approve(tx, &self.request, now).await? {
            return Ok(Approved::AlreadyDecided);
        }
        authorization_codes::insert(tx, &self.code).await?;
        authorization_requests::link_code(tx, &self.request, &self.code.id, key, now).await?;
        audit::insert(tx, &self.entry).await?;
        Ok(Approved::Yes)
    }
}

async fn deny(
    context: &Context,
    request: &AuthorizationRequest,
    address: ClientAddress,
) -> Result<Decided, ConsentError> {
    let now = context.clock.now();
    let entry = entry(Event::GrantDenied, request, address, now).subject(&request.id);
    let denied = context
        .db
        .write((request.id.clone(), entry), |tx, (id, entry)| {
            Box::pin(async move {
                let denied = authorization_requests::deny(tx, id, entry.at).await?;
                if denied {
                    audit::insert(tx, entry).await?;
                }
                Ok(denied)
            })
        });
    if !denied.await? {
        return Err(already_processed().into());
    }
    let (uri, state) = (&request.redirect_uri, request.state.as_deref());
    let location = answer_location(context, uri, &[("error", "access_denied")], state);
    Ok(Decided {
        location,
        status: "denied",
    })
}

/// Returns the request if this account may decide it now. All failures give the same answer, so that
/// ids cannot be probed.
async fn undecided(
    context: &Context,
    decider: &ResourceOwner,
    request_id: &Secret,
    headers: &HeaderMap,
    address: ClientAddress,
) -> Result<AuthorizationRequest, ConsentError> {
    let hash = request_id.hash();
    let request = match authorization_requests::find(&context.db, &hash).await? {
        Some(request) => request,
        None => claim(context, decider, &hash, headers, address).await?,
    };
    if request.account != decider.account.id
        || request.decided
        || context.clock.now() >= request.expires_at
    {
        return Err(already_processed().into());
    }
    Ok(request)
}

/// Claims a request, pending since before sign-in, for this account.
async fn claim(
    context: &Context,
    decider: &ResourceOwner,
    request_id: &SecretHash,
    headers: &HeaderMap,
    ClientAddress(address): ClientAddress,
) -> Result<AuthorizationRequest, ConsentError> {
    let browsers = browsers_of(headers, request_id);
    if browsers.is_empty() {
        return Err(unknown(context).into());
    }
    let pending = authorization_requests::find_pending(&context.db, request_id).await?;
    let now = context.clock.now();
    let Some(pending) = pending.filter(|pending| pending.is_open(&browsers, now)) else {
        return find_claimed(context, request_id).await;
    };
    let mut parameters = parameters_of(&pending.parameters.0);
    let client_id = parameters.get("client_id").unwrap_or_default();
    let client = match &pending.client_id {
        Some(row) if !documents::is_document(context, client_id) => {
            let client = clients::find_by_row(&context.db, row).await?;
            client.ok_or_else(|| OAuthError::invalid_client("Client not found"))?
        }
        _ => {
            let visitor = Requester {
                account: Some(&decider.account.id),
                address,
            };
            find_or_fetch(context, client_id, visitor).await?
        }
    };
    add_default_scope(context, &client, &mut parameters).await?;
    let redirect_uri = resolve(
        context.config.policies.redirect_uris,
        parameters.get("redirect_uri"),
        &client.redirect_uris,
    )?;
    let to_location = |error: OAuthError| {
        let location = error_location(context, &redirect_uri, parameters.get("state"), &error);
        ConsentError::Location(error, location)
    };
    let interaction = Interaction::parse(&parameters.values).map_err(to_location)?;
    if interaction.demands_login(decider.auth_time(), pending.created_at, now) {
        return Err(ConsentError::SignIn); // the session is older than the request demands
    }
    let accepted = accept(context, &client, &parameters, decider, request_id.clone());
    store_claimed(context, client, accepted.map_err(to_location)?).await
}

async fn store_claimed(
    context: &Context,
    client: Client,
    new: NewRequest,
) -> Result<AuthorizationRequest, ConsentError> {
    let adopted = context
        .db
        .write(new.clone(), |tx, new| Box::pin(claim_pending(tx, new)))
        .await;
    match adopted {
        Ok(()) => Ok(AuthorizationRequest {
            id: new.id,
            account: new.account,
            client,
            redirect_uri: new.redirect_uri,
            scope: new.scope,
            state: new.state,
            nonce: new.nonce,
            code_challenge: new.code_challenge,
            expires_at: new.expires_at,
            created_at: new.created_at,
            decided: false,
            shown: Some(ShownConsent {
                scope: new.shown_scope,
                client: new.shown_client,
                was_shown: false,
            }),
        }),
        Err(store::Error::RaceLost | store::Error::Taken(_)) => {
            find_claimed(context, &new.request_id).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the request if a second tab or a double click claimed it a moment ago.
async fn find_claimed(
    context: &Context,
    request_id: &SecretHash,
) -> Result<AuthorizationRequest, ConsentError> {
    let found = authorization_requests::find(&context.db, request_id).await?;
    found.ok_or_else(|| unknown(context).into())
}

/// Returns the error for an unknown request id: the same as for a finished request, except in the
/// profile `storyden` (storyden-contract.md#consent).
fn unknown(context: &Context) -> OAuthError {
    if context
        .config
        .policies
        .consent
        .unknown_requests_distinguished
    {
        return OAuthError::invalid_request("Request ID not found");
    }
    already_processed()
}

fn already_processed() -> OAuthError {
    OAuthError::invalid_request("Request is invalid, expired, or already processed")
}
