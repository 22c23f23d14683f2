//! Client metadata in registrations (RFC 7591 §2, OpenID Connect Registration §2).
//!
//! All metadata is self-asserted: bounded and cleaned here, and no URL in the metadata is fetched.
//! [`RequestedMetadata`] holds the members by type; [`RequestedMetadata::check`] decides which of these
//! are registered. A part that cannot be registered is left out, with a warning (RFC 7591 §3.2.1).

mod about;
mod algorithms;
mod faults;
mod https_url;
mod keys;
mod members;
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
pub use keys::check as check_keys;
pub(super) use members::Members;
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
        let requests = self.requests.check(&keys, &mut rules.faults)?;
        let mut about = rules.about(self.about)?;
        about.application_type = rules.application_type(about.application_type, &redirect_uris)?;
        let scope = rules.scope(self.scope.as_deref().unwrap_or_default())?;
        // A name that could deceive is an error, not left out: the developer must choose another.
        let name = self.client_name.as_deref().map(client_name::clean);
        let name = name.transpose();
        let name = name.map_err(|why| OAuthError::invalid_client_metadata(why.to_string()))?;
        let post_logout = self.post_logout_redirect_uris;
        let algorithms = rules.algorithms(&self.algorithms)?;
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
            algorithms,
            pkce_required: self.pkce_required,
            requests,
            about,
            warnings: rules.faults.into_warnings(),
        })
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;
    use serde_json::json;

    const STANDARDS: RegistrationPolicy = RegistrationPolicy {
        faults_rejected: false,
        null_rejected: false,
        basic_members_only: false,
        device_grant_rejected: false,
        web_redirects_only: false,
        application_type_unchecked: false,
        limited_to_scope: false,
        errors: RegistrationErrors::Detailed,
    };

    const STORYDEN: RegistrationPolicy = RegistrationPolicy {
        faults_rejected: true,
        null_rejected: true,
        basic_members_only: true,
        device_grant_rejected: true,
        web_redirects_only: true,
        application_type_unchecked: true,
        limited_to_scope: true,
        errors: RegistrationErrors::Storyden,
    };

    fn register(
        policy: RegistrationPolicy,
        document: &Value,
    ) -> Result<ClientMetadata, OAuthError> {
        let scope = Scope::stored("openid profile email offline_access READ_PROFILE");
        let bounds = Bounds {
            scope: &scope,
            resource_scopes: &Scope::stored("tools:read"),
            private_use_schemes: &PrivateUseSchemes::of(&["cursor"]),
            signing_algorithms: &[SigningAlgorithm::Rs256, SigningAlgorithm::Es256],
        };
        RequestedMetadata::read(policy, document)?.check(policy, bounds)
    }

    /// req_136, req_069, A-7, A-8: private-use schemes are accepted in the profile `standards` only.
    #[test]
    fn private_use_schemes_are_for_the_standards_alone() {
        for (uri, standards, storyden) in [
            ("https://a.example/cb", true, true),
            ("http://127.0.0.2/cb", true, true),
            ("http://localhost:3000/cb", true, true),
            ("http://LOCALHOST/cb", true, false),
            ("com.example.app:/cb", true, false),
            ("cursor://cb", true, false),
            ("myapp://cb", false, false),
            ("javascript:alert(1)", false, false),
            ("https://a.example/%zz", false, false),
            (" https://a.example/cb", false, true), // trimmed in the profile storyden
            ("https://u@a.example/cb", false, false),
            ("http://[::ffff:127.0.0.1]/cb", false, false),
            ("https:///nohost", false, false),
        ] {
            let document = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
            let accepted = |policy| register(policy, &document).is_ok();
            assert_eq!(accepted(STANDARDS), standards, "{uri}");
            assert_eq!(accepted(STORYDEN), storyden, "{uri}");
        }
        let with_secret = json!({ "redirect_uris": ["cursor://cb"] });
        assert!(register(STANDARDS, &with_secret).is_err());
    }

    /// req_137: grant types and response types correspond.
    #[test]
    fn grants_and_response_types_go_together() {
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let uri = "https://a.example/cb";
        let register = |document| register(STANDARDS, &document);
        let public = register(json!({
            "grant_types": [device, "refresh_token"], "token_endpoint_auth_method": "none",
        }));
        assert_eq!(public.unwrap().response_types(), [""; 0]);
        for document in [
            json!({ "grant_types": [device] }),
            json!({ "grant_types": ["refresh_token"], "redirect_uris": [uri] }),
            json!({ "grant_types": ["client_credentials"] }),
            json!({ "grant_types": ["implicit"], "redirect_uris": [uri] }),
            json!({ "response_types": ["token"], "redirect_uris": [uri] }),
        ] {
            let error = register(document.clone()).unwrap_err();
            assert_eq!(error.code.as_str(), "invalid_client_metadata", "{document}");
        }
    }

    /// req_137, req_138: grants and response types that cannot be registered are left out, as long as
    /// the client can get a token.
    #[test]
    fn what_remains_is_usable() {
        let device = "urn:ietf:params:oauth:grant-type:device_code";
        let uri = "https://a.example/cb";
        for (document, grants, part) in [
            (
                json!({ "grant_types": ["authorization_code", "implicit"], "redirect_uris": [uri] }),
                "authorization_code",
                "grant_types: grant type 'implicit' cannot be registered",
            ),
            (
                json!({ "grant_types": ["authorization_code", device], "redirect_uris": [uri] }),
                "authorization_code",
                "the device grant is for public clients",
            ),
            (
                json!({
                    "grant_types": ["authorization_code", device],
                    "token_endpoint_auth_method": "none",
                }),
                device,
                "grant_types: At least one redirect_uri",
            ),
            (
                json!({
                    "grant_types": [device], "token_endpoint_auth_method": "none",
                    "response_types": ["code"],
                }),
                device,
                "response_types has code",
            ),
            (
                json!({ "response_types": ["code", "id_token"], "redirect_uris": [uri] }),
                "authorization_code refresh_token",
                "response type 'id_token' is not supported",
            ),
        ] {
            let metadata = register(STANDARDS, &document).unwrap();
            let names = metadata.grants.iter().map(|grant| grant.wire_name());
            assert_eq!(names.collect::<Vec<_>>().join(" "), grants, "{document}");
            let warnings = metadata.warnings.join("\n");
            assert!(warnings.contains(part), "{warnings}");
        }
    }

    #[test]
    fn the_registered_scope_is_within_the_cap() {
        let uri = "https://a.example/cb";
        let document =
            json!({ "redirect_uris": [uri], "scope": "openid READ_PROFILE ADMINISTRATOR" });
        let ours = register(STANDARDS, &document).unwrap();
        assert_eq!(ours.scope.to_string(), "openid READ_PROFILE");
        assert_eq!(ours.allowed.len(), 5);
        let theirs = register(STORYDEN, &document).unwrap();
        assert_eq!(theirs.allowed.to_string(), "openid READ_PROFILE");
        let nothing = json!({ "redirect_uris": [uri], "scope": "ADMINISTRATOR" });
        let usual = register(STANDARDS, &nothing).unwrap();
        assert_eq!(
            usual.scope.to_string(),
            "openid profile email offline_access"
        );
        assert!(register(STORYDEN, &nothing).is_err());
    }

    /// req_140: display metadata is bounded, and URLs are web addresses. A part beyond the bounds is left
    /// out, with a warning that names the member.
    #[test]
    fn what_is_kept_is_bounded() {
        let uri = "https://a.example/cb";
        for (member, value) in [
            ("logo_uri", json!("https://u:p@a.example/")),
            ("logo_uri", json!("https:x")),
            ("client_uri", json!("https://a.example/\"><script>")),
            ("tos_uri", json!("javascript:alert(1)")),
            (
                "policy_uri",
                json!(format!("https://a.example/{}", "x".repeat(2_048))),
            ),
            ("contacts", json!(["a\u{202e}b"])),
            ("contacts", json!(vec!["a"; 21])),
            ("contacts", json!("a")),
            ("software_id", json!("x".repeat(256))),
            ("application_type", json!("desktop")),
            ("post_logout_redirect_uris", json!(["/relative"])),
            ("client_name", json!(1)),
            ("grant_types", json!("authorization_code")),
            ("scope", json!(["openid"])),
            ("jwks_uri", json!(7)),
            ("pkce_required", json!("no")),
            ("dpop_bound_access_tokens", json!("yes")),
        ] {
            let document = json!({ "redirect_uris": [uri], member: value });
            let metadata = register(STANDARDS, &document).unwrap();
            let [warning] = &metadata.warnings[..] else {
                panic!("{member}: {:?}", metadata.warnings);
            };
            assert!(warning.starts_with(member), "{warning}");
        }
        let reserved = json!({ "redirect_uris": [uri], "client_name": "Storyden" });
        assert!(register(STANDARDS, &reserved).is_err());
        let many: Vec<String> = (0..200).map(|n| format!("http://a.example/{n}")).collect();
        let document = json!({ "redirect_uris": [uri], "contacts": many, "grant_types": many });
        assert!(register(STANDARDS, &document).is_err());
        let document = json!({ "redirect_uris": [uri], "scope": many.join(" ") });
        let warnings = register(STANDARDS, &document).unwrap().warnings;
        assert_eq!(warnings.len(), 21);
        assert!(warnings.last().unwrap().ends_with(" more"));
    }

    /// The redirect URIs tell an application type that is absent or does not fit.
    #[test]
    fn redirect_uris_tell_the_application_type() {
        for (given, uris, told) in [
            (json!(null), json!(["https://a.example/cb"]), "web"),
            (json!(null), json!(["http://localhost/cb"]), "native"),
            (json!(null), json!(["com.example:/cb"]), "native"),
            (
                json!(null),
                json!(["https://a.example/cb", "http://127.0.0.1/cb"]),
                "native",
            ),
            (json!("web"), json!(["http://localhost/cb"]), "web"),
            (
                json!("web"),
                json!(["https://a.example/cb", "cursor://cb"]),
                "native",
            ),
            (json!("native"), json!(["https://a.example/cb"]), "native"),
            (json!("desktop"), json!(["https://a.example/cb"]), "web"),
        ] {
            let document = json!({
                "application_type": given, "redirect_uris": uris,
                "token_endpoint_auth_method": "none",
            });
            let metadata = register(STANDARDS, &document).unwrap();
            assert_eq!(metadata.about.application_type.as_deref(), Some(told));
            let count = uris.as_array().unwrap().len();
            assert_eq!(metadata.redirect_uris.len(), count, "{document}");
        }
    }
}
