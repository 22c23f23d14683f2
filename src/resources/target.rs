//! The resources and the scope of a token.

use std::borrow::Cow;

use super::known;
use crate::context::Context;
use crate::oauth::OAuthError;
use crate::oauth::known_resources::KnownResources;
use crate::oauth::scope::Scope;
use crate::store;

/// The resources and the scope of a token.
#[derive(Debug)]
pub struct Target {
    /// The resources; `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The scope, without scopes of other resources.
    pub scope: Scope,
}

impl Target {
    /// Returns the target of a new grant: the `asked` resources, separated by spaces, and `scope` without
    /// the scopes of other resources (RFC 8707 §2).
    ///
    /// # Errors
    /// `invalid_target` for an unknown resource.
    pub async fn requested(
        context: &Context,
        asked: Option<&str>,
        scope: &Scope,
    ) -> Result<Self, OAuthError> {
        let Some(asked) = asked else {
            return Ok(Self::own(scope));
        };
        let known = known_for(context, asked.split(' '), scope).await?;
        let resources = Some(known.read(asked)?).filter(|resources| !resources.is_empty());
        Ok(Self {
            scope: known.limit(scope, resources.as_deref()),
            resources,
        })
    }

    /// Returns the target of a token within a grant: the `granted` resources, narrowed to the `asked`
    /// ones, and `scope` without the scopes of other resources.
    ///
    /// # Errors
    /// `invalid_target` for a resource outside the grant.
    pub async fn within(
        context: &Context,
        granted: Option<&[String]>,
        asked: Option<&str>,
        scope: &Scope,
    ) -> Result<Self, OAuthError> {
        if granted.is_none() && asked.is_none() {
            return Ok(Self::own(scope));
        }
        let names = granted.unwrap_or_default().iter().map(String::as_str);
        let names = names.chain(asked.unwrap_or_default().split(' '));
        let known = known_for(context, names, scope).await?;
        let resources = known.within(granted, asked)?;
        Ok(Self {
            scope: known.limit(scope, resources.as_deref()),
            resources,
        })
    }

    /// The community's own API.
    fn own(scope: &Scope) -> Self {
        Self {
            resources: None,
            scope: scope.without_resource_scopes(&Scope::default()),
        }
    }
}

/// Returns the resources that decide about `names` and `scope`. Reads the database only if the resources of the
/// settings do not decide alone: MCP clients name the community's own API in each request.
async fn known_for<'a>(
    context: &'a Context,
    names: impl Iterator<Item = &str>,
    scope: &Scope,
) -> Result<Cow<'a, KnownResources>, store::Error> {
    let settings = &context.resources;
    let mut names = names.filter(|name| !name.is_empty());
    let is_settled = |name: &str| {
        let has_scopes = scope.has_resource_scopes() && !settings.is_own(name);
        settings.is_settled(name) && !has_scopes
    };
    if names.all(is_settled) {
        return Ok(Cow::Borrowed(settings));
    }
    known(context).await.map(Cow::Owned)
}
