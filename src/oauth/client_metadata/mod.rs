//! Client metadata in registrations (RFC 7591 §2, OpenID Connect Registration §2).
//!
//! All metadata is self-asserted: bounded and cleaned here, and no URL in the metadata is fetched.
//! [`RequestedMetadata`] holds the members by type; [`RequestedMetadata::check`] decides which of these are registered.

mod rules;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::auth_method::AuthMethod;
use super::client_name;
use super::error::OAuthError;
use super::grant_type::GrantType;
use super::id_token::SIGNING_ALGORITHM;
use super::scope::{Scope, ScopeSyntax};
use rules::Rules;

pub(super) use rules::is_web_page;

/// The rules for metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent rule"
)]
pub struct RegistrationPolicy {
    /// True if `null` has the wrong type for every member. If false, `null` counts as absent.
    pub null_rejected: bool,
    /// True if keys, post-logout redirect URIs, contacts and software ids are ignored.
    pub basic_members_only: bool,
    /// True if the device grant is rejected.
    pub device_grant_rejected: bool,
    /// True if redirect URIs must be web or loopback URIs; surrounding white space is then removed.
    pub web_redirects_only: bool,
    /// True if any `application_type` fits any redirect URI.
    pub application_type_unchecked: bool,
    /// Syntax of `scope`.
    pub scope_syntax: ScopeSyntax,
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
    /// Public keys, for `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    /// URL of the public keys, as an alternative.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    /// The scope of a request without `scope`.
    #[schema(required = false)]
    scope: Option<String>,
    /// `RS256`, for signed userinfo responses. Other algorithms are not registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_signed_response_alg: Option<String>,
    #[serde(flatten)]
    about: About,
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
    /// `web` or `native`.
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
    /// True if userinfo responses are signed.
    pub signed_userinfo: bool,
    /// Display metadata.
    pub about: About,
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
}

/// A request that is not an object, or has a member of the wrong type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not an object.
    #[error("the document must be a JSON object")]
    NoObject,
    /// A member that must be a text.
    #[error("{0} must be a string")]
    NoText(&'static str),
    /// A member that must be a list.
    #[error("{0} must be a list of strings")]
    NoList(&'static str),
}

/// The members of a request, read by type.
struct Members<'a> {
    object: &'a Map<String, Value>,
    /// True if `null` is an error; false if `null` means absent (RFC 7592 §2.2).
    null_is_wrong: bool,
}

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        let value = self.object.get(name);
        value.filter(|value| self.null_is_wrong || !value.is_null())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Malformed> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Malformed::NoText(name)),
        }
    }

    fn list(&self, name: &'static str) -> Result<Option<Vec<String>>, Malformed> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let items = value.as_array().ok_or(Malformed::NoList(name))?;
        let texts = items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<_>>();
        texts.map(Some).ok_or(Malformed::NoList(name))
    }
}

impl RequestedMetadata {
    /// Reads the known members.
    ///
    /// # Errors
    /// If a member has the wrong type.
    pub fn read(policy: RegistrationPolicy, document: &Value) -> Result<Self, Malformed> {
        let members = Members {
            object: document.as_object().ok_or(Malformed::NoObject)?,
            null_is_wrong: policy.null_rejected,
        };
        let mut asked = Self {
            client_name: members.text("client_name")?,
            redirect_uris: members.list("redirect_uris")?.unwrap_or_default(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: members.list("grant_types")?.unwrap_or_default(),
            response_types: members.list("response_types")?,
            token_endpoint_auth_method: members
                .text("token_endpoint_auth_method")?
                .unwrap_or_default(),
            jwks: None,
            jwks_uri: None,
            scope: members.text("scope")?,
            userinfo_signed_response_alg: None,
            about: About {
                application_type: members.text("application_type")?,
                client_uri: members.text("client_uri")?,
                logo_uri: members.text("logo_uri")?,
                policy_uri: members.text("policy_uri")?,
                tos_uri: members.text("tos_uri")?,
                ..About::default()
            },
        };
        if !policy.basic_members_only {
            let uris = members.list("post_logout_redirect_uris")?;
            asked.post_logout_redirect_uris = uris.unwrap_or_default();
            asked.jwks = members.get("jwks").cloned();
            asked.jwks_uri = members.text("jwks_uri")?;
            asked.userinfo_signed_response_alg = members.text("userinfo_signed_response_alg")?;
            asked.about.contacts = members.list("contacts")?;
            asked.about.software_id = members.text("software_id")?;
            asked.about.software_version = members.text("software_version")?;
        }
        Ok(asked)
    }

    /// Applies the rules of a policy. `cap` limits the scope of registrations.
    ///
    /// # Errors
    /// `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
    pub fn check(
        self,
        policy: RegistrationPolicy,
        cap: &Scope,
    ) -> Result<ClientMetadata, OAuthError> {
        let rules = Rules { policy };
        let auth_method = rules.auth_method(&self.token_endpoint_auth_method)?;
        let grants = rules.grants(&self.grant_types, auth_method)?;
        rules.response_types(self.response_types.as_deref(), &grants)?;
        let redirect_uris = rules.redirect_uris(self.redirect_uris, &grants)?;
        let keys = Rules::keys(auth_method, self.jwks, self.jwks_uri)?;
        rules.application_type(self.about.application_type.as_deref(), &redirect_uris)?;
        let about = rules.about(self.about)?;
        let scope = rules.scope(self.scope.as_deref().unwrap_or_default(), cap)?;
        let name = self.client_name.as_deref().map(client_name::clean);
        let name = name.transpose();
        let name = name.map_err(|why| OAuthError::invalid_client_metadata(why.to_string()))?;
        Ok(ClientMetadata {
            name: name.flatten(),
            auth_method,
            auth_method_chosen: !self.token_endpoint_auth_method.trim().is_empty(),
            grants,
            redirect_uris,
            keys,
            post_logout_redirect_uris: rules::post_logout_redirect_uris(
                self.post_logout_redirect_uris,
            )?,
            allowed: if policy.limited_to_scope {
                scope.clone()
            } else {
                cap.clone()
            },
            scope,
            // RFC 7591 §3.2.1: the server may register less, and the response tells so
            signed_userinfo: self.userinfo_signed_response_alg.as_deref()
                == Some(SIGNING_ALGORITHM),
            about,
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
        null_rejected: false,
        basic_members_only: false,
        device_grant_rejected: false,
        web_redirects_only: false,
        application_type_unchecked: false,
        scope_syntax: ScopeSyntax::SingleSpaces,
        limited_to_scope: false,
        errors: RegistrationErrors::Detailed,
    };

    const STORYDEN: RegistrationPolicy = RegistrationPolicy {
        null_rejected: true,
        basic_members_only: true,
        device_grant_rejected: true,
        web_redirects_only: true,
        application_type_unchecked: true,
        scope_syntax: ScopeSyntax::WhiteSpace,
        limited_to_scope: true,
        errors: RegistrationErrors::Storyden,
    };

    fn register(
        policy: RegistrationPolicy,
        document: &Value,
    ) -> Result<ClientMetadata, OAuthError> {
        let cap = Scope::stored("openid profile email offline_access READ_PROFILE");
        RequestedMetadata::read(policy, document)
            .unwrap()
            .check(policy, &cap)
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
            ("myapp://cb", false, false),
            ("javascript:alert(1)", false, false),
            ("https://a.example/%zz", false, false),
            (" https://a.example/cb", false, true), // trimmed in the profile storyden
            ("https://u@a.example/cb", false, false),
            ("http://[::ffff:127.0.0.1]/cb", false, false),
            ("https:///nohost", false, false),
        ] {
            let document = json!({ "redirect_uris": [uri] });
            let accepted = |policy| register(policy, &document).is_ok();
            assert_eq!(accepted(STANDARDS), standards, "{uri}");
            assert_eq!(accepted(STORYDEN), storyden, "{uri}");
        }
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
            json!({
                "grant_types": [device], "token_endpoint_auth_method": "none", "response_types": ["code"],
            }),
        ] {
            let error = register(document.clone()).unwrap_err();
            assert_eq!(error.code.as_str(), "invalid_client_metadata", "{document}");
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
        assert!(register(STANDARDS, &nothing).is_err());
    }

    /// req_140: display metadata is bounded, and URLs are web addresses.
    #[test]
    fn what_is_kept_is_bounded() {
        let uri = "https://a.example/cb";
        for about in [
            json!({ "logo_uri": "https://u:p@a.example/" }),
            json!({ "logo_uri": "https:x" }),
            json!({ "client_uri": "https://a.example/\"><script>" }),
            json!({ "tos_uri": "javascript:alert(1)" }),
            json!({ "policy_uri": format!("https://a.example/{}", "x".repeat(2_048)) }),
            json!({ "contacts": ["a\u{202e}b"] }),
            json!({ "contacts": vec!["a"; 21] }),
            json!({ "software_id": "x".repeat(256) }),
            json!({ "application_type": "desktop" }),
            json!({ "client_name": "Storyden" }),
            json!({ "post_logout_redirect_uris": ["/relative"] }),
        ] {
            let mut document = about.clone();
            document["redirect_uris"] = json!([uri]);
            let error = register(STANDARDS, &document).unwrap_err();
            assert_eq!(error.code.as_str(), "invalid_client_metadata", "{about}");
        }
    }
}
