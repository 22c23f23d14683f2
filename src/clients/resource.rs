//! A client in the JSON API (storyden-contract.md#self-service-clients), for the owner and for
//! administrators. Never contains the secret.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use super::fapi;
use crate::clock::Timestamp;
use crate::compat::OmittedList;
use crate::config::Config;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::application_type::ApplicationType;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_metadata::{About, ClientKeys};
use crate::oauth::grant_type::ClientType;
use crate::oauth::scope::Scope;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::clients::{Client, policy_name};

/// A client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClient)]
pub struct ClientResource {
    /// Id of the owner; absent without an owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<AccountId>,
    /// Grant types.
    pub allowed_grants: Vec<&'static str>,
    /// Allowed scopes.
    #[schema(value_type = Vec<String>)]
    pub allowed_scopes: Scope,
    /// Kind of application: `web` or `native`; absent if not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_type: Option<&'static str>,
    /// Chosen algorithm of access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_signed_response_alg: Option<&'static str>,
    /// Public client id (RFC 6749 §2.2).
    pub client_id: String,
    /// Website; absent in lists, and if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Time of creation.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2); absent if a proof is optional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_bound_access_tokens: Option<bool>,
    /// True if the client is held to the FAPI 2.0 Security Profile; absent if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fapi: Option<bool>,
    /// The settings that contradict FAPI 2.0; absent in lists, and without any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, required = false)]
    pub fapi_contradictions: Vec<Cow<'static, str>>,
    /// Row id.
    pub id: ClientRowId,
    /// Chosen algorithm of ID tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<&'static str>,
    /// Public keys (JWK Set); absent in lists, and without keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<Value>,
    /// URL of the public keys; absent in lists, and without a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Logo; absent in lists, and if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Name shown on the consent page.
    pub name: String,
    /// False if authorization requests need no PKCE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pkce_required: Option<bool>,
    /// Privacy policy; absent in lists, and if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// True if every authorization request must be pushed (RFC 9126 §6); absent while pushed requests are disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// Redirect URIs.
    #[schema(value_type = Vec<String>)]
    pub redirect_uris: Option<Vec<String>>,
    /// `explicit`, or `inherit` for a client that gets the permissions of the approving account.
    pub scope_policy: &'static str,
    /// The only accepted authentication method, if chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<&'static str>,
    /// Terms of service; absent in lists, and if not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// `public` or `confidential`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Time of the last change.
    #[serde(rename = "updatedAt")]
    pub updated_at: Timestamp,
    /// Chosen algorithm of signed userinfo responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<&'static str>,
}

impl ClientResource {
    /// Converts a client with its keys, and tells what contradicts FAPI 2.0.
    #[must_use]
    pub fn shown_with_keys(client: Client, keys: ClientKeys, config: &Config) -> Self {
        let contradictions = fapi::contradictions(config, &client, &keys);
        let shown = Self::shown(client, config);
        if config.policies.self_service.added_members_omitted {
            return shown;
        }
        Self {
            fapi_contradictions: contradictions,
            jwks: keys.jwks,
            jwks_uri: keys.jwks_uri,
            ..shown
        }
    }

    /// Adds the pages and the logo.
    #[must_use]
    pub fn with_pages(self, about: About, config: &Config) -> Self {
        if config.policies.self_service.added_members_omitted {
            return self;
        }
        Self {
            client_uri: about.client_uri,
            logo_uri: about.logo_uri,
            policy_uri: about.policy_uri,
            tos_uri: about.tos_uri,
            ..self
        }
    }

    /// Converts a client. The policy decides about `null` for an omitted list, and about members
    /// that Storyden does not have.
    #[must_use]
    pub fn shown(client: Client, config: &Config) -> Self {
        let policy = config.policies.self_service;
        let is_null =
            client.redirect_uris_omitted && policy.omitted_redirect_uris == OmittedList::Null;
        let mut shown = Self::from(client);
        if is_null {
            shown.redirect_uris = None;
        }
        if policy.added_members_omitted {
            shown.pkce_required = None;
            shown.application_type = None;
            shown.fapi = None;
            shown.token_endpoint_auth_method = None;
            shown.id_token_signed_response_alg = None;
            shown.access_token_signed_response_alg = None;
            shown.userinfo_signed_response_alg = None;
        }
        if !config.protects_requests() {
            shown.require_pushed_authorization_requests = None;
        }
        shown
    }
}

impl From<Client> for ClientResource {
    fn from(client: Client) -> Self {
        let algorithms = client.algorithms;
        let name = |algorithm: Option<SigningAlgorithm>| algorithm.map(SigningAlgorithm::name);
        Self {
            access_token_signed_response_alg: name(algorithms.access_token),
            application_type: client.application_type.map(ApplicationType::name),
            client_uri: None,
            logo_uri: None,
            policy_uri: None,
            tos_uri: None,
            id_token_signed_response_alg: name(algorithms.id_token),
            userinfo_signed_response_alg: name(algorithms.userinfo),
            account_id: client.owner,
            allowed_grants: client
                .grants
                .iter()
                .map(|grant| grant.wire_name())
                .collect(),
            allowed_scopes: client.scope.allowed,
            client_id: client.client_id,
            created_at: client.created_at,
            dpop_bound_access_tokens: client.dpop_bound.then_some(true),
            fapi: client.fapi.then_some(true),
            fapi_contradictions: Vec::new(),
            id: client.row_id,
            jwks: None,
            jwks_uri: None,
            name: client.name,
            pkce_required: Some(client.pkce_required || client.kind == ClientType::Public),
            require_pushed_authorization_requests: Some(client.request_protection.pushed),
            redirect_uris: Some(client.redirect_uris),
            scope_policy: policy_name(client.scope.policy),
            token_endpoint_auth_method: client.auth_method.map(AuthMethod::name),
            kind: client.kind.name(),
            updated_at: client.updated_at,
        }
    }
}
