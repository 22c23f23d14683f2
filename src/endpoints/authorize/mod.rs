//! The authorization endpoint, `GET` and `POST /api/oauth/authorize` (RFC 6749 §4.1.1, OpenID
//! Connect Core §3.1.2.1).
//!
//! 1. Who asks, and where the answer goes. What is wrong here is never redirected (§3.1.2.4).
//! 2. Who is asked. Somebody who is not signed in, or has to sign in again, goes to the login page
//!    and comes back to *this* request, which waits in a side table (`kept`).
//! 3. What is asked (`accept`). What is wrong here goes back to the client (§4.1.2.1), once its
//!    person is known (RFC 9700 §4.11.2).
//! 4. The request is stored and its person sent to the consent page.
//!
//! A form that another site posts comes without the session cookie, which is `SameSite=Lax`. So it
//! is kept first, and a redirect brings the browser back with its cookies to go on at step 2.

mod accept;
mod kept;
mod pending_cookie;
mod storyden;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::extract::{ClientAddress, Decoded, decode, read_form_as_sent};
use super::require_enabled;
use crate::accounts::caller::{Caller, Decider};
use crate::accounts::cookies::set_cookies;
use crate::accounts::guard::require_not_suspended;
use crate::app::{App, Shared};
use crate::clients::documents::{self, Visitor};
use crate::clients::{self};
use crate::error::{ApiError, OAuthErrorBody, Problem, answers};
use crate::ids::AccountId;
use crate::limits::REQUESTS;
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Interaction;
use crate::oauth::redirect_uri::{resolve, with_parameters, with_parameters_sorted};
use crate::pages;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::audit::Event;
use crate::store::authorization_requests;
use crate::store::client_details;
use crate::store::clients::Client;

pub(super) use accept::accept;
pub(super) use kept::{adopt as adopt_kept, parameters_of};
pub(super) use pending_cookie::browsers_of;

/// The longest parameters of one authorization request together, in bytes as stored: requests are
/// kept for strangers, so a small request must not become a large row.
const PARAMETERS_BYTES_MAX: usize = 8 * 1_024;

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
    "claims_locales",
    "request",
    "request_uri",
    "registration",
    "resource",
    kept::REQUEST_ID,
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

/// The parameters, as the document of the API shows them (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID
/// Connect Core §3.1.2.1).
#[derive(Debug, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = OAuthAuthoriseProps)]
pub struct AuthorizeParameters {
    /// `code`.
    pub response_type: Option<String>,
    /// Who asks.
    pub client_id: Option<String>,
    /// Where the answer goes; may be left out when one alone is registered.
    pub redirect_uri: Option<String>,
    /// What is asked, with spaces between.
    pub scope: Option<String>,
    /// Comes back as it was sent.
    pub state: Option<String>,
    /// Comes back in the ID token.
    pub nonce: Option<String>,
    /// The SHA-256 of a `code_verifier`, base64url.
    pub code_challenge: Option<String>,
    /// `S256`.
    pub code_challenge_method: Option<String>,
    /// `query`.
    pub response_mode: Option<String>,
    /// `none`, or what its person has to do: `login`, `consent`, with spaces between.
    pub prompt: Option<String>,
    /// How many seconds ago its person may have signed in.
    pub max_age: Option<String>,
    /// Who signs in, if the client knows.
    pub login_hint: Option<String>,
    /// An ID token of who has to be signed in.
    pub id_token_hint: Option<String>,
    /// What the tokens are for; may be given several times (RFC 8707 §2.1).
    pub resource: Option<String>,
    /// In place of all others: a request that waited until its person had signed in.
    pub request_id: Option<String>,
}

/// `GET /api/oauth/authorize`.
#[utoipa::path(
    get,
    path = "/api/oauth/authorize",
    operation_id = "OAuthAuthorise",
    tag = "auth",
    security((), ("browser" = []), ("access_key" = [])),
    params(AuthorizeParameters),
    responses(
        (status = 200, description = "Never; the contract has it", body = String, content_type = "text/html"),
        (
            status = 302,
            description = "To the consent page, to the login page or, with an error, back to the client",
            headers(("Location" = String, description = "Where"))
        ),
        (
            status = 400,
            description = "The client, its redirect URI or, in the profile `storyden`, the request is wrong",
            content(
                (OAuthErrorBody = "application/json"),
                (Problem = "application/problem+json"),
                (String = "text/html")
            )
        ),
        answers::Forbidden,
    ),
)]
pub async fn authorize(
    State(app): State<Shared>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Response {
    if app.config.profile.authorize_goes_in_storydens_order() {
        let query = query.as_deref().unwrap_or_default();
        return storyden::authorize(&app, query, address, &headers).await;
    }
    let decoded = decode(query.as_deref().unwrap_or_default(), KNOWN);
    let mut target = target(&app, decoded, address, &headers).await;
    if let Ok(Target::Kept(request_id)) = target {
        let hash = request_id.hash();
        target = kept::load(&app, request_id, address, &headers).await;
        if let Err(error) = target {
            let is_over = error.status() == StatusCode::BAD_REQUEST;
            let response = refuse_here(error, &headers);
            return if is_over {
                pending_request_done(&app, &headers, &hash, response)
            } else {
                response
            };
        }
    }
    let asked = match target {
        Ok(Target::New(asked)) => asked,
        Ok(Target::Unseen(unseen)) => {
            let outcome = unseen.begin(&app, address, &headers).await;
            return outcome.unwrap_or_else(|refusal| refuse_unseen(refusal, &headers));
        }
        Ok(Target::Kept(_)) => {
            return refuse_here(
                OAuthError::invalid_request("client_id is missing"),
                &headers,
            );
        }
        Err(error) => return refuse_here(error, &headers),
    };
    let outcome = asked.begin(&app, address, &headers).await;
    outcome.unwrap_or_else(|refusal| asked.refuse(&app, refusal, &headers))
}

/// `POST /api/oauth/authorize`: kept, and gone on with by `GET`.
#[utoipa::path(
    post,
    path = "/api/oauth/authorize",
    operation_id = "OAuthAuthoriseByPost",
    tag = "auth",
    security(()),
    request_body(content = AuthorizeParameters, content_type = "application/x-www-form-urlencoded"),
    responses(
        (
            status = 303,
            description = "On with the request by `GET`",
            headers(("Location" = String, description = "This endpoint"))
        ),
        (
            status = 400,
            description = "The client, its redirect URI or, in the profile `storyden`, the request is wrong",
            content(
                (OAuthErrorBody = "application/json"),
                (Problem = "application/problem+json"),
                (String = "text/html")
            )
        ),
    ),
)]
pub async fn authorize_by_form(
    State(app): State<Shared>,
    address: ClientAddress,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let form = read_form_as_sent(app.config.profile, request, KNOWN).await;
    let asked = match target(&app, form, address, &headers).await {
        Ok(Target::New(asked)) => asked,
        Ok(Target::Unseen(unseen)) => {
            let outcome = unseen
                .keep(&app, address, &headers, kept::Next::Authorize)
                .await;
            return outcome.unwrap_or_else(|refusal| refuse_unseen(refusal, &headers));
        }
        Ok(Target::Kept(_)) => {
            return refuse_here(
                OAuthError::invalid_request("client_id is missing"),
                &headers,
            );
        }
        Err(error) => return refuse_here(error, &headers),
    };
    let outcome = asked
        .keep(&app, address, &headers, kept::Next::Authorize)
        .await;
    outcome.unwrap_or_else(|refusal| asked.refuse(&app, refusal, &headers))
}

/// What a request is about.
enum Target {
    /// A request whose client is known.
    New(Box<Asked>),
    /// One whose client is known when somebody who is signed in has its document read.
    Unseen(Unseen),
    /// One that was kept.
    Kept(Secret),
}

/// Step 1: the client and where it may be answered (RFC 6749 §3.1.2.3).
async fn target(
    app: &App,
    decoded: Result<Decoded, OAuthError>,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<Target, OAuthError> {
    require_enabled(app)?;
    let mut parameters = decoded?.within(PARAMETERS_BYTES_MAX)?;
    let decisive = |name: &&&str| matches!(**name, "client_id" | "redirect_uri");
    if let Some(name) = parameters.repeated.iter().find(decisive) {
        return Err(OAuthError::invalid_request(format!(
            "{name} is given more than once"
        )));
    }
    let request_id = parameters.values.remove(kept::REQUEST_ID);
    if let (Some(request_id), None) = (request_id, parameters.get("client_id")) {
        return Ok(Target::Kept(Secret::new(request_id)));
    }
    let client_id = parameters.require("client_id", "client_id is missing")?;
    let Some(client) = client_of(app, client_id, address, headers).await? else {
        let unseen = Unseen {
            parameters,
            kept: None,
        };
        return Ok(Target::Unseen(unseen));
    };
    Asked::target(app, client, parameters, None).await
}

/// RFC 7591 §2: what a client registered is what it asks for when it names no scope.
///
/// # Errors
/// When the database does not answer.
pub(super) async fn add_default_scope(
    app: &App,
    client: &Client,
    parameters: &mut Decoded,
) -> Result<(), store::Error> {
    if parameters.get("scope").is_none() {
        let details = client_details::find(&app.db, &client.row_id).await?;
        let scope = details.default_scope;
        let scope = scope.map(|scope| ("scope".to_owned(), scope));
        parameters.values.extend(scope);
    }
    Ok(())
}

/// The client of an id. Of one that means a document: as it is now for somebody who is signed in, as
/// it was read last for everybody else, and none when nobody had it read yet.
async fn client_of(
    app: &App,
    client_id: &str,
    ClientAddress(address): ClientAddress,
    headers: &HeaderMap,
) -> Result<Option<Client>, OAuthError> {
    if documents::is_document(app, client_id) {
        let caller = Caller::of(app, headers).await?;
        let decider = caller.into_decider().ok().flatten();
        let decider = decider.filter(|decider| !decider.account.suspended);
        let Some(decider) = decider else {
            documents::check_id(app, client_id)?;
            return Ok(clients::find(app, client_id).await?);
        };
        let visitor = Visitor {
            account: Some(&decider.account.id),
            address,
        };
        return documents::find(app, client_id, visitor).await.map(Some);
    }
    let client = clients::find(app, client_id).await?;
    client
        .map(Some)
        .ok_or_else(|| OAuthError::invalid_client("Client not found"))
}

/// A request of a client that nobody knows yet: it waits until somebody has signed in.
struct Unseen {
    parameters: Decoded,
    kept: Option<kept::Kept>,
}

impl Unseen {
    /// Step 2, for somebody who is not signed in.
    async fn begin(
        &self,
        app: &App,
        address: ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let caller = Caller::of(app, headers).await;
        let caller = caller.map_err(|error| Refusal::Here(error.into()))?;
        let decider = caller.into_decider();
        if let Some(decider) = decider.map_err(|_| Refusal::Problem(wrong_credential()))? {
            require_not_suspended(&decider.account).map_err(Refusal::Problem)?;
        }
        if Interaction::is_silent(&self.parameters.values) {
            // nothing may be shown, and nobody knows yet where an error would go
            let description = "Nobody is signed in, so the client's metadata document was not read";
            return Err(Refusal::Here(OAuthError::invalid_client(description)));
        }
        self.keep(app, address, headers, kept::Next::Login).await
    }

    async fn keep(
        &self,
        app: &App,
        address: ClientAddress,
        headers: &HeaderMap,
        next: kept::Next,
    ) -> Result<Response, Refusal> {
        let request = kept::Request {
            client: None,
            parameters: &self.parameters,
            kept: self.kept.as_ref(),
        };
        request.keep(app, address, headers, next).await
    }
}

/// A request of a client that nobody knows is answered here, whatever is wrong with it.
fn refuse_unseen(refusal: Refusal, headers: &HeaderMap) -> Response {
    match refusal {
        Refusal::Here(error) | Refusal::ByRedirect(error) => refuse_here(error, headers),
        Refusal::Problem(problem) => problem.into_response(),
    }
}

/// A request whose client and redirect URI are good.
struct Asked {
    client: Client,
    parameters: Decoded,
    redirect_uri: String,
    kept: Option<kept::Kept>,
}

impl Asked {
    /// Checks where the answer goes, and adds what the client asks for when it names no scope.
    async fn target(
        app: &App,
        client: Client,
        mut parameters: Decoded,
        kept: Option<kept::Kept>,
    ) -> Result<Target, OAuthError> {
        let redirect_uri = resolve(
            app.config.profile,
            parameters.get("redirect_uri"),
            &client.redirect_uris,
        )?;
        add_default_scope(app, &client, &mut parameters).await?;
        Ok(Target::New(Box::new(Self {
            client,
            parameters,
            redirect_uri,
            kept,
        })))
    }

    async fn keep(
        &self,
        app: &App,
        address: ClientAddress,
        headers: &HeaderMap,
        next: kept::Next,
    ) -> Result<Response, Refusal> {
        let request = kept::Request {
            client: Some(&self.client.row_id),
            parameters: &self.parameters,
            kept: self.kept.as_ref(),
        };
        request.keep(app, address, headers, next).await
    }

    /// Step 2.
    async fn begin(
        &self,
        app: &App,
        address: ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, Refusal> {
        let interaction = Interaction::parse(&self.parameters.values);
        let caller = Caller::of(app, headers).await;
        let caller = caller.map_err(|error| Refusal::Here(error.into()))?;
        let now = app.clock.now();
        let decider = caller.into_decider();
        let decider = match decider.map_err(|_| Refusal::Problem(wrong_credential()))? {
            Some(decider) => decider,
            // OpenID Connect Core §3.1.2.1: prompt=none never shows a page
            None if Interaction::is_silent(&self.parameters.values) => {
                return Err(interaction.map_or_else(Refusal::ByRedirect, |_| login_required()));
            }
            None => return self.keep(app, address, headers, kept::Next::Login).await,
        };
        require_not_suspended(&decider.account).map_err(Refusal::Problem)?;
        let interaction = interaction.map_err(Refusal::ByRedirect)?;
        let asked_at = self.kept.as_ref().map_or(now, |kept| kept.asked_at);
        if interaction.demands_login(decider.auth_time(), asked_at, now) {
            if interaction.silent {
                return Err(login_required());
            }
            return self.keep(app, address, headers, kept::Next::Login).await;
        }
        let stored = self.store(app, &decider, interaction.silent).await?;
        Ok(self.done(app, headers, stored))
    }

    /// Steps 3 and 4.
    async fn store(&self, app: &App, decider: &Decider, silent: bool) -> Result<Response, Refusal> {
        bound_requests(app, &decider.account.id).map_err(Refusal::Here)?;
        let request_id = match &self.kept {
            Some(kept) => kept.request_id.clone(),
            None => Secret::generate(&app.random),
        };
        let new = accept(
            app,
            &self.client,
            &self.parameters,
            decider,
            request_id.hash(),
        )
        .map_err(Refusal::ByRedirect)?;
        if silent {
            // consent is asked for every time
            let description = "The person has to approve, and prompt=none forbids to ask";
            return Err(Refusal::ByRedirect(OAuthError::consent_required(
                description,
            )));
        }
        let stored = if self.kept.is_some() {
            let adopt = app.db.write(new, |tx, new| Box::pin(kept::adopt(tx, new)));
            match adopt.await {
                // Another tab was first: the consent page shows what became of it.
                Err(store::Error::Lost | store::Error::Taken(_)) => Ok(()),
                outcome => outcome,
            }
        } else {
            let insert = app.db.write(new, |tx, new| {
                Box::pin(authorization_requests::insert(tx, new))
            });
            insert.await
        };
        match stored {
            Ok(()) => Ok(redirect(
                StatusCode::FOUND,
                consent_page(app, &request_id).as_str(),
            )),
            Err(store::Error::Gone) => Err(Refusal::Here(OAuthError::invalid_client(
                "Client not found",
            ))),
            Err(error) => Err(Refusal::ByRedirect(error.into())),
        }
    }

    /// Clears the cookie of a request that was kept, and that is now stored or refused.
    fn done(&self, app: &App, headers: &HeaderMap, response: Response) -> Response {
        match &self.kept {
            Some(kept) => pending_request_done(app, headers, &kept.request_id.hash(), response),
            None => response,
        }
    }

    fn refuse(&self, app: &App, refusal: Refusal, headers: &HeaderMap) -> Response {
        match refusal {
            Refusal::Here(error) => refuse_here(error, headers),
            Refusal::Problem(problem) => problem.into_response(),
            Refusal::ByRedirect(error) => {
                error.log();
                let state = self.parameters.get("state");
                let location = error_location(app, &self.redirect_uri, state, &error);
                self.done(app, headers, redirect(StatusCode::FOUND, &location))
            }
        }
    }
}

/// Adds to an answer that the browser forgets the cookie of a pending request.
pub(super) fn pending_request_done(
    app: &App,
    headers: &HeaderMap,
    request_id: &SecretHash,
    response: Response,
) -> Response {
    let cookies = pending_cookie::done(app, headers, request_id);
    (set_cookies(cookies), response).into_response()
}

fn login_required() -> Refusal {
    let description = "The person has to sign in, and prompt=none forbids to ask";
    Refusal::ByRedirect(OAuthError::login_required(description))
}

/// Where a client is told of an error (RFC 6749 §4.1.2.1).
pub(super) fn error_location(
    app: &App,
    redirect_uri: &str,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let parameters = [
        ("error", error.code.as_str()),
        ("error_description", &*error.description),
    ];
    answer_location(app, redirect_uri, &parameters, state)
}

/// Where a client is answered: its redirect URI with the parameters, the `state` as it was sent and
/// the issuer (RFC 9207 §2).
pub(super) fn answer_location(
    app: &App,
    redirect_uri: &str,
    parameters: &[(&str, &str)],
    state: Option<&str>,
) -> String {
    let mut parameters = parameters.to_vec();
    parameters.extend(state.map(|state| ("state", state)));
    if app.config.profile.redirects_are_rebuilt() {
        return with_parameters_sorted(redirect_uri, &parameters);
    }
    let issuer = app.config.issuer();
    parameters.push(("iss", &issuer));
    with_parameters(redirect_uri, &parameters)
}

/// The consent page of a request; what the page's address has of its own stays.
fn consent_page(app: &App, request_id: &Secret) -> Url {
    let mut page = app.config.code_consent_page();
    page.query_pairs_mut()
        .append_pair(kept::REQUEST_ID, request_id.reveal());
    page
}

/// A redirect that nobody keeps.
fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = status.into_response();
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
    ApiError::forbidden("This credential cannot be used here; sign in with a browser")
}

/// Bounds the requests of an account that are kept (P7).
///
/// # Errors
/// `temporarily_unavailable` when there were too many.
fn bound_requests(app: &App, account: &AccountId) -> Result<(), OAuthError> {
    let bound = app.limits.spend(&[(REQUESTS, account.as_str())]);
    bound.map_err(|wait| {
        app.refused_account(Event::AuthorizationRequestLimited, account);
        OAuthError::limited("Too many requests of this account", wait.0)
    })
}
