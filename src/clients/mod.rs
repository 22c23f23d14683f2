//! Client lookup and client authentication (RFC 6749 §2.3).

pub mod assertion;
pub mod blocking;
pub mod builtin;
pub mod documents;
pub mod errors;
pub mod facts;
pub mod fapi;
pub mod logos;
pub mod management;
pub mod registration;
pub mod request_object;
pub mod resource;
pub mod secrets;

use std::borrow::Cow;
use std::net::IpAddr;

use crate::context::Context;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::{ErrorCode, OAuthError};
use crate::random::Random;
use crate::rate_limit::{CLIENT_SECRET, CLIENT_SECRET_ADDRESS, networks, networks_with};
use crate::secret::Secret;
use crate::statistics;
use crate::store::audit::Event;
use crate::store::client_details;
use crate::store::clients::{self, Client};
use documents::Requester;

/// Client credentials of a request (RFC 6749 §2.3).
#[derive(Debug)]
pub struct Credentials {
    /// The public client id.
    pub client_id: String,
    /// The client secret.
    pub secret: Option<Secret>,
    /// The client assertion, a signed JWT (RFC 7523 §2.2).
    pub assertion: Option<Secret>,
    /// True if the credentials came in the `Authorization` header.
    pub by_header: bool,
}

impl Credentials {
    /// Determines the authentication method. An `Authorization` header with an empty secret is `none`.
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        match (&self.secret, self.by_header) {
            _ if self.assertion.is_some() => AuthMethod::PrivateKeyJwt,
            (None, _) => AuthMethod::None,
            (Some(_), true) => AuthMethod::Basic,
            (Some(_), false) => AuthMethod::Post,
        }
    }

    /// The error for invalid credentials (RFC 6749 §5.2), with a challenge if the header was used.
    #[must_use]
    pub fn refuse(&self, description: impl Into<Cow<'static, str>>) -> OAuthError {
        let error = OAuthError::invalid_client(description);
        if self.by_header {
            error.challenged()
        } else {
            error
        }
    }
}

/// Finds the client of a client id, without authentication (RFC 6749 §2.2).
///
/// # Errors
/// `invalid_client`; with status 401 and a challenge if the header was used.
pub async fn identify(context: &Context, credentials: &Credentials) -> Result<Client, OAuthError> {
    let client = find(context, &credentials.client_id).await?;
    client.ok_or_else(|| credentials.refuse("Client not found"))
}

/// Authenticates a confidential client, and checks the method of a public client (RFC 6749 §3.2.1).
///
/// # Errors
/// `invalid_client`; with status 401 and a challenge if the header was used, 429 after too many wrong
/// secrets (RFC 6749 §2.3.1).
pub async fn prove(
    context: &Context,
    client: &Client,
    credentials: &Credentials,
    address: IpAddr,
) -> Result<(), OAuthError> {
    let refuse = |description| credentials.refuse(description);
    let used = credentials.method().name();
    let wrong_method =
        |description| refuse(description).mistake(MistakeKind::AuthMethod, Some(used));
    if client.auth_method == Some(AuthMethod::PrivateKeyJwt) {
        let proven = assertion::prove(context, client, credentials).await;
        return proven.inspect_err(|error| {
            let event = match error.code {
                _ if error.limited => Event::ClientAuthenticationLimited,
                ErrorCode::InvalidClient => Event::ClientAuthenticationFailed,
                _ => return,
            };
            context.record_client_refusal(event, &client.client_id);
        });
    }
    if credentials.assertion.is_some() {
        return Err(wrong_method(
            "This client has no registered key for a client_assertion",
        ));
    }
    if client.kind == ClientType::Public {
        return require_chosen_method(context, client, credentials);
    }
    let Some(stored) = &client.secret_hash else {
        return Err(refuse("Client has no secret configured"));
    };
    let Some(secret) = &credentials.secret else {
        return Err(wrong_method("Missing client_secret"));
    };
    require_chosen_method(context, client, credentials)?;
    let now = context.clock.now();
    let is_remembered = || {
        client
            .secret_hashes(now)
            .any(|hash| context.passwords.is_verified(secret, hash))
    };
    if is_remembered() {
        return Ok(());
    }
    // Unverified secrets of a client are checked sequentially: guesses are counted before the next
    // check, and simultaneous first requests of a client cost a single hash.
    let turn = context.passwords.lock_hash(stored).await?;
    if is_remembered() {
        return Ok(());
    }
    let mut limits = networks_with(CLIENT_SECRET, client.row_id.as_str(), address);
    limits.extend(networks(CLIENT_SECRET_ADDRESS, address));
    if let Err(wait) = context.limits.check(&limits) {
        context.record_client_refusal(Event::ClientAuthenticationLimited, &client.client_id);
        return Err(refuse("Too many wrong client secrets").retry_after(wait.0));
    }
    for hash in client.secret_hashes(now) {
        if context.passwords.verify_secret(secret, hash).await? {
            context.passwords.remember(secret, hash);
            // Read the client again: during the slow hash, the secret may have been replaced.
            let again = clients::find_by_row(&context.db, &client.row_id).await?;
            let now = context.clock.now();
            return match again {
                Some(again) if again.secret_hashes(now).any(|good| good == hash) => Ok(()),
                _ => Err(refuse("Invalid client_secret")),
            };
        }
    }
    context.limits.fail(&limits);
    drop(turn);
    context.record_client_refusal(Event::ClientAuthenticationFailed, &client.client_id);
    Err(refuse("Invalid client_secret"))
}

/// Rejects a method other than the registered method (OpenID Connect Core §9). A client without a
/// registered method may use any method.
fn require_chosen_method(
    context: &Context,
    client: &Client,
    credentials: &Credentials,
) -> Result<(), OAuthError> {
    let policy = context.config.policies.client_authentication;
    let (chosen, used) = (client.auth_method, credentials.method());
    if chosen.is_none_or(|chosen| chosen == used) || policy.any_method_accepted {
        return Ok(());
    }
    let (chosen, used) = (chosen.map_or("", AuthMethod::name), used.name());
    let error = credentials.refuse(format!(
        "This client authenticates with {chosen}, as registered, and came with {used}"
    ));
    Err(error.mistake(MistakeKind::AuthMethod, Some(used)))
}

/// Generates a client id. Clients of administrators without an owner get the prefix `client_`, because
/// clean-up, also Storyden's, takes an ownerless `sdoak_` client for a dynamic registration and deletes
/// that client after a week without use.
#[must_use]
pub fn new_id(random: &Random, owned: bool) -> String {
    let prefix = if owned { "sdoak_" } else { "client_" };
    format!("{prefix}{}", random.base64url::<18>())
}

/// Rejects a client that may not use a grant type (RFC 6749 §5.2).
///
/// # Errors
/// `unauthorized_client`.
pub fn require_grant(client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    if client.may_use(grant) {
        return Ok(());
    }
    let name = grant.stored_name();
    let error =
        OAuthError::unauthorized_client(format!("Client is not authorized for {name} grant"));
    Err(error.mistake(MistakeKind::Grant, Some(grant.wire_name())))
}

/// Returns the scope of a request without `scope` (RFC 6749 §3.3): the scope that the client registered
/// (RFC 7591 §2), or the standard scopes if the client lists no scope. `None` if there is no default.
///
/// # Errors
/// If the database is unavailable.
pub async fn default_scope(
    context: &Context,
    client: &Client,
) -> Result<Option<String>, crate::store::Error> {
    if context.config.policies.requests.no_default_scope {
        return Ok(None);
    }
    let details = client_details::find(&context.db, &client.row_id).await?;
    let usual = Some(client.scope.default_scope()).filter(|scope| !scope.is_empty());
    Ok(details
        .default_scope
        .or_else(|| usual.map(|scope| scope.to_string())))
}

/// Finds the client of a client id, and fetches a metadata document if necessary.
///
/// # Errors
/// `invalid_client` if the client is unknown, or the document is invalid.
pub async fn find_or_fetch(
    context: &Context,
    client_id: &str,
    visitor: Requester<'_>,
) -> Result<Client, OAuthError> {
    if documents::is_document(context, client_id) {
        return documents::find(context, client_id, visitor).await;
    }
    let client = find(context, client_id).await?;
    client.ok_or_else(|| OAuthError::invalid_client("Client not found"))
}

/// Finds the client of a client id, the client of the request in progress; `None` for the built-in client while
/// disabled.
///
/// # Errors
/// If the database is unavailable.
pub async fn find(
    context: &Context,
    client_id: &str,
) -> Result<Option<Client>, crate::store::Error> {
    if client_id == builtin::CLIENT_ID && !context.config.cli_enabled {
        return Ok(None);
    }
    let client = clients::find(&context.db, client_id).await?;
    if let Some(client) = &client {
        statistics::set_client(&client.row_id);
    }
    Ok(client)
}
