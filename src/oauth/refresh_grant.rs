//! What a refresh token is worth (RFC 6749 §6, RFC 9700 §4.14), and how its successor is derived.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::Duration;

use crate::clock::Timestamp;
use crate::ids::RefreshTokenId;
use crate::secret::Secret;

/// A refresh token as far as its use is concerned.
#[derive(Clone, Copy, Debug)]
pub struct RefreshGrant {
    /// When it can no longer be used.
    pub expires_at: Timestamp,
    /// When it was used or revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether another token took its place.
    pub rotated: bool,
    /// Whether its grant was ended.
    pub grant_revoked: bool,
    /// Whether its successor can still be derived: it was the grant's last rotation, and the
    /// successor was neither used nor revoked and has not expired.
    pub repeatable: bool,
}

/// What the use of a refresh token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshState {
    /// The first use: rotate it.
    Live,
    /// A repeat of the use that rotated it, close after it: the answer may have been lost, so the
    /// same successor is given again.
    Repeat,
    /// A use after it was rotated: somebody else has it, so all that came of it ends.
    Reused,
    /// Its time is over.
    Expired,
    /// It was revoked, or its grant was ended.
    Revoked,
}

impl RefreshGrant {
    /// What a use is now, with `window` for lost answers.
    #[must_use]
    pub fn state(&self, now: Timestamp, window: Duration) -> RefreshState {
        match self.revoked_at {
            _ if self.grant_revoked => RefreshState::Revoked,
            // Before expiry: the reuse of an expired parent still ends its family.
            Some(used_at) if self.rotated => {
                if self.repeatable && now - used_at < window {
                    RefreshState::Repeat
                } else {
                    RefreshState::Reused
                }
            }
            Some(_) => RefreshState::Revoked,
            None if now >= self.expires_at => RefreshState::Expired,
            None => RefreshState::Live,
        }
    }
}

/// The successor of a refresh token: `base64url(HMAC-SHA256(key = the token, salt ‖ row id))`.
///
/// Who has only the database, or only an old token, learns nothing; who has the token while the
/// salt is there gets the same successor again.
#[must_use]
pub fn derive_successor(token: &Secret, salt: &str, successor: &RefreshTokenId) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.reveal().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(salt.as_bytes());
    mac.update(successor.as_str().as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
