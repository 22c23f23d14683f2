//! States of a refresh token (RFC 6749 §6, RFC 9700 §4.14) and derivation of its successor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::Duration;

use crate::clock::Timestamp;
use crate::ids::RefreshTokenId;
use crate::secret::Secret;

/// The part of a refresh token that its use depends on. `R` is the last rotation.
#[derive(Clone, Copy, Debug)]
pub struct RefreshGrant<R> {
    /// Expiry.
    pub expires_at: Timestamp,
    /// Time of use or revocation.
    pub revoked_at: Option<Timestamp>,
    /// True if the token has a successor.
    pub rotated: bool,
    /// True if the grant was revoked, or an open revocation covers the token.
    pub grant_revoked: bool,
    /// The rotation, if the successor can still be derived: this was the grant's last rotation, and the
    /// successor is unused, not revoked and not expired.
    pub repeatable: Option<R>,
}

/// Result of a use of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshState<R> {
    /// First use: rotate.
    Live,
    /// Repeat of the rotating use within the reuse window: the response may have been lost, so return
    /// the same successor again.
    Repeat(R),
    /// Use after rotation and outside the window: a stolen token. Revoke the grant.
    Reused,
    /// Expired.
    Expired,
    /// The token or its grant was revoked.
    Revoked,
}

impl<R> RefreshGrant<R> {
    /// Returns the result of a use at `now`; `window` is the reuse window for lost responses.
    #[must_use]
    pub fn state(self, now: Timestamp, window: Duration) -> RefreshState<R> {
        match self.revoked_at {
            _ if self.grant_revoked => RefreshState::Revoked,
            // Before the expiry check: reuse of an expired parent still revokes its family.
            Some(used_at) if self.rotated => match self.repeatable {
                Some(rotation) if now - used_at < window => RefreshState::Repeat(rotation),
                _ => RefreshState::Reused,
            },
            Some(_) => RefreshState::Revoked,
            None if now >= self.expires_at => RefreshState::Expired,
            None => RefreshState::Live,
        }
    }
}

/// Derives the successor of a refresh token: `base64url(HMAC-SHA256(key = the token, salt ‖ row id))`.
///
/// An attacker with only the database, or only an old token, learns nothing. The holder of the token
/// gets the same successor again while the salt exists.
#[must_use]
pub fn derive_successor(token: &Secret, salt: &str, successor: &RefreshTokenId) -> Secret {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.reveal().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(salt.as_bytes());
    mac.update(successor.as_str().as_bytes());
    Secret::new(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
