//! Outgoing HTTP requests: every request that this program makes.
//!
//! Requests to client-supplied URLs go through [`Fetch`], the SSRF guard: the name is resolved once,
//! every address is checked ([`address`]), and a checked address is dialled, which prevents DNS
//! rebinding. No proxy from the environment, no redirect, no compression; bytes, time and concurrency
//! are limited, per host and in total ([`concurrency`]).

pub mod address;
pub mod concurrency;
pub mod network;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap,
    HeaderValue,
};
use url::{Host, Url};

pub use reqwest::StatusCode;
pub use reqwest::header::WWW_AUTHENTICATE;

use crate::trace_id::step;
use address::{AddressError, EgressPolicy};
use concurrency::Gate;
use network::Network;

/// Time limit of a command's request.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// `User-Agent` header.
const AGENT: &str = concat!("storyden-auth/", env!("CARGO_PKG_VERSION"));

/// The most addresses of a name that are looked at; a name with more is refused.
const ADDRESSES_MAX: usize = 32;

/// A client for commands, whose user names the server: no redirects, no proxy from the environment.
///
/// # Errors
/// If the system's TLS roots cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that creates an HTTP client"
)]
pub fn command_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(COMMAND_TIMEOUT)
        .user_agent(AGENT)
        .build()
}

/// The rules of the SSRF guard.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The set of addresses that requests may reach.
    pub policy: EgressPolicy,
    /// The ports that may be dialled; any while `policy` is not [`EgressPolicy::Closed`].
    pub ports: Vec<u16>,
    /// This server's own hosts, which are never requested.
    pub own_hosts: Vec<String>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The URL.
    pub url: &'a Url,
    /// The longest body, in bytes.
    pub max: usize,
    /// Time limit from name resolution to the last byte.
    pub deadline: Duration,
}

/// Body and headers of a request.
#[derive(Debug)]
pub enum Sent<'a> {
    /// Nothing: a `GET`.
    Nothing,
    /// Nothing: a `GET` of an image.
    ForImage,
    /// A JSON document, posted.
    Json(&'a serde_json::Value),
    /// A form, posted, with HTTP Basic credentials where there are any.
    Form(&'a [(&'a str, &'a str)], Option<(String, String)>),
    /// A JSON text with the headers of its signature, posted.
    Signed(String, [(&'static str, String); 3]),
}

/// An answer of any status.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// The head of an answer of any status.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
}

/// A JSON document from a response with status 200.
#[derive(Debug)]
pub struct Found {
    /// The body.
    pub body: Vec<u8>,
    /// The `Cache-Control` header, if it is text.
    pub cache_control: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The SSRF guard rejected the URL or an address of its host. No request was sent.
    #[error("{0}")]
    Forbidden(#[from] AddressError),
    /// Too many questions are being asked already. Nothing was sent.
    #[error("too many requests are under way")]
    Busy,
    /// TLS cannot be set up here.
    #[error("this server has no certificate authorities")]
    NoTrust,
    /// The host's name has no address. Nothing was sent.
    #[error("the name of the host has no address")]
    Unresolved,
    /// There was no whole answer: no connection, TLS that does not hold, a broken body.
    #[error("the host did not answer")]
    Unreachable,
    /// The time limit was exceeded.
    #[error("the host did not answer in time")]
    Slow,
    /// A status other than 200; redirects are not followed.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// The content type is not JSON.
    #[error("the Content-Type of the response is not JSON")]
    NotJson,
    /// The body is compressed, although compression was not requested.
    #[error("the answer is compressed")]
    Compressed,
    /// The body is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Error {
    /// True for a temporary failure.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Busy | Self::NoTrust | Self::Unresolved | Self::Unreachable | Self::Slow => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::Forbidden(_) | Self::NotJson | Self::Compressed | Self::TooLong(_) => false,
        }
    }
}

/// The guarded way out.
#[derive(Clone, Debug)]
pub struct Fetch {
    rules: Arc<Rules>,
    gate: Gate,
    network: Arc<dyn Network>,
    client: Arc<OnceLock<Option<reqwest::Client>>>,
}

impl Fetch {
    /// Creates the guarded client with its rules and network. System resources are loaded at the first
    /// request.
    #[must_use]
    pub fn new(rules: Rules, network: Arc<dyn Network>) -> Self {
        Self {
            rules: Arc::new(rules),
            gate: Gate::default(),
            network,
            client: Arc::default(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the only place that creates an HTTP client"
    )]
    fn client(&self) -> Result<&reqwest::Client, Error> {
        let client = self.client.get_or_init(|| {
            let resolver = Resolver {
                policy: self.rules.policy,
                network: Arc::clone(&self.network),
            };
            let builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .http1_only()
                .pool_max_idle_per_host(0)
                .referer(false)
                .retry(reqwest::retry::never())
                .tls_danger_accept_invalid_certs(self.rules.policy == EgressPolicy::Everything)
                .user_agent(AGENT)
                .dns_resolver(Arc::new(resolver));
            let builder = self.network.trust(builder);
            let failed = |error: &reqwest::Error| {
                tracing::error!(%error, "TLS cannot be set up and no request is sent; check that the \
                    system's certificate authorities (ca-certificates) are installed");
            };
            builder.build().inspect_err(failed).ok()
        });
        client.as_ref().ok_or(Error::NoTrust)
    }

    /// Fetches a JSON document.
    ///
    /// # Errors
    /// The reason of the failure.
    pub async fn json(&self, question: Question<'_>) -> Result<Found, Error> {
        let reply = self.ask(question, Sent::Nothing).await?;
        if reply.status != StatusCode::OK {
            return Err(Error::Status(reply.status.as_u16()));
        }
        require_json(&reply.headers)?;
        let cache_control = reply.headers.get(CACHE_CONTROL);
        Ok(Found {
            cache_control: cache_control.and_then(|value| Some(value.to_str().ok()?.to_owned())),
            body: reply.body,
        })
    }

    /// Sends a request and returns a response of any status and type. Redirects are returned, not
    /// followed.
    ///
    /// # Errors
    /// The reason of the failure.
    pub async fn ask(&self, question: Question<'_>, sent: Sent<'_>) -> Result<Reply, Error> {
        self.guarded(&question, self.send(&question, sent)).await
    }

    /// Sends a request and returns the head of the response. The body is not read, so an endless event
    /// stream ends with the head.
    ///
    /// # Errors
    /// The reason of the failure.
    pub async fn head(&self, question: Question<'_>, sent: Sent<'_>) -> Result<Head, Error> {
        const STREAM: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");
        let head = async {
            let response = self.respond(&question, sent, STREAM).await?;
            Ok(Head {
                status: response.status(),
                headers: response.headers().clone(),
            })
        };
        self.guarded(&question, head).await
    }

    /// Runs a request to an allowed URL, in the turn of the host and within the deadline.
    async fn guarded<T>(
        &self,
        question: &Question<'_>,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let _step = step("outgoing request");
        let host = address::check_url(question.url, &self.rules)?;
        let asked = tokio::time::timeout(question.deadline, async {
            let _turn = self.gate.enter(&host).await.ok_or(Error::Busy)?;
            request.await
        });
        asked.await.unwrap_or(Err(Error::Slow))
    }

    /// Sends a request; the body of the response is still to be read.
    async fn respond(
        &self,
        question: &Question<'_>,
        sent: Sent<'_>,
        accept: HeaderValue,
    ) -> Result<reqwest::Response, Error> {
        const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
        const CLOSE: HeaderValue = HeaderValue::from_static("close");
        let (client, url) = (self.client()?, question.url.clone());
        let request = match sent {
            Sent::Nothing | Sent::ForImage => client.get(url),
            Sent::Json(document) => client.post(url).json(document),
            Sent::Form(form, None) => client.post(url).form(form),
            Sent::Form(form, Some((name, secret))) => {
                client.post(url).form(form).basic_auth(name, Some(secret))
            }
            Sent::Signed(body, headers) => {
                let mut request = client.post(url).header(CONTENT_TYPE, "application/json");
                for (name, value) in headers {
                    request = request.header(name, value);
                }
                request.body(body)
            }
        };
        let request = request
            .header(ACCEPT, accept)
            .header(ACCEPT_ENCODING, IDENTITY)
            .header(CONNECTION, CLOSE);
        request.send().await.map_err(|error| reason(&error))
    }

    async fn send(&self, question: &Question<'_>, sent: Sent<'_>) -> Result<Reply, Error> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const IMAGES: HeaderValue =
            HeaderValue::from_static("image/png, image/jpeg, image/webp, image/gif");
        let accept = match sent {
            Sent::ForImage => IMAGES,
            Sent::Nothing | Sent::Json(_) | Sent::Form(..) | Sent::Signed(..) => JSON,
        };
        let mut response = self.respond(question, sent, accept).await?;
        let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
        let encodings = response.headers().get_all(CONTENT_ENCODING);
        if !encodings.iter().all(is_plain) {
            return Err(Error::Compressed);
        }
        let too_long = |length: usize| length > question.max;
        let announced = response.content_length().unwrap_or_default();
        if too_long(usize::try_from(announced).unwrap_or(usize::MAX)) {
            return Err(Error::TooLong(question.max));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| reason(&error))? {
            if too_long(body.len() + chunk.len()) {
                return Err(Error::TooLong(question.max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status(),
            headers: response.headers().clone(),
            body,
        })
    }
}

/// Requires JSON, or a type with the suffix `+json` (RFC 6839 §3.1).
///
/// # Errors
/// [`Error::NotJson`].
pub fn require_json(headers: &HeaderMap) -> Result<(), Error> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = kind
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json") {
        Ok(())
    } else {
        Err(Error::NotJson)
    }
}

/// The cause of a failed request, including a rejection by the SSRF guard.
fn reason(error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(unfit) = error.downcast_ref::<AddressError>() {
            return Error::Forbidden(unfit.clone());
        }
        if error.is::<Unresolved>() {
            return Error::Unresolved;
        }
        cause = error.source();
    }
    Error::Unreachable
}

/// The failure of [`Resolver`] to find an address.
#[derive(Debug, thiserror::Error)]
#[error("the name of the host has no address")]
struct Unresolved;

/// Resolves a name and accepts it if every address passes. The checked address is dialled; the name is
/// not resolved again (A-90, DNS rebinding).
#[derive(Debug)]
struct Resolver {
    policy: EgressPolicy,
    network: Arc<dyn Network>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, network) = (self.policy, Arc::clone(&self.network));
        Box::pin(async move {
            let found = network.addresses(name.as_str().to_owned()).await;
            let addresses = found.unwrap_or_default();
            if addresses.is_empty() {
                return Err(Unresolved.into());
            }
            if addresses.len() > ADDRESSES_MAX {
                return Err(AddressError::Addresses.into());
            }
            for address in &addresses {
                address::check(*address, policy)?;
            }
            let doors = addresses.into_iter().map(move |one| network.door(one));
            let doors: Addrs = Box::new(doors.collect::<Vec<_>>().into_iter());
            Ok(doors)
        })
    }
}

/// The IP address in a URL's host, if the host is a literal.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}
