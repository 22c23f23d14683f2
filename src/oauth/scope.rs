//! Scopes (RFC 6749 §3.3) and the calculation of granted scopes.
//!
//! A scope names standard scopes of OpenID Connect, permissions of Storyden, and scopes of other
//! resources. The granted scope is always within the requested scope, the client's allowed scope and
//! the names that the account holds now. Only the functions of this file calculate granted scopes.

use super::permission::{Permission, PermissionSet};
use super::resource_scope::ResourceScope;
use super::scope_token::is_scope_token;

/// One name of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScopeName {
    /// `openid` (OpenID Connect Core §3.1.2.1).
    Openid,
    /// `profile` (OpenID Connect Core §5.4).
    Profile,
    /// `email` (OpenID Connect Core §5.4).
    Email,
    /// `offline_access` (OpenID Connect Core §11).
    OfflineAccess,
    /// A permission of Storyden.
    Permission(Permission),
    /// A scope of a resource beside Storyden's API, possibly unknown.
    Resource(ResourceScope),
}

impl ScopeName {
    /// The four standard scopes, in the published order.
    pub const STANDARD: &[Self] = &[
        Self::Openid,
        Self::Profile,
        Self::Email,
        Self::OfflineAccess,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Openid => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::OfflineAccess => "offline_access",
            Self::Permission(permission) => permission.name(),
            Self::Resource(scope) => scope.as_str(),
        }
    }

    /// The scope of a name; names are case-sensitive. A name in the form of a resource's scope is read
    /// as such a scope, known or not: a grant includes only scopes that the account holds.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::STANDARD
            .iter()
            .copied()
            .find(|standard| standard.name() == name)
            .or_else(|| Permission::from_name(name).map(Self::Permission))
            .or_else(|| ResourceScope::parse(name).map(Self::Resource))
    }

    /// True for a scope of a resource beside Storyden's API.
    #[must_use]
    pub fn is_of_resource(&self) -> bool {
        matches!(self, Self::Resource(_))
    }

    /// The permission that the scope names, if any.
    #[must_use]
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            _ => None,
        }
    }
}

/// The most names in a scope parameter, repeated and unknown names included.
pub(super) const NAMES_MAX: usize = 64;

/// The reason why a scope is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// A character outside the grammar, or more than one space between names.
    #[error("scope must be at most 64 names separated by single spaces")]
    Grammar,
    /// An unknown name.
    #[error("scope names something this server does not know")]
    Unknown,
    /// More than `NAMES_MAX` names.
    #[error("scope has more than 64 names")]
    TooMany,
}

/// A list of distinct scope names, in the given order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<ScopeName>);

/// The syntax of a `scope` parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeSyntax {
    /// RFC 6749 §3.3: names separated by spaces, each kept once; unknown names are passed over.
    Spaces,
    /// Storyden's: names separated by any white space, repeated names are kept; an unknown name is an
    /// error.
    WhiteSpace,
}

impl Scope {
    /// Parses the scope of a token that this server issued: known names separated by single spaces
    /// (RFC 6749 §3.3). An empty text is an empty scope.
    ///
    /// # Errors
    /// The fault.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut scope = Self::default();
        for (index, name) in text.split(' ').enumerate() {
            if index >= NAMES_MAX {
                return Err(InvalidScope::TooMany);
            }
            if !is_scope_token(name) {
                return Err(InvalidScope::Grammar);
            }
            scope.push(ScopeName::from_name(name).ok_or(InvalidScope::Unknown)?);
        }
        Ok(scope)
    }

    /// Parses a scope parameter as Storyden does: any amount of any white space separates names, and a
    /// repeated name is kept.
    ///
    /// # Errors
    /// [`InvalidScope::Unknown`] or [`InvalidScope::TooMany`].
    pub fn parse_leniently(text: &str) -> Result<Self, InvalidScope> {
        let mut scope = Self::default();
        for (index, name) in text.split_whitespace().enumerate() {
            if index >= NAMES_MAX {
                return Err(InvalidScope::TooMany);
            }
            let name = ScopeName::from_name(name).filter(|name| !name.is_of_resource());
            scope.0.push(name.ok_or(InvalidScope::Unknown)?);
        }
        Ok(scope)
    }

    /// Parses a stored scope: any white space separates names, unknown names grant nothing, repeated
    /// names are kept.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(
            text.split_whitespace()
                .filter_map(ScopeName::from_name)
                .collect(),
        )
    }

    /// Reads a stored list of names; unknown names grant nothing, repeated names are kept.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(ScopeName::from_name).collect())
    }

    /// Every scope of this community's API, in the published order.
    #[must_use]
    pub fn all() -> Self {
        let permissions = Permission::ALL.iter().copied().map(ScopeName::Permission);
        ScopeName::STANDARD
            .iter()
            .copied()
            .chain(permissions)
            .collect()
    }

    /// Adds a name unless present.
    pub fn push(&mut self, name: ScopeName) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// True if the scope contains `name`.
    #[must_use]
    pub fn contains(&self, name: ScopeName) -> bool {
        self.0.contains(&name)
    }

    /// True if the scope is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `other` contains every name of this scope.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.iter().all(|name| other.contains(*name))
    }

    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = ScopeName> {
        self.0.iter().copied()
    }

    /// The names as texts, in order: how JSON lists them.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(ScopeName::name).collect()
    }

    /// The number of names, repeated names included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if the scope contains a scope of a resource.
    #[must_use]
    pub fn has_resource_scopes(&self) -> bool {
        self.0.iter().any(ScopeName::is_of_resource)
    }

    /// Leaves out the scopes of resources, except those in `kept`.
    #[must_use]
    pub fn without_resource_scopes(&self, kept: &Self) -> Self {
        self.keep(|name| !name.is_of_resource() || kept.contains(name))
    }

    /// The permissions in it.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.iter().filter_map(ScopeName::permission).collect()
    }

    /// The names of this scope that are in the other, in order.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        self.keep(|name| other.contains(name))
    }

    /// The names that pass, in order.
    fn keep(&self, passes: impl Fn(ScopeName) -> bool) -> Self {
        Self(self.iter().filter(|name| passes(*name)).collect())
    }
}

impl FromIterator<ScopeName> for Scope {
    fn from_iter<I: IntoIterator<Item = ScopeName>>(names: I) -> Self {
        let mut scope = Self::default();
        names.into_iter().for_each(|name| scope.push(name));
        scope
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

impl serde::Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// The names that an account may grant now.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The permissions of all roles.
    pub permissions: PermissionSet,
    /// The scopes of resources that the roles give.
    pub resource_scopes: Scope,
}

impl Held {
    /// True if the account may grant the name.
    #[must_use]
    pub fn holds(&self, name: ScopeName) -> bool {
        match name {
            ScopeName::Permission(permission) => self.permissions.permits(permission),
            ScopeName::Resource(_) => self.resource_scopes.contains(name),
            _ => true,
        }
    }
}

/// No scopes of resources.
impl From<PermissionSet> for Held {
    fn from(permissions: PermissionSet) -> Self {
        Self {
            permissions,
            resource_scopes: Scope::default(),
        }
    }
}

/// Source of a client's permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopePolicy {
    /// The list of the registration.
    Explicit,
    /// The permissions of the approving account.
    Inherit,
}

/// The allowed scope of a client.
#[derive(Clone, Debug)]
pub struct ClientScope {
    /// Source of the permissions.
    pub policy: ScopePolicy,
    /// The list of the registration.
    pub allowed: Scope,
    /// True for a client that registered itself: such a client may request the scopes of every resource,
    /// because no administrator lists scopes for such a client. Each member still approves.
    pub self_registered: bool,
}

impl ClientScope {
    /// True if the client may have the name (RFC 6749 §3.3; storyden-contract.md#granting-scopes).
    ///
    /// ADMINISTRATOR in the list allows every name of this community's API. A list without any standard
    /// scope allows all four, because Storyden's self-service cannot list them.
    #[must_use]
    pub fn allows(&self, name: ScopeName) -> bool {
        match name {
            ScopeName::Permission(_) => self.lists(name),
            ScopeName::Resource(_) => self.lists(name) || self.self_registered,
            _ => self.lists(name) || !self.lists_a_standard_scope(),
        }
    }

    /// As [`ClientScope::allows`], but a list without any standard scope allows none of the four.
    #[must_use]
    pub fn lists(&self, name: ScopeName) -> bool {
        let allows_all = self.allowed.permissions().holds(Permission::Administrator);
        self.allowed.contains(name) || allows_all && !name.is_of_resource()
    }

    /// Returns the scope of a request without `scope` by a client that lists no scope: the standard
    /// scopes (RFC 6749 §3.3). Empty for a client that lists scopes.
    #[must_use]
    pub fn default_scope(&self) -> Scope {
        if self.allowed.is_empty() {
            ScopeName::STANDARD.iter().copied().collect()
        } else {
            Scope::default()
        }
    }

    fn lists_a_standard_scope(&self) -> bool {
        ScopeName::STANDARD
            .iter()
            .any(|standard| self.allowed.contains(*standard))
    }

    /// Returns the scope that an approval grants now, in the code and device flows
    /// (storyden-contract.md#granting-scopes).
    ///
    /// Names outside the client's or the account's limits are left out without an error: the `scope` of
    /// the response tells the rest (RFC 6749 §3.3). A client with the policy `inherit` that requests no
    /// permission gets every permission of the account.
    #[must_use]
    pub fn grant(&self, requested: &Scope, held: &Held) -> Scope {
        let mut granted = requested.keep(|name| self.allows(name) && held.holds(name));
        if self.inherits_for(requested) {
            held.permissions
                .iter()
                .for_each(|permission| granted.push(ScopeName::Permission(permission)));
        }
        granted
    }

    /// True if a request is granted all permissions of the account.
    #[must_use]
    pub fn inherits_for(&self, requested: &Scope) -> bool {
        self.policy == ScopePolicy::Inherit && requested.permissions() == PermissionSet::EMPTY
    }

    /// Returns the remaining part of a granted scope (storyden-contract.md#scopes-at-a-refresh): never
    /// adds a name.
    #[must_use]
    pub fn still_granted(&self, granted: &Scope, held: &Held) -> Scope {
        granted.keep(|name| {
            let inherits = name.permission().is_some() && self.policy == ScopePolicy::Inherit;
            held.holds(name) && (inherits || self.allows(name))
        })
    }

    /// Returns the scope that a client gets for itself (RFC 6749 §4.4;
    /// storyden-contract.md#scopes-for-client-credentials): no standard scopes, within the client's list
    /// and the names that the owner holds now. `requested` of `None` means all of these.
    ///
    /// # Errors
    /// The first requested name outside the client's list.
    pub fn grant_to_itself(
        &self,
        requested: Option<&Scope>,
        held: &Held,
    ) -> Result<Scope, ScopeName> {
        let asked = match requested {
            Some(requested) => {
                if let Some(refused) = requested.iter().find(|name| !self.lists(*name)) {
                    return Err(refused);
                }
                requested
            }
            None => &self.allowed,
        };
        Ok(asked.keep(|name| !ScopeName::STANDARD.contains(&name) && held.holds(name)))
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::super::scope_parameter;
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = ScopeName> {
        let of_resources = ["tools:read", "tools:write", "https://files.example/read"];
        let of_resources = of_resources
            .iter()
            .copied()
            .filter_map(ScopeName::from_name);
        let all: Vec<ScopeName> = Scope::all().iter().chain(of_resources).collect();
        prop::sample::select(all)
    }

    fn scope() -> impl Strategy<Value = Scope> {
        prop::collection::vec(name(), 0..8).prop_map(|names| names.into_iter().collect())
    }

    fn held() -> impl Strategy<Value = Held> {
        scope().prop_map(|scope| Held {
            permissions: scope.permissions(),
            resource_scopes: scope.keep(|name| name.is_of_resource()),
        })
    }

    fn client() -> impl Strategy<Value = ClientScope> {
        let policy = prop::sample::select(vec![ScopePolicy::Explicit, ScopePolicy::Inherit]);
        let parts = (policy, scope(), proptest::bool::ANY);
        parts.prop_map(|(policy, allowed, self_registered)| ClientScope {
            policy,
            allowed,
            self_registered,
        })
    }

    proptest! {
        /// T18, req_020: a granted scope was requested (or inherited), is allowed and is held.
        #[test]
        fn a_grant_is_within_request_client_and_account(
            client in client(), requested in scope(), held in held(),
        ) {
            for name in client.grant(&requested, &held).iter() {
                let inherited = client.inherits_for(&requested) && !name.is_of_resource();
                prop_assert!(requested.contains(name) || inherited);
                prop_assert!(client.allows(name) || inherited);
                prop_assert!(held.holds(name));
            }
        }

        /// T18, A-32: a refresh never adds a name, and fewer permissions never grant more.
        #[test]
        fn what_is_left_of_a_grant_only_shrinks(
            client in client(), granted in scope(), held in held(), lost in held(),
        ) {
            let before = client.still_granted(&granted, &held);
            prop_assert!(before.is_within(&granted));
            let lost_permission = |one: &Permission| lost.permissions.holds(*one);
            let fewer = Held {
                permissions: held.permissions.iter().filter(|one| !lost_permission(one)).collect(),
                resource_scopes: held.resource_scopes.keep(|one| !lost.resource_scopes.contains(one)),
            };
            prop_assert!(client.still_granted(&granted, &fewer).is_within(&before));
            prop_assert_eq!(client.still_granted(&before, &held), before);
        }

        /// T18: client credentials never grant a standard scope or a name outside the list.
        #[test]
        fn a_client_for_itself_gets_permissions_of_its_list(
            client in client(), requested in proptest::option::of(scope()), held in held(),
        ) {
            if let Ok(granted) = client.grant_to_itself(requested.as_ref(), &held) {
                for name in granted.iter() {
                    prop_assert!(!ScopeName::STANDARD.contains(&name) && held.holds(name));
                    prop_assert!(client.allows(name));
                }
            }
        }

        /// T18, req_017: a scope survives the wire.
        #[test]
        fn a_scope_reads_back_as_it_was_written(scope in scope()) {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope.clone()));
            let read = scope_parameter::read(&scope.to_string()).unwrap();
            prop_assert_eq!((&read.known, read.unknown.len()), (&scope, 0));
            prop_assert_eq!(Scope::stored(&scope.to_string()), scope);
        }

        /// T18, req_017: no text causes a panic.
        #[test]
        fn any_text_is_a_scope_or_is_refused(text in ".{0,200}") {
            let _ = Scope::parse(&text);
            let _ = Scope::stored(&text);
        }
    }

    /// req_017: only single spaces separate names.
    #[test]
    fn only_single_spaces_separate_names() {
        for text in [
            "openid\tprofile",
            " openid",
            "openid ",
            "openid  profile",
            "op\"enid",
            "é",
            " ",
        ] {
            assert_eq!(Scope::parse(text), Err(InvalidScope::Grammar), "{text:?}");
        }
        assert_eq!(Scope::parse("openid OPENID"), Err(InvalidScope::Unknown));
    }
}
