//! The device authorization endpoint, `POST /api/oauth/device_authorization` (RFC 8628 §3.1).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::token::errors::{require_grant, scope_refused};
use super::{refuse_client, require_enabled};
use crate::clients::documents::{self, Requester};
use crate::clients::{self, Credentials, builtin};
use crate::config::Config;
use crate::context::{Context, SharedContext};
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, Decoded, credentials, printable, read_form};
use crate::ids::DeviceAuthorizationId;
use crate::oauth::OAuthError;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::Scope;
use crate::oauth::scope_parameter::{is_blank, scope_of};
use crate::oauth::user_code::UserCode;
use crate::rate_limit::{DEVICE_STARTS, DEVICE_STARTS_CLIENT, networks};
use crate::resources;
use crate::secret::Secret;
use crate::store;
use crate::store::audit::Event;
use crate::store::clients::Client;
use crate::store::device_authorizations::{self, NewDevice};

/// The path of the endpoint.
const PATH: &str = "/api/oauth/device_authorization";

/// Attempts to draw an unused user code.
const ATTEMPTS: usize = 5;

/// The response (RFC 8628 §3.2).
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthDeviceAuthorisation)]
pub struct DeviceAuthorizationResponse {
    /// The code with which the device polls; secret.
    device_code: String,
    /// Lifetime of both codes, in seconds.
    expires_in: i64,
    /// Minimum time between two polls, in seconds.
    interval: i64,
    /// The code that the member enters or compares.
    user_code: String,
    /// The page at which the member enters the code.
    verification_uri: String,
    /// The same page with the code filled in, for a QR code.
    verification_uri_complete: String,
}

/// The parameters of a device authorization (RFC 8628 §3.1).
#[derive(Debug, ToSchema)]
#[schema(as = OAuthDeviceAuthorisationProps)]
pub struct DeviceForm {
    /// The client id, unless sent in the `Authorization` header.
    pub client_id: Option<String>,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
    /// Requested scopes, separated by spaces.
    pub scope: Option<String>,
}

/// `POST /api/oauth/device_authorization`.
#[utoipa::path(
    post,
    path = "/api/oauth/device_authorization",
    operation_id = "OAuthDeviceAuthorisation",
    tag = "auth",
    security((), ("client" = [])),
    request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Device authorization response (RFC 8628 §3.2)", body = DeviceAuthorizationResponse),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn start(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    match answer(&context, address, request).await {
        Ok(started) => Json(started).into_response(),
        Err(error) => {
            if error.limited {
                context.refused(Event::DeviceStartLimited);
            } else if error.detail.is_none() {
                context.refused(Event::DeviceStartRefused);
            }
            refuse_client(&context, error)
        }
    }
}

async fn answer(
    context: &Context,
    address: ClientAddress,
    request: Request,
) -> Result<DeviceAuthorizationResponse, OAuthError> {
    require_enabled(context)?;
    let policies = context.config.policies;
    let headers = request.headers().clone();
    let form = read_form(
        policies.requests.form_syntax,
        request,
        &["client_id", "client_secret", "scope"],
    )
    .await?;
    let credentials = if policies.device.start_ignores_basic {
        credentials(policies.client_authentication, &HeaderMap::new(), &form)?
    } else {
        credentials(policies.client_authentication, &headers, &form)?
    };
    let client = client_of(context, &credentials, address).await?;
    let device = Device {
        address,
        agent: headers
            .get(USER_AGENT)
            .map(|value| printable(value.as_bytes())),
    };
    let started = begin(context, &client, &form, device).await;
    started.inspect_err(|error| context.record_client_error(PATH, &client, error))
}

/// The device that starts a flow.
struct Device {
    address: ClientAddress,
    agent: Option<String>,
}

/// Starts a device flow of an identified client.
async fn begin(
    context: &Context,
    client: &Client,
    form: &Decoded,
    device: Device,
) -> Result<DeviceAuthorizationResponse, OAuthError> {
    let policies = context.config.policies;
    require_device_grant(context, client)?;
    let refusal = "Requested scope contains invalid scope names";
    let scope = match form.get("scope") {
        asked if is_blank(asked) => clients::default_scope(context, client).await?,
        asked => asked.map(str::to_owned),
    };
    let scope = scope_of(policies.requests.scope_syntax, scope.as_deref(), refusal)?;
    let scope = own_scope(context, scope).await?;
    check_scope(&context.config, client, &scope)?;
    let ClientAddress(address) = device.address;
    let mut limits = networks(DEVICE_STARTS, address);
    limits.push((DEVICE_STARTS_CLIENT, client.row_id.to_string()));
    context.limits.spend(&limits).map_err(|wait| {
        let description = "Too many device authorizations from this network or by this client";
        OAuthError::limited(description, wait.0)
    })?;
    if policies.device.start_deletes_expired {
        device_authorizations::delete_expired(&context.db, context.clock.now()).await?;
    }
    let stored = store_device(context, client, &scope, address.to_string(), device.agent);
    let (device_code, user_code) = stored.await?;
    let page = context.config.device_consent_page();
    let mut complete = page.clone();
    complete
        .query_pairs_mut()
        .append_pair("user_code", &user_code.display());
    Ok(DeviceAuthorizationResponse {
        device_code: device_code.reveal().to_owned(),
        expires_in: context.config.device_code_ttl.whole_seconds(),
        interval: context.config.device_poll_every.whole_seconds(),
        user_code: user_code.display(),
        verification_uri: page.into(),
        verification_uri_complete: complete.into(),
    })
}

/// Leaves out the scopes of other resources: a device flow has no resource indicators, so that its tokens are for
/// this community's own API.
///
/// # Errors
/// `invalid_scope` if no scope is left.
async fn own_scope(context: &Context, requested: Scope) -> Result<Scope, OAuthError> {
    let own = requested.without_resource_scopes(&Scope::default());
    if own.is_empty() && !requested.is_empty() {
        return Err(resources::none_left(context, &requested).await);
    }
    Ok(own)
}

/// Finds the client. Creates the built-in client at the first use.
async fn client_of(
    context: &Context,
    credentials: &Credentials,
    ClientAddress(address): ClientAddress,
) -> Result<Client, OAuthError> {
    let policy = context.config.policies.client_documents;
    let client = if credentials.client_id == builtin::CLIENT_ID && context.config.cli_enabled {
        Some(builtin::ensure(context).await?)
    } else if documents::is_document(context, &credentials.client_id)
        && !policy.device_grant_rejected
    {
        let visitor = Requester {
            account: None,
            address,
        };
        Some(documents::find(context, &credentials.client_id, visitor).await?)
    } else {
        clients::find(context, &credentials.client_id).await?
    };
    client.ok_or_else(|| credentials.refuse("Client not found"))
}

/// Rejects a client that may not start a device flow.
fn require_device_grant(context: &Context, client: &Client) -> Result<(), OAuthError> {
    if client.kind == ClientType::Confidential {
        let description = "Confidential clients cannot use device authorization";
        let grant = Some(GrantType::DeviceCode.wire_name());
        let error = OAuthError::unauthorized_client(description);
        return Err(error.mistake(MistakeKind::Grant, grant));
    }
    require_grant(&context.config, client, GrantType::DeviceCode)
}

/// Rejects scopes that the client may not have; the code flow drops such scopes
/// (storyden-contract.md#scopes-at-the-device-start).
fn check_scope(config: &Config, client: &Client, scope: &Scope) -> Result<(), OAuthError> {
    if client.client_id == builtin::CLIENT_ID {
        return builtin::check_scope(scope);
    }
    let listed_only = config.policies.device.start_requires_listed_scopes;
    let passes = |name| client.scope.lists(name) || client.scope.allows(name) && !listed_only;
    let Some(refused) = scope.iter().find(|name| !passes(*name)) else {
        return Ok(());
    };
    let accepted: Scope = Scope::all().iter().filter(|name| passes(*name)).collect();
    let description = "Requested scope is not permitted for this client";
    Err(scope_refused(config, description, refused, &accepted))
}

/// Stores a device authorization with unused codes.
async fn store_device(
    context: &Context,
    client: &Client,
    scope: &Scope,
    address: String,
    user_agent: Option<String>,
) -> Result<(Secret, UserCode), OAuthError> {
    let now = context.clock.now();
    for _ in 0..ATTEMPTS {
        let device_code = Secret::generate(&context.random);
        let user_code = UserCode::generate(&context.random);
        let new = NewDevice {
            id: DeviceAuthorizationId::generate(now),
            device_code: device_code.hash(),
            user_code: user_code.hash(),
            user_code_display: user_code.display(),
            scope: scope.to_string(),
            client: client.row_id.clone(),
            interval_seconds: context.config.device_poll_every.whole_seconds(),
            created_at: now,
            expires_at: now + context.config.device_code_ttl,
            address: address.clone(),
            user_agent: user_agent.clone(),
        };
        let stored = context
            .db
            .write(new, |tx, new| {
                Box::pin(device_authorizations::insert(tx, new))
            })
            .await;
        match stored {
            Ok(()) => return Ok((device_code, user_code)),
            Err(store::Error::Taken(_)) => {}
            Err(store::Error::Gone) => return Err(OAuthError::invalid_client("Client not found")),
            Err(error) => return Err(error.into()),
        }
    }
    Err(OAuthError::server_error("no user code was free"))
}
