//! Authorization server metadata (RFC 8414, OpenID Connect Discovery §3).

use serde::Serialize;

use super::authorization_request::ResponseMode;
use super::dpop;
use super::grant_type::GrantType;
use super::id_jag;
use super::request_object;
use super::scope::Scope;
use super::sign_in_method::SignInMethod;
use super::signing_algorithm::SigningAlgorithm;

/// Client authentication methods.
const AUTH_METHODS: &[&str] = &["none", "client_secret_basic", "client_secret_post"];

/// The same, with the methods of clients that have a key.
const AUTH_METHODS_WITH_KEYS: &[&str] = &[
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
];

/// Methods of clients with a secret.
const SECRET_METHODS: &[&str] = &[
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
];

/// The metadata document. RFC 8414's document leaves out the members specific to OpenID Connect.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthAuthorizationServerMetadata)]
pub struct ServerMetadata {
    /// The issuer.
    pub issuer: String,
    /// URL of the authorization endpoint.
    pub authorization_endpoint: String,
    /// URL of the device authorization endpoint (RFC 8628 §4).
    pub device_authorization_endpoint: String,
    /// URL of the token endpoint.
    pub token_endpoint: String,
    /// URL of the userinfo endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<String>,
    /// URL of dynamic client registration; absent while registration is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// URL of the revocation endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// URL of the introspection endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint: Option<String>,
    /// URL of RP-initiated logout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_session_endpoint: Option<String>,
    /// URL of the public keys.
    pub jwks_uri: String,
    /// Supported values of `response_type`.
    pub response_types_supported: &'static [&'static str],
    /// Supported values of `response_mode`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_modes_supported: Option<&'static [&'static str]>,
    /// Supported values of `grant_type`.
    pub grant_types_supported: Vec<&'static str>,
    /// Profiles of the grant types: identity assertions with the JWT bearer grant (ID-JAG).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_grant_profiles_supported: Option<&'static [&'static str]>,
    /// Supported methods of PKCE.
    pub code_challenge_methods_supported: &'static [&'static str],
    /// Supported scopes.
    #[schema(value_type = Vec<String>)]
    pub scopes_supported: Scope,
    /// Supported subject types: `public`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_types_supported: Option<&'static [&'static str]>,
    /// Signature algorithms of ID tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token_signing_alg_values_supported: Option<Vec<&'static str>>,
    /// Signature algorithms of userinfo responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub userinfo_signing_alg_values_supported: Option<Vec<&'static str>>,
    /// Supported authentication context classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr_values_supported: Option<&'static [&'static str]>,
    /// Claims that the server may release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_supported: Option<&'static [&'static str]>,
    /// Methods of client authentication at the token endpoint.
    pub token_endpoint_auth_methods_supported: &'static [&'static str],
    /// Signature algorithms of client assertions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<&'static [&'static str]>,
    /// Methods of client authentication at the revocation endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint_auth_methods_supported: Option<&'static [&'static str]>,
    /// Methods of client authentication at the introspection endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub introspection_endpoint_auth_methods_supported: Option<&'static [&'static str]>,
    /// Signature algorithms of DPoP proofs (RFC 9449 §5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<&'static [&'static str]>,
    /// True if a client id may be the URL of a client metadata document.
    pub client_id_metadata_document_supported: bool,
    /// True if authorization responses have `iss` (RFC 9207).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// URL of the pushed authorization request endpoint (RFC 9126 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pushed_authorization_request_endpoint: Option<String>,
    /// True if authorization requests of every client must be pushed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_pushed_authorization_requests: Option<bool>,
    /// True if the parameter `request`, a signed request object, is supported (RFC 9101).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_parameter_supported: Option<bool>,
    /// Signature algorithms of request objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg_values_supported: Option<&'static [&'static str]>,
    /// False: request objects are not fetched. The `request_uri` of a pushed request is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_uri_parameter_supported: Option<bool>,
    /// True if the parameter `claims` is supported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claims_parameter_supported: Option<bool>,
}

impl ServerMetadata {
    /// Returns the document for OpenID Connect clients. `base` is the prefix of all endpoints.
    #[must_use]
    pub fn openid(issuer: &str, base: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: format!("{base}/oauth/authorize"),
            device_authorization_endpoint: format!("{base}/oauth/device_authorization"),
            token_endpoint: format!("{base}/oauth/token"),
            userinfo_endpoint: Some(format!("{base}/oauth/userinfo")),
            registration_endpoint: None,
            revocation_endpoint: None,
            introspection_endpoint: None,
            end_session_endpoint: None,
            jwks_uri: format!("{base}/oauth/jwks"),
            response_types_supported: &["code"],
            response_modes_supported: Some(ResponseMode::NAMES),
            grant_types_supported: GrantType::ALL
                .iter()
                .map(|grant| grant.wire_name())
                .collect(),
            authorization_grant_profiles_supported: None,
            code_challenge_methods_supported: &["S256"],
            scopes_supported: Scope::all(),
            subject_types_supported: Some(&["public"]),
            id_token_signing_alg_values_supported: Some(vec!["RS256"]),
            userinfo_signing_alg_values_supported: Some(vec!["RS256"]),
            acr_values_supported: Some(SignInMethod::ACR_VALUES),
            claims_supported: Some(&[
                "iss",
                "sub",
                "aud",
                "exp",
                "iat",
                "auth_time",
                "acr",
                "at_hash",
                "nonce",
                "name",
                "preferred_username",
                "profile",
                "picture",
                "updated_at",
                "email",
                "email_verified",
            ]),
            token_endpoint_auth_methods_supported: AUTH_METHODS,
            token_endpoint_auth_signing_alg_values_supported: None,
            revocation_endpoint_auth_methods_supported: None,
            introspection_endpoint_auth_methods_supported: None,
            dpop_signing_alg_values_supported: None,
            client_id_metadata_document_supported: false,
            authorization_response_iss_parameter_supported: Some(true), // RFC 9207 §3
            pushed_authorization_request_endpoint: None,
            require_pushed_authorization_requests: None,
            request_parameter_supported: Some(false),
            request_object_signing_alg_values_supported: None,
            request_uri_parameter_supported: Some(false), // Discovery §3: the default would be true
            claims_parameter_supported: Some(true),
        }
    }

    /// Replaces the algorithms of ID tokens and of signed userinfo responses.
    #[must_use]
    pub fn with_signing_algorithms(mut self, algorithms: &[SigningAlgorithm]) -> Self {
        let names: Vec<&str> = algorithms.iter().map(|one| one.name()).collect();
        self.userinfo_signing_alg_values_supported = Some(names.clone());
        self.id_token_signing_alg_values_supported = Some(names);
        self
    }

    /// Adds a grant type that no client lists; with the JWT bearer grant, the profile of its assertions.
    #[must_use]
    pub fn with_grant(mut self, grant: GrantType) -> Self {
        self.grant_types_supported.push(grant.wire_name());
        if grant == GrantType::JwtBearer {
            self.authorization_grant_profiles_supported = Some(&[id_jag::PROFILE]);
        }
        self
    }

    /// Adds dynamic registration (RFC 7591).
    #[must_use]
    pub fn with_registration(mut self, base: &str) -> Self {
        self.registration_endpoint = Some(format!("{base}/oauth/register"));
        self
    }

    /// Removes `iss` support, for responses without issuer identification.
    #[must_use]
    pub fn without_iss(mut self) -> Self {
        self.authorization_response_iss_parameter_supported = None;
        self
    }

    /// Removes seven members that a Storyden does not send (storyden-contract.md#metadata-documents).
    #[must_use]
    pub fn with_storydens_members(mut self) -> Self {
        self.response_modes_supported = None;
        self.userinfo_signing_alg_values_supported = None;
        self.acr_values_supported = None;
        self.claims_supported = None;
        self.claims_parameter_supported = None;
        self.request_parameter_supported = None;
        self.request_uri_parameter_supported = None;
        self
    }

    /// Adds support for client ids that are document URLs (Client ID Metadata Document §5).
    #[must_use]
    pub fn with_client_documents(mut self) -> Self {
        self.client_id_metadata_document_supported = true;
        self
    }

    /// Adds access tokens that are bound to a key of the client (RFC 9449 §5.1).
    #[must_use]
    pub fn with_dpop(mut self) -> Self {
        self.dpop_signing_alg_values_supported = Some(dpop::ALGORITHM_NAMES);
        self
    }

    /// Adds authentication by a client's own key (RFC 8414 §2).
    #[must_use]
    pub fn with_client_keys(mut self, algorithms: &'static [&'static str]) -> Self {
        self.token_endpoint_auth_methods_supported = AUTH_METHODS_WITH_KEYS;
        self.token_endpoint_auth_signing_alg_values_supported = Some(algorithms);
        self
    }

    /// Adds pushed requests (RFC 9126 §5) and signed request objects (RFC 9101 §9). `pushing_required` is true if
    /// every client must push requests.
    #[must_use]
    pub fn with_protected_requests(mut self, base: &str, pushing_required: bool) -> Self {
        self.pushed_authorization_request_endpoint = Some(format!("{base}/oauth/par"));
        self.require_pushed_authorization_requests = Some(pushing_required);
        self.request_parameter_supported = Some(true);
        self.request_object_signing_alg_values_supported = Some(request_object::ALGORITHM_NAMES);
        self.request_uri_parameter_supported = Some(false);
        self
    }

    /// Adds the endpoints that a Storyden lacks: revocation (RFC 7009), introspection (RFC 7662) and
    /// logout (OpenID Connect RP-Initiated Logout §2.1).
    #[must_use]
    pub fn with_what_storyden_has_not(mut self, base: &str) -> Self {
        self.revocation_endpoint = Some(format!("{base}/oauth/revoke"));
        self.revocation_endpoint_auth_methods_supported = Some(AUTH_METHODS_WITH_KEYS);
        self.introspection_endpoint = Some(format!("{base}/oauth/introspect"));
        self.introspection_endpoint_auth_methods_supported = Some(SECRET_METHODS);
        self.end_session_endpoint = Some(format!("{base}/oauth/end_session"));
        self
    }

    /// Removes the members specific to OpenID Connect (RFC 8414).
    #[must_use]
    pub fn without_openid(mut self) -> Self {
        self.userinfo_endpoint = None;
        self.end_session_endpoint = None;
        self.subject_types_supported = None;
        self.id_token_signing_alg_values_supported = None;
        self.userinfo_signing_alg_values_supported = None;
        self.acr_values_supported = None;
        self.claims_supported = None;
        self
    }
}
