//! Client configuration endpoint (RFC 7592): reads, replaces and deletes a registration. The
//! registration access token is valid for a single registration.

use std::net::IpAddr;

use super::registration::{self, ClientInformation, answer, client_of, details_of};
use crate::context::Context;
use crate::oauth::OAuthError;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_metadata::{ClientKeys, ClientMetadata, RequestMetadata};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::client_changes;
use crate::store::client_deletion;
use crate::store::client_details::{self, Details};
use crate::store::client_keys;
use crate::store::clients::{self, Client};
use crate::store::revocation;

/// A registration, authorized by the registration access token.
#[derive(Debug)]
pub struct Registration {
    client: Client,
    details: Details,
    keys: ClientKeys,
}

/// Finds a registration and checks the registration access token.
///
/// # Errors
/// `invalid_token`, the same for an unknown client and a wrong token (RFC 7592 §3).
pub async fn open(
    context: &Context,
    client_id: &str,
    token: &Secret,
) -> Result<Registration, OAuthError> {
    let refused = || {
        OAuthError::invalid_token(
            "The registration access token is invalid for this \
        registration",
        )
    };
    let Some(client) = clients::find(&context.db, client_id).await? else {
        context.refused(Event::RegistrationTokenFailed);
        return Err(refused());
    };
    let details = client_details::find(&context.db, &client.row_id).await?;
    let token_matches = details.registration_token == Some(token.hash());
    if !token_matches || client.owner.is_some() {
        context.record_client_refusal(Event::RegistrationTokenFailed, client_id);
        return Err(refused());
    }
    let keys = client_keys::find(&context.db, &client.row_id).await?;
    Ok(Registration {
        client,
        details,
        keys,
    })
}

/// Converts a registration into the response (RFC 7592 §2.1). Only the hash of the secret is stored, so
/// the response has no `client_secret`.
#[must_use]
pub fn show(context: &Context, registration: Registration, token: &Secret) -> ClientInformation {
    let Registration {
        client,
        details,
        keys,
    } = registration;
    let method = client.auth_method;
    let scope = details.default_scope.as_deref().unwrap_or_default();
    let metadata = ClientMetadata {
        name: Some(client.name.clone()),
        auth_method: method.unwrap_or(AuthMethod::usual(client.kind)),
        auth_method_chosen: method.is_some(),
        grants: client.grants.clone(),
        redirect_uris: client.redirect_uris.clone(),
        post_logout_redirect_uris: details.post_logout_redirect_uris,
        keys,
        scope: crate::oauth::scope::Scope::stored(scope),
        allowed: client.scope.allowed.clone(),
        dpop_bound: client.dpop_bound,
        fapi: client.fapi,
        algorithms: client.algorithms,
        pkce_required: None,
        requests: RequestMetadata::stored(
            client.request_protection,
            details.request_object_algorithm,
        ),
        about: details.about,
        warnings: Vec::new(),
    };
    answer(context, &client, metadata, None, Some(token))
}

/// Replaces the metadata of a registration (RFC 7592 §2.2). Revokes the client's grants if the name, type,
/// redirect URIs or keys of client authentication changed.
///
/// # Errors
/// `invalid_token` if the registration was deleted meanwhile.
pub async fn replace(
    context: &Context,
    registration: Registration,
    mut metadata: ClientMetadata,
    token: &Secret,
    address: IpAddr,
) -> Result<ClientInformation, OAuthError> {
    let before = registration.client;
    let keeps_secret =
        before.secret_hash.is_some() && registration::has_secret(metadata.auth_method);
    let (secret, hash) = if keeps_secret {
        (None, before.secret_hash.clone())
    } else {
        registration::secret_for(context, metadata.auth_method)
            .await?
            .unzip()
    };
    // An exemption by the initial access token stays.
    let may_omit = !before.pkce_required || registration::is_pkce_optional(context);
    let pkce_required = registration::pkce_required(&mut metadata, may_omit);
    let described = client_of(context, &metadata, hash);
    let client = Client {
        row_id: before.row_id.clone(),
        client_id: before.client_id.clone(),
        name: metadata
            .name
            .clone()
            .unwrap_or_else(|| before.client_id.clone()),
        created_at: before.created_at,
        pkce_required,
        old_secret: before.old_secret.clone(),
        ..described
    };
    let by_key = Some(AuthMethod::PrivateKeyJwt);
    let authenticates_by_key = before.auth_method == by_key || client.auth_method == by_key;
    let ends_grants = before.kind != client.kind
        || before.name != client.name
        || before.redirect_uris != client.redirect_uris
        || authenticates_by_key && registration.keys != metadata.keys;
    let details = details_of(context, &metadata, registration.details.registration_token);
    let entry = Entry::new(Event::ClientUpdated, client.updated_at)
        .client(&client.client_id)
        .subject(&client.row_id)
        .from(address);
    let change = Replacement {
        keys: metadata.keys.clone(),
        client: client.clone(),
        details,
        ends_grants,
        entry,
    };
    let written = context
        .db
        .write(change, |tx, change| Box::pin(change.commit(tx)))
        .await;
    match written {
        Ok(()) => Ok(answer(
            context,
            &client,
            metadata,
            secret.as_ref(),
            Some(token),
        )),
        Err(store::Error::Gone) => Err(OAuthError::invalid_token(
            "The registration access token is invalid for this registration",
        )),
        Err(error) => Err(error.into()),
    }
}

/// The rows of a replacement, written in a single transaction.
struct Replacement {
    client: Client,
    details: Details,
    keys: ClientKeys,
    ends_grants: bool,
    entry: Entry,
}

impl Replacement {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        let row = &self.client.row_id;
        client_changes::replace(tx, &self.client).await?;
        client_details::save(tx, row, &self.details).await?;
        client_keys::save(tx, row, &self.keys).await?;
        if self.ends_grants {
            revocation::end_changed_client(tx, row, self.entry.at).await?;
        }
        audit::insert(tx, &self.entry).await
    }
}

/// Deletes a registration with all grants, codes and tokens (RFC 7592 §2.3).
///
/// # Errors
/// If the database is unavailable.
pub async fn delete(
    context: &Context,
    registration: Registration,
    address: IpAddr,
) -> Result<(), OAuthError> {
    let client = registration.client;
    let entry = Entry::new(Event::ClientDeleted, context.clock.now())
        .client(&client.client_id)
        .subject(&client.row_id)
        .from(address);
    let deleted = context
        .db
        .write((client.row_id, entry), |tx, (row, entry)| {
            Box::pin(async move {
                if client_deletion::delete(tx, row, entry.at).await? {
                    audit::insert(tx, entry).await?;
                }
                Ok(())
            })
        });
    Ok(deleted.await?)
}
