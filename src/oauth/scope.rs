//! Scope (RFC 6749 §3.3) and what of it may be granted.
//!
//! A scope names standard scopes of OpenID Connect and permissions of Storyden. What is granted is
//! always within what was asked, what the client may have and what the account holds now; the
//! functions of this file are the only ones that say what that is.

use super::permission::{Permission, PermissionSet};

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
    pub fn name(self) -> &'static str {
        match self {
            Self::Openid => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::OfflineAccess => "offline_access",
            Self::Permission(permission) => permission.name(),
        }
    }

    /// The scope of a name; names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::STANDARD
            .iter()
            .copied()
            .find(|standard| standard.name() == name)
            .or_else(|| Permission::from_name(name).map(Self::Permission))
    }

    /// The permission it names, if it does.
    #[must_use]
    pub fn permission(self) -> Option<Permission> {
        match self {
            Self::Permission(permission) => Some(permission),
            _ => None,
        }
    }
}

/// The most names of a scope parameter, repeated ones counted.
const NAMES_MAX: usize = 64;

/// Why a text is no scope of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScope {
    /// A byte that a scope cannot have, more than one space between names, or too many names.
    #[error("scope must be at most 64 names separated by single spaces")]
    Grammar,
    /// A name nobody knows here.
    #[error("scope names something this server does not know")]
    Unknown,
    /// More names than anybody means.
    #[error("scope has more than 64 names")]
    TooMany,
}

/// A list of scope names in the order they were given, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<ScopeName>);

impl Scope {
    /// Reads a scope parameter by the grammar of RFC 6749 §3.3: names of `%x21 / %x23-5B /
    /// %x5D-7E` with single spaces between. An empty text is an empty scope.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let is_nqchar = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        let mut scope = Self::default();
        for (index, name) in text.split(' ').enumerate() {
            if index >= NAMES_MAX {
                return Err(InvalidScope::TooMany);
            }
            // RFC 6749 §3.3
            if name.is_empty() || !name.bytes().all(is_nqchar) {
                return Err(InvalidScope::Grammar);
            }
            scope.push(ScopeName::from_name(name).ok_or(InvalidScope::Unknown)?);
        }
        Ok(scope)
    }

    /// Reads a scope parameter as Storyden does: white space of any kind, as much as there is,
    /// separates names, and one that is repeated stays so.
    ///
    /// # Errors
    /// [`InvalidScope::Unknown`] or [`InvalidScope::TooMany`].
    pub fn parse_leniently(text: &str) -> Result<Self, InvalidScope> {
        let mut scope = Self::default();
        for (index, name) in text.split_whitespace().enumerate() {
            if index >= NAMES_MAX {
                return Err(InvalidScope::TooMany);
            }
            scope
                .0
                .push(ScopeName::from_name(name).ok_or(InvalidScope::Unknown)?);
        }
        Ok(scope)
    }

    /// Reads a scope as it was stored: any white space separates, what is unknown grants nothing.
    /// What was stored twice stays so.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(
            text.split_whitespace()
                .filter_map(ScopeName::from_name)
                .collect(),
        )
    }

    /// Reads a stored list of names; what is unknown grants nothing, and what was stored twice stays so.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self(names.into_iter().filter_map(ScopeName::from_name).collect())
    }

    /// Every scope there is, in the published order.
    #[must_use]
    pub fn all() -> Self {
        let permissions = Permission::ALL.iter().copied().map(ScopeName::Permission);
        ScopeName::STANDARD
            .iter()
            .copied()
            .chain(permissions)
            .collect()
    }

    /// Adds a name unless it is there.
    pub fn push(&mut self, name: ScopeName) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Whether the name is in it.
    #[must_use]
    pub fn contains(&self, name: ScopeName) -> bool {
        self.0.contains(&name)
    }

    /// Whether there is no name in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every name of this scope is in the other.
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
    pub fn names(&self) -> Vec<&'static str> {
        self.iter().map(ScopeName::name).collect()
    }

    /// How many names it has, repeated ones counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The permissions in it.
    #[must_use]
    pub fn permissions(&self) -> PermissionSet {
        self.iter().filter_map(ScopeName::permission).collect()
    }

    /// The names of this scope that pass, in order.
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

/// Where a client's permissions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopePolicy {
    /// From the list it was registered with.
    Explicit,
    /// From the account that approves it, whatever that holds.
    Inherit,
}

/// What a client may have.
#[derive(Clone, Debug)]
pub struct ClientScope {
    /// Where its permissions come from.
    pub policy: ScopePolicy,
    /// The list it was registered with.
    pub allowed: Scope,
}

impl ClientScope {
    /// Whether the client may have a name (RFC 6749 §3.3; contract 4.3).
    ///
    /// ADMINISTRATOR in the list lets everything through. A list without any standard scope counts
    /// as holding the four, since Storyden's self-service has no way to list them.
    #[must_use]
    pub fn allows(&self, name: ScopeName) -> bool {
        match name {
            ScopeName::Permission(_) => self.lists(name),
            _ => self.lists(name) || !self.lists_a_standard_scope(),
        }
    }

    /// As [`ClientScope::allows`], but a list without any standard scope holds none.
    #[must_use]
    pub fn lists(&self, name: ScopeName) -> bool {
        self.allowed.contains(name) || self.allowed.permissions().holds(Permission::Administrator)
    }

    fn lists_a_standard_scope(&self) -> bool {
        ScopeName::STANDARD
            .iter()
            .any(|standard| self.allowed.contains(*standard))
    }

    /// What an approval grants in the code and device flows (contract 4.3), now.
    ///
    /// What the client or the account may not have is dropped, not refused: the answer's `scope`
    /// says what is left (RFC 6749 §3.3). A client that inherits and asks for no permission gets
    /// every permission that the account holds.
    #[must_use]
    pub fn grant(&self, requested: &Scope, held: PermissionSet) -> Scope {
        let mut granted = requested.keep(|name| {
            self.allows(name)
                && name
                    .permission()
                    .is_none_or(|permission| held.permits(permission))
        });
        if self.inherits_for(requested) {
            held.iter()
                .for_each(|permission| granted.push(ScopeName::Permission(permission)));
        }
        granted
    }

    /// Whether a request is answered with all that the account holds.
    #[must_use]
    pub fn inherits_for(&self, requested: &Scope) -> bool {
        self.policy == ScopePolicy::Inherit && requested.permissions() == PermissionSet::EMPTY
    }

    /// What is left now of a scope that was granted before (contract 4.6): nothing is ever added.
    #[must_use]
    pub fn still_granted(&self, granted: &Scope, held: PermissionSet) -> Scope {
        granted.keep(|name| match name.permission() {
            Some(permission) => {
                held.permits(permission)
                    && (self.policy == ScopePolicy::Inherit || self.allows(name))
            }
            None => self.allows(name),
        })
    }

    /// What a client gets for itself (RFC 6749 §4.4; contract 4.5): permissions alone, within its
    /// list and what the owning account holds now. `None` asked means all of that.
    ///
    /// # Errors
    /// The first name that is not in the client's list.
    pub fn grant_to_itself(
        &self,
        requested: Option<&Scope>,
        held: PermissionSet,
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
        Ok(asked.keep(|name| {
            name.permission()
                .is_some_and(|permission| held.permits(permission))
        }))
    }
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids stand as the coverage list reads them"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = ScopeName> {
        let all: Vec<ScopeName> = Scope::all().iter().collect();
        prop::sample::select(all)
    }

    fn scope() -> impl Strategy<Value = Scope> {
        prop::collection::vec(name(), 0..8).prop_map(|names| names.into_iter().collect())
    }

    fn held() -> impl Strategy<Value = PermissionSet> {
        scope().prop_map(|scope| scope.permissions())
    }

    fn client() -> impl Strategy<Value = ClientScope> {
        let policy = prop::sample::select(vec![ScopePolicy::Explicit, ScopePolicy::Inherit]);
        (policy, scope()).prop_map(|(policy, allowed)| ClientScope { policy, allowed })
    }

    proptest! {
        /// T18, req_020: what is granted was asked (or is inherited), is allowed and is held.
        #[test]
        fn a_grant_is_within_request_client_and_account(
            client in client(), requested in scope(), held in held(),
        ) {
            for name in client.grant(&requested, held).iter() {
                let inherited = client.inherits_for(&requested);
                prop_assert!(requested.contains(name) || inherited);
                prop_assert!(client.allows(name) || inherited);
                if let Some(permission) = name.permission() {
                    prop_assert!(held.permits(permission));
                }
            }
        }

        /// T18, A-32: a refresh never adds, and less held never gives more.
        #[test]
        fn what_is_left_of_a_grant_only_shrinks(
            client in client(), granted in scope(), held in held(), lost in held(),
        ) {
            let before = client.still_granted(&granted, held);
            prop_assert!(before.is_within(&granted));
            let fewer: PermissionSet = held.iter().filter(|one| !lost.holds(*one)).collect();
            prop_assert!(client.still_granted(&granted, fewer).is_within(&before));
            prop_assert_eq!(client.still_granted(&before, held), before);
        }

        /// T18: a client never gives itself a standard scope or one it may not have.
        #[test]
        fn a_client_for_itself_gets_permissions_of_its_list(
            client in client(), requested in proptest::option::of(scope()), held in held(),
        ) {
            if let Ok(granted) = client.grant_to_itself(requested.as_ref(), held) {
                for name in granted.iter() {
                    prop_assert!(name.permission().is_some_and(|one| held.permits(one)));
                    prop_assert!(client.allows(name));
                }
            }
        }

        /// T18, req_017: a scope survives the wire.
        #[test]
        fn a_scope_reads_back_as_it_was_written(scope in scope()) {
            prop_assert_eq!(Scope::parse(&scope.to_string()), Ok(scope.clone()));
            prop_assert_eq!(Scope::stored(&scope.to_string()), scope);
        }

        /// T18, req_017: no text makes the reader fall over.
        #[test]
        fn any_text_is_a_scope_or_is_refused(text in ".{0,200}") {
            let _ = Scope::parse(&text);
            let _ = Scope::stored(&text);
        }
    }

    /// req_017: names are separated by one space, nothing else.
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
