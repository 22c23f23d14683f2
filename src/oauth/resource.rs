//! A resource beside this community's own API, such as an MCP server, with its scopes.

use url::Url;

use super::scope::ScopeName;
use crate::ids::ResourceId;

/// The most bytes of a resource.
const URL_MAX: usize = 1_024;

/// A resource beside this community's own API, such as an MCP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The resource (RFC 8707 §2), as registered.
    pub url: String,
    /// Name, for the consent page.
    pub name: Option<String>,
    /// The scopes of the resource.
    pub scopes: Vec<DescribedScope>,
    /// Row id; `None` for a resource that only `OAUTH_RESOURCES` lists.
    pub id: Option<ResourceId>,
}

impl Resource {
    /// A resource of `OAUTH_RESOURCES`.
    #[must_use]
    pub fn listed(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            name: None,
            scopes: Vec::new(),
            id: None,
        }
    }

    /// Returns the identity of the resource for a remembered consent: the URL, and everything that a consent
    /// page shows of a resource of the database. A resource with another name, scope or sentence, and a resource
    /// that was removed and added again, has another identity.
    #[must_use]
    pub fn consent_identity(&self) -> String {
        let Some(id) = &self.id else {
            return self.url.clone();
        };
        let name = self.name.as_deref().unwrap_or_default();
        let mut lines = vec![self.url.clone(), id.to_string(), name.to_owned()];
        // No text has a line break, so different resources never have the same lines.
        lines.extend(
            self.scopes
                .iter()
                .map(|scope| format!("{} {}", scope.name.name(), scope.description)),
        );
        lines.join("\n")
    }

    /// The names of the scopes.
    pub fn scope_names(&self) -> impl Iterator<Item = ScopeName> {
        self.scopes.iter().map(|scope| scope.name)
    }
}

/// Why a text cannot be a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResourceUrlError {
    /// Relative, or no URI.
    #[error("must be an absolute URI, as in https://tools.example/mcp")]
    NotAbsolute,
    /// RFC 8707 §2.
    #[error("must not have a fragment")]
    Fragment,
    /// A user name or a password.
    #[error("must not have a user name or password")]
    UserInfo,
    /// Characters that tokens, lists or error descriptions cannot have.
    #[error("must be plain ASCII without spaces, commas, quotes and backslashes")]
    Characters,
    /// Longer than `URL_MAX`.
    #[error("is longer than 1024 bytes")]
    TooLong,
}

/// Checks a resource that an operator adds.
///
/// # Errors
/// The reason, as the end of a sentence that starts with the name of the value.
pub fn check_url(text: &str) -> Result<(), ResourceUrlError> {
    if text.len() > URL_MAX {
        return Err(ResourceUrlError::TooLong);
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"\\,".contains(&byte);
    if !text.bytes().all(is_plain) {
        return Err(ResourceUrlError::Characters);
    }
    if text.contains('#') {
        return Err(ResourceUrlError::Fragment);
    }
    let url = Url::parse(text).map_err(|_| ResourceUrlError::NotAbsolute)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ResourceUrlError::UserInfo);
    }
    Ok(())
}

/// A scope of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedScope {
    /// The name; unique over all resources.
    pub name: ScopeName,
    /// A sentence for the consent page.
    pub description: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_a_plain_absolute_uri() {
        for url in [
            "https://tools.example/mcp?x=1",
            "http://localhost:9000",
            "urn:example:api",
        ] {
            assert_eq!(check_url(url), Ok(()), "{url}");
        }
        for (url, fault) in [
            ("/mcp", ResourceUrlError::NotAbsolute),
            ("tools.example", ResourceUrlError::NotAbsolute),
            ("https://tools.example#", ResourceUrlError::Fragment),
            ("https://u:p@tools.example", ResourceUrlError::UserInfo),
            ("https://tools.example/a b", ResourceUrlError::Characters),
            ("https://tools.example/\"", ResourceUrlError::Characters),
            ("https://töols.example/", ResourceUrlError::Characters),
            (
                &format!("https://a.example/{}", "a".repeat(URL_MAX)),
                ResourceUrlError::TooLong,
            ),
        ] {
            assert_eq!(check_url(url), Err(fault), "{url}");
        }
    }

    /// a remembered consent is for the resource as the page showed the resource.
    #[test]
    fn a_changed_resource_has_another_identity() {
        let scope = |name: &str, description: &str| DescribedScope {
            name: ScopeName::from_name(name).unwrap(),
            description: description.to_owned(),
        };
        let tools = Resource {
            url: "https://tools.example".to_owned(),
            name: Some("Tools".to_owned()),
            scopes: vec![scope("tools:read", "Read your tools")],
            id: Some(ResourceId::new("one")),
        };
        let identity = tools.consent_identity();
        assert_eq!(tools.clone().consent_identity(), identity);
        let again = Resource {
            id: Some(ResourceId::new("two")),
            ..tools.clone()
        };
        let renamed = Resource {
            name: None,
            ..tools.clone()
        };
        let reworded = Resource {
            scopes: vec![scope("tools:read", "Change your tools")],
            ..tools.clone()
        };
        let listed = Resource::listed(&tools.url);
        for other in [again, renamed, reworded, listed.clone()] {
            assert_ne!(other.consent_identity(), identity);
        }
        assert_eq!(listed.consent_identity(), tools.url);
    }
}
