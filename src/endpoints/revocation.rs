//! The revocation endpoint, `POST /api/oauth/revoke` (RFC 7009): a client gives back what it got.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use time::Duration;

use super::extract::{ABOUT_A_TOKEN, ClientAddress, Decoded, credentials, read_form};
use super::{refuse_client, require_enabled};
use crate::accounts::caller::read_access_token;
use crate::app::{App, Shared};
use crate::clients;
use crate::clock::Timestamp;
use crate::error::answers;
use crate::ids::{GrantId, RefreshTokenId};
use crate::oauth::OAuthError;
use crate::oauth::access_token::{ForWhom, VerifiedAccessToken};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::clients::Client;
use crate::store::refresh_tokens::{self, RefreshToken};
use crate::store::revoked_tokens;

/// Why grants end here, in `auth_grants`.
const BECAUSE: &str = "by_client";

/// The longest life of an access token, in seconds (the settings allow 24 h).
const LIFE_MAX: i64 = 86_400;

/// The form, as the document of the API shows it.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthRevocationProps)]
pub struct RevocationForm {
    /// The token.
    pub token: String,
    /// What kind of token it is; passed over, since every kind is looked for.
    pub token_type_hint: Option<String>,
    /// Who asks, unless the `Authorization` header says so.
    pub client_id: Option<String>,
    /// The client's secret, unless it is in the header.
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
        (status = 200, description = "The token is good for nothing, or never was"),
        answers::OAuthInvalid,
        answers::OAuthUnauthorized,
    ),
)]
pub async fn revoke(
    State(app): State<Shared>,
    address: ClientAddress,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let form = read_form(app.config.profile, request, ABOUT_A_TOKEN).await;
    let outcome = match form {
        Ok(form) => answer(&app, &headers, &form, address).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refuse_client(&app, error),
    }
}

async fn answer(
    app: &App,
    headers: &HeaderMap,
    form: &Decoded,
    address: ClientAddress,
) -> Result<(), OAuthError> {
    require_enabled(app)?;
    let credentials = credentials(app.config.profile, headers, form)?;
    let client = clients::identify(app, &credentials).await?;
    clients::prove(app, &client, &credentials, address.0).await?;
    let token = Secret::new(form.require("token", "Missing token")?);
    let entry = |event| {
        Entry::new(event, app.clock.now())
            .client(&client.client_id)
            .from(address.0)
    };
    if let Some(token) = refresh_tokens::find(&app.db, &token.hash()).await? {
        let entry = entry(Event::GrantRevoked).of(&token.account.id);
        return end_refresh_token(app, &client, token, entry).await;
    }
    match read_access_token(app, &token, ForWhom::Anybody) {
        Some(token) => {
            let event = match &token.grant {
                Some(_) => Event::GrantRevoked,
                None => Event::AccessTokenRevoked,
            };
            let entry = entry(event).of(&token.account);
            end_access_token(app, &client, token, entry).await
        }
        None => Ok(()), // §2.2: it is good for nothing, which is what was wanted
    }
}

/// What is written, and its line of the audit trail.
struct Ending {
    what: What,
    entry: Entry,
}

/// What ends.
enum What {
    /// A refresh token with its grant and all that came of either.
    Family(Option<GrantId>, RefreshTokenId),
    /// A grant.
    Grant(GrantId),
    /// One access token, until it expires by itself.
    AccessToken(String, Timestamp),
}

/// Ends the whole grant: every refresh token of it and, by its `gid`, every access token (§2.1).
async fn end_refresh_token(
    app: &App,
    client: &Client,
    token: RefreshToken,
    entry: Entry,
) -> Result<(), OAuthError> {
    if token.client != client.row_id {
        return Err(of_another_client());
    }
    let grant = token.grant.map(|grant| grant.id);
    let subject = grant
        .as_ref()
        .map_or_else(|| token.id.to_string(), GrantId::to_string);
    let ending = Ending {
        what: What::Family(grant, token.id),
        entry: entry.subject(subject),
    };
    ending.write(app).await
}

async fn end_access_token(
    app: &App,
    client: &Client,
    token: VerifiedAccessToken,
    entry: Entry,
) -> Result<(), OAuthError> {
    let cannot = || {
        let description =
            "This access token has no grant and no id to revoke it by; it expires soon";
        OAuthError::unsupported_token_type(description)
    };
    let owner = token.client_id.ok_or_else(cannot)?;
    if owner != client.client_id {
        return Err(of_another_client());
    }
    let (what, subject) = match (token.grant, token.jti, token.expires_at) {
        (Some(grant), ..) => (What::Grant(grant.clone()), grant.to_string()),
        (None, Some(jti), Some(end)) => {
            let now = app.clock.now();
            let left = Duration::seconds(end.saturating_sub(now.unix_seconds()).min(LIFE_MAX) + 1);
            (What::AccessToken(jti.clone(), now + left), jti)
        }
        (None, ..) => return Err(cannot()),
    };
    let ending = Ending {
        what,
        entry: entry.subject(subject),
    };
    ending.write(app).await
}

impl Ending {
    async fn write(self, app: &App) -> Result<(), OAuthError> {
        let write = app.db.write(self, |tx, ending| Box::pin(ending.commit(tx)));
        Ok(write.await?)
    }

    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        let now = self.entry.at;
        let ended = match &self.what {
            What::Grant(grant) => refresh_tokens::revoke_grant(tx, grant, BECAUSE, now).await?,
            What::Family(grant, token) => {
                let grant_ended = match grant {
                    Some(grant) => refresh_tokens::revoke_grant(tx, grant, BECAUSE, now).await?,
                    None => refresh_tokens::revoke(tx, token, now).await?,
                };
                // those that a Storyden made of it are no members of the grant
                let rest = refresh_tokens::revoke_descendants(tx, token, BECAUSE, now).await?;
                grant_ended || rest
            }
            What::AccessToken(jti, end) => revoked_tokens::insert(tx, jti, *end).await?,
        };
        if ended {
            audit::insert(tx, &self.entry).await?;
        }
        Ok(())
    }
}

/// RFC 7009 §2.1: refused, and nothing is revoked.
fn of_another_client() -> OAuthError {
    OAuthError::invalid_grant("The token was issued to another client")
}
