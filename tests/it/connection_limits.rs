//! Connection limits: a share for each network, and eviction of idle connections.

use std::net::{Ipv4Addr, SocketAddr};

use storyden_auth::keys::SigningPermit;
use storyden_auth::rate_limit::connections::ConnectionLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Server, Setup, both};

/// Starts a server with a limit for all connections and a limit per network.
async fn start(setup: Setup, total: usize, per_network: usize, proxies: &str) -> Server {
    let mut setup = setup.with("TRUSTED_PROXIES", proxies);
    setup.connections = ConnectionLimits { total, per_network };
    setup.start().await
}

/// Opens a connection from 127.0.0.`host` without sending a request.
async fn silent(server: &Server, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(from).unwrap();
    let to = server.address.strip_prefix("http://").unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

/// Sends a request and reads the response; false if the connection was closed.
async fn is_served(stream: &mut TcpStream) -> bool {
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut answer = [0; 4_096];
    if stream.write_all(request).await.is_err() {
        return false;
    }
    match stream.read(&mut answer).await {
        Ok(read) => read > 0 && answer.starts_with(b"HTTP/1.1 200"),
        Err(_) => false,
    }
}

/// Opens a connection, sends a request, and keeps the connection alive.
async fn kept_alive(server: &Server, host: u8) -> TcpStream {
    let mut stream = silent(server, host).await;
    assert!(is_served(&mut stream).await);
    stream
}

/// Waits until `count` connections are idle, because a response arrives before the server marks the
/// connection idle.
async fn idle(server: &Server, count: usize) {
    while server.context.places.load().idle != count {
        tokio::task::yield_now().await;
    }
}

/// Opens a connection with a request that is missing the body.
async fn half_sent(server: &Server, host: u8) -> TcpStream {
    let mut stream = silent(server, host).await;
    let head = "POST /api/oauth/token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Holds all signing permits, so that token requests stay in progress until this value is dropped.
struct RequestsInProgress<'a> {
    server: &'a Server,
    _turns: Vec<SigningPermit>,
    body: String,
}

impl<'a> RequestsInProgress<'a> {
    async fn begin(server: &'a Server) -> Self {
        let owner = server.member("frigg", &["USE_OAUTH_CLIENTS"]).await;
        let service = server.confidential_client(&owner.id).await;
        let secret = service.secret.unwrap();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &service.client_id)
            .append_pair("client_secret", &secret)
            .finish();
        let keys = server.context.keys.as_ref().unwrap();
        let mut turns = Vec::new();
        for _ in 0..keys.free_permits() {
            turns.push(keys.turn().await.unwrap());
        }
        Self {
            server,
            _turns: turns,
            body,
        }
    }

    /// Opens a connection with a request in progress.
    async fn connection(&self, host: u8) -> TcpStream {
        let keys = self.server.context.keys.as_ref().unwrap();
        let before = keys.waiting();
        let mut stream = silent(self.server, host).await;
        let head = format!(
            "POST /api/oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n",
            self.body.len()
        );
        let request = head + &self.body;
        stream.write_all(request.as_bytes()).await.unwrap();
        while keys.waiting() == before {
            tokio::task::yield_now().await;
        }
        stream
    }
}

/// Reads the response of a request in progress.
async fn assert_answered(mut stream: TcpStream) {
    let mut answer = [0; 4_096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Waits for the server to close a connection.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await; // EOF or a reset
    assert!(rest.is_empty());
}

both! {
    /// an address with a full share of busy connections gets no more; other addresses are served.
    async fn address_is_limited_to_its_share(setup: Setup) {
        let server = start(setup, 100, 3, "").await;
        let busy = RequestsInProgress::begin(&server).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(busy.connection(9).await);
        }
        closed(silent(&server, 9).await).await;
        assert_eq!(server.context.places.load().refused_by_network, 1);
        drop(kept_alive(&server, 8).await);
        drop(busy);
        for stream in held {
            assert_answered(stream).await;
        }
        kept_alive(&server, 9).await;
    }

    /// with a full share, a new connection evicts the longest idle connection of the same
    /// address.
    async fn full_share_evicts_own_longest_idle(setup: Setup) {
        let server = start(setup, 100, 3, "").await;
        let mut other = silent(&server, 2).await;
        let first = silent(&server, 9).await;
        let mut second = silent(&server, 9).await;
        let kept = kept_alive(&server, 9).await;
        idle(&server, 4).await;
        let mut next = kept_alive(&server, 9).await; // evicts `kept`
        closed(kept).await;
        idle(&server, 4).await;
        let half = half_sent(&server, 9).await; // evicts `next`, which is kept alive too
        assert!(!is_served(&mut next).await);
        let last = silent(&server, 9).await; // evicts `first`, the older silent connection
        closed(first).await;
        assert!(is_served(&mut other).await && is_served(&mut second).await);
        let load = server.context.places.load();
        assert_eq!((load.evicted_idle, load.refused_by_network), (3, 0));
        drop((half, last));
    }

    /// with all places taken, a new connection evicts the longest idle connection: kept-alive
    /// connections first, then silent ones, then half-sent requests. Requests in progress are never
    /// evicted; if nothing is idle, the new connection is rejected.
    async fn full_server_evicts_longest_idle(setup: Setup) {
        let server = start(setup, 4, 4, "").await;
        let busy = RequestsInProgress::begin(&server).await;
        let mut held = vec![busy.connection(2).await];
        let half = half_sent(&server, 3).await;
        let silent_one = silent(&server, 4).await;
        let kept = kept_alive(&server, 5).await;
        idle(&server, 3).await;
        for gives_way in [kept, silent_one, half] {
            held.push(busy.connection(6).await);
            closed(gives_way).await;
        }
        closed(silent(&server, 7).await).await;
        let load = server.context.places.load();
        assert_eq!((load.open, load.idle, load.evicted_idle), (4, 0, 3));
        assert_eq!((load.refused_by_network, load.refused_when_full), (0, 1));
        drop(busy);
        for stream in held {
            assert_answered(stream).await;
        }
        kept_alive(&server, 7).await;
    }

    /// a trusted proxy carries the connections of many clients, so no share applies.
    async fn trusted_proxy_has_no_share(setup: Setup) {
        let server = start(setup, 100, 2, "127.0.0.1").await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(half_sent(&server, 1).await);
        }
        let load = server.context.places.load();
        assert_eq!((load.open, load.evicted_idle), (10, 0));
    }
}
