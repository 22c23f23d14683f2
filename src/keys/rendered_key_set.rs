//! The text of the key set (RFC 7517 §5), rendered again when the published keys change.

use std::sync::{PoisonError, RwLock};

use bytes::Bytes;

use super::public_key::Jwk;

/// The key set as sent.
#[derive(Debug, Default)]
pub(super) struct RenderedKeySet(RwLock<Option<Rendered>>);

#[derive(Debug)]
struct Rendered {
    /// The keys in the text.
    keys: Vec<Jwk>,
    text: Bytes,
}

impl RenderedKeySet {
    /// Returns the text: the same text until a key is added or removed.
    pub(super) fn text(&self, keys: &[&Jwk]) -> Bytes {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let is_same = |known: &&Rendered| known.keys.iter().eq(keys.iter().copied());
        if let Some(known) = known.as_ref().filter(is_same) {
            return known.text.clone();
        }
        drop(known);
        let text = Bytes::from(key_set(keys).to_string());
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Rendered {
            keys: keys.iter().copied().cloned().collect(),
            text: text.clone(),
        });
        text
    }
}

/// Returns keys as a JWK Set.
pub(super) fn key_set(keys: &[&Jwk]) -> serde_json::Value {
    serde_json::json!({ "keys": keys })
}
