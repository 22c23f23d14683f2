//! RP-initiated logout, `GET` and `POST /api/oauth/end_session` (OpenID Connect RP-Initiated Logout
//! 1.0).
//!
//! 1. Check the parameters: the client is the audience of the hint, the redirect URI is registered for that
//!    client. Errors are shown here and never redirected (§3). A hint that cannot be verified, such as one of
//!    a replaced signing key, counts as no hint and vouches for no redirect URI (§2, §4).
//! 2. Without a session, redirect to the client at once, or show that the browser is signed out.
//! 3. If the hint names the signed-in account, end the session.
//! 4. In every other case the request may be forged (CSRF), so ask the user on a page (§2, §6). The
//!    page signs out and returns here without a session.
//!
//! A form posted by a foreign site arrives without the session cookie, because the cookie is
//! `SameSite=Lax`. A redirect to the same request by `GET` brings the cookie back.

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::form_urlencoded::Serializer;

use super::require_enabled;
use crate::clients;
use crate::context::{Context, SharedContext};
use crate::http::caller::session_of;
use crate::http::cookies::set_cookies;
use crate::http::error::responses;
use crate::http::extract::{ClientAddress, Decoded, decode, read_form};
use crate::http::pages;
use crate::http::session_cookie;
use crate::oauth::OAuthError;
use crate::oauth::access_token::Audience;
use crate::oauth::redirect_uri::with_parameters;
use crate::store::audit::{Entry, Event};
use crate::store::client_details;

/// The parameters that this endpoint reads (§2).
const KNOWN: &[&str] = &[
    "id_token_hint",
    "logout_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "ui_locales",
];

/// The claims to check in `id_token_hint`. Expired ID tokens are accepted.
#[derive(Deserialize)]
struct Hint {
    iss: String,
    sub: String,
    aud: Audience,
    /// Present in ID tokens, absent in signed userinfo responses.
    #[serde(rename = "iat")]
    _iat: i64,
    /// Present in access tokens, absent in ID tokens.
    #[serde(default)]
    jti: Option<IgnoredAny>,
}

/// A validated request.
struct LogoutRequest {
    /// The account in the verified hint.
    subject: Option<String>,
    /// The client, if named.
    client_id: Option<String>,
    /// The registered redirect URI after logout.
    target: Option<String>,
    /// Returned unchanged.
    state: Option<String>,
}

/// `GET /api/oauth/end_session`.
#[utoipa::path(
    get,
    path = "/api/oauth/end_session",
    operation_id = "OAuthEndSession",
    tag = "auth",
    security((), ("browser" = [])),
    params(
        ("id_token_hint" = Option<String>, Query, description = "ID token of the user; may be expired"),
        ("client_id" = Option<String>, Query, description = "Client id"),
        ("post_logout_redirect_uri" = Option<String>, Query, description = "Redirect target after sign-out, registered by the client"),
        ("state" = Option<String>, Query, description = "Returned unchanged"),
    ),
    responses(
        (status = 200, description = "Page after sign-out without a redirect target", body = String, content_type = "text/html"),
        (status = 303, description = "Redirect after sign-out, or to the confirmation page",
            headers(("Location" = String, description = "Redirect target"))),
        responses::OAuthInvalid,
    ),
)]
pub async fn end_session(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    match answer(&context, &query, address, &headers).await {
        Ok(response) => response,
        Err(error) => refuse(&context, error, &headers),
    }
}

/// The form of a logout request.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = OAuthEndSessionProps)]
pub struct EndSessionForm {
    /// An ID token of the account; may be expired.
    pub id_token_hint: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// Redirect URI after logout, registered by the client.
    pub post_logout_redirect_uri: Option<String>,
    /// Returned unchanged.
    pub state: Option<String>,
}

/// `POST /api/oauth/end_session`: redirects to the same request by `GET`.
#[utoipa::path(
    post,
    path = "/api/oauth/end_session",
    operation_id = "OAuthEndSessionByForm",
    tag = "auth",
    security((), ("browser" = [])),
    request_body(content = EndSessionForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Redirect to the same request by `GET`",
            headers(("Location" = String, description = "This endpoint"))),
        responses::OAuthInvalid,
    ),
)]
pub async fn end_session_by_form(
    State(context): State<SharedContext>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    match read_form(context.config.policies.requests.form_syntax, request, KNOWN).await {
        Ok(form) => redirect(&endpoint(&context, form.values.iter()), Vec::new()),
        Err(error) => refuse(&context, error, &headers),
    }
}

async fn answer(
    context: &Context,
    query: &str,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<Response, OAuthError> {
    require_enabled(context)?;
    let asked = LogoutRequest::read(context, &decode(query, KNOWN)?.without_repeats()?).await?;
    let now = context.clock.now();
    let Some(session) = session_of(context, headers).await? else {
        return Ok(asked.finish(context, headers, Vec::new()));
    };
    if asked.subject.as_deref() != Some(session.account.id.as_str()) {
        return Ok(asked.ask(context));
    }
    let entry = Entry::new(Event::SignedOut, now).from(address.0);
    let entry = match &asked.client_id {
        Some(client_id) => entry.client(client_id),
        None => entry,
    };
    let input = (session_cookie::every_token(&context.config, headers), entry);
    context
        .db
        .write(input, |tx, (tokens, entry)| {
            Box::pin(session_cookie::revoke_all(tx, tokens, entry))
        })
        .await?;
    let cookies = session_cookie::end(&context.config, headers, now);
    Ok(asked.finish(context, headers, cookies))
}

impl LogoutRequest {
    /// Checks the parameters (step 1).
    async fn read(context: &Context, given: &Decoded) -> Result<Self, OAuthError> {
        let hint = given.get("id_token_hint");
        let is_given = hint.is_some();
        let hint = match hint {
            Some(hint) => read_hint(context, hint).await?,
            None => None,
        };
        let is_unverified = is_given && hint.is_none();
        let named = given.get("client_id");
        let client_id = match (&hint, named) {
            (Some(hint), Some(named)) if !hint.aud.contains(named) => {
                let description = "client_id is not the client that id_token_hint was issued to";
                return Err(OAuthError::invalid_request(description));
            }
            (
                Some(Hint {
                    aud: Audience::One(only),
                    ..
                }),
                None,
            ) => Some(only.as_str()),
            (_, named) => named,
        };
        let target = given.get("post_logout_redirect_uri");
        // §3: no redirect for a hint that proves nothing
        let target = target.filter(|_| client_id.is_some() || !is_unverified);
        if let Some(target) = target {
            require_registered(context, client_id, target).await?;
        }
        Ok(Self {
            client_id: client_id.map(str::to_owned),
            target: target.map(str::to_owned),
            state: given.get("state").map(str::to_owned),
            subject: hint.map(|hint| hint.sub),
        })
    }

    /// Redirects to the client's URI or, without such a URI, shows that the browser is signed out (steps 2
    /// and 3).
    fn finish(&self, context: &Context, headers: &HeaderMap, cookies: Vec<String>) -> Response {
        let Some(target) = &self.target else {
            let page = pages::Renderer::new(context, headers).signed_out();
            return (set_cookies(cookies), page).into_response();
        };
        let state = self.state.as_deref().map(|state| ("state", state));
        redirect(&with_parameters(target, state.as_slice()), cookies)
    }

    /// Redirects to the logout page (step 4). The page returns with all parameters except the hint.
    fn ask(&self, context: &Context) -> Response {
        let mut page = context.config.logout_page();
        if let (Some(client_id), Some(target)) = (&self.client_id, &self.target) {
            let parameters = [
                Some(("client_id", client_id)),
                Some(("post_logout_redirect_uri", target)),
                self.state.as_ref().map(|state| ("state", state)),
            ];
            let back = endpoint(context, parameters.into_iter().flatten());
            let origin = page.origin().ascii_serialization();
            let back = back.strip_prefix(&origin).unwrap_or(&back);
            page.query_pairs_mut().append_pair("return_url", back);
        }
        redirect(page.as_str(), Vec::new())
    }
}

/// Verifies the signature and issuer of a hint (§2, §4), not the expiry; `None` if the hint is no ID token
/// of this server, or not verifiable any more.
async fn read_hint(context: &Context, hint: &str) -> Result<Option<Hint>, OAuthError> {
    let Some(keys) = &context.keys else {
        return Ok(None);
    };
    let claims: Option<Hint> = keys.verify_hint(hint).await?;
    let issuer = context.config.issuer();
    Ok(claims.filter(|claims| claims.iss == issuer && claims.jti.is_none()))
}

/// Requires a registered redirect URI, compared byte by byte (§3).
async fn require_registered(
    context: &Context,
    client_id: Option<&str>,
    target: &str,
) -> Result<(), OAuthError> {
    let client_id = client_id.ok_or_else(|| {
        let description = "post_logout_redirect_uri requires id_token_hint or client_id";
        OAuthError::invalid_request(description)
    })?;
    let client = clients::find(context, client_id).await?;
    let client = client.ok_or_else(|| OAuthError::invalid_client("Client not found"))?;
    let details = client_details::find(&context.db, &client.row_id).await?;
    if details
        .post_logout_redirect_uris
        .iter()
        .any(|known| known == target)
    {
        return Ok(());
    }
    Err(OAuthError::invalid_request(
        "post_logout_redirect_uri is not registered for this client",
    ))
}

/// Builds the URL of this endpoint with parameters.
fn endpoint(
    context: &Context,
    parameters: impl Iterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
) -> String {
    let query = Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    let endpoint = format!("{}/oauth/end_session", context.config.endpoint_base());
    if query.is_empty() {
        endpoint
    } else {
        format!("{endpoint}?{query}")
    }
}

/// Redirects with 303 (RFC 9700 §4.12); caches do not store the response.
fn redirect(location: &str, cookies: Vec<String>) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (
            StatusCode::SEE_OTHER,
            [
                (CACHE_CONTROL, HeaderValue::from_static("no-store")),
                (LOCATION, location),
            ],
            set_cookies(cookies),
        )
            .into_response(),
        Err(error) => OAuthError::server_error(error).into_response(),
    }
}

/// Reports an error: as an HTML page to browsers, as JSON to other clients.
fn refuse(context: &Context, error: OAuthError, headers: &HeaderMap) -> Response {
    if pages::accepts_pages(headers) {
        error.log();
        return pages::Renderer::new(context, headers).sign_out_error(&error);
    }
    error.into_response()
}
