//! Who is this client: a stored row and, for the confidential ones, the secret that proves it.

pub mod builtin;
pub mod resource;

use std::net::IpAddr;

use crate::app::App;
use crate::limits::{CLIENT_SECRET, CLIENT_SECRET_ADDRESS, network_of};
use crate::oauth::OAuthError;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::secret::Secret;
use crate::store::clients::{self, Client};

/// What a client says of itself at the token endpoint (RFC 6749 §2.3).
#[derive(Debug)]
pub struct Credentials {
    /// Its public id.
    pub client_id: String,
    /// Its secret.
    pub secret: Option<Secret>,
    /// Whether they came in the `Authorization` header.
    pub by_header: bool,
}

impl Credentials {
    /// The answer to credentials that are not good (RFC 6749 §5.2).
    #[must_use]
    pub fn refuse(&self, description: &'static str) -> OAuthError {
        let error = OAuthError::invalid_client(description);
        if self.by_header {
            error.challenged()
        } else {
            error
        }
    }
}

/// Finds the client that somebody says it is (RFC 6749 §2.2).
///
/// # Errors
/// `invalid_client`; with status 401 and a challenge when the header was used.
pub async fn identify(app: &App, credentials: &Credentials) -> Result<Client, OAuthError> {
    let client = find(app, &credentials.client_id).await?;
    client.ok_or_else(|| credentials.refuse("Client not found"))
}

/// Checks that it is that client, when it is a confidential one (RFC 6749 §3.2.1).
///
/// # Errors
/// `invalid_client`; with status 401 and a challenge when the header was used, 429 after too many
/// wrong secrets (RFC 6749 §2.3.1).
pub async fn prove(
    app: &App,
    client: &Client,
    credentials: &Credentials,
    address: IpAddr,
) -> Result<(), OAuthError> {
    let refuse = |description| credentials.refuse(description);
    if client.kind == ClientType::Public {
        return Ok(());
    }
    let Some(stored) = &client.secret_hash else {
        return Err(refuse("Client has no secret configured"));
    };
    let Some(secret) = &credentials.secret else {
        return Err(refuse("Missing client_secret"));
    };
    if app.passwords.remembers(secret, stored) {
        return Ok(());
    }
    // One new secret of a client at a time: guesses are counted one by one, and a client that
    // starts with many requests at once is checked once and then remembered.
    let turn = app.passwords.turn_of(stored).await?;
    if app.passwords.remembers(secret, stored) {
        return Ok(());
    }
    let network = network_of(address);
    let pair = format!("{}\0{network}", client.row_id);
    let limits = [
        (CLIENT_SECRET, pair.as_str()),
        (CLIENT_SECRET_ADDRESS, network.as_str()),
    ];
    if let Err(wait) = app.limits.check(&limits) {
        return Err(refuse("Too many wrong client secrets").retry_after(wait.0));
    }
    if app.passwords.verify_secret(secret, stored).await? {
        app.passwords.remember(secret, stored);
        return Ok(());
    }
    app.limits.fail(&limits);
    drop(turn);
    tracing::warn!(client = %client.row_id, "a client presented a wrong secret");
    Err(refuse("Invalid client_secret"))
}

/// Refuses a client that may not use a grant (RFC 6749 §5.2).
///
/// # Errors
/// `unauthorized_client`.
pub fn require_grant(client: &Client, grant: GrantType) -> Result<(), OAuthError> {
    if client.may_use(grant) {
        return Ok(());
    }
    let name = grant.stored_name();
    Err(OAuthError::unauthorized_client(format!(
        "Client is not authorized for {name} grant"
    )))
}

/// The client of a public id; the built-in one only while it is on.
///
/// # Errors
/// When the database does not answer.
pub async fn find(app: &App, client_id: &str) -> Result<Option<Client>, crate::store::Error> {
    if client_id == builtin::CLIENT_ID && !app.config.cli_enabled {
        return Ok(None);
    }
    clients::find(&app.db, client_id).await
}
