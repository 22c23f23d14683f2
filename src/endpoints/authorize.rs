//! The authorization endpoint, `GET /api/oauth/authorize` (RFC 6749 §4.1.1).
//!
//! 1. Who asks, and where the answer goes. What is wrong here is never redirected (§3.1.2.4).
//! 2. Who is asked. Somebody who is not signed in goes to the login page and comes back to *this*
//!    request, which waits in a side table, bound to the browser by a cookie.
//! 3. What is asked. What is wrong here goes back to the client (§4.1.2.1), once its person is
//!    known (RFC 9700 §4.11.2).
//! 4. The request is stored and its person sent to the consent page.

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use time::Duration;
use url::Url;

use super::extract::{ClientAddress, Decoded, decode};
use super::require_enabled;
use crate::accounts::caller::{Caller, cookie, require_may_authorize};
use crate::app::{App, Shared};
use crate::clients;
use crate::error::ApiError;
use crate::ids::AuthorizationRequestId;
use crate::limits::{PENDING_REQUESTS, network_of};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::{AuthorizationRequest, Parameters};
use crate::oauth::grant_type::GrantType;
use crate::oauth::redirect_uri::{is_registered, with_parameters};
use crate::pages;
use crate::secret::{Secret, SecretHash};
use crate::store::accounts::Account;
use crate::store::authorization_requests::{self, NewPending, NewRequest};
use crate::store::clients::Client;

/// How long a person has to decide.
pub(super) const REQUEST_TTL: Duration = Duration::minutes(10);

/// The cookie that binds waiting requests to the browser they were made in.
pub(super) const BROWSER_COOKIE: &str = "storyden-auth-request";

/// The parameters that this endpoint knows; others are passed over (RFC 6749 §3.1).
const KNOWN: &[&str] = &[
    "response_type",
    "response_mode",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "acr_values",
    "display",
    "ui_locales",
    "claims",
    "request",
    "request_uri",
    "registration",
];

/// Why an authorization request is not answered by a consent page.
enum Refusal {
    /// It must not be redirected: a page or JSON with status 400.
    Here(OAuthError),
    /// The client is told by redirect.
    ByRedirect(OAuthError),
    /// The credential is of the wrong kind, or its account is suspended.
    Problem(ApiError),
}

/// `GET /api/oauth/authorize`.
pub async fn authorize(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Response {
    let (client, decoded, redirect_uri) = match target(&app, query.as_deref()).await {
        Ok(target) => target,
        Err(error) => return refuse_here(error, &headers),
    };
    let asked = Asked {
        client: &client,
        parameters: decoded,
        redirect_uri,
    };
    match asked.begin(&app, address, &headers).await {
        Ok(response) => response,
        Err(Refusal::Here(error)) => refuse_here(error, &headers),
        Err(Refusal::Problem(problem)) => problem.into_response(),
        Err(Refusal::ByRedirect(error)) => {
            error.log();
            let state = asked.parameters.get("state");
            redirect(&error_location(&app, &asked.redirect_uri, state, &error))
        }
    }
}

/// Step 1: the client and where it may be answered (RFC 6749 §3.1.2.3).
async fn target(app: &App, query: Option<&str>) -> Result<(Client, Decoded, String), OAuthError> {
    require_enabled(app)?;
    let decoded = decode(query.unwrap_or_default(), KNOWN)?;
    if let Some(name @ ("client_id" | "redirect_uri")) = decoded.repeated {
        return Err(OAuthError::invalid_request(format!(
            "{name} is given more than once"
        )));
    }
    let client_id = decoded.require("client_id", "client_id is missing")?;
    let Some(client) = clients::find(app, client_id).await? else {
        return Err(OAuthError::invalid_client("Client not found"));
    };
    let redirect_uri = match (decoded.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(asked), registered) if is_registered(asked, registered) => asked.to_owned(),
        (Some(_), _) => {
            let description = "Redirect URI is not registered for this client";
            return Err(OAuthError::invalid_request(description));
        }
        // RFC 6749 §3.1.2.3: it may be left out when there is only one
        (None, [only]) => only.clone(),
        (None, _) => return Err(OAuthError::invalid_request("redirect_uri is missing")),
    };
    Ok((client, decoded, redirect_uri))
}

/// A request whose client and redirect URI are good.
struct Asked<'a> {
    client: &'a Client,
    parameters: Decoded,
    redirect_uri: String,
}

impl Asked<'_> {
    /// Step 2.
    async fn begin(
        &self,
        app: &App,
        address: ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        match Caller::of(app, headers)
            .await
            .map_err(|error| Refusal::Here(error.into()))?
        {
            Caller::Guest | Caller::Refused => self.keep_for_login(app, address, headers).await,
            Caller::AccessToken(_) => Err(Refusal::Problem(wrong_credential())),
            Caller::Session(session) if session.account.suspended => {
                Err(Refusal::Problem(suspended()))
            }
            Caller::Session(session) => self.store(app, &session.account).await,
        }
    }

    /// The request waits while its person signs in.
    async fn keep_for_login(
        &self,
        app: &App,
        ClientAddress(address): ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let here = |error: crate::store::Error| Refusal::Here(error.into());
        app.limits
            .spend(&[(PENDING_REQUESTS, &network_of(address))])
            .map_err(|wait| {
                let busy =
                    OAuthError::temporarily_unavailable("Too many requests from this address");
                Refusal::Here(busy.retry_after(wait.0))
            })?;
        let mut parameters = self.parameters.values.clone();
        parameters.insert("redirect_uri".to_owned(), self.redirect_uri.clone());
        if let Some(name) = self.parameters.repeated {
            parameters.insert(REPEATED.to_owned(), name.to_owned());
        }
        let (request_id, now) = (Secret::generate(&app.random), app.clock.now());
        let browser = browser_of(headers).unwrap_or_else(|| Secret::generate(&app.random));
        let pending = NewPending {
            request_id: request_id.hash(),
            browser: browser.hash(),
            client: self.client.row_id.clone(),
            parameters: serde_json::json!(parameters),
            created_at: now,
            expires_at: now + REQUEST_TTL,
        };
        let insert = app.db.write(pending, |tx, pending| {
            Box::pin(authorization_requests::insert_pending(tx, pending))
        });
        insert.await.map_err(here)?;
        let mut response = redirect(login_location(app, &request_id).as_str());
        if let Ok(cookie) = HeaderValue::from_str(&browser_cookie(app, &browser)) {
            response.headers_mut().insert(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    /// Steps 3 and 4.
    async fn store(&self, app: &App, account: &Account) -> Result<Response, Refusal> {
        let request_id = Secret::generate(&app.random);
        let new = accept(
            app,
            self.client,
            &self.parameters,
            account,
            request_id.hash(),
        )
        .map_err(Refusal::ByRedirect)?;
        let insert = app
            .db
            .write(new, |tx, new| {
                Box::pin(authorization_requests::insert(tx, new))
            })
            .await;
        match insert {
            Ok(()) => {}
            Err(crate::store::Error::Gone) => {
                return Err(Refusal::Here(OAuthError::invalid_client(
                    "Client not found",
                )));
            }
            Err(error) => return Err(Refusal::ByRedirect(error.into())),
        }
        let page = with_request_id(app.config.code_consent_page(), &request_id);
        Ok(redirect(page.as_str()))
    }
}

/// A parameter of a kept request that says which of the others was repeated.
const REPEATED: &str = "(repeated)";

/// Step 3 for somebody who signed in after the request was made.
///
/// # Errors
/// What the client is to be told by redirect.
pub(super) fn accept_pending(
    app: &App,
    client: &Client,
    parameters: &Parameters,
    account: &Account,
    request_id: SecretHash,
) -> Result<NewRequest, OAuthError> {
    let repeated = parameters.get(REPEATED);
    let repeated = repeated
        .and_then(|name| KNOWN.iter().find(|known| *known == name))
        .copied();
    let decoded = Decoded {
        values: parameters.clone(),
        repeated,
    };
    accept(app, client, &decoded, account, request_id)
}

/// Step 3: whether the request is well-formed and this person may approve it.
fn accept(
    app: &App,
    client: &Client,
    decoded: &Decoded,
    account: &Account,
    request_id: SecretHash,
) -> Result<NewRequest, OAuthError> {
    if let Some(name) = decoded.repeated {
        return Err(OAuthError::invalid_request(format!(
            "{name} is given more than once"
        )));
    }
    let request = AuthorizationRequest::parse(&decoded.values)?;
    require_may_authorize(account)?;
    if !client.may_use(GrantType::AuthorizationCode) {
        return Err(OAuthError::unauthorized_client(
            "Client is not authorized for authorization_code grant",
        ));
    }
    let now = app.clock.now();
    let redirect_uri = match (decoded.get("redirect_uri"), client.redirect_uris.as_slice()) {
        (Some(asked), _) => asked.to_owned(),
        (None, [only]) => only.clone(),
        (None, _) => return Err(OAuthError::invalid_request("redirect_uri is missing")),
    };
    Ok(NewRequest {
        id: AuthorizationRequestId::generate(),
        request_id,
        account: account.id.clone(),
        client: client.row_id.clone(),
        redirect_uri,
        scope: request.scope.to_string(),
        state: request.state,
        nonce: request.nonce,
        code_challenge: request.code_challenge.as_str().to_owned(),
        created_at: now,
        expires_at: now + REQUEST_TTL,
    })
}

/// Where a client is told of an error (RFC 6749 §4.1.2.1), with the issuer (RFC 9207 §2).
pub(super) fn error_location(
    app: &App,
    redirect_uri: &str,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let mut parameters = vec![
        ("error", error.code.as_str()),
        ("error_description", &*error.description),
    ];
    parameters.extend(state.map(|state| ("state", state)));
    let issuer = app.config.issuer();
    parameters.push(("iss", &issuer));
    with_parameters(redirect_uri, &parameters)
}

/// The login page, which brings its person back to this very request.
fn login_location(app: &App, request_id: &Secret) -> Url {
    let page = with_request_id(app.config.code_consent_page(), request_id);
    let back = match page.query() {
        Some(query) => format!("{}?{query}", page.path()),
        None => page.path().to_owned(),
    };
    let mut login = app.config.login_page();
    login.query_pairs_mut().append_pair("return_url", &back);
    login
}

/// The consent page of a request; what the page's address has of its own stays.
fn with_request_id(mut page: Url, request_id: &Secret) -> Url {
    page.query_pairs_mut()
        .append_pair("request_id", request_id.reveal());
    page
}

/// What binds waiting requests to this browser, if it has it.
pub(super) fn browser_of(headers: &HeaderMap) -> Option<Secret> {
    cookie(headers, BROWSER_COOKIE).filter(|value| {
        let text = value.reveal().as_bytes();
        text.len() == 43
            && text
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b))
    })
}

fn browser_cookie(app: &App, browser: &Secret) -> String {
    let path = Url::parse(&app.config.endpoint_base()).map(|url| url.path().to_owned());
    let path = path.unwrap_or_else(|_| "/api".to_owned());
    let secure = if app.config.secure_cookies() {
        "; Secure"
    } else {
        ""
    };
    format!(
        "{BROWSER_COOKIE}={}; Path={path}/oauth; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
        browser.reveal(),
        REQUEST_TTL.whole_seconds(),
    )
}

/// A redirect that nobody keeps.
fn redirect(location: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::from_str(location) {
        Ok(location) => headers.insert(LOCATION, location),
        // a stored redirect URI that no header can carry
        Err(error) => return OAuthError::server_error(error).into_response(),
    };
    response
}

/// The answer to a request that must not be redirected: a page for a browser, JSON for the rest.
fn refuse_here(error: OAuthError, headers: &HeaderMap) -> Response {
    let accepts = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if error.status() == StatusCode::BAD_REQUEST && accepts.contains("text/html") {
        error.log();
        return pages::error_page("This application cannot sign you in", &error.description);
    }
    error.into_response()
}

/// An access token cannot approve an application (contract 3.5).
pub(super) fn wrong_credential() -> ApiError {
    ApiError::forbidden("An access token cannot be used here; sign in with a browser")
}

/// A suspended account gets nothing anywhere.
pub(super) fn suspended() -> ApiError {
    ApiError::forbidden("This account is suspended")
}
