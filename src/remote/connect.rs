//! Creation of a connection, and the start of its authorization
//! (storyden-contract.md#remote-connections).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use time::Duration;
use url::Url;

use super::Error;
use super::auth_method::AuthMethod;
use super::discovery::{self, Discovered, Mode};
use super::metadata::check_endpoint;
use super::registration;
use crate::context::Context;
use crate::ids::{AccountId, RemoteConnectionId, RemoteFlowId};
use crate::keys::sealer::Place;
use crate::oauth::pkce::{CodeChallenge, CodeVerifier};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry};
use crate::store::remote::{self, Connection};
use crate::store::remote_flows::{self, NewFlow};
use crate::store::value::JsonColumn;

/// Lifetime of an authorization flow.
const FLOW_TTL: Duration = Duration::minutes(10);
/// The longest scope, in bytes.
const SCOPE_MAX: usize = 2 * 1_024;

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
    /// Requested scope.
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

/// Reads a requested scope; a blank scope is absent.
///
/// # Errors
/// If the scope is too long or malformed (RFC 6749 §3.3).
pub fn scope_of(given: Option<String>) -> Result<Option<String>, Error> {
    let scope = given
        .map(|scope| scope.trim().to_owned())
        .filter(|scope| !scope.is_empty());
    let is_scope = |scope: &String| {
        scope.len() <= SCOPE_MAX && scope.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    match scope {
        Some(scope) if !is_scope(&scope) => Err(Error::refused(
            "scope must be names separated by spaces, with at most 2048 bytes",
        )),
        scope => Ok(scope),
    }
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
    row.token_endpoint_auth_method = Some(auth_method_of(secret.as_ref()).name().to_owned());
    row.client_secret = seal_secret(context, &row, secret.as_ref())?;
    row.client_id = Some(given.client_id);
    row.authorization_endpoint = Some(given.authorization_endpoint);
    row.token_endpoint = Some(given.token_endpoint);
    row.authorization_server = given.authorization_server.filter(|text| !text.is_empty());
    row.scope = scope;
    Ok(row)
}

fn auth_method_of(secret: Option<&Secret>) -> AuthMethod {
    if secret.is_some() {
        AuthMethod::Basic
    } else {
        AuthMethod::None
    }
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
            let methods = &found.metadata.auth_methods;
            let takes_none = methods.is_empty() || methods.iter().any(|one| one == "none");
            if mode == Mode::Cimd && !takes_none {
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
            let callback = row.redirect_uri.clone().unwrap_or_default();
            let registered =
                registration::register(context, endpoint, &callback, scope.as_deref()).await?;
            row.client_secret = seal_secret(context, &row, registered.client_secret.as_ref())?;
            row.client_id = Some(registered.client_id);
            row.token_endpoint_auth_method = Some(registered.auth_method.name().to_owned());
        }
    }
    Ok(row)
}

fn described(context: &Context, found: &Discovered, mode: Mode, account: &AccountId) -> Connection {
    let mut row = empty(context, account, found.resource_url.to_string(), mode);
    row.resource = Some(found.resource.resource.clone());
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

/// Begins an authorization: where the browser goes.
///
/// # Errors
/// When the connection is not complete.
pub async fn authorize(
    context: &Context,
    row: &Connection,
    account: &AccountId,
) -> Result<Url, Error> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let incomplete =
        || Error::refused("The connection has no authorization_endpoint or no client_id");
    let endpoint = given(&row.authorization_endpoint).ok_or_else(incomplete)?;
    let client_id = given(&row.client_id).ok_or_else(incomplete)?;
    let mut url = check_endpoint("authorization_endpoint", &endpoint)?;
    check_endpoint(
        "token_endpoint",
        row.token_endpoint.as_deref().unwrap_or_default(),
    )?;
    let redirect_uri =
        given(&row.redirect_uri).unwrap_or_else(|| context.config.remote_callback_page().into());
    check_endpoint("redirect_uri", &redirect_uri)?;
    let state = Secret::generate(&context.random);
    let verifier = context.random.base64url::<48>();
    let challenge = CodeVerifier::parse(&verifier).map(|verifier| CodeChallenge::of(&verifier));
    let challenge =
        challenge.ok_or_else(|| Error::refused("the code verifier cannot be generated"))?;
    let now = context.clock.now();
    let id = RemoteFlowId::generate(now);
    let place = Place {
        row: id.as_str(),
        column: "pkce_verifier",
    };
    let flow = NewFlow {
        state_hash: state_hash(state.reveal()),
        verifier: context.sealer.seal(place, &Secret::new(verifier))?,
        redirect_uri: redirect_uri.clone(),
        connection: row.id.clone(),
        account: account.clone(),
        issuer: issuer_of(row),
        created_at: now,
        expires_at: now + FLOW_TTL,
        id,
    };
    let insert = context
        .db
        .write(flow, |tx, flow| Box::pin(remote_flows::insert(tx, flow)));
    insert.await?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("response_type", "code");
        query.append_pair("client_id", &client_id);
        query.append_pair("redirect_uri", &redirect_uri);
        if let Some(scope) = given(&row.scope) {
            query.append_pair("scope", &scope);
        }
        query.append_pair("state", state.reveal());
        query.append_pair("code_challenge", challenge.as_str());
        query.append_pair("code_challenge_method", "S256");
        // OpenID Connect Core §11: no refresh token without this scope.
        let offline = row.scope.as_deref().unwrap_or_default();
        if offline.split(' ').any(|name| name == "offline_access")
            && !context.config.policies.remote.consent_prompt_omitted
        {
            query.append_pair("prompt", "consent");
        }
        // RFC 8707 §2.1, req_194
        if let Some(resource) = given(&row.resource)
            && !context.config.policies.remote.resource_omitted
        {
            query.append_pair("resource", &resource);
        }
    }
    Ok(url)
}

/// The expected issuer: the issuer of the metadata.
fn issuer_of(row: &Connection) -> Option<String> {
    let metadata = row.authorization_server_metadata.as_ref()?;
    metadata.0.get("issuer")?.as_str().map(str::to_owned)
}

/// The stored form of a `state` (storyden-contract.md#remote-authorization).
pub(super) fn state_hash(state: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(state.as_bytes()))
}
