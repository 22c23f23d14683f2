//! The authorization endpoint, `GET` and `POST /api/oauth/authorize` (RFC 6749 §4.1.1, OpenID Connect
//! Core §3.1.2.1).
//!
//! 1. Find the client and the redirect URI. Errors of this step are never redirected (§3.1.2.4).
//! 2. Authenticate the user. A user without a session, or with a session that is too old for the
//!    request, goes to the login page; the request stays pending in a side table (`kept`) and continues
//!    after sign-in.
//! 3. Validate the request (`accept`). From here, errors are sent to the redirect URI (§4.1.2.1), and
//!    only after sign-in or for `prompt=none`: earlier redirects would make the server an open
//!    redirector (RFC 9700 §4.11.2).
//! 4. Store the request and redirect to the consent page.
//!
//! A form posted by a foreign site arrives without the session cookie, because the cookie is
//! `SameSite=Lax`. The request is therefore stored as pending, and a redirect by `GET` continues at
//! step 2 with the cookies.

pub mod consent;
pub mod pending;
mod pending_cookie;
mod storyden;
pub mod validation;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use url::Url;
use utoipa::{IntoParams, ToSchema};

use super::require_enabled;
use crate::clients::documents::{self, Requester};
use crate::clients::{self};
use crate::compat::ResponseQuery;
use crate::context::{Context, SharedContext};
use crate::http::caller::{Caller, ResourceOwner};
use crate::http::cookies::set_cookies;
use crate::http::error::responses;
use crate::http::error::{ApiError, OAuthErrorBody, Problem};
use crate::http::extract::{ClientAddress, Decoded, decode, read_form_as_sent};
use crate::http::guards::require_not_suspended;
use crate::http::pages;
use crate::ids::AccountId;
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::Interaction;
use crate::oauth::redirect_uri::{resolve, with_parameters, with_parameters_sorted};
use crate::rate_limit::REQUESTS;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::audit::Event;
use crate::store::authorization_requests;
use crate::store::client_details;
use crate::store::clients::Client;

pub(super) use pending::{claim as claim_pending, parameters_of};
pub(super) use pending_cookie::browsers_of;
pub(super) use validation::accept;

/// Size limit for the stored parameters of one authorization request, in bytes. Requests are stored
/// before sign-in, so a small request must not become a large row.
const PARAMETERS_BYTES_MAX: usize = 8 * 1_024;

/// The parameters that this endpoint reads; others are ignored (RFC 6749 §3.1).
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
    pending::REQUEST_ID,
];

/// Errors of an authorization request: one variant per way of reporting.
enum AuthorizeError {
    /// Shown here and not redirected: an HTML page or JSON.
    Here(OAuthError),
    /// Sent to the client's redirect URI.
    ByRedirect(OAuthError),
    /// Wrong kind of credential, or a suspended account.
    Problem(ApiError),
}

/// The parameters, for the API document (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
#[derive(Debug, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[schema(as = OAuthAuthoriseProps)]
pub struct AuthorizeParameters {
    /// `code`.
    pub response_type: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// The redirect URI of the answer. Optional if the client registered exactly one.
    pub redirect_uri: Option<String>,
    /// Requested scopes, separated by spaces.
    pub scope: Option<String>,
    /// Returned unchanged.
    pub state: Option<String>,
    /// Copied to the ID token.
    pub nonce: Option<String>,
    /// The SHA-256 of a `code_verifier`, base64url.
    pub code_challenge: Option<String>,
    /// `S256`.
    pub code_challenge_method: Option<String>,
    /// `query`.
    pub response_mode: Option<String>,
    /// `none`, or a list of `login` and `consent`, separated by spaces.
    pub prompt: Option<String>,
    /// Maximum age of the sign-in, in seconds.
    pub max_age: Option<String>,
    /// A handle or e-mail address to fill in on the login page.
    pub login_hint: Option<String>,
    /// An ID token of the account that must be signed in.
    pub id_token_hint: Option<String>,
    /// The resource that the tokens are for. May be repeated (RFC 8707 §2.1).
    pub resource: Option<String>,
    /// The id of a pending request. Resumes that request and replaces all other parameters.
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
        (status = 200, description = "Not returned; listed for compatibility with Storyden", body = String, content_type = "text/html"),
        (
            status = 302,
            description = "Redirect to the consent page, to the login page or, with an error, to the client",
            headers(("Location" = String, description = "Redirect target"))
        ),
        (
            status = 400,
            description = "The client, the redirect URI or, in the profile `storyden`, the request is invalid",
            content(
                (OAuthErrorBody = "application/json"),
                (Problem = "application/problem+json"),
                (String = "text/html")
            )
        ),
        responses::Forbidden,
    ),
)]
pub async fn authorize(
    State(context): State<SharedContext>,
    RawQuery(query): RawQuery,
    address: ClientAddress,
    headers: HeaderMap,
) -> Response {
    if context.config.policies.authorize.request_validated_first {
        let query = query.as_deref().unwrap_or_default();
        return storyden::authorize(&context, query, address, &headers).await;
    }
    let decoded = decode(query.as_deref().unwrap_or_default(), KNOWN);
    let mut target = target(&context, decoded, address, &headers).await;
    if let Ok(Target::PendingRequest(request_id)) = target {
        let hash = request_id.hash();
        target = pending::load(&context, request_id, address, &headers).await;
        if let Err(error) = target {
            let is_over = error.status() == StatusCode::BAD_REQUEST;
            let response = respond_without_redirect(error, &headers);
            return if is_over {
                clear_pending_cookie(&context, &headers, &hash, response)
            } else {
                response
            };
        }
    }
    let asked = match target {
        Ok(Target::New(asked)) => asked,
        Ok(Target::UnresolvedRequest(unseen)) => {
            let outcome = unseen.begin(&context, address, &headers).await;
            return outcome.unwrap_or_else(|refusal| refuse_unresolved(refusal, &headers));
        }
        Ok(Target::PendingRequest(_)) => {
            return respond_without_redirect(
                OAuthError::invalid_request("client_id is missing"),
                &headers,
            );
        }
        Err(error) => return respond_without_redirect(error, &headers),
    };
    let outcome = asked.begin(&context, address, &headers).await;
    outcome.unwrap_or_else(|refusal| asked.refuse(&context, refusal, &headers))
}

/// `POST /api/oauth/authorize`: stores the request as pending and redirects to `GET`.
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
            description = "Redirect to the same request by `GET`",
            headers(("Location" = String, description = "This endpoint"))
        ),
        (
            status = 400,
            description = "The client, the redirect URI or, in the profile `storyden`, the request is invalid",
            content(
                (OAuthErrorBody = "application/json"),
                (Problem = "application/problem+json"),
                (String = "text/html")
            )
        ),
    ),
)]
pub async fn authorize_by_form(
    State(context): State<SharedContext>,
    address: ClientAddress,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let form =
        read_form_as_sent(context.config.policies.requests.form_syntax, request, KNOWN).await;
    let asked = match target(&context, form, address, &headers).await {
        Ok(Target::New(asked)) => asked,
        Ok(Target::UnresolvedRequest(unseen)) => {
            let outcome = unseen
                .keep(&context, address, &headers, pending::NextPage::Authorize)
                .await;
            return outcome.unwrap_or_else(|refusal| refuse_unresolved(refusal, &headers));
        }
        Ok(Target::PendingRequest(_)) => {
            return respond_without_redirect(
                OAuthError::invalid_request("client_id is missing"),
                &headers,
            );
        }
        Err(error) => return respond_without_redirect(error, &headers),
    };
    let outcome = asked
        .keep(&context, address, &headers, pending::NextPage::Authorize)
        .await;
    outcome.unwrap_or_else(|refusal| asked.refuse(&context, refusal, &headers))
}

/// The outcome of step 1.
enum Target {
    /// A request of a known client.
    New(Box<ValidatedRequest>),
    /// A request with the URL of a metadata document as client id, never fetched so far. Only a
    /// signed-in user can trigger the fetch.
    UnresolvedRequest(UnresolvedRequest),
    /// The id of a pending request.
    PendingRequest(Secret),
}

/// Finds the client and the redirect URI (step 1, RFC 6749 §3.1.2.3).
async fn target(
    context: &Context,
    decoded: Result<Decoded, OAuthError>,
    address: ClientAddress,
    headers: &HeaderMap,
) -> Result<Target, OAuthError> {
    require_enabled(context)?;
    let mut parameters = decoded?.within(PARAMETERS_BYTES_MAX)?;
    let decisive = |name: &&&str| matches!(**name, "client_id" | "redirect_uri");
    if let Some(name) = parameters.repeated.iter().find(decisive) {
        return Err(OAuthError::invalid_request(format!(
            "{name} is given more than once"
        )));
    }
    let request_id = parameters.values.remove(pending::REQUEST_ID);
    if let (Some(request_id), None) = (request_id, parameters.get("client_id")) {
        return Ok(Target::PendingRequest(Secret::new(request_id)));
    }
    let client_id = parameters.require("client_id", "client_id is missing")?;
    let Some(client) = client_of(context, client_id, address, headers).await? else {
        let unseen = UnresolvedRequest {
            parameters,
            kept: None,
        };
        return Ok(Target::UnresolvedRequest(unseen));
    };
    ValidatedRequest::target(context, client, parameters, None).await
}

/// Adds the scope that the client registered, if the request has none (RFC 7591 §2).
///
/// # Errors
/// If the database does not answer.
pub(super) async fn add_default_scope(
    context: &Context,
    client: &Client,
    parameters: &mut Decoded,
) -> Result<(), store::Error> {
    if parameters.get("scope").is_none() {
        let details = client_details::find(&context.db, &client.row_id).await?;
        let scope = details.default_scope;
        let scope = scope.map(|scope| ("scope".to_owned(), scope));
        parameters.values.extend(scope);
    }
    Ok(())
}

/// Finds the client of an id. For the URL of a metadata document: the current document if an
/// account is signed in; the last snapshot for a guest, and `None` if there is no snapshot.
async fn client_of(
    context: &Context,
    client_id: &str,
    ClientAddress(address): ClientAddress,
    headers: &HeaderMap,
) -> Result<Option<Client>, OAuthError> {
    if documents::is_document(context, client_id) {
        let caller = Caller::of(context, headers).await?;
        let decider = caller.into_resource_owner().ok().flatten();
        let decider = decider.filter(|decider| !decider.account.suspended);
        let Some(decider) = decider else {
            documents::check_id(context, client_id)?;
            return Ok(clients::find(context, client_id).await?);
        };
        let visitor = Requester {
            account: Some(&decider.account.id),
            address,
        };
        return documents::find(context, client_id, visitor).await.map(Some);
    }
    let client = clients::find(context, client_id).await?;
    client
        .map(Some)
        .ok_or_else(|| OAuthError::invalid_client("Client not found"))
}

/// A request of a client without a fetched metadata document. Stays pending until sign-in.
struct UnresolvedRequest {
    parameters: Decoded,
    kept: Option<pending::PendingRequest>,
}

impl UnresolvedRequest {
    /// Sends a guest to the login page (step 2).
    async fn begin(
        &self,
        context: &Context,
        address: ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, AuthorizeError> {
        let caller = Caller::of(context, headers).await;
        let caller = caller.map_err(|error| AuthorizeError::Here(error.into()))?;
        let decider = caller.into_resource_owner();
        if let Some(decider) = decider.map_err(|_| AuthorizeError::Problem(wrong_credential()))? {
            require_not_suspended(&decider.account).map_err(AuthorizeError::Problem)?;
        }
        if Interaction::is_silent(&self.parameters.values) {
            // prompt=none forbids a page, and the redirect URI is not validated yet
            let description = "There is no session, so the client's metadata document was not \
                               fetched";
            return Err(AuthorizeError::Here(OAuthError::invalid_client(
                description,
            )));
        }
        self.keep(context, address, headers, pending::NextPage::Login)
            .await
    }

    async fn keep(
        &self,
        context: &Context,
        address: ClientAddress,
        headers: &HeaderMap,
        next: pending::NextPage,
    ) -> Result<Response, AuthorizeError> {
        let request = pending::Request {
            client: None,
            parameters: &self.parameters,
            kept: self.kept.as_ref(),
        };
        request.keep(context, address, headers, next).await
    }
}

/// Reports every error here: the redirect URI is not validated without the client's document.
fn refuse_unresolved(refusal: AuthorizeError, headers: &HeaderMap) -> Response {
    match refusal {
        AuthorizeError::Here(error) | AuthorizeError::ByRedirect(error) => {
            respond_without_redirect(error, headers)
        }
        AuthorizeError::Problem(problem) => problem.into_response(),
    }
}

/// A request with a known client and a registered redirect URI.
struct ValidatedRequest {
    client: Client,
    parameters: Decoded,
    redirect_uri: String,
    kept: Option<pending::PendingRequest>,
}

impl ValidatedRequest {
    /// Resolves the redirect URI, and adds the registered scope if the request has none.
    async fn target(
        context: &Context,
        client: Client,
        mut parameters: Decoded,
        kept: Option<pending::PendingRequest>,
    ) -> Result<Target, OAuthError> {
        let redirect_uri = resolve(
            context.config.policies.redirect_uris,
            parameters.get("redirect_uri"),
            &client.redirect_uris,
        )?;
        add_default_scope(context, &client, &mut parameters).await?;
        Ok(Target::New(Box::new(Self {
            client,
            parameters,
            redirect_uri,
            kept,
        })))
    }

    async fn keep(
        &self,
        context: &Context,
        address: ClientAddress,
        headers: &HeaderMap,
        next: pending::NextPage,
    ) -> Result<Response, AuthorizeError> {
        let request = pending::Request {
            client: Some(&self.client.row_id),
            parameters: &self.parameters,
            kept: self.kept.as_ref(),
        };
        request.keep(context, address, headers, next).await
    }

    /// Authenticates the user (step 2), then runs steps 3 and 4.
    async fn begin(
        &self,
        context: &Context,
        address: ClientAddress,
        headers: &HeaderMap,
    ) -> Result<Response, AuthorizeError> {
        let interaction = Interaction::parse(&self.parameters.values);
        let caller = Caller::of(context, headers).await;
        let caller = caller.map_err(|error| AuthorizeError::Here(error.into()))?;
        let now = context.clock.now();
        let decider = caller.into_resource_owner();
        let decider = match decider.map_err(|_| AuthorizeError::Problem(wrong_credential()))? {
            Some(decider) => decider,
            // OpenID Connect Core §3.1.2.1: `prompt=none` never shows a page
            None if Interaction::is_silent(&self.parameters.values) => {
                return Err(
                    interaction.map_or_else(AuthorizeError::ByRedirect, |_| login_required())
                );
            }
            None => {
                return self
                    .keep(context, address, headers, pending::NextPage::Login)
                    .await;
            }
        };
        require_not_suspended(&decider.account).map_err(AuthorizeError::Problem)?;
        let interaction = interaction.map_err(AuthorizeError::ByRedirect)?;
        let asked_at = self.kept.as_ref().map_or(now, |kept| kept.asked_at);
        if interaction.demands_login(decider.auth_time(), asked_at, now) {
            if interaction.silent {
                return Err(login_required());
            }
            return self
                .keep(context, address, headers, pending::NextPage::Login)
                .await;
        }
        let stored = self.store(context, &decider, interaction.silent).await?;
        Ok(self.done(context, headers, stored))
    }

    /// Validates and stores the request (steps 3 and 4).
    async fn store(
        &self,
        context: &Context,
        decider: &ResourceOwner,
        silent: bool,
    ) -> Result<Response, AuthorizeError> {
        limit_requests(context, &decider.account.id).map_err(AuthorizeError::Here)?;
        let request_id = match &self.kept {
            Some(kept) => kept.request_id.clone(),
            None => Secret::generate(&context.random),
        };
        let new = accept(
            context,
            &self.client,
            &self.parameters,
            decider,
            request_id.hash(),
        )
        .map_err(AuthorizeError::ByRedirect)?;
        if silent {
            // every authorization needs a consent page
            let description = "The user must approve the request, and prompt=none forbids a page";
            return Err(AuthorizeError::ByRedirect(OAuthError::consent_required(
                description,
            )));
        }
        let stored = if self.kept.is_some() {
            let claim = context
                .db
                .write(new, |tx, new| Box::pin(pending::claim(tx, new)));
            match claim.await {
                // A second tab took the pending request first. The consent page shows the outcome.
                Err(store::Error::RaceLost | store::Error::Taken(_)) => Ok(()),
                outcome => outcome,
            }
        } else {
            let insert = context.db.write(new, |tx, new| {
                Box::pin(authorization_requests::insert(tx, new))
            });
            insert.await
        };
        match stored {
            Ok(()) => Ok(redirect(
                StatusCode::FOUND,
                consent_page(context, &request_id).as_str(),
            )),
            Err(store::Error::Gone) => Err(AuthorizeError::Here(OAuthError::invalid_client(
                "Client not found",
            ))),
            Err(error) => Err(AuthorizeError::ByRedirect(error.into())),
        }
    }

    /// Clears the cookie of a pending request that is now stored or refused.
    fn done(&self, context: &Context, headers: &HeaderMap, response: Response) -> Response {
        match &self.kept {
            Some(kept) => clear_pending_cookie(context, headers, &kept.request_id.hash(), response),
            None => response,
        }
    }

    fn refuse(&self, context: &Context, refusal: AuthorizeError, headers: &HeaderMap) -> Response {
        match refusal {
            AuthorizeError::Here(error) => respond_without_redirect(error, headers),
            AuthorizeError::Problem(problem) => problem.into_response(),
            AuthorizeError::ByRedirect(error) => {
                error.log();
                let state = self.parameters.get("state");
                let location = error_location(context, &self.redirect_uri, state, &error);
                self.done(context, headers, redirect(StatusCode::FOUND, &location))
            }
        }
    }
}

/// Adds the `Set-Cookie` headers that clear the cookie of a pending request.
pub(super) fn clear_pending_cookie(
    context: &Context,
    headers: &HeaderMap,
    request_id: &SecretHash,
    response: Response,
) -> Response {
    let cookies = pending_cookie::done(context, headers, request_id);
    (set_cookies(cookies), response).into_response()
}

fn login_required() -> AuthorizeError {
    let description = "The user must sign in, and prompt=none forbids a page";
    AuthorizeError::ByRedirect(OAuthError::login_required(description))
}

/// Builds the redirect URI with an error response (RFC 6749 §4.1.2.1).
pub(super) fn error_location(
    context: &Context,
    redirect_uri: &str,
    state: Option<&str>,
    error: &OAuthError,
) -> String {
    let parameters = [
        ("error", error.code.as_str()),
        ("error_description", &*error.description),
    ];
    answer_location(context, redirect_uri, &parameters, state)
}

/// Builds the redirect URI with the parameters of a response, the client's `state` and, unless omitted,
/// the issuer (RFC 9207 §2).
pub(super) fn answer_location(
    context: &Context,
    redirect_uri: &str,
    parameters: &[(&str, &str)],
    state: Option<&str>,
) -> String {
    let mut parameters = parameters.to_vec();
    parameters.extend(state.map(|state| ("state", state)));
    let policy = context.config.policies.authorize;
    let issuer = context.config.issuer();
    if !policy.iss_omitted {
        parameters.push(("iss", &issuer));
    }
    match policy.response_query {
        ResponseQuery::Appended => with_parameters(redirect_uri, &parameters),
        ResponseQuery::Sorted => with_parameters_sorted(redirect_uri, &parameters),
    }
}

/// Builds the URL of the consent page. Keeps the query of the configured address.
fn consent_page(context: &Context, request_id: &Secret) -> Url {
    let mut page = context.config.code_consent_page();
    page.query_pairs_mut()
        .append_pair(pending::REQUEST_ID, request_id.reveal());
    page
}

/// Redirects; caches do not store the response.
fn redirect(status: StatusCode, location: &str) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match HeaderValue::from_str(location) {
        Ok(location) => headers.insert(LOCATION, location),
        // A stored redirect URI with characters that a header cannot carry.
        Err(error) => return OAuthError::server_error(error).into_response(),
    };
    response
}

/// Reports an error without a redirect: as an HTML page to browsers, as JSON to other clients.
fn respond_without_redirect(error: OAuthError, headers: &HeaderMap) -> Response {
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

/// Returns the error for a valid credential that cannot approve a client, such as an access token
/// (storyden-contract.md#callers-of-each-operation).
pub(super) fn wrong_credential() -> ApiError {
    ApiError::forbidden("This credential cannot be used here; sign in with a browser")
}

/// Limits the stored authorization requests of one account (P7).
///
/// # Errors
/// `temporarily_unavailable` over the limit.
fn limit_requests(context: &Context, account: &AccountId) -> Result<(), OAuthError> {
    let bound = context.limits.spend(&[(REQUESTS, account.as_str())]);
    bound.map_err(|wait| {
        context.record_account_refusal(Event::AuthorizationRequestLimited, account);
        OAuthError::limited("Too many requests of this account", wait.0)
    })
}
