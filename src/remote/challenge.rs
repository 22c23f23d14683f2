//! Challenges of protected resources (RFC 9110 §11.6.1, RFC 6750 §3, RFC 9728 §5.1): the location of the
//! metadata and the scope that a request needs.

/// The longest header value that is read, in bytes.
const HEADER_MAX: usize = 8 * 1_024;
/// The most metadata locations of a response.
const LOCATIONS_MAX: usize = 4;

/// The `Bearer` challenges of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// True if there is a `Bearer` challenge.
    pub(super) is_bearer: bool,
    /// Locations of the resource's metadata, in order. Some servers send the parameter twice.
    pub(super) metadata: Vec<String>,
    /// Scope that the request needs.
    pub(super) scope: Option<String>,
}

impl Challenge {
    /// Reads the values of the `WWW-Authenticate` headers of a response. Other schemes are ignored.
    pub(super) fn read<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = Self::default();
        for header in headers.into_iter().filter(|one| one.len() <= HEADER_MAX) {
            found.add(header);
        }
        found
    }

    fn add(&mut self, header: &str) {
        let mut rest = header;
        let mut in_bearer = false;
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',']);
            let (name, after) = split_token(rest);
            if name.is_empty() {
                // neither a scheme nor a parameter: continue after the next comma
                let Some((_, next)) = rest.split_once(',') else {
                    return;
                };
                rest = next;
                continue;
            }
            let after_blanks = after.trim_start_matches([' ', '\t']);
            let Some(value) = after_blanks.strip_prefix('=') else {
                in_bearer = name.eq_ignore_ascii_case("bearer");
                self.is_bearer |= in_bearer;
                rest = after;
                continue;
            };
            let (value, after) = split_value(value.trim_start_matches([' ', '\t']));
            if in_bearer {
                self.parameter(name, value);
            }
            rest = after;
        }
    }

    fn parameter(&mut self, name: &str, value: String) {
        if name.eq_ignore_ascii_case("resource_metadata") {
            let is_new = !value.is_empty() && !self.metadata.contains(&value);
            if is_new && self.metadata.len() < LOCATIONS_MAX {
                self.metadata.push(value);
            }
        } else if name.eq_ignore_ascii_case("scope") && self.scope.is_none() {
            self.scope = Some(value);
        }
    }
}

/// Splits a leading token off (RFC 9110 §5.6.2).
fn split_token(text: &str) -> (&str, &str) {
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    text.split_at(text.find(|c| !is_tchar(c)).unwrap_or(text.len()))
}

/// Splits a leading parameter value off: a quoted string (RFC 9110 §5.6.4) or a token. Single quotes and
/// values with characters outside of tokens, which some servers send, are accepted.
fn split_value(text: &str) -> (String, &str) {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((place, character)) = characters.next() {
            match character {
                '"' => return (value, &quoted[place + 1..]),
                '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
                other => value.push(other),
            }
        }
        return (value, "");
    }
    if let Some((value, after)) = text
        .strip_prefix('\'')
        .and_then(|quoted| quoted.split_once('\''))
    {
        return (value.to_owned(), after);
    }
    let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
    (text[..end].to_owned(), &text[end..])
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    fn read(headers: &[&str]) -> (Vec<String>, Option<String>) {
        let found = Challenge::read(headers.iter().copied());
        (found.metadata, found.scope)
    }

    #[test]
    fn parameters_of_bearer_challenges_are_read_in_every_form() {
        let (location, scope) = ("https://a.example/m", "tools:read tools:write");
        let both = (vec![location.to_owned()], Some(scope.to_owned()));
        for headers in [
            vec![
                r#"Bearer resource_metadata="https://a.example/m", scope="tools:read tools:write""#,
            ],
            vec![r#"bearer scope="tools:read tools:write",resource_metadata=https://a.example/m"#],
            vec![
                r#"Bearer realm="a, \"Bearer\" scope=\"x\"", Resource_Metadata = "https://a.example/m" , Scope = 'tools:read tools:write'"#,
            ],
            vec![
                r#"Basic realm="x", scope="other", Bearer scope="tools:read tools:write", error=invalid_token, resource_metadata='https://a.example/m'"#,
            ],
            vec![
                "Negotiate",
                "Basic realm=x",
                r#"Bearer scope="tools:read tools:write""#,
                "Bearer resource_metadata=https://a.example/m",
            ],
            vec![
                r#"Negotiate YW/Jj==, Bearer scope="tools:read tools:write", resource_metadata="https://a.example/m""#,
            ],
        ] {
            assert_eq!(read(&headers), both, "{headers:?}");
        }
    }

    #[test]
    fn texts_that_are_no_challenge_are_ignored() {
        for header in [
            "",
            ",,,",
            "=",
            "\"",
            "Bearer",
            "Bearer scope",
            r#"Basic scope="x""#,
            "Bearer ü",
        ] {
            assert_eq!(read(&[header]), (vec![], None), "{header}");
        }
        let long = format!("Bearer scope=\"{}\"", "x".repeat(9_000));
        assert_eq!(read(&[&long]), (vec![], None));
        assert!(Challenge::read(["DPoP algs=ES256, Bearer"]).is_bearer);
        assert!(!Challenge::read(["Basic realm=bearer"]).is_bearer);
    }
}
