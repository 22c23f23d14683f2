//! Client metadata in registrations (RFC 7591 §2, OpenID Connect Registration §2).
//!
//! All metadata is self-asserted: bounded and cleaned here, and no URL in the metadata is fetched.
//! [`RequestedMetadata`] holds the members by type; [`RequestedMetadata::check`] decides which of these
//! are registered. A part that cannot be registered is left out, with a warning (RFC 7591 §3.2.1).

mod about;
mod algorithms;
mod fapi;
mod faults;
mod https_url;
mod keys;
mod members;
mod pages;
mod requests;
mod rules;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::auth_method::AuthMethod;
use super::client_algorithms::ClientAlgorithms;
use super::client_name;
use super::error::OAuthError;
use super::grant_type::{ClientType, GrantType};
use super::key_set;
use super::private_use_scheme::PrivateUseSchemes;
use super::scope::Scope;
use super::signing_algorithm::SigningAlgorithm;

pub use algorithms::RequestedAlgorithms;
pub(super) use faults::Faults;
pub use keys::check_keys;
pub(super) use members::Members;
pub use pages::{PageChanges, PageError};
pub use requests::RequestMetadata;
pub(super) use rules::Rules;

/// The rules for metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent rule"
)]
pub struct RegistrationPolicy {
    /// True if a part that cannot be registered is an error. If false, the part is left out.
    pub faults_rejected: bool,
    /// True if `null` has the wrong type for every member. If false, `null` counts as absent.
    pub null_rejected: bool,
    /// True if keys, post-logout redirect URIs, contacts, software ids and DPoP are ignored.
    pub basic_members_only: bool,
    /// True if the device grant is rejected.
    pub device_grant_rejected: bool,
    /// True if redirect URIs must be web or loopback URIs; surrounding white space is then removed.
    pub web_redirects_only: bool,
    /// True if any `application_type` fits any redirect URI.
    pub application_type_unchecked: bool,
    /// True if the registered `scope` limits the client.
    pub limited_to_scope: bool,
    /// Error descriptions.
    pub errors: RegistrationErrors,
}

/// The error descriptions of rejected metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationErrors {
    /// Descriptions that name the accepted values.
    Detailed,
    /// Storyden's texts.
    Storyden,
}

/// The bounds that the operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// The scope that such clients may have.
    pub scope: &'a Scope,
    /// The scopes of other resources, which such clients may have too.
    pub resource_scopes: &'a Scope,
    /// The private-use schemes without a dot that redirect URIs may have.
    pub private_use_schemes: &'a PrivateUseSchemes,
    /// The algorithms that this server has keys for.
    pub signing_algorithms: &'a [SigningAlgorithm],
}

/// The known members of a registration request; other members are ignored (RFC 7591 §2).
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientRegisterProps)]
pub struct RequestedMetadata {
    /// The display name; the client id if absent.
    #[schema(required = false)]
    client_name: Option<String>,
    /// Redirect URIs; required for the code grant.
    #[schema(required = false)]
    redirect_uris: Vec<String>,
    /// Redirect URIs after logout.
    #[schema(required = false)]
    post_logout_redirect_uris: Vec<String>,
    /// Grant types; by default authorization code and refresh token.
    #[schema(required = false)]
    grant_types: Vec<String>,
    /// `code`, for the code grant.
    #[schema(required = false)]
    response_types: Option<Vec<String>>,
    /// `none`, `client_secret_basic`, `client_secret_post` or `private_key_jwt`.
    #[schema(required = false)]
    token_endpoint_auth_method: String,
    /// Public keys, for `private_key_jwt` and for signed authorization requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    /// URL of the public keys, as an alternative.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    /// The scope of a request without `scope`.
    #[schema(required = false)]
    scope: Option<String>,
    /// True if the client always sends DPoP proofs: token requests without a proof are then rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    dpop_bound_access_tokens: Option<bool>,
    /// True holds the client to the FAPI 2.0 Security Profile: pushed requests, PKCE, `private_key_jwt`, DPoP, and
    /// only the algorithms PS256, ES256 and EdDSA.
    #[serde(skip_serializing_if = "Option::is_none")]
    fapi: Option<bool>,
    #[serde(flatten)]
    algorithms: RequestedAlgorithms,
    /// False if the client cannot use PKCE; only for clients with a secret, and only if the operator
    /// allows that for registrations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pkce_required: Option<bool>,
    #[serde(flatten)]
    requests: RequestMetadata,
    #[serde(flatten)]
    about: About,
    /// The members of the wrong type.
    #[serde(skip)]
    #[schema(ignore)]
    faults: Faults,
}

/// The public keys of a client (RFC 7591 §2).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientKeys {
    /// The keys inline (RFC 7517 §5).
    pub jwks: Option<Value>,
    /// The URL of the keys.
    pub jwks_uri: Option<String>,
}

/// Display metadata: stored and returned, without effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct About {
    /// `web` or `native`; if absent, the redirect URIs tell the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application_type: Option<String>,
    /// Home page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Contacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contacts: Option<Vec<String>>,
    /// Logo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Id of the software, the same for every installation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    /// Version of the software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// Terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
}

/// The registered metadata.
#[derive(Clone, Debug)]
pub struct ClientMetadata {
    /// The display name; if absent, the client id serves as the name.
    pub name: Option<String>,
    /// The authentication method.
    pub auth_method: AuthMethod,
    /// True if the client chose `token_endpoint_auth_method`; only that method is then accepted. With
    /// the default, both ways of sending the secret are accepted.
    pub auth_method_chosen: bool,
    /// The grant types.
    pub grants: Vec<GrantType>,
    /// The redirect URIs, byte for byte.
    pub redirect_uris: Vec<String>,
    /// The redirect URIs after logout, byte for byte.
    pub post_logout_redirect_uris: Vec<String>,
    /// The public keys.
    pub keys: ClientKeys,
    /// The scope of a request without `scope`.
    pub scope: Scope,
    /// The allowed scope.
    pub allowed: Scope,
    /// True if token requests need a DPoP proof (RFC 9449 §5.2).
    pub dpop_bound: bool,
    /// True if the client is held to the FAPI 2.0 Security Profile.
    pub fapi: bool,
    /// The chosen signature algorithms.
    pub algorithms: ClientAlgorithms,
    /// The client's choice about PKCE, if any.
    pub pkce_required: Option<bool>,
    /// Metadata about authorization requests.
    pub requests: RequestMetadata,
    /// Display metadata.
    pub about: About,
    /// The parts that were left out, and the reasons.
    pub warnings: Vec<String>,
}

impl ClientMetadata {
    /// The response types (RFC 7591 §2.1): `code` with the code grant.
    #[must_use]
    pub fn response_types(&self) -> &'static [&'static str] {
        if self.grants.contains(&GrantType::AuthorizationCode) {
            &["code"]
        } else {
            &[]
        }
    }

    /// Leaves out the metadata about authorization requests, with a warning: this server does not support pushed
    /// and signed requests.
    pub fn leave_out_requests(&mut self) {
        if std::mem::take(&mut self.requests) != RequestMetadata::default() {
            let warning = "require_pushed_authorization_requests, require_signed_request_object and \
                           request_object_signing_alg: this server has no pushed and signed requests";
            self.warnings.push(warning.to_owned());
        }
    }
}

impl RequestedMetadata {
    /// The listed scope, as received.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.scope.as_deref().unwrap_or_default()
    }

    /// Reads the known members. A member of the wrong type is left out.
    ///
    /// # Errors
    /// `invalid_client_metadata` if the document is not an object, or if the policy rejects faults.
    pub fn read(policy: RegistrationPolicy, document: &Value) -> Result<Self, OAuthError> {
        let object = document.as_object().ok_or_else(|| {
            OAuthError::invalid_client_metadata("the document must be a JSON object")
        })?;
        let members = Members {
            object,
            null_is_wrong: policy.null_rejected,
        };
        let mut faults = Faults::new(policy.faults_rejected);
        let mut asked = Self {
            client_name: members.text(&mut faults, "client_name")?,
            redirect_uris: members
                .list(&mut faults, "redirect_uris")?
                .unwrap_or_default(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: members
                .list(&mut faults, "grant_types")?
                .unwrap_or_default(),
            response_types: members.list(&mut faults, "response_types")?,
            token_endpoint_auth_method: members
                .text(&mut faults, "token_endpoint_auth_method")?
                .unwrap_or_default(),
            jwks: None,
            jwks_uri: None,
            scope: members.text(&mut faults, "scope")?,
            dpop_bound_access_tokens: None,
            fapi: None,
            algorithms: RequestedAlgorithms::default(),
            pkce_required: None,
            requests: RequestMetadata::default(),
            about: members.about(&mut faults, !policy.basic_members_only)?,
            faults: Faults::default(),
        };
        if !policy.basic_members_only {
            let uris = members.list(&mut faults, "post_logout_redirect_uris")?;
            asked.post_logout_redirect_uris = uris.unwrap_or_default();
            asked.jwks = members.get("jwks").cloned();
            asked.jwks_uri = members.text(&mut faults, "jwks_uri")?;
            asked.dpop_bound_access_tokens =
                members.flag(&mut faults, "dpop_bound_access_tokens")?;
            asked.fapi = members.flag(&mut faults, "fapi")?;
            asked.algorithms = members.algorithms(&mut faults)?;
            asked.pkce_required = members.flag(&mut faults, "pkce_required")?;
            asked.requests = RequestMetadata::read(members, &mut faults)?;
        }
        asked.faults = faults;
        Ok(asked)
    }

    /// Applies the rules of a policy, within the operator's bounds.
    ///
    /// # Errors
    /// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2) if nothing usable is left.
    pub fn check(
        self,
        policy: RegistrationPolicy,
        bounds: Bounds<'_>,
    ) -> Result<ClientMetadata, OAuthError> {
        let mut rules = Rules {
            policy,
            bounds,
            faults: self.faults,
        };
        let auth_method = rules.auth_method(&self.token_endpoint_auth_method)?;
        let kind = match auth_method {
            AuthMethod::None => ClientType::Public,
            _ => ClientType::Confidential,
        };
        let grants = rules.grants(&self.grant_types, auth_method)?;
        rules.response_types(self.response_types.as_deref().unwrap_or_default(), &grants)?;
        let none_given = self.redirect_uris.is_empty();
        let redirect_uris = rules.redirect_uris(self.redirect_uris, kind)?;
        let grants = rules.require_redirect_uri(grants, &redirect_uris, none_given)?;
        let keys = rules.keys(auth_method, self.jwks, self.jwks_uri)?;
        let mut requests = self.requests.check(&keys, &mut rules.faults)?;
        let mut about = rules.about(self.about)?;
        about.application_type = rules.application_type(about.application_type, &redirect_uris)?;
        let scope = rules.scope(self.scope.as_deref().unwrap_or_default())?;
        // A name that could deceive is an error, not left out: the developer must choose another.
        let name = self.client_name.as_deref().map(client_name::clean);
        let name = name.transpose();
        let name = name.map_err(|why| OAuthError::invalid_client_metadata(why.to_string()))?;
        let post_logout = self.post_logout_redirect_uris;
        let algorithms = rules.algorithms(&self.algorithms)?;
        let is_fapi = self.fapi == Some(true);
        if is_fapi {
            rules.require_fapi(auth_method, &keys, &redirect_uris, algorithms)?;
            requests.require_pushed_authorization_requests = Some(true);
        }
        Ok(ClientMetadata {
            name: name.flatten(),
            auth_method,
            auth_method_chosen: !self.token_endpoint_auth_method.trim().is_empty(),
            grants,
            redirect_uris,
            keys,
            post_logout_redirect_uris: rules.post_logout_redirect_uris(post_logout, kind)?,
            allowed: if policy.limited_to_scope {
                scope.clone()
            } else {
                bounds.scope.clone()
            },
            scope,
            dpop_bound: self.dpop_bound_access_tokens == Some(true),
            fapi: is_fapi,
            algorithms,
            pkce_required: self.pkce_required,
            requests,
            about,
            warnings: rules.faults.into_warnings(),
        })
    }
}

#[cfg(test)]
mod tests;
