//! Errors of several grants that name the refused value and the accepted values.

use crate::clients;
use crate::config::Config;
use crate::oauth::OAuthError;
use crate::oauth::error_value::{listed, none_of};
use crate::oauth::grant_type::{ClientType, GrantType};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::{Scope, ScopeName};
use crate::store::clients::Client;

/// Builds the error for a grant type that this server does not have (RFC 6749 §5.2).
pub(super) fn unsupported(config: &Config, grant_type: &str) -> OAuthError {
    let error = OAuthError::unsupported_grant_type("The grant_type is not supported")
        .mistake(MistakeKind::GrantType, Some(grant_type));
    config.policies.responses.error_texts.explain(error, || {
        let known = GrantType::ALL
            .iter()
            .copied()
            .chain(config.further_grants());
        let known: Vec<&str> = known.map(GrantType::wire_name).collect();
        none_of(grant_type, known)
    })
}

/// True if the grant type is not switched off.
pub(super) fn is_enabled(config: &Config, grant: GrantType) -> bool {
    !GrantType::UNLISTED.contains(&grant) || config.further_grants().any(|one| one == grant)
}

/// Checks that the client may use the grant. A grant that no client lists needs a client that can authenticate; the
/// grant itself has the other conditions.
///
/// # Errors
/// `unauthorized_client` (RFC 6749 §5.2).
pub(in crate::http::endpoints) fn require_grant(
    config: &Config,
    client: &Client,
    grant: GrantType,
) -> Result<(), OAuthError> {
    let is_unlisted = GrantType::UNLISTED.contains(&grant);
    let needs_secret = is_unlisted || grant == GrantType::ClientCredentials;
    if needs_secret && client.kind == ClientType::Public {
        let error = OAuthError::unauthorized_client("Client is not confidential"); // RFC 6749 §4.4
        return Err(error.mistake(MistakeKind::Grant, Some(grant.wire_name())));
    }
    if is_unlisted {
        return Ok(());
    }
    clients::require_grant(client, grant).map_err(|error| {
        config.policies.responses.error_texts.explain(error, || {
            if grant == GrantType::ClientCredentials && client.scope.self_registered {
                return "a client that registered itself or has a metadata document has no owner to act for; a \
                        member or an administrator has to make the client"
                    .to_owned();
            }
            let grants = client.grants.iter().map(|grant| grant.wire_name());
            format!("its grant types are {}", listed(grants))
        })
    })
}

/// Builds the error for a scope beyond the accepted scopes, with Storyden's `description`.
pub(in crate::http::endpoints) fn scope_refused(
    config: &Config,
    description: &'static str,
    refused: ScopeName,
    accepted: &Scope,
) -> OAuthError {
    let error =
        OAuthError::invalid_scope(description).mistake(MistakeKind::Scope, Some(refused.name()));
    let texts = config.policies.responses.error_texts;
    texts.explain(error, || none_of(refused.name(), accepted.names()))
}
