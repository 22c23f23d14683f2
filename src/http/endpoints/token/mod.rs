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
mod jwt_bearer;
mod proof;
mod refresh_token;
mod request;
mod token_exchange;

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::{OVER_BUDGET, over_budget, refuse_client};
use crate::clients::{self, Credentials};
use crate::compat::TwoMethods;
use crate::context::{Context, SharedContext};
use crate::dpop::{self, Proof};
use crate::http::dpop::RequestHead;
use crate::http::error::responses;
use crate::http::extract::{
    ClientAddress, Decoded, credentials, named_client, read_form_of, refuse_two_methods,
};
use crate::oauth::grant_type::GrantType;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::{ErrorCode, OAuthError};
use crate::store;
use crate::store::audit::Event;
use crate::store::clients::Client;
use request::{KNOWN, TokenRequest};

pub use request::TokenForm;

/// Attempts of a redemption, if concurrent requests keep changing the state.
const ATTEMPTS: usize = 3;

/// The path of the endpoint.
pub const PATH: &str = "/api/oauth/token";

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
    let grant = grant_type.and_then(GrantType::from_parameter);
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
    context.statistics.token_request(
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
    if policy.two_methods == TwoMethods::InvalidClient
        && let Err(error) = refuse_two_methods(policy, headers, form)
    {
        record_unidentified(context, headers, form, &error).await;
        return Err(error);
    }
    if !context.config.oauth_enabled {
        // storyden-contract.md#while-oauth-is-off: `invalid_request`, at this endpoint only
        return Err(OAuthError::invalid_request(
            "OAuth is not enabled on this instance",
        ));
    }
    let attempt = match Attempt::read(context, head, form) {
        Ok(attempt) => attempt,
        Err(error) => {
            record_unidentified(context, headers, form, &error).await;
            return Err(error);
        }
    };
    let client = clients::identify(context, &attempt.credentials).await?;
    let answered = attempt.answer(context, &client, address).await;
    answered.inspect_err(|error| context.record_client_error(PATH, &client, error))
}

/// Records an error that was found before the client was: reads the client that the request names.
async fn record_unidentified(
    context: &Context,
    headers: &HeaderMap,
    form: &Decoded,
    error: &OAuthError,
) {
    let policy = context.config.policies.client_authentication;
    if let Some(client_id) = named_client(policy, headers, form)
        && let Ok(Some(client)) = clients::find(context, &client_id).await
    {
        context.record_client_error(PATH, &client, error);
    }
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
        TokenRequest::TokenExchange {
            subject_token,
            scope,
            target,
        } => {
            let exchange = token_exchange::Exchange {
                context,
                client,
                subject_token: &subject_token,
                requested: scope.as_ref(),
                target: target.as_deref(),
                proof,
            };
            exchange.answer(address).await
        }
        TokenRequest::JwtBearer {
            assertion,
            scope,
            resource,
        } => {
            let grant = jwt_bearer::AssertionGrant {
                context,
                client,
                assertion: &assertion,
                requested: scope.as_ref(),
                resource: resource.as_deref(),
                proof,
            };
            grant.answer(address).await
        }
    }
}

/// A request with a known grant and with credentials.
struct Attempt<'a> {
    head: RequestHead<'a>,
    form: &'a Decoded,
    grant: GrantType,
    credentials: Credentials,
    /// The parameters, if the policy demands their check before the client is known.
    parsed: Option<TokenRequest>,
}

impl<'a> Attempt<'a> {
    /// Reads the grant and the credentials.
    fn read(
        context: &Context,
        head: RequestHead<'a>,
        form: &'a Decoded,
    ) -> Result<Self, OAuthError> {
        let (config, policies) = (&context.config, context.config.policies);
        let grant = form.get("grant_type").filter(|grant| !grant.is_empty());
        let grant = grant.ok_or_else(|| {
            let error = OAuthError::invalid_request("Missing grant_type");
            error.mistake(MistakeKind::GrantType, None)
        })?;
        let grant = GrantType::from_parameter(grant)
            .filter(|known| errors::is_enabled(config, *known))
            .ok_or_else(|| errors::unsupported(config, grant))?;
        let is_first = policies.token_endpoint.parameters_checked_first;
        let parsed = is_first.then(|| TokenRequest::parse(policies, grant, form));
        Ok(Self {
            parsed: parsed.transpose()?,
            credentials: credentials(policies.client_authentication, head.headers, form)?,
            head,
            form,
            grant,
        })
    }

    /// Authenticates the client, parses the request, and answers. The policy decides about the order.
    async fn answer(
        self,
        context: &Context,
        client: &Client,
        address: IpAddr,
    ) -> Result<issue::TokenResponse, OAuthError> {
        let (config, credentials) = (&context.config, &self.credentials);
        let request = if let Some(parsed) = self.parsed {
            errors::require_grant(config, client, self.grant)?;
            clients::prove(context, client, credentials, address).await?;
            parsed
        } else {
            clients::prove(context, client, credentials, address).await?;
            errors::require_grant(config, client, self.grant)?;
            TokenRequest::parse(config.policies, self.grant, self.form)?
        };
        let proof = proof::proof_of(context, client, self.head).await?;
        redeem(context, client, request, proof.as_ref(), address).await
    }
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
