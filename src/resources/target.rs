//! The resources and the scope of a token.

use std::borrow::Cow;

use super::{known, known_at};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::oauth::OAuthError;
use crate::oauth::known_resources::KnownResources;
use crate::oauth::scope::Scope;

/// The resources and the scope of a token.
#[derive(Debug)]
pub struct Target {
    /// The resources; `None` for the community's own API.
    pub resources: Option<Vec<String>>,
    /// The scope, without scopes of other resources.
    pub scope: Scope,
    /// The resources of the grant that still exist, of which `resources` may be a part.
    pub granted: Option<Vec<String>>,
    /// The known resources, if a new grant needed these from the database: the remembered consent and the
    /// consent page need no second query.
    pub known: Option<KnownResources>,
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
        let known = match settled(context, asked.split(' '), scope) {
            Some(settings) => Cow::Borrowed(settings),
            None => Cow::Owned(known(context).await?),
        };
        let resources = Some(known.read(asked)?).filter(|resources| !resources.is_empty());
        Ok(Self {
            scope: known.limit(scope, resources.as_deref()),
            granted: resources.clone(),
            resources,
            known: match known {
                Cow::Owned(known) => Some(known),
                Cow::Borrowed(_) => None,
            },
        })
    }

    /// Returns the target of a token within a grant: the resources of the grant, narrowed to the `asked`
    /// ones, and `scope` without the scopes of other resources.
    ///
    /// # Errors
    /// `invalid_target` for a resource outside the grant.
    pub async fn within(
        context: &Context,
        grant: Granted<'_>,
        asked: Option<&str>,
        scope: &Scope,
    ) -> Result<Self, OAuthError> {
        let granted = grant.resources;
        if granted.is_none() && asked.is_none() {
            return Ok(Self::own(scope));
        }
        let names = granted.unwrap_or_default().iter().map(String::as_str);
        let names = names.chain(asked.unwrap_or_default().split(' '));
        let known = match settled(context, names, scope) {
            Some(settings) => Cow::Borrowed(settings),
            None => Cow::Owned(known_at(context, grant.at).await?),
        };
        let resources = known.within(granted, asked)?;
        Ok(Self {
            scope: known.limit(scope, resources.as_deref()),
            granted: granted.map(|granted| known.left(granted)),
            resources,
            known: None,
        })
    }

    /// The community's own API.
    fn own(scope: &Scope) -> Self {
        Self {
            resources: None,
            granted: None,
            known: None,
            scope: scope.without_resource_scopes(&Scope::default()),
        }
    }
}

/// The resources of a grant, and the time of the approval.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    /// The resources; `None` for the community's own API.
    pub resources: Option<&'a [String]>,
    /// Time of the approval, or of the exchange of a code that was still valid.
    pub at: Timestamp,
}

/// Returns the resources of the settings if these decide alone about `names` and `scope`, without the database:
/// MCP clients name the community's own API in each request.
fn settled<'a, 'n>(
    context: &'a Context,
    names: impl Iterator<Item = &'n str>,
    scope: &Scope,
) -> Option<&'a KnownResources> {
    let settings = &context.resources;
    let mut names = names.filter(|name| !name.is_empty());
    let is_settled = |name: &str| {
        let has_scopes = scope.has_resource_scopes() && !settings.is_own(name);
        settings.is_settled(name) && !has_scopes
    };
    names.all(is_settled).then_some(settings)
}
