//! Comparison of `htu` with the URL of a request (RFC 9449 §4.3, check 9), after the normalization of RFC
//! 3986 §6.2.2 and §6.2.3, without query and fragment.

use url::Url;

/// The parts of a URL that are compared.
#[derive(PartialEq, Eq)]
struct TargetUri {
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
}

/// True if both URLs name the same target.
pub(super) fn is_same(htu: &str, url: &str) -> bool {
    let (htu, url) = (TargetUri::parse(htu), TargetUri::parse(url));
    htu.is_some() && htu == url
}

impl TargetUri {
    /// Parses a URL. The parser normalizes the case of scheme and host, the default port and dot segments.
    /// `None` for a URL with user information, which no request has.
    fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        Some(Self {
            scheme: url.scheme().to_owned(),
            host: url.host_str()?.to_owned(),
            port: url.port_or_known_default(),
            path: normalized_path(url.path()),
        })
    }
}

/// Decodes escaped unreserved characters, and writes other escapes in upper case (RFC 3986 §6.2.2).
fn normalized_path(path: &str) -> String {
    let mut parts = path.split('%');
    let mut normalized = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escape = part.get(..2).and_then(|digits| {
            let byte = u8::from_str_radix(digits, 16).ok()?;
            Some((byte, digits, part.get(2..)?))
        });
        match escape {
            Some((byte, _, rest)) if is_unreserved(byte) => {
                normalized.push(char::from(byte));
                normalized.push_str(rest);
            }
            Some((_, digits, rest)) => {
                normalized.push('%');
                normalized.push_str(&digits.to_ascii_uppercase());
                normalized.push_str(rest);
            }
            None => {
                normalized.push('%');
                normalized.push_str(part);
            }
        }
    }
    normalized
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://auth.example/api/oauth/~a%2Fb";

    /// req_107: forms of the same URL are equal.
    #[test]
    fn equal_forms_are_the_same_target() {
        for htu in [
            URL,
            "HTTPS://AUTH.EXAMPLE/api/oauth/~a%2Fb",
            "https://auth.example:443/api/oauth/~a%2Fb",
            "https://auth.example/api/oauth/%7Ea%2fb",
            "https://auth.example/api/o%61uth/~a%2Fb",
            "https://auth.example/api/x/../oauth/./~a%2Fb",
            "https://auth.example/api/oauth/~a%2Fb?query=1#fragment",
        ] {
            assert!(is_same(htu, URL), "{htu}");
        }
    }

    /// req_107: another scheme, host, port, path or form of authority is another target.
    #[test]
    fn other_urls_are_other_targets() {
        for htu in [
            "",
            "/api/oauth/~a%2Fb",
            "auth.example/api/oauth/~a%2Fb",
            "http://auth.example/api/oauth/~a%2Fb",
            "https://auth.example:8443/api/oauth/~a%2Fb",
            "https://auth.example./api/oauth/~a%2Fb",
            "https://evil.example/api/oauth/~a%2Fb",
            "https://auth.example@evil.example/api/oauth/~a%2Fb",
            "https://user@auth.example/api/oauth/~a%2Fb",
            "https://user:pass@auth.example/api/oauth/~a%2Fb",
            "https://auth.example.evil.example/api/oauth/~a%2Fb",
            "https://auth.example/api/oauth/~a/b",
            "https://auth.example/api/oauth/~a%252Fb",
            "https://auth.example/api/oauth/~a%2Fb/",
            "https://auth.example/API/oauth/~a%2Fb",
            "https://auth.example//api/oauth/~a%2Fb",
            "https://auth.example",
            "data:text/plain,x",
            "https://auth.example/api/oauth/~a%2Fb%",
            "https://auth.example/api/oauth/~a%2Fb%é",
        ] {
            assert!(!is_same(htu, URL), "{htu}");
        }
    }

    proptest! {
        /// A text of any form is compared without a panic.
        #[test]
        fn any_text_is_compared(htu in ".{0,80}", path in "[a-z%é0-9/]{0,40}") {
            is_same(&htu, URL);
            is_same(&format!("https://auth.example/{path}"), URL);
        }
    }
}
