//! The protocol's doors: one file per endpoint, one per grant.

pub mod authorize;
pub mod authorize_consent;
pub mod device_authorization;
pub mod device_consent;
pub mod extract;
pub mod health;
pub mod token;
pub mod userinfo;
pub mod well_known;

use crate::app::App;
use crate::oauth::OAuthError;

/// Refuses while OAuth is off (contract 2.1).
///
/// # Errors
/// `temporarily_unavailable`.
fn require_enabled(app: &App) -> Result<(), OAuthError> {
    if app.config.oauth_enabled {
        return Ok(());
    }
    Err(OAuthError::temporarily_unavailable(
        "OAuth is not enabled on this instance",
    ))
}
