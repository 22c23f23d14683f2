//! Client address behind reverse proxies, as recorded in the audit trail.

use reqwest::header::HeaderValue;
use serde_json::json;

use crate::support::{Member, PASSWORD, Server, both};

/// Signs in with these `X-Forwarded-For` lines, and returns the address in the audit trail.
async fn address_of(server: &Server, odin: &Member, lines: &[&[u8]]) -> String {
    let body = json!({ "identifier": "frigg", "token": PASSWORD });
    let mut request = server
        .request("POST", "/api/auth/password/signin")
        .json(&body);
    for line in lines {
        request = request.header("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
    }
    server.send(request).await.expect(200);
    server.turn(time::Duration::seconds(1)); // makes this entry the newest
    let path = "/api/admin/audit?event=signed_in";
    let trail = server.get_as(odin, path).await.expect(200).json();
    trail["entries"][0]["address"].as_str().unwrap().to_owned()
}

both! {
    /// the client address is the last element of X-Forwarded-For that is no trusted proxy.
    /// Invalid bytes, empty elements and spoofed elements further left are ignored.
    async fn client_address_is_the_last_untrusted_hop(setup: Setup) {
        let proxies = "127.0.0.0/8, 10.0.0.0/8, 2001:db8:ff::/48";
        let server = setup.with("TRUSTED_PROXIES", proxies).start().await;
        let odin = server.admin("odin").await;
        server.member("frigg", &[]).await;
        let cases: &[(&[&[u8]], &str)] = &[
            (&[], "127.0.0.1"),
            (&[b"203.0.113.7"], "203.0.113.7"),
            (&[b"\x80\xff, 203.0.113.7"], "203.0.113.7"),
            (&[b"caf\xc3\xa9,203.0.113.7"], "203.0.113.7"),
            (&[b"\xe9", b"203.0.113.7"], "203.0.113.7"),
            (&[b"198.51.100.1", b"203.0.113.7"], "203.0.113.7"),
            (&[b"198.51.100.1, 203.0.113.7", b"10.0.0.2, 10.0.0.3"], "203.0.113.7"),
            (&[b"\x80", b"203.0.113.7, 10.0.0.2", b"10.0.0.3"], "203.0.113.7"),
            (&[b", ,198.51.100.1 ,\t203.0.113.7 , ,", b"", b" , "], "203.0.113.7"),
            (&[b"203.0.113.7:50000"], "203.0.113.7"),
            (&[b"[2001:db8::7]:50000, [2001:db8:ff::1]:443"], "2001:db8::7"),
            (&[b"[2001:db8::7], ::ffff:10.0.0.2"], "2001:db8::7"),
            (&[b"::ffff:203.0.113.7"], "203.0.113.7"),
            // An invalid element written by a trusted proxy: the address of that proxy is used.
            (&[b"203.0.113.7, \x80"], "127.0.0.1"),
            (&[b"203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ];
        for (lines, address) in cases {
            assert_eq!(address_of(&server, &odin, lines).await, *address, "{lines:?}");
        }
    }

    /// X-Forwarded-For of an untrusted peer is ignored.
    async fn untrusted_peer_cannot_forge_an_address(setup: Setup) {
        let server = setup.with("TRUSTED_PROXIES", "10.0.0.0/8").start().await;
        let odin = server.admin("odin").await;
        server.member("frigg", &[]).await;
        let lines: &[&[u8]] = &[b"203.0.113.7"];
        assert_eq!(address_of(&server, &odin, lines).await, "127.0.0.1");
    }
}
