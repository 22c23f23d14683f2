//! The registration endpoint, `POST /api/oauth/register` (RFC 7591 §3).

use axum::Json;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use crate::clients::fapi;
use crate::clients::registration::{self, ClientInformation, Registrant};
use crate::context::{Context, SharedContext};
use crate::http::authorization::{Authorization, authorization};
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::{ClientAddress, JsonBody, read_json};
use crate::oauth::OAuthError;
use crate::oauth::client_metadata::{Bounds, ClientMetadata, RequestedMetadata};
use crate::oauth::strict_json;
use crate::resources;
use crate::store::audit::Event;

/// Errors of a registration.
enum RegistrationError {
    /// A protocol error (RFC 7591 §3.2.2).
    OAuth(OAuthError),
    /// An unreadable document in the profile `storyden`.
    Problem(ApiError),
}

impl From<OAuthError> for RegistrationError {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

/// `POST /api/oauth/register`. Open to every caller; the initial access token of the operator only
/// affects PKCE.
#[utoipa::path(
    post,
    path = "/api/oauth/register",
    operation_id = "OAuthClientRegister",
    tag = "auth",
    security(()),
    request_body = RequestedMetadata,
    responses(
        (status = 201, description = "The registered client", body = ClientInformation),
        (
            status = 400,
            description = "The metadata is invalid, or registration is off",
            content((OAuthErrorBody = "application/json"), (Problem = "application/problem+json"))
        ),
        responses::BodyErrors,
    ),
)]
pub async fn register(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    match answer(&context, address, request).await {
        Ok(registered) => (StatusCode::CREATED, Json(registered)).into_response(),
        Err(RegistrationError::OAuth(error)) => {
            if error.limited {
                context.refused(Event::RegistrationLimited);
            } else if error.detail.is_none() {
                context.refused(Event::RegistrationRefused);
            }
            error.into_response()
        }
        Err(RegistrationError::Problem(problem)) => {
            context.refused(Event::RegistrationRefused);
            problem.into_response()
        }
    }
}

async fn answer(
    context: &SharedContext,
    ClientAddress(address): ClientAddress,
    request: Request,
) -> Result<ClientInformation, RegistrationError> {
    let policies = context.config.policies;
    let token = match authorization(policies, request.headers()) {
        Authorization::Bearer(token) => Some(token),
        Authorization::None | Authorization::Dpop(_) | Authorization::Ambiguous => None,
    };
    let registrant = Registrant::new(context, address, token.as_ref());
    let asked = if policies.registration_endpoint.malformed_is_problem {
        // storyden-contract.md#order-of-validation: the body is validated before the handler runs
        let JsonBody(document) = JsonBody::<Value>::from_request(request, context)
            .await
            .map_err(RegistrationError::Problem)?;
        let asked = RequestedMetadata::read(policies.registration, &document);
        let asked =
            asked.map_err(|why| RegistrationError::Problem(ApiError::invalid(why.description)))?;
        require_enabled(context)?;
        asked
    } else {
        require_enabled(context)?;
        let document = strict_json::parse(&read_json(request).await?);
        let document = document.map_err(OAuthError::invalid_client_metadata)?;
        RequestedMetadata::read(policies.registration, &document)?
    };
    let metadata = check(context, asked).await?;
    Ok(registration::register(context, metadata, registrant).await?)
}

/// Applies the rules of registration, within the operator's bounds.
pub(super) async fn check(
    context: &Context,
    asked: RequestedMetadata,
) -> Result<ClientMetadata, OAuthError> {
    let policy = context.config.policies.registration;
    let limited = policy.limited_to_scope;
    let bounds = Bounds {
        resource_scopes: &resources::listable(context, limited, asked.scope()).await?,
        scope: &context.config.registration_scope(),
        private_use_schemes: &context.config.private_use_schemes(),
        signing_algorithms: &context.config.signing_algorithms.0,
    };
    let mut metadata = asked.check(policy, bounds)?;
    if let Some(why) = fapi::unsupported(&context.config).filter(|_| metadata.fapi) {
        return Err(OAuthError::invalid_client_metadata(why));
    }
    if !context.config.protects_requests() {
        metadata.leave_out_requests();
    }
    Ok(metadata)
}

/// Requires that OAuth and registration are on (storyden-contract.md#while-oauth-is-off).
fn require_enabled(context: &Context) -> Result<(), OAuthError> {
    if context.config.oauth_enabled && context.config.registration_enabled {
        return Ok(());
    }
    Err(OAuthError::temporarily_unavailable(
        "Dynamic client registration is not enabled",
    ))
}
