//! Bounds on connections: a share for each network, and idle connections that give way.

use std::net::{Ipv4Addr, SocketAddr};

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
async fn busy(server: &Server, host: u8) -> TcpStream {
    let mut stream = silent(server, host).await;
    let head = "POST /api/oauth/token HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 5\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// Sends the rest of a request, and reads the answer.
async fn finish(mut stream: TcpStream) {
    stream.write_all(b"a=b&c").await.unwrap();
    let mut answer = [0; 4_096];
    assert!(stream.read(&mut answer).await.unwrap() > 0);
    assert!(answer.starts_with(b"HTTP/1.1 400"));
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
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(busy(&server, 1).await);
        }
        closed(silent(&server, 1).await).await;
        assert_eq!(server.app.places.load().refused_by_share, 1);
        drop(kept_alive(&server, 2).await);
        for stream in held {
            finish(stream).await;
        }
        kept_alive(&server, 1).await;
    }

    /// at its share, an address's own longest idle connection gives way to its next.
    async fn the_longest_idle_of_the_address_gives_way_to_its_next(setup: Setup) {
        let server = start(setup, 100, 3, "").await;
        let mut other = silent(&server, 2).await;
        let first = silent(&server, 1).await;
        let mut second = silent(&server, 1).await;
        let kept = kept_alive(&server, 1).await;
        idle(&server, 4).await;
        let mut next = kept_alive(&server, 1).await; // for the one that was answered
        closed(kept).await;
        idle(&server, 4).await;
        let busy = busy(&server, 1).await; // for `next`, which was answered too
        assert!(!is_served(&mut next).await);
        let last = silent(&server, 1).await; // for the older of the silent ones
        closed(first).await;
        assert!(is_served(&mut other).await && is_served(&mut second).await);
        finish(busy).await;
        let load = server.app.places.load();
        assert_eq!((load.closed_for_room, load.refused_by_share), (3, 0));
        drop(last);
    }

    /// when every place is taken, the longest idle connection of all gives way, and a newcomer is
    /// served: first those that were answered, then those that sent nothing.
    async fn the_longest_idle_of_all_gives_way_to_a_newcomer(setup: Setup) {
        let server = start(setup, 4, 4, "").await;
        let mut held = vec![busy(&server, 1).await];
        let silent = silent(&server, 2).await;
        let older = kept_alive(&server, 3).await;
        idle(&server, 2).await;
        let newer = kept_alive(&server, 4).await;
        idle(&server, 3).await;
        for gives_way in [older, newer, silent] {
            held.push(busy(&server, 5).await);
            closed(gives_way).await;
        }
        let load = server.app.places.load();
        assert_eq!((load.open, load.idle, load.closed_for_room), (4, 0, 3));
        assert_eq!((load.refused_by_share, load.refused_when_full), (0, 0));
        for stream in held {
            finish(stream).await;
        }
    }

    /// while every connection is being answered, a newcomer is refused and nothing is cut off.
    async fn nothing_is_cut_off_for_a_newcomer(setup: Setup) {
        let server = start(setup, 2, 2, "").await;
        let held = [busy(&server, 1).await, busy(&server, 2).await];
        closed(silent(&server, 3).await).await;
        let load = server.app.places.load();
        assert_eq!((load.open, load.refused_when_full, load.closed_for_room), (2, 1, 0));
        for stream in held {
            finish(stream).await;
        }
        kept_alive(&server, 3).await;
    }

    /// a trusted proxy has the connections of all its clients, so it has no share.
    async fn a_trusted_proxy_has_no_share(setup: Setup) {
        let server = start(setup, 100, 2, "127.0.0.1").await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(busy(&server, 1).await);
        }
        assert_eq!(server.app.places.load().open, 10);
        for stream in held {
            finish(stream).await;
        }
    }
}
