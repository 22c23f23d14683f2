//! The authorization endpoint in the profile `storyden`, in Storyden's order of checks
//! (storyden-contract.md#authorize).
//!
//! Order and responses differ from the profile `standards`. Redirect URIs, scopes and the right to
//! approve are checked by the same functions.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::super::require_enabled;
use super::parameters::PARAMETERS_BYTES_MAX;
use super::protection;
use super::request::{PATH, ResolvedRequest, limit_requests, record_unidentified};
use super::response::{consent_page, redirect, respond_without_redirect};
use crate::clients::documents::Requester;
use crate::clients::{self};
use crate::context::Context;
use crate::http::caller::{Caller, ResourceOwner, require_may_authorize};
use crate::http::error::ApiError;
use crate::http::extract::{ClientAddress, Decoded, decode_leniently};
use crate::http::guards::resource_owner;
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::{AuthorizationRequest, ResponseMode};
use crate::oauth::claims_request::ClaimsRequest;
use crate::oauth::grant_type::GrantType;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::redirect_uri::resolve;
use crate::oauth::scope::Scope;
use crate::secret::Secret;
use crate::store::authorization_requests::{self, NewRequest};

/// The parameters of Storyden's API document; the first five are required.
const DECLARED: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "code_challenge",
    "code_challenge_method",
    "scope",
    "state",
    "nonce",
];

/// `GET /api/oauth/authorize`.
pub(super) async fn authorize(
    context: &Context,
    query: &str,
    ClientAddress(address): ClientAddress,
    headers: &HeaderMap,
) -> Response {
    // 1. credential type and suspension
    let caller = match Caller::without_proof(context, headers).await {
        Ok(caller) => caller,
        Err(error) => return respond_without_redirect(context, error.into(), headers),
    };
    let decider = match resource_owner(caller) {
        Ok(decider) => decider,
        Err(problem) => return problem.into_response(),
    };
    // 2. parameters
    let decoded = decode_leniently(query, DECLARED);
    let decoded = match decoded.and_then(|decoded| decoded.within(PARAMETERS_BYTES_MAX)) {
        Ok(decoded) => decoded,
        Err(error) => return ApiError::invalid(error.description).into_response(),
    };
    if let Err(error) = validate(&decoded) {
        record_unidentified(context, decoded.get("client_id"), &error).await;
        return ApiError::invalid(error.description).into_response();
    }
    // 3. guests go to the login page
    let Some(decider) = decider else {
        return redirect(StatusCode::FOUND, context.config.login_page().as_str());
    };
    // 4. code challenge, client, redirect URI: errors are shown here
    let visitor = Requester {
        account: Some(&decider.account.id),
        address,
    };
    let request = match resolve_request(context, decoded, visitor).await {
        Ok(request) => request,
        Err(error) => return respond_without_redirect(context, error, headers),
    };
    // 5. permission, grant type, scope, rate limit: errors go to the redirect URI
    match store(context, &request, &decider).await {
        Ok(request_id) => redirect(
            StatusCode::FOUND,
            consent_page(context, &request_id).as_str(),
        ),
        Err(error) => {
            error.log();
            request
                .error(context, &error)
                .into_response(context, headers)
        }
    }
}

/// Rejects the requests that Storyden's request validator rejects.
fn validate(decoded: &Decoded) -> Result<(), OAuthError> {
    let refuse = |description: String| OAuthError::invalid_request(description);
    if let Some(name) = decoded.repeated.first() {
        return Err(refuse(format!("{name} is given more than once")));
    }
    if let Some(missing) = DECLARED[..5]
        .iter()
        .find(|name| decoded.get(name).is_none())
    {
        let kind = match *missing {
            "redirect_uri" => MistakeKind::RedirectUri,
            "code_challenge" => MistakeKind::PkceMissing,
            "code_challenge_method" => MistakeKind::PkceMethod,
            _ => MistakeKind::Request,
        };
        return Err(refuse(format!("{missing} is missing")).mistake(kind, None));
    }
    let method = decoded.get("code_challenge_method");
    let response_type = decoded.get("response_type");
    if response_type == Some("code") && method == Some("S256") {
        return Ok(());
    }
    let error = refuse("response_type must be code and code_challenge_method S256".to_owned());
    Err(match response_type {
        Some("code") => error.mistake(MistakeKind::PkceMethod, method),
        other => error.mistake(MistakeKind::Request, other),
    })
}

async fn resolve_request(
    context: &Context,
    parameters: Decoded,
    requester: Requester<'_>,
) -> Result<ResolvedRequest, OAuthError> {
    require_enabled(context)?;
    let challenge = parameters.get("code_challenge").unwrap_or_default();
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if !(43..=128).contains(&challenge.len()) || !challenge.bytes().all(is_unreserved) {
        let description = "Invalid response_type, code_challenge_method, or code_challenge";
        let error = OAuthError::invalid_request(description);
        let error = error.mistake(MistakeKind::PkceChallenge, None);
        record_unidentified(context, parameters.get("client_id"), &error).await;
        return Err(error);
    }
    let client_id = parameters.get("client_id").unwrap_or_default();
    let client = clients::find_or_fetch(context, client_id, requester).await?;
    let asked = parameters.get("redirect_uri").or(Some(""));
    let policy = context.config.policies.redirect_uris;
    let resolved = protection::require(context, &client, &parameters)
        .and_then(|()| resolve(policy, asked, &client.redirect_uris));
    let redirect_uri =
        resolved.inspect_err(|error| context.record_client_error(PATH, &client, error))?;
    Ok(ResolvedRequest {
        client,
        parameters,
        redirect_uri,
    })
}

/// Validates and stores the request; returns the request id.
async fn store(
    context: &Context,
    request: &ResolvedRequest,
    decider: &ResourceOwner,
) -> Result<Secret, OAuthError> {
    let (client, parameters) = (&request.client, &request.parameters);
    require_may_authorize(&decider.account)?;
    clients::require_grant(client, GrantType::AuthorizationCode)?;
    let scope = parameters.get("scope").unwrap_or_default().trim();
    if Scope::parse_leniently(scope).is_err() {
        let description = "Requested scope is not permitted for this account";
        let error = OAuthError::invalid_scope(description);
        return Err(error.mistake(MistakeKind::Scope, Some(scope)));
    }
    limit_requests(context, &decider.account.id)?;
    let request_id = Secret::generate(&context.random);
    let challenge = parameters.get("code_challenge").unwrap_or_default();
    let parsed = AuthorizationRequest {
        scope: Scope::stored(scope),
        state: parameters.get("state").map(str::to_owned),
        nonce: parameters.get("nonce").map(str::to_owned),
        code_challenge: CodeChallenge::stored(challenge.to_owned()),
        response_mode: ResponseMode::Query,
        claims: ClaimsRequest::default(),
        dpop_jkt: None,
    };
    let new = NewRequest {
        scope: scope.to_owned(), // as received
        ..request.row(context, decider, request_id.hash(), parsed)
    };
    let insert = context.db.write(new, |tx, new| {
        Box::pin(authorization_requests::insert(tx, new))
    });
    insert.await?;
    Ok(request_id)
}
