//! Rules for clients that members create and change (storyden-contract.md#self-service-clients). Pure:
//! ownership and held permissions are looked up by the caller.

use std::borrow::Cow;

use serde_json::Value;

use super::auth_method::AuthMethod;
use super::client_name::looks_reserved;
use super::display_text::is_displayable;
use super::grant_type::{ClientType, GrantType};
use super::permission::{Permission, PermissionSet};
use super::private_use_scheme::PrivateUseSchemes;
use super::redirect_uri::RedirectUriError;
use super::scope::{Scope, ScopeName};

/// The rules for clients of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each value is an independent rule"
)]
pub struct MemberClientPolicy {
    /// True if names have no maximum length and keep surrounding white space.
    pub long_names_accepted: bool,
    /// True if only permissions can be registered, no standard scopes.
    pub standard_scopes_rejected: bool,
    /// True if repeated values of a list are kept.
    pub repeats_kept: bool,
    /// True if private-use schemes need no dot.
    pub scheme_without_dot_accepted: bool,
    /// True if `pkce_required` has no effect.
    pub pkce_choice_ignored: bool,
    /// True if a chosen authentication method is ignored.
    pub auth_method_ignored: bool,
    /// True if the refresh grant alone, and the device grant of a confidential client, are accepted.
    pub all_grant_combinations_accepted: bool,
}

/// The longest name, in characters.
const NAME_MAX: usize = 64;

/// The reason why a client is rejected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientRuleError {
    /// No grant type.
    #[error("allowed_grants must name at least one grant")]
    NoGrants,
    /// A fault that the member can correct.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// A permission that the member does not hold.
    #[error("allowed_scopes has {}, which your account does not hold", .0.name())]
    NotHeld(Permission),
}

fn invalid(text: impl Into<Cow<'static, str>>) -> ClientRuleError {
    ClientRuleError::Invalid(text.into())
}

/// The applicable rules and the member's permissions.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The rules.
    pub policy: MemberClientPolicy,
    /// The permissions that the member holds now.
    pub held: PermissionSet,
}

/// The properties of a client that depend on each other.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    /// Public or confidential.
    pub kind: ClientType,
    /// The allowed grant types.
    pub grants: &'a [GrantType],
    /// True if the client has redirect URIs.
    pub has_redirect_uris: bool,
    /// True if the client must use PKCE.
    pub pkce_required: bool,
}

impl Rules {
    /// Checks a name shown on the consent page.
    ///
    /// # Errors
    /// The reason for the rejection.
    pub fn name(self, given: &str) -> Result<String, ClientRuleError> {
        let name = if self.policy.long_names_accepted {
            given
        } else {
            given.trim()
        };
        if name.is_empty() {
            return Err(invalid("name must not be empty"));
        }
        if !self.policy.long_names_accepted && name.chars().count() > NAME_MAX {
            return Err(invalid("name has more than 64 characters"));
        }
        if !is_displayable(name) {
            return Err(invalid(
                "name has characters that are not shown: control, direction or zero-width characters",
            ));
        }
        // The consent page shows the name. Administrators may name the community's own applications.
        if looks_reserved(name) && !self.held.permits(Permission::Administrator) {
            return Err(invalid(
                "name is, or looks like, a name of Storyden itself; choose another",
            ));
        }
        Ok(name.to_owned())
    }

    /// Checks allowed scopes: known names, and only permissions that the member holds.
    ///
    /// # Errors
    /// The first rejected name.
    pub fn scopes(self, names: &[String]) -> Result<Scope, ClientRuleError> {
        let mut scopes = Vec::with_capacity(names.len());
        for given in names {
            let name = ScopeName::from_name(given).filter(|name| {
                name.permission().is_some() || !self.policy.standard_scopes_rejected
            });
            let name = name.ok_or_else(|| {
                invalid(format!(
                    "allowed_scopes has {given:?}, which cannot be registered here"
                ))
            })?;
            scopes.push(name);
        }
        let lacking = scopes
            .iter()
            .filter_map(|name| name.permission())
            .find(|permission| !self.held.permits(*permission));
        if let Some(permission) = lacking {
            return Err(ClientRuleError::NotHeld(permission));
        }
        if self.policy.repeats_kept {
            return Ok(Scope::from_names(scopes.iter().map(ScopeName::name)));
        }
        Ok(scopes.into_iter().collect())
    }

    /// Checks the allowed grant types.
    ///
    /// # Errors
    /// If the list is empty or contains an unknown grant type.
    pub fn grants(self, names: &[String]) -> Result<Vec<GrantType>, ClientRuleError> {
        let mut grants = Vec::with_capacity(names.len());
        for name in names {
            let grant = GrantType::from_stored_name(name).ok_or_else(|| {
                let known: Vec<&str> = GrantType::ALL
                    .iter()
                    .map(|grant| grant.wire_name())
                    .collect();
                let known = known.join(", ");
                invalid(format!(
                    "allowed_grants has the unknown grant {name:?}; valid grants: \
                                 {known}"
                ))
            })?;
            if self.policy.repeats_kept || !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        if grants.is_empty() {
            return Err(ClientRuleError::NoGrants);
        }
        Ok(grants)
    }

    /// Checks redirect URIs of a client of a type. Banned URIs are banned in both profiles.
    ///
    /// # Errors
    /// The first rejected URI and the reason.
    pub fn redirect_uris(
        self,
        given: &[String],
        kind: ClientType,
        schemes: &PrivateUseSchemes,
    ) -> Result<Vec<String>, ClientRuleError> {
        let mut uris: Vec<String> = Vec::with_capacity(given.len());
        for uri in given {
            match schemes.check(uri, kind) {
                Ok(()) => {}
                // `myapp://callback`
                Err(RedirectUriError::SchemeWithoutDot | RedirectUriError::SchemeWithSecret)
                    if self.policy.scheme_without_dot_accepted => {}
                Err(refused) => {
                    let detail = format!("redirect_uris has {uri:?}: a redirect URI {refused}");
                    return Err(invalid(detail));
                }
            }
            if self.policy.repeats_kept || !uris.contains(uri) {
                uris.push(uri.clone());
            }
        }
        Ok(uris)
    }

    /// Checks the chosen authentication method. Storyden does not offer the choice.
    ///
    /// # Errors
    /// For an unknown method, or a method that the client type cannot use.
    pub fn auth_method(
        self,
        kind: ClientType,
        given: Option<&str>,
    ) -> Result<Option<AuthMethod>, ClientRuleError> {
        let Some(given) = given.filter(|_| !self.policy.auth_method_ignored) else {
            return Ok(None);
        };
        let fits = |method: &AuthMethod| method.fits(kind);
        if let Some(method) = AuthMethod::from_name(given).filter(fits) {
            return Ok(Some(method));
        }
        let methods = AuthMethod::ALL.iter().copied().filter(fits);
        let methods: Vec<&str> = methods.map(AuthMethod::name).collect();
        Err(invalid(format!(
            "token_endpoint_auth_method of a {} client must be one of: {}",
            kind.name(),
            methods.join(", ")
        )))
    }

    /// True if the client must use PKCE. Only a client with a secret may be exempt (RFC 9700 §2.1.1).
    #[must_use]
    pub fn pkce(self, kind: ClientType, required: bool) -> bool {
        required || kind == ClientType::Public || self.policy.pkce_choice_ignored
    }

    /// Checks a change of the PKCE requirement; `None` is no change.
    ///
    /// # Errors
    /// If the value is not a boolean, or if a public client shall be exempt.
    pub fn pkce_change(
        self,
        kind: ClientType,
        given: Option<&Value>,
    ) -> Result<Option<bool>, ClientRuleError> {
        let given = given.filter(|_| !self.policy.pkce_choice_ignored);
        match (given, kind) {
            (None, _) => Ok(None),
            (Some(Value::Bool(false)), ClientType::Public) => Err(invalid(
                "pkce_required must be true for a public application",
            )),
            (Some(Value::Bool(required)), _) => Ok(Some(*required)),
            (Some(_), _) => Err(invalid("pkce_required must be true or false")),
        }
    }

    /// Checks that the properties of a new client are consistent.
    ///
    /// # Errors
    /// The first inconsistency.
    pub fn fit(self, shape: Shape<'_>) -> Result<(), ClientRuleError> {
        let has = |grant| shape.grants.contains(&grant);
        let is_public = shape.kind == ClientType::Public;
        let refused = if has(GrantType::AuthorizationCode) && !shape.has_redirect_uris {
            "redirect_uris must have at least one for authorization_code"
        } else if has(GrantType::ClientCredentials) && is_public {
            "client_credentials needs the type confidential" // RFC 6749 §4.4
        } else if has(GrantType::AuthorizationCode) && is_public && !shape.pkce_required {
            "pkce_required must be true for a public application with authorization_code"
        } else if has(GrantType::ClientCredentials)
            && !has(GrantType::AuthorizationCode)
            && shape.has_redirect_uris
        {
            "redirect_uris must be empty for client_credentials without authorization_code"
        } else if self.policy.all_grant_combinations_accepted {
            return Ok(());
        } else if shape.grants == [GrantType::RefreshToken] {
            "allowed_grants must name the grant that the first refresh token comes from"
        } else if has(GrantType::DeviceCode) && !is_public {
            "the device grant needs the type public: a device keeps no secret"
        } else {
            return Ok(());
        };
        Err(invalid(refused))
    }
}

#[cfg(test)]
mod tests;
