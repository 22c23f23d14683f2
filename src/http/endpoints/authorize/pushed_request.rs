//! The authorization request that a `request_uri` stands for (RFC 9126 §4).

use super::parameters::{PUSHED, Reference};
use super::request::{Resolution, resolve};
use crate::clients;
use crate::clients::documents::Requester;
use crate::context::Context;
use crate::http::extract::Decoded;
use crate::ids::ClientRowId;
use crate::oauth::OAuthError;
use crate::store::pushed_requests;

/// Consumes a pushed request, and resolves it like a new request: the registration of the client may have changed
/// since (RFC 9126 §7.4).
///
/// # Errors
/// `invalid_request_uri` if the request is unknown, used, expired, or of a different client; `invalid_client` for
/// an unknown client.
pub(super) async fn resolve_pushed(
    context: &Context,
    reference: &Reference,
    requester: Requester<'_>,
) -> Result<Resolution, OAuthError> {
    let client = clients::find(context, &reference.client_id).await?;
    let client = client.ok_or_else(|| OAuthError::invalid_client("Client not found"))?;
    let parameters = redeem(context, reference, client.row_id.clone()).await?;
    let now = context.clock.now();
    let resolved = resolve(context, parameters, Some(&client.row_id), requester, now).await;
    Ok(resolved?)
}

async fn redeem(
    context: &Context,
    reference: &Reference,
    client: ClientRowId,
) -> Result<Decoded, OAuthError> {
    let input = (reference.request_uri.hash(), client);
    let redeemed = context.db.write(input, |tx, (request_uri, client)| {
        Box::pin(pushed_requests::redeem(tx, request_uri, client))
    });
    let now = context.clock.now();
    let redeemed = redeemed.await?.filter(|request| now < request.expires_at);
    let redeemed = redeemed.ok_or_else(|| {
        OAuthError::invalid_request_uri(
            "request_uri is unknown, was used, has expired or belongs to another client; push the \
                 request again",
        )
    })?;
    let mut values = redeemed.parameters.0;
    values.insert(PUSHED.to_owned(), String::new());
    Ok(Decoded {
        values,
        repeated: Vec::new(),
    })
}
