//! The authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3, OpenID Connect Core §3.1.2.1).
//!
//! It is checked in two steps. First who asks and where the answer goes: what is wrong there is
//! never redirected. Then the rest: what is wrong there goes back to the client.

use std::collections::BTreeMap;

use super::error::OAuthError;
use super::pkce::CodeChallenge;
use super::scope::{InvalidScope, Scope};

/// The parameters of a request, each given once, empty ones left out.
pub type Parameters = BTreeMap<String, String>;

/// The longest `state` that is echoed, in bytes.
const STATE_MAX: usize = 4_096;

/// A request that is well-formed. What of it may be granted is another question.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    /// What is asked.
    pub scope: Scope,
    /// Echoed unchanged.
    pub state: Option<String>,
    /// Put into the ID token unchanged.
    pub nonce: Option<String>,
    /// What the verifier must meet.
    pub code_challenge: CodeChallenge,
}

impl AuthorizationRequest {
    /// Checks the parameters of a request whose client and redirect URI are known to be good.
    ///
    /// # Errors
    /// What the client is told by redirect.
    pub fn parse(parameters: &Parameters) -> Result<Self, OAuthError> {
        let get = |name: &str| parameters.get(name).map(String::as_str);
        // OpenID Connect Core §3.1.2.6: not offered, and never quietly ignored
        match get("response_type") {
            Some("code") => {}
            Some(_) => {
                return Err(OAuthError::unsupported_response_type(
                    "response_type must be code; this server has no other",
                ));
            }
            None => {
                return Err(OAuthError::invalid_request(
                    "response_type is missing; it must be code",
                ));
            }
        }
        if get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(OAuthError::invalid_request("response_mode must be query"));
        }
        let state = get("state").map(str::to_owned);
        if state.as_ref().is_some_and(|state| state.len() > STATE_MAX) {
            return Err(OAuthError::invalid_request(
                "state is longer than 4096 bytes",
            ));
        }
        Ok(Self {
            scope: scope_of(get("scope"))?,
            nonce: get("nonce").map(str::to_owned),
            code_challenge: challenge_of(get("code_challenge"), get("code_challenge_method"))?,
            state,
        })
    }
}

/// RFC 7636 §4.3 and §4.4.1; S256 alone.
fn challenge_of(
    challenge: Option<&str>,
    method: Option<&str>,
) -> Result<CodeChallenge, OAuthError> {
    let Some(challenge) = challenge else {
        return Err(OAuthError::invalid_request(
            "code_challenge is missing; every client must use PKCE with S256",
        ));
    };
    match method {
        Some("S256") => {}
        Some(_) => {
            return Err(OAuthError::invalid_request(
                "code_challenge_method must be S256",
            ));
        }
        // §4.3: without a method it would be plain
        None => {
            return Err(OAuthError::invalid_request(
                "code_challenge_method is missing; it must be S256",
            ));
        }
    }
    CodeChallenge::parse(challenge).ok_or_else(|| {
        OAuthError::invalid_request(
            "code_challenge must be the base64url SHA-256 of the verifier: 43 characters, no padding",
        )
    })
}

/// Reads a `scope` parameter; an absent one asks for nothing.
///
/// # Errors
/// `invalid_scope` when it breaks the grammar or names what nobody knows.
pub fn scope_of(parameter: Option<&str>) -> Result<Scope, OAuthError> {
    Scope::parse(parameter.unwrap_or_default()).map_err(|why| {
        OAuthError::invalid_scope(match why {
            InvalidScope::Grammar => "scope must be at most 64 names separated by single spaces",
            InvalidScope::Unknown => "scope names something that scopes_supported does not list",
        })
    })
}
