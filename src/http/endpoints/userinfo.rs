//! The userinfo endpoint, `GET` and `POST /api/oauth/userinfo` (OpenID Connect Core §5.3).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::token::person_claims;
use super::{challenge_bearer, with_challenge};
use utoipa::{IntoResponses, ToResponse};

use crate::accounts::access_keys;
use crate::context::{Context, SharedContext};
use crate::http::caller::{Bearer, bearer, verify_access_token};
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::read_form;
use crate::ids::AccountId;
use crate::oauth::access_token::ForWhom;
use crate::oauth::id_token::PersonClaims;
use crate::oauth::scope::ScopeName;
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::Secret;

/// The claims (OpenID Connect Core §5.3.2). Claims without a value are omitted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthUserInfo)]
pub struct UserInfo {
    #[serde(flatten)]
    person: PersonClaims,
    sub: AccountId,
}

/// Errors of a bearer token, for the API document.
#[derive(Debug, IntoResponses)]
pub enum BearerErrors {
    /// No access token, or one that is no longer good
    #[response(status = 401)]
    Unauthorized(#[to_response] EitherUnauthorized),
    /// A token without the scope `openid`
    #[response(status = 403, headers(("WWW-Authenticate" = String, description = "Bearer challenge (RFC 6750 §3)")))]
    InsufficientScope(OAuthErrorBody),
}

/// No access token, or one that is no longer good
#[derive(Debug, ToResponse)]
#[response(headers(("WWW-Authenticate" = String, description = "Bearer challenge (RFC 6750 §3)")))]
pub enum EitherUnauthorized {
    /// A problem.
    Problem(#[content("application/problem+json")] Problem),
    /// An OAuth error.
    OAuth(#[content("application/json")] OAuthErrorBody),
}

/// `GET /api/oauth/userinfo`.
#[utoipa::path(
    get,
    path = "/api/oauth/userinfo",
    operation_id = "OAuthUserInfo",
    tag = "auth",
    security(("oauth_token" = [])),
    responses(
        (status = 200, description = "OpenID Connect Core §5.3.2", body = UserInfo),
        responses::OAuthInvalid,
        BearerErrors,
    ),
)]
pub async fn userinfo(context: State<SharedContext>, request: Request) -> Response {
    respond(context, request).await
}

/// `POST /api/oauth/userinfo`.
#[utoipa::path(
    post,
    path = "/api/oauth/userinfo",
    operation_id = "OAuthUserInfoByPost",
    tag = "auth",
    security(("oauth_token" = [])),
    responses(
        (status = 200, description = "OpenID Connect Core §5.3.2", body = UserInfo),
        responses::OAuthInvalid,
        BearerErrors,
    ),
)]
pub async fn userinfo_by_post(context: State<SharedContext>, request: Request) -> Response {
    respond(context, request).await
}

async fn respond(State(context): State<SharedContext>, request: Request) -> Response {
    let policy = context.config.policies.userinfo;
    match answer(&context, request).await {
        Ok(info) => Json(info).into_response(),
        Err(Some(error))
            if policy.errors_are_problems && error.code == ErrorCode::InsufficientScope =>
        {
            ApiError::forbidden(error.description).into_response()
        }
        // Storyden answers an invalid token like a missing token.
        Err(Some(error)) if policy.errors_are_problems && !error.status().is_server_error() => {
            with_challenge(&context, ApiError::unauthenticated().into_response(), None)
        }
        // RFC 6750 §3.1: no error code if the request has no token
        Err(None) => with_challenge(&context, ApiError::unauthenticated().into_response(), None),
        Err(Some(error)) => challenge_bearer(&context, error),
    }
}

/// Returns the claims; `None` as the error if the request has no token.
async fn answer(context: &Context, request: Request) -> Result<UserInfo, Option<OAuthError>> {
    let token = bearer(
        context.config.policies.callers.bearer_scheme,
        request.headers(),
    );
    let form = CONTENT_TYPE;
    if request.method() == Method::POST && request.headers().contains_key(form) {
        let form = read_form(
            context.config.policies.requests.form_syntax,
            request,
            &["access_token"],
        )
        .await?;
        // RFC 6750 §2: a token in the header only, and by one method only
        if form.get("access_token").is_some() {
            let description = "the access token must only be in the Authorization header";
            return Err(Some(OAuthError::invalid_request(description)));
        }
    }
    let token = match token {
        Bearer::Token(token) => token,
        Bearer::None => return Err(None),
        Bearer::Ambiguous => {
            let description = "more than one Authorization header";
            return Err(Some(OAuthError::invalid_request(description)));
        }
    };
    if context.config.policies.userinfo.errors_are_problems
        && is_access_key(context, &token).await?
    {
        // storyden-contract.md#callers-of-each-operation: a valid credential of the wrong kind
        let description = "An access key cannot be used here";
        return Err(Some(OAuthError::insufficient_scope(description)));
    }
    let verified = verify_access_token(context, &token, ForWhom::Us)
        .await
        .map_err(OAuthError::from)?;
    let Some((token, account)) = verified else {
        let description = "The access token is malformed, expired or revoked";
        return Err(Some(OAuthError::invalid_token(description)));
    };
    let policy = context.config.policies.userinfo;
    if !token.scope.contains(ScopeName::Openid) && !policy.openid_optional {
        let description = "The access token has no scope openid";
        return Err(Some(OAuthError::insufficient_scope(description)));
    }
    let person = person_claims(context, &account, &token.scope)
        .await
        .map_err(OAuthError::from)?;
    Ok(UserInfo {
        person,
        sub: account.id,
    })
}

async fn is_access_key(context: &Context, bearer: &Secret) -> Result<bool, OAuthError> {
    Ok(access_keys::verify(context, bearer).await?.is_some())
}
