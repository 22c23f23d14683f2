//! The calculation of granted scopes.
//!
//! The granted scope is always within the requested scope, the client's allowed scope and the names that
//! the account holds now. Only the functions of this file calculate granted scopes.

use super::permission::{Permission, PermissionSet};
use super::scope::{Scope, ScopeName};

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
mod tests {
    use super::super::scope::tests::scope;
    use super::*;
    use proptest::prelude::*;

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
    }
}
