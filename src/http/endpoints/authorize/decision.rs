//! The consent decision of the code flow: `POST /api/oauth/authorize/consent`
//! (storyden-contract.md#consent).

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::claim::{already_processed, undecided};
use super::consent::{answer, requested_claims, undecided_of};
use super::response::Receiver;
use crate::clients::require_grant;
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::{ResourceOwner, require_may_authorize};
use crate::http::endpoints::consent::{self, Accepts, ConsentError, Decision, read_decision};
use crate::http::error::{ApiError, responses};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::ids::{AccessKeyId, AuthorizationCodeId, AuthorizationRequestId};
use crate::oauth::OAuthError;
use crate::oauth::claims_request::{ClaimList, GrantedClaims};
use crate::oauth::grant_type::GrantType;
use crate::oauth::redirect_uri::is_registered;
use crate::oauth::scope::Scope;
use crate::secret::Secret;
use crate::store;
use crate::store::access_keys;
use crate::store::audit::{self, Entry, Event};
use crate::store::authorization_codes::{self, NewCode};
use crate::store::authorization_requests::{self, ApprovedRequest, AuthorizationRequest};
use crate::store::clients;

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
    /// The `requested_claims` of the page, by name. An approval grants only these and the claims of the
    /// granted scopes, so that a page that does not show claims grants none.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    granted_claims: ClaimList,
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
        responses::ConsentErrors,
        responses::BodyErrors,
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

async fn decided(
    context: &Context,
    address: ClientAddress,
    headers: &HeaderMap,
    body: Result<JsonBody<DecisionBody>, ApiError>,
) -> Result<Json<Decided>, ConsentError> {
    let (decider, body) =
        read_decision(context, headers, Accepts::SessionOrAccessKey, body).await?;
    let DecisionBody {
        request_id,
        decision,
        client_version,
        granted_claims,
    } = body;
    if request_id.reveal().trim().is_empty() {
        return Err(OAuthError::invalid_request("Missing request_id").into());
    }
    let request = undecided(context, &decider, &request_id, headers, address).await?;
    let answer = match decision {
        Decision::Approve => {
            let shown = Shown {
                client_version: client_version.as_deref(),
                claims: &granted_claims,
            };
            approve(context, &decider, &request, shown, address).await?
        }
        Decision::Deny => deny(context, &request, address).await?,
    };
    Ok(Json(answer))
}

/// The part of the consent page that the decision repeats.
#[derive(Clone, Copy)]
struct Shown<'a> {
    client_version: Option<&'a str>,
    claims: &'a ClaimList,
}

async fn approve(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
    shown: Shown<'_>,
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
    let granted = undecided.approve(context, shown.client_version).await?;
    let individual = requested_claims(request, &granted);
    let approved = individual.keep(|claim| shown.claims.contains(claim));
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
        claims: request.claims.grant(&granted, approved),
        code: new,
    };
    // Built before the commit: a failure approves nothing.
    let response = receiver(request).respond(context, &[("code", code.reveal())]);
    let location = response.location(context).await?;
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
    Ok(Decided {
        location,
        status: "approved",
    })
}

fn receiver(request: &AuthorizationRequest) -> Receiver<'_> {
    Receiver {
        redirect_uri: &request.redirect_uri,
        state: request.state.as_deref(),
        mode: request.response_mode,
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
    /// The granted claims.
    claims: GrantedClaims,
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
        let approved = ApprovedRequest {
            id: &self.request,
            code: &self.code.id,
            access_key: key,
            claims: &self.claims,
            at: now,
        };
        authorization_requests::link_code(tx, approved).await?;
        audit::insert(tx, &self.entry).await?;
        Ok(Approved::Yes)
    }
}

async fn deny(
    context: &Context,
    request: &AuthorizationRequest,
    address: ClientAddress,
) -> Result<Decided, ConsentError> {
    let response = receiver(request).respond(context, &[("error", "access_denied")]);
    let location = response.location(context).await?;
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
    Ok(Decided {
        location,
        status: "denied",
    })
}
