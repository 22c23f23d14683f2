//! The client credentials grant (RFC 6749 §4.4): a client acts with the permissions of its owner.

use super::errors::scope_refused;
use super::issue::{Issue, Terms, TokenResponse};
use super::{ATTEMPTS, committed};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::dpop::Proof;
use crate::ids::GrantId;
use crate::oauth::OAuthError;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::scope::Scope;
use crate::resources::{self, Target};
use crate::store;
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::dpop_proofs;
use crate::store::own_grants;

/// Loads, checks and signs. All tokens of a client share one grant, made with the first token. No
/// refresh token (§4.4.3). A token with a DPoP proof is bound to the key (RFC 9449 §5).
///
/// # Errors
/// `unauthorized_client` without an owner, `invalid_scope` for a scope beyond the client's,
/// `invalid_target` for an unknown resource.
pub(super) async fn answer(
    context: &Context,
    client: &Client,
    requested: Option<&Scope>,
    resource: Option<&str>,
    proof: Option<&Proof>,
) -> Result<TokenResponse, OAuthError> {
    let now = context.clock.now();
    let (owner, grant) = owner_and_grant(context, client, now).await?;
    let asked = requested.unwrap_or(&client.scope.allowed);
    let asked = resources::defined(context, asked, &Scope::default()).await?;
    if let Some(requested) = requested.filter(|requested| asked.is_empty() && !requested.is_empty())
    {
        return Err(resources::none_left(context, requested).await);
    }
    let held = resources::held(context, &owner, &asked).await?;
    let granted = client.scope.grant_to_itself(Some(&asked), &held);
    let scope = granted.map_err(|refused| {
        let description = "Requested scope is not permitted";
        scope_refused(&context.config, description, refused, &client.scope.allowed)
    })?;
    let target = Target::requested(context, resource, &scope).await?;
    let issue = Issue {
        client,
        account: &owner,
        scope: &target.scope,
        grant: &grant,
        for_client_itself: true,
        nonce: None,
        auth_time: None,
        sign_in_method: None,
        claims: &GrantedClaims::default(),
        resources: target.resources.as_deref(),
        key: proof.map(|proof| &proof.key),
        terms: Terms::default(),
    };
    let tokens = issue.sign(context, now).await?;
    if let Some(proof) = proof {
        // The only grant without a transaction of its own.
        let spent = context.db.write(proof.used.clone(), |tx, used| {
            Box::pin(dpop_proofs::spend(tx, used))
        });
        committed(spent.await)?;
    }
    Ok(tokens)
}

/// Finds the owner of a client, not suspended, and the grant of the client's own tokens.
///
/// A revocation, a deletion and a rotation without overlap end the grant. The grant is read together
/// with the stored credentials, after client authentication. A token made with a replaced secret or key
/// therefore belongs to a grant that ended with that credential.
async fn owner_and_grant(
    context: &Context,
    client: &Client,
    now: Timestamp,
) -> Result<(Account, GrantId), OAuthError> {
    for _ in 0..ATTEMPTS {
        let found = own_grants::find(&context.db, &client.row_id).await?;
        let found = found
            .ok_or_else(|| OAuthError::unauthorized_client("Client has no associated account"))?;
        if found.owner.suspended {
            return Err(OAuthError::unauthorized_client(
                "The account of this client is suspended",
            ));
        }
        if !found.owner.may_use_clients() {
            return Err(OAuthError::unauthorized_client(
                "The account of this client lacks the permission USE_OAUTH_CLIENTS",
            ));
        }
        if !found.uses_current_credentials(client) {
            let description = match client.auth_method {
                Some(AuthMethod::PrivateKeyJwt) => "The client was changed; send a new assertion",
                _ => "Invalid client_secret",
            };
            return Err(OAuthError::invalid_client(description));
        }
        let first = found.first(client, now);
        let owner = found.owner;
        if let Some(grant) = found.grant {
            return Ok((owner, grant));
        }
        let made = context
            .db
            .write(first, |tx, first| Box::pin(own_grants::insert(tx, first)));
        match made.await {
            Ok(grant) => return Ok((owner, grant)),
            Err(store::Error::RaceLost) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(OAuthError::temporarily_unavailable(
        "The client is being changed; send the request again",
    ))
}
