//! Settings of traces.

use super::parse::Setting;
use crate::secret::Secret;

/// A part of all requests, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

/// Header fields, which may hold a credential.
#[derive(Clone, Default)]
pub struct HeaderFields(pub Vec<(String, Secret)>);

impl std::fmt::Debug for HeaderFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Setting for Ratio {
    fn parse(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Self(ratio)),
            _ => Err(format!("is {text:?}; use a number from 0 to 1, as in 0.1")),
        }
    }
}

impl Setting for HeaderFields {
    fn parse(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim);
        let field = |entry: &str| {
            let (name, value) = entry.split_once('=')?;
            let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
            // The OpenTelemetry specification percent-encodes the values, as in W3C Baggage.
            let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8();
            let value = value
                .ok()
                .filter(|value| !value.contains(char::is_control))?;
            is_token.then(|| (name.trim().to_owned(), Secret::new(value)))
        };
        let fields: Option<_> = entries
            .filter(|entry| !entry.is_empty())
            .map(field)
            .collect();
        fields.map(Self).ok_or_else(|| {
            "must be NAME=VALUE, separated by commas, with percent-encoded values".to_owned()
        })
    }
}
