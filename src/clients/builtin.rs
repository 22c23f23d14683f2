//! The built-in client of the `sd` command-line tool, `storyden-cli` (contract 10.2). It is made
//! when a device flow is first started with it.

use crate::app::App;
use crate::ids::ClientRowId;
use crate::oauth::OAuthError;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::scope::{ClientScope, Scope, ScopeName, ScopePolicy};
use crate::store::clients::{self, Client};
use crate::store::{self};

/// Its public id.
pub const CLIENT_ID: &str = "storyden-cli";

/// Whether a client may be used here: all but the built-in one, which can be switched off.
#[must_use]
pub fn is_on(app: &App, client: &Client) -> bool {
    client.client_id != CLIENT_ID || app.config.cli_enabled
}

/// The client, made if it is not there.
///
/// # Errors
/// When the database does not answer.
pub async fn ensure(app: &App) -> Result<Client, store::Error> {
    if let Some(client) = clients::find(&app.db, CLIENT_ID).await? {
        return Ok(client);
    }
    let client = Client {
        row_id: ClientRowId::generate(),
        client_id: CLIENT_ID.to_owned(),
        secret_hash: None,
        name: "Storyden".to_owned(),
        kind: ClientType::Public,
        old_secret: None,
        auth_method: None,
        pkce_required: false,
        scope: ClientScope {
            policy: ScopePolicy::Inherit,
            allowed: Scope::all(),
        },
        redirect_uris: Vec::new(),
        redirect_uris_left_out: false,
        grants: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        owner: None,
        created_at: app.clock.now(),
        updated_at: app.clock.now(),
    };
    let made = app
        .db
        .write(client, |tx, client| Box::pin(clients::insert(tx, client)))
        .await;
    match made {
        Ok(()) | Err(store::Error::Taken(_)) => {} // another replica was first
        Err(error) => return Err(error),
    }
    let client = clients::find(&app.db, CLIENT_ID).await?;
    client.ok_or(store::Error::Lost)
}

/// It asks for exactly `openid profile offline_access`, in any order; its permissions are the
/// account's.
///
/// # Errors
/// `invalid_scope` with the contract's text.
pub fn check_scope(scope: &Scope) -> Result<(), OAuthError> {
    let wanted: Scope = [
        ScopeName::Openid,
        ScopeName::Profile,
        ScopeName::OfflineAccess,
    ]
    .into_iter()
    .collect();
    if scope.is_within(&wanted) && wanted.is_within(scope) && scope.len() == wanted.len() {
        return Ok(());
    }
    Err(OAuthError::invalid_scope(
        "Storyden CLI requires openid, profile, and offline_access scopes",
    ))
}
