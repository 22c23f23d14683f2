//! The difference between two states of an application, as changes of its row and as lines.

use super::steps::difference;
use crate::oauth::client_metadata::ClientKeys;
use crate::oauth::client_scope::ScopePolicy;
use crate::oauth::request_protection::RequestProtection;
use crate::oauth::signing_algorithm::SigningAlgorithm;
use crate::store::client_changes::Changes;
use crate::store::client_details::Details;
use crate::store::clients::Client;

/// The changed properties.
pub(super) fn changes(before: &Client, after: &Client) -> Changes {
    let same_scope = is_same_set(before.scope.allowed.names(), after.scope.allowed.names());
    let same_grants = is_same_set(grant_names(before), grant_names(after));
    let pushed = after.request_protection.pushed;
    let protection = RequestProtection {
        pushed,
        ..before.request_protection
    };
    Changes {
        name: (before.name != after.name).then(|| after.name.clone()),
        redirect_uris: (before.redirect_uris != after.redirect_uris)
            .then(|| after.redirect_uris.clone()),
        allowed_scopes: (!same_scope).then(|| after.scope.allowed.clone()),
        allowed_grants: (!same_grants).then(|| after.grants.clone()),
        scope_policy: (before.scope.policy != after.scope.policy).then_some(after.scope.policy),
        pkce_required: (before.pkce_required != after.pkce_required).then_some(after.pkce_required),
        dpop_bound: (before.dpop_bound != after.dpop_bound).then_some(after.dpop_bound),
        fapi: (before.fapi != after.fapi).then_some(after.fapi),
        request_protection: (protection != before.request_protection).then_some(protection),
        algorithms: (before.algorithms != after.algorithms).then_some(after.algorithms),
        ..Changes::default()
    }
}

/// The URL of the keys, or the number of registered keys.
fn shown_keys(keys: &ClientKeys) -> String {
    let registered = keys
        .jwks
        .as_ref()
        .and_then(|jwks| jwks.get("keys")?.as_array());
    match (&keys.jwks_uri, registered) {
        (Some(uri), _) => uri.clone(),
        (None, Some(registered)) => format!("{} registered", registered.len()),
        (None, None) => String::new(),
    }
}

fn grant_names(client: &Client) -> Vec<&str> {
    let grants = client.grants.iter();
    grants.map(|grant| grant.stored_name()).collect()
}

fn is_same_set(mut one: Vec<&str>, mut other: Vec<&str>) -> bool {
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

/// The differences, a line each.
pub(super) fn differences(
    (before, old_keys, old_details): (&Client, &ClientKeys, &Details),
    (after, new_keys, new_details): (&Client, &ClientKeys, &Details),
) -> Vec<String> {
    let changes = changes(before, after);
    let mut lines = Vec::new();
    let mut line = |noun, before: &str, after: &str| lines.push(difference(noun, before, after));
    if changes.name.is_some() {
        line("name", &before.name, &after.name);
    }
    if changes.allowed_grants.is_some() {
        line(
            "grants",
            &grant_names(before).join(" "),
            &grant_names(after).join(" "),
        );
    }
    if changes.allowed_scopes.is_some() {
        let names = |client: &Client| client.scope.allowed.to_string();
        line("scopes", &names(before), &names(after));
    }
    if changes.scope_policy.is_some() {
        let inherit = |client: &Client| (client.scope.policy == ScopePolicy::Inherit).to_string();
        line("inherit", &inherit(before), &inherit(after));
    }
    if changes.redirect_uris.is_some() {
        line(
            "redirect_uris",
            &before.redirect_uris.join(" "),
            &after.redirect_uris.join(" "),
        );
    }
    if changes.pkce_required.is_some() {
        let exempt = |client: &Client| (!client.pkce_required).to_string();
        line("without_pkce", &exempt(before), &exempt(after));
    }
    if changes.dpop_bound.is_some() {
        let bound = |client: &Client| client.dpop_bound.to_string();
        line("dpop", &bound(before), &bound(after));
    }
    if changes.fapi.is_some() {
        line("fapi", &before.fapi.to_string(), &after.fapi.to_string());
    }
    if old_keys != new_keys {
        line("keys", &shown_keys(old_keys), &shown_keys(new_keys));
    }
    if changes.request_protection.is_some() {
        let pushed = |client: &Client| client.request_protection.pushed.to_string();
        line("require_pushed_requests", &pushed(before), &pushed(after));
    }
    for (noun, old, new) in [
        (
            "id_token_alg",
            before.algorithms.id_token,
            after.algorithms.id_token,
        ),
        (
            "access_token_alg",
            before.algorithms.access_token,
            after.algorithms.access_token,
        ),
        (
            "userinfo_alg",
            before.algorithms.userinfo,
            after.algorithms.userinfo,
        ),
    ] {
        let name = |chosen: Option<SigningAlgorithm>| chosen.map_or("", SigningAlgorithm::name);
        if old != new {
            line(noun, name(old), name(new));
        }
    }
    let (old, new) = (
        &old_details.post_logout_redirect_uris,
        &new_details.post_logout_redirect_uris,
    );
    if old != new {
        line("post_logout_redirect_uris", &old.join(" "), &new.join(" "));
    }
    lines
}
