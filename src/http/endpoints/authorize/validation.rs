//! Step 3 of an authorization request: validates the parameters and the account's right to approve.

use time::Duration;

use crate::clients;
use crate::context::Context;
use crate::http::caller::{ResourceOwner, require_may_authorize};
use crate::http::extract::Decoded;
use crate::ids::{AccountId, AuthorizationRequestId};
use crate::oauth::OAuthError;
use crate::oauth::authorization_request::AuthorizationRequest;
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::redirect_uri::resolve;
use crate::secret::SecretHash;
use crate::store::authorization_requests::NewRequest;
use crate::store::clients::Client;

/// Lifetime of an undecided authorization request.
pub(super) const REQUEST_TTL: Duration = Duration::minutes(10);

/// Validates a request and returns the row to store.
///
/// # Errors
/// The error that is sent to the client's redirect URI.
pub(in super::super) fn accept(
    context: &Context,
    client: &Client,
    decoded: &Decoded,
    decider: &ResourceOwner,
    request_id: SecretHash,
) -> Result<NewRequest, OAuthError> {
    if let Some(name) = decoded.repeated.first() {
        return Err(OAuthError::invalid_request(format!(
            "{name} is given more than once"
        )));
    }
    check_id_token_hint(context, decoded.get("id_token_hint"), &decider.account.id)?;
    // RFC 9700 §2.1.1: only confidential clients may go without PKCE, unless registered with
    // `pkce_required`.
    let pkce_required = client.kind == ClientType::Public || client.pkce_required;
    let request = AuthorizationRequest::parse(&decoded.values, pkce_required)?;
    require_may_authorize(&decider.account)?;
    clients::require_grant(client, GrantType::AuthorizationCode)?;
    let given = decoded.get("redirect_uri");
    let redirect_uri = resolve(
        context.config.policies.redirect_uris,
        given,
        &client.redirect_uris,
    )?;
    let known = &context.resources;
    let resources = decoded.get("resource").map(|asked| known.read(asked));
    let resources = resources.transpose()?;
    let now = context.clock.now();
    Ok(NewRequest {
        id: AuthorizationRequestId::generate(now),
        request_id,
        account: decider.account.id.clone(),
        client: client.row_id.clone(),
        redirect_uri,
        redirect_uri_given: given.is_some(),
        shown_scope: client
            .scope
            .grant(&request.scope, decider.account.permissions),
        shown_client: client.fingerprint(),
        scope: request.scope.to_string(),
        state: request.state,
        nonce: request.nonce,
        code_challenge: request.code_challenge,
        resources: resources.filter(|resources| !resources.is_empty()),
        auth_time: decider.auth_time(),
        created_at: now,
        expires_at: now + REQUEST_TTL,
    })
}

/// Checks `id_token_hint` (OpenID Connect Core §3.1.2.1): an ID token of this server for the signed-in
/// account. Expired tokens are accepted.
fn check_id_token_hint(
    context: &Context,
    hint: Option<&str>,
    account: &AccountId,
) -> Result<(), OAuthError> {
    #[derive(serde::Deserialize)]
    struct Hint {
        iss: String,
        sub: String,
    }
    let Some(hint) = hint else { return Ok(()) };
    let claims: Option<Hint> = context
        .keys
        .as_ref()
        .and_then(|keys| keys.verify("JWT", hint));
    match claims.filter(|claims| claims.iss == context.config.issuer()) {
        None => Err(OAuthError::invalid_request(
            "id_token_hint is not an ID token of this server",
        )),
        Some(claims) if claims.sub != account.as_str() => Err(OAuthError::login_required(
            "The signed-in account is not the account of id_token_hint",
        )),
        Some(_) => Ok(()),
    }
}
