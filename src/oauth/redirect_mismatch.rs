//! Explains to the developer how a redirect URI differs from the registered URIs. Comparison is by
//! string (RFC 6749 §3.1.2.3), so a single letter, which is hard to see, is enough for an error.

use super::error_value::listed;
use super::loopback_uri::has_any_port;

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
        let (authority, below) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())),
            None => ("", rest),
        };
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
}

/// The differing parts of two URIs, and the sum of their weights: a different host weighs more than a
/// different path, and a different path more than a slash.
#[derive(Default)]
struct Difference {
    weight: u32,
    parts: Vec<&'static str>,
}

impl Difference {
    fn between(asked: &str, known: &str) -> Self {
        let any_port = has_any_port(asked) || has_any_port(known);
        let (asked, known) = (Parts::of(asked), Parts::of(known));
        let mut difference = Self::default();
        difference.compare(
            (asked.scheme, known.scheme),
            3,
            "the scheme",
            "the case of the scheme",
        );
        difference.compare(
            (asked.host, known.host),
            8,
            "the host",
            "the case of the host",
        );
        if !any_port {
            difference.compare((asked.port, known.port), 4, "the port", "the port");
        }
        if asked.path.trim_end_matches('/') == known.path.trim_end_matches('/') {
            let slashes = (asked.path, known.path);
            let slash = "the trailing slash of the path";
            difference.compare(slashes, 1, slash, slash);
        } else {
            difference.compare(
                (asked.path, known.path),
                4,
                "the path",
                "the case of the path",
            );
        }
        difference.compare(
            (asked.query, known.query),
            2,
            "the query",
            "the case of the query",
        );
        difference
    }

    /// Adds a part if it differs; a difference in case alone has the weight 1.
    fn compare(
        &mut self,
        (asked, known): (&str, &str),
        weight: u32,
        name: &'static str,
        name_if_case: &'static str,
    ) {
        if asked == known {
            return;
        }
        let case_alone = asked.eq_ignore_ascii_case(known);
        self.weight += if case_alone { 1 } else { weight };
        self.parts
            .push(if case_alone { name_if_case } else { name });
    }
}

/// Describes the difference from the most similar registered URI. The port of a loopback address is no
/// difference, because any port matches there.
#[must_use]
pub fn explain(asked: &str, registered: &[String]) -> String {
    let nearest = registered
        .iter()
        .map(|known| Difference::between(asked, known))
        .min_by_key(|difference| difference.weight);
    let Some(nearest) = nearest else {
        return "The client has no registered redirect URI".to_owned();
    };
    let parts = listed(nearest.parts);
    match registered.len() {
        1 => format!("redirect_uri differs from the registered redirect URI in {parts}"),
        count => format!(
            "redirect_uri matches none of the {count} registered redirect URIs; it differs from the \
             nearest one in {parts}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_named() {
        let known = "https://app.example/cb".to_owned();
        for (asked, parts) in [
            ("http://app.example/cb", "the scheme"),
            (
                "HTTPS://App.example/cb",
                "the case of the scheme and the case of the host",
            ),
            ("https://app.example.evil/cb", "the host"),
            ("https://app.example:443/cb", "the port"),
            ("https://app.example/other", "the path"),
            ("https://app.example/cb/", "the trailing slash of the path"),
            ("https://app.example/CB", "the case of the path"),
            ("https://app.example/cb?x=1", "the query"),
            (
                "https://www.example:8443/",
                "the host, the port and the path",
            ),
            ("com.example.app:/cb", "the scheme and the host"),
        ] {
            let said = explain(asked, std::slice::from_ref(&known));
            let expected =
                format!("redirect_uri differs from the registered redirect URI in {parts}");
            assert_eq!(said, expected);
        }
        assert_eq!(
            explain("x:y", &[]),
            "The client has no registered redirect URI"
        );
    }

    /// The nearest URI is the one with the smallest difference, not the one that shares the longest
    /// beginning.
    #[test]
    fn the_nearest_uri_is_compared() {
        let known = [
            "https://other.example/cb",
            "http://localhost:3000/other",
            "https://localhost:3000/callback",
            "https://app.example/cb",
        ]
        .map(str::to_owned);
        for (asked, parts) in [
            ("https://app.example/cb/", "the trailing slash of the path"),
            ("http://localhost:3000/callback", "the scheme"),
            ("http://localhost:4000/others", "the path"),
        ] {
            let expected = format!(
                "redirect_uri matches none of the 4 registered redirect URIs; it differs from the \
                 nearest one in {parts}"
            );
            assert_eq!(explain(asked, &known), expected);
        }
    }

    /// RFC 8252 §7.3: a loopback port is never the difference.
    #[test]
    fn a_loopback_port_is_never_blamed() {
        let known = ["http://127.0.0.1:7000/cb".to_owned()];
        for (asked, parts) in [
            ("http://127.0.0.1:5000/other", "the path"),
            ("http://127.0.0.1:5000/cb?x", "the query"),
            ("http://localhost:5000/cb", "the host"),
            ("https://app.example:5000/cb", "the scheme and the host"),
        ] {
            let expected =
                format!("redirect_uri differs from the registered redirect URI in {parts}");
            assert_eq!(explain(asked, &known), expected);
        }
    }
}
