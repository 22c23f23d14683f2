//! The revocation endpoint, `POST /api/oauth/revoke` (RFC 7009).

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use time::Duration;

use super::{TokenInquiry, refuse_client, require_enabled};
use crate::context::{Context, SharedContext};
use crate::http::authorization::read_access_token;
use crate::http::error::responses;
use crate::http::extract::ClientAddress;
use crate::ids::GrantId;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{ForWhom, VerifiedAccessToken};
use crate::store::audit::{self, Entry, Event};
use crate::store::clients::Client;
use crate::store::refresh_token_family::{self, Member};
use crate::store::refresh_tokens::{self, RefreshToken};
use crate::store::revoked_tokens;

/// The path of the endpoint.
const PATH: &str = "/api/oauth/revoke";

/// The reason stored in `auth_grants`.
const REVOCATION_REASON: &str = "by_client";

/// Maximum lifetime of an access token, in seconds (the settings allow 24 h).
const LIFE_MAX: i64 = 86_400;

/// The form of a revocation request.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthRevocationProps)]
pub struct RevocationForm {
    /// The token.
    pub token: String,
    /// The kind of token. Ignored: all kinds are searched.
    pub token_type_hint: Option<String>,
    /// The client id, unless sent in the `Authorization` header.
    pub client_id: Option<String>,
    /// The client secret, unless sent in the `Authorization` header.
    pub client_secret: Option<String>,
}

/// `POST /api/oauth/revoke`.
#[utoipa::path(
    post,
    path = "/api/oauth/revoke",
    operation_id = "OAuthRevoke",
    tag = "auth",
    security((), ("client" = [])),
    request_body(content = RevocationForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The token is revoked or was never valid"),
        responses::OAuthInvalid,
        responses::OAuthUnauthorized,
    ),
)]
pub async fn revoke(
    State(context): State<SharedContext>,
    address: ClientAddress,
    request: Request,
) -> Response {
    match answer(&context, address, request).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refuse_client(&context, error),
    }
}

async fn answer(
    context: &Context,
    address: ClientAddress,
    request: Request,
) -> Result<(), OAuthError> {
    let inquiry = TokenInquiry::read(context, address, request).await?;
    require_enabled(context)?;
    let (client, _) = inquiry.authenticate(context, PATH).await?;
    let revoked = revoke_for(context, &inquiry, &client).await;
    revoked.inspect_err(|error| context.record_client_error(PATH, &client, error))
}

/// Revokes the token of a request of an authenticated client.
async fn revoke_for(
    context: &Context,
    inquiry: &TokenInquiry,
    client: &Client,
) -> Result<(), OAuthError> {
    let token = inquiry.token()?;
    let entry = |event| {
        Entry::new(event, context.clock.now())
            .client(&client.client_id)
            .from(inquiry.address.0)
    };
    if let Some(token) = refresh_tokens::find(&context.db, &token.hash()).await? {
        let entry = entry(Event::GrantRevoked).of(&token.account.id);
        return end_refresh_token(context, client, token, entry).await;
    }
    match read_access_token(context, &token, ForWhom::Anybody).await? {
        Some(token) => {
            let event = match &token.grant {
                Some(_) if !token.for_client_itself => Event::GrantRevoked,
                _ => Event::AccessTokenRevoked,
            };
            let entry = entry(event).of(&token.account);
            end_access_token(context, client, token, entry).await
        }
        None => Ok(()), // RFC 7009 §2.2: an invalid token needs no revocation
    }
}

/// Revokes the whole grant: all refresh tokens and, by the `gid` claim, all access tokens (§2.1).
async fn end_refresh_token(
    context: &Context,
    client: &Client,
    token: RefreshToken,
    entry: Entry,
) -> Result<(), OAuthError> {
    if token.client != client.row_id {
        return Err(issued_to_different_client());
    }
    let grant = token.grant.map(|grant| grant.id);
    let subject = grant
        .as_ref()
        .map_or_else(|| token.id.to_string(), GrantId::to_string);
    let member = Member {
        token: Some(token.id),
        grant,
    };
    end_family(context, member, entry.subject(subject)).await
}

async fn end_family(context: &Context, member: Member, entry: Entry) -> Result<(), OAuthError> {
    refresh_token_family::end(&context.db, member, true, REVOCATION_REASON, entry).await?;
    Ok(())
}

async fn end_access_token(
    context: &Context,
    client: &Client,
    token: VerifiedAccessToken,
    entry: Entry,
) -> Result<(), OAuthError> {
    let cannot = || {
        let description = "This access token has neither a grant nor an id and cannot be revoked; it expires \
             soon";
        OAuthError::unsupported_token_type(description)
    };
    let owner = token.client_id.ok_or_else(cannot)?;
    if owner != client.client_id {
        return Err(issued_to_different_client());
    }
    // For client credentials, revoke only this token: all tokens of the client share the grant.
    let grant = token.grant.filter(|_| !token.for_client_itself);
    match (grant, token.jti, token.expires_at) {
        (Some(grant), ..) => {
            let entry = entry.subject(&grant);
            let member = Member {
                token: None,
                grant: Some(grant),
            };
            end_family(context, member, entry).await
        }
        (None, Some(jti), Some(end)) => {
            let now = context.clock.now();
            let left = Duration::seconds(end.saturating_sub(now.unix_seconds()).min(LIFE_MAX) + 1);
            let entry = entry.subject(&jti);
            let input = (jti, now + left, entry);
            let revoked = context.db.write(input, |tx, (jti, end, entry)| {
                Box::pin(async move {
                    if revoked_tokens::insert(tx, jti, *end).await? {
                        audit::insert(tx, entry).await?;
                    }
                    Ok(())
                })
            });
            Ok(revoked.await?)
        }
        (None, ..) => Err(cannot()),
    }
}

/// Returns the error for a token of a different client: refused and not revoked (RFC 7009 §2.1).
fn issued_to_different_client() -> OAuthError {
    OAuthError::invalid_grant("The token was issued to another client")
}
