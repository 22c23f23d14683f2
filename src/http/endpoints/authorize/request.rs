//! An authorization request from its parameters to the row to store. A new request, a pending request
//! and a request claimed on the consent page take the same steps:
//!
//! 1. [`resolve`] finds the client and the redirect URI. Its errors are never redirected (RFC 6749
//!    §4.1.2.1, OpenID Connect Core §3.1.2.4).
//! 2. [`ResolvedRequest::requires_sign_in`] compares the sign-in with `prompt` and `max_age`.
//! 3. [`ResolvedRequest::validate`] checks the remaining parameters and the account's right to approve.
//!    Errors of the steps 2 and 3 are sent to the redirect URI.

use time::Duration;

use super::parameters::CLIENT_ID_MISSING;
use super::response::{AuthorizationResponse, Receiver};
use super::{protection, request_object};
use crate::clients::documents::{self, Requester};
use crate::clients::{self, find_or_fetch};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::http::caller::{ResourceOwner, require_may_authorize};
use crate::http::extract::Decoded;
use crate::ids::{AccountId, AuthorizationRequestId, ClientRowId};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::{
    AuthorizationRequest, Interaction, ResponseMode, claims_of,
};
use crate::oauth::client_scope::Held;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::known_resources::KnownResources;
use crate::oauth::redirect_uri;
use crate::oauth::remembered_consent::is_identity_assured;
use crate::oauth::scope::Scope;
use crate::oauth::scope_parameter::is_blank;
use crate::oauth::sign_in_method::SignInMethod;
use crate::rate_limit::REQUESTS;
use crate::resources::{self, Target};
use crate::secret::SecretHash;
use crate::statistics;
use crate::store;
use crate::store::audit::Event;
use crate::store::authorization_requests::NewRequest;
use crate::store::clients::Client;

/// The path of the endpoint.
pub(super) const PATH: &str = "/api/oauth/authorize";

/// Lifetime of an undecided authorization request.
pub(super) const REQUEST_TTL: Duration = Duration::minutes(10);

/// The outcome of [`resolve`].
pub(super) enum Resolution {
    /// The client and the redirect URI are known.
    Resolved(Box<ResolvedRequest>),
    /// The client id is the URL of a metadata document that was never fetched. Only a signed-in account
    /// can trigger the fetch.
    Unresolved(Decoded),
}

impl Resolution {
    /// Returns the client id of the request.
    pub(super) fn client_id(&self) -> Option<&str> {
        match self {
            Self::Resolved(request) => Some(&request.client.client_id),
            Self::Unresolved(parameters) => parameters.get("client_id"),
        }
    }
}

/// Errors of [`resolve`].
pub(super) enum ResolveError {
    /// A protocol error.
    OAuth(OAuthError),
    /// The client of a pending request was deleted.
    ClientDeleted,
}

impl From<OAuthError> for ResolveError {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<store::Error> for ResolveError {
    fn from(error: store::Error) -> Self {
        Self::OAuth(error.into())
    }
}

impl From<ResolveError> for OAuthError {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::OAuth(error) => error,
            ResolveError::ClientDeleted => Self::invalid_client("Client not found"),
        }
    }
}

/// Finds the client and the redirect URI, and adds the client's default scope if the request has none
/// (RFC 6749 §3.3). `stored_client` is the client of a pending or a pushed request, `asked_at` the time at which
/// the request arrived.
///
/// The client of a metadata document is the current document if an account is signed in. For a
/// guest, the client is the last snapshot, and the request stays unresolved if there is no snapshot.
pub(super) async fn resolve(
    context: &Context,
    parameters: Decoded,
    stored_client: Option<&ClientRowId>,
    requester: Requester<'_>,
    asked_at: Timestamp,
) -> Result<Resolution, ResolveError> {
    let client_id = parameters.require("client_id", CLIENT_ID_MISSING)?;
    let is_document = documents::is_document(context, client_id);
    let client = match stored_client {
        Some(row) if !is_document => store::clients::find_by_row(&context.db, row)
            .await?
            .ok_or(ResolveError::ClientDeleted)?,
        _ if is_document && requester.account.is_none() => {
            documents::check_id(context, client_id)?;
            match clients::find(context, client_id).await? {
                Some(client) => client,
                None => return Ok(Resolution::Unresolved(parameters)),
            }
        }
        _ => find_or_fetch(context, client_id, requester).await?,
    };
    statistics::set_client(&client.row_id);
    let prepared = prepare(context, &client, parameters, asked_at).await;
    let prepared = prepared.inspect_err(|error| context.record_client_error(PATH, &client, error));
    let (parameters, redirect_uri) = prepared?;
    Ok(Resolution::Resolved(Box::new(ResolvedRequest {
        client,
        parameters,
        redirect_uri,
    })))
}

/// Records an error that was found before the client was: reads the client that the request names.
pub(super) async fn record_unidentified(
    context: &Context,
    client_id: Option<&str>,
    error: &OAuthError,
) {
    let client_id = client_id.unwrap_or_default();
    if let Ok(Some(client)) = clients::find(context, client_id).await {
        context.record_client_error(PATH, &client, error);
    }
}

/// Replaces a request object by its parameters, checks the protection that the client demands, and completes the
/// parameters.
async fn prepare(
    context: &Context,
    client: &Client,
    parameters: Decoded,
    asked_at: Timestamp,
) -> Result<(Decoded, String), OAuthError> {
    let parameters = request_object::expand(context, client, parameters, asked_at).await?;
    protection::require(context, client, &parameters)?;
    completed(context, client, parameters).await
}

/// Resolves the redirect URI, and adds the client's default scope if the request has none.
///
/// # Errors
/// `invalid_request`, not for the redirect URI.
pub(super) async fn completed(
    context: &Context,
    client: &Client,
    mut parameters: Decoded,
) -> Result<(Decoded, String), OAuthError> {
    let redirect_uri = redirect_uri::resolve(
        context.config.policies.redirect_uris,
        parameters.get("redirect_uri"),
        &client.redirect_uris,
    )?;
    if is_blank(parameters.get("scope")) {
        let scope = clients::default_scope(context, client).await?;
        let scope = scope.map(|scope| ("scope".to_owned(), scope));
        parameters.values.extend(scope);
    }
    Ok((parameters, redirect_uri))
}

/// A request with a known client and a registered redirect URI.
pub(super) struct ResolvedRequest {
    pub(super) client: Client,
    pub(super) parameters: Decoded,
    pub(super) redirect_uri: String,
}

impl ResolvedRequest {
    /// True if `prompt` contains `none`: no page may be shown.
    pub(super) fn is_silent(&self) -> bool {
        Interaction::is_silent(&self.parameters.values)
    }

    /// Parses `prompt` and `max_age`.
    ///
    /// # Errors
    /// `invalid_request`, for the redirect URI.
    pub(super) fn interaction(&self) -> Result<Interaction, OAuthError> {
        Interaction::parse(&self.parameters.values)
    }

    /// True if the account must sign in for a request that was first made at `asked_at`: the sign-in is too
    /// old, or not of the way that the client demands, or the request demands a choice of the account, and
    /// the person chose another account or none.
    ///
    /// # Errors
    /// `invalid_request`, or `unmet_authentication_requirements` if no sign-in here would do, for the
    /// redirect URI.
    pub(super) fn requires_sign_in(
        &self,
        owner: &ResourceOwner,
        asked_at: Timestamp,
        chosen: Option<&AccountId>,
        now: Timestamp,
    ) -> Result<bool, OAuthError> {
        let interaction = self.interaction()?;
        let auth_time = owner.auth_time();
        let is_chosen = auth_time.is_some() && chosen == Some(&owner.account.id);
        let demands_choice = !is_chosen && interaction.demands_choice(auth_time, asked_at);
        if demands_choice || interaction.demands_login(auth_time, asked_at, now) {
            return Ok(true);
        }
        // OpenID Connect Core §5.5.1.1: an essential `acr`
        let claims = claims_of(&self.parameters.values)?;
        let acr = owner.sign_in_method().map(SignInMethod::acr);
        if claims.accepts_acr(acr) {
            return Ok(false);
        }
        let is_possible = claims.accepts_any_acr(SignInMethod::ACR_VALUES);
        let signed_in_since = auth_time.is_some_and(|time| time > asked_at);
        if is_possible && !signed_in_since {
            return Ok(true);
        }
        let description = "The sign-in does not have an acr that claims demands";
        Err(OAuthError::unmet_authentication_requirements(description))
    }

    /// True if a remembered consent may approve the request: the client does not ask for the consent page,
    /// the account decides by session, and the identity of the client is assured (RFC 8252 §8.6).
    fn is_repeatable(&self, context: &Context, owner: &ResourceOwner) -> Result<bool, OAuthError> {
        let wants_page = self.interaction()?.consent_page;
        let is_session = owner.auth_time().is_some();
        let is_assured = is_identity_assured(self.client.kind, &self.redirect_uri);
        Ok(context.config.remembers_consent() && !wants_page && is_session && is_assured)
    }

    /// Validates the request and returns the row to store, and the known resources if these were read.
    ///
    /// # Errors
    /// The error for the redirect URI.
    pub(super) async fn validate(
        &self,
        context: &Context,
        owner: &ResourceOwner,
        request_id: SecretHash,
    ) -> Result<(NewRequest, Option<KnownResources>), OAuthError> {
        let (client, parameters) = (&self.client, &self.parameters);
        request_object::fault(parameters)?;
        if let Some(name) = parameters.repeated.first() {
            return Err(OAuthError::invalid_request(format!(
                "{name} is given more than once"
            )));
        }
        let hint = parameters.get("id_token_hint");
        check_id_token_hint(context, hint, &owner.account.id).await?;
        let mut parsed = self.parse()?;
        check_subject(parsed.claims.subject.as_deref(), &owner.account.id)?;
        require_may_authorize(&owner.account)?;
        clients::require_grant(client, GrantType::AuthorizationCode)?;
        let target = self.target(context, &parsed.scope).await?;
        parsed.scope = target.scope;
        let held = resources::held(context, &owner.account, &parsed.scope).await?;
        let new = NewRequest {
            shown_scope: client.scope.grant(&parsed.scope, &held),
            resources: target.resources,
            repeatable: self.is_repeatable(context, owner)?,
            ..self.row(context, owner, request_id, parsed)
        };
        Ok((new, target.known))
    }

    /// Checks the parameters that do not depend on the account, for a pushed request.
    ///
    /// # Errors
    /// As [`Self::validate`].
    pub(super) async fn check(&self, context: &Context) -> Result<(), OAuthError> {
        self.interaction()?;
        if let Some(hint) = self.parameters.get("id_token_hint") {
            hint_subject(context, hint).await?;
        }
        let parsed = self.parse()?;
        clients::require_grant(&self.client, GrantType::AuthorizationCode)?;
        self.target(context, &parsed.scope).await?;
        Ok(())
    }

    /// Parses the parameters.
    fn parse(&self) -> Result<AuthorizationRequest, OAuthError> {
        let client = &self.client;
        // RFC 9700 §2.1.1: only confidential clients may go without PKCE, if exempted.
        let pkce_required = client.kind == ClientType::Public || client.pkce_required;
        AuthorizationRequest::parse(&self.parameters.values, &self.redirect_uri, pkce_required)
    }

    /// Returns the resources and the scope of the request.
    ///
    /// # Errors
    /// `invalid_target` for an unknown resource, `invalid_scope` if no scope is left.
    async fn target(&self, context: &Context, scope: &Scope) -> Result<Target, OAuthError> {
        let target = Target::requested(context, self.parameters.get("resource"), scope).await?;
        if target.scope.is_empty() && !scope.is_empty() {
            return Err(resources::none_left(context, scope).await);
        }
        Ok(target)
    }

    /// Builds the row to store, without resource indicators, to be decided on the consent page.
    pub(super) fn row(
        &self,
        context: &Context,
        owner: &ResourceOwner,
        request_id: SecretHash,
        parsed: AuthorizationRequest,
    ) -> NewRequest {
        let (client, account, now) = (&self.client, &owner.account, context.clock.now());
        let held = Held::from(account.permissions);
        NewRequest {
            id: AuthorizationRequestId::generate(now),
            request_id,
            account: account.id.clone(),
            client: client.row_id.clone(),
            redirect_uri: self.redirect_uri.clone(),
            redirect_uri_given: self.parameters.get("redirect_uri").is_some(),
            shown_scope: client.scope.grant(&parsed.scope, &held),
            shown_client: client.fingerprint(),
            scope: parsed.scope.to_string(),
            state: parsed.state,
            nonce: parsed.nonce,
            code_challenge: parsed.code_challenge,
            response_mode: parsed.response_mode,
            claims: parsed.claims.person,
            dpop_jkt: parsed.dpop_jkt,
            resources: None,
            repeatable: false,
            auth_time: owner.auth_time(),
            sign_in_method: owner.sign_in_method(),
            created_at: now,
            expires_at: now + REQUEST_TTL,
        }
    }

    /// Builds an error response with the client's `state` (RFC 6749 §4.1.2.1), and records the error for the developer
    /// of the client.
    pub(super) fn error(&self, context: &Context, error: &OAuthError) -> AuthorizationResponse {
        context.record_client_error(PATH, &self.client, error);
        self.receiver().error(context, error)
    }

    /// Returns the receiver of the response.
    pub(super) fn receiver(&self) -> Receiver<'_> {
        Receiver {
            redirect_uri: &self.redirect_uri,
            state: self.parameters.get("state"),
            mode: ResponseMode::of(&self.parameters.values, &self.redirect_uri),
        }
    }
}

/// Checks the value of `sub` in `claims` (OpenID Connect Core §5.5.1): the account that must be signed in.
fn check_subject(subject: Option<&str>, account: &AccountId) -> Result<(), OAuthError> {
    if subject.is_none_or(|subject| subject == account.as_str()) {
        return Ok(());
    }
    Err(OAuthError::login_required(
        "The signed-in account is not the account that claims names",
    ))
}

/// Checks `id_token_hint` (OpenID Connect Core §3.1.2.1): an ID token of this server for the signed-in
/// account. Expired tokens are accepted.
async fn check_id_token_hint(
    context: &Context,
    hint: Option<&str>,
    account: &AccountId,
) -> Result<(), OAuthError> {
    let Some(hint) = hint else { return Ok(()) };
    if hint_subject(context, hint).await? == account.as_str() {
        return Ok(());
    }
    Err(OAuthError::login_required(
        "The signed-in account is not the account of id_token_hint",
    ))
}

/// Returns the account of an ID token of this server.
///
/// # Errors
/// `invalid_request` for any other token.
async fn hint_subject(context: &Context, hint: &str) -> Result<String, OAuthError> {
    #[derive(serde::Deserialize)]
    struct Hint {
        iss: String,
        sub: String,
        /// Present in ID tokens, absent in signed userinfo responses.
        #[serde(rename = "iat")]
        _iat: i64,
    }
    let claims: Option<Hint> = match &context.keys {
        Some(keys) => keys.verify_hint(hint).await?,
        None => None,
    };
    let claims = claims.filter(|claims| claims.iss == context.config.issuer());
    let subject = claims.map(|claims| claims.sub);
    subject.ok_or_else(|| {
        OAuthError::invalid_request("id_token_hint is not an ID token of this server")
    })
}

/// Limits the stored authorization requests of one account (P7).
///
/// # Errors
/// `temporarily_unavailable` over the limit.
pub(super) fn limit_requests(context: &Context, account: &AccountId) -> Result<(), OAuthError> {
    let bound = context.limits.spend(&[(REQUESTS, account.as_str())]);
    bound.map_err(|wait| {
        context.record_account_refusal(Event::AuthorizationRequestLimited, account);
        OAuthError::limited("Too many requests of this account", wait.0)
    })
}
