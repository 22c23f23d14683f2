//! Metadata of a protected resource (RFC 9728).

use serde::Serialize;
use url::Url;

use super::scope::Scope;

/// The well-known path of resource metadata (RFC 9728 §3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// Metadata of a protected resource (RFC 9728 §2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthProtectedResourceMetadata)]
pub struct ResourceMetadata {
    /// The issuers whose tokens the resource accepts.
    pub authorization_servers: [String; 1],
    /// `header`: tokens come in the `Authorization` header (RFC 6750 §2.1).
    pub bearer_methods_supported: [&'static str; 1],
    /// Signature algorithms of DPoP proofs (RFC 9449), if the resource accepts access tokens that are bound to a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dpop_signing_alg_values_supported: Option<&'static [&'static str]>,
    /// The resource.
    pub resource: String,
    /// The name of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The scopes of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    pub scopes_supported: Option<Scope>,
}

impl ResourceMetadata {
    /// Builds the metadata of a resource that accepts tokens of `issuer`.
    #[must_use]
    pub fn new(issuer: String, resource: String) -> Self {
        Self {
            authorization_servers: [issuer],
            bearer_methods_supported: ["header"],
            dpop_signing_alg_values_supported: None,
            resource,
            resource_name: None,
            scopes_supported: None,
        }
    }
}

/// Returns the URL of a resource's metadata: the well-known path before the path of the resource (RFC
/// 9728 §3.1). `None` for a resource that is not on the web.
#[must_use]
pub fn location(resource: &str) -> Option<Url> {
    let mut url = Url::parse(resource).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let path = match url.path() {
        "/" => WELL_KNOWN.to_owned(),
        path => format!("{WELL_KNOWN}{path}"),
    };
    url.set_path(&path);
    Some(url)
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    /// req_145: the examples of RFC 9728 §3.1, and a resource with a query.
    #[test]
    fn the_path_of_the_resource_follows_the_well_known_path() {
        for (resource, expected) in [
            (
                "https://resource.example.com",
                "https://resource.example.com/.well-known/oauth-protected-resource",
            ),
            (
                "https://resource.example.com/resource1",
                "https://resource.example.com/.well-known/oauth-protected-resource/resource1",
            ),
            (
                "https://a.example:8443/mcp/?x=1",
                "https://a.example:8443/.well-known/oauth-protected-resource/mcp/?x=1",
            ),
        ] {
            assert_eq!(location(resource).unwrap().as_str(), expected);
        }
        assert_eq!(location("urn:example:api"), None);
    }
}
