//! Pending authorization requests, kept during sign-in and across the redirect after a form post. A
//! short-lived `HttpOnly` cookie binds each request to the browser (see `pending_cookie`).

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::Browser;
use super::parameters::{KNOWN, REPEATED, REQUEST_ID};
use super::pending_cookie::{self, browsers_of};
use super::request::{REQUEST_TTL, Resolution, ResolveError, resolve};
use super::response::{consent_page, redirect};
use crate::clients::documents::Requester;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::cookies::set_cookies;
use crate::http::extract::Decoded;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::{Interaction, Parameters};
use crate::rate_limit::{PENDING_REQUESTS, networks};
use crate::secret::Secret;
use crate::store::audit::Event;
use crate::store::authorization_requests::{self, NewPending, NewRequest};
use crate::store::{self, client_locks};

/// A pending request that this browser resumes.
pub(super) struct PendingRequest {
    pub(super) request_id: Secret,
    pub(super) asked_at: Timestamp,
    /// The account that the person chose among the accounts of the browser.
    pub(super) chosen_account: Option<AccountId>,
}

/// Next page of the browser while the request is pending.
#[derive(Clone, Copy)]
pub(super) enum NextPage {
    /// The login page, then the consent page.
    Login,
    /// This endpoint by `GET`, where the browser sends the `SameSite=Lax` cookies.
    Authorize,
}

/// A request to store as pending, or one that is pending already.
pub(super) struct Request<'a> {
    /// The client; `None` if the metadata document of this client id was never fetched.
    pub(super) client: Option<&'a ClientRowId>,
    pub(super) parameters: &'a Decoded,
    pub(super) pending: Option<&'a PendingRequest>,
    /// The id of a request that is not pending yet; a random id if absent.
    pub(super) new_id: Option<&'a Secret>,
}

impl Request<'_> {
    /// Stores the request unless it is pending already, and redirects the browser.
    pub(super) async fn keep(
        &self,
        context: &Context,
        browser: Browser<'_>,
        next: NextPage,
    ) -> Result<Response, OAuthError> {
        let headers = browser.headers;
        let (request_id, cookies) = if let Some(pending) = self.pending {
            let request_id = pending.request_id.clone();
            let cookies = pending_cookie::clear_oldest(context, headers, &request_id.hash());
            (request_id, cookies)
        } else {
            let cookie = Secret::generate(&context.random);
            let request_id = self.insert(context, browser, &cookie).await?;
            let cookies = pending_cookie::begin(context, headers, &request_id.hash(), &cookie);
            (request_id, cookies)
        };
        let response = match next {
            // RFC 9700 §4.12: 303, so that the browser follows with GET and does not post again.
            NextPage::Authorize => redirect(
                StatusCode::SEE_OTHER,
                &resume_location(context, &request_id),
            ),
            NextPage::Login => {
                let login = login_location(context, &request_id, self.parameters);
                redirect(StatusCode::FOUND, login.as_str())
            }
        };
        Ok((set_cookies(cookies), response).into_response())
    }

    async fn insert(
        &self,
        context: &Context,
        browser: Browser<'_>,
        cookie: &Secret,
    ) -> Result<Secret, OAuthError> {
        context
            .limits
            .spend(&networks(PENDING_REQUESTS, browser.address))
            .map_err(|wait| {
                context.refused(Event::AuthorizationRequestLimited);
                let description = "Too many authorization requests from this network";
                OAuthError::limited(description, wait.0)
            })?;
        let mut parameters = self.parameters.values.clone();
        if let Some(name) = self.parameters.repeated.first() {
            parameters.insert(REPEATED.to_owned(), (*name).to_owned());
        }
        let random = || Secret::generate(&context.random);
        let (request_id, now) = (
            self.new_id.cloned().unwrap_or_else(random),
            context.clock.now(),
        );
        let pending = NewPending {
            request_id: request_id.hash(),
            browser: cookie.hash(),
            client: self.client.cloned(),
            parameters: serde_json::json!(parameters),
            created_at: now,
            expires_at: now + REQUEST_TTL,
        };
        let insert = context.db.write(pending, |tx, pending| {
            Box::pin(authorization_requests::insert_pending(tx, pending))
        });
        insert.await?;
        Ok(request_id)
    }
}

/// Loads a pending request of this browser and resolves the request again.
///
/// # Errors
/// `invalid_request` if no such request is pending in this browser, or the request expired.
pub(super) async fn resume(
    context: &Context,
    request_id: Secret,
    headers: &HeaderMap,
    requester: Requester<'_>,
) -> Result<(Resolution, PendingRequest), OAuthError> {
    let gone = || OAuthError::invalid_request("Request is invalid, expired, or already processed");
    let hash = request_id.hash();
    let browsers = browsers_of(headers, &hash);
    let pending = authorization_requests::find_pending(&context.db, &hash).await?;
    let pending = pending
        .filter(|pending| pending.is_open(&browsers, context.clock.now()))
        .ok_or_else(gone)?;
    let parameters = parameters_of(&pending.parameters.0);
    let client = pending.client_id.as_ref();
    let asked_at = pending.created_at;
    let resolution = match resolve(context, parameters, client, requester, asked_at).await {
        Ok(resolution) => resolution,
        Err(ResolveError::ClientDeleted) => return Err(gone()),
        Err(ResolveError::OAuth(error)) => return Err(error),
    };
    let pending = PendingRequest {
        request_id,
        asked_at,
        chosen_account: pending.chosen_account_id,
    };
    Ok((resolution, pending))
}

/// Restores the decoded parameters of a pending request.
pub(super) fn parameters_of(stored: &Parameters) -> Decoded {
    let mut values = stored.clone();
    let repeated = values.remove(REPEATED);
    let repeated = repeated
        .and_then(|name| KNOWN.iter().find(|known| **known == name))
        .copied()
        .into_iter()
        .collect();
    Decoded { values, repeated }
}

/// Turns a pending request into the request of an account, at most once.
///
/// # Errors
/// [`store::Error::RaceLost`] if a concurrent transaction took the pending request first.
pub(super) async fn claim(tx: &mut store::Tx, new: &NewRequest) -> store::Result<()> {
    client_locks::hold(tx, &new.client, &new.account).await?;
    if !authorization_requests::claim_pending(tx, &new.request_id).await? {
        return Err(store::Error::RaceLost);
    }
    authorization_requests::insert(tx, new).await
}

/// Builds the URL of this endpoint that resumes a pending request.
fn resume_location(context: &Context, request_id: &Secret) -> String {
    let base = context.config.endpoint_base();
    format!(
        "{base}/oauth/authorize?{REQUEST_ID}={}",
        request_id.reveal()
    )
}

/// Builds the URL of the login page, with the consent page of this request as `return_url`. With
/// `prompt=select_account`, unless a new sign-in is demanded too, the page offers the accounts of the browser.
fn login_location(context: &Context, request_id: &Secret, parameters: &Decoded) -> Url {
    let page = consent_page(context, request_id);
    let back = format!("{}?{}", page.path(), page.query().unwrap_or_default());
    let mut login = context.config.login_page();
    login.query_pairs_mut().append_pair("return_url", &back);
    if let Some(hint) = parameters.get("login_hint") {
        login.query_pairs_mut().append_pair("login_hint", hint); // OpenID Connect Core §3.1.2.1
    }
    let interaction = Interaction::parse(&parameters.values);
    if interaction.is_ok_and(|asked| asked.account_choice && !asked.fresh_login) {
        login
            .query_pairs_mut()
            .append_pair("prompt", "select_account");
    }
    login
}
