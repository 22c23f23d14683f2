//! Token exchange (RFC 8693): the parameters, and the actors of a token.

use serde::{Deserialize, Serialize};

use super::error::OAuthError;
use super::error_value::none_of;

/// The type of an access token (RFC 8693 §3).
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The type of a JWT, which access tokens are too (RFC 8693 §3).
pub const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// The most actors of a token.
pub const ACTORS_MAX: usize = 4;

/// The claim `act` (RFC 8693 §4.1): the client that acts for the subject of a token, and in `act` the client from
/// which that client got the token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthActor)]
pub struct Actor {
    /// Client id of the acting client.
    pub sub: String,
    /// The client that acted before, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub act: Option<Box<Actor>>,
}

impl Actor {
    /// Returns the actors of a token that `client_id` gets for a token with the actors `before`; `None` beyond
    /// [`ACTORS_MAX`].
    #[must_use]
    pub fn next(client_id: &str, before: Option<&Self>) -> Option<Self> {
        let next = Self {
            sub: client_id.to_owned(),
            act: before.cloned().map(Box::new),
        };
        (next.len() <= ACTORS_MAX).then_some(next)
    }

    /// The number of actors.
    fn len(&self) -> usize {
        let mut number = 1;
        let mut actor = self;
        while let Some(before) = &actor.act {
            number += 1;
            actor = before;
        }
        number
    }
}

/// The parameters of a request that tell the kinds of tokens (RFC 8693 §2.1).
#[derive(Clone, Copy, Debug)]
pub struct TokenTypes<'a> {
    /// `subject_token_type`.
    pub subject: Option<&'a str>,
    /// `requested_token_type`.
    pub requested: Option<&'a str>,
    /// True if the request has `actor_token` or `actor_token_type`.
    pub has_actor: bool,
}

impl TokenTypes<'_> {
    /// Checks the kinds of tokens.
    ///
    /// # Errors
    /// `invalid_request` for anything but an access token for an access token (RFC 8693 §2.2.2).
    pub fn check(self) -> Result<(), OAuthError> {
        if self.has_actor {
            return Err(OAuthError::invalid_request(
                "actor_token is not supported: the actor is the authenticated client",
            ));
        }
        let subject = self
            .subject
            .ok_or_else(|| OAuthError::invalid_request("Missing subject_token_type"))?;
        require("subject_token_type", subject, &[ACCESS_TOKEN, JWT])?;
        match self.requested {
            Some(requested) => require("requested_token_type", requested, &[ACCESS_TOKEN]),
            None => Ok(()),
        }
    }
}

fn require(parameter: &str, given: &str, supported: &[&str]) -> Result<(), OAuthError> {
    if supported.contains(&given) {
        return Ok(());
    }
    Err(OAuthError::invalid_request(format!(
        "{parameter} is not supported; {}",
        none_of(given, supported.iter().copied())
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8693 §4.1: the newest actor is outermost, and the number of actors is bounded.
    #[test]
    fn actors_are_nested_up_to_a_bound() {
        let mut actor = Actor::next("a", None).unwrap();
        for client in ["b", "c", "d"] {
            actor = Actor::next(client, Some(&actor)).unwrap();
        }
        let chain = serde_json::to_value(&actor).unwrap();
        let expected = serde_json::json!({
            "sub": "d", "act": { "sub": "c", "act": { "sub": "b", "act": { "sub": "a" } } }
        });
        assert_eq!(chain, expected);
        assert_eq!(Actor::next("e", Some(&actor)), None);
    }

    /// RFC 8693 §2.2.2: other kinds of tokens are `invalid_request`.
    #[test]
    fn only_access_tokens_are_exchanged() {
        let types = |subject, requested, has_actor| {
            let types = TokenTypes {
                subject,
                requested,
                has_actor,
            };
            types.check().map_err(|error| error.code.as_str())
        };
        let id_token = "urn:ietf:params:oauth:token-type:id_token";
        assert_eq!(types(Some(ACCESS_TOKEN), None, false), Ok(()));
        assert_eq!(types(Some(JWT), Some(ACCESS_TOKEN), false), Ok(()));
        for refused in [
            types(None, None, false),
            types(Some(id_token), None, false),
            types(Some(ACCESS_TOKEN), Some(JWT), false),
            types(Some(ACCESS_TOKEN), Some(id_token), false),
            types(Some(ACCESS_TOKEN), None, true),
        ] {
            assert_eq!(refused, Err("invalid_request"));
        }
    }
}
