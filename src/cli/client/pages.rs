//! Flags about the pages and the logo of an application, which the consent page shows.

use clap::Args;

use crate::oauth::client_metadata::PageChanges;

/// The pages and the logo. An empty value removes one.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct PageFlags {
    /// Website, the address of a page; an empty value removes it.
    #[arg(long, value_name = "URL", value_parser = address)]
    website: Option<String>,
    /// Terms of service; an empty value removes the address.
    #[arg(long, value_name = "URL", value_parser = address)]
    terms: Option<String>,
    /// Privacy policy; an empty value removes the address.
    #[arg(long, value_name = "URL", value_parser = address)]
    policy: Option<String>,
    /// Logo, the address of an image; an empty value removes it.
    #[arg(long, value_name = "URL", value_parser = address)]
    logo: Option<String>,
}

impl PageFlags {
    /// The changes.
    pub(super) fn changes(&self) -> PageChanges {
        PageChanges {
            client_uri: self.website.clone(),
            logo_uri: self.logo.clone(),
            policy_uri: self.policy.clone(),
            tos_uri: self.terms.clone(),
        }
    }
}

/// Checks an address by the rules of registrations.
fn address(text: &str) -> Result<String, String> {
    let changes = PageChanges {
        client_uri: Some(text.to_owned()),
        ..PageChanges::default()
    };
    match changes.check() {
        Ok(()) => Ok(text.to_owned()),
        Err(_) => Err(
            "it must be an https URL of at most 2048 bytes, without user name and password"
                .to_owned(),
        ),
    }
}
