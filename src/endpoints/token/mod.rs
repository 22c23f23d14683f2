//! The token endpoint, `POST /api/oauth/token` (RFC 6749 §3.2), one file per grant.
//!
//! Every grant has the same shape: load, decide, sign, commit, answer. Signing comes before the
//! commit, so a failure burns nothing; the commit compares and sets, so of many at once one wins.

mod authorization_code;
mod client_credentials;
mod device_code;
mod issue;
pub mod polls;
pub mod redemptions;
mod refresh_token;

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::extract::{ClientAddress, Decoded, credentials, read_form, refuse_two_methods};
use super::{OVER_BUDGET, over_budget, refuse_client};
use crate::app::{App, Shared};
use crate::clients;
use crate::error::answers;
use crate::oauth::authorization_request::scope_of;
use crate::oauth::grant_type::GrantType;
use crate::oauth::scope::Scope;
use crate::oauth::{ErrorCode, OAuthError};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store;
use crate::store::audit::Event;
use crate::store::clients::Client;
use crate::telemetry::metrics;

pub use issue::person_claims;

/// The parameters that this endpoint knows.
const KNOWN: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "device_code",
    "scope",
    "resource",
    "client_assertion",
    "client_assertion_type",
];

/// How often a grant is loaded and decided again when somebody else was first.
const ATTEMPTS: usize = 3;

/// What a client asks for, one variant per grant.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// Where it was sent.
        redirect_uri: Option<String>,
        /// What the challenge was made from (RFC 7636 §4.5).
        code_verifier: Option<Secret>,
        /// What the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The token.
        refresh_token: Secret,
        /// Less than was granted.
        scope: Option<Scope>,
        /// What the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §4.4.2.
    ClientCredentials {
        /// What is asked.
        scope: Option<Scope>,
        /// What the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 8628 §3.4.
    DeviceCode {
        /// The code.
        device_code: Secret,
        /// What the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
}

impl TokenRequest {
    /// Reads the parameters of a grant.
    fn parse(profile: Profile, grant: GrantType, form: &Decoded) -> Result<Self, OAuthError> {
        let text = |name| form.get(name).map(str::to_owned);
        let resource = || {
            let passed_over = profile.resource_is_passed_over();
            text("resource").filter(|_| !passed_over)
        };
        let scope = || {
            let given = form.get("scope").filter(|scope| !scope.is_empty());
            given
                .map(|scope| scope_of(profile, Some(scope), "Requested scope is not permitted"))
                .transpose()
        };
        if grant == GrantType::AuthorizationCode && profile.parameters_come_before_the_client() {
            form.require("code", "Missing authorization code")?;
            form.require("redirect_uri", "Missing redirect_uri")?;
            form.require("code_verifier", "Missing code_verifier")?;
        }
        Ok(match grant {
            GrantType::AuthorizationCode => Self::AuthorizationCode {
                code: Secret::new(form.require("code", "Missing authorization code")?),
                redirect_uri: text("redirect_uri"),
                code_verifier: text("code_verifier").map(Secret::new),
                resource: resource(),
            },
            GrantType::RefreshToken => Self::RefreshToken {
                refresh_token: Secret::new(form.require("refresh_token", "Missing refresh_token")?),
                scope: if profile.refresh_ignores_scope() {
                    None
                } else {
                    scope()?
                },
                resource: resource(),
            },
            GrantType::ClientCredentials => Self::ClientCredentials {
                scope: scope()?,
                resource: resource(),
            },
            GrantType::DeviceCode => Self::DeviceCode {
                device_code: Secret::new(form.require("device_code", "Missing device_code")?),
                resource: resource(),
            },
        })
    }
}

/// Where it is.
pub const PATH: &str = "/api/oauth/token";

/// The parameters of every grant, as the document of the API shows them.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthTokenProps)]
pub struct TokenForm {
    /// Which grant (RFC 6749 §4.5).
    pub grant_type: String,
    /// Who asks, unless the `Authorization` header says so.
    pub client_id: Option<String>,
    /// The client's secret, unless it is in the header.
    pub client_secret: Option<String>,
    /// The authorization code.
    pub code: Option<String>,
    /// Where the code was sent, if authorize was told.
    pub redirect_uri: Option<String>,
    /// What the challenge was made from (RFC 7636 §4.5).
    pub code_verifier: Option<String>,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The device code (RFC 8628 §3.4).
    pub device_code: Option<String>,
    /// What the token is to permit, with spaces between.
    pub scope: Option<String>,
    /// What the token is for, within what was granted; may be given several times (RFC 8707 §2.2).
    pub resource: Option<String>,
    /// A JWT that the client signed, in place of a secret (RFC 7523 §2.2).
    pub client_assertion: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    pub client_assertion_type: Option<String>,
}

/// `POST /api/oauth/token`.
#[utoipa::path(
    post,
    path = "/api/oauth/token",
    operation_id = "OAuthToken",
    tag = "auth",
    security((), ("client" = [])),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Tokens", body = issue::TokenResponse),
        answers::OAuthInvalid,
        answers::OAuthUnauthorized,
        answers::OAuthTooManyRequests,
    ),
)]
pub async fn token(
    State(app): State<Shared>,
    address: ClientAddress,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let form = read_form(app.config.profile, request, KNOWN).await;
    let grant_type = form.as_ref().ok().and_then(|form| form.get("grant_type"));
    let grant = grant_type.and_then(GrantType::from_wire_name);
    if let Err(response) = count(&app, grant, address) {
        return *response;
    }
    let outcome = match form {
        Ok(form) => answer(&app, &headers, &form, address).await,
        Err(error) => Err(error),
    };
    let outcome = match outcome {
        Err(error) if grant == Some(GrantType::DeviceCode) && !answers_a_poll(&error) => {
            Err(charge_poll(&app, error, address))
        }
        outcome => outcome,
    };
    metrics::token_request(
        grant.map_or("none", GrantType::stored_name),
        outcome
            .as_ref()
            .map_or_else(|error| error.code.as_str(), |_| "ok"),
    );
    match outcome {
        Ok(tokens) => axum::Json(tokens).into_response(),
        Err(error) => refuse_client(&app, error),
    }
}

/// True for the answers of RFC 8628 §3.5 to a device with a device code of this server. They cost
/// nothing, so that 10,000 devices behind one address are never refused; `Polls` sets the pace.
fn answers_a_poll(error: &OAuthError) -> bool {
    use ErrorCode::{AccessDenied, AuthorizationPending, ExpiredToken, SlowDown};
    matches!(
        error.code,
        AuthorizationPending | SlowDown | AccessDenied | ExpiredToken
    )
}

/// Counts a poll with an unknown device code, or of an unknown client, against the budget of its
/// address; 429 once that is spent. Only the answer tells these polls from the free ones.
fn charge_poll(app: &App, error: OAuthError, ClientAddress(address): ClientAddress) -> OAuthError {
    if app.config.profile.budget_covers_everything() || error.status().is_server_error() {
        return error; // counted before, or not the client's fault
    }
    let left = app.budget.spend(address, 1);
    if left.within {
        return error;
    }
    app.refused(Event::RequestLimited);
    OAuthError::limited(OVER_BUDGET, left.wait)
}

/// Counts a request against the budget of its address, unless it is a poll, which has a pace of its
/// own; in the profile `storyden` everything was counted before.
fn count(
    app: &App,
    grant: Option<GrantType>,
    ClientAddress(address): ClientAddress,
) -> Result<(), Box<Response>> {
    if app.config.profile.budget_covers_everything() || grant == Some(GrantType::DeviceCode) {
        return Ok(());
    }
    let left = app.budget.spend(address, 1);
    if left.within {
        return Ok(());
    }
    app.refused(Event::RequestLimited);
    Err(Box::new(over_budget(left.wait)))
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    form: &Decoded,
    ClientAddress(address): ClientAddress,
) -> Result<issue::TokenResponse, OAuthError> {
    let profile = app.config.profile;
    if profile.basic_is_read_leniently() {
        refuse_two_methods(profile, headers, form)?;
    }
    if !app.config.oauth_enabled {
        // contract 2.1: this endpoint alone says so with this code
        return Err(OAuthError::invalid_request(
            "OAuth is not enabled on this instance",
        ));
    }
    let grant = form.get("grant_type").filter(|grant| !grant.is_empty());
    let grant = grant.ok_or_else(|| OAuthError::invalid_request("Missing grant_type"))?;
    let grant = GrantType::from_wire_name(grant)
        .ok_or_else(|| OAuthError::unsupported_grant_type("The grant_type is not supported"))?;
    let (client, request) = identified(app, headers, form, grant, address).await?;
    match request {
        TokenRequest::AuthorizationCode {
            code,
            redirect_uri,
            code_verifier,
            resource,
        } => {
            let exchange = authorization_code::Exchange {
                client: &client,
                code: &code,
                redirect_uri: redirect_uri.as_deref(),
                code_verifier: code_verifier.as_ref(),
                resource: resource.as_deref(),
                address,
            };
            exchange.answer(app).await
        }
        TokenRequest::RefreshToken {
            refresh_token,
            scope,
            resource,
        } => {
            let refresh = refresh_token::Refresh {
                app,
                client: &client,
                presented: &refresh_token,
                requested: scope.as_ref(),
                resource: resource.as_deref(),
                address,
            };
            refresh.answer().await
        }
        TokenRequest::ClientCredentials { scope, resource } => {
            client_credentials::answer(app, &client, scope.as_ref(), resource.as_deref()).await
        }
        TokenRequest::DeviceCode {
            device_code,
            resource,
        } => device_code::answer(app, &client, &device_code, resource.as_deref()).await,
    }
}

/// The client, proven, and what it asks for; what is looked at first depends on the profile.
async fn identified(
    app: &App,
    headers: &HeaderMap,
    form: &Decoded,
    grant: GrantType,
    address: IpAddr,
) -> Result<(Client, TokenRequest), OAuthError> {
    let profile = app.config.profile;
    if profile.parameters_come_before_the_client() {
        let request = TokenRequest::parse(profile, grant, form)?;
        let credentials = credentials(profile, headers, form)?;
        let client = clients::identify(app, &credentials).await?;
        require_grant(&client, grant)?;
        clients::prove(app, &client, &credentials, address).await?;
        return Ok((client, request));
    }
    let credentials = credentials(profile, headers, form)?;
    let client = clients::identify(app, &credentials).await?;
    clients::prove(app, &client, &credentials, address).await?;
    require_grant(&client, grant)?;
    Ok((client, TokenRequest::parse(profile, grant, form)?))
}

/// Whether a transaction was committed; not when what it was to spend was spent meanwhile.
fn won(outcome: store::Result<()>) -> Result<bool, OAuthError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(store::Error::Lost) => Ok(false),
        // what the row points at was deleted in that moment
        Err(store::Error::Gone) => Err(OAuthError::invalid_client("Client not found")),
        Err(error) => Err(error.into()),
    }
}

/// RFC 6749 §5.2, `unauthorized_client`.
fn require_grant(client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    use crate::oauth::grant_type::ClientType;
    if grant == GrantType::ClientCredentials && client.kind == ClientType::Public {
        return Err(OAuthError::unauthorized_client(
            "Client is not confidential",
        )); // §4.4
    }
    clients::require_grant(client, grant)
}
