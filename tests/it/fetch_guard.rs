//! SSRF guard for client metadata documents and key sets (A-87 to A-98, T20): only public addresses are
//! dialled, with bounded size, time and concurrency. The tests use tables, through authorize
//! (documents) and the token endpoint (keys).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::json;
use storyden_auth::egress::address::is_public;

use crate::support::simulated_internet::{Host, Reply, SimulatedInternet};
use crate::support::{Answer, Client, Member, Server, Setup, both, free_port};

/// Non-public addresses: every special-purpose network, unallocated space, and IPv4 addresses embedded
/// in IPv6.
pub(crate) const NON_PUBLIC_ADDRESSES: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.5",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "127.0.0.1",
    "127.1.2.3",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.5",
    "::ffff:93.184.216.1",
    "64:ff9b::7f00:1",
    "64:ff9b::5db8:d801",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:5db8:d801::",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "4000::1",
];

/// Numeric forms of addresses, and names of the local host (A-89).
pub(crate) const OBFUSCATED_HOSTS: &[&str] = &[
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "127.1",
    "127.0.1",
    "0",
    "017700000001",
    "3232235777",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "a.b.localhost.",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "127.0.0.1.",
    "0x0a000005",
    "169.254.43518",
];

fn client(id: &str) -> Client {
    Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: id.to_owned(),
        secret: None,
        redirect_uri: "https://app.example/cb".to_owned(),
    }
}

/// Starts a server with a rate limit above the length of the tables.
async fn begin(setup: Setup) -> (Server, Member, SimulatedInternet) {
    let outside = SimulatedInternet::new();
    let setup = outside.around(setup).with("RATE_LIMIT", "1000000000");
    let server = setup.start().await;
    let frigg = server.member("frigg", &[]).await;
    (server, frigg, outside)
}

/// Fails unless the answer is `invalid_client`, with a text that does not reveal the address.
fn refused_for(answer: &Answer, id: &str) {
    assert_eq!(answer.status, 400, "{id}: {}", answer.body);
    assert_eq!(answer.text("error"), "invalid_client", "{id}");
}

/// A client assertion that is valid except for the signature.
fn unsigned(server: &Server, client_id: &str) -> String {
    use base64::Engine as _;
    let text = |value: serde_json::Value| {
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let exp = server.clock.now().unix_seconds() + 60;
    let claims = json!({
        "iss": client_id, "sub": client_id, "aud": "https://auth.example", "exp": exp, "jti": "x",
    });
    format!("{}.{}.AAAA", text(json!({ "alg": "ES256" })), text(claims))
}

fn bracketed(address: &str) -> String {
    if address.contains(':') {
        format!("[{address}]")
    } else {
        address.to_owned()
    }
}

both! {
    /// A-87, A-88, A-89, req_157, T20: no non-public address is dialled, in any notation, as a
    /// literal or by DNS. A name with such an address beside public addresses is rejected as a whole.
    async fn an_address_that_is_not_public_is_never_dialled(setup: Setup) {
        let (server, frigg, outside) = begin(setup).await;
        let public = "93.184.216.34";
        let mut cases = 0;
        let mut ids: Vec<String> = OBFUSCATED_HOSTS.iter().map(|host| format!("https://{host}/c")).collect();
        for (number, address) in NON_PUBLIC_ADDRESSES.iter().enumerate() {
            ids.push(format!("https://{}/c", bracketed(address)));
            let answers: [&[&str]; 4] = [
                &[address], &[public, address], &[address, public], &[public, "2606:2800:220:1::1", address],
            ];
            for (kind, answer) in answers.into_iter().enumerate() {
                let name = format!("n{number}k{kind}.example");
                outside.name(&name, &[answer]);
                ids.push(format!("https://{name}/c"));
            }
        }
        for id in &ids {
            refused_for(&server.authorize(Some(&frigg), &client(id), &[]).await, id);
            cases += 1;
        }
        assert_eq!(cases, OBFUSCATED_HOSTS.len() + 5 * NON_PUBLIC_ADDRESSES.len());
        assert_eq!(outside.dialled(), Vec::<IpAddr>::new());
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM oauth_clients", &[]).await, 0);
    }

    /// A-87, A-88, A-89, req_148, T20: the `jwks_uri` of a client is fetched through the same guard.
    async fn a_clients_keys_are_fetched_through_the_same_guard(setup: Setup) {
        let (server, _, outside) = begin(setup.with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")).await;
        let mut hosts: Vec<String> = OBFUSCATED_HOSTS.iter().map(|host| (*host).to_owned()).collect();
        for (number, address) in NON_PUBLIC_ADDRESSES.iter().enumerate() {
            let name = format!("n{number}.example");
            outside.name(&name, &[&["93.184.216.34", address]]);
            hosts.extend([bracketed(address), name]);
        }
        for host in &hosts {
            let document = json!({
                "redirect_uris": ["https://app.example/cb"], "jwks_uri": format!("https://{host}/keys"),
                "token_endpoint_auth_method": "private_key_jwt",
            });
            let request = server.request("POST", "/api/oauth/register").json(&document);
            let id = server.send(request).await.expect(201).text("client_id");
            let assertion = unsigned(&server, &id);
            let form = [
                ("grant_type", "refresh_token"), ("refresh_token", "x"),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &assertion),
            ];
            let answer = server.token(&form).await;
            assert_eq!(answer.status, 503, "{host}: {}", answer.body);
        }
        assert_eq!(hosts.len(), OBFUSCATED_HOSTS.len() + 2 * NON_PUBLIC_ADDRESSES.len());
        assert_eq!(outside.dialled(), Vec::<IpAddr>::new());
    }

    /// A-90: the address that was checked is the address that is dialled. A name is resolved only once
    /// for each fetch, so DNS rebinding has no effect.
    async fn dns_rebinding_has_no_effect(setup: Setup) {
        let (server, frigg, outside) = begin(setup).await;
        let host = outside.host("app.example").await;
        let public = host.address.to_string();
        outside.name("app.example", &[&[&public], &["127.0.0.1"]]);
        let id = host.publish_with("/c", "Cache-Control: no-store\r\n", &json!({}));
        server.authorize(Some(&frigg), &client(&id), &[]).await.expect(302);
        assert_eq!((outside.resolved(), outside.dialled()), (1, vec![host.address]));
        refused_for(&server.authorize(Some(&frigg), &client(&id), &[]).await, &id);
        assert_eq!((outside.resolved(), outside.dialled()), (2, vec![host.address]));
    }

    /// A-87, A-88: an internal name and an unknown name get the same answer at the device start, which
    /// needs no account, and at authorize: the guard cannot be used to map an internal network.
    async fn internal_and_unknown_names_get_the_same_answer(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let outside = SimulatedInternet::new();
            let setup = outside.around(setup.clone()).with("OAUTH_PROFILE", profile).with("OAUTH_CIMD_ENABLED", "true");
            let server = setup.start().await;
            let frigg = server.member(&format!("frigg{}", profile.len()), &[]).await;
            outside.name("internal.example", &[&["10.0.0.5"]]);
            outside.name("mixed.example", &[&["93.184.216.34", "127.0.0.1"]]);
            outside.name("crowd.example", &[&["93.184.216.34"; 40]]);
            outside.name("empty.example", &[&[]]);
            let mut answers = BTreeSet::new();
            for name in ["internal", "mixed", "crowd", "empty", "unknown"] {
                let id = format!("https://{name}.example/c");
                let form = [("client_id", id.as_str()), ("scope", "openid")];
                for answer in [
                    server.post_form("/api/oauth/device_authorization", &form).await,
                    server.authorize(Some(&frigg), &client(&id), &[]).await,
                ] {
                    let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
                    headers.sort();
                    // The answers of the two endpoints differ in headers, and in `storyden` in the
                    // error text.
                    answers.insert((answer.status, answer.body.clone(), headers));
                }
            }
            assert_eq!(answers.len(), 2, "{profile}: {answers:#?}");
            assert_eq!(outside.dialled(), Vec::<IpAddr>::new());
        }
    }

    /// A-98: this server's own host is not fetched, and no port beyond the allowed ports.
    async fn own_host_and_other_ports_are_refused(setup: Setup) {
        let (server, frigg, outside) = begin(setup).await;
        outside.name("auth.example", &[&["93.184.216.34"]]);
        outside.name("app.example", &[&["93.184.216.34"]]);
        let mut ids = vec![
            "https://auth.example/.well-known/openid-configuration".to_owned(),
            "https://AUTH.example/c".to_owned(),
            "https://auth.example./c".to_owned(),
            "https://auth.example/api/oauth/authorize?client_id=x".to_owned(),
        ];
        for port in [1, 22, 25, 80, 444, 3306, 5432, 6379, 8080, 8443, 11211, 65535] {
            ids.push(format!("https://app.example:{port}/c"));
        }
        for id in &ids {
            refused_for(&server.authorize(Some(&frigg), &client(id), &[]).await, id);
        }
        assert_eq!(outside.resolved(), 0);
    }

    /// A-91, A-93, req_150, req_151, req_158: a status other than 200, a redirect, another media type,
    /// compression, or more than 5 KiB is rejected, and a redirect target is not fetched.
    async fn answers_other_than_short_uncompressed_json_are_refused(setup: Setup) {
        let (server, frigg, outside) = begin(setup).await;
        let host = outside.host("app.example").await;
        let other = outside.host("internal.example").await;
        other.publish("/c", &json!({}));
        let json_type = "Content-Type: application/json\r\n";
        let good = json!({ "redirect_uris": ["https://app.example/cb"] });
        let mut replies: Vec<Reply> = Vec::new();
        for status in ["201 Created", "203 x", "204 No Content", "206 Partial Content", "304 Not Modified",
            "400 Bad Request", "401 Unauthorized", "404 Not Found", "418 Teapot", "500 x", "503 x"] {
            replies.push(Reply::json(status, "", &good));
        }
        for status in ["300", "301", "302", "303", "307", "308"] {
            for target in ["https://internal.example/c", "http://127.0.0.1/c", "/elsewhere", "file:///etc/passwd"] {
                replies.push(Reply::json(&format!("{status} x"), &format!("Location: {target}\r\n"), &good));
            }
        }
        for kind in ["text/html", "text/plain", "application/javascript", "application/jsonp", "image/svg+xml", "json", ""] {
            replies.push(Reply::body("200 OK", &format!("Content-Type: {kind}\r\n"), &good.to_string()));
        }
        replies.push(Reply::body("200 OK", "", &good.to_string()));
        for encoding in ["gzip", "br", "deflate", "zstd", "compress", "gzip, identity"] {
            let headers = format!("{json_type}Content-Encoding: {encoding}\r\n");
            replies.push(Reply::body("200 OK", &headers, &good.to_string()));
        }
        let mut long = good.clone();
        long["x"] = json!("y".repeat(6_000));
        replies.push(Reply::json("200 OK", "", &long));
        let head = format!("HTTP/1.1 200 OK\r\n{json_type}");
        replies.push(Reply::Raw(format!("{head}Content-Length: 104857600\r\n\r\n{{}}").into_bytes()));
        replies.push(Reply::Raw(format!("{head}Content-Length: 99\r\n\r\n{{}}").into_bytes())); // too few bytes
        replies.push(Reply::Raw(format!("{head}Content-Length: 2\r\nContent-Length: 9\r\n\r\n{{}}").into_bytes()));
        replies.push(Reply::Raw(b"not HTTP at all\r\n\r\n".to_vec()));
        replies.push(Reply::Raw(Vec::new()));
        replies.push(Reply::Raw(format!("{head}X: {}\r\n\r\n", "y".repeat(500_000)).into_bytes()));
        let chunk = format!("1000\r\n{}\r\n", "y".repeat(4_096));
        let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
        replies.push(Reply::Flood(chunked.clone().into_bytes(), chunk.into_bytes()));
        replies.push(Reply::Raw(format!("{chunked}ffffffffffffffff\r\n{{}}").into_bytes()));
        replies.push(Reply::Flood(format!("{head}\r\n").into_bytes(), vec![b' '; 65_536])); // endless
        let count = replies.len();
        for (number, reply) in replies.into_iter().enumerate() {
            let path = format!("/{number}");
            host.reply(&path, reply);
            let id = host.url(&path);
            let answer = server.authorize(Some(&frigg), &client(&id), &[]).await;
            refused_for(&answer, &id);
        }
        assert!(count > 50);
        assert_eq!((host.asked().len(), other.asked().len()), (count, 0));
    }

    /// A-94, A-96: slow and silent hosts use only the concurrency limit of the host, for a bounded
    /// time. Other requests continue meanwhile, and no connection leaks.
    async fn a_slow_host_does_not_delay_other_requests(setup: Setup) {
        let outside = SimulatedInternet::new();
        let mut setup = outside.around(setup);
        setup.timeouts.fetch = Duration::from_secs(15);
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
        let replies = [
            Reply::Silence, Reply::Stall, Reply::Drip(b"HTTP/1.1 200 OK\r\nX: ".to_vec()), Reply::Drip(head),
        ];
        let mut slow: Vec<Host> = Vec::new();
        for (number, reply) in replies.into_iter().enumerate() {
            let host = outside.host(&format!("slow{number}.example")).await;
            for path in 0..6 {
                host.reply(&format!("/{path}"), reply.clone());
            }
            slow.push(host);
        }
        let good = outside.host("app.example").await;
        let id = good.publish("/c", &json!({}));
        let server = std::sync::Arc::new(server);
        let stuck: Vec<_> = slow
            .iter()
            .flat_map(|host| (0..6).map(|path| host.url(&format!("/{path}"))))
            .map(|id| {
                let (server, frigg) = (std::sync::Arc::clone(&server), frigg.clone());
                tokio::spawn(async move {
                    refused_for(&server.authorize(Some(&frigg), &client(&id), &[]).await, &id);
                })
            })
            .collect();
        server.authorize(Some(&frigg), &client(&id), &[]).await.expect(302);
        server.get("/healthz").await.expect(200);
        assert!(!stuck.iter().any(tokio::task::JoinHandle::is_finished), "others waited for them");
        for host in &slow {
            assert!(host.open() <= 4, "more than its turns at once");
        }
        for stuck in stuck {
            stuck.await.unwrap();
        }
        for host in slow {
            while host.open() > 0 {
                tokio::task::yield_now().await; // until the server has closed every connection
            }
        }
    }

    /// A-92: `OAUTH_CIMD_ALLOW_INSECURE_FETCH` opens the guard for development and is logged at the
    /// start. Proxy variables of the environment are ignored with and without the setting.
    async fn environment_proxies_are_ignored(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let address = serve_one_document().await;
        let proxy = "http://127.0.0.1:1";
        let mut settings = vec![("OAUTH_CIMD_ALLOW_INSECURE_FETCH", "true"), ("LOG_LEVEL", "info")];
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            settings.push((name, proxy));
        }
        let mut program = setup.spawn_with(free_port(), &settings).await;
        program.says("OAUTH_CIMD_ALLOW_INSECURE_FETCH=true").await;
        let mut server = setup.start().await;
        program.address.clone_into(&mut server.address);
        let frigg = server.member("frigg", &[]).await;
        let id = format!("http://{address}/c");
        server.authorize(Some(&frigg), &client(&id), &[]).await.expect(302);
    }
}

/// Starts a local host that serves a client metadata document to a single request.
async fn serve_one_document() -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let id = format!("http://{address}/c");
    let body = json!({ "client_id": id, "redirect_uris": ["https://app.example/cb"] }).to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 2_048];
        let _ = stream.read(&mut head).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
        let reply = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(reply.as_bytes()).await.unwrap();
    });
    address
}

/// A-87, A-88, T20: compares `is_public` for 10,000 addresses with a second description of the IANA
/// special-purpose registries.
#[test]
fn public_addresses_match_the_iana_registries() {
    let networks: Vec<ipnet::IpNet> = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    ]
    .iter()
    .map(|network| network.parse().unwrap())
    .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u128;
    let mut next = move || {
        state = state
            .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
            .wrapping_add(1);
        state >> 8
    };
    let mut seen = BTreeSet::new();
    for round in 0..10_000_u32 {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let bits = next() as u32;
        let edge = networks[round as usize % networks.len()];
        let address: IpAddr = match round % 4 {
            0 => IpAddr::from(bits.to_be_bytes()),
            1 => IpAddr::from((next() >> 3 | 1 << 125).to_be_bytes()), // mostly inside 2000::/3
            2 => edge.broadcast(),
            _ => edge.network(),
        };
        let special = networks.iter().any(|network| network.contains(&address));
        assert_eq!(is_public(address), !special, "{address}");
        seen.insert((address.is_ipv4(), special));
    }
    assert_eq!(seen.len(), 4); // public and special addresses of both families
}
