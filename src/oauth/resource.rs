//! Resource indicators (RFC 8707): the resources that tokens can be issued for.

use url::Url;

use super::access_token::{Audience, STORYDEN};
use super::error::OAuthError;
use super::error_value::none_of;

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
            let known = self.find(one).ok_or_else(|| self.unknown(one))?;
            if !resources.contains(known) {
                resources.push(known.clone());
            }
        }
        if resources.len() > MAX {
            return Err(OAuthError::invalid_target("resource is repeated too often"));
        }
        Ok(resources)
    }

    /// Finds a known resource: the same text, the same URL, or the same URL except the final slash of the
    /// path. A registered text always wins, so that two resources that differ in the slash alone are
    /// not confused.
    fn find(&self, asked: &str) -> Option<&String> {
        let known = || self.own.iter().chain(&self.listed);
        let by = |is_same: fn(&str, &str) -> bool| known().find(|known| is_same(known, asked));
        by(|known, asked| known == asked)
            .or_else(|| by(is_same_url))
            .or_else(|| by(is_same_but_slash))
    }

    fn unknown(&self, asked: &str) -> OAuthError {
        let known = self.own.iter().chain(&self.listed).map(String::as_str);
        OAuthError::invalid_target(format!(
            "resource is not known here; {}",
            none_of(asked, known)
        ))
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
        let refused = asked.iter().find(|one| !granted.contains(one));
        Err(OAuthError::invalid_target(format!(
            "resource asks for more than was granted; {}",
            none_of(
                refused.map_or("", String::as_str),
                granted.iter().map(String::as_str)
            )
        )))
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

/// Equal after URL parsing: clients that assemble the address write `https://host/` for `https://host`.
fn is_same_url(known: &str, asked: &str) -> bool {
    parse(known).is_some_and(|known| Some(known) == parse(asked))
}

/// As [`is_same_url`], except that the path may have or lack a final slash.
fn is_same_but_slash(known: &str, asked: &str) -> bool {
    let bare = |text| {
        let mut url = parse(text)?;
        let path = url.path().to_owned();
        url.set_path(path.strip_suffix('/').unwrap_or(&path));
        Some(url)
    };
    bare(known).is_some_and(|known| Some(known) == bare(asked))
}

/// Parses a resource (RFC 8707 §2): an absolute URI without a fragment.
fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|_| !text.contains('#'))
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
            "https://files.example/v1//",
            "https://files.example/v1/?",
            "https://files.example/",
            "https://files.example/V1",
            "http://files.example/v1",
            "https://files.example:8443/v1",
            "https://files.example/v1%2F",
            "https://user@files.example/v1",
        ] {
            assert_eq!(audience(unknown), Err("invalid_target"), "{unknown}");
        }
    }

    /// req_144: a final slash is forgiven in both directions, unless both forms are known: then each is a
    /// resource of its own.
    #[test]
    fn a_final_slash_is_forgiven_unless_both_forms_are_known() {
        let listed = ["https://a.example/with/", "https://b.example/without?x=/"];
        let mut listed = listed.map(str::to_owned).to_vec();
        let known = KnownResources::new("https://c.example/forum", &listed);
        for (asked, form) in [
            ("https://a.example/with", "https://a.example/with/"),
            (
                "https://b.example/without/?x=/",
                "https://b.example/without?x=/",
            ),
            ("https://c.example/forum/", "https://c.example/forum"),
            (
                "https://c.example/forum/mcp/",
                "https://c.example/forum/mcp",
            ),
        ] {
            assert_eq!(known.read(asked).unwrap(), [form]);
        }
        assert!(known.read("https://b.example/without?x=").is_err());
        listed.push("https://a.example/with".to_owned());
        let known = KnownResources::new("https://c.example/forum", &listed);
        for form in ["https://a.example/with", "https://a.example/with/"] {
            assert_eq!(known.read(form).unwrap(), [form]);
            let granted = [form.to_owned()];
            let other = known.within(Some(&granted), Some("https://A.example/with"));
            assert_eq!(other.is_ok(), form == "https://a.example/with");
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
