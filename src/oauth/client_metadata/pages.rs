//! Pages and logo of a client that its owner or an administrator sets.

use super::About;
use super::https_url::is_https_url;
use crate::oauth::mistake::shown;

/// Changes of the pages and the logo. `None` leaves a member as it is, an empty text removes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageChanges {
    /// Website.
    pub client_uri: Option<String>,
    /// Logo.
    pub logo_uri: Option<String>,
    /// Privacy policy.
    pub policy_uri: Option<String>,
    /// Terms of service.
    pub tos_uri: Option<String>,
}

/// An address that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{member} has the value {value}; it must be an https URL of at most 2048 bytes, without user name and password"
)]
pub struct PageError {
    member: &'static str,
    value: String,
}

impl PageChanges {
    /// True if nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the addresses, by the same rule as in registrations (RFC 7591 §2).
    ///
    /// # Errors
    /// The first address that is not accepted.
    pub fn check(&self) -> Result<(), PageError> {
        let given = [
            ("client_uri", &self.client_uri),
            ("logo_uri", &self.logo_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
        ];
        for (member, value) in given {
            let value = value.as_deref().unwrap_or_default();
            if !value.is_empty() && !is_https_url(value) {
                let value = shown(value);
                return Err(PageError { member, value });
            }
        }
        Ok(())
    }

    /// Returns the metadata after the changes.
    #[must_use]
    pub fn applied_to(&self, before: About) -> About {
        let after = |change: &Option<String>, before| match change.as_deref() {
            None => before,
            Some("") => None,
            Some(address) => Some(address.to_owned()),
        };
        About {
            client_uri: after(&self.client_uri, before.client_uri),
            logo_uri: after(&self.logo_uri, before.logo_uri),
            policy_uri: after(&self.policy_uri, before.policy_uri),
            tos_uri: after(&self.tos_uri, before.tos_uri),
            ..before
        }
    }
}
