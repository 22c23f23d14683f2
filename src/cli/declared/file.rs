//! The TOML file of `plan`, `apply` and `export`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Error;
use crate::config;
use crate::oauth::grant_type::GrantType;
use crate::oauth::scope::ScopeName;
use crate::secret::Secret;

/// The shortest secret of a client, in bytes: too long to guess.
const SECRET_MIN: usize = 32;

/// The content of the file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Declared {
    /// Roles, by name.
    #[serde(default, rename = "role", skip_serializing_if = "Vec::is_empty")]
    pub(super) roles: Vec<DeclaredRole>,
    /// Resources, by URL.
    #[serde(default, rename = "resource", skip_serializing_if = "Vec::is_empty")]
    pub(super) resources: Vec<DeclaredResource>,
    /// Trusted issuers, by URL.
    #[serde(default, rename = "issuer", skip_serializing_if = "Vec::is_empty")]
    pub(super) issuers: Vec<DeclaredIssuer>,
    /// Applications, by client id.
    #[serde(default, rename = "client", skip_serializing_if = "Vec::is_empty")]
    pub(super) clients: Vec<DeclaredClient>,
}

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredRole {
    pub(super) name: String,
    pub(super) permissions: Vec<String>,
}

/// A resource (RFC 8707 §2).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredResource {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// Client id of the server of the resource, which may exchange tokens for the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) server: Option<String>,
    #[serde(default, rename = "scope", skip_serializing_if = "Vec::is_empty")]
    pub(super) scopes: Vec<DeclaredScope>,
}

/// A scope of a resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredScope {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    /// Names of the roles that give the scope.
    #[serde(default = "every_member")]
    pub(super) roles: Vec<String>,
}

/// A trusted issuer of identity assertions, without its mapped subjects.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclaredIssuer {
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    /// URL of the keys; found by the metadata of the issuer if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwks_uri: Option<String>,
    /// True if a subject is also mapped by the verified e-mail address.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) by_email: bool,
}

/// An application (OAuth client).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of the file"
)]
pub(super) struct DeclaredClient {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    /// Handle of the owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    #[serde(default = "usual_grants")]
    pub(super) grants: Vec<String>,
    #[serde(default = "standard_scopes")]
    pub(super) scopes: Vec<String>,
    /// True if the client may request every permission of the member.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) inherit: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) redirect_uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) post_logout_redirect_uris: Vec<String>,
    /// Algorithm of ID tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id_token_alg: Option<String>,
    /// Algorithm of access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) access_token_alg: Option<String>,
    /// Algorithm of userinfo responses, which are not signed if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) userinfo_alg: Option<String>,
    /// True if token requests need a DPoP proof.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) dpop: bool,
    /// True if the client is held to the FAPI 2.0 Security Profile.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) fapi: bool,
    /// URL of the public keys, for `private_key_jwt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwks_uri: Option<String>,
    /// True if the client is exempt from PKCE.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) without_pkce: bool,
    /// True if every authorization request must be pushed (RFC 9126 §6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) require_pushed_requests: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<SecretSource>,
    /// The public keys (JWK Set), for `private_key_jwt`. Last, because TOML writes tables after other values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jwks: Option<serde_json::Value>,
}

/// The client types of RFC 6749 §2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Public,
    Confidential,
}

/// The place of a secret, which the file never has itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file; surrounding white space is removed.
    File(PathBuf),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

fn every_member() -> Vec<String> {
    vec!["Member".to_owned()]
}

fn usual_grants() -> Vec<String> {
    let usual = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    usual.map(|grant| grant.stored_name().to_owned()).to_vec()
}

fn standard_scopes() -> Vec<String> {
    let names = ScopeName::STANDARD.iter();
    names.map(|name| name.name().to_owned()).collect()
}

impl Declared {
    /// Reads a file.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Io(format!("{shown} cannot be read"), error))?;
        let declared: Self =
            toml::from_str(&text).map_err(|error| Error::because(format!("{shown}: {error}")))?;
        declared.refuse_repeats()?;
        Ok(declared)
    }

    fn refuse_repeats(&self) -> Result<(), Error> {
        let roles = self.roles.iter().map(|role| role.name.to_ascii_lowercase());
        let resources = self.resources.iter().map(|one| one.url.clone());
        let clients = self.clients.iter().map(|client| client.id.clone());
        refuse_repeat("role", roles)?;
        refuse_repeat("resource", resources)?;
        refuse_repeat("issuer", self.issuers.iter().map(|one| one.url.clone()))?;
        refuse_repeat("client", clients)
    }

    /// Formats the file.
    pub(super) fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self)
            .map_err(|error| Error::because(format!("the file cannot be written: {error}")))
    }
}

fn refuse_repeat(noun: &str, names: impl Iterator<Item = String>) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return Err(Error::because(format!("the {noun} {name} is repeated")));
        }
        seen.insert(name);
    }
    Ok(())
}

impl SecretSource {
    /// Reads the secret.
    pub(super) fn read(&self) -> Result<Secret, Error> {
        let (place, text) = match self {
            Self::Env(name) => (format!("the variable {name}"), config::variable(name)),
            Self::File(path) => {
                let place = path.display().to_string();
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Error::Io(format!("{place} cannot be read"), error))?;
                (place, Some(text))
            }
        };
        let text = text.unwrap_or_default();
        let text = text.trim();
        if text.len() < SECRET_MIN {
            return Err(Error::because(format!(
                "secret: {place} has no secret of at least {SECRET_MIN} characters; `openssl rand -base64 32` prints one"
            )));
        }
        Ok(Secret::new(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_defaults() {
        let text = r#"
            [[role]]
            name = "Developers"
            permissions = ["USE_OAUTH_CLIENTS"]

            [[resource]]
            url = "https://tools.example/mcp"
            [[resource.scope]]
            name = "tools:read"

            [[client]]
            id = "calendar"
            name = "Calendar"
            type = "confidential"
            redirect_uris = ["https://calendar.example/callback"]
            secret = { env = "CALENDAR_SECRET" }
        "#;
        let declared: Declared = toml::from_str(text).unwrap();
        assert_eq!(declared.resources[0].scopes[0].roles, ["Member"]);
        let client = &declared.clients[0];
        assert_eq!(client.grants, ["authorization_code", "refresh_token"]);
        assert_eq!(client.scopes.len(), ScopeName::STANDARD.len());
        assert!(
            matches!(&client.secret, Some(SecretSource::Env(name)) if name == "CALENDAR_SECRET")
        );
        let again: Declared = toml::from_str(&declared.to_toml().unwrap()).unwrap();
        assert_eq!(again.to_toml().unwrap(), declared.to_toml().unwrap());
    }

    #[test]
    fn unknown_members_and_repeats_are_refused() {
        for text in ["[[roles]]\nname = \"x\"", "[[client]]\nsecret = \"x\""] {
            assert!(toml::from_str::<Declared>(text).is_err(), "{text}");
        }
        let role = DeclaredRole {
            name: "A".to_owned(),
            permissions: Vec::new(),
        };
        let declared = Declared {
            roles: vec![
                role.clone(),
                DeclaredRole {
                    name: "a".to_owned(),
                    ..role
                },
            ],
            ..Declared::default()
        };
        assert!(declared.refuse_repeats().is_err());
    }
}
