//! Client ids that are URLs of metadata documents (OAuth Client ID Metadata Document §3).

use url::Url;

/// The longest accepted id, in bytes: the limit of the column.
const MAX: usize = 255;

/// True if a client id starts like a web address and so names a document.
#[must_use]
pub fn is_url(client_id: &str) -> bool {
    let Some((scheme, rest)) = client_id.split_once("://") else {
        return false;
    };
    let web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
    web && !rest.is_empty() && !rest.starts_with(['/', '?', '#'])
}

/// The reason why an id does not name a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientIdUrlError {
    /// Too long, or with characters that a URL parser would repair silently.
    #[error("cimd client_id must be an absolute URL of at most 255 printable characters")]
    Characters,
    /// The scheme is not https.
    #[error("cimd client_id must use https")]
    Scheme,
    /// The URL has user information.
    #[error("cimd client_id must not include user info")]
    UserInfo,
    /// The URL has a fragment.
    #[error("cimd client_id must not include a fragment")]
    Fragment,
    /// The URL has no path.
    #[error("cimd client_id must contain a path")]
    Path,
    /// The path has dot segments.
    #[error("cimd client_id must not contain dot segments")]
    DotSegments,
}

/// Parses a client id that names a document; accepts plain http if `http_too` is set, for development.
///
/// # Errors
/// The violated rule.
pub fn parse(client_id: &str, http_too: bool) -> Result<Url, ClientIdUrlError> {
    if client_id.len() > MAX
        || !client_id.bytes().all(|byte| byte.is_ascii_graphic())
        || client_id.contains('\\')
    {
        return Err(ClientIdUrlError::Characters);
    }
    let url = Url::parse(client_id).map_err(|_| ClientIdUrlError::Characters)?;
    if url.scheme() != "https" && !http_too {
        return Err(ClientIdUrlError::Scheme);
    }
    let rest = client_id.split_once("://").map_or("", |(_, rest)| rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(ClientIdUrlError::UserInfo);
    }
    if client_id.contains('#') {
        return Err(ClientIdUrlError::Fragment); // also an empty fragment
    }
    let path = path.split('?').next().unwrap_or_default();
    if path.is_empty() || path == "/" {
        return Err(ClientIdUrlError::Path);
    }
    // The text as written: a parser would already have resolved dot segments, escaped ones included.
    if path.split('/').any(is_dots) {
        return Err(ClientIdUrlError::DotSegments);
    }
    Ok(url)
}

/// `.` or `..`, with any dot escaped.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

#[cfg(test)]
#[expect(
    clippy::doc_markdown,
    reason = "requirement ids have the form that tests/requirements reads"
)]
mod tests {
    use super::*;

    /// req_149: valid and invalid client id URLs.
    #[test]
    fn an_id_is_an_https_url_with_a_path() {
        for good in [
            "https://app.example/oauth/client.json",
            "https://app.example:8443/c",
            "https://chat.example/c?token_endpoint_auth_method=none",
            "https://app.example/a.b/..c/d",
        ] {
            assert!(is_url(good) && parse(good, false).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("http://app.example/c", ClientIdUrlError::Scheme),
            ("https://app.example", ClientIdUrlError::Path),
            ("https://app.example/", ClientIdUrlError::Path),
            ("https://app.example/?x=/c", ClientIdUrlError::Path),
            ("https://app.example?c", ClientIdUrlError::Path),
            ("https://u@app.example/c", ClientIdUrlError::UserInfo),
            ("https://u:p@app.example/c", ClientIdUrlError::UserInfo),
            ("https://@app.example/c", ClientIdUrlError::UserInfo),
            ("https://app.example/c#f", ClientIdUrlError::Fragment),
            ("https://app.example/c#", ClientIdUrlError::Fragment),
            ("https://app.example/../c", ClientIdUrlError::DotSegments),
            ("https://app.example/a/./c", ClientIdUrlError::DotSegments),
            (
                "https://app.example/a/%2e%2E/c",
                ClientIdUrlError::DotSegments,
            ),
            ("https://app.example/a/.%2e", ClientIdUrlError::DotSegments),
            ("https://app.example/a b", ClientIdUrlError::Characters),
            (
                "https://app.example\\@b.example/c",
                ClientIdUrlError::Characters,
            ),
            ("https://\u{430}pp.example/c", ClientIdUrlError::Characters),
            ("https://app.example:99999/c", ClientIdUrlError::Characters),
        ] {
            assert!(is_url(bad), "{bad}");
            assert_eq!(parse(bad, false), Err(why), "{bad}");
        }
        let long = format!("https://app.example/{}", "x".repeat(MAX));
        assert_eq!(parse(&long, false), Err(ClientIdUrlError::Characters));
        for no_url in [
            "sdoak_x",
            "storyden-cli",
            "",
            "https:",
            "https:///c",
            "ftp://a/b",
            "a://b",
        ] {
            assert!(!is_url(no_url), "{no_url}");
        }
    }
}
