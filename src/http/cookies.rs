//! Cookies: reading every value of a name, and writing `Set-Cookie` (RFC 6265).
//!
//! A browser may hold several cookies of the same name: for this host and for a parent domain, for
//! several paths, set before and after a change of the settings. The browser sends all of these, and
//! the order does not tell which value is valid.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::AppendHeaders;
use cookie::{Cookie, SameSite};
use time::Duration;

use crate::clock::Timestamp;

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

/// The lifetime of a cookie.
#[derive(Clone, Copy, Debug)]
pub enum Lifetime {
    /// The attribute `Expires`.
    Until(Timestamp),
    /// The attribute `Max-Age`; zero clears the cookie.
    For(Duration),
}

impl Scope {
    /// Makes a cookie of this scope that scripts cannot read and other sites send only by navigation.
    #[must_use]
    pub fn cookie(&self, value: &str, lifetime: Lifetime, secure: bool) -> Cookie<'static> {
        let mut cookie = Cookie::build((self.name.clone(), value.to_owned()))
            .path(self.path.clone())
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(secure)
            .build();
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.clone());
        }
        match lifetime {
            Lifetime::Until(at) => cookie.set_expires(at.to_offset_date_time()),
            Lifetime::For(duration) => cookie.set_max_age(duration),
        }
        cookie
    }

    /// Writes the `Set-Cookie` of [`Scope::cookie`].
    #[must_use]
    pub fn set(&self, value: &str, lifetime: Lifetime, secure: bool) -> String {
        self.cookie(value, lifetime, secure).to_string()
    }
}

/// Reads every cookie of a request, from every `Cookie` header, in the order of the browser. A cookie
/// with a byte beyond ASCII is skipped alone.
pub fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    values
        .flat_map(|value| value.split(|byte| *byte == b';'))
        .filter(|pair| pair.is_ascii())
        .filter_map(|pair| Cookie::parse(std::str::from_utf8(pair).ok()?).ok())
        .filter_map(|cookie| Some((cookie.name_raw()?, cookie.value_raw()?)))
}

/// Reads every value of a cookie.
pub fn values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    pairs(headers).filter_map(move |(key, value)| (key == name).then_some(value))
}

/// Checks the form of a session token: 32 bytes in base64url.
#[must_use]
pub fn is_token(value: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    value.len() == 43 && value.bytes().all(is_base64url)
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
            b"=; =9; a=\"1%20\"",
        ] {
            headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
        }
        let found: Vec<&str> = values(&headers, "a").collect();
        assert_eq!(found, ["1", "3", "4", "5=6", "", "\"1%20\""]);
    }

    #[test]
    fn a_cookie_has_its_domain_and_secure_where_they_are_set() {
        let scope = |domain: Option<&str>| Scope {
            name: "a".to_owned(),
            path: "/".to_owned(),
            domain: domain.map(str::to_owned),
        };
        assert_eq!(
            scope(Some("b.example")).set("1", Lifetime::For(Duration::HOUR), true),
            "a=1; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=b.example; Max-Age=3600"
        );
        let past = Lifetime::Until(Timestamp::from_unix_seconds(0));
        assert_eq!(
            scope(None).set("", past, false),
            "a=; HttpOnly; SameSite=Lax; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        );
    }
}
