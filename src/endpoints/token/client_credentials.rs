//! The client credentials grant (RFC 6749 §4.4): a client acts for itself, with what its owner holds.

use super::issue::{Issue, TokenResponse};
use crate::app::App;
use crate::oauth::OAuthError;
use crate::oauth::scope::Scope;
use crate::store::clients::{self, Client};

/// Load, decide, sign, answer: nothing is stored, and there is no refresh token (§4.4.3).
///
/// # Errors
/// `unauthorized_client` without an owner, `invalid_scope` for more than the client may have,
/// `invalid_target` for a resource that is not known.
pub(super) async fn answer(
    app: &App,
    client: &Client,
    requested: Option<&Scope>,
    resource: Option<&str>,
) -> Result<TokenResponse, OAuthError> {
    let owner = clients::owner(&app.db, &client.row_id).await?;
    let owner =
        owner.ok_or_else(|| OAuthError::unauthorized_client("Client has no associated account"))?;
    if owner.suspended {
        return Err(OAuthError::unauthorized_client(
            "The account of this client is suspended",
        ));
    }
    if !owner.may_use_clients() {
        return Err(OAuthError::unauthorized_client(
            "The account of this client lacks the permission USE_OAUTH_CLIENTS",
        ));
    }
    let granted = client.scope.grant_to_itself(requested, owner.permissions);
    let scope =
        granted.map_err(|_| OAuthError::invalid_scope("Requested scope is not permitted"))?;
    let known = &app.resources;
    let resources = resource.map(|asked| known.read(asked)).transpose()?;
    let issue = Issue {
        client,
        account: &owner,
        scope: &scope,
        grant: None,
        nonce: None,
        auth_time: None,
        resources: resources.as_deref(),
    };
    issue.sign(app, app.clock.now()).await
}
