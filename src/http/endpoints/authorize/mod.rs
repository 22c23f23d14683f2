//! The authorization endpoint, `GET` and `POST /api/oauth/authorize` (RFC 6749 §4.1.1, OpenID Connect
//! Core §3.1.2.1).
//!
//! 1. Find the client and the redirect URI. Errors of this step are never redirected (§3.1.2.4).
//! 2. Authenticate the user. A user without a session, or with a session that is too old for the
//!    request, goes to the login page; the request stays pending in a side table (`pending`) and continues
//!    after sign-in.
//! 3. Validate the request. From here, errors are sent to the redirect URI (§4.1.2.1), and
//!    only after sign-in or for `prompt=none`: earlier redirects would make the server an open
//!    redirector (RFC 9700 §4.11.2).
//! 4. If a remembered consent covers the request (`approval`), redirect to the client with a code. If not, store
//!    the request and redirect to the consent page.
//!
//! A form posted by a foreign site arrives without the session cookie, because the cookie is
//! `SameSite=Lax`. The request is therefore stored as pending, and a redirect by `GET` continues at
//! step 2 with the cookies.

mod approval;
mod authorization;
pub mod choice;
mod claim;
pub mod consent;
pub mod decision;
pub mod form_post;
pub mod parameters;
mod pending;
pub mod pending_client;
mod pending_cookie;
mod protection;
pub mod push;
mod pushed_request;
mod request;
mod request_object;
mod response;
mod sealed_response;
mod storyden;

use std::net::IpAddr;

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use crate::clients::documents::Requester;
use crate::context::{Context, SharedContext};
use crate::http::caller::{Caller, ResourceOwner};
use crate::http::error::{ApiError, OAuthErrorBody, Problem, responses};
use crate::http::extract::{ClientAddress, Decoded, decode, read_form_as_sent};
use crate::http::guards::resource_owner;
use crate::oauth::authorization_request::Interaction;
use crate::oauth::{ErrorCode, OAuthError};
use crate::secret::SecretHash;
use crate::store;
use authorization::Authorization;
use parameters::{AuthorizeParameters, CLIENT_ID_MISSING, KNOWN, Reference, Sent};
use pending::{NextPage, PendingRequest};
use pushed_request::resolve_pushed;
use request::{Resolution, record_unidentified, resolve};
use response::{AuthorizationResponse, respond_without_redirect};

/// `GET /api/oauth/authorize`.
#[utoipa::path(
    get,
    path = "/api/oauth/authorize",
    operation_id = "OAuthAuthorise",
    tag = "auth",
    security((), ("browser" = []), ("access_key" = [])),
    params(AuthorizeParameters),
    responses(
        (status = 200, description = "Page that posts an error to the client, with response_mode=form_post", body = String, content_type = "text/html"),
        (
            status = 302,
            description = "Redirect to the consent page, to the login page or, with an error or a code by a remembered consent, to the client",
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
    let query = query.as_deref().unwrap_or_default();
    let policy = context.config.policies.authorize;
    if policy.request_validated_first && !parameters::has_protection(&context, query) {
        return storyden::authorize(&context, query, address, &headers).await;
    }
    let browser = Browser::new(&headers, address);
    let outcome = begin(&context, decode(query, KNOWN), browser).await;
    outcome.unwrap_or_else(|error| error.into_response(&context, &headers))
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
    let outcome = keep_form(&context, form, Browser::new(&headers, address)).await;
    outcome.unwrap_or_else(|error| respond_without_redirect(&context, error, &headers))
}

/// The sender of a request.
#[derive(Clone, Copy)]
struct Browser<'a> {
    headers: &'a HeaderMap,
    address: IpAddr,
}

impl<'a> Browser<'a> {
    fn new(headers: &'a HeaderMap, ClientAddress(address): ClientAddress) -> Self {
        Self { headers, address }
    }

    /// Returns the requester of a metadata document: the signed-in account that may approve requests,
    /// or a guest.
    fn requester(self, owner: &Result<Option<ResourceOwner>, ApiError>) -> Requester<'_> {
        let owner = owner.as_ref().ok().and_then(Option::as_ref);
        Requester {
            account: owner.map(|owner| &owner.account.id),
            address: self.address,
        }
    }
}

/// Errors of an authorization request: one variant per way of reporting.
enum AuthorizeError {
    /// Shown here and not redirected: an HTML page or JSON.
    Here(OAuthError),
    /// Shown here: a pending request that cannot be resumed. The cookie is cleared unless the error is
    /// temporary.
    NotResumed(OAuthError, SecretHash),
    /// Sent to the client's redirect URI, by redirect or form. Ends the pending request, if any.
    ByRedirect {
        error: OAuthError,
        response: AuthorizationResponse,
        pending: Option<SecretHash>,
    },
    /// Wrong kind of credential, or a suspended account.
    Problem(ApiError),
}

impl From<OAuthError> for AuthorizeError {
    fn from(error: OAuthError) -> Self {
        Self::Here(error)
    }
}

impl From<store::Error> for AuthorizeError {
    fn from(error: store::Error) -> Self {
        Self::Here(error.into())
    }
}

impl AuthorizeError {
    fn into_response(self, context: &Context, headers: &HeaderMap) -> Response {
        match self {
            Self::Here(error) => respond_without_redirect(context, error, headers),
            Self::NotResumed(error, request_id) => {
                let pending = (error.status() == StatusCode::BAD_REQUEST).then_some(request_id);
                let response = respond_without_redirect(context, error, headers);
                pending_cookie::cleared(context, headers, pending.as_ref(), response)
            }
            Self::ByRedirect {
                error,
                response,
                pending,
            } => {
                error.log();
                let response = response.into_response(context, headers);
                pending_cookie::cleared(context, headers, pending.as_ref(), response)
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// Begins a new request, or resumes a pending request.
async fn begin(
    context: &Context,
    decoded: Result<Decoded, OAuthError>,
    browser: Browser<'_>,
) -> Result<Response, AuthorizeError> {
    let sent = Sent::read(context, decoded)?;
    // An invalid credential is reported after the errors of step 1.
    let owner = resource_owner(Caller::without_proof(context, browser.headers).await?);
    let requester = browser.requester(&owner);
    let mut new_id = None;
    let (resolution, pending) = match sent {
        Sent::Parameters(parameters) => {
            let now = context.clock.now();
            let resolved = resolve(context, parameters, None, requester, now).await;
            (resolved.map_err(OAuthError::from)?, None)
        }
        Sent::Pushed(reference) => {
            new_id = Some(reference.pending_id());
            open_pushed(context, &reference, browser, requester).await?
        }
        Sent::RequestId(request_id) => {
            let hash = request_id.hash();
            let resumed = pending::resume(context, request_id, browser.headers, requester).await;
            let refuse = |error| AuthorizeError::NotResumed(error, hash);
            let (resolution, pending) = resumed.map_err(refuse)?;
            (resolution, Some(pending))
        }
    };
    let owner = owner.map_err(AuthorizeError::Problem)?;
    match resolution {
        Resolution::Resolved(request) => {
            let authorization = Authorization {
                context,
                browser,
                request,
                pending,
                new_id,
            };
            authorization.of_account(owner).await
        }
        Resolution::Unresolved(parameters) if Interaction::is_silent(&parameters.values) => {
            // prompt=none forbids a page, and the redirect URI is not validated yet
            let description = "There is no session, so the client's metadata document was not \
                               fetched";
            Err(OAuthError::invalid_client(description).into())
        }
        Resolution::Unresolved(parameters) => {
            let request = pending::Request {
                client: None,
                parameters: &parameters,
                pending: pending.as_ref(),
                new_id: new_id.as_ref(),
            };
            Ok(request.keep(context, browser, NextPage::Login).await?)
        }
    }
}

/// Redeems a pushed request. A browser that waits for the sign-in may open the reference again, as by a reload: then
/// its pending request goes on (RFC 9126 §4, FAPI 2.0 Security Profile §5.3.2.2 note 3). Nothing starts a second
/// request.
async fn open_pushed(
    context: &Context,
    reference: &Reference,
    browser: Browser<'_>,
    requester: Requester<'_>,
) -> Result<(Resolution, Option<PendingRequest>), OAuthError> {
    let error = match resolve_pushed(context, reference, requester).await {
        Ok(resolution) => return Ok((resolution, None)),
        Err(error) if error.code == ErrorCode::InvalidRequestUri => error,
        Err(error) => return Err(error),
    };
    let id = reference.pending_id();
    match pending::resume(context, id, browser.headers, requester).await {
        Ok((resolution, pending))
            if resolution.client_id() == Some(reference.client_id.as_str()) =>
        {
            Ok((resolution, Some(pending)))
        }
        _ => {
            record_unidentified(context, Some(&reference.client_id), &error).await;
            Err(error)
        }
    }
}

/// Stores a posted request as pending, and redirects to `GET`.
async fn keep_form(
    context: &Context,
    form: Result<Decoded, OAuthError>,
    browser: Browser<'_>,
) -> Result<Response, OAuthError> {
    let sent = Sent::read(context, form)?;
    let owner = resource_owner(Caller::without_proof(context, browser.headers).await?);
    let requester = browser.requester(&owner);
    let mut new_id = None;
    let resolution = match sent {
        Sent::Parameters(parameters) => {
            let now = context.clock.now();
            resolve(context, parameters, None, requester, now).await?
        }
        Sent::Pushed(reference) => {
            new_id = Some(reference.pending_id());
            resolve_pushed(context, &reference, requester).await?
        }
        Sent::RequestId(_) => return Err(OAuthError::invalid_request(CLIENT_ID_MISSING)),
    };
    let (client, parameters) = match &resolution {
        Resolution::Resolved(request) => (Some(&request.client.row_id), &request.parameters),
        Resolution::Unresolved(parameters) => (None, parameters),
    };
    let request = pending::Request {
        client,
        parameters,
        pending: None,
        new_id: new_id.as_ref(),
    };
    request.keep(context, browser, NextPage::Authorize).await
}
