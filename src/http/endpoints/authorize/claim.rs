//! The undecided request of a consent page. A request that is pending since before sign-in goes to the
//! first account that signs in with the same browser.

use axum::http::HeaderMap;

use super::pending::{claim as claim_pending, parameters_of};
use super::pending_cookie::browsers_of;
use super::request::{Resolution, resolve};
use crate::clients::documents::Requester;
use crate::context::Context;
use crate::http::caller::ResourceOwner;
use crate::http::endpoints::consent::ConsentError;
use crate::http::extract::ClientAddress;
use crate::oauth::OAuthError;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::authorization_requests::{self, AuthorizationRequest, NewRequest};
use crate::store::clients::Client;
use crate::store::shown_consents::ShownConsent;

/// Returns the request if this account may decide it now. All failures give the same answer, so that
/// ids cannot be probed.
pub(super) async fn undecided(
    context: &Context,
    decider: &ResourceOwner,
    request_id: &Secret,
    headers: &HeaderMap,
    address: ClientAddress,
) -> Result<AuthorizationRequest, ConsentError> {
    let hash = request_id.hash();
    let request = match authorization_requests::find(&context.db, &hash).await? {
        Some(request) => request,
        None => claim(context, decider, &hash, headers, address).await?,
    };
    if request.account != decider.account.id
        || request.decided
        || context.clock.now() >= request.expires_at
    {
        return Err(already_processed().into());
    }
    Ok(request)
}

/// Claims a request, pending since before sign-in, for this account.
async fn claim(
    context: &Context,
    decider: &ResourceOwner,
    request_id: &SecretHash,
    headers: &HeaderMap,
    ClientAddress(address): ClientAddress,
) -> Result<AuthorizationRequest, ConsentError> {
    let browsers = browsers_of(headers, request_id);
    if browsers.is_empty() {
        return Err(unknown(context).into());
    }
    let pending = authorization_requests::find_pending(&context.db, request_id).await?;
    let now = context.clock.now();
    let Some(pending) = pending.filter(|pending| pending.is_open(&browsers, now)) else {
        return find_claimed(context, request_id).await;
    };
    let parameters = parameters_of(&pending.parameters.0);
    let requester = Requester {
        account: Some(&decider.account.id),
        address,
    };
    let asked_at = pending.created_at;
    let client = pending.client_id.as_ref();
    let resolved = resolve(context, parameters, client, requester, asked_at).await;
    let request = match resolved.map_err(OAuthError::from)? {
        Resolution::Resolved(request) => request,
        Resolution::Unresolved(_) => {
            return Err(OAuthError::invalid_client("Client not found").into());
        }
    };
    let chosen = pending.chosen_account_id.as_ref();
    let new = match request.requires_sign_in(decider, asked_at, chosen, now) {
        Ok(true) => return Err(ConsentError::SignIn), // the session is not what the request demands
        Ok(false) => {
            let request_id = request_id.clone();
            request.validate(context, decider, request_id).await
        }
        Err(error) => Err(error),
    };
    match new {
        Ok((new, _)) => store_claimed(context, new, request.client).await,
        Err(error) => {
            let location = request.error(context, &error).location(context).await?;
            Err(ConsentError::Location(error, location))
        }
    }
}

async fn store_claimed(
    context: &Context,
    new: NewRequest,
    client: Client,
) -> Result<AuthorizationRequest, ConsentError> {
    let adopted = context
        .db
        .write(new.clone(), |tx, new| Box::pin(claim_pending(tx, new)))
        .await;
    match adopted {
        Ok(()) => Ok(AuthorizationRequest {
            id: new.id,
            account: new.account,
            client,
            redirect_uri: new.redirect_uri,
            scope: new.scope,
            state: new.state,
            nonce: new.nonce,
            code_challenge: new.code_challenge,
            response_mode: new.response_mode,
            claims: new.claims,
            expires_at: new.expires_at,
            created_at: new.created_at,
            decided: false,
            resources: new.resources,
            repeatable: new.repeatable,
            shown: Some(ShownConsent {
                scope: new.shown_scope,
                client: new.shown_client,
                was_shown: false,
            }),
        }),
        Err(store::Error::RaceLost | store::Error::Taken(_)) => {
            find_claimed(context, &new.request_id).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the request if a second tab or a double click claimed it a moment ago.
async fn find_claimed(
    context: &Context,
    request_id: &SecretHash,
) -> Result<AuthorizationRequest, ConsentError> {
    let found = authorization_requests::find(&context.db, request_id).await?;
    found.ok_or_else(|| unknown(context).into())
}

/// Returns the error for an unknown request id: the same as for a finished request, except in the
/// profile `storyden` (storyden-contract.md#consent).
fn unknown(context: &Context) -> OAuthError {
    if context
        .config
        .policies
        .consent
        .unknown_requests_distinguished
    {
        return OAuthError::invalid_request("Request ID not found");
    }
    already_processed()
}

pub(super) fn already_processed() -> OAuthError {
    OAuthError::invalid_request("Request is invalid, expired, or already processed")
}
