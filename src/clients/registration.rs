//! Clients that register themselves (RFC 7591): anybody may, so they are few per address, capped in
//! total, and go after a day when nobody uses them.

use std::net::IpAddr;

use serde::Serialize;

use super::secrets;
use crate::app::App;
use crate::ids::ClientRowId;
use crate::limits::{REGISTRATIONS, networks, site_of};
use crate::oauth::OAuthError;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_metadata::{About, ClientMetadata};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::scope::{ClientScope, ScopePolicy};
use crate::secret::{Secret, SecretHash};
use crate::store::audit::{self, Entry, Event};
use crate::store::client_details::{self, Details};
use crate::store::client_documents;
use crate::store::clients::{self, Client};

/// Seconds after which a full server may have room again: the clean-up is hourly.
const FULL: u64 = 3_600;

/// A network (IPv4 /24, IPv6 /48) holds this part of `OAUTH_DYNAMIC_REGISTRATION_MAX` at most, so that
/// one network cannot fill the server for all others.
const NETWORK_SHARE: i64 = 4;

/// A client that was registered, as it is told (RFC 7591 §3.2.1).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientRegistration)]
pub struct Registered {
    /// Its public id.
    pub client_id: String,
    /// When it was made, seconds since 1970.
    pub client_id_issued_at: i64,
    /// Its name.
    pub client_name: String,
    /// Its secret, shown this once; none for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// 0: the secret does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// How it may get tokens.
    pub grant_types: Vec<&'static str>,
    /// Where a person may be sent who signed out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Where it may be answered.
    pub redirect_uris: Vec<String>,
    /// Its response types.
    pub response_types: &'static [&'static str],
    /// What it asks for when it names no scope.
    pub scope: String,
    /// How it authenticates.
    pub token_endpoint_auth_method: &'static str,
    /// Its public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// Where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// What manages this registration, as a bearer token (RFC 7592 §3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_access_token: Option<String>,
    /// Where it is managed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_client_uri: Option<String>,
    /// What else it said of itself.
    #[serde(flatten)]
    pub about: About,
}

/// Makes a client of what it said of itself.
///
/// # Errors
/// `temporarily_unavailable` when there are too many, from this address or at all.
pub async fn register(
    app: &App,
    metadata: ClientMetadata,
    address: IpAddr,
) -> Result<Registered, OAuthError> {
    let limits = networks(REGISTRATIONS, address);
    app.limits
        .spend(&limits)
        .map_err(|wait| OAuthError::limited("Too many registrations from this network", wait.0))?;
    let max = i64::try_from(app.config.registration_max).unwrap_or(i64::MAX);
    if client_details::are_registrations_full(&app.db, max).await? {
        tracing::warn!(max, "OAUTH_DYNAMIC_REGISTRATION_MAX is reached");
        let description = "There are too many registrations here; unused ones go after a day";
        return Err(OAuthError::temporarily_unavailable(description).retry_after(FULL));
    }
    let network = site_of(address);
    let share = (max / NETWORK_SHARE).max(1);
    if client_details::registrations_from(&app.db, &network, share).await? >= share {
        let description = "This network has registered as many clients as it may; unused ones are \
                           deleted after a day";
        return Err(OAuthError::limited(description, FULL));
    }
    let secret = secret_for(app, metadata.auth_method).await?;
    let (secret, hash) = secret.unzip();
    let client = client_of(app, &metadata, hash);
    let token =
        (!app.config.profile.registration_is_storydens()).then(|| Secret::generate(&app.random));
    let details = details_of(app, &metadata, token.as_ref().map(Secret::hash));
    let entry = Entry::new(Event::ClientRegistered, client.created_at)
        .client(&client.client_id)
        .subject(&client.row_id)
        .from(address);
    let keys = metadata.keys.clone();
    let answer = answer(app, &client, metadata, secret.as_ref(), token.as_ref());
    let input = (client, (details, network), keys, entry);
    app.db
        .write(input, |tx, (client, (details, network), keys, entry)| {
            Box::pin(async move {
                clients::insert(tx, client).await?;
                client_details::save(tx, &client.row_id, details).await?;
                client_details::set_network(tx, &client.row_id, network).await?;
                client_documents::save_keys(tx, &client.row_id, keys).await?;
                audit::insert(tx, entry).await
            })
        })
        .await?;
    Ok(answer)
}

/// Whether a client that authenticates so has a secret.
pub(super) fn has_secret(method: AuthMethod) -> bool {
    matches!(method, AuthMethod::Basic | AuthMethod::Post)
}

/// A secret and its hash, for a client that authenticates by one.
pub(super) async fn secret_for(
    app: &App,
    method: AuthMethod,
) -> Result<Option<(Secret, String)>, OAuthError> {
    if has_secret(method) {
        Ok(Some(secrets::generate(app).await?))
    } else {
        Ok(None)
    }
}

/// What a registration has beyond its row.
pub(super) fn details_of(
    app: &App,
    metadata: &ClientMetadata,
    registration_token: Option<SecretHash>,
) -> Details {
    Details {
        registered: true,
        // In Storyden's profile a request without a scope asks for nothing (contract 4.3).
        default_scope: (!app.config.profile.registration_is_storydens())
            .then(|| metadata.scope.to_string()),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris.clone(),
        about: metadata.about.clone(),
        registration_token,
    }
}

/// The row of a registration. Its id is 144 random bits, and the database lets none be there twice.
pub(super) fn client_of(
    app: &App,
    metadata: &ClientMetadata,
    secret_hash: Option<String>,
) -> Client {
    let client_id = format!("sdoak_{}", app.random.base64url::<18>());
    let now = app.clock.now();
    Client {
        row_id: ClientRowId::generate(),
        name: metadata.name.clone().unwrap_or_else(|| client_id.clone()),
        client_id,
        kind: if metadata.auth_method == AuthMethod::None {
            ClientType::Public
        } else {
            ClientType::Confidential
        },
        secret_hash,
        old_secret: None,
        auth_method: Some(metadata.auth_method).filter(|_| metadata.auth_method_chosen),
        pkce_required: true,
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed: metadata.allowed.clone(),
        },
        redirect_uris: metadata.redirect_uris.clone(),
        redirect_uris_left_out: false,
        grants: metadata.grants.clone(),
        owner: None,
        created_at: now,
        updated_at: now,
    }
}

pub(super) fn answer(
    app: &App,
    client: &Client,
    metadata: ClientMetadata,
    secret: Option<&Secret>,
    token: Option<&Secret>,
) -> Registered {
    let always = app.config.profile.registration_is_storydens();
    Registered {
        client_id: client.client_id.clone(),
        client_id_issued_at: client.created_at.unix_seconds(),
        client_name: client.name.clone(),
        client_secret: secret.map(|secret| secret.reveal().to_owned()),
        client_secret_expires_at: (secret.is_some() || always).then_some(0),
        grant_types: metadata
            .grants
            .iter()
            .copied()
            .map(GrantType::wire_name)
            .collect(),
        response_types: metadata.response_types(),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris,
        redirect_uris: metadata.redirect_uris,
        scope: metadata.scope.to_string(),
        token_endpoint_auth_method: metadata.auth_method.name(),
        jwks: metadata.keys.jwks,
        jwks_uri: metadata.keys.jwks_uri,
        registration_access_token: token.map(|token| token.reveal().to_owned()),
        registration_client_uri: token.map(|_| {
            let base = app.config.endpoint_base();
            format!("{base}/oauth/register/{}", client.client_id)
        }),
        about: metadata.about,
    }
}
