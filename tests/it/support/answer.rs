//! HTTP responses, with accessors and assertions.

use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

/// A complete response.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self {
            status,
            headers,
            body: response.text().await.unwrap(),
        }
    }

    /// Parses the body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {:?}", self.status, self.body))
    }

    /// Returns a text member of the body.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        let json = self.json();
        json[member]
            .as_str()
            .unwrap_or_else(|| panic!("no {member} in {json}"))
            .to_owned()
    }

    /// Returns a header that must occur exactly once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(
            values.len(),
            1,
            "{name}: {values:?} of {} {:?}",
            self.status,
            self.body
        );
        values[0].to_str().unwrap()
    }

    /// Returns an optional header.
    pub(crate) fn find_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the redirect target, from the `Location` header or the member `location`.
    #[track_caller]
    pub(crate) fn location(&self) -> Url {
        let to = match self.find_header("location") {
            Some(location) => location.to_owned(),
            None => self.text("location"),
        };
        Url::parse(&to).unwrap_or_else(|error| panic!("{error}: {to}"))
    }

    /// Returns a query parameter of the redirect target.
    #[track_caller]
    pub(crate) fn sent(&self, name: &str) -> Option<String> {
        let url = self.location();
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// Returns the value that the response sets for a cookie, with or without the `__Host-` prefix. The
    /// last header counts, because the headers before clear variants of the cookie.
    #[track_caller]
    pub(crate) fn cookie(&self, name: &str) -> String {
        let cookies = self.headers.get_all("set-cookie").iter();
        let pairs = cookies.filter_map(|cookie| cookie.to_str().unwrap().split(';').next());
        let mut values = pairs.filter_map(|pair| {
            let pair = pair.strip_prefix("__Host-").unwrap_or(pair);
            pair.strip_prefix(&format!("{name}="))
        });
        values
            .next_back()
            .unwrap_or_else(|| panic!("no cookie {name} in {:?}", self.headers))
            .to_owned()
    }

    /// Returns the claims of a JWT member of the body, unverified.
    #[track_caller]
    pub(crate) fn claims(&self, member: &str) -> Value {
        jwt_part(&self.text(member), 1)
    }

    /// Returns the header of a JWT member of the body.
    #[track_caller]
    pub(crate) fn jwt_header(&self, member: &str) -> Value {
        jwt_part(&self.text(member), 0)
    }

    /// Returns the scope of the body, as a sorted list.
    #[track_caller]
    pub(crate) fn scope(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .text("scope")
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    /// Asserts the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.headers, self.body);
        self
    }

    /// Asserts an OAuth error with a status and a code.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.text("error"), code, "{}", answer.body);
        assert!(!answer.text("error_description").is_empty());
        answer
    }
}

/// Asserts an authorization error by redirect, with `iss` and `state`.
#[track_caller]
pub(crate) fn told(answer: Answer, error: &str) -> Answer {
    let answer = answer.expect(302);
    assert_eq!(answer.sent("error").as_deref(), Some(error));
    assert_eq!(answer.sent("iss").as_deref(), Some("https://auth.example"));
    assert_eq!(answer.sent("state").as_deref(), Some("st"));
    let description = answer.sent("error_description").unwrap();
    // RFC 6749 §4.1.2.1
    let legal = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    assert!(description.bytes().all(legal), "{description:?}");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer
}

/// Returns the content of a consent page. The id of the request, which is the member `id_name`, and the
/// version of the client differ in each run and become null.
#[track_caller]
pub(crate) fn consent_page(answer: &Answer, id_name: &str, id: &str) -> Value {
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut consent = answer.json();
    assert_eq!(consent[id_name].take(), id);
    let version = consent["client_version"].take();
    assert_eq!(version.as_str().unwrap().len(), 64);
    consent
}

/// Asserts a 400 with an OAuth error code, without a redirect or cookie.
#[track_caller]
pub(crate) fn refused(answer: Answer, error: &str) {
    let answer = answer.expect_error(400, error);
    assert_eq!(answer.find_header("location"), None);
    assert_eq!(answer.find_header("set-cookie"), None);
}

#[track_caller]
fn jwt_part(token: &str, index: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(index).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(part)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}
