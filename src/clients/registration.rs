//! Dynamic client registration (RFC 7591). Open to anonymous requests, so registrations are
//! rate-limited by network, limited in number, and deleted after a day without use.

use std::net::IpAddr;

use serde::Serialize;

use super::secrets;
use crate::config::RegistrationPkce;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::OAuthError;
use crate::oauth::application_type::ApplicationType;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_algorithms::ClientAlgorithms;
use crate::oauth::client_metadata::{About, ClientMetadata, RequestMetadata};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::rate_limit::{REGISTRATIONS, networks, site_of};
use crate::secret::{Secret, SecretHash};
use crate::store::audit::{self, Entry, Event};
use crate::store::client_changes;
use crate::store::client_details::{self, Details};
use crate::store::client_keys;
use crate::store::clients::Client;

/// `Retry-After` in seconds when the limit is reached: the clean-up is hourly.
const FULL_RETRY_AFTER: u64 = 3_600;

/// The inverse of the share of `OAUTH_DYNAMIC_REGISTRATION_MAX` available to a single network (IPv4
/// /24, IPv6 /48), so that a single network cannot exhaust the limit for all others.
const NETWORK_SHARE_DIVISOR: i64 = 4;

/// The client information response (RFC 7591 §3.2.1).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientRegistration)]
pub struct ClientInformation {
    /// Public client id.
    pub client_id: String,
    /// Time of creation, in seconds since 1970.
    pub client_id_issued_at: i64,
    /// Name shown on the consent page.
    pub client_name: String,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2); absent if a proof is optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens: Option<bool>,
    /// True if the client is held to the FAPI 2.0 Security Profile; absent if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fapi: Option<bool>,
    /// Client secret, shown only in this response; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// Always 0: the secret does not expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_expires_at: Option<i64>,
    /// Grant types.
    pub grant_types: Vec<&'static str>,
    /// False if authorization requests need no PKCE; absent if PKCE is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkce_required: Option<bool>,
    /// Allowed redirect URIs after sign-out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    /// Redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Response types.
    pub response_types: &'static [&'static str],
    /// Default scope of authorization requests without `scope`.
    pub scope: String,
    /// Authentication method at the token endpoint.
    pub token_endpoint_auth_method: &'static str,
    /// Metadata about authorization requests.
    #[serde(flatten)]
    pub requests: RequestMetadata,
    /// Public keys (JWK Set).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<serde_json::Value>,
    /// URL of the public keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Bearer token for the client configuration endpoint (RFC 7592 §3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_access_token: Option<String>,
    /// Client configuration endpoint of this registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_client_uri: Option<String>,
    /// Algorithm of ID tokens; absent: RS256 (OpenID Connect Registration §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<&'static str>,
    /// Algorithm of access tokens; absent: the choice of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_signed_response_alg: Option<&'static str>,
    /// Algorithm of signed userinfo responses; absent: plain JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<&'static str>,
    /// The parts of the request that were not registered, and the reasons (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Descriptive metadata.
    #[serde(flatten)]
    pub about: About,
}

/// The caller of the registration endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Registrant {
    /// IP address.
    pub address: IpAddr,
    /// True if the caller has the initial access token of the operator (RFC 7591 §3).
    pub is_trusted: bool,
}

impl Registrant {
    /// Identifies a caller. A token other than the initial access token is ignored: registration is
    /// open.
    #[must_use]
    pub fn new(context: &Context, address: IpAddr, token: Option<&Secret>) -> Self {
        let expected = context.config.registration_token.as_ref();
        Self {
            address,
            is_trusted: expected.is_some() && expected == token,
        }
    }
}

/// Registers a client.
///
/// # Errors
/// `temporarily_unavailable` if there are too many registrations, in total or from this network.
pub async fn register(
    context: &Context,
    mut metadata: ClientMetadata,
    registrant: Registrant,
) -> Result<ClientInformation, OAuthError> {
    let address = registrant.address;
    let limits = networks(REGISTRATIONS, address);
    context
        .limits
        .spend(&limits)
        .map_err(|wait| OAuthError::limited("Too many registrations from this network", wait.0))?;
    let max = i64::try_from(context.config.registration_max).unwrap_or(i64::MAX);
    if client_details::is_registration_limit_reached(&context.db, max).await? {
        tracing::warn!(max, "OAUTH_DYNAMIC_REGISTRATION_MAX reached");
        let description = "There are too many registrations here; unused ones go after a day";
        return Err(OAuthError::temporarily_unavailable(description).retry_after(FULL_RETRY_AFTER));
    }
    let network = site_of(address);
    let share = (max / NETWORK_SHARE_DIVISOR).max(1);
    if client_details::count_registrations_from(&context.db, &network, share).await? >= share {
        let description = "This network has reached its limit of registered clients; unused \
                           clients are deleted after a day";
        return Err(OAuthError::limited(description, FULL_RETRY_AFTER));
    }
    let may_omit = is_pkce_optional(context) || registrant.is_trusted && has_pkce_choice(context);
    let pkce_required = pkce_required(&mut metadata, may_omit);
    let secret = secret_for(context, metadata.auth_method).await?;
    let (secret, hash) = secret.unzip();
    let client = Client {
        pkce_required,
        ..client_of(context, &metadata, hash)
    };
    let policy = context.config.policies.registration_endpoint;
    let token = (!policy.management_disabled).then(|| Secret::generate(&context.random));
    let details = details_of(context, &metadata, token.as_ref().map(Secret::hash));
    let entry = Entry::new(Event::ClientRegistered, client.created_at)
        .client(&client.client_id)
        .subject(&client.row_id)
        .from(address);
    let keys = metadata.keys.clone();
    let answer = answer(context, &client, metadata, secret.as_ref(), token.as_ref());
    let input = (client, (details, network), keys, entry);
    context
        .db
        .write(input, |tx, (client, (details, network), keys, entry)| {
            Box::pin(async move {
                client_changes::insert(tx, client).await?;
                client_details::save(tx, &client.row_id, details).await?;
                client_details::set_registration_network(tx, &client.row_id, network).await?;
                client_keys::save(tx, &client.row_id, keys).await?;
                audit::insert(tx, entry).await
            })
        })
        .await?;
    Ok(answer)
}

/// True if the operator lets registrations with a secret leave PKCE out.
pub(super) fn is_pkce_optional(context: &Context) -> bool {
    context.config.registration_pkce == RegistrationPkce::Optional && has_pkce_choice(context)
}

/// True if a registration has a choice about PKCE, as in the profile `standards`.
fn has_pkce_choice(context: &Context) -> bool {
    !context.config.policies.registration.basic_members_only
}

/// Decides about PKCE, and warns a client that cannot be let off. PKCE protects against code injection
/// (RFC 9700 §2.1.1), so every client that asks for PKCE is held to PKCE.
pub(super) fn pkce_required(metadata: &mut ClientMetadata, may_omit: bool) -> bool {
    let required = !may_omit
        || metadata.fapi
        || metadata.auth_method == AuthMethod::None
        || metadata.pkce_required == Some(true);
    if required && metadata.pkce_required == Some(false) {
        let reason = "pkce_required: PKCE is required here; a client with a secret may be exempted \
                      by the operator";
        metadata.warnings.push(reason.to_owned());
    }
    required
}

/// True if the authentication method uses a client secret.
pub(super) fn has_secret(method: AuthMethod) -> bool {
    matches!(method, AuthMethod::Basic | AuthMethod::Post)
}

/// Generates a secret and the hash, if the authentication method uses a secret.
pub(super) async fn secret_for(
    context: &Context,
    method: AuthMethod,
) -> Result<Option<(Secret, String)>, OAuthError> {
    if has_secret(method) {
        Ok(Some(secrets::generate(context).await?))
    } else {
        Ok(None)
    }
}

/// Builds the registration data stored beside the client row.
pub(super) fn details_of(
    context: &Context,
    metadata: &ClientMetadata,
    registration_token: Option<SecretHash>,
) -> Details {
    let policy = context.config.policies.requests;
    Details {
        registered: true,
        // storyden-contract.md#granting-scopes
        default_scope: (!policy.no_default_scope).then(|| metadata.scope.to_string()),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris.clone(),
        about: metadata.about.clone(),
        registration_token,
        request_object_algorithm: metadata.requests.algorithm(),
    }
}

/// Builds the client row of a registration. The client id has 144 random bits; a unique constraint
/// excludes collisions.
pub(super) fn client_of(
    context: &Context,
    metadata: &ClientMetadata,
    secret_hash: Option<String>,
) -> Client {
    let client_id = format!("sdoak_{}", context.random.base64url::<18>());
    let now = context.clock.now();
    let client = Client {
        row_id: ClientRowId::generate(now),
        name: metadata.name.clone().unwrap_or_else(|| client_id.clone()),
        client_id,
        kind: if metadata.auth_method == AuthMethod::None {
            ClientType::Public
        } else {
            ClientType::Confidential
        },
        application_type: metadata
            .about
            .application_type
            .as_deref()
            .and_then(ApplicationType::from_name),
        secret_hash,
        old_secret: None,
        auth_method: Some(metadata.auth_method).filter(|_| metadata.auth_method_chosen),
        pkce_required: true,
        request_protection: metadata.requests.protection(),
        dpop_bound: metadata.dpop_bound,
        fapi: metadata.fapi,
        algorithms: metadata.algorithms,
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed: metadata.allowed.clone(),
            self_registered: true,
        },
        redirect_uris: metadata.redirect_uris.clone(),
        redirect_uris_omitted: false,
        grants: metadata.grants.clone(),
        owner: None,
        created_at: now,
        updated_at: now,
    };
    client.with_fapi()
}

pub(super) fn answer(
    context: &Context,
    client: &Client,
    metadata: ClientMetadata,
    secret: Option<&Secret>,
    token: Option<&Secret>,
) -> ClientInformation {
    let algorithms = metadata.algorithms;
    let policy = context.config.policies.registration_endpoint;
    ClientInformation {
        client_id: client.client_id.clone(),
        client_id_issued_at: client.created_at.unix_seconds(),
        client_name: client.name.clone(),
        dpop_bound_access_tokens: client.dpop_bound.then_some(true),
        fapi: client.fapi.then_some(true),
        client_secret: secret.map(|secret| secret.reveal().to_owned()),
        client_secret_expires_at: (secret.is_some() || policy.secret_expiry_always_sent)
            .then_some(0),
        grant_types: metadata
            .grants
            .iter()
            .copied()
            .map(GrantType::wire_name)
            .collect(),
        pkce_required: (!client.pkce_required).then_some(false),
        response_types: metadata.response_types(),
        post_logout_redirect_uris: metadata.post_logout_redirect_uris,
        redirect_uris: metadata.redirect_uris,
        scope: metadata.scope.to_string(),
        token_endpoint_auth_method: metadata.auth_method.name(),
        requests: metadata.requests,
        jwks: metadata.keys.jwks,
        jwks_uri: metadata.keys.jwks_uri,
        registration_access_token: token.map(|token| token.reveal().to_owned()),
        registration_client_uri: token.map(|_| {
            let base = context.config.endpoint_base();
            format!("{base}/oauth/register/{}", client.client_id)
        }),
        id_token_signed_response_alg: id_token_algorithm(context, algorithms),
        access_token_signed_response_alg: algorithms.access_token.map(SigningAlgorithm::name),
        userinfo_signed_response_alg: algorithms.userinfo.map(SigningAlgorithm::name),
        warnings: metadata.warnings,
        about: metadata.about,
    }
}

/// Returns the registered algorithm of ID tokens. Without a choice the default is told unless it is RS256,
/// which a client assumes (OpenID Connect Registration §2).
fn id_token_algorithm(context: &Context, algorithms: ClientAlgorithms) -> Option<&'static str> {
    let default = Some(context.config.default_algorithm());
    let told = default.filter(|default| *default != SigningAlgorithm::Rs256);
    let algorithm = algorithms.id_token.or(told);
    algorithm.map(SigningAlgorithm::name)
}
