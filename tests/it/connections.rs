//! Malformed HTTP/1.1 is rejected before routing (A-71, request smuggling), and slow clients time out
//! (A-72, slowloris).

use std::time::Duration;

use storyden_auth::timeouts::Timeouts;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PASSWORD, Server, both};

/// Returns a request head with `Host` and `Connection: close`.
fn head(line: &str, headers: &str) -> String {
    format!("{line}\r\nHost: auth.example\r\nConnection: close\r\n{headers}\r\n")
}

/// Returns the statuses of all responses to some bytes.
async fn statuses(server: &Server, bytes: &str) -> Vec<u16> {
    let answer = server.raw(bytes.as_bytes()).await;
    let starts = answer.match_indices("HTTP/1.1 ");
    starts
        .map(|(at, start)| answer[at + start.len()..][..3].parse().unwrap())
        .collect()
}

both! {
    /// A-71: well-formed requests over a raw connection succeed, as a control for the rejections below.
    async fn well_formed_request_is_answered(setup: Setup) {
        let server = setup.start().await;
        assert_eq!(statuses(&server, &head("GET /healthz HTTP/1.1", "")).await, [200]);
        let pipelined = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()
            + &head("GET /nothing HTTP/1.1", "");
        assert_eq!(statuses(&server, &pipelined).await, [200, 404]);
    }

    /// A-65: a request head longer than 64 KiB is rejected.
    async fn oversized_head_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let long = head("GET /healthz HTTP/1.1", &format!("X-Long: {}\r\n", "x".repeat(1_000_000)));
        assert_eq!(statuses(&server, &long).await, [431]);
        let many = head("GET /healthz HTTP/1.1", &"X-Many: x\r\n".repeat(1_000));
        assert_eq!(statuses(&server, &many).await, [431]);
        let path = format!("GET /{} HTTP/1.1", "x".repeat(1_000_000));
        let refused = statuses(&server, &head(&path, "")).await;
        assert!(refused == [414] || refused == [431], "{refused:?}");
    }

    /// A-65: a body longer than 32 KiB is rejected before the rest is read.
    async fn oversized_body_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10000000\r\n";
        let request = head("POST /api/oauth/token HTTP/1.1", form) + &"x".repeat(40_000);
        assert_eq!(statuses(&server, &request).await, [400]);
        let json = "Content-Type: application/json\r\nContent-Length: 10000000\r\n";
        let request = head("POST /api/auth/password/signin HTTP/1.1", json) + &"x".repeat(40_000);
        assert_eq!(statuses(&server, &request).await, [413]);
    }

    /// A-71: conflicting or malformed body lengths are request smuggling, because a proxy may use a
    /// different length.
    async fn conflicting_lengths_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let line = "POST /api/auth/logout HTTP/1.1";
        let smuggled = "0\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
        for headers in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 6\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "Transfer-Encoding: xchunked\r\n",
        ] {
            let request = format!("{line}\r\nHost: a\r\n{headers}\r\n{smuggled}");
            assert_eq!(statuses(&server, &request).await, [400], "{headers}");
        }
    }

    /// A-71: with both Content-Length and Transfer-Encoding, the chunks count and the connection is
    /// closed after the response (RFC 9112 §6.3).
    async fn length_and_chunks_close_the_connection(setup: Setup) {
        let server = setup.start().await;
        let (length, chunks) = ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n");
        let smuggled = "0\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\n\r\n";
        for headers in [format!("{length}{chunks}"), format!("{chunks}{length}")] {
            let line = "POST /api/auth/logout HTTP/1.1";
            let request = format!("{line}\r\nHost: a\r\n{headers}\r\n{smuggled}");
            assert_eq!(statuses(&server, &request).await, [302], "{headers}");
        }
    }

    /// A-71: violations of the HTTP/1.1 grammar are rejected.
    async fn grammar_violations_are_rejected(setup: Setup) {
        let server = setup.start().await;
        for request in [
            // bare line feeds
            "GET /healthz HTTP/1.1\nHost: a\n\n".to_owned(),
            "GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n".to_owned(),
            head("GET /healthz HTTP/1.1", "X: y\n"),
            "GET /healthz HTTP/1.1\r\nHost: a\r\n\n".to_owned(),
            head("GET /healthz HTTP/1.1", "X : space before the colon\r\n"),
            head("GET /healthz HTTP/1.1", "X: folded\r\n line\r\n"),
            head("GET /healthz HTTP/1.1", "X: nul\0\r\n"),
            head("GET /healthz HTTP/1.1", "X\r\n"),
            head("GET /heal thz HTTP/1.1", ""),
            head("GET /healthz HTTP/9.9", ""),
            head("G\u{e9}T /healthz HTTP/1.1", ""),
            "\0\0\0\0\r\n\r\n".to_owned(),
        ] {
            let statuses = statuses(&server, &request).await;
            assert_eq!(statuses, [400], "{request:?}");
        }
    }

    /// A-71: a bare line feed is rejected in every request of a connection, whether pipelined, kept
    /// alive or split.
    async fn bare_line_feed_is_rejected_in_every_request(setup: Setup) {
        let server = setup.start().await;
        let plain = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
        let body = "POST /api/auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\n\r\n\n";
        for bad in [
            "GET /healthz HTTP/1.1\nHost: a\n\n",
            "GET /healthz HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
            "GET /healthz HTTP/1.1\r\nHost: a\r\n\n",
            "\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            for (before, answers) in [
                (String::new(), vec![400]),
                (plain.to_owned(), vec![200, 400]),
                (body.to_owned(), vec![302, 400]),
                (plain.repeat(20), [vec![200; 20], vec![400]].concat()),
                (format!("{body}{plain}{body}"), vec![302, 200, 302, 400]),
            ] {
                let request = before + bad;
                assert_eq!(statuses(&server, &request).await, answers, "{request:?}");
            }
            // On a kept-alive connection, in two writes.
            let mut stream = connected(&server, plain).await;
            let mut answer = vec![0; 4_096];
            let read = stream.read(&mut answer).await.unwrap();
            assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
            let (first, rest) = bad.split_at(10);
            stream.write_all(first.as_bytes()).await.unwrap();
            stream.write_all(rest.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 400"), "{bad:?}: {answer}");
        }
        // Line feeds in a body do not affect the next request.
        assert_eq!(statuses(&server, &format!("{body}{}", head("GET /healthz HTTP/1.1", ""))).await, [302, 200]);
    }

    /// A-71: only the parser knows where chunks end, so the connection is closed after a chunked
    /// request.
    async fn chunked_request_closes_the_connection(setup: Setup) {
        let server = setup.start().await;
        let chunked = "POST /api/oauth/token HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
                       Content-Type: application/x-www-form-urlencoded\r\n\r\n\
                       5\r\ngrant\r\n8\r\n_type=\n\n\r\n0\r\n\r\n";
        for after in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /healthz HTTP/1.1\nHost: a\n\n"] {
            let answer = server.raw(format!("{chunked}{after}").as_bytes()).await;
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
            assert!(answer.contains("unsupported_grant_type"), "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    }

    /// A-71: line feeds in a body are accepted, also if the body arrives with the head.
    async fn line_feeds_in_a_body_are_accepted(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let body = format!("{{\n\"identifier\":\"frigg\",\n\"token\":\"{PASSWORD}\"\n}}\n\n");
        let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        let request = head("POST /api/auth/password/signin HTTP/1.1", &headers) + &body;
        assert_eq!(statuses(&server, &request).await, [200]);
    }

    /// A-70, A-71: the host of an absolute-form request target is ignored.
    async fn absolute_form_host_is_ignored(setup: Setup) {
        let server = setup.start().await;
        let line = "GET http://evil.example/.well-known/openid-configuration HTTP/1.1";
        let answer = server.raw(head(line, "").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""issuer":"https://auth.example""#) && !answer.contains("evil"));
    }

    /// A-72: silent, half-sent and byte-by-byte requests time out while other requests are served.
    async fn slow_clients_time_out(setup: Setup) {
        // Shorter than the test, and longer than a request takes on a busy machine.
        let short = Duration::from_secs(3);
        let mut setup = setup;
        setup.timeouts = Timeouts { head: short, body: short, idle: short, ..setup.timeouts };
        let server = setup.start().await;
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n";
        let half_a_body = head("POST /api/oauth/token HTTP/1.1", form) + "grant_type=";
        let mut slow = Vec::new();
        for said in ["", "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ", &half_a_body] {
            for _ in 0..50 {
                slow.push(connected(&server, said).await);
            }
        }
        let dribbling = tokio::spawn(dribble(connected(&server, "GET /").await));
        assert_eq!(statuses(&server, &head("GET /healthz HTTP/1.1", "")).await, [200]);
        for mut stream in slow {
            let mut said = String::new();
            let _ = stream.read_to_string(&mut said).await; // until the server closes the connection
            assert!(said.is_empty() || said.contains("did not arrive in time"), "{said}");
        }
        assert!(dribbling.await.unwrap() < DRIBBLE_BYTES, "the server took it for ever");
    }
}

/// Opens a connection and sends some text.
async fn connected(server: &Server, said: &str) -> TcpStream {
    let address = server.address.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    stream
}

/// Number of bytes that `dribble` sends in a minute.
const DRIBBLE_BYTES: usize = 6_000;

/// Sends a byte every 10 ms until the server closes the connection, and returns the number of bytes
/// sent.
async fn dribble(mut stream: TcpStream) -> usize {
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    for said in 0..DRIBBLE_BYTES {
        pace.tick().await;
        if stream.write_all(b"x").await.is_err() {
            return said;
        }
    }
    DRIBBLE_BYTES
}
