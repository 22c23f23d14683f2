//! SSRF guard for remote servers (A-87 to, T20): every address in fetched metadata is
//! checked before dialling.

use std::net::IpAddr;

use serde_json::json;

use crate::fetch_guard::{NON_PUBLIC_ADDRESSES, OBFUSCATED_HOSTS};
use crate::remote_connections::{CONNECTIONS, begin, create, describe, remote};
use crate::support::simulated_internet::Reply;
use crate::support::{Setup, both};

fn hosts() -> Vec<String> {
    let bracketed = |address: &&str| {
        if address.contains(':') {
            format!("[{address}]")
        } else {
            (*address).to_owned()
        }
    };
    let disguised = OBFUSCATED_HOSTS.iter().map(|host| (*host).to_owned());
    disguised
        .chain(NON_PUBLIC_ADDRESSES.iter().map(bracketed))
        .collect()
}

/// Raises the rate limit above the length of the tables.
fn with_high_rate_limit(setup: Setup) -> Setup {
    setup.with("RATE_LIMIT", "1000000000")
}

both! {
    /// req_148: no non-public address is dialled as the resource, the
    /// authorization server or the registration endpoint.
    async fn no_address_that_is_not_public_is_dialled_for_a_remote(setup: Setup) {
        let (server, thor, outside) = begin(with_high_rate_limit(setup)).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let mut cases = 0;
        for bad in hosts() {
            let body = json!({ "resource_url": format!("https://{bad}/mcp") });
            server.post_as(&thor, CONNECTIONS, &body).await.expect(400);
            let resource = json!({ "resource": host.url("/mcp"), "authorization_servers": [format!("https://{bad}")] });
            host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &resource));
            create(&server, &thor, &host).await.expect(400);
            let resource = json!({ "resource": host.url("/mcp"), "authorization_servers": [host.url("")] });
            host.reply("/.well-known/oauth-protected-resource/mcp", Reply::json("200 OK", "", &resource));
            describe(&host, &json!({ "registration_endpoint": format!("https://{bad}/register") }));
            create(&server, &thor, &host).await.expect(400);
            describe(&host, &json!({}));
            cases += 3;
        }
        assert_eq!(cases, 3 * (OBFUSCATED_HOSTS.len() + NON_PUBLIC_ADDRESSES.len()));
        let elsewhere: Vec<IpAddr> = outside.dialled().into_iter().filter(|one| *one != host.address).collect();
        assert_eq!(elsewhere, Vec::<IpAddr>::new());
    }

    /// a name with any non-public address is rejected, also for the token endpoint, which
    /// receives the code.
    async fn a_code_goes_to_no_address_that_is_not_public(setup: Setup) {
        let (server, thor, outside) = begin(with_high_rate_limit(setup)).await;
        for (number, address) in NON_PUBLIC_ADDRESSES.iter().enumerate() {
            let name = format!("n{number}.example");
            outside.name(&name, &[&["93.184.216.34", address]]);
            let body = json!({
                "resource_url": format!("https://r{number}.example/"), "mode": "manual",
                "manual": {
                    "client_id": "x", "authorization_endpoint": "https://a.example/a",
                    "token_endpoint": format!("https://{name}/token"),
                },
            });
            let id = server.post_as(&thor, CONNECTIONS, &body).await.expect(200).text("id");
            let url = server.post_as(&thor, &format!("{CONNECTIONS}/{id}/authorize"), &json!({})).await.expect(200);
            let url: reqwest::Url = url.text("authorization_url").parse().unwrap();
            let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let request = server.request("GET", "/api/oauth/remote/callback").query(&[("state", state.as_str()), ("code", "c")]);
            let answer = server.send(request.header("cookie", thor.cookie())).await.expect(400);
            assert!(answer.text("detail").contains("not public"), "{address}: {}", answer.body);
        }
        assert_eq!(outside.dialled(), Vec::<IpAddr>::new());
    }

    /// redirects are not followed, and oversized answers are rejected.
    async fn a_remote_that_redirects_or_floods_is_refused(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let other = outside.host("internal.example").await;
        for status in ["301", "302", "303", "307", "308"] {
            let location = format!("Location: {}\r\n", other.url("/x"));
            host.reply("/.well-known/oauth-authorization-server", Reply::json(&format!("{status} x"), &location, &json!({})));
            create(&server, &thor, &host).await.expect(400);
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n".to_vec();
        host.reply("/.well-known/oauth-authorization-server", Reply::Flood(head, vec![b' '; 65_536]));
        create(&server, &thor, &host).await.expect(400);
        assert_eq!(other.asked().len(), 0);
    }
}
