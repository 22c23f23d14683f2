//! Resource indicators (RFC 8707): the resources that tokens can be issued for.

use url::Url;

use super::access_token::{Audience, STORYDEN};
use super::error::OAuthError;
use super::error_value::none_of;
use super::mistake::MistakeKind;
use super::resource::Resource;
use super::scope::{Scope, ScopeName};

/// The most resources in a request.
const MAX: usize = 8;

/// The known resources: this community's own API under each of its names, and the resources of the
/// operator.
#[derive(Clone, Debug)]
pub struct KnownResources {
    own: Vec<String>,
    others: Vec<Resource>,
}

impl KnownResources {
    /// The issuer, its API and its MCP endpoint are one API; `listed` are additional resources.
    #[must_use]
    pub fn new(issuer: &str, listed: &[String]) -> Self {
        let below = ["", "/api", "/mcp", "/mcp/sse"];
        Self {
            own: below.iter().map(|path| format!("{issuer}{path}")).collect(),
            others: listed.iter().map(|url| Resource::listed(url)).collect(),
        }
    }

    /// Adds resources with names and scopes; a resource of the same URL is replaced.
    #[must_use]
    pub fn with(mut self, resources: Vec<Resource>) -> Self {
        self.others
            .retain(|known| resources.iter().all(|new| new.url != known.url));
        self.others.extend(resources);
        self
    }

    /// The resources beside the community's own API.
    #[must_use]
    pub fn others(&self) -> &[Resource] {
        &self.others
    }

    /// Returns the resource of a URL beside the community's own API.
    #[must_use]
    pub fn other(&self, url: &str) -> Option<&Resource> {
        self.others.iter().find(|other| other.url == url)
    }

    /// True for a name of the community's own API.
    #[must_use]
    pub fn is_own(&self, url: &str) -> bool {
        self.own.iter().any(|own| own == url)
    }

    /// True if every URL is a name of the community's own API.
    #[must_use]
    pub fn are_own(&self, urls: &[String]) -> bool {
        urls.iter().all(|url| self.is_own(url))
    }

    /// True if the resources of the database change nothing about `asked`: a name of the community's own API,
    /// or the exact text of another resource.
    #[must_use]
    pub fn is_settled(&self, asked: &str) -> bool {
        self.find(asked)
            .is_some_and(|found| found == asked || self.is_own(found))
    }

    /// Finds the resource that has a scope.
    #[must_use]
    pub fn with_scope(&self, name: ScopeName) -> Option<&Resource> {
        let has_scope = |one: &&Resource| one.scope_names().any(|scope| scope == name);
        self.others.iter().find(has_scope)
    }

    /// Returns the identity of each resource for a remembered consent.
    #[must_use]
    pub fn consent_identities(&self, resources: &[String]) -> Vec<String> {
        let identity = |url: &String| {
            self.other(url)
                .map_or_else(|| url.clone(), Resource::consent_identity)
        };
        resources.iter().map(identity).collect()
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(|resource| resource.url.as_str());
        self.own.iter().map(String::as_str).chain(others)
    }

    /// Parses the resources of a request, separated by spaces, and returns each in its known spelling.
    ///
    /// # Errors
    /// `invalid_target`.
    pub fn read(&self, asked: &str) -> Result<Vec<String>, OAuthError> {
        let mut resources: Vec<String> = Vec::new();
        for one in asked.split(' ').filter(|one| !one.is_empty()) {
            let known = self.find(one).ok_or_else(|| self.unknown(one))?;
            if resources.iter().all(|other| other != known) {
                resources.push(known.to_owned());
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
    #[must_use]
    pub fn find(&self, asked: &str) -> Option<&str> {
        let by = |is_same: fn(&str, &str) -> bool| self.all().find(|known| is_same(known, asked));
        by(|known, asked| known == asked)
            .or_else(|| by(is_same_url))
            .or_else(|| by(is_same_but_slash))
    }

    fn unknown(&self, asked: &str) -> OAuthError {
        let error = OAuthError::invalid_target(format!(
            "resource is not known here; {}",
            none_of(asked, self.all())
        ));
        error.mistake(MistakeKind::Resource, Some(asked))
    }

    /// Returns the resources of a token within a grant (RFC 8707 §2.2): the resources of the grant that
    /// still exist, or the requested subset. A grant without resources is for the community's own API.
    ///
    /// # Errors
    /// `invalid_target` for a resource outside the grant, and if every resource of the grant was removed.
    pub fn within(
        &self,
        granted: Option<&[String]>,
        asked: Option<&str>,
    ) -> Result<Option<Vec<String>>, OAuthError> {
        let Some(asked) = asked else {
            let Some(granted) = granted else {
                return Ok(None);
            };
            let left = self.left(granted);
            if left.is_empty() && !granted.is_empty() {
                let description = "the resource of this grant was removed; authorize again";
                return Err(OAuthError::invalid_target(description));
            }
            return Ok(Some(left));
        };
        let asked = self.read(asked)?;
        let granted = granted.unwrap_or(&self.own);
        if asked.iter().all(|one| granted.contains(one)) {
            return Ok(Some(asked).filter(|asked| !asked.is_empty()));
        }
        let refused = asked.iter().find(|one| !granted.contains(one));
        let refused = refused.map_or("", String::as_str);
        let error = OAuthError::invalid_target(format!(
            "resource asks for more than was granted; {}",
            none_of(refused, granted.iter().map(String::as_str))
        ));
        Err(error.mistake(MistakeKind::Resource, Some(refused)))
    }

    /// Returns the resources of a grant that still exist.
    #[must_use]
    pub fn left(&self, granted: &[String]) -> Vec<String> {
        let is_known = |one: &&String| self.all().any(|known| known == one.as_str());
        granted.iter().filter(is_known).cloned().collect()
    }

    /// Leaves out the scopes of resources that are not among `resources`: a token has only scopes of the
    /// resources that it is for.
    #[must_use]
    pub fn limit(&self, scope: &Scope, resources: Option<&[String]>) -> Scope {
        let resources = resources.unwrap_or_default();
        let listed = |resource: &&Resource| resources.contains(&resource.url);
        let scopes = self
            .others
            .iter()
            .filter(listed)
            .flat_map(Resource::scope_names);
        scope.without_resource_scopes(&scopes.collect())
    }

    /// Leaves out the scopes that no resource has.
    #[must_use]
    pub fn defined(&self, scope: &Scope) -> Scope {
        let scopes = self.others.iter().flat_map(Resource::scope_names);
        scope.without_resource_scopes(&scopes.collect())
    }

    /// The audience of a token (RFC 9068 §3): its resources, and Storyden's own name beside any name of
    /// the community's own API.
    #[must_use]
    pub fn audience(&self, resources: Option<&[String]>) -> Audience {
        let Some(resources) = resources.filter(|resources| !resources.is_empty()) else {
            return Audience::One(STORYDEN.to_owned());
        };
        let is_own = resources.iter().any(|one| self.is_own(one));
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
        let bare = path.strip_suffix('/').filter(|bare| !bare.ends_with('/'));
        url.set_path(bare.unwrap_or(&path));
        Some(url)
    };
    bare(known).is_some_and(|known| Some(known) == bare(asked))
}

/// Parses a resource (RFC 8707 §2): an absolute URI without a fragment.
fn parse(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|_| !text.contains('#'))
}

#[cfg(test)]
mod tests;
