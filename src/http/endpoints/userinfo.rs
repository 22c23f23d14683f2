//! The userinfo endpoint, `GET` and `POST /api/oauth/userinfo` (OpenID Connect Core §5.3).
//!
//! 1. Read the access token: in the header or, of a `POST`, in the form (RFC 6750 §2.1 and §2.2).
//! 2. Verify the token, and require the scope `openid`.
//! 3. Collect the claims that the scope releases, and the claims that the client requested one by one
//!    (§5.5).
//! 4. Respond with JSON or, for a client with `userinfo_signed_response_alg`, with a signed JWT (§5.3.2).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{challenge_bearer, with_challenge};
use utoipa::{IntoResponses, ToResponse};

use crate::accounts::{access_keys, person_claims};
use crate::context::{Context, SharedContext};
use crate::http::caller::{Bearer, bearer, verify_access_token};
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::{is_form, read_form};
use crate::ids::AccountId;
use crate::oauth::access_token::{ForWhom, VerifiedAccessToken};
use crate::oauth::id_token::{ClaimPlace, ClaimPolicy, PersonClaims, SignedUserinfo};
use crate::oauth::scope::ScopeName;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::Secret;
use crate::store::accounts::TokenAccount;
use crate::store::userinfo_terms::UserinfoTerms;

/// The claims (OpenID Connect Core §5.3.2). Claims without a value are omitted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthUserInfo)]
pub struct UserInfo {
    #[serde(flatten)]
    person: PersonClaims,
    /// Account id.
    sub: AccountId,
}

/// The form of a userinfo request.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthUserInfoProps)]
pub struct UserInfoForm {
    /// The access token, unless sent in the `Authorization` header (RFC 6750 §2.2).
    pub access_token: Option<String>,
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
        (
            status = 200,
            description = "Claims; a signed JWT if the client registered userinfo_signed_response_alg",
            content((UserInfo = "application/json"), (String = "application/jwt"))
        ),
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
    request_body(content = Option<UserInfoForm>, content_type = "application/x-www-form-urlencoded"),
    responses(
        (
            status = 200,
            description = "Claims; a signed JWT if the client registered userinfo_signed_response_alg",
            content((UserInfo = "application/json"), (String = "application/jwt"))
        ),
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
        Ok(response) => response,
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

/// Returns the response; `None` as the error if the request has no token.
async fn answer(context: &Context, request: Request) -> Result<Response, Option<OAuthError>> {
    let token = read_token(context, request).await?.ok_or(None)?;
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
    let Some((token, found)) = verified else {
        let description = "The access token is malformed, expired or revoked";
        return Err(Some(OAuthError::invalid_token(description)));
    };
    let policy = context.config.policies.userinfo;
    if !token.scope.contains(ScopeName::Openid) && !policy.openid_optional {
        let description = "The access token has no scope openid";
        return Err(Some(OAuthError::insufficient_scope(description)));
    }
    Ok(claims_of(context, token, found).await?)
}

/// Reads the access token of a request: in the header or in the form, by one method only (RFC 6750 §2).
async fn read_token(context: &Context, request: Request) -> Result<Option<Secret>, OAuthError> {
    let policies = context.config.policies;
    let in_header = bearer(policies.callers.bearer_scheme, request.headers());
    let in_form = if has_form(request.method(), request.headers()) {
        let syntax = policies.requests.form_syntax;
        let form = read_form(syntax, request, &["access_token"]).await?;
        form.get("access_token").map(Secret::new)
    } else {
        None
    };
    match (in_header, in_form) {
        (Bearer::Token(token), None) => Ok(Some(token)),
        (Bearer::None, in_form) => Ok(in_form),
        (Bearer::Ambiguous, _) => {
            let description = "more than one Authorization header";
            Err(OAuthError::invalid_request(description))
        }
        (Bearer::Token(_), Some(_)) => {
            let description = "the access token must be in the Authorization header or in the form";
            Err(OAuthError::invalid_request(description))
        }
    }
}

/// True if the request has a form. A body of another type is ignored: a client may send the token in the
/// header and an empty JSON body.
fn has_form(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::POST && is_form(headers)
}

/// Builds the response to a valid token.
async fn claims_of(
    context: &Context,
    token: VerifiedAccessToken,
    TokenAccount { account, userinfo }: TokenAccount,
) -> Result<Response, OAuthError> {
    let policy = context.config.policies.tokens.claims;
    let terms = if policy == ClaimPolicy::Standard {
        userinfo
    } else {
        UserinfoTerms::default()
    };
    let released = policy.released(ClaimPlace::Userinfo, &token.scope, &terms.claims);
    let person = person_claims::collect(context, &account, &released).await?;
    match token.client_id {
        Some(client_id) if terms.signed => {
            let claims = SignedUserinfo {
                aud: &client_id,
                exp: token.expires_at,
                iss: &context.config.issuer(),
                sub: &account.id,
                person,
            };
            sign(context, &claims).await
        }
        _ => Ok(Json(UserInfo {
            person,
            sub: account.id,
        })
        .into_response()),
    }
}

/// The algorithm that clients register (`userinfo_signed_response_alg`).
const USERINFO_ALGORITHM: SigningAlgorithm = SigningAlgorithm::Rs256;

async fn sign(context: &Context, claims: &SignedUserinfo<'_>) -> Result<Response, OAuthError> {
    const JWT: HeaderValue = HeaderValue::from_static("application/jwt");
    let keys = context.keys.as_ref();
    let keys = keys.ok_or_else(|| OAuthError::server_error("there is no key"))?;
    let signed = keys.turn_with(USERINFO_ALGORITHM).await?;
    let signed = signed.sign("JWT", claims).await?;
    Ok(([(CONTENT_TYPE, JWT)], signed).into_response())
}

async fn is_access_key(context: &Context, bearer: &Secret) -> Result<bool, OAuthError> {
    Ok(access_keys::verify(context, bearer).await?.is_some())
}
