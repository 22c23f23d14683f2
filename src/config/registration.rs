//! Settings of client registrations.

use super::parse::Setting;
use crate::oauth::private_use_scheme::PrivateUseSchemes;

/// PKCE of dynamically registered clients with a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationPkce {
    /// Required of every client.
    Required,
    /// Required only of a client that asks for it.
    Optional,
}

impl Setting for RegistrationPkce {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "required" => Ok(Self::Required),
            "optional" => Ok(Self::Optional),
            _ => Err(format!("is {text:?}; use required or optional")),
        }
    }
}

impl Setting for PrivateUseSchemes {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}
