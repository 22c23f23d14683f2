//! Scopes (RFC 6749 §3.3): standard scopes of OpenID Connect, permissions of Storyden, and scopes of other
//! resources.

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
    pub(super) fn keep(&self, passes: impl Fn(ScopeName) -> bool) -> Self {
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

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
pub(super) mod tests {
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

    pub(in crate::oauth) fn scope() -> impl Strategy<Value = Scope> {
        prop::collection::vec(name(), 0..8).prop_map(|names| names.into_iter().collect())
    }

    proptest! {
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
