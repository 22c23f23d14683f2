//! Scope of a connection, as the MCP authorization specification of 2026-07-28 selects and extends a
//! scope. Names belong to the remote server and are opaque here.

use super::Error;
use crate::oauth::scope_token::is_scope_token;

/// The longest scope, in bytes.
pub(super) const SCOPE_MAX: usize = 2 * 1_024;
/// Requests a refresh token (OpenID Connect Core §11).
const OFFLINE_ACCESS: &str = "offline_access";

/// Reads a requested scope; a blank scope is absent.
///
/// # Errors
/// If the scope is too long or malformed (RFC 6749 §3.3).
pub fn scope_of(given: Option<String>) -> Result<Option<String>, Error> {
    let scope = given
        .map(|scope| scope.trim().to_owned())
        .filter(|scope| !scope.is_empty());
    let is_scope = |scope: &String| {
        scope.len() <= SCOPE_MAX && scope.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
    };
    match scope {
        Some(scope) if !is_scope(&scope) => Err(Error::refused(
            "scope must be names separated by spaces, with at most 2048 bytes",
        )),
        scope => Ok(scope),
    }
}

/// Selects the scope of a connection for which no scope was given: the scope of the resource's
/// challenge, or else the scopes of the resource's metadata (SEP-835).
pub(super) fn select(challenged: Option<&str>, of_resource: Option<&[String]>) -> Option<String> {
    let challenged = challenged.and_then(|scope| joined(scope.split_ascii_whitespace()));
    challenged.or_else(|| joined(of_resource?.iter().map(String::as_str)))
}

/// Adds the names of the second scope to the first (SEP-2350: a step-up never removes a name).
pub(super) fn union(before: Option<&str>, added: Option<&str>) -> Option<String> {
    let names = |scope: Option<&str>| {
        let names = scope.unwrap_or_default().split_ascii_whitespace();
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let (before, added) = (names(before), names(added));
    joined(before.iter().chain(&added).map(String::as_str))
}

/// Adds `offline_access` if the server knows that scope, so that the server issues a refresh token
/// (SEP-2207). Without a scope nothing is added: the server then grants its default scope.
pub(super) fn with_offline_access(scope: Option<&str>, of_server: &[String]) -> Option<String> {
    let scope = scope.filter(|scope| !scope.is_empty())?;
    if of_server.iter().any(|name| name == OFFLINE_ACCESS) {
        let added = union(Some(scope), Some(OFFLINE_ACCESS));
        return added.or_else(|| Some(scope.to_owned()));
    }
    Some(scope.to_owned())
}

/// True if the scope requests a refresh token.
pub(super) fn is_offline(scope: &str) -> bool {
    scope.split(' ').any(|name| name == OFFLINE_ACCESS)
}

/// Joins distinct names. Absent if no name is valid (RFC 6749 §3.3), or the scope is too long.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if is_scope_token(name) && !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    let scope = distinct.join(" ");
    (!scope.is_empty() && scope.len() <= SCOPE_MAX).then_some(scope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn the_challenge_comes_before_the_metadata() {
        let listed = names(&["a", "b", "a", "no name", "\"", ""]);
        for (challenged, of_resource, selected) in [
            (Some("c  d c"), Some(listed.as_slice()), Some("c d")),
            (Some(" "), Some(listed.as_slice()), Some("a b")),
            (None, Some(listed.as_slice()), Some("a b")),
            (None, Some(&[][..]), None),
            (None, None, None),
        ] {
            assert_eq!(select(challenged, of_resource).as_deref(), selected);
        }
        let long: Vec<String> = (0..300).map(|number| format!("scope-{number}")).collect();
        assert_eq!(select(None, Some(&long)), None);
    }

    #[test]
    fn offline_access_joins_a_scope_of_a_server_that_knows_it() {
        let knows = names(&["openid", "offline_access"]);
        assert_eq!(
            with_offline_access(Some("a"), &knows).unwrap(),
            "a offline_access"
        );
        assert_eq!(
            with_offline_access(Some("offline_access a"), &knows).unwrap(),
            "offline_access a"
        );
        assert_eq!(
            with_offline_access(Some("a"), &names(&["openid"])).unwrap(),
            "a"
        );
        assert_eq!(with_offline_access(None, &knows), None);
        assert_eq!(union(Some("b a"), Some("c a")).unwrap(), "b a c");
        assert_eq!(union(None, None), None);
    }
}
