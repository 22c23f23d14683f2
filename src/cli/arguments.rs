//! Validation of command-line arguments: handles, e-mail addresses, permissions, scopes, grant types,
//! client ids. Errors follow the name of the flag.

use time::Duration;
use url::Url;

use crate::accounts::handle;
use crate::clients::builtin;
use crate::clients::secrets::OVERLAP_MAX;
use crate::config::parse_duration;
use crate::oauth::grant_type::GrantType;
use crate::oauth::permission::Permission;
use crate::oauth::redirect_uri::{self, RedirectUriError};
use crate::oauth::scope::{Scope, ScopeName};
use crate::oauth::signing_algorithm::SigningAlgorithm;

/// Maximum length of a name, in bytes.
const NAME_MAX: usize = 255;

/// Parses the handle of a new account, in lower case.
pub(super) fn handle(text: &str) -> Result<String, String> {
    handle::parse(text)
}

/// Parses a display name.
pub(super) fn name(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(format!(
            "a name has 1 to {NAME_MAX} bytes and no control characters"
        ));
    }
    Ok(name.to_owned())
}

/// Checks the form of an e-mail address.
pub(super) fn email(text: &str) -> Result<String, String> {
    let halves = text.rsplit_once('@');
    let fits = halves.is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    if !fits || text.len() > 254 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("an e-mail address has the form odin@example.com".to_owned());
    }
    Ok(text.to_lowercase())
}

/// Parses a permission; the error lists all permissions.
pub(super) fn permission(text: &str) -> Result<Permission, String> {
    Permission::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Permission::ALL.iter().map(|known| known.name()).collect();
        unknown("permission", text, &names)
    })
}

/// Parses a signature algorithm; the error lists all algorithms.
pub(super) fn signing_algorithm(text: &str) -> Result<SigningAlgorithm, String> {
    SigningAlgorithm::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = SigningAlgorithm::ALL.iter().map(|one| one.name()).collect();
        unknown("algorithm", text, &names)
    })
}

/// Parses scope names, separated by spaces.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let name = |name| {
        ScopeName::from_name(name).ok_or_else(|| unknown("scope", name, &Scope::all().names()))
    };
    text.split_whitespace().map(name).collect()
}

/// Parses a grant type: stored name or URN.
pub(super) fn grant(text: &str) -> Result<GrantType, String> {
    GrantType::from_stored_name(text).ok_or_else(|| {
        let names: Vec<&str> = GrantType::ALL
            .iter()
            .map(|known| known.stored_name())
            .collect();
        unknown("grant", text, &names)
    })
}

/// Parses a redirect URI, with the rules of registration. The settings decide about a private-use scheme
/// without a dot.
pub(super) fn redirect_uri(text: &str) -> Result<String, String> {
    match redirect_uri::check_registration(text) {
        Ok(()) | Err(RedirectUriError::SchemeWithoutDot) => Ok(text.to_owned()),
        Err(refused) => Err(format!("redirect URI {refused}")),
    }
}

/// Parses the overlap during which a replaced secret stays valid.
pub(super) fn overlap(text: &str) -> Result<Duration, String> {
    let overlap = parse_duration(text).ok_or("a duration has the form 24h or 30m")?;
    if overlap.is_negative() || overlap > OVERLAP_MAX {
        let most = OVERLAP_MAX.whole_hours();
        return Err(format!("an overlap is between 0s and {most}h"));
    }
    Ok(overlap)
}

/// Parses a redirect URI after logout, with the same rules as a redirect URI.
pub(super) fn post_logout_redirect_uri(text: &str) -> Result<String, String> {
    match redirect_uri::check_registration(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(refused) => Err(format!("post-logout redirect URI {refused}")),
    }
}

/// Parses a client id for a new client (RFC 6749 appendix A.1, without spaces).
pub(super) fn client_id(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NAME_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(format!(
            "a client id has 1 to {NAME_MAX} printable ASCII characters, no spaces"
        ));
    }
    if text == builtin::CLIENT_ID {
        return Err("storyden-cli is the built-in client; choose another id".to_owned());
    }
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    if matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err(
            "a client id that is a URL names a metadata document; choose another id".to_owned(),
        );
    }
    Ok(text.to_owned())
}

/// Parses the URL of a server, without a trailing slash.
pub(super) fn server(text: &str) -> Result<String, String> {
    let url = Url::parse(text).ok().filter(Url::has_host);
    let url = url.ok_or("an address looks like https://auth.example.org")?;
    let local = url
        .host_str()
        .is_some_and(|host| host.ends_with(".localhost"));
    match url.scheme() {
        "https" => {}
        "http" if local || redirect_uri::is_loopback(&url) => {}
        _ => {
            return Err("the address must start with https://, except for localhost".to_owned());
        }
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Builds the error for an unknown name, with the most similar name and all known names.
fn unknown(kind: &str, given: &str, known: &[&str]) -> String {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let given_plain = plain(given);
    let near = known
        .iter()
        .map(|name| (distance(&plain(name), &given_plain), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min_by_key(|(distance, _)| *distance);
    let hint = match near {
        Some((_, name)) => format!("; did you mean {name}?"),
        None => ".".to_owned(),
    };
    format!(
        "{given:?} is not a {kind}{hint} Valid names: {}",
        known.join(", ")
    )
}

/// Returns the Levenshtein distance of two texts.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, symbol) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *symbol);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_lower_case_and_plain() {
        assert_eq!(handle("Odin_1-x").unwrap(), "odin_1-x");
        for text in ["", "o din", "odin@x", "ødin", &"o".repeat(31)] {
            assert!(handle(text).is_err(), "{text}");
        }
    }

    #[test]
    fn unknown_name_error_suggests_similar_name() {
        let error = permission("USE_OAUTH_CLIENT").unwrap_err();
        assert!(error.starts_with(
            "\"USE_OAUTH_CLIENT\" is not a permission; did you mean USE_OAUTH_CLIENTS? Valid names: CREATE_POST, "
        ), "{error}");
        assert!(
            scope("openid profil")
                .unwrap_err()
                .contains("did you mean profile?")
        );
        assert!(
            scope("qqq")
                .unwrap_err()
                .starts_with("\"qqq\" is not a scope. Valid names: openid, ")
        );
        assert_eq!(
            scope("openid  profile").unwrap().names(),
            ["openid", "profile"]
        );
    }

    #[test]
    fn grants_have_two_names() {
        let urn = "urn:ietf:params:oauth:grant-type:device_code";
        assert_eq!(grant(urn), grant("device_code"));
        assert!(grant("password").is_err());
    }

    #[test]
    fn a_client_id_is_no_url_and_not_the_built_in_one() {
        assert!(client_id("my-app:1").is_ok());
        for text in [
            "",
            "a b",
            "storyden-cli",
            "https://x.example/c",
            "HTTP:x",
            &"a".repeat(256),
        ] {
            assert!(client_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_is_named_without_its_slash() {
        assert_eq!(
            server("https://Auth.example/").unwrap(),
            "https://auth.example"
        );
        assert_eq!(
            server("http://localhost:8000").unwrap(),
            "http://localhost:8000"
        );
        assert!(server("http://auth.example").is_err());
        assert!(server("auth.example").is_err());
    }
}
