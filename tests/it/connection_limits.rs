//! Bounds on connections: a share for each network, and idle connections that give way.

use std::net::{Ipv4Addr, SocketAddr};

use storyden_auth::keys::SigningTurn;
use storyden_auth::server::ConnectionLimits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Server, Setup, both};

/// A server with a bound on all connections, and on those of one address.
async fn start(setup: Setup, total: usize, per_network: usize, proxies: &str) -> Server {
    let mut setup = setup.with("TRUSTED_PROXIES", proxies);
    setup.connections = ConnectionLimits { total, per_network };
    setup.start().await
}

/// A connection from 127.0.0.`host` that sends nothing yet.
async fn silent(server: &Server, host: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, host), 0));
    socket.bind(from).unwrap();
    let to = server.address.strip_prefix("http://").unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

/// Sends a request and reads its answer; false if the connection was closed.
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

/// A connection that was answered once and is kept open.
async fn kept_alive(server: &Server, host: u8) -> TcpStream {
    let mut stream = silent(server, host).await;
    assert!(is_served(&mut stream).await);
    stream
}

/// Waits until so many connections are idle: a client has its answer a moment before that.
async fn idle(server: &Server, count: usize) {
    while server.app.places.load().idle != count {
        tokio::task::yield_now().await;
    }
}

/// A connection with a request whose body is awaited.
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

/// Requests that are being answered for as long as this exists: they wait for a signature.
struct Busy<'a> {
    server: &'a Server,
    _turns: Vec<SigningTurn>,
    body: String,
}

impl<'a> Busy<'a> {
    async fn begin(server: &'a Server) -> Self {
        let owner = server.member("frigg", &["USE_OAUTH_CLIENTS"]).await;
        let service = server.confidential_client(&owner.id).await;
        let secret = service.secret.unwrap();
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", &service.client_id)
            .append_pair("client_secret", &secret)
            .finish();
        let keys = server.app.keys.as_ref().unwrap();
        let mut turns = Vec::new();
        for _ in 0..keys.free_turns() {
            turns.push(keys.turn().await.unwrap());
        }
        Self {
            server,
            _turns: turns,
            body,
        }
    }

    /// A connection with a request that is being answered.
    async fn connection(&self, host: u8) -> TcpStream {
        let keys = self.server.app.keys.as_ref().unwrap();
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

/// Reads the answer to a request that was being answered.
async fn answered(mut stream: TcpStream) {
    let mut answer = [0; 4_096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    assert!(answer.starts_with(b"HTTP/1.1 200"));
}

/// Waits for the server to close a connection.
async fn closed(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await; // an end or a reset
    assert!(rest.is_empty());
}

both! {
    /// an address with its share of connections in use gets no more; others are served.
    async fn one_address_has_a_share(setup: Setup) {
        let server = start(setup, 100, 3, "").await;
        let busy = Busy::begin(&server).await;
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(busy.connection(9).await);
        }
        closed(silent(&server, 9).await).await;
        assert_eq!(server.app.places.load().refused_by_share, 1);
        drop(kept_alive(&server, 8).await);
        drop(busy);
        for stream in held {
            answered(stream).await;
        }
        kept_alive(&server, 9).await;
    }

    /// at its share, an address's own longest idle connection gives way to its next.
    async fn the_longest_idle_of_the_address_gives_way_to_its_next(setup: Setup) {
        let server = start(setup, 100, 3, "").await;
        let mut other = silent(&server, 2).await;
        let first = silent(&server, 9).await;
        let mut second = silent(&server, 9).await;
        let kept = kept_alive(&server, 9).await;
        idle(&server, 4).await;
        let mut next = kept_alive(&server, 9).await; // for the one that was answered
        closed(kept).await;
        idle(&server, 4).await;
        let half = half_sent(&server, 9).await; // for `next`, which was answered too
        assert!(!is_served(&mut next).await);
        let last = silent(&server, 9).await; // for the older of the silent ones
        closed(first).await;
        assert!(is_served(&mut other).await && is_served(&mut second).await);
        let load = server.app.places.load();
        assert_eq!((load.closed_for_room, load.refused_by_share), (3, 0));
        drop((half, last));
    }

    /// when every place is taken, the longest idle connection of all gives way, and a newcomer is
    /// served: first those that were answered, then those that sent nothing, then those in the middle of
    /// a request. Requests that have arrived stay, and a newcomer is refused where there is nothing else.
    async fn the_longest_idle_of_all_gives_way_to_a_newcomer(setup: Setup) {
        let server = start(setup, 4, 4, "").await;
        let busy = Busy::begin(&server).await;
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
        let load = server.app.places.load();
        assert_eq!((load.open, load.idle, load.closed_for_room), (4, 0, 3));
        assert_eq!((load.refused_by_share, load.refused_when_full), (0, 1));
        drop(busy);
        for stream in held {
            answered(stream).await;
        }
        kept_alive(&server, 7).await;
    }

    /// a trusted proxy has the connections of all its clients, so it has no share.
    async fn a_trusted_proxy_has_no_share(setup: Setup) {
        let server = start(setup, 100, 2, "127.0.0.1").await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(half_sent(&server, 1).await);
        }
        let load = server.app.places.load();
        assert_eq!((load.open, load.closed_for_room), (10, 0));
    }
}
