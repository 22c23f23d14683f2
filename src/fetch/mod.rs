//! The only way out: every HTTP request that this program makes.
//!
//! What a stranger names is asked through [`Fetch`]: the name is resolved once, every address of it
//! is checked ([`address`]), and one of the checked addresses is dialled. No proxy of the environment,
//! no redirect, no compression; bytes, time and connections are bounded, per host and in all
//! (`gate`).

pub mod address;
mod gate;
pub mod network;

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use address::{Opening, Unfit};
use gate::Gate;
use network::Network;

/// How long a command waits for an answer.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);

/// Who asks.
const AGENT: &str = concat!("storyden-auth/", env!("CARGO_PKG_VERSION"));

/// The most addresses of a name that are looked at; a name with more is refused.
const ADDRESSES_MAX: usize = 32;

/// A client for commands, which ask a server that their user names: it follows no redirect and uses
/// no proxy of the environment.
///
/// # Errors
/// When the system's TLS roots cannot be read.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that makes an HTTP client"
)]
pub fn command_client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(COMMAND_TIMEOUT)
        .user_agent(AGENT)
        .build()
}

/// What may be asked.
#[derive(Clone, Debug)]
pub struct Rules {
    /// How far the way out is open.
    pub opening: Opening,
    /// The ports that may be dialled; any while `opening` is not [`Opening::Closed`].
    pub ports: Vec<u16>,
    /// This server's own hosts, which it never asks.
    pub own_hosts: Vec<String>,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What is asked.
    pub url: &'a Url,
    /// The longest body, in bytes.
    pub max: usize,
    /// How long it may take in all, from the name to the last byte.
    pub deadline: Duration,
}

/// What is sent with a question.
#[derive(Debug)]
pub enum Sent<'a> {
    /// Nothing: a `GET`.
    Nothing,
    /// A JSON document, posted.
    Json(&'a serde_json::Value),
    /// A form, posted, with HTTP Basic credentials where there are any.
    Form(&'a [(&'a str, &'a str)], Option<(String, String)>),
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

/// What came back: a JSON document that was answered with 200.
#[derive(Debug)]
pub struct Found {
    /// The body.
    pub body: Vec<u8>,
    /// The `Cache-Control` header, where it is text.
    pub cache_control: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The URL, or an address of its host, is none that is asked. Nothing was sent.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// Too many questions are being asked already. Nothing was sent.
    #[error("too many requests are under way")]
    Busy,
    /// TLS cannot be set up here.
    #[error("this server has no certificate authorities")]
    NoTrust,
    /// There was no whole answer: no address, no connection, TLS that does not hold, a broken body.
    #[error("the host did not answer")]
    Unreachable,
    /// It took too long.
    #[error("the host did not answer in time")]
    Slow,
    /// Another status than 200; redirects are not followed.
    #[error("the host answered with status {0}")]
    Status(u16),
    /// The body is of another type than JSON.
    #[error("the answer is not JSON by its Content-Type")]
    NotJson,
    /// The body is compressed although nobody asked for that.
    #[error("the answer is compressed")]
    Compressed,
    /// The body is too long.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Error {
    /// Whether the same question may get an answer a little later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Busy | Self::NoTrust | Self::Unreachable | Self::Slow => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::Unfit(_) | Self::NotJson | Self::Compressed | Self::TooLong(_) => false,
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
    /// The way out under some rules, over a network. What it needs of the system is looked up when
    /// something is first asked.
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
        reason = "the one place that makes an HTTP client"
    )]
    fn client(&self) -> Result<&reqwest::Client, Error> {
        let client = self.client.get_or_init(|| {
            let resolver = Resolver {
                opening: self.rules.opening,
                network: Arc::clone(&self.network),
            };
            let builder = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .http1_only()
                .pool_max_idle_per_host(0)
                .referer(false)
                .retry(reqwest::retry::never())
                .tls_danger_accept_invalid_certs(self.rules.opening == Opening::Everything)
                .user_agent(AGENT)
                .dns_resolver(Arc::new(resolver));
            let builder = self.network.trust(builder);
            let failed = |error: &reqwest::Error| {
                tracing::error!(%error, "TLS cannot be set up, so nothing is fetched; are the \
                    system's certificate authorities (ca-certificates) installed?");
            };
            builder.build().inspect_err(failed).ok()
        });
        client.as_ref().ok_or(Error::NoTrust)
    }

    /// Asks for a JSON document.
    ///
    /// # Errors
    /// Why there is none.
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

    /// Asks, and takes an answer of any status and type. Redirects are not followed: they are answers.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn ask(&self, question: Question<'_>, sent: Sent<'_>) -> Result<Reply, Error> {
        let host = address::check_url(question.url, &self.rules)?;
        let deadline = question.deadline;
        let asked = tokio::time::timeout(deadline, async {
            let _turn = self.gate.enter(&host).await.ok_or(Error::Busy)?;
            self.send(&question, sent).await
        });
        asked.await.unwrap_or(Err(Error::Slow))
    }

    async fn send(&self, question: &Question<'_>, sent: Sent<'_>) -> Result<Reply, Error> {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        const IDENTITY: HeaderValue = HeaderValue::from_static("identity");
        const CLOSE: HeaderValue = HeaderValue::from_static("close");
        let (client, url) = (self.client()?, question.url.clone());
        let request = match sent {
            Sent::Nothing => client.get(url),
            Sent::Json(document) => client.post(url).json(document),
            Sent::Form(form, None) => client.post(url).form(form),
            Sent::Form(form, Some((name, secret))) => {
                client.post(url).form(form).basic_auth(name, Some(secret))
            }
        };
        let request = request
            .header(ACCEPT, JSON)
            .header(ACCEPT_ENCODING, IDENTITY)
            .header(CONNECTION, CLOSE);
        let mut response = request.send().await.map_err(|error| reason(&error))?;
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

/// Plain JSON, or a type that is JSON by its suffix (RFC 6839 §3.1).
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

/// What stands behind a failure; the guard's own refusal among it.
fn reason(error: &reqwest::Error) -> Error {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(unfit) = error.downcast_ref::<Unfit>() {
            return Error::Unfit(unfit.clone());
        }
        cause = error.source();
    }
    Error::Unreachable
}

/// Resolves a name and lets it pass when every address of it does. What passes is what is dialled:
/// nobody resolves it again.
#[derive(Debug)]
struct Resolver {
    opening: Opening,
    network: Arc<dyn Network>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (opening, network) = (self.opening, Arc::clone(&self.network));
        Box::pin(async move {
            let addresses = network.addresses(name.as_str().to_owned()).await?;
            if addresses.len() > ADDRESSES_MAX {
                return Err(Unfit::Addresses.into());
            }
            for address in &addresses {
                address::check(*address, opening)?;
            }
            let doors = addresses.into_iter().map(move |one| network.door(one));
            let doors: Addrs = Box::new(doors.collect::<Vec<_>>().into_iter());
            Ok(doors)
        })
    }
}

/// The address that a URL's host is written as, if it is one.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}
