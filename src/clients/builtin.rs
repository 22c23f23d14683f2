//! The built-in client of the `sd` command-line tool, `storyden-cli`
//! (storyden-contract.md#built-in-client). Created when a device flow is first started with this
//! client.

use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::OAuthError;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::scope::{Scope, ScopeName};
use crate::store::client_changes::{self, Changes};
use crate::store::clients::{self, Client};
use crate::store::{self};

/// The public client id.
pub const CLIENT_ID: &str = "storyden-cli";

/// True if a client is enabled. `storyden-cli` can be disabled; other clients are always
/// enabled.
#[must_use]
pub fn is_enabled(context: &Context, client: &Client) -> bool {
    client.client_id != CLIENT_ID || context.config.cli_enabled
}

/// The name shown on the consent page.
const NAME: &str = "Storyden";

/// Returns the client. Creates a missing client and resets a changed name, because members must
/// recognise the client (storyden-contract.md#built-in-client).
///
/// # Errors
/// If the database does not answer.
pub async fn ensure(context: &Context) -> Result<Client, store::Error> {
    if let Some(client) = clients::find(&context.db, CLIENT_ID).await? {
        return if client.name == NAME {
            Ok(client)
        } else {
            reset_name(context, client).await
        };
    }
    let client = Client {
        row_id: ClientRowId::generate(context.clock.now()),
        client_id: CLIENT_ID.to_owned(),
        secret_hash: None,
        name: NAME.to_owned(),
        kind: ClientType::Public,
        application_type: None,
        old_secret: None,
        auth_method: None,
        pkce_required: false,
        request_protection: RequestProtection::NONE,
        dpop_bound: false,
        fapi: false,
        algorithms: ClientAlgorithms::default(),
        scope: ClientScope {
            policy: ScopePolicy::Inherit,
            allowed: Scope::all(),
            self_registered: false,
        },
        redirect_uris: Vec::new(),
        redirect_uris_omitted: false,
        grants: vec![GrantType::DeviceCode, GrantType::RefreshToken],
        owner: None,
        created_at: context.clock.now(),
        updated_at: context.clock.now(),
    };
    let made = context
        .db
        .write(client, |tx, client| {
            Box::pin(client_changes::insert(tx, client))
        })
        .await;
    match made {
        Ok(()) | Err(store::Error::Taken(_)) => {} // another replica created the client
        Err(error) => return Err(error),
    }
    let client = clients::find(&context.db, CLIENT_ID).await?;
    client.ok_or(store::Error::RaceLost)
}

/// Resets the client's name.
async fn reset_name(context: &Context, mut client: Client) -> Result<Client, store::Error> {
    NAME.clone_into(&mut client.name);
    let input = (client.row_id.clone(), context.clock.now());
    let renamed = context.db.write(input, |tx, (id, now)| {
        let changes = Changes {
            name: Some(NAME.to_owned()),
            ..Changes::default()
        };
        Box::pin(async move { client_changes::update(tx, id, &changes, *now).await })
    });
    renamed.await?;
    Ok(client)
}

/// Checks that the scope is exactly `openid profile offline_access`, in any order; permissions come
/// from the account.
///
/// # Errors
/// `invalid_scope` with Storyden's text.
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
