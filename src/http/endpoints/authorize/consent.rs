//! The consent page of the code flow: `GET /api/oauth/authorize/consent`
//! (storyden-contract.md#consent).
//!
//! The consent page shows the response of `GET` and posts the decision (see `decision`); the API never
//! redirects here.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::approval::Approvable;
use super::claim::undecided;
use super::pending_cookie;
use crate::clients::facts::ClientFacts;
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::{ResourceOwner, require_may_authorize};
use crate::http::endpoints::consent::{Accepts, ConsentError, Undecided, require_decider};
use crate::http::endpoints::require_enabled;
use crate::http::error::{ApiError, responses};
use crate::http::extract::{ClientAddress, decode};
use crate::oauth::ErrorCode;
use crate::oauth::client_scope::ScopePolicy;
use crate::oauth::known_resources::KnownResources;
use crate::oauth::remembered_consent::{is_identity_assured, rememberable};
use crate::oauth::scope::Scope;
use crate::resources;
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::authorization_requests::AuthorizationRequest;
use crate::store::consents;

/// Content of the consent page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthAuthoriseConsent)]
pub struct Consent {
    /// The client id.
    client_id: String,
    /// Name of the client, as the client registered it.
    client_name: String,
    /// Fingerprint of the client's name, owner and redirect URIs. Send it back with the decision.
    client_version: String,
    /// Time of expiry of the request.
    expires_at: Timestamp,
    /// Scopes that an approval grants.
    #[schema(value_type = Vec<String>)]
    granted_scopes: Scope,
    /// True if the client may request every permission of the member.
    inherits_user_permissions: bool,
    /// Redirect URI of the answer.
    redirect_uri: String,
    /// True if a remembered approval covers the request: the decision `repeat` grants without a page.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    remembered: bool,
    /// True if an approval is remembered: the application then gets the same or less without a page.
    #[serde(skip_serializing_if = "is_false")]
    #[schema(required = false)]
    remembers: bool,
    /// Id of the request.
    request_id: String,
    /// Claims that the client requests one by one, and that no granted scope releases. Show these, and send
    /// the names back as `granted_claims`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    requested_claims: Vec<RequestedClaim>,
    /// Scopes that the client requests.
    #[schema(value_type = Vec<String>)]
    requested_scopes: Scope,
    /// The resources that the tokens are for (RFC 8707), if not only the community's own API.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    resources: Vec<RequestedResource>,
    #[serde(flatten)]
    facts: ClientFacts,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A claim that the client requests by its name (OpenID Connect Core §5.5).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthRequestedClaim)]
pub struct RequestedClaim {
    /// Name of the claim.
    name: &'static str,
    /// True if the client needs the claim for its purpose.
    essential: bool,
}

/// A resource that the tokens of a request are for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthRequestedResource)]
pub struct RequestedResource {
    /// The resource.
    url: String,
    /// Name; absent for the community's own API.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The granted scopes of the resource.
    scopes: Vec<RequestedScope>,
}

/// A granted scope of a resource.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthRequestedScope)]
pub struct RequestedScope {
    /// Name of the scope.
    name: String,
    /// A sentence by the operator; may be empty.
    description: String,
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
        responses::ConsentErrors,
    ),
)]
pub async fn show_and_record(
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
    let decider = require_decider(context, headers, Accepts::SessionOrAccessKey).await?;
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
    let undecided = undecided_of(&request, account, &requested);
    let (granted, facts) = undecided.show(context, Some(&request.redirect_uri)).await?;
    let approvable = Approvable::from(&request);
    let claims = approvable.individual_claims(&granted);
    let claims = claims.iter().map(|claim| RequestedClaim {
        name: claim.name(),
        essential: request.claims.essential.contains(claim),
    });
    let known = resources::known_to(context, request.resources.as_deref()).await?;
    let remembered = may_repeat(context, &decider, &request, &granted)
        && is_covered(context, &request, &known, &granted).await?;
    let remembers = remembers(context, &decider, &request) && !rememberable(&granted).is_empty();
    Ok(Json(Consent {
        requested_claims: claims.collect(),
        facts,
        resources: requested_resources(&known, &request, &granted),
        granted_scopes: granted,
        inherits_user_permissions: request.client.scope.policy == ScopePolicy::Inherit,
        client_version: request.client.fingerprint(),
        client_id: request.client.client_id,
        client_name: request.client.name,
        expires_at: request.expires_at,
        redirect_uri: request.redirect_uri,
        remembered,
        remembers,
        request_id: request_id.reveal().to_owned(),
        requested_scopes: requested,
    }))
}

/// True if an approval of the request is remembered: by a session, for a client of assured identity
/// (RFC 8252 §8.6).
pub(super) fn remembers(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
) -> bool {
    context.config.remembers_consent()
        && decider.access_key().is_none()
        && is_identity_assured(request.client.kind, &request.redirect_uri)
}

/// True if a remembered consent may approve the request. Only a page grants claims one by one.
pub(super) fn may_repeat(
    context: &Context,
    decider: &ResourceOwner,
    request: &AuthorizationRequest,
    granted: &Scope,
) -> bool {
    let claims = Approvable::from(request).individual_claims(granted);
    request.repeatable && claims.is_empty() && remembers(context, decider, request)
}

/// True if a remembered consent covers the request.
async fn is_covered(
    context: &Context,
    request: &AuthorizationRequest,
    known: &KnownResources,
    granted: &Scope,
) -> Result<bool, store::Error> {
    let key = Approvable::from(request).consent_key(known);
    consents::find_covering(&context.db, &key, granted, context.clock.now()).await
}

/// Describes the resources of a request; empty if all are the community's own API.
fn requested_resources(
    known: &KnownResources,
    request: &AuthorizationRequest,
    granted: &Scope,
) -> Vec<RequestedResource> {
    let urls = request.resources.as_deref().unwrap_or_default();
    if known.are_own(urls) {
        return Vec::new();
    }
    let describe = |url: &String| {
        let known = known.other(url);
        let scopes = known.map(|known| known.scopes.iter()).into_iter().flatten();
        let scopes = scopes.filter(|scope| granted.contains(scope.name));
        RequestedResource {
            name: known.and_then(|known| known.name.clone()),
            scopes: scopes
                .map(|scope| RequestedScope {
                    name: scope.name.name().to_owned(),
                    description: scope.description.clone(),
                })
                .collect(),
            url: url.clone(),
        }
    };
    urls.iter().map(describe).collect()
}

/// Builds the response. Clears the cookie of a pending request that was claimed or decided, or that can
/// no longer be decided.
pub(super) fn answer<T: Serialize>(
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
    let ended = request_id.filter(|_| is_done).map(Secret::hash);
    pending_cookie::cleared(context, headers, ended.as_ref(), response)
}

/// Joins the request with the deciding account and the requested scopes.
pub(super) fn undecided_of<'a>(
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
