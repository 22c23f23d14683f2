//! The token endpoint, `POST /api/oauth/token` (RFC 6749 §3.2), one file per grant.
//!
//! Every grant loads, checks, signs, commits and answers, in this order. A failed signature consumes
//! nothing, because signing comes before the commit. The commit is a compare-and-set: only one of
//! several concurrent redemptions succeeds.

mod authorization_code;
mod client_credentials;
mod device_code;
pub(super) mod errors;
mod issue;
mod proof;
mod refresh_token;

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::{OVER_BUDGET, over_budget, refuse_client};
use crate::clients;
use crate::compat::{Policies, TwoMethods};
use crate::context::{Context, SharedContext};
use crate::dpop::{self, Proof};
use crate::http::dpop::RequestHead;
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, Decoded, credentials, read_form_of, refuse_two_methods};
use crate::oauth::grant_type::GrantType;
use crate::oauth::scope::{Scope, ScopeSyntax};
use crate::oauth::scope_parameter::{is_blank, scope_of};
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::Event;
use crate::store::clients::Client;
use crate::telemetry::metrics;

/// The parameters that this endpoint reads.
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

/// Attempts of a redemption, if concurrent requests keep changing the state.
const ATTEMPTS: usize = 3;

/// The parameters of a token request, one variant per grant.
#[derive(Debug)]
pub enum TokenRequest {
    /// RFC 6749 §4.1.3.
    AuthorizationCode {
        /// The code.
        code: Secret,
        /// The redirect URI of the authorization request.
        redirect_uri: Option<String>,
        /// The PKCE code verifier (RFC 7636 §4.5).
        code_verifier: Option<Secret>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §6.
    RefreshToken {
        /// The token.
        refresh_token: Secret,
        /// A narrower scope than the granted one.
        scope: Option<Scope>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 6749 §4.4.2.
    ClientCredentials {
        /// The requested scope.
        scope: Option<Scope>,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
    /// RFC 8628 §3.4.
    DeviceCode {
        /// The device code.
        device_code: Secret,
        /// The resource that the token is for (RFC 8707 §2.2).
        resource: Option<String>,
    },
}

impl TokenRequest {
    /// Reads the parameters of a grant.
    fn parse(policies: &Policies, grant: GrantType, form: &Decoded) -> Result<Self, OAuthError> {
        let policy = policies.token_endpoint;
        let text = |name| form.get(name).map(str::to_owned);
        let resource = || text("resource").filter(|_| !policy.resource_ignored);
        let scope = || {
            let syntax = policies.requests.scope_syntax;
            // storyden-contract.md#scopes-for-client-credentials: a blank scope requests nothing
            let is_given = |scope: &&str| match syntax {
                ScopeSyntax::Spaces => !is_blank(Some(scope)),
                ScopeSyntax::WhiteSpace => !scope.is_empty(),
            };
            let given = form.get("scope").filter(is_given);
            given
                .map(|scope| scope_of(syntax, Some(scope), "Requested scope is not permitted"))
                .transpose()
        };
        if grant == GrantType::AuthorizationCode && policy.parameters_checked_first {
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
                scope: if policy.refresh_scope_ignored {
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

/// The path of the endpoint.
pub const PATH: &str = "/api/oauth/token";

/// The parameters of all grants.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthTokenProps)]
pub struct TokenForm {
    /// The grant type (RFC 6749 §4.5).
    pub grant_type: String,
    /// The client id, unless sent in the `Authorization` header.
    pub client_id: Option<String>,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
    /// The authorization code.
    pub code: Option<String>,
    /// The redirect URI of the authorization request, if that request had one.
    pub redirect_uri: Option<String>,
    /// The PKCE code verifier (RFC 7636 §4.5).
    pub code_verifier: Option<String>,
    /// The refresh token.
    pub refresh_token: Option<String>,
    /// The device code (RFC 8628 §3.4).
    pub device_code: Option<String>,
    /// Requested scopes, separated by spaces.
    pub scope: Option<String>,
    /// The resource that the token is for, of the granted resources. May be repeated (RFC 8707 §2.2).
    pub resource: Option<String>,
    /// A JWT signed by the client, in place of a secret (RFC 7523 §2.2).
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
    params(("DPoP" = Option<String>, Header, description = "A DPoP proof: the access token is then bound to the key of the proof (RFC 9449 §5)")),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Token response", body = issue::TokenResponse),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
        responses::OAuthTooManyRequests,
    ),
)]
pub async fn token(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let syntax = context.config.policies.requests.form_syntax;
    let form = read_form_of(syntax, &parts, body, KNOWN).await;
    let grant_type = form.as_ref().ok().and_then(|form| form.get("grant_type"));
    let grant = grant_type.and_then(GrantType::from_wire_name);
    if let Err(response) = count(&context, grant, address) {
        return *response;
    }
    let outcome = match form {
        Ok(form) => answer(&context, RequestHead::of(&parts), &form, address).await,
        Err(error) => Err(error),
    };
    let outcome = match outcome {
        Err(error) if grant == Some(GrantType::DeviceCode) && !answers_a_poll(&error) => {
            Err(charge_poll(&context, error, address))
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
        Err(error) => refuse_client(&context, error),
    }
}

/// True for the answers of RFC 8628 §3.5 to a poll with a valid device code. Such polls cost no rate
/// limit units, so that 10,000 devices behind one address are never refused; `Polls` limits the
/// interval.
fn answers_a_poll(error: &OAuthError) -> bool {
    use ErrorCode::{AccessDenied, AuthorizationPending, ExpiredToken, SlowDown};
    matches!(
        error.code,
        AuthorizationPending | SlowDown | AccessDenied | ExpiredToken
    )
}

/// Charges a failed poll, with an unknown device code or of an unknown client, to the rate limit of the
/// address. Only the outcome distinguishes these polls from free polls, so the charge comes last.
fn charge_poll(
    context: &Context,
    error: OAuthError,
    ClientAddress(address): ClientAddress,
) -> OAuthError {
    if context.config.policies.rate_limit.every_request_charged || error.status().is_server_error()
    {
        return error; // charged by the router, or not the client's fault
    }
    let left = context.budget.spend(address, 1);
    if left.within {
        return error;
    }
    context.refused(Event::RequestLimited);
    OAuthError::limited(OVER_BUDGET, left.wait)
}

/// Charges a request to the rate limit of the address. Polls of devices are free here. If every
/// request is charged, the router does so.
fn count(
    context: &Context,
    grant: Option<GrantType>,
    ClientAddress(address): ClientAddress,
) -> Result<(), Box<Response>> {
    if context.config.policies.rate_limit.every_request_charged
        || grant == Some(GrantType::DeviceCode)
    {
        return Ok(());
    }
    let left = context.budget.spend(address, 1);
    if left.within {
        return Ok(());
    }
    context.refused(Event::RequestLimited);
    Err(Box::new(over_budget(left.wait)))
}

async fn answer(
    context: &Context,
    head: RequestHead<'_>,
    form: &Decoded,
    ClientAddress(address): ClientAddress,
) -> Result<issue::TokenResponse, OAuthError> {
    let (policy, headers) = (context.config.policies.client_authentication, head.headers);
    if policy.two_methods == TwoMethods::InvalidClient {
        refuse_two_methods(policy, headers, form)?;
    }
    if !context.config.oauth_enabled {
        // storyden-contract.md#while-oauth-is-off: `invalid_request`, at this endpoint only
        return Err(OAuthError::invalid_request(
            "OAuth is not enabled on this instance",
        ));
    }
    let grant = form.get("grant_type").filter(|grant| !grant.is_empty());
    let grant = grant.ok_or_else(|| OAuthError::invalid_request("Missing grant_type"))?;
    let grant = GrantType::from_wire_name(grant)
        .ok_or_else(|| errors::unsupported(&context.config, grant))?;
    let (client, request) = authenticate_and_parse(context, headers, form, grant, address).await?;
    let proof = proof::proof_of(context, &client, head).await?;
    redeem(context, &client, request, proof.as_ref(), address).await
}

/// Answers an authenticated request.
async fn redeem(
    context: &Context,
    client: &Client,
    request: TokenRequest,
    proof: Option<&Proof>,
    address: IpAddr,
) -> Result<issue::TokenResponse, OAuthError> {
    match request {
        TokenRequest::AuthorizationCode {
            code,
            redirect_uri,
            code_verifier,
            resource,
        } => {
            let exchange = authorization_code::Exchange {
                client,
                code: &code,
                redirect_uri: redirect_uri.as_deref(),
                code_verifier: code_verifier.as_ref(),
                resource: resource.as_deref(),
                proof,
                address,
            };
            exchange.answer(context).await
        }
        TokenRequest::RefreshToken {
            refresh_token,
            scope,
            resource,
        } => {
            let refresh = refresh_token::Refresh {
                context,
                client,
                presented: &refresh_token,
                requested: scope.as_ref(),
                resource: resource.as_deref(),
                proof,
                address,
            };
            refresh.answer().await
        }
        TokenRequest::ClientCredentials { scope, resource } => {
            let resource = resource.as_deref();
            client_credentials::answer(context, client, scope.as_ref(), resource, proof).await
        }
        TokenRequest::DeviceCode {
            device_code,
            resource,
        } => {
            let request = device_code::DeviceExchange {
                client,
                device_code: &device_code,
                resource: resource.as_deref(),
                proof,
            };
            device_code::answer(context, request).await
        }
    }
}

/// Authenticates the client and parses the request. The policy decides which comes first.
async fn authenticate_and_parse(
    context: &Context,
    headers: &HeaderMap,
    form: &Decoded,
    grant: GrantType,
    address: IpAddr,
) -> Result<(Client, TokenRequest), OAuthError> {
    let policies = context.config.policies;
    if policies.token_endpoint.parameters_checked_first {
        let request = TokenRequest::parse(policies, grant, form)?;
        let credentials = credentials(policies.client_authentication, headers, form)?;
        let client = clients::identify(context, &credentials).await?;
        errors::require_grant(&context.config, &client, grant)?;
        clients::prove(context, &client, &credentials, address).await?;
        return Ok((client, request));
    }
    let credentials = credentials(policies.client_authentication, headers, form)?;
    let client = clients::identify(context, &credentials).await?;
    clients::prove(context, &client, &credentials, address).await?;
    errors::require_grant(&context.config, &client, grant)?;
    Ok((client, TokenRequest::parse(policies, grant, form)?))
}

/// True if the transaction committed; false if a concurrent request consumed the code or token first.
fn committed(outcome: store::Result<()>) -> Result<bool, OAuthError> {
    match outcome {
        Ok(()) => Ok(true),
        Err(store::Error::RaceLost) => Ok(false),
        Err(store::Error::Replayed) => Err(dpop::replayed()),
        // the client or the account was deleted meanwhile
        Err(store::Error::Gone) => Err(OAuthError::invalid_client("Client not found")),
        Err(error) => Err(error.into()),
    }
}
