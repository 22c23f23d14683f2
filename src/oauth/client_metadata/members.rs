//! The members of a metadata document, read by type.

use serde_json::{Map, Value};

use super::About;
use super::faults::Faults;
use crate::oauth::error::OAuthError;

/// The members of a registration or of a metadata document.
#[derive(Clone, Copy)]
pub(in crate::oauth) struct Members<'a> {
    /// The document.
    pub(in crate::oauth) object: &'a Map<String, Value>,
    /// True if `null` has the wrong type; false if `null` means absent (RFC 7592 §2.2).
    pub(in crate::oauth) null_is_wrong: bool,
}

impl<'a> Members<'a> {
    /// A member of any type.
    pub(in crate::oauth) fn get(&self, name: &str) -> Option<&'a Value> {
        let value = self.object.get(name);
        value.filter(|value| self.null_is_wrong || !value.is_null())
    }

    /// A text. A member of the wrong type is left out.
    pub(in crate::oauth) fn text(
        &self,
        faults: &mut Faults,
        name: &'static str,
    ) -> Result<Option<String>, OAuthError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => {
                faults.leave_out(name, wrong_type(name, "a string"))?;
                Ok(None)
            }
        }
    }

    /// A list of texts. A member or an item of the wrong type is left out.
    pub(in crate::oauth) fn list(
        &self,
        faults: &mut Faults,
        name: &'static str,
    ) -> Result<Option<Vec<String>>, OAuthError> {
        let items = match self.get(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => items,
            Some(_) => {
                faults.leave_out(name, wrong_type(name, "a list of strings"))?;
                return Ok(None);
            }
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::String(text) => texts.push(text.clone()),
                _ => faults.leave_out(name, wrong_type(name, "a list of strings"))?,
            }
        }
        Ok(Some(texts))
    }

    /// The display metadata. `all` includes contacts and software ids.
    pub(in crate::oauth) fn about(
        &self,
        faults: &mut Faults,
        all: bool,
    ) -> Result<About, OAuthError> {
        let mut about = About {
            application_type: self.text(faults, "application_type")?,
            client_uri: self.text(faults, "client_uri")?,
            logo_uri: self.text(faults, "logo_uri")?,
            policy_uri: self.text(faults, "policy_uri")?,
            tos_uri: self.text(faults, "tos_uri")?,
            ..About::default()
        };
        if all {
            about.contacts = self.list(faults, "contacts")?;
            about.software_id = self.text(faults, "software_id")?;
            about.software_version = self.text(faults, "software_version")?;
        }
        Ok(about)
    }

    /// A boolean. A member of the wrong type is left out.
    pub(in crate::oauth) fn flag(
        &self,
        faults: &mut Faults,
        name: &'static str,
    ) -> Result<Option<bool>, OAuthError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => {
                faults.leave_out(name, wrong_type(name, "true or false"))?;
                Ok(None)
            }
        }
    }
}

fn wrong_type(name: &str, wanted: &str) -> OAuthError {
    OAuthError::invalid_client_metadata(format!("{name} has the wrong type; it must be {wanted}"))
}
