//! The introspection endpoint, `POST /api/oauth/introspect` (RFC 7662). A confidential client may
//! introspect tokens issued to that client, an administrator all tokens.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{TokenInquiry, challenge_token, refuse_client, require_enabled};
use crate::clients;
use crate::context::{Context, SharedContext};
use crate::http::authorization::{
    Authorization, Credential, authorization, challenge_scheme, invalid_token, verify_access_token,
};
use crate::http::caller::Caller;
use crate::http::error::OAuthErrorBody;
use crate::http::error::responses;
use crate::http::extract::ClientAddress;
use crate::ids::AccountId;
use crate::oauth::access_token::{Audience, ForWhom, VerifiedAccessToken};
use crate::oauth::dpop::{Confirmation, token_type};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::permission::Permission;
use crate::oauth::scope::Scope;
use crate::oauth::token_exchange::Actor;
use crate::oauth::{ErrorCode, OAuthError};
use crate::resources::{self, Granted};
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::refresh_tokens::{self, RefreshToken};

/// The path of the endpoint.
const PATH: &str = "/api/oauth/introspect";

/// The state of a token (RFC 7662 §2.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Introspection {
    /// A valid token.
    Active(Box<Active>),
    /// An invalid token, or a token that the caller may not introspect.
    Inactive(Inactive),
}

/// The answer without details (RFC 7662 §2.2, §4).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)] // makes the two states exclusive in the OpenAPI document
pub struct Inactive {
    /// Always false.
    active: bool,
}

/// The state of a valid token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Active {
    /// Always true.
    #[serde(rename = "active")]
    is_good: bool,
    /// The clients that act for the account, after a token exchange (RFC 8693 §4.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Actor>,
    /// The audience of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<Audience>,
    /// The key that the token is bound to (RFC 9449 §6.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    cnf: Option<Confirmation>,
    /// The client of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Expiry, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// Time of issue, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// The issuer: this server.
    iss: String,
    /// The id of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    /// The token's scopes that account and client still hold.
    scope: String,
    /// The account that the token acts for.
    sub: AccountId,
    /// Type of an access token: `Bearer`, or `DPoP` if the token is bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// The handle of the account.
    username: String,
}

/// The authenticated caller.
enum Requester {
    /// A client, for tokens issued to that client.
    Client(Box<Client>),
    /// An administrator, for all tokens.
    Administrator,
}

/// The form of an introspection request.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthIntrospectionProps)]
pub struct IntrospectionForm {
    /// The token.
    pub token: String,
    /// The kind of token. Ignored: all kinds are searched.
    pub token_type_hint: Option<String>,
    /// The client id, unless sent in the `Authorization` header.
    pub client_id: Option<String>,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
}

/// `POST /api/oauth/introspect`.
#[utoipa::path(
    post,
    path = "/api/oauth/introspect",
    operation_id = "OAuthIntrospect",
    tag = "auth",
    security((), ("client" = []), ("oauth_token" = []), ("access_key" = [])),
    request_body(content = IntrospectionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "State and claims of the token", body = Introspection),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
        (
            status = 403,
            description = "The account lacks the permission ADMINISTRATOR",
            body = OAuthErrorBody,
            headers(("WWW-Authenticate" = String, description = "Bearer challenge (RFC 6750 §3)"))
        ),
    ),
)]
pub async fn introspect(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    let scheme = challenge_scheme(context.config.policies, request.headers());
    match answer(&context, address, request).await {
        Ok(introspection) => Json(introspection).into_response(),
        Err(error) => match error.code {
            ErrorCode::InvalidToken
            | ErrorCode::InvalidDpopProof
            | ErrorCode::UseDpopNonce
            | ErrorCode::InsufficientScope => challenge_token(&context, scheme, error),
            // RFC 7662 §2.3: 401 for every authentication method
            ErrorCode::InvalidClient => refuse_client(&context, error.challenged()),
            _ => refuse_client(&context, error),
        },
    }
}

async fn answer(
    context: &Context,
    address: ClientAddress,
    request: Request,
) -> Result<Introspection, OAuthError> {
    let inquiry = TokenInquiry::read(context, address, request).await?;
    require_enabled(context)?;
    let requester = requester(context, &inquiry).await?;
    let token = inquiry.token()?;
    let active = match refresh_tokens::find(&context.db, &token.hash()).await? {
        Some(token) => of_refresh_token(context, &requester, token).await?,
        None => match verify_access_token(context, &token, ForWhom::Anybody).await? {
            Some((token, found)) => {
                of_access_token(context, &requester, token, found.account).await?
            }
            None => None,
        },
    };
    Ok(match active {
        Some(active) => Introspection::Active(Box::new(active)),
        None => Introspection::Inactive(Inactive { active: false }),
    })
}

/// Authenticates the caller (§2.1): a bearer token must belong to an administrator; other credentials
/// are a client's.
async fn requester(context: &Context, inquiry: &TokenInquiry) -> Result<Requester, OAuthError> {
    let form = &inquiry.form;
    let authorization = authorization(context.config.policies, &inquiry.headers);
    let credential = match &authorization {
        Authorization::Bearer(token) => Some(Credential::Bearer(token)),
        Authorization::Dpop(token) => Some(Credential::Dpop(token, Some(inquiry.head()))),
        Authorization::None | Authorization::Ambiguous => None,
    };
    if let Some(credential) = credential {
        if form.get("client_id").is_some() || form.get("client_secret").is_some() {
            let two = "an access token and client credentials; send one of them";
            return Err(OAuthError::invalid_request(two));
        }
        let (account, permissions) = match Caller::by_credential(context, credential).await? {
            Caller::AccessToken(account, permissions) => (account, permissions),
            Caller::PersonalKey(key) | Caller::BotKey(key) => {
                let permissions = key.account.permissions;
                (key.account, permissions)
            }
            Caller::NotPermitted(permission) => {
                return Err(OAuthError::insufficient_scope(format!(
                    "The account of the bearer lacks the permission {}",
                    permission.name()
                )));
            }
            Caller::Refused(error) => return Err(*error),
            Caller::Session(_) | Caller::Guest | Caller::Unproven => return Err(invalid_token()),
        };
        if account.suspended || !permissions.permits(Permission::Administrator) {
            let description = "This needs the permission ADMINISTRATOR, or a client's credentials";
            return Err(OAuthError::insufficient_scope(description));
        }
        return Ok(Requester::Administrator);
    }
    let (client, credentials) = inquiry.authenticate(context, PATH).await?;
    if client.kind == ClientType::Public {
        // §2.1, §4 (token scanning): anybody can present the id of a public client
        let description = "A public client cannot introspect: it cannot authenticate";
        let error = credentials.refuse(description);
        let error = error.mistake(MistakeKind::AuthMethod, Some(credentials.method().name()));
        context.record_client_error(PATH, &client, &error);
        return Err(error);
    }
    Ok(Requester::Client(Box::new(client)))
}

/// Describes a refresh token; `None` if the token is not valid for this caller.
async fn of_refresh_token(
    context: &Context,
    requester: &Requester,
    token: RefreshToken,
) -> Result<Option<Active>, OAuthError> {
    let is_alive = token.revoked_at.is_none()
        && token.expires_at > context.clock.now()
        && !token.account.suspended
        && token.account.may_use_clients()
        && token.is_granted(context.clock.now());
    let client = match requester {
        Requester::Client(client) => {
            Some((**client).clone()).filter(|own| own.row_id == token.client)
        }
        Requester::Administrator => {
            crate::store::clients::find_by_row(&context.db, &token.client).await?
        }
    };
    let client = client.filter(|client| is_alive && client.may_use(GrantType::RefreshToken));
    let Some(client) = client else {
        return Ok(None);
    };
    let granted = token.grant.as_ref().map(|grant| Granted {
        resources: grant.resources.as_deref(),
        at: grant.created_at,
    });
    let scope = Scope::stored(&token.scope);
    let scope = resources::still_granted(context, &scope, granted).await?;
    let held = resources::held(context, &token.account, &scope).await?;
    let scope = client.scope.still_granted(&scope, &held);
    Ok(Some(Active {
        is_good: true,
        act: None,
        aud: None,
        cnf: token
            .grant
            .and_then(|grant| grant.dpop_jkt)
            .map(|jkt| Confirmation { jkt }),
        client_id: Some(client.client_id),
        exp: Some(token.expires_at.unix_seconds()),
        iat: None,
        iss: context.config.issuer(),
        jti: None,
        scope: scope.to_string(),
        sub: token.account.id,
        token_type: None,
        username: token.account.handle,
    }))
}

/// Describes a verified access token; `None` for a token of a different or deleted client.
async fn of_access_token(
    context: &Context,
    requester: &Requester,
    token: VerifiedAccessToken,
    account: Account,
) -> Result<Option<Active>, OAuthError> {
    let client = match (requester, &token.client_id) {
        (Requester::Client(client), Some(id)) if client.client_id == *id => {
            Some((**client).clone())
        }
        (Requester::Client(_), _) => return Ok(None),
        (Requester::Administrator, Some(id)) => match clients::find(context, id).await? {
            None => return Ok(None),
            client => client,
        },
        (Requester::Administrator, None) => None, // Storyden's tokens name no client
    };
    let scope = match &client {
        Some(client) => {
            let issued_at = token.issued_at;
            let scope = resources::still_of(context, &token.scope, &token.audience, issued_at);
            let scope = scope.await?;
            let held = resources::held(context, &account, &scope).await?;
            client.scope.still_granted(&scope, &held)
        }
        None => token.scope,
    };
    Ok(Some(Active {
        is_good: true,
        act: token.actor,
        aud: Some(token.audience),
        token_type: Some(token_type(token.key.as_ref())),
        cnf: token.key.map(|jkt| Confirmation { jkt }),
        client_id: token.client_id,
        exp: token.expires_at,
        iat: token.issued_at,
        iss: context.config.issuer(),
        jti: token.jti,
        scope: scope.to_string(),
        sub: account.id,
        username: account.handle,
    }))
}
