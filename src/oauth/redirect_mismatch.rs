//! Explains to the developer how a redirect URI differs from the registered URIs. Comparison is by
//! string (RFC 6749 §3.1.2.3), so a single letter, which is hard to see, is enough for an error.

/// The parts of a URI as a developer sees them, unnormalised.
struct Parts<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(uri: &'a str) -> Self {
        let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (authority, below) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (authority, ""),
        };
        let (path, query) = below.split_at(below.find('?').unwrap_or(below.len()));
        Self {
            scheme,
            host,
            port,
            path,
            query,
        }
    }

    /// Returns the first difference from another URI.
    fn difference(&self, other: &Self) -> (usize, &'static str) {
        let same_letters = self.path.eq_ignore_ascii_case(other.path);
        let same_path = self.path.trim_end_matches('/') == other.path.trim_end_matches('/');
        if self.scheme != other.scheme {
            (0, "in the scheme")
        } else if self.host != other.host {
            (1, "in the host")
        } else if self.port != other.port {
            (2, "in the port")
        } else if self.path != other.path && same_path {
            (4, "in the trailing slash of the path")
        } else if self.path != other.path && same_letters {
            (4, "in the case of the path")
        } else if self.path != other.path {
            (3, "in the path")
        } else if self.query != other.query {
            (5, "in the query")
        } else {
            (6, "in its spelling")
        }
    }
}

/// Describes the difference from the most similar registered URI.
#[must_use]
pub fn explain(asked: &str, registered: &[String]) -> String {
    let asked = Parts::of(asked);
    let nearest = registered
        .iter()
        .map(|known| asked.difference(&Parts::of(known)))
        .max_by_key(|(likeness, _)| *likeness);
    match (nearest, registered.len()) {
        (None, _) => "The client has no registered redirect URI".to_owned(),
        (Some((_, place)), 1) => format!(
            "redirect_uri differs from the registered redirect URI \
            {place}"
        ),
        (Some((_, place)), count) => {
            format!(
                "redirect_uri matches none of the {count} registered redirect URIs; it differs \
                 from the nearest one {place}"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_named() {
        let known = "https://app.example/cb".to_owned();
        for (asked, place) in [
            ("http://app.example/cb", "in the scheme"),
            ("https://app.example.evil/cb", "in the host"),
            ("https://app.example:443/cb", "in the port"),
            ("https://app.example/other", "in the path"),
            (
                "https://app.example/cb/",
                "in the trailing slash of the path",
            ),
            ("https://app.example/CB", "in the case of the path"),
            ("https://app.example/cb?x=1", "in the query"),
            ("nonsense", "in the scheme"),
        ] {
            let said = explain(asked, std::slice::from_ref(&known));
            assert_eq!(
                said,
                format!("redirect_uri differs from the registered redirect URI {place}")
            );
        }
        let two = ["https://other.example/cb".to_owned(), known];
        assert_eq!(
            explain("https://app.example/cb/", &two),
            "redirect_uri matches none of the 2 registered redirect URIs; it differs from the nearest \
             one in the trailing slash of the path"
        );
        assert_eq!(
            explain("x", &[]),
            "The client has no registered redirect URI"
        );
    }
}
