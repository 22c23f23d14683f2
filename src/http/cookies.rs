//! Cookies: reading every value of a name, and writing `Set-Cookie` (RFC 6265).
//!
//! A browser may hold several cookies of the same name: for this host and for a parent domain, for
//! several paths, set before and after a change of the settings. The browser sends all of these, and
//! the order does not tell which value is valid.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::AppendHeaders;

/// The prefix of a cookie that was set by this host: over https, for every path, without a domain
/// (RFC 6265bis §4.1.3.2). Other hosts of the same site cannot plant such a cookie (cookie tossing).
pub const HOST_PREFIX: &str = "__Host-";

/// The scope of a cookie. A cookie is replaced or cleared only by a cookie of the same scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The name, including any prefix.
    pub name: String,
    /// The path below which the browser sends the cookie.
    pub path: String,
    /// The `Domain` attribute; `None` for a host-only cookie.
    pub domain: Option<String>,
}

impl Scope {
    /// Writes a `Set-Cookie`; `lifetime` is the attribute `Expires=…` or `Max-Age=…`.
    #[must_use]
    pub fn set(&self, value: &str, lifetime: &str, secure: bool) -> String {
        let Self { name, path, domain } = self;
        let domain = match domain {
            Some(domain) => format!("; Domain={domain}"),
            None => String::new(),
        };
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={value}; Path={path}{domain}; {lifetime}; HttpOnly; SameSite=Lax{secure}")
    }
}

/// Reads every cookie of a request, from every `Cookie` header, in the order of the browser. A cookie
/// with a byte beyond ASCII is skipped alone.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    values
        .flat_map(|value| value.split(|byte| *byte == b';'))
        .filter(|pair| pair.is_ascii())
        .filter_map(|pair| std::str::from_utf8(pair).ok()?.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// Reads every value of a cookie.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    pairs(headers).filter_map(move |(key, value)| (key == name).then_some(value))
}

/// Builds `Set-Cookie` headers to be appended to a response, a header per cookie.
pub fn set_cookies(cookies: Vec<String>) -> AppendHeaders<Vec<(HeaderName, String)>> {
    let headers = cookies.into_iter().map(|cookie| (SET_COOKIE, cookie));
    AppendHeaders(headers.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_every_header_is_read() {
        let mut headers = HeaderMap::new();
        for value in [
            &b"a=1; b=2;a=3"[..],
            b"theme=\xc3\xa9; a = 4 ; ; x",
            b"a=5=6; aa=7; A=8; a=",
        ] {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        let found: Vec<&str> = values(&headers, "a").collect();
        assert_eq!(found, ["1", "3", "4", "5=6", ""]);
    }

    #[test]
    fn a_cookie_has_its_domain_and_secure_where_they_are_set() {
        let scope = |domain: Option<&str>| Scope {
            name: "a".to_owned(),
            path: "/".to_owned(),
            domain: domain.map(str::to_owned),
        };
        assert_eq!(
            scope(Some("b.example")).set("1", "Max-Age=0", true),
            "a=1; Path=/; Domain=b.example; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            scope(None).set("", "Max-Age=0", false),
            "a=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
        );
    }
}
