//! The application type of a client with redirect URIs (OpenID Connect Registration §2).

use url::Url;

use super::private_use_scheme::is_private_use;

/// The kind of application, as its developer chose it. Grants nothing: pages show it, and offer fitting code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationType {
    /// A server or a page in a browser.
    Web,
    /// An application on a device.
    Native,
}

impl ApplicationType {
    /// The value on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Native => "native",
        }
    }

    /// The type of a value.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Web, Self::Native]
            .into_iter()
            .find(|one| one.name() == name)
    }

    /// Checks the redirect URIs: no browser opens a private-use scheme for a page. Loopback addresses are for
    /// development.
    ///
    /// # Errors
    /// The fault, as a sentence.
    pub fn check(self, redirect_uris: &[String]) -> Result<(), &'static str> {
        let is_private = |uri: &String| Url::parse(uri).is_ok_and(|url| is_private_use(&url));
        if self == Self::Web && redirect_uris.iter().any(is_private) {
            return Err(
                "application_type web allows only https and loopback redirect URIs; use native",
            );
        }
        Ok(())
    }
}
