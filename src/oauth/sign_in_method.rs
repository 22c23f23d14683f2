//! How a person signed in, and the authentication context class of an ID token (OpenID Connect Core §2).

/// The way in which a person signed in at this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInMethod {
    /// A handle or an e-mail address, with the password.
    Password,
}

impl SignInMethod {
    /// Every method.
    pub const ALL: &[Self] = &[Self::Password];

    /// The values of `acr_values_supported` (OpenID Connect Discovery §3).
    pub const ACR_VALUES: &[&'static str] = &["urn:storyden:acr:password"];

    /// The stored name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
        }
    }

    /// The method of a stored name; `None` for a name of a later version.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// The `acr` of an ID token.
    #[must_use]
    pub fn acr(self) -> &'static str {
        match self {
            Self::Password => "urn:storyden:acr:password",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_published_and_stored_by_name() {
        let published: Vec<&str> = SignInMethod::ALL.iter().map(|one| one.acr()).collect();
        assert_eq!(published, SignInMethod::ACR_VALUES);
        for method in SignInMethod::ALL {
            assert_eq!(SignInMethod::from_name(method.name()), Some(*method));
        }
        assert_eq!(SignInMethod::from_name("passkey"), None);
    }
}
