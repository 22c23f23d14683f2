//! Resource indicators (RFC 8707): the resources that tokens can be issued for.

use url::Url;

use super::access_token::{Audience, STORYDEN};
use super::error::OAuthError;

/// The most resources in a request.
const MAX: usize = 8;

/// The known resources: this community's own API under each of its names, and the resources listed by
/// the operator.
#[derive(Clone, Debug)]
pub struct KnownResources {
    own: Vec<String>,
    listed: Vec<String>,
}

impl KnownResources {
    /// The issuer, its API and its MCP endpoint are one API; `listed` are additional resources.
    #[must_use]
    pub fn new(issuer: &str, listed: &[String]) -> Self {
        let below = ["", "/api", "/mcp", "/mcp/sse"];
        Self {
            own: below.iter().map(|path| format!("{issuer}{path}")).collect(),
            listed: listed.to_vec(),
        }
    }

    /// Parses the resources of a request, separated by spaces, and returns each in its known spelling.
    ///
    /// # Errors
    /// `invalid_target`.
    pub fn read(&self, asked: &str) -> Result<Vec<String>, OAuthError> {
        let mut resources: Vec<String> = Vec::new();
        for one in asked.split(' ').filter(|one| !one.is_empty()) {
            let known = self.own.iter().chain(&self.listed);
            let known = known.into_iter().find(|known| is_same(known, one));
            let known = known.ok_or_else(|| {
                OAuthError::invalid_target(
                    "resource must be the issuer of this server, the issuer with /api or /mcp, or \
                     a resource in OAUTH_RESOURCES",
                )
            })?;
            if !resources.contains(known) {
                resources.push(known.clone());
            }
        }
        if resources.len() > MAX {
            return Err(OAuthError::invalid_target("resource is repeated too often"));
        }
        Ok(resources)
    }

    /// Returns the resources of a token within a grant (RFC 8707 §2.2): all of the grant's resources,
    /// or the requested subset. A grant without resources is for the community's own API.
    ///
    /// # Errors
    /// `invalid_target` for a resource outside the grant.
    pub fn within(
        &self,
        granted: Option<&[String]>,
        asked: Option<&str>,
    ) -> Result<Option<Vec<String>>, OAuthError> {
        let Some(asked) = asked else {
            return Ok(granted.map(<[String]>::to_vec));
        };
        let asked = self.read(asked)?;
        let granted = granted.unwrap_or(&self.own);
        if asked.iter().all(|one| granted.contains(one)) {
            return Ok(Some(asked).filter(|asked| !asked.is_empty()));
        }
        Err(OAuthError::invalid_target(
            "resource asks for more than was granted",
        ))
    }

    /// The audience of a token (RFC 9068 §3): its resources, and Storyden's own name beside any name of
    /// the community's own API.
    #[must_use]
    pub fn audience(&self, resources: Option<&[String]>) -> Audience {
        let Some(resources) = resources.filter(|resources| !resources.is_empty()) else {
            return Audience::One(STORYDEN.to_owned());
        };
        let is_own = resources.iter().any(|one| self.own.contains(one));
        match resources {
            [one] if !is_own => Audience::One(one.clone()),
            several => {
                let storyden = is_own.then(|| STORYDEN.to_owned());
                Audience::Several(several.iter().cloned().chain(storyden).collect())
            }
        }
    }
}

/// Equal byte for byte, or after URL parsing: clients that assemble the address write `https://host/`
/// for `https://host`.
fn is_same(known: &str, asked: &str) -> bool {
    known == asked
        || !asked.contains('#')
            && match (Url::parse(known), Url::parse(asked)) {
                (Ok(known), Ok(asked)) => known == asked,
                _ => false,
            }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    /// req_099, req_144: known resources, and the audience of their tokens.
    #[test]
    fn a_resource_is_known_and_names_the_audience() {
        let known = KnownResources::new("https://a.example", &["https://files.example/v1".into()]);
        let audience = |asked: &str| {
            let resources = known.read(asked).map_err(|error| error.code.as_str())?;
            Ok::<_, &str>(serde_json::to_value(known.audience(Some(&resources))).unwrap())
        };
        for (asked, expected) in [
            (
                "https://a.example",
                serde_json::json!(["https://a.example", "storyden"]),
            ),
            (
                "https://a.example/",
                serde_json::json!(["https://a.example", "storyden"]),
            ),
            (
                "https://A.example:443/mcp",
                serde_json::json!(["https://a.example/mcp", "storyden"]),
            ),
            (
                "https://files.example/v1",
                serde_json::json!("https://files.example/v1"),
            ),
            (
                "https://files.example/v1 https://a.example/api",
                serde_json::json!([
                    "https://files.example/v1",
                    "https://a.example/api",
                    "storyden"
                ]),
            ),
        ] {
            assert_eq!(audience(asked), Ok(expected), "{asked}");
        }
        for unknown in [
            "https://b.example",
            "https://a.example/other",
            "https://a.example/mcp#f",
            "/mcp",
            "storyden",
            "https://files.example/v1/",
        ] {
            assert_eq!(audience(unknown), Err("invalid_target"), "{unknown}");
        }
    }

    /// req_144, req_124: a token request stays within the grant.
    #[test]
    fn a_token_is_for_no_more_than_was_granted() {
        let known = KnownResources::new("https://a.example", &["https://files.example/".into()]);
        let files = vec!["https://files.example/".to_owned()];
        let own = Some("https://a.example/mcp");
        assert!(known.within(Some(&files), own).is_err());
        assert!(known.within(None, Some("https://files.example/")).is_err());
        assert!(known.within(None, own).is_ok());
        assert_eq!(known.within(Some(&files), None).unwrap(), Some(files));
    }
}
