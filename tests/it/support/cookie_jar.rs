//! Browser cookies (RFC 6265 with the prefixes and the host-only key of RFC 6265bis).

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::answer::Answer;
use super::server::Server;

/// Cookies of a browser, for requests to a single public address.
#[derive(Clone, Debug)]
pub(crate) struct CookieJar {
    https: bool,
    host: String,
    cookies: Vec<Stored>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stored {
    name: String,
    value: String,
    /// Domain, with a leading dot unless the cookie is host-only.
    domain: String,
    path: String,
    secure: bool,
    expires: Option<OffsetDateTime>,
}

impl Stored {
    /// Returns the key of a cookie in the store.
    fn key(&self) -> (&str, &str, &str) {
        (&self.name, &self.domain, &self.path)
    }

    fn is_sent_to(&self, jar: &CookieJar, path: &str) -> bool {
        let below = path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/')
        });
        let domain = match self.domain.strip_prefix('.') {
            Some(domain) => jar.host == domain || jar.host.ends_with(&self.domain),
            None => jar.host == self.domain,
        };
        domain && below && (jar.https || !self.secure)
    }
}

impl CookieJar {
    /// Creates an empty jar for a browser that calls the server at this address.
    pub(crate) fn new(address: &str) -> Self {
        let (scheme, host) = address.split_once("://").unwrap();
        Self {
            https: scheme == "https",
            host: host.split(':').next().unwrap().to_owned(),
            cookies: Vec::new(),
        }
    }

    /// Moves the browser to another public address.
    pub(crate) fn at(mut self, address: &str) -> Self {
        let other = Self::new(address);
        (self.https, self.host) = (other.https, other.host);
        self
    }

    /// Returns the `Cookie` header for a path: longer paths first, then older cookies (RFC 6265 §5.4).
    pub(crate) fn header(&self, path: &str, now: OffsetDateTime) -> String {
        let path = path.split('?').next().unwrap();
        let sent = self
            .cookies
            .iter()
            .filter(|cookie| cookie.is_sent_to(self, path));
        let mut sent: Vec<&Stored> = sent
            .filter(|cookie| cookie.expires.is_none_or(|at| now < at))
            .collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = sent
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value));
        pairs.collect::<Vec<_>>().join("; ")
    }

    /// Stores the cookies of a response, like a browser.
    #[track_caller]
    pub(crate) fn store(&mut self, answer: &Answer, now: OffsetDateTime) {
        for header in answer.headers.get_all("set-cookie") {
            let (cookie, max_age) = self.read(header.to_str().unwrap());
            let allowed = if cookie.name.starts_with("__Host-") {
                cookie.secure && self.https && cookie.path == "/" && cookie.domain == self.host
            } else {
                !cookie.secure || self.https || self.host == "localhost"
            };
            let domain = cookie.domain.trim_start_matches('.');
            let ours = self.host == domain || self.host.ends_with(&format!(".{domain}"));
            let is_public =
                cookie.domain.starts_with('.') && !domain.contains('.') && domain != "localhost";
            assert!(allowed, "a browser refuses {header:?}");
            if !ours || is_public {
                continue; // a foreign domain or a public suffix
            }
            let expires = max_age
                .map(|seconds| now + time::Duration::seconds(seconds))
                .or(cookie.expires);
            let cookie = Stored { expires, ..cookie };
            let is_expired = expires.is_some_and(|at| at <= now);
            match self
                .cookies
                .iter()
                .position(|known| known.key() == cookie.key())
            {
                Some(place) if is_expired => drop(self.cookies.remove(place)),
                Some(place) => self.cookies[place] = cookie, // keeps its creation time (§5.3, 11.3)
                None if is_expired => {}
                None => self.cookies.push(cookie),
            }
        }
    }

    fn read(&self, header: &str) -> (Stored, Option<i64>) {
        let mut parts = header.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let mut cookie = Stored {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: self.host.clone(),
            path: String::new(),
            secure: false,
            expires: None,
        };
        let mut max_age = None;
        for part in parts {
            match part.split_once('=').unwrap_or((part, "")) {
                ("Path", path) => path.clone_into(&mut cookie.path),
                ("Domain", domain) => cookie.domain = format!(".{domain}"),
                ("Secure", _) => cookie.secure = true,
                ("Max-Age", seconds) => max_age = Some(seconds.parse().unwrap()),
                ("Expires", date) => {
                    let date = date.replace("GMT", "+0000");
                    cookie.expires = Some(OffsetDateTime::parse(&date, &Rfc2822).unwrap());
                }
                ("HttpOnly" | "SameSite", _) => {}
                other => panic!("{other:?} in {header}"),
            }
        }
        (cookie, max_age)
    }

    /// Returns the names of the stored cookies.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.cookies
            .iter()
            .map(|cookie| cookie.name.as_str())
            .collect()
    }

    /// Drops the cookies of a name, with or without the `__Host-` prefix.
    pub(crate) fn forget(&mut self, name: &str) {
        let is_named =
            |cookie: &Stored| cookie.name.strip_prefix("__Host-").unwrap_or(&cookie.name) == name;
        self.cookies.retain(|cookie| !is_named(cookie));
    }

    /// Adds a host-only cookie for every path.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        self.cookies.push(Stored {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: self.host.clone(),
            path: "/".to_owned(),
            secure: self.https,
            expires: None,
        });
    }

    /// Sends a request with the cookies, and stores the cookies of the response.
    pub(crate) async fn send(
        &mut self,
        server: &Server,
        (method, path): (&str, &str),
        body: Option<&serde_json::Value>,
    ) -> Answer {
        let now = server.clock.now().to_offset_date_time();
        let mut request = server.request(method, path);
        let cookies = self.header(path, now);
        if !cookies.is_empty() {
            request = request.header("cookie", cookies);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = server.send(request).await;
        self.store(&answer, now);
        answer
    }
}
