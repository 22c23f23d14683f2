//! Rules for display metadata: pages, contacts and software ids. All of it is self-asserted (RFC 7591
//! §5), and nothing depends on it, so a part that cannot be accepted is left out.

use super::About;
use super::faults::shown;
use super::https_url::is_https_url;
use super::rules::{LIST_MAX, Rules};
use crate::oauth::display_text::is_displayable;
use crate::oauth::error::OAuthError;

/// The longest display text, in bytes.
const TEXT_MAX: usize = 255;

impl Rules<'_> {
    /// Checks display metadata, except `application_type`.
    pub(in crate::oauth) fn about(&mut self, about: About) -> Result<About, OAuthError> {
        Ok(About {
            application_type: about.application_type,
            client_uri: self.page("client_uri", about.client_uri)?,
            contacts: self.contacts(about.contacts)?,
            logo_uri: self.page("logo_uri", about.logo_uri)?,
            policy_uri: self.page("policy_uri", about.policy_uri)?,
            software_id: self.display_text("software_id", about.software_id)?,
            software_version: self.display_text("software_version", about.software_version)?,
            tos_uri: self.page("tos_uri", about.tos_uri)?,
        })
    }

    fn page(
        &mut self,
        member: &'static str,
        given: Option<String>,
    ) -> Result<Option<String>, OAuthError> {
        let given = given.filter(|uri| !uri.is_empty());
        if given.as_deref().is_none_or(is_https_url) {
            return Ok(given);
        }
        let fault = format!("{member} must be a valid HTTPS URL");
        let fault = OAuthError::invalid_client_metadata(fault);
        self.faults.leave_out(member, fault)?;
        Ok(None)
    }

    fn contacts(&mut self, given: Option<Vec<String>>) -> Result<Option<Vec<String>>, OAuthError> {
        let Some(given) = given else {
            return Ok(None);
        };
        let mut kept = Vec::new();
        for contact in self.first_of_list("contacts", given)? {
            if fits(&contact) {
                kept.push(contact);
            } else {
                let fault = invalid_text("contact", &contact);
                self.faults.leave_out("contacts", fault)?;
            }
        }
        Ok(Some(kept))
    }

    /// Checks a text that is displayed.
    pub(in crate::oauth) fn display_text(
        &mut self,
        member: &'static str,
        given: Option<String>,
    ) -> Result<Option<String>, OAuthError> {
        match given.filter(|text| !text.is_empty()) {
            Some(text) if !fits(&text) => {
                self.faults.leave_out(member, invalid_text(member, &text))?;
                Ok(None)
            }
            given => Ok(given),
        }
    }

    /// The first entries of a list, up to the bound.
    pub(in crate::oauth) fn first_of_list(
        &mut self,
        member: &'static str,
        mut given: Vec<String>,
    ) -> Result<Vec<String>, OAuthError> {
        if given.len() > LIST_MAX {
            let fault = format!("{member} has more than {LIST_MAX} entries");
            let fault = if member == "redirect_uris" {
                OAuthError::invalid_redirect_uri(fault)
            } else {
                OAuthError::invalid_client_metadata(fault)
            };
            self.faults.leave_out(member, fault)?;
            given.truncate(LIST_MAX);
        }
        Ok(given)
    }
}

fn fits(text: &str) -> bool {
    text.len() <= TEXT_MAX && is_displayable(text)
}

fn invalid_text(noun: &str, text: &str) -> OAuthError {
    OAuthError::invalid_client_metadata(format!(
        "{noun} {} is longer than {TEXT_MAX} bytes or has characters that are not shown",
        shown(text)
    ))
}
