//! The consent decision, for the code flow and the device flow: the deciding account, the errors, and
//! the scopes of the page and of the approval.
//!
//! An approval grants at most the scopes that the page showed, limited to the scopes that client and
//! account allow now, without the scopes that the user left out. If the client changed name, owner or redirect URIs since, the page must be shown
//! again.

use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;

use super::require_enabled;
use crate::clients::facts::{self, ClientFacts};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::caller::{Caller, ResourceOwner};
use crate::http::error::{ApiError, OAuthErrorBody};
use crate::http::extract::JsonBody;
use crate::http::guards::{require_own_origin, resource_owner, wrong_credential};
use crate::oauth::OAuthError;
use crate::oauth::scope::{Scope, ScopeName};
use crate::resources;
use crate::store;
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::shown_consents::{self, Page, ShownConsent};

/// Errors of a consent request.
#[derive(Debug)]
pub enum ConsentError {
    /// A protocol error.
    OAuth(OAuthError),
    /// A protocol error and the redirect URI with that error, for the page to follow.
    Location(OAuthError, String),
    /// Wrong kind of credential, a suspended account, or a page of a foreign origin (CSRF).
    Problem(ApiError),
    /// No session: 401 without a body; the page then opens the login page.
    SignIn,
}

impl From<OAuthError> for ConsentError {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<ApiError> for ConsentError {
    fn from(error: ApiError) -> Self {
        Self::Problem(error)
    }
}

impl From<store::Error> for ConsentError {
    fn from(error: store::Error) -> Self {
        Self::OAuth(error.into())
    }
}

impl IntoResponse for ConsentError {
    fn into_response(self) -> Response {
        match self {
            Self::OAuth(error) => error.into_response(),
            Self::Problem(problem) => problem.into_response(),
            Self::SignIn => StatusCode::UNAUTHORIZED.into_response(),
            Self::Location(error, location) => {
                error.log();
                let body = OAuthErrorBody::of(&error, Some(location));
                (error.status(), body).into_response()
            }
        }
    }
}

/// The credentials that a consent operation accepts (storyden-contract.md#callers-of-each-operation).
#[derive(Clone, Copy, Debug)]
pub(super) enum Accepts {
    /// A browser session: decisions about devices.
    Session,
    /// A browser session or a personal access key: decisions about codes.
    SessionOrAccessKey,
}

/// Returns the account that decides.
///
/// # Errors
/// [`ConsentError::SignIn`] without a valid credential; a problem for the wrong kind of credential or a
/// suspended account.
pub(super) async fn require_decider(
    context: &Context,
    headers: &HeaderMap,
    accepts: Accepts,
) -> Result<ResourceOwner, ConsentError> {
    let caller = Caller::without_proof(context, headers).await?;
    if let (Accepts::Session, Caller::PersonalKey(_)) = (accepts, &caller) {
        return Err(wrong_credential().into());
    }
    resource_owner(caller)?.ok_or(ConsentError::SignIn)
}

/// A user's decision.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = OAuthAuthoriseDecision)]
#[serde(rename_all = "lowercase")]
pub(super) enum Decision {
    /// Grants the request.
    Approve,
    /// Refuses the request.
    Deny,
}

/// The content of an approved page.
#[derive(Debug)]
pub(super) struct ApprovedPage {
    /// The version of the client that the page showed, if the page sends the version back.
    pub(super) client_version: Option<String>,
    /// The scopes that the user left selected; all if absent.
    pub(super) selected: Option<Scope>,
}

impl ApprovedPage {
    /// Reads the members of a decision. Unknown names select nothing.
    pub(super) fn new(client_version: Option<String>, scopes: Option<&[String]>) -> Self {
        let selected = scopes.map(|names| Scope::from_names(names.iter().map(String::as_str)));
        Self {
            client_version,
            selected,
        }
    }
}

/// The scopes of an approval.
#[derive(Debug)]
pub(super) struct ApprovedScopes {
    /// Scopes that the page offered, as far as client and account still allow.
    pub(super) offered: Scope,
    /// Scopes that the user granted.
    pub(super) granted: Scope,
}

/// Runs the checks that precede a decision, and returns the deciding account and the body.
///
/// # Errors
/// In this order: a page of a foreign origin (CSRF); the account, as in [`require_decider`]; an invalid
/// body, before the account if the policy says so; OAuth is off.
pub(super) async fn read_decision<T>(
    context: &Context,
    headers: &HeaderMap,
    accepts: Accepts,
    body: Result<JsonBody<T>, ApiError>,
) -> Result<(ResourceOwner, T), ConsentError> {
    require_own_origin(context, &Method::POST, headers)?;
    let body = if context.config.policies.consent.request_validated_first {
        Ok(body?)
    } else {
        body
    };
    let decider = require_decider(context, headers, accepts).await?;
    let JsonBody(body) = body?;
    require_enabled(context)?;
    Ok((decider, body))
}

/// A request that awaits a decision.
#[derive(Debug)]
pub(super) struct Undecided<'a> {
    /// The row of the authorization request or of the device authorization.
    pub(super) id: &'a str,
    /// The client that asks.
    pub(super) client: &'a Client,
    /// The account that decides.
    pub(super) account: &'a Account,
    /// The requested scopes.
    pub(super) requested: &'a Scope,
    /// The scopes and the client version that pages of this request showed so far.
    pub(super) shown: Option<&'a ShownConsent>,
    /// Time of the request.
    pub(super) created_at: Timestamp,
}

impl Undecided<'_> {
    /// Records that the page is shown, and returns the scopes to show as granted and the facts about the
    /// client. `redirect_uri` is where the browser goes after the decision, if anywhere.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(super) async fn show(
        &self,
        context: &Context,
        redirect_uri: Option<&str>,
    ) -> Result<(Scope, ClientFacts), store::Error> {
        let granted = self.record_shown(context).await?;
        let account = &self.account.id;
        let facts = facts::of(context, self.client, account, &granted, redirect_uri).await?;
        Ok((granted, facts))
    }

    async fn record_shown(&self, context: &Context) -> Result<Scope, store::Error> {
        let granted = self.granted(context).await?;
        if let Some(shown) = self.shown.filter(|shown| shown.was_shown) {
            let still_shown = granted.within(&shown.scope);
            let is_same = shown.client.is_empty() || shown.client == self.client.fingerprint();
            if is_same && still_shown.len() == shown.scope.len() {
                return Ok(still_shown);
            }
        }
        let page = Page {
            request: self.id.to_owned(),
            scope: granted,
            client: self.client.fingerprint(),
            at: context.clock.now(),
        };
        let record = context
            .db
            .write(page, |tx, page| Box::pin(shown_consents::record(tx, page)));
        record.await
    }

    /// Returns the scopes that an approval grants.
    ///
    /// # Errors
    /// `consent_required` if the client changed since the page was shown, `invalid_scope` if the user left out
    /// `openid`.
    pub(super) async fn approve(
        &self,
        context: &Context,
        page: &ApprovedPage,
    ) -> Result<ApprovedScopes, OAuthError> {
        let offered = self.offer(context, page.client_version.as_deref()).await?;
        let granted = match &page.selected {
            None => offered.clone(),
            Some(selected) => offered.within(selected),
        };
        let openid = ScopeName::Openid;
        if offered.contains(openid) && !granted.contains(openid) {
            let description = "openid cannot be left out; deny the request instead";
            return Err(OAuthError::invalid_scope(description));
        }
        Ok(ApprovedScopes { offered, granted })
    }

    /// Returns the scopes that an approval of the whole page grants.
    async fn offer(
        &self,
        context: &Context,
        client_version: Option<&str>,
    ) -> Result<Scope, OAuthError> {
        let Some(shown) = self.shown else {
            let (client, account) = (&self.client.row_id, &self.account.id);
            let since = self.created_at;
            if shown_consents::may_have_changed(&context.db, client, account, since).await? {
                return Err(changed());
            }
            return Ok(self.granted(context).await?);
        };
        if client_version.unwrap_or(&shown.client) != self.client.fingerprint() {
            return Err(changed());
        }
        Ok(self.granted(context).await?.within(&shown.scope))
    }

    /// Returns the requested scopes that client and account allow now.
    async fn granted(&self, context: &Context) -> Result<Scope, store::Error> {
        let held = resources::held(context, self.account, self.requested).await?;
        Ok(self.client.scope.grant(self.requested, &held))
    }
}

/// Returns the error if the client changed since the page was shown.
pub(super) fn changed() -> OAuthError {
    OAuthError::consent_required(
        "The application changed since its consent page was shown; show the page again",
    )
}
