//! The consent decision of the device flow: `GET` and `POST /api/oauth/device/consent`
//! (storyden-contract.md#device-consent).
//!
//! The first account that opens a user code claims the request; other accounts cannot decide. All
//! invalid codes give the same error, and guesses are rate limited (RFC 8628 §5.1).

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::consent::{
    self, Accepts, ApprovedPage, ConsentError, Decision, Undecided, read_decision, require_decider,
};
use super::require_enabled;
use crate::clients::facts::ClientFacts;
use crate::clients::{self, builtin};
use crate::clock::Timestamp;
use crate::context::{Context, SharedContext};
use crate::http::caller::require_may_authorize;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, JsonBody, decode};
use crate::ids::{AccountId, ClientRowId, DeviceAuthorizationId};
use crate::oauth::OAuthError;
use crate::oauth::client_scope::ScopePolicy;
use crate::oauth::grant_type::GrantType;
use crate::oauth::scope::Scope;
use crate::oauth::user_code::UserCode;
use crate::rate_limit::{USER_CODE_ACCOUNT, USER_CODE_ADDRESS, networks};
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry, Event};
use crate::store::device_authorizations::{self, DeviceRequest};

/// Maximum length of the name of a device in characters.
const DEVICE_NAME_MAX: usize = 64;

/// Content of the consent page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthDeviceConsent)]
pub struct Consent {
    /// The client id.
    client_id: String,
    /// Name of the client, as the client registered it.
    client_name: String,
    /// Fingerprint of the client's name, owner and redirect URIs. Send it back with the decision.
    client_version: String,
    /// Origin of the request.
    device: Device,
    /// Time of expiry of the request.
    expires_at: Timestamp,
    /// Scopes that an approval grants.
    #[schema(value_type = Vec<String>)]
    granted_scopes: Scope,
    /// True if the client may request every permission of the member.
    inherits_user_permissions: bool,
    /// Scopes that the client requests.
    #[schema(value_type = Vec<String>)]
    requested_scopes: Scope,
    /// The user code of the request.
    user_code: String,
    #[serde(flatten)]
    facts: ClientFacts,
}

/// Origin of the device request, for a warning against remote phishing (RFC 8628 §5.4).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthDeviceOrigin)]
pub struct Device {
    /// Remote address of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Time of the request.
    requested_at: Timestamp,
    /// The `User-Agent` of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
}

/// `GET /api/oauth/device/consent?user_code=`: shows the request and claims it for the account.
#[utoipa::path(
    get,
    path = "/api/oauth/device/consent",
    operation_id = "OAuthDeviceConsent",
    tag = "auth",
    security(("browser" = [])),
    params(("user_code" = Option<String>, Query, description = "User code that the device shows")),
    responses(
        (status = 200, description = "Client, device and scopes of the request", body = Consent),
        responses::ConsentErrors,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn show_and_claim(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Result<Json<Consent>, ConsentError> {
    let decider = require_decider(&context, &headers, Accepts::Session).await?;
    let account = decider.account;
    require_enabled(&context)?;
    // Before the lookup of the code, so that an account without the permission cannot probe codes.
    require_may_authorize(&account)?;
    let query = decode(query.as_deref().unwrap_or_default(), &["user_code"])?.without_repeats()?;
    let user_code = query.get("user_code").unwrap_or_default();
    let request = undecided(&context, &account, user_code, address).await?;
    let claimed = match &request.claimed_by {
        Some(claimant) => *claimant == account.id,
        None => device_authorizations::claim(&context.db, &request.id, &account.id).await?,
    };
    if !claimed {
        return Err(OAuthError::access_denied(
            "Device authorisation has already been claimed by another account",
        )
        .into());
    }
    let requested = Scope::stored(&request.scope);
    let undecided = undecided_of(&request, &account, &requested);
    let (granted, facts) = undecided.show(&context, None).await?;
    Ok(Json(Consent {
        facts,
        granted_scopes: granted,
        inherits_user_permissions: request.client.scope.policy == ScopePolicy::Inherit,
        client_version: request.client.fingerprint(),
        client_id: request.client.client_id,
        client_name: request.client.name,
        device: Device {
            address: request.address,
            requested_at: request.created_at,
            user_agent: request.user_agent,
        },
        expires_at: request.grant.expires_at,
        requested_scopes: requested,
        user_code: request.user_code,
    }))
}

/// A decision about a device request.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OAuthDeviceConsentSubmitProps)]
pub struct DecisionBody {
    /// The user code of the request.
    #[schema(value_type = String)]
    user_code: Secret,
    /// The decision.
    decision: Decision,
    /// The `client_version` of the page that the user saw. If the client changed since, an approval is
    /// refused with `consent_required`. If absent, all pages shown so far must have had the current
    /// version.
    client_version: Option<String>,
    /// The granted scopes that the user left selected; all if absent. `openid` cannot be left out.
    scopes: Option<Vec<String>>,
    /// A name for the device, shown in the list of applications: at most 64 characters. Without a name if absent or
    /// blank.
    device_name: Option<String>,
}

/// The result of a decision.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OAuthDeviceConsentResult)]
pub struct Decided {
    /// `approved` or `denied`.
    status: &'static str,
}

/// `POST /api/oauth/device/consent`.
#[utoipa::path(
    post,
    path = "/api/oauth/device/consent",
    operation_id = "OAuthDeviceConsentSubmit",
    tag = "auth",
    security(("browser" = [])),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "Result of the decision", body = Decided),
        responses::ConsentErrors,
        responses::BodyErrors,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn decide(
    State(context): State<SharedContext>,
    headers: HeaderMap,
    address: ClientAddress,
    body: Result<JsonBody<DecisionBody>, ApiError>,
) -> Result<Json<Decided>, ConsentError> {
    let (decider, body) = read_decision(&context, &headers, Accepts::Session, body).await?;
    let DecisionBody {
        user_code,
        decision,
        client_version,
        scopes,
        device_name,
    } = body;
    let account = decider.account;
    let device_name = read_device_name(device_name)?;
    if let Decision::Approve = decision {
        require_may_authorize(&account)?;
    }
    let request = undecided(&context, &account, user_code.reveal(), address).await?;
    // only the claiming account may decide; others get the error for an unknown code.
    if request.claimed_by.as_ref() != Some(&account.id) {
        return Err(unavailable().into());
    }
    let status = match decision {
        Decision::Approve => {
            let page = Approving {
                shown: ApprovedPage::new(client_version, scopes.as_deref()),
                device_name,
            };
            approve(&context, &account, &request, page, address).await?
        }
        Decision::Deny => deny(&context, &account, &request, address).await?,
    };
    Ok(Json(Decided { status }))
}

/// The approved page, and the member's name for the device.
struct Approving {
    shown: ApprovedPage,
    device_name: Option<String>,
}

/// Checks the name of a device. Pages show the name without invisible characters (spoofing).
fn read_device_name(name: Option<String>) -> Result<Option<String>, OAuthError> {
    let name = name.unwrap_or_default().trim().to_owned();
    if name.chars().count() > DEVICE_NAME_MAX || name.chars().any(char::is_control) {
        return Err(OAuthError::invalid_request(
            "device_name must be one line of at most 64 characters",
        ));
    }
    Ok(Some(name).filter(|name| !name.is_empty()))
}

async fn approve(
    context: &Context,
    account: &Account,
    request: &DeviceRequest,
    page: Approving,
    address: ClientAddress,
) -> Result<&'static str, ConsentError> {
    clients::require_grant(&request.client, GrantType::DeviceCode)?;
    let requested = Scope::stored(&request.scope);
    let undecided = undecided_of(request, account, &requested);
    let scopes = undecided.approve(context, &page.shown).await?;
    let approval = Approval {
        device: request.id.clone(),
        account: account.id.clone(),
        client: request.client.row_id.clone(),
        client_version: request.client.fingerprint(),
        scope: scopes.granted.to_string(),
        device_name: page.device_name,
        entry: entry(context, Event::GrantApproved, account, request, address),
    };
    let commit = context
        .db
        .write(approval, |tx, approval| Box::pin(approval.commit(tx)));
    match commit.await {
        Ok(Approved::Yes) => {
            context.statistics.event(Event::GrantApproved);
            Ok("approved")
        }
        Ok(Approved::AlreadyDecided) | Err(store::Error::Gone) => Err(unavailable().into()),
        Ok(Approved::ClientChanged) => Err(consent::changed().into()),
        Err(error) => Err(error.into()),
    }
}

/// Everything that an approval writes, in one transaction: the decision and the audit event.
struct Approval {
    device: DeviceAuthorizationId,
    account: AccountId,
    client: ClientRowId,
    /// Fingerprint of the client that the user approved.
    client_version: String,
    scope: String,
    device_name: Option<String>,
    entry: Entry,
}

/// The outcome of an [`Approval`]. All variants except `Yes` wrote nothing.
enum Approved {
    Yes,
    AlreadyDecided,
    /// The client was changed meanwhile.
    ClientChanged,
}

impl Approval {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<Approved> {
        let (device, account, now) = (&self.device, &self.account, self.entry.at);
        let shown = &self.client_version;
        if !store::client_locks::lock_as_shown(tx, &self.client, account, shown).await? {
            return Ok(Approved::ClientChanged);
        }
        if !device_authorizations::approve(tx, device, account, &self.scope, now).await? {
            return Ok(Approved::AlreadyDecided);
        }
        if let Some(name) = &self.device_name {
            device_authorizations::set_name(tx, device, name).await?;
        }
        audit::insert(tx, &self.entry).await?;
        Ok(Approved::Yes)
    }
}

/// Joins the request with the deciding account and the requested scopes.
fn undecided_of<'a>(
    request: &'a DeviceRequest,
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

async fn deny(
    context: &Context,
    account: &Account,
    request: &DeviceRequest,
    address: ClientAddress,
) -> Result<&'static str, ConsentError> {
    let entry = entry(context, Event::GrantDenied, account, request, address);
    let input = (request.id.clone(), account.id.clone(), entry);
    let denied = context.db.write(input, |tx, (id, account, entry)| {
        Box::pin(async move {
            let denied = device_authorizations::deny(tx, id, account, entry.at).await?;
            if denied {
                audit::insert(tx, entry).await?;
            }
            Ok(denied)
        })
    });
    if denied.await? {
        Ok("denied")
    } else {
        Err(unavailable().into())
    }
}

/// Builds the audit event of a decision.
fn entry(
    context: &Context,
    event: Event,
    account: &Account,
    request: &DeviceRequest,
    ClientAddress(address): ClientAddress,
) -> Entry {
    Entry::new(event, context.clock.now())
        .by(&account.id)
        .client(&request.client.client_id)
        .subject(&request.id)
        .from(address)
}

/// Finds the undecided request of a user code. The attempt is counted before the lookup and refunded on
/// success, so that concurrent guesses cannot exceed the rate limit.
async fn undecided(
    context: &Context,
    account: &Account,
    user_code: &str,
    ClientAddress(address): ClientAddress,
) -> Result<DeviceRequest, OAuthError> {
    let mut limits = networks(USER_CODE_ADDRESS, address);
    limits.push((USER_CODE_ACCOUNT, account.id.to_string()));
    let attempt = context.limits.attempt(&limits).map_err(|wait| {
        context.record_account_refusal(Event::UserCodeLimited, &account.id);
        OAuthError::invalid_request("Too many wrong codes; wait before trying again")
            .retry_after(wait.0)
    })?;
    let found = match UserCode::parse(user_code) {
        Some(code) => device_authorizations::find_by_user_code(&context.db, &code.hash()).await?,
        None => None,
    };
    let now = context.clock.now();
    let request = found
        .filter(|request| request.grant.awaits_decision(now))
        .filter(|request| builtin::is_enabled(context, &request.client));
    if let Some(request) = request {
        Ok(request)
    } else {
        attempt.failed();
        context.record_account_refusal(Event::UserCodeFailed, &account.id);
        Err(unavailable())
    }
}

fn unavailable() -> OAuthError {
    OAuthError::invalid_request("User code is invalid or unavailable")
}
