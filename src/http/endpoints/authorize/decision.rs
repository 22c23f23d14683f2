//! The consent decision of the code flow: `POST /api/oauth/authorize/consent`
//! (storyden-contract.md#consent).

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::approval::{Approvable, Approval, Approved, Granted, Remembering};
use super::claim::{already_processed, undecided};
use super::consent::{answer, may_repeat, remembers, undecided_of};
use super::response::Receiver;
use crate::clients::require_grant;
use crate::context::{Context, SharedContext};
use crate::http::caller::{ResourceOwner, require_may_authorize};
use crate::http::endpoints::consent::{
    self, Accepts, ApprovedPage, ApprovedScopes, ConsentError, read_decision,
};
use crate::http::error::{ApiError, responses};
use crate::http::extract::{ClientAddress, JsonBody};
use crate::oauth::OAuthError;
use crate::oauth::claims_request::ClaimList;
use crate::oauth::grant_type::GrantType;
use crate::oauth::redirect_uri::is_registered;
use crate::oauth::scope::Scope;
use crate::resources;
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::authorization_requests::{self, AuthorizationRequest};
use crate::store::consents::{self, NewConsent};
use crate::store::origins::Origin;

/// A decision about an authorization request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsentSubmitProps)]
pub struct DecisionBody {
    /// Id of the request.
    #[schema(value_type = String)]
    request_id: Secret,
    /// The decision.
    decision: DecisionOnCode,
    /// The `client_version` of the page that the user saw. If the client changed since, an approval is
    /// refused with `consent_required`. If absent, all pages shown so far must have had the current
    /// version.
    client_version: Option<String>,
    /// The `requested_claims` of the page, by name. An approval grants only these and the claims of the
    /// granted scopes, so that a page that does not show claims grants none.
    #[serde(default)]
    #[schema(value_type = Vec<String>, required = false)]
    granted_claims: ClaimList,
    /// The granted scopes that the user left selected; all if absent. `openid` cannot be left out.
    scopes: Option<Vec<String>>,
}

/// A user's decision about an authorization request.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseCodeDecision)]
#[serde(rename_all = "lowercase")]
enum DecisionOnCode {
    /// Grants the request.
    Approve,
    /// Grants the request if a remembered approval covers it, as `remembered` of the page says. Any other
    /// request is refused with `consent_required`.
    Repeat,
    /// Refuses the request, and forgets a remembered approval of the application.
    Deny,
}

/// The result of a decision and the next URL of the browser.
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsentResult)]
pub struct Decided {
    /// URL to which the browser is redirected next.
    location: String,
    /// `approved` or `denied`.
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
    origin: Origin,
    headers: HeaderMap,
    body: Result<JsonBody<DecisionBody>, ApiError>,
) -> Response {
    let request_id = body.as_ref().ok().map(|body| body.0.request_id.clone());
    let outcome = decided(&context, origin, &headers, body).await;
    answer(&context, &headers, request_id.as_ref(), outcome)
}

async fn decided(
    context: &Context,
    origin: Origin,
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
        scopes,
    } = body;
    if request_id.reveal().trim().is_empty() {
        return Err(OAuthError::invalid_request("Missing request_id").into());
    }
    if matches!(decision, DecisionOnCode::Repeat)
        && context.config.policies.consent.never_remembered
    {
        return Err(ApiError::invalid("decision must be approve or deny").into());
    }
    // One decision at a time: a loser reads that the request is decided, instead of waiting for its row
    // with a connection of the database.
    let _turn = context.redemptions.turn(&request_id.hash()).await?;
    let address = ClientAddress(origin.address);
    let request = undecided(context, &decider, &request_id, headers, address).await?;
    let answer = match decision {
        DecisionOnCode::Approve => {
            let shown = Shown {
                page: ApprovedPage::new(client_version, scopes.as_deref()),
                claims: granted_claims,
            };
            approve(context, &decider, &request, &shown, origin).await?
        }
        DecisionOnCode::Repeat => repeat(context, &decider, &request, origin).await?,
        DecisionOnCode::Deny => deny(context, &request, address).await?,
    };
    Ok(Json(answer))
}

/// The part of the consent page that the decision repeats.
struct Shown {
    page: ApprovedPage,
    claims: ClaimList,
}

/// Approves the page that the user saw.
async fn approve(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
    shown: &Shown,
    origin: Origin,
) -> Result<Decided, ConsentError> {
    require_approvable(decider, request)?;
    let requested = Scope::stored(&request.scope);
    let undecided = undecided_of(request, &decider.account, &requested);
    let ApprovedScopes { offered, granted } = undecided.approve(context, &shown.page).await?;
    let approvable = Approvable::from(request);
    let individual = approvable.individual_claims(&offered);
    let claims = individual.keep(|claim| shown.claims.contains(claim));
    let now = context.clock.now();
    let remembering = if remembers(context, decider, request) {
        let known = resources::known_to(context, request.resources.as_deref()).await?;
        Remembering::Remember(NewConsent {
            key: approvable.consent_key(&known),
            offered,
            granted: granted.clone(),
            approved_at: now,
            expires_at: context.config.consent_expiry(now),
        })
    } else {
        Remembering::Nothing
    };
    let granted = Granted {
        scope: granted,
        claims,
    };
    let (approval, code) = Approval::new(context, &approvable, granted, remembering, origin);
    let approval = approval.by(decider.access_key());
    commit(context, request, approval, &code).await
}

/// Approves by a remembered consent, after a sign-in on the way to the consent page.
async fn repeat(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
    origin: Origin,
) -> Result<Decided, ConsentError> {
    require_approvable(decider, request)?;
    let requested = Scope::stored(&request.scope);
    let undecided = undecided_of(request, &decider.account, &requested);
    let page = ApprovedPage::new(None, None);
    let granted = undecided.approve(context, &page).await?.granted;
    if !may_repeat(context, decider, request, &granted) {
        return Err(page_needed().into());
    }
    let approvable = Approvable::from(request);
    let known = resources::known_to(context, request.resources.as_deref()).await?;
    let remembering = Remembering::Repeat(approvable.consent_key(&known));
    let granted = Granted::without_page(granted);
    let (approval, code) = Approval::new(context, &approvable, granted, remembering, origin);
    commit(context, request, approval, &code).await
}

/// Checks what a request and an account must have at the approval.
fn require_approvable(
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
) -> Result<(), OAuthError> {
    require_may_authorize(&decider.account)?;
    // the client may have lost the redirect URI or the grant type since the request
    if !is_registered(&request.redirect_uri, &request.client.redirect_uris) {
        let description = "Redirect URI is not registered for this client";
        return Err(OAuthError::invalid_request(description));
    }
    require_grant(&request.client, GrantType::AuthorizationCode)
}

async fn commit(
    context: &Context,
    request: &AuthorizationRequest,
    approval: Approval,
    code: &Secret,
) -> Result<Decided, ConsentError> {
    // Built before the commit: a failure approves nothing.
    let response = receiver(request).respond(context, &[("code", code.reveal())]);
    let location = response.location(context).await?;
    let event = approval.event();
    let commit = context
        .db
        .write(approval, |tx, approval| Box::pin(approval.commit(tx, None)));
    match commit.await {
        Ok(Approved::Yes) => context.statistics.event(event),
        Ok(Approved::AlreadyDecided) => return Err(already_processed().into()),
        Ok(Approved::KeyEnded) => return Err(ConsentError::SignIn),
        Ok(Approved::ClientChanged) => return Err(consent::changed().into()),
        Ok(Approved::NotCovered) => return Err(page_needed().into()),
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

fn page_needed() -> OAuthError {
    OAuthError::consent_required("No remembered approval covers the request; show the page")
}

async fn deny(
    context: &Context,
    request: &AuthorizationRequest,
    ClientAddress(address): ClientAddress,
) -> Result<Decided, ConsentError> {
    let response = receiver(request).respond(context, &[("error", "access_denied")]);
    let location = response.location(context).await?;
    let entry = Entry::new(Event::GrantDenied, context.clock.now())
        .by(&request.account)
        .client(&request.client.client_id)
        .subject(&request.id)
        .from(address);
    let input = (request.id.clone(), request.client.row_id.clone(), entry);
    let denied = context.db.write(input, |tx, (id, client, entry)| {
        Box::pin(async move {
            let denied = authorization_requests::deny(tx, id, entry.at).await?;
            if denied {
                audit::insert(tx, entry).await?;
                if let Some(account) = &entry.actor {
                    consents::forget(tx, account, client).await?;
                }
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
