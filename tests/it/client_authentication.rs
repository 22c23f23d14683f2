//! Client authentication (RFC 6749 §2.3): HTTP Basic or the body, never both, and rate limits against
//! guessing.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::Duration;
use url::form_urlencoded::byte_serialize;

use crate::support::race::{Form, with};
use crate::support::{Answer, Client, NewClient, Server, both};

/// A form that needs only client authentication.
const CLIENT_CREDENTIALS_FORM: &[(&str, &str)] = &[("grant_type", "client_credentials")];

/// Returns the value of a Basic header (RFC 6749 §2.3.1: both halves are form-encoded first).
fn basic(client_id: &str, secret: &str) -> String {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    raw_basic(&format!("{}:{}", encode(client_id), encode(secret)))
}

fn raw_basic(pair: &str) -> String {
    format!("Basic {}", STANDARD.encode(pair))
}

/// Sends the form with an `Authorization` header and additional parameters.
async fn authenticate_by_header(server: &Server, header: &str, body: &[(&str, &str)]) -> Answer {
    let form: Form<'_> = CLIENT_CREDENTIALS_FORM
        .iter()
        .chain(body)
        .copied()
        .collect();
    let request = server.token_request(&form).header("authorization", header);
    server.send(request).await
}

/// Sends the secret in the body, with `address` in X-Forwarded-For.
async fn authenticate_from(
    server: &Server,
    address: &str,
    client_id: &str,
    secret: &str,
) -> Answer {
    let mut form: Form<'_> = CLIENT_CREDENTIALS_FORM.to_vec();
    form.extend([("client_id", client_id), ("client_secret", secret)]);
    let request = server
        .token_request(&form)
        .header("x-forwarded-for", address);
    server.send(request).await
}

/// Creates a confidential client.
async fn service(server: &Server) -> Client {
    let frigg = server.member("frigg", &[]).await;
    server.confidential_client(&frigg.id).await
}

both! {
    /// req_002, req_128: a secret with any characters is accepted in the header and in the body.
    async fn any_secret_is_accepted_in_header_and_body(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        for (client_id, secret) in [
            ("one", "s3cret:with %+ odd=chars"),
            ("two:with:colons", "%41 is not A, + is not a space"),
            ("drei ä", "größe €💥 &=?#/"),
        ] {
            let new = NewClient { client_id, secret: Some(secret), ..NewClient::default() };
            let client = server.client(NewClient { owner: Some(frigg.id.clone()), ..new }).await;
            let header = basic(client_id, secret);
            let answer = authenticate_by_header(&server, &header, &[]).await;
            answer.expect_error(400, "unauthorized_client"); // authenticated, but without the grant
            let mut form: Form<'_> = CLIENT_CREDENTIALS_FORM.to_vec();
            form.extend(client.credentials());
            server.token(&form).await.expect_error(400, "unauthorized_client");
        }
    }

    /// req_001: two methods at once are rejected; the same client_id again is not a second method.
    async fn two_methods_at_once_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        let secret = client.secret.clone().unwrap();
        let header = basic("service", &secret);
        for body in [
            vec![("client_id", "service"), ("client_secret", secret.as_str())],
            vec![("client_secret", "wrong")],
            vec![("client_id", "another")],
        ] {
            let refused = authenticate_by_header(&server, &header, &body).await.expect_error(400, "invalid_request");
            let text = "multiple client authentication methods used";
            assert_eq!(refused.text("error_description"), text);
        }
        authenticate_by_header(&server, &header, &[("client_id", "service")]).await.expect(200);
        authenticate_by_header(&server, &header, &[("client_id", ""), ("client_secret", "")]).await.expect(200);
        let twice = server.token_request(CLIENT_CREDENTIALS_FORM).header("authorization", &header).header("authorization", &header);
        server.send(twice).await.expect_error(400, "invalid_request");
    }

    /// req_034: failed authentication by header is challenged, and the response has `no-store`.
    async fn failed_header_authentication_is_challenged(setup: Setup) {
        let server = setup.start().await;
        service(&server).await;
        for header in [basic("service", "wrong"), basic("nobody", "x"), basic("service", "")] {
            let refused = authenticate_by_header(&server, &header, &[]).await.expect_error(401, "invalid_client");
            assert_eq!(refused.header("www-authenticate"), "Basic realm=\"auth.example\"");
            assert_eq!(refused.header("cache-control"), "no-store");
            assert_eq!(refused.header("pragma"), "no-cache");
        }
    }

    /// req_035, req_036: failed authentication in the body is 400, with the reason.
    async fn failed_body_authentication_is_400(setup: Setup) {
        let server = setup.start().await;
        service(&server).await;
        for (body, text) in [
            (vec![("client_id", "service"), ("client_secret", "wrong")], "Invalid client_secret"),
            (vec![("client_id", "service")], "Missing client_secret"),
            (vec![("client_id", "service"), ("client_secret", "")], "Missing client_secret"),
            (vec![("client_id", "SERVICE"), ("client_secret", "x")], "Client not found"),
            (vec![], "Missing client_id"),
        ] {
            let form: Form<'_> = CLIENT_CREDENTIALS_FORM.iter().copied().chain(body).collect();
            let refused = server.token(&form).await.expect_error(400, "invalid_client");
            assert_eq!(refused.text("error_description"), text);
            assert_eq!(refused.find_header("www-authenticate"), None);
        }
    }

    /// a malformed header is rejected, even if the body names a public client.
    async fn malformed_header_is_never_ignored(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let long = raw_basic(&format!("app:{}", "a".repeat(36_000)));
        for header in [
            "Basic !!!!", "Basic", "Basic ", "Basic YXBw", "Basic YXBwOg", &raw_basic(":secret"),
            &raw_basic("%zz:x"), &raw_basic("app:%zz"), &raw_basic("app%00:x"), &raw_basic("%ff%fe:x"),
            "Bearer abc", "Digest username=app", "app", &long,
        ] {
            let request = server.token_request(&app.exchange_form(&code)).header("authorization", header);
            let refused = server.send(request).await.expect_error(401, "invalid_client");
            assert!(refused.header("www-authenticate").starts_with("Basic realm="));
        }
        server.exchange(&app, &code).await.expect(200);
    }

    /// req_072, req_071: a public client has no secret; a Basic header with an empty secret is
    /// accepted.
    async fn public_client_needs_no_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let form = app.exchange_form(&code);
        let request = server.token_request(&form).header("authorization", basic("app", ""));
        server.send(request).await.expect(200);
    }

    /// req_003: credentials in the query are rejected.
    async fn credentials_in_the_query_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        let secret = client.secret.clone().unwrap();
        let query = [("client_id", "service"), ("client_secret", &secret)];
        let request = server.token_request(CLIENT_CREDENTIALS_FORM).query(&query);
        server.send(request).await.expect_error(400, "invalid_request");
    }

    /// req_016: a confidential client authenticates on every grant.
    async fn confidential_client_authenticates_for_every_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let client = server.confidential_client(&frigg.id).await;
        let code = server.code(&frigg, &client, &[]).await;
        let mut cc: Form<'_> = CLIENT_CREDENTIALS_FORM.to_vec();
        cc.extend(client.credentials());
        for form in [client.exchange_form(&code), client.refresh_form("x"), client.poll_form("x"), cc] {
            for secret in ["", "wrong"] {
                let form = with(&form, "client_secret", secret);
                server.token(&form).await.expect_error(400, "invalid_client");
            }
        }
        server.exchange(&client, &code).await.expect(200);
    }

    /// P8: a secret that Storyden hashed (Argon2id, 64 MiB, several lanes) is accepted.
    async fn secret_hashed_by_storyden_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        let params = Params::new(65_536, 1, 2, Some(32)).unwrap();
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = argon2.hash_password_with_salt(b"sdoas_of-storyden", b"0123456789abcdef");
        let hash = hash.unwrap().to_string();
        let sql = "UPDATE oauth_clients SET client_secret_hash = $1 WHERE id = $2";
        server.sql(sql, &[&hash, client.row_id.as_str()]).await;
        authenticate_from(&server, "192.0.2.1", "service", "sdoas_of-storyden").await.expect(200);
        authenticate_from(&server, "192.0.2.1", "service", "sdoas_of-another").await.expect_error(400, "invalid_client");
    }

    /// a malformed or extremely expensive stored hash is not computed.
    async fn hash_of_excessive_cost_is_not_computed(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        for hash in [
            "$argon2id$v=19$m=4194304,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            "$argon2id$v=19$m=65536,t=4000000,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
            "plain text",
            "",
        ] {
            let sql = "UPDATE oauth_clients SET client_secret_hash = $1 WHERE id = $2";
            server.sql(sql, &[hash, client.row_id.as_str()]).await;
            let answer = authenticate_from(&server, "192.0.2.1", "service", "anything").await;
            assert_eq!(answer.text("error"), "server_error", "{hash}");
        }
    }

    /// req_004, A-80: after thirty wrong secrets an address is blocked, and the right secret works from
    /// every other address.
    async fn wrong_secrets_are_limited_by_address(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        let secret = client.secret.clone().unwrap();
        for _ in 0..30 {
            authenticate_from(&server, "192.0.2.1", "service", "wrong").await.expect_error(400, "invalid_client");
        }
        for tried in ["wrong", &secret] {
            let stopped = authenticate_from(&server, "192.0.2.1", "service", tried).await;
            let stopped = stopped.expect_error(429, "invalid_client");
            let wait: u64 = stopped.header("retry-after").parse().unwrap();
            assert!((1..=301).contains(&wait), "{wait}");
        }
        authenticate_from(&server, "192.0.2.2", "service", &secret).await.expect(200);
        server.turn(Duration::minutes(5));
        authenticate_from(&server, "192.0.2.1", "service", "wrong").await.expect_error(400, "invalid_client");
        authenticate_from(&server, "192.0.2.1", "service", &secret).await.expect(200);
    }

    /// req_004: a secret verified before is accepted while wrong guesses are blocked.
    async fn known_secret_is_not_locked_out(setup: Setup) {
        let server = setup.start().await;
        let client = service(&server).await;
        let secret = client.secret.clone().unwrap();
        authenticate_from(&server, "192.0.2.1", "service", &secret).await.expect(200);
        for _ in 0..31 {
            authenticate_from(&server, "192.0.2.1", "service", "wrong").await;
        }
        authenticate_from(&server, "192.0.2.1", "service", "wrong").await.expect_error(429, "invalid_client");
        authenticate_from(&server, "192.0.2.1", "service", &secret).await.expect(200);
    }

    /// req_004: guesses at several clients share a limit per network; an IPv6 /64 counts as a single
    /// address.
    async fn wrong_secrets_are_limited_by_network(setup: Setup) {
        let server = setup.start().await;
        let names = ["c1", "c2", "c3", "c4"];
        for client_id in names {
            server.client(NewClient { client_id, secret: Some("right"), ..NewClient::default() }).await;
        }
        for attempt in 0..100 {
            let address = format!("2001:db8:0:1::{attempt:x}");
            authenticate_from(&server, &address, names[attempt % 4], "wrong").await.expect_error(400, "invalid_client");
        }
        let server = &server;
        authenticate_from(server, "2001:db8:0:1:ffff::1", "c1", "wrong").await.expect_error(429, "invalid_client");
        authenticate_from(server, "2001:db8:0:2::1", "c1", "wrong").await.expect_error(400, "invalid_client");
    }

    /// forwarded headers from untrusted peers are ignored.
    async fn forwarded_headers_of_untrusted_peers_are_ignored(setup: Setup) {
        let server = setup.with("TRUSTED_PROXIES", "10.0.0.0/8").start().await;
        let client = service(&server).await;
        for attempt in 0..30 {
            let address = format!("192.0.2.{attempt}");
            authenticate_from(&server, &address, "service", "wrong").await.expect_error(400, "invalid_client");
        }
        authenticate_from(&server, "192.0.2.99", "service", "wrong").await.expect_error(429, "invalid_client");

        let frigg = server.member("heimdall", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let request = server
            .token_request(&app.exchange_form(&code))
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "http")
            .header("forwarded", "host=evil.example");
        let tokens = server.send(request).await.expect(200);
        assert_eq!(tokens.claims("access_token")["iss"], "https://auth.example");
        drop(client);
    }

    /// req_004: the limits scale with RATE_LIMIT.
    async fn limits_scale_with_rate_limit(setup: Setup) {
        let server = setup.with("RATE_LIMIT", "500").start().await;
        service(&server).await;
        for _ in 0..3 {
            authenticate_from(&server, "192.0.2.1", "service", "wrong").await.expect_error(400, "invalid_client");
        }
        authenticate_from(&server, "192.0.2.1", "service", "wrong").await.expect_error(429, "invalid_client");
    }
}
