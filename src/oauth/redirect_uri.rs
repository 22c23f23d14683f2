//! Redirect URIs: registration rules, matching, and adding parameters.
//!
//! Matching is simple string comparison (RFC 6749 §3.1.2.3, RFC 9700 §2.1), with two exceptions on a
//! loopback address: the port may differ (RFC 8252 §7.3), and the path may have or lack a final slash.
//! A response goes to the registered form with the requested port, so that it never goes to a path that
//! is not registered.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Host, Url};

use super::error::OAuthError;
use super::loopback_uri::{host_of, with_other_slash, without_port};
use super::mistake::MistakeKind;
use super::redirect_mismatch::explain;

/// The matching of requested redirect URIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectUriPolicy {
    /// The differences from a registered loopback URI that are ignored.
    pub loopback: LoopbackMatching,
    /// The error of a URI that is not registered.
    pub mismatch_error: MismatchError,
}

/// The differences from a registered loopback URI that are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoopbackMatching {
    /// The port (RFC 8252 §7.3) and the final slash of the path.
    Lenient,
    /// None.
    Exact,
}

/// The error description of a redirect URI that is not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MismatchError {
    /// Names the part that differs: scheme, host, port, path or query.
    Detailed,
    /// Storyden's single text.
    Generic,
}

/// Schemes that open a program or a document instead of returning to an application.
pub(super) const BANNED_SCHEMES: &[&str] = &[
    "about",
    "blob",
    "chrome",
    "content",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "mailto",
    "resource",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// The reason why a text cannot be registered as a redirect URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Relative, or not a URI.
    #[error("must be an absolute URI")]
    NotAbsolute,
    /// White space, control characters, a backslash or non-ASCII characters.
    #[error("must be plain ASCII without spaces, control characters or backslashes")]
    Characters,
    /// RFC 6749 §3.1.2.
    #[error("must not have a fragment")]
    Fragment,
    /// `user@` before the host.
    #[error("must not have a user name or password")]
    UserInfo,
    /// A wildcard in the host.
    #[error("must not have a wildcard")]
    Wildcard,
    /// A banned scheme.
    #[error("has a scheme that is not allowed")]
    Scheme,
    /// RFC 8252 §7.1.
    #[error(
        "has a private-use scheme without a dot; use the reverse of a domain, as in com.example.app:/callback"
    )]
    SchemeWithoutDot,
    /// RFC 8252 §8.4.
    #[error("has a private-use scheme without a dot, which a client with a secret must not have")]
    SchemeWithSecret,
    /// RFC 9700 §2.6.
    #[error("must use https, or http on localhost, 127.0.0.1 or [::1]")]
    PlainHttp,
    /// The host looks like a loopback address, but parsers disagree about the spelling.
    #[error("has an ambiguous form of an IP address")]
    AmbiguousHost,
    /// Longer than `LENGTH_MAX`.
    #[error("is longer than 2048 bytes")]
    TooLong,
}

/// Checks a URI for registration.
///
/// # Errors
/// The reason, as the end of a sentence that starts with "redirect URI".
pub fn check_registration(text: &str) -> Result<(), RedirectUriError> {
    if text.len() > 2_048 {
        return Err(RedirectUriError::TooLong);
    }
    // characters that a URL parser would repair silently.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
        return Err(RedirectUriError::Characters);
    }
    if text.contains('*') {
        return Err(RedirectUriError::Wildcard);
    }
    if text.contains('#') {
        return Err(RedirectUriError::Fragment); // RFC 6749 §3.1.2; also an empty fragment
    }
    let url = Url::parse(text).map_err(|_| RedirectUriError::NotAbsolute)?;
    if !url.username().is_empty() || url.password().is_some() || authority_of(text).contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    match url.scheme() {
        "https" | "http" => check_web(text, &url),
        scheme if BANNED_SCHEMES.contains(&scheme) => Err(RedirectUriError::Scheme),
        scheme if !scheme.contains('.') => Err(RedirectUriError::SchemeWithoutDot),
        _ => Ok(()),
    }
}

/// Checks an `http` or `https` URI: a host is required, and plain http only for loopback addresses.
fn check_web(text: &str, url: &Url) -> Result<(), RedirectUriError> {
    let authority = authority_of(text);
    if authority.is_empty() {
        return Err(RedirectUriError::NotAbsolute); // `https:callback`
    }
    // 127.1, 0x7f.1 and 2130706433 parse as addresses that differ from their appearance.
    let written = host_of(authority);
    let is_address = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
    if is_address && url.host_str() != Some(written) {
        return Err(RedirectUriError::AmbiguousHost);
    }
    if url.scheme() == "http" && !is_loopback(url) {
        return Err(RedirectUriError::PlainHttp);
    }
    Ok(())
}

/// The text between `//` and the next `/`, `?` or `#`.
fn authority_of(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("://") else {
        return "";
    };
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// True for a loopback URL: 127.0.0.0/8, `::1`, `localhost`.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// True if a requested redirect URI is registered (RFC 6749 §3.1.2.3) and safe for a browser.
#[must_use]
pub fn is_registered(requested: &str, registered: &[String]) -> bool {
    is_usable(requested)
        && registered
            .iter()
            .any(|known| known == requested || differs_in_loopback_port(requested, known))
}

/// Returns the redirect URI of a request: the registered form of the requested URI; if the request has
/// none, the only registered URI (RFC 6749 §3.1.2.3).
///
/// # Errors
/// `invalid_request`, which must not be redirected (§3.1.2.4).
pub fn resolve(
    policy: RedirectUriPolicy,
    asked: Option<&str>,
    registered: &[String],
) -> Result<String, OAuthError> {
    let Some(asked) = asked else {
        return match registered {
            [only] if is_usable(only) => Ok(only.clone()),
            _ => {
                let error = OAuthError::invalid_request("redirect_uri is missing");
                Err(error.mistake(MistakeKind::RedirectUri, None))
            }
        };
    };
    registered_form(policy.loopback, asked, registered).ok_or_else(|| {
        let description = match (policy.mismatch_error, usable(asked)) {
            (MismatchError::Generic, _) => {
                "Redirect URI is not registered for this client".to_owned()
            }
            (MismatchError::Detailed, Err(fault)) => format!("redirect_uri {fault}"),
            (MismatchError::Detailed, Ok(())) => explain(asked, registered),
        };
        OAuthError::invalid_request(description).mistake(MistakeKind::RedirectUri, Some(asked))
    })
}

/// Returns the registered form of a requested URI, with the requested port on a loopback address;
/// `None` if the URI is not registered.
fn registered_form(
    matching: LoopbackMatching,
    asked: &str,
    registered: &[String],
) -> Option<String> {
    let exact = registered.iter().any(|known| known == asked);
    if matching == LoopbackMatching::Exact {
        return (exact && is_usable(asked)).then(|| asked.to_owned());
    }
    if is_registered(asked, registered) {
        return Some(asked.to_owned());
    }
    with_other_slash(asked).filter(|other| is_registered(other, registered))
}

/// True if the redirect URI of a token request repeats that of the authorization request (RFC 6749
/// §4.1.3), of which `resolved` is the registered form.
#[must_use]
pub fn repeats(policy: RedirectUriPolicy, sent: &str, resolved: &str) -> bool {
    let lenient = policy.loopback == LoopbackMatching::Lenient;
    sent == resolved || lenient && with_other_slash(sent).as_deref() == Some(resolved)
}

/// True if a stored URI is safe for a browser: Storyden's self-service stores URIs unchecked. Less
/// strict than [`check_registration`], because private-use schemes without a dot are in use there.
fn is_usable(text: &str) -> bool {
    usable(text).is_ok()
}

fn usable(text: &str) -> Result<(), RedirectUriError> {
    match check_registration(text) {
        Err(RedirectUriError::SchemeWithoutDot) => Ok(()),
        checked => checked,
    }
}

/// RFC 8252 §7.3: only on a loopback address may the port differ.
fn differs_in_loopback_port(requested: &str, registered: &str) -> bool {
    let (Some(ours), Some(theirs)) = (without_port(registered), without_port(requested)) else {
        return false;
    };
    ours == theirs && Url::parse(requested).is_ok_and(|url| is_loopback(&url))
}

/// All characters except the unreserved characters of RFC 3986 §2.3.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Percent-encodes a text for a query.
#[must_use]
pub fn encode_query_value(value: &str) -> String {
    utf8_percent_encode(value, QUERY_VALUE).to_string()
}

/// Adds parameters to a redirect URI. The query of the URI stays byte for byte (RFC 6749 §3.1.2).
#[must_use]
pub fn with_parameters(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let mut uri = redirect_uri.to_owned();
    for (name, value) in parameters {
        let joint = match uri.split_once('?') {
            None => "?",
            Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
            Some(_) => "&",
        };
        uri.push_str(joint);
        uri.push_str(name);
        uri.push('=');
        uri.push_str(&encode_query_value(value));
    }
    uri
}

/// Sets parameters in a redirect URI as Storyden does: replaces parameters of the same name and sorts
/// the query by name, with `+` for a space.
#[must_use]
pub fn with_parameters_sorted(redirect_uri: &str, parameters: &[(&str, &str)]) -> String {
    let (base, query) = redirect_uri.split_once('?').unwrap_or((redirect_uri, ""));
    let given = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    let mut pairs: Vec<(String, String)> = given
        .filter(|(name, _)| parameters.iter().all(|(set, _)| set != name))
        .collect();
    pairs.extend(
        parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    let encode = |text: &str| encode_query_value(text).replace("%20", "+");
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    format!("{base}?{}", pairs.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests;
