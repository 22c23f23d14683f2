//! A simulated internet: host names with arbitrary addresses, and TLS hosts with arbitrary responses.
//! No packet leaves this computer.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use storyden_auth::egress::network::{Addresses, Network};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::server::Setup;

/// The simulated internet, without hosts at first.
#[derive(Clone)]
pub(crate) struct SimulatedInternet(Arc<World>);

struct World {
    /// DNS responses of a name, in sequence; the last response repeats.
    names: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    /// Listening socket of an address.
    listeners: Mutex<HashMap<IpAddr, SocketAddr>>,
    resolved: AtomicUsize,
    dialled: Mutex<Vec<IpAddr>>,
    authority: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

impl SimulatedInternet {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap().der().clone();
        Self(Arc::new(World {
            names: Mutex::default(),
            listeners: Mutex::default(),
            resolved: AtomicUsize::new(0),
            dialled: Mutex::default(),
            authority: Issuer::new(params, key),
            root,
        }))
    }

    /// Connects a setup to this internet, with fetch timeouts for a busy machine.
    pub(crate) fn around(&self, mut setup: Setup) -> Setup {
        setup.network = Arc::<World>::clone(&self.0);
        setup.timeouts.fetch = Duration::from_mins(2);
        setup
    }

    /// Sets the DNS responses of a name, each used once.
    pub(crate) fn name(&self, name: &str, answers: &[&[&str]]) {
        let parse = |answer: &&[&str]| answer.iter().map(|one| one.parse().unwrap()).collect();
        let answers = answers.iter().map(parse).collect();
        self.0
            .names
            .lock()
            .unwrap()
            .insert(name.to_owned(), answers);
    }

    /// Counts the DNS resolutions.
    pub(crate) fn resolved(&self) -> usize {
        self.0.resolved.load(Ordering::SeqCst)
    }

    /// Returns the addresses that passed the SSRF guard and were dialled.
    pub(crate) fn dialled(&self) -> Vec<IpAddr> {
        self.0.dialled.lock().unwrap().clone()
    }

    /// Creates a host with a name and a public address.
    pub(crate) async fn host(&self, name: &str) -> Host {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = {
            let mut listeners = self.0.listeners.lock().unwrap();
            let number = u8::try_from(listeners.len() + 1).unwrap();
            let address = IpAddr::from([93, 184, 216, number]);
            listeners.insert(address, listener.local_addr().unwrap());
            address
        };
        self.name(name, &[&[&address.to_string()]]);
        let host = Host {
            name: name.to_owned(),
            address,
            inner: Arc::default(),
        };
        let acceptor = self.acceptor(name);
        tokio::spawn(host.clone().serve(listener, acceptor));
        host
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0.authority).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Network for World {
    fn addresses(&self, name: String) -> Addresses {
        self.resolved.fetch_add(1, Ordering::SeqCst);
        let mut names = self.names.lock().unwrap();
        let found = names.get_mut(&name).map(|answers| {
            if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0].clone()
            }
        });
        let unknown = || io::Error::other(format!("{name} is not known"));
        let found = found.ok_or_else(unknown);
        Box::pin(async move { found })
    }

    fn door(&self, address: IpAddr) -> SocketAddr {
        self.dialled.lock().unwrap().push(address);
        let listeners = self.listeners.lock().unwrap();
        let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
        listeners.get(&address).copied().unwrap_or(nobody)
    }

    fn trust(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        let root = reqwest::Certificate::from_der(&self.root).unwrap();
        client.tls_certs_only([root])
    }
}

/// The response of a host.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Sends these bytes and closes.
    Raw(Vec<u8>),
    /// Sends these bytes, and then slow single bytes without end.
    Drip(Vec<u8>),
    /// Sends the first bytes, and then repeats the second bytes without end.
    Flood(Vec<u8>, Vec<u8>),
    /// Accepts the request and never responds.
    Silence,
    /// Accepts the connection without a TLS handshake.
    Stall,
}

impl Reply {
    /// Builds a JSON response with a status and headers.
    pub(crate) fn json(status: &str, headers: &str, document: &Value) -> Self {
        Self::body(
            status,
            &format!("Content-Type: application/json\r\n{headers}"),
            &document.to_string(),
        )
    }

    /// Builds a response with any body.
    pub(crate) fn body(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        Self::Raw(head.into_bytes())
    }
}

/// A host of the simulated internet.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    replies: Mutex<HashMap<String, Reply>>,
    asked: Mutex<Vec<String>>,
    open: AtomicUsize,
}

impl Host {
    /// Returns the URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.name)
    }

    /// Sets the response at a path, or of a single method, as in `POST /mcp`.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        let mut replies = self.inner.replies.lock().unwrap();
        replies.insert(path.to_owned(), reply);
    }

    /// Returns the requests to a path, with head and body.
    pub(crate) fn asked_at(&self, path: &str) -> Vec<String> {
        let is_at = |request: &String| request.split(' ').nth(1) == Some(path);
        self.asked().into_iter().filter(is_at).collect()
    }

    /// Publishes a client metadata document at a path, and returns the client id.
    pub(crate) fn publish(&self, path: &str, changes: &Value) -> String {
        self.publish_with(path, "", changes)
    }

    /// Publishes a client metadata document with additional response headers, and returns the client
    /// id.
    pub(crate) fn publish_with(&self, path: &str, headers: &str, changes: &Value) -> String {
        let id = self.url(path);
        let mut document = json!({
            "client_id": id, "client_name": "An Editor", "redirect_uris": [self.url("/cb")],
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.reply(path, Reply::json("200 OK", headers, &document));
        id
    }

    /// Returns all requests, with head and body.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.inner.asked.lock().unwrap().clone()
    }

    /// Counts the open connections.
    pub(crate) fn open(&self) -> usize {
        self.inner.open.load(Ordering::SeqCst)
    }

    async fn serve(self, listener: TcpListener, acceptor: TlsAcceptor) {
        while let Ok((stream, _)) = listener.accept().await {
            let (host, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                host.inner.open.fetch_add(1, Ordering::SeqCst);
                let _ = host.answer(stream, acceptor).await;
                host.inner.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    }

    async fn answer(&self, stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
        let stalls = |reply: &Reply| matches!(reply, Reply::Stall);
        if self.inner.replies.lock().unwrap().values().any(stalls) {
            let mut stream = stream;
            let mut byte = [0];
            while stream.read(&mut byte).await? > 0 {}
            return Ok(());
        }
        let mut stream = acceptor.accept(stream).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let mut head = String::from_utf8_lossy(&head).into_owned();
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.split('\r').next());
        let length = length.and_then(|length| length.parse::<usize>().ok());
        let mut body = vec![0; length.unwrap_or_default()];
        stream.read_exact(&mut body).await?;
        head.push_str(&String::from_utf8_lossy(&body));
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        drop(words);
        self.inner.asked.lock().unwrap().push(head);
        let reply = {
            let replies = self.inner.replies.lock().unwrap();
            let of_method = replies.get(&format!("{method} {path}"));
            of_method.or_else(|| replies.get(&path)).cloned()
        };
        match reply {
            None => {
                let missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(missing).await?;
            }
            Some(Reply::Raw(bytes)) => stream.write_all(&bytes).await?,
            Some(Reply::Drip(bytes)) => {
                stream.write_all(&bytes).await?;
                loop {
                    stream.write_all(b" ").await?;
                    stream.flush().await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Some(Reply::Flood(first, again)) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
            Some(Reply::Silence | Reply::Stall) => while stream.read_u8().await.is_ok() {},
        }
        stream.shutdown().await
    }
}
