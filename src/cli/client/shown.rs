//! An application as the commands print it.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::checks::pkce::PKCE_EXEMPTION;
use crate::cli::{Error, output};
use crate::clock::Timestamp;
use crate::ids::ClientRowId;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_metadata::ClientKeys;
use crate::oauth::grant_type::ClientType;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::client_details::Details;
use crate::store::clients::{self, policy_name};

/// An application in the output.
#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_secret: Option<String>,
    id: ClientRowId,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    scope_policy: &'static str,
    allowed_scopes: Vec<String>,
    pub(super) allowed_grants: Vec<&'static str>,
    redirect_uris: Vec<String>,
    pkce_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    require_pushed_authorization_requests: Option<bool>,
    dpop_bound_access_tokens: bool,
    fapi: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fapi_contradictions: Vec<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_method: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    post_logout_redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_signed_response_alg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    created_at: Timestamp,
}

impl Shown {
    /// Converts a client; `owner` is a handle.
    pub(super) fn new(client: clients::Client, owner: Option<String>) -> Self {
        let algorithms = client.algorithms;
        let name = |algorithm: Option<SigningAlgorithm>| algorithm.map(SigningAlgorithm::name);
        Self {
            client_id: client.client_id,
            client_secret: None,
            id: client.row_id,
            name: client.name,
            kind: client.kind.name(),
            scope_policy: policy_name(client.scope.policy),
            allowed_scopes: client
                .scope
                .allowed
                .names()
                .into_iter()
                .map(str::to_owned)
                .collect(),
            allowed_grants: client
                .grants
                .iter()
                .map(|grant| grant.stored_name())
                .collect(),
            redirect_uris: client.redirect_uris,
            pkce_required: client.pkce_required || client.kind == ClientType::Public,
            require_pushed_authorization_requests: client.request_protection.pushed.then_some(true),
            dpop_bound_access_tokens: client.dpop_bound,
            fapi: client.fapi,
            fapi_contradictions: Vec::new(),
            token_endpoint_auth_method: client.auth_method.map(AuthMethod::name),
            jwks: None,
            jwks_uri: None,
            post_logout_redirect_uris: Vec::new(),
            client_uri: None,
            tos_uri: None,
            policy_uri: None,
            logo_uri: None,
            id_token_signed_response_alg: name(algorithms.id_token),
            access_token_signed_response_alg: name(algorithms.access_token),
            userinfo_signed_response_alg: name(algorithms.userinfo),
            owner,
            created_at: client.created_at,
        }
    }

    /// Adds the metadata without a column in Storyden's table.
    pub(super) fn with_details(mut self, details: Details) -> Self {
        self.post_logout_redirect_uris = details.post_logout_redirect_uris;
        self.client_uri = details.about.client_uri;
        self.tos_uri = details.about.tos_uri;
        self.policy_uri = details.about.policy_uri;
        self.logo_uri = details.about.logo_uri;
        self
    }

    /// Adds the keys, and what contradicts FAPI 2.0.
    pub(super) fn with_keys(
        mut self,
        keys: ClientKeys,
        contradictions: Vec<Cow<'static, str>>,
    ) -> Self {
        self.jwks = keys.jwks;
        self.jwks_uri = keys.jwks_uri;
        self.fapi_contradictions = contradictions;
        self
    }

    /// The ids of the registered keys, or their URL.
    fn keys(&self) -> String {
        if let Some(uri) = &self.jwks_uri {
            return uri.clone();
        }
        let keys = self.jwks.as_ref().and_then(|jwks| jwks.get("keys"));
        let keys = keys.and_then(Value::as_array).into_iter().flatten();
        let ids = keys.map(|key| {
            key.get("kid")
                .and_then(Value::as_str)
                .unwrap_or("without kid")
        });
        ids.collect::<Vec<_>>().join("\n")
    }

    /// Prints the application.
    pub(super) fn print(&self, json: bool) -> Result<(), Error> {
        if json {
            return output::print_json(self);
        }
        let text = |name: Option<&'static str>| name.unwrap_or_default().to_owned();
        let mut facts = vec![("client_id", self.client_id.clone())];
        if let Some(secret) = &self.client_secret {
            facts.push(("client_secret", format!("{secret}   (shown this once)")));
        }
        facts.extend([
            ("name", self.name.clone()),
            ("type", self.kind.to_owned()),
            ("scope policy", self.scope_policy.to_owned()),
            ("scopes", self.allowed_scopes.join(" ")),
            ("grants", self.allowed_grants.join(" ")),
            ("redirect URIs", self.redirect_uris.join("\n")),
            (
                "PKCE",
                if self.pkce_required {
                    "required".to_owned()
                } else {
                    format!("not required: {PKCE_EXEMPTION}")
                },
            ),
            (
                "pushed requests",
                self.require_pushed_authorization_requests
                    .map_or("", |_| "required")
                    .to_owned(),
            ),
            (
                "DPoP",
                if self.dpop_bound_access_tokens {
                    "required".to_owned()
                } else {
                    "optional".to_owned()
                },
            ),
            (
                "FAPI 2.0",
                match (self.fapi, self.fapi_contradictions.is_empty()) {
                    (false, _) => String::new(),
                    (true, true) => "required".to_owned(),
                    (true, false) => {
                        format!("required, but:\n{}", self.fapi_contradictions.join("\n"))
                    }
                },
            ),
            ("authentication", text(self.token_endpoint_auth_method)),
            ("keys", self.keys()),
            (
                "after signing out",
                self.post_logout_redirect_uris.join("\n"),
            ),
            (
                "ID token algorithm",
                text(self.id_token_signed_response_alg),
            ),
            (
                "access token algorithm",
                text(self.access_token_signed_response_alg),
            ),
            ("signed userinfo", text(self.userinfo_signed_response_alg)),
        ]);
        let pages = [
            ("website", &self.client_uri),
            ("terms of service", &self.tos_uri),
            ("privacy policy", &self.policy_uri),
            ("logo", &self.logo_uri),
        ];
        let given = pages.map(|(name, page)| page.clone().map(|page| (name, page)));
        facts.extend(given.into_iter().flatten());
        facts.extend([
            ("owner", self.owner.clone().unwrap_or_default()),
            ("created", self.created_at.to_rfc3339()),
        ]);
        output::print(&output::facts(facts))
    }
}
