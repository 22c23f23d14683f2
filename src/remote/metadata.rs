//! Metadata of remote servers (RFC 9728, RFC 8414): parsed and compared with the requested identifier.

use serde_json::{Value, json};
use url::Url;

use super::Error;

/// The most authorization servers of a resource.
const SERVERS_MAX: usize = 16;
/// The longest URL, in bytes. A unique index holds two, and PostgreSQL allows 2,704 bytes for its rows.
const URL_MAX: usize = 1_024;

/// A protected resource's metadata (RFC 9728 §2), checked.
#[derive(Clone, Debug)]
pub struct ResourceMetadata {
    /// The resource identifier, sent as `resource` in token requests; absent if there are no metadata.
    pub resource: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Authorization servers, in the listed order.
    pub servers: Vec<String>,
    /// Scopes of the resource, if listed.
    pub scopes: Option<Vec<String>>,
    /// The whole document.
    pub document: Value,
}

/// An authorization server's metadata (RFC 8414 §2), checked.
#[derive(Clone, Debug)]
pub struct ServerMetadata {
    /// The issuer: the `iss` of its responses (RFC 9207).
    pub issuer: String,
    /// Authorization endpoint.
    pub authorization_endpoint: String,
    /// Token endpoint.
    pub token_endpoint: String,
    /// Registration endpoint.
    pub registration_endpoint: Option<String>,
    /// Client authentication methods; empty if not listed.
    pub auth_methods: Vec<String>,
    /// Scopes that the server knows; empty if not listed.
    pub scopes: Vec<String>,
    /// True if client ids may be URLs of metadata documents.
    pub takes_documents: bool,
    /// The whole document.
    pub document: Value,
}

fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    let text = document.get(name).and_then(Value::as_str);
    text.filter(|text| !text.is_empty())
}

fn list(document: &Value, name: &str) -> Option<Vec<String>> {
    let items = document.get(name)?.as_array()?;
    let texts = items.iter().filter_map(Value::as_str);
    Some(texts.map(str::to_owned).collect())
}

/// An identifier without a final slash, which many servers add or remove. The rest of the URL is compared
/// exactly, so the two identifiers are on the same host.
fn without_final_slash(identifier: &str) -> &str {
    identifier.strip_suffix('/').unwrap_or(identifier)
}

impl ResourceMetadata {
    /// Checks the metadata of a resource. `asked` are the identifiers that the location of the document
    /// stands for (RFC 9728 §3.1).
    ///
    /// # Errors
    /// The fault.
    pub fn check(document: Value, asked: &[&str]) -> Result<Self, Error> {
        let resource = text(&document, "resource")
            .ok_or_else(|| Error::refused("The protected-resource metadata have no resource"))?;
        // RFC 9728 §3.3, req_147
        let is_asked = |asked: &&str| without_final_slash(resource) == without_final_slash(asked);
        if !asked.iter().any(is_asked) {
            let asked = asked.first().copied().unwrap_or_default();
            return Err(Error::refused(format!(
                "The protected-resource metadata are of another resource: {resource:?}, and {asked:?} was asked",
            )));
        }
        let servers = list(&document, "authorization_servers").unwrap_or_default();
        if servers.is_empty() {
            return Err(Error::refused(
                "The protected-resource metadata name no authorization server",
            ));
        }
        if servers.len() > SERVERS_MAX {
            return Err(Error::refused(format!(
                "The protected-resource metadata name more than {SERVERS_MAX} authorization servers"
            )));
        }
        Ok(Self {
            resource: Some(resource.to_owned()),
            name: text(&document, "resource_name").map(str::to_owned),
            scopes: list(&document, "scopes_supported"),
            servers,
            document,
        })
    }
}

impl ResourceMetadata {
    /// The metadata of a resource without metadata: the resource's own host is the authorization server,
    /// as in the MCP authorization specification of 2025-03-26.
    #[must_use]
    pub fn assumed(resource: &Url) -> Self {
        let server = resource.origin().ascii_serialization();
        Self {
            resource: None,
            name: None,
            document: json!({ "resource": resource.as_str(), "authorization_servers": [server] }),
            servers: vec![server],
            scopes: None,
        }
    }
}

impl ServerMetadata {
    /// Checks the metadata of an issuer.
    ///
    /// # Errors
    /// The fault.
    pub fn check(document: Value, asked: &str) -> Result<Self, Error> {
        let issuer = text(&document, "issuer")
            .ok_or_else(|| Error::refused("The authorization server's metadata have no issuer"))?;
        // RFC 8414 §3.3, req_195
        if issuer.trim_end_matches('/') != asked.trim_end_matches('/') {
            return Err(Error::refused(format!(
                "The authorization server calls itself {issuer:?}, and {asked:?} was asked"
            )));
        }
        let endpoint = |name: &str| {
            let missing = || format!("The authorization server's metadata have no {name}");
            let endpoint = text(&document, name).ok_or_else(|| Error::refused(missing()))?;
            check_endpoint(name, endpoint)?;
            Ok::<_, Error>(endpoint.to_owned())
        };
        let authorization_endpoint = endpoint("authorization_endpoint")?;
        let token_endpoint = endpoint("token_endpoint")?;
        let registration_endpoint = match text(&document, "registration_endpoint") {
            Some(_) => Some(endpoint("registration_endpoint")?),
            None => None,
        };
        for (name, needed) in [
            ("response_types_supported", "code"),
            ("grant_types_supported", "authorization_code"),
        ] {
            let lacks =
                list(&document, name).is_some_and(|list| !list.iter().any(|one| one == needed));
            if lacks {
                return Err(Error::refused(format!(
                    "The authorization server's {name} lacks {needed}"
                )));
            }
        }
        // req_196: a server that does not say so may pass the challenge over
        let methods = list(&document, "code_challenge_methods_supported").unwrap_or_default();
        if !methods.iter().any(|method| method == "S256") {
            return Err(Error::refused(
                "The authorization server does not advertise PKCE: its \
                 code_challenge_methods_supported lacks S256",
            ));
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint,
            token_endpoint,
            registration_endpoint,
            auth_methods: Self::auth_methods(&document),
            scopes: Self::scopes(&document),
            takes_documents: document.get("client_id_metadata_document_supported")
                == Some(&Value::Bool(true)),
            document,
        })
    }

    /// The authentication methods of a token endpoint (RFC 8414 §2).
    #[must_use]
    pub fn auth_methods(document: &Value) -> Vec<String> {
        list(document, "token_endpoint_auth_methods_supported").unwrap_or_default()
    }

    /// The scopes that a server knows (RFC 8414 §2).
    #[must_use]
    pub fn scopes(document: &Value) -> Vec<String> {
        list(document, "scopes_supported").unwrap_or_default()
    }

    /// True if the token endpoint accepts clients without a secret. A server that lists no methods is
    /// asked, because many accept such clients.
    #[must_use]
    pub fn takes_public_clients(&self) -> bool {
        self.auth_methods.is_empty() || self.auth_methods.iter().any(|method| method == "none")
    }

    /// True if responses always carry `iss` (RFC 9207 §3).
    #[must_use]
    pub fn names_itself(document: &Value) -> bool {
        document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true))
    }
}

/// Checks an endpoint or resource URL (storyden-contract.md#url-rule-for-remote-servers): https, or
/// http for this computer, without user information. The SSRF guard checks the address later.
///
/// # Errors
/// The fault.
pub fn check_endpoint(name: &str, text: &str) -> Result<Url, Error> {
    let wrong = |why: &str| Error::refused(format!("{name} {why}"));
    let url = Url::parse(text).map_err(|_| wrong("is no absolute URL"))?;
    if text.len() > URL_MAX || url.as_str().len() > URL_MAX {
        return Err(wrong("has more than 1024 bytes"));
    }
    let here = crate::oauth::redirect_uri::is_loopback(&url);
    if url.scheme() != "https" && !(url.scheme() == "http" && here) {
        return Err(wrong("must start with https://"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not have a user name or password"));
    }
    if url.fragment().is_some() {
        return Err(wrong("must not have a fragment"));
    }
    Ok(url)
}
