//! The userinfo endpoint, `GET` and `POST /api/oauth/userinfo` (OpenID Connect Core §5.3).
//!
//! 1. Read the access token: in the header or, of a `POST`, in the form (RFC 6750 §2.1 and §2.2).
//! 2. Verify the token with the proof of its key, if bound (RFC 9449 §7), and require the scope `openid`.
//! 3. Collect the claims that the scope releases, and the claims that the client requested one by one
//!    (§5.5).
//! 4. Respond with JSON or, for a client with `userinfo_signed_response_alg`, with a signed JWT (§5.3.2).

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{challenge_token, with_challenges};
use utoipa::{IntoResponses, ToResponse};

use crate::accounts::{access_keys, person_claims};
use crate::context::{Context, SharedContext};
use crate::http::authorization::{
    Authorization, Credential, accept_access_token, authorization, challenge_scheme, invalid_token,
};
use crate::http::dpop::RequestHead;
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::{is_form, read_form_of};
use crate::ids::AccountId;
use crate::oauth::access_token::VerifiedAccessToken;
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
    #[response(status = 403, headers(("WWW-Authenticate" = String, description = "Bearer challenge (RFC 6750 §3), or DPoP challenge (RFC 9449 §7.1)")))]
    InsufficientScope(OAuthErrorBody),
}

/// No access token, or one that is no longer good
#[derive(Debug, ToResponse)]
#[response(headers(("WWW-Authenticate" = String, description = "Bearer challenge (RFC 6750 §3) and DPoP challenge (RFC 9449 §7.1)"), ("DPoP-Nonce" = String, description = "Nonce for the next DPoP proof, if the server requires nonces (RFC 9449 §9)")))]
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
    let scheme = challenge_scheme(context.config.policies, request.headers());
    let unauthenticated = || {
        let response = ApiError::unauthenticated().into_response();
        with_challenges(&context, response, scheme, None)
    };
    match answer(&context, request).await {
        Ok(response) => response,
        Err(Some(error))
            if policy.errors_are_problems && error.code == ErrorCode::InsufficientScope =>
        {
            ApiError::forbidden(error.description).into_response()
        }
        // Storyden answers an invalid token like a missing token.
        Err(Some(error)) if policy.errors_are_problems && !error.status().is_server_error() => {
            unauthenticated()
        }
        // RFC 6750 §3.1: no error code if the request has no token
        Err(None) => unauthenticated(),
        Err(Some(error)) => challenge_token(&context, scheme, error),
    }
}

/// Returns the response; `None` as the error if the request has no token.
async fn answer(context: &Context, request: Request) -> Result<Response, Option<OAuthError>> {
    let (parts, body) = request.into_parts();
    let token = read_token(context, &parts, body).await?.ok_or(None)?;
    if context.config.policies.userinfo.errors_are_problems
        && is_access_key(context, token.secret()).await?
    {
        // storyden-contract.md#callers-of-each-operation: a valid credential of the wrong kind
        let description = "An access key cannot be used here";
        return Err(Some(OAuthError::insufficient_scope(description)));
    }
    let credential = token.credential(RequestHead::of(&parts));
    let accepted = accept_access_token(context, credential).await;
    let (token, found) = accepted.map_err(OAuthError::from)?;
    if !found.account.may_use_clients() {
        return Err(Some(invalid_token()));
    }
    let policy = context.config.policies.userinfo;
    if !token.scope.contains(ScopeName::Openid) && !policy.openid_optional {
        let description = "The access token has no scope openid";
        return Err(Some(OAuthError::insufficient_scope(description)));
    }
    Ok(claims_of(context, token, found).await?)
}

/// The access token of a request.
enum PresentedToken {
    Bearer(Secret),
    Dpop(Secret),
}

impl PresentedToken {
    fn secret(&self) -> &Secret {
        match self {
            Self::Bearer(token) | Self::Dpop(token) => token,
        }
    }

    fn credential<'a>(&'a self, head: RequestHead<'a>) -> Credential<'a> {
        match self {
            Self::Bearer(token) => Credential::Bearer(token),
            Self::Dpop(token) => Credential::Dpop(token, Some(head)),
        }
    }
}

/// Reads the access token of a request: in the header or in the form, by one method only (RFC 6750 §2).
async fn read_token(
    context: &Context,
    parts: &Parts,
    body: Body,
) -> Result<Option<PresentedToken>, OAuthError> {
    let policies = context.config.policies;
    let in_header = authorization(policies, &parts.headers);
    let in_form = if has_form(&parts.method, &parts.headers) {
        let syntax = policies.requests.form_syntax;
        let form = read_form_of(syntax, parts, body, &["access_token"]).await?;
        form.get("access_token").map(Secret::new)
    } else {
        None
    };
    match (in_header, in_form) {
        (Authorization::Bearer(token), None) => Ok(Some(PresentedToken::Bearer(token))),
        (Authorization::Dpop(token), None) => Ok(Some(PresentedToken::Dpop(token))),
        (Authorization::None, in_form) => Ok(in_form.map(PresentedToken::Bearer)),
        (Authorization::Ambiguous, _) => {
            let description = "more than one Authorization header";
            Err(OAuthError::invalid_request(description))
        }
        (Authorization::Bearer(_) | Authorization::Dpop(_), Some(_)) => {
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
    TokenAccount {
        account, userinfo, ..
    }: TokenAccount,
) -> Result<Response, OAuthError> {
    let policy = context.config.policies.tokens.claims;
    let terms = if policy == ClaimPolicy::Standard {
        userinfo
    } else {
        UserinfoTerms::default()
    };
    let released = policy.released(ClaimPlace::Userinfo, &token.scope, &terms.claims);
    let person = person_claims::collect(context, &account, &released).await?;
    match (token.client_id, terms.algorithm) {
        (Some(client_id), Some(algorithm)) => {
            let claims = SignedUserinfo {
                aud: &client_id,
                exp: token.expires_at,
                iss: &context.config.issuer(),
                sub: &account.id,
                person,
            };
            sign(context, algorithm, &claims).await
        }
        _ => Ok(Json(UserInfo {
            person,
            sub: account.id,
        })
        .into_response()),
    }
}

async fn sign(
    context: &Context,
    algorithm: SigningAlgorithm,
    claims: &SignedUserinfo<'_>,
) -> Result<Response, OAuthError> {
    const JWT: HeaderValue = HeaderValue::from_static("application/jwt");
    let keys = context.keys.as_ref();
    let keys = keys.ok_or_else(|| OAuthError::server_error("there is no key"))?;
    let signed = keys.turn_with(Some(algorithm)).await?;
    let signed = signed.sign("JWT", claims).await?;
    Ok(([(CONTENT_TYPE, JWT)], signed).into_response())
}

async fn is_access_key(context: &Context, bearer: &Secret) -> Result<bool, OAuthError> {
    Ok(access_keys::verify(context, bearer).await?.is_some())
}
