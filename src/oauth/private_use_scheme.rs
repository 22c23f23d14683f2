//! Private-use URI schemes of redirect URIs (RFC 8252 §7.1).
//!
//! A scheme that is the reverse of a domain, as in `com.example.app:/callback`, cannot collide by
//! accident. A scheme without a dot, as in `cursor://`, can be claimed by any application on a device
//! (RFC 8252 §8.4). Widely used products need such a scheme, so the operator lists the schemes that may
//! be registered, and only a client without a secret may register one: PKCE is then required, and each
//! authorization is approved by the member.

use url::Url;

use super::grant_type::ClientType;
use super::redirect_uri::{BANNED_SCHEMES, RedirectUriError, check_registration, is_loopback};

/// The longest scheme in the list, in characters.
const LENGTH_MAX: usize = 64;

/// The schemes without a dot that may be registered, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrivateUseSchemes(Vec<String>);

impl PrivateUseSchemes {
    /// Makes a list of known good schemes.
    #[must_use]
    pub fn of(schemes: &[&str]) -> Self {
        Self(schemes.iter().map(|&scheme| scheme.to_owned()).collect())
    }

    /// Parses a list separated by commas or spaces; `none` is the empty list.
    ///
    /// # Errors
    /// The first text that is no private-use scheme, and the accepted form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::default());
        }
        let names = text.split([',', ' ']).filter(|name| !name.is_empty());
        let schemes = names.map(|name| {
            let scheme = name.to_ascii_lowercase();
            let is_web = matches!(scheme.as_str(), "http" | "https");
            if is_web || BANNED_SCHEMES.contains(&scheme.as_str()) || !is_scheme(&scheme) {
                return Err(format!(
                    "has {name:?}; use private-use schemes like cursor, without ://, or none"
                ));
            }
            Ok(scheme)
        });
        schemes.collect::<Result<_, _>>().map(Self)
    }

    /// True if the list has the scheme of a URI.
    #[must_use]
    pub fn has_scheme_of(&self, uri: &str) -> bool {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
        scheme.is_some_and(|scheme| self.0.iter().any(|one| one.eq_ignore_ascii_case(scheme)))
    }

    /// Checks a redirect URI for registration by a client of a type, as [`check_registration`] does, and
    /// accepts the listed schemes.
    ///
    /// # Errors
    /// The reason, as the end of a sentence that starts with "redirect URI".
    pub fn check(&self, uri: &str, kind: ClientType) -> Result<(), RedirectUriError> {
        match check_registration(uri) {
            Err(RedirectUriError::SchemeWithoutDot) if self.has_scheme_of(uri) => match kind {
                ClientType::Public => Ok(()),
                ClientType::Confidential => Err(RedirectUriError::SchemeWithSecret),
            },
            checked => checked,
        }
    }
}

/// The grammar of a scheme (RFC 3986 §3.1), in lower case.
fn is_scheme(text: &str) -> bool {
    let is_inner = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
    };
    text.len() <= LENGTH_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(is_inner)
}

/// True for a redirect URI of an application on the user's device: a private-use scheme or a loopback
/// address (RFC 8252 §7).
#[must_use]
pub fn is_native(uri: &str) -> bool {
    Url::parse(uri).is_ok_and(|url| is_private_use(&url) || is_loopback(&url))
}

/// True for a redirect URI with a private-use scheme.
#[must_use]
pub fn is_private_use(url: &Url) -> bool {
    !matches!(url.scheme(), "http" | "https")
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    /// A-8, req_069: only listed schemes, only for clients without a secret; banned schemes never.
    #[test]
    fn a_listed_scheme_is_for_clients_without_a_secret() {
        let schemes = PrivateUseSchemes::parse("cursor, Windsurf").unwrap();
        let check = |uri, kind| schemes.check(uri, kind);
        let (public, confidential) = (ClientType::Public, ClientType::Confidential);
        for uri in [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "WINDSURF:/cb",
        ] {
            assert_eq!(check(uri, public), Ok(()), "{uri}");
            let refused = Err(RedirectUriError::SchemeWithSecret);
            assert_eq!(check(uri, confidential), refused, "{uri}");
        }
        for (uri, why) in [
            ("myapp://cb", RedirectUriError::SchemeWithoutDot),
            ("cursors://cb", RedirectUriError::SchemeWithoutDot),
            ("cursor://cb#x", RedirectUriError::Fragment),
            ("cursor://u@cb", RedirectUriError::UserInfo),
            ("cursor://*/cb", RedirectUriError::Wildcard),
            ("javascript://cursor", RedirectUriError::Scheme),
        ] {
            assert_eq!(check(uri, public), Err(why), "{uri}");
        }
        assert_eq!(check("com.example:/cb", confidential), Ok(()));
        let none = PrivateUseSchemes::parse("none").unwrap();
        assert_eq!(none, PrivateUseSchemes::default());
        assert!(none.check("cursor://cb", public).is_err());
    }

    #[test]
    fn a_list_has_only_private_use_schemes() {
        for text in [
            "cursor://",
            "http",
            "https",
            "javascript",
            "DATA",
            "1a",
            "a_b",
            "é",
            &"a".repeat(65),
        ] {
            assert!(PrivateUseSchemes::parse(text).is_err(), "{text}");
        }
        let list = PrivateUseSchemes::parse("vscode vscode-insiders,, a.b+c").unwrap();
        assert!(list.has_scheme_of("vscode-insiders://x") && list.has_scheme_of("a.b+c:x"));
        assert!(!list.has_scheme_of("vscode"));
    }

    #[test]
    fn native_redirect_uris_are_private_use_or_loopback() {
        for uri in [
            "cursor://cb",
            "com.example:/cb",
            "http://127.0.0.1:3/cb",
            "http://localhost/cb",
            "http://[::1]/cb",
        ] {
            assert!(is_native(uri), "{uri}");
        }
        for uri in ["https://a.example/cb", "http://localhost.example/", "x"] {
            assert!(!is_native(uri), "{uri}");
        }
    }
}
