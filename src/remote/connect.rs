//! Creation of a connection (storyden-contract.md#remote-connections).

use super::Error;
use super::auth_method::AuthMethod;
use super::discovery::{self, Discovered, Mode};
use super::metadata::{ServerMetadata, check_endpoint};
use super::registration::{self, Registration};
use super::scope::{scope_of, with_offline_access};
use crate::context::Context;
use crate::ids::{AccountId, RemoteConnectionId};
use crate::keys::sealer::Place;
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry};
use crate::store::remote::{self, Connection, Details};
use crate::store::value::JsonColumn;

/// Client credentials and endpoints entered by an administrator.
#[derive(Debug, serde::Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteManualConfig)]
pub struct Manual {
    /// The id there.
    #[serde(default)]
    pub client_id: String,
    /// The secret there.
    #[schema(value_type = Option<String>)]
    pub client_secret: Option<Secret>,
    /// Authorization endpoint.
    #[serde(default)]
    pub authorization_endpoint: String,
    /// Token endpoint.
    #[serde(default)]
    pub token_endpoint: String,
    /// Authentication method at the token endpoint: `client_secret_basic`, the default with a secret,
    /// `client_secret_post` or `none`.
    pub token_endpoint_auth_method: Option<String>,
    /// Redirect URI; by default this community's own page.
    pub redirect_uri: Option<String>,
    /// Issuer of the authorization server.
    pub authorization_server: Option<String>,
    /// Requested scope.
    pub scope: Option<String>,
}

/// A connection to be made.
#[derive(Debug)]
pub struct Wanted {
    /// The resource.
    pub resource_url: String,
    /// Client mode; by default the discovered mode.
    pub mode: Option<Mode>,
    /// Requested scope; by default the scope that the resource requests.
    pub scope: Option<String>,
    /// The chosen authorization server, if the resource lists several.
    pub authorization_server: Option<String>,
    /// For [`Mode::Manual`].
    pub manual: Option<Manual>,
}

/// Creates a connection, with an audit event.
///
/// # Errors
/// The reason of the failure.
pub async fn create(
    context: &Context,
    wanted: Wanted,
    account: &AccountId,
    entry: Entry,
) -> Result<Connection, Error> {
    let manual_scope = wanted
        .manual
        .as_ref()
        .and_then(|manual| manual.scope.clone());
    let scope = scope_of(wanted.scope.clone())?.or(scope_of(manual_scope)?);
    let row = if wanted.mode == Some(Mode::Manual) {
        manual(context, wanted, scope, account)?
    } else {
        discovered(context, wanted, scope, account).await?
    };
    let entry = entry.subject(&row.id);
    let written = context.db.write((row.clone(), entry), |tx, (row, entry)| {
        Box::pin(async move {
            remote::insert(tx, row).await?;
            audit::insert(tx, entry).await
        })
    });
    match written.await {
        Ok(()) => Ok(row),
        Err(store::Error::Taken(_)) => Err(connected()),
        Err(error) => Err(error.into()),
    }
}

fn connected() -> Error {
    Error::Connected("This resource is connected already; delete that connection first")
}

fn empty(context: &Context, account: &AccountId, resource_url: String, mode: Mode) -> Connection {
    let now = context.clock.now();
    let callback = context.config.remote_callback_page().to_string();
    Connection {
        id: RemoteConnectionId::generate(now),
        created_at: now,
        updated_at: now,
        resource_url,
        resource: None,
        resource_name: None,
        protected_resource_metadata: None,
        authorization_server: None,
        authorization_server_metadata: None,
        mode: mode.name().to_owned(),
        status: "pending".to_owned(),
        client_id: None,
        client_secret: None,
        authorization_endpoint: None,
        token_endpoint: None,
        registration_endpoint: None,
        token_endpoint_auth_method: None,
        redirect_uris: Some(JsonColumn(Some(vec![callback.clone()]))),
        redirect_uri: Some(callback),
        scope: None,
        access_token: None,
        refresh_token: None,
        token_type: None,
        token_expiry: None,
        token_refresh_started_at: None,
        last_error: None,
        added_by: account.clone(),
        details: Details::default(),
    }
}

fn manual(
    context: &Context,
    wanted: Wanted,
    scope: Option<String>,
    account: &AccountId,
) -> Result<Connection, Error> {
    let given = wanted.manual.ok_or_else(|| {
        Error::refused("mode manual needs manual: client_id and the two endpoints")
    })?;
    let resource = discovery::resource_url(&wanted.resource_url)?;
    if given.client_id.trim().is_empty() {
        return Err(Error::refused("manual.client_id is missing"));
    }
    check_endpoint(
        "manual.authorization_endpoint",
        &given.authorization_endpoint,
    )?;
    check_endpoint("manual.token_endpoint", &given.token_endpoint)?;
    let mut row = empty(context, account, resource.into(), Mode::Manual);
    if let Some(uri) = given.redirect_uri.filter(|uri| !uri.trim().is_empty()) {
        check_endpoint("manual.redirect_uri", &uri)?;
        row.redirect_uris = Some(JsonColumn(Some(vec![uri.clone()])));
        row.redirect_uri = Some(uri);
    }
    if let Some(server) = given
        .authorization_server
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        check_endpoint("manual.authorization_server", server)?;
    }
    let secret = given
        .client_secret
        .filter(|secret| !secret.reveal().is_empty());
    let method = auth_method_of(
        given.token_endpoint_auth_method.as_deref(),
        secret.is_some(),
    )?;
    row.token_endpoint_auth_method = Some(method.name().to_owned());
    row.client_secret = seal_secret(context, &row, secret.as_ref())?;
    row.client_id = Some(given.client_id);
    row.authorization_endpoint = Some(given.authorization_endpoint);
    row.token_endpoint = Some(given.token_endpoint);
    row.authorization_server = given.authorization_server.filter(|text| !text.is_empty());
    row.scope = scope;
    Ok(row)
}

/// The authentication method with manually entered credentials.
fn auth_method_of(given: Option<&str>, has_secret: bool) -> Result<AuthMethod, Error> {
    let method = match given.filter(|name| !name.trim().is_empty()) {
        Some(name) => chosen_method(name)?,
        None if has_secret => AuthMethod::Basic,
        None => AuthMethod::None,
    };
    if method != AuthMethod::None && !has_secret {
        let text = format!("{} needs manual.client_secret", method.name());
        return Err(Error::refused(text));
    }
    Ok(method)
}

/// Reads the authentication method that an administrator chose.
///
/// # Errors
/// If the method is unknown.
pub fn chosen_method(name: &str) -> Result<AuthMethod, Error> {
    AuthMethod::from_name(name.trim()).ok_or_else(|| {
        Error::refused(format!(
            "token_endpoint_auth_method {name:?} is unknown; use client_secret_basic, \
             client_secret_post or none"
        ))
    })
}

/// Seals a secret of a connection for storage.
///
/// # Errors
/// If the secret cannot be sealed.
pub fn seal_secret(
    context: &Context,
    row: &Connection,
    secret: Option<&Secret>,
) -> Result<Option<String>, Error> {
    let place = Place {
        row: row.id.as_str(),
        column: "client_secret",
    };
    let sealed = secret.map(|secret| context.sealer.seal(place, secret));
    Ok(sealed.transpose()?)
}

async fn discovered(
    context: &Context,
    wanted: Wanted,
    scope: Option<String>,
    account: &AccountId,
) -> Result<Connection, Error> {
    let chosen = wanted.authorization_server.as_deref();
    let found = discovery::discover(context, &wanted.resource_url, chosen).await?;
    let mode = wanted.mode.unwrap_or(found.mode);
    let scope = scope.or_else(|| found.scope.clone());
    let same = remote::find_same(
        &context.db,
        found.resource_url.as_str(),
        &found.server,
        account,
    );
    if same.await?.is_some_and(|row| row.access_token.is_some()) {
        return Err(connected());
    }
    let mut row = described(context, &found, mode, account);
    row.scope.clone_from(&scope);
    match mode {
        Mode::Cimd | Mode::Manual => {
            if mode == Mode::Cimd && !found.metadata.takes_public_clients() {
                return Err(Error::refused(
                    "The authorization server does not accept public clients, which a metadata \
                     document requires; use mode dcr or manual",
                ));
            }
            if mode == Mode::Manual && !context.config.policies.remote.manual_uses_own_client_id {
                return Err(Error::refused(
                    "The authorization server supports neither metadata documents nor \
                     registration; use mode manual with the client id of its operator",
                ));
            }
            row.client_id = Some(context.config.own_client_id().into());
            row.token_endpoint_auth_method = Some("none".to_owned());
        }
        Mode::Dcr => {
            let endpoint = found.metadata.registration_endpoint.as_deref();
            let endpoint = endpoint.ok_or_else(|| {
                Error::refused("The authorization server has no registration_endpoint")
            })?;
            let scope = requested_scope(context, &row);
            let registration = Registration {
                endpoint,
                redirect_uri: row.redirect_uri.as_deref().unwrap_or_default(),
                scope: scope.as_deref(),
                server_methods: &found.metadata.auth_methods,
            };
            let registered = registration::register(context, &registration).await?;
            row.client_secret = seal_secret(context, &row, registered.client_secret.as_ref())?;
            row.client_id = Some(registered.client_id);
            row.token_endpoint_auth_method = Some(registered.auth_method.name().to_owned());
            row.details.registered_at = Some(row.created_at);
            row.details.secret_expires_at = registered.secret_expires_at;
        }
    }
    Ok(row)
}

fn described(context: &Context, found: &Discovered, mode: Mode, account: &AccountId) -> Connection {
    let mut row = empty(context, account, found.resource_url.to_string(), mode);
    row.resource.clone_from(&found.resource.resource);
    row.resource_name.clone_from(&found.resource.name);
    row.protected_resource_metadata = Some(JsonColumn(found.resource.document.clone()));
    row.authorization_server = Some(found.server.clone());
    row.authorization_server_metadata = Some(JsonColumn(found.metadata.document.clone()));
    row.authorization_endpoint = Some(found.metadata.authorization_endpoint.clone());
    row.token_endpoint = Some(found.metadata.token_endpoint.clone());
    row.registration_endpoint
        .clone_from(&found.metadata.registration_endpoint);
    row
}

/// The scope of an authorization request and of a registration: the scope of the connection, with
/// `offline_access` if the server knows that scope.
pub(super) fn requested_scope(context: &Context, row: &Connection) -> Option<String> {
    let scope = row.scope.as_deref().filter(|scope| !scope.is_empty());
    if context.config.policies.remote.scope_as_given {
        return scope.map(str::to_owned);
    }
    let metadata = row.authorization_server_metadata.as_ref();
    let known = metadata.map(|metadata| ServerMetadata::scopes(&metadata.0));
    with_offline_access(scope, &known.unwrap_or_default())
}
