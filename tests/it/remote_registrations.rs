//! Registration of this server at remote servers: metadata that the server accepts, and renewal of a registration
//! that the server no longer knows. Each authorization, callback or refresh registers at most once.

use serde_json::{Value, json};
use time::Duration;

use crate::remote_connections::{
    CONNECTIONS, PAGE, authorize, begin, callback, connected, create, parameter, refused_for,
    remote, tokens,
};
use crate::support::simulated_internet::{Host, Reply};
use crate::support::{Answer, Member, Server, both};

/// Sets the response of the registration endpoint.
fn registers(host: &Host, changes: &Value) {
    let mut answer = json!({ "client_id": "theirs", "redirect_uris": [PAGE] });
    for (name, value) in changes.as_object().unwrap() {
        answer[name] = value.clone();
    }
    host.reply("/register", Reply::json("201 Created", "", &answer));
}

fn invalid_client() -> Reply {
    Reply::json(
        "401 x",
        "",
        &json!({ "error": "invalid_client", "error_description": "gone" }),
    )
}

fn registrations(host: &Host) -> usize {
    host.asked_at("/register").len()
}

async fn supply_token(server: &Server, thor: &Member, id: &str) -> Answer {
    let path = format!("{CONNECTIONS}/{id}/token");
    server.post_as(thor, &path, &json!({})).await
}

async fn shown(server: &Server, thor: &Member, id: &str) -> Value {
    let path = format!("{CONNECTIONS}/{id}");
    server.get_as(thor, &path).await.expect(200).json()
}

/// Starts an authorization and answers with a code.
async fn authorized(server: &Server, thor: &Member, id: &str) -> Answer {
    let state = parameter(&authorize(server, thor, id).await, "state").unwrap();
    callback(server, thor, &[("state", &state), ("code", "c")]).await
}

both! {
    /// RFC 8414 §2, <https://github.com/punkpeye/mcp-remote/issues/184>: the registration requests an authentication
    /// method that the token endpoint supports.
    async fn the_authentication_method_is_one_that_the_server_supports(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, (listed, requested)) in [
            (json!(null), "none"),
            (json!([]), "none"),
            (json!(["client_secret_basic", "none"]), "none"),
            (json!(["client_secret_post", "client_secret_basic"]), "client_secret_basic"),
            (json!(["client_secret_post", "private_key_jwt"]), "client_secret_post"),
        ]
        .into_iter()
        .enumerate()
        {
            let changes = json!({ "token_endpoint_auth_methods_supported": listed });
            let host = remote(&outside, &format!("tools{number}.example"), &changes).await;
            let secret = if requested == "none" { json!(null) } else { json!("s3cret") };
            registers(&host, &json!({ "client_secret": secret, "token_endpoint_auth_method": requested }));
            let made = create(&server, &thor, &host).await.expect(200);
            assert_eq!(made.text("token_endpoint_auth_method"), requested);
            let member = format!("\"token_endpoint_auth_method\":\"{requested}\"");
            assert!(host.asked_at("/register")[0].contains(&member));
        }
        let keys = json!({ "token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"] });
        let host = remote(&outside, "keys.example", &keys).await;
        refused_for(&create(&server, &thor, &host).await, "private_key_jwt, tls_client_auth");
        assert_eq!(registrations(&host), 0);
    }

    /// RFC 7591 §3.2.1, <https://github.com/openai/codex/issues/40928>: the method of the response counts, not the
    /// requested method. Without a method in the response, the secret is sent as the server supports.
    /// <https://github.com/novuhq/novu/pull/11323>: a method with a secret and a response without is an error.
    async fn the_registered_method_counts(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let only_post = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
        for (number, (metadata, answer, in_body)) in [
            (json!({}), json!({ "client_secret": "s3cret", "token_endpoint_auth_method": "client_secret_post" }), true),
            (json!({}), json!({ "client_secret": "s3cret" }), false),
            (only_post.clone(), json!({ "client_secret": "s3cret" }), true),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &metadata).await;
            registers(&host, &answer);
            connected(&server, &thor, &host).await;
            let exchange = &host.asked_at("/token")[0];
            assert_eq!(exchange.contains("client_secret=s3cret"), in_body, "{exchange}");
            assert_eq!(exchange.to_ascii_lowercase().contains("authorization: basic"), !in_body);
        }
        let host = remote(&outside, "silent.example", &only_post).await;
        registers(&host, &json!({ "token_endpoint_auth_method": "client_secret_post" }));
        refused_for(&create(&server, &thor, &host).await, "requires a client secret and returned none");
    }

    /// SEP-837, <https://github.com/modelcontextprotocol/python-sdk/issues/2783>: an address on this computer is
    /// registered as a native application, and a page on plain http is not named. A server that cannot read the
    /// document of such an address is registered with.
    async fn an_address_on_this_computer_registers_as_native(setup: Setup) {
        let other = setup.second_community().await;
        let cases = [(setup, "https://auth.example", false), (other.clone(), "http://localhost:8000", true)];
        for (setup, address, is_native) in cases {
            let (server, thor, outside) = begin(setup.with("PUBLIC_API_ADDRESS", address)).await;
            let documents = json!({ "client_id_metadata_document_supported": true });
            let host = remote(&outside, "tools.example", &documents).await;
            registers(&host, &json!({ "redirect_uris": null }));
            let body = json!({ "resource_url": host.url("/mcp"), "mode": "dcr" });
            server.post_as(&thor, CONNECTIONS, &body).await.expect(200);
            let registration = host.asked_at("/register")[0].clone();
            let kind = if is_native { "native" } else { "web" };
            assert!(registration.contains(&format!("\"application_type\":\"{kind}\"")), "{registration}");
            assert_eq!(registration.contains("client_uri"), !is_native);
            let made = create(&server, &thor, &host).await.expect(200);
            assert_eq!(made.text("mode"), if is_native { "dcr" } else { "cimd" });
        }
        other.database.remove().await;
    }

    /// <https://github.com/punkpeye/mcp-remote/issues/36>, <https://github.com/anthropics/claude-code/issues/4760>: a
    /// refresh that fails with `invalid_client` registers anew, once; the tokens of the former client are not used
    /// again, and the next authorization uses the new client.
    async fn a_vanished_registration_is_renewed_after_a_refresh(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = connected(&server, &thor, &host).await;
        host.reply("/token", invalid_client());
        registers(&host, &json!({ "client_id": "second", "client_secret": "s2" }));
        server.turn(Duration::hours(2));
        let refused = supply_token(&server, &thor, &id).await;
        refused_for(&refused, "registered there anew; authorize the connection again");
        for _ in 0..3 {
            refused_for(&supply_token(&server, &thor, &id).await, "authorize the connection again");
        }
        assert_eq!((registrations(&host), host.asked_at("/token").len()), (2, 2));
        let connection = shown(&server, &thor, &id).await;
        assert_eq!((&connection["status"], &connection["client_id"]), (&json!("error"), &json!("second")));
        assert_eq!(connection["token_endpoint_auth_method"], "client_secret_basic");
        host.reply("/token", tokens(&json!({ "access_token": "at-2" })));
        authorized(&server, &thor, &id).await.expect(200);
        assert_eq!(supply_token(&server, &thor, &id).await.expect(200).text("access_token"), "at-2");
        assert_eq!(registrations(&host), 2);
        let sealed = "SELECT COUNT(*) AS n FROM oauth_remote_connections WHERE client_secret LIKE 'sealed:v1:%'";
        assert_eq!(server.count(sealed, &[]).await, 1);
    }

    /// <https://github.com/NousResearch/hermes-agent/pull/52936>: only `invalid_client` of the token endpoint means that
    /// the registration is gone. <https://github.com/nicobailon/pi-mcp-adapter/pull/503>: a server error does not.
    async fn other_errors_keep_the_registration(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        for (number, (status, error)) in [
            ("400 x", "invalid_grant"), ("400 x", "invalid_client_metadata"), ("401 x", "unauthorized_client"),
            ("503 x", "invalid_client"), ("400 x", "invalid_scope"),
        ]
        .into_iter()
        .enumerate()
        {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({})).await;
            let id = connected(&server, &thor, &host).await;
            host.reply("/token", Reply::json(status, "", &json!({ "error": error })));
            server.turn(Duration::hours(2));
            let refused = supply_token(&server, &thor, &id).await;
            assert!(refused.status >= 400, "{error}");
            server.turn(Duration::hours(2));
            authorize(&server, &thor, &id).await;
            assert_eq!(registrations(&host), 1, "{error}");
        }
    }

    /// <https://github.com/anthropics/claude-code/issues/84614>, <https://github.com/supabase/mcp/issues/355>: the
    /// authorization endpoint of a server shows an error page for an unknown client, and the browser never returns. The
    /// token endpoint is asked first, unless the registration is new.
    async fn a_vanished_registration_is_renewed_before_the_browser_leaves(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        authorize(&server, &thor, &id).await;
        assert_eq!(host.asked_at("/token").len(), 0);
        server.turn(Duration::hours(25));
        host.reply("/token", Reply::json("400 x", "", &json!({ "error": "invalid_grant" })));
        assert_eq!(parameter(&authorize(&server, &thor, &id).await, "client_id").unwrap(), "theirs");
        assert_eq!((registrations(&host), host.asked_at("/token").len()), (1, 1));
        host.reply("/token", invalid_client());
        registers(&host, &json!({ "client_id": "second" }));
        let url = authorize(&server, &thor, &id).await;
        assert_eq!(parameter(&url, "client_id").unwrap(), "second");
        // The new registration is not checked again.
        host.reply("/token", tokens(&json!({})));
        let asked = host.asked_at("/token").len();
        let state = parameter(&url, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
        let exchange = host.asked_at("/token")[asked].clone();
        assert!(exchange.contains("client_id=second") && exchange.contains("code=c&"), "{exchange}");
        assert_eq!((registrations(&host), host.asked_at("/token").len()), (2, asked + 1));
    }

    /// <https://github.com/whoz-oss/coday/pull/1265>: a callback whose exchange fails with `invalid_client` registers anew,
    /// once; a server that rejects every client causes one registration for each authorization.
    async fn a_server_that_rejects_every_client_causes_no_loop(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        host.reply("/token", invalid_client());
        for round in 1..=3 {
            registers(&host, &json!({ "client_id": format!("client-{round}") }));
            let refused = authorized(&server, &thor, &id).await;
            refused_for(&refused, "registered there anew; authorize the connection again");
            assert_eq!(registrations(&host), 1 + round);
            assert_eq!(host.asked_at("/token").len(), round);
            assert_eq!(shown(&server, &thor, &id).await["client_id"], format!("client-{round}"));
        }
        // A registration that fails is made by the next authorization.
        let no = json!({ "error": "access_denied", "error_description": "closed" });
        host.reply("/register", Reply::json("403 x", "", &no));
        refused_for(&authorized(&server, &thor, &id).await, "registering anew failed: The registration was refused: access_denied: closed");
        let path = format!("{CONNECTIONS}/{id}/authorize");
        refused_for(&server.post_as(&thor, &path, &json!({})).await, "access_denied: closed");
        registers(&host, &json!({ "client_id": "last" }));
        host.reply("/token", tokens(&json!({})));
        authorized(&server, &thor, &id).await.expect(200);
        assert_eq!(shown(&server, &thor, &id).await["client_id"], "last");
    }

    /// <https://github.com/modelcontextprotocol/python-sdk/issues/3256>: a secret with an expiry is replaced by the
    /// next authorization after that time; 0 means that the secret does not expire (RFC 7591 §3.2.1).
    async fn an_expired_secret_is_replaced(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let now = server.clock.now().unix_seconds();
        for (number, (expiry, count)) in [(json!(now + 60), 2), (json!(0), 1), (json!(null), 1), (json!(now + 90_000), 1)].into_iter().enumerate() {
            let host = remote(&outside, &format!("tools{number}.example"), &json!({})).await;
            registers(&host, &json!({ "client_secret": "s1", "client_secret_expires_at": expiry }));
            let id = create(&server, &thor, &host).await.expect(200).text("id");
            server.turn(Duration::minutes(2));
            authorize(&server, &thor, &id).await;
            assert_eq!(registrations(&host), count, "{expiry}");
        }
    }

    /// <https://github.com/dust-tt/dust/pull/32411>: a registration with a former redirect URI of this community is
    /// replaced by the next authorization.
    async fn a_changed_address_of_this_server_is_registered(setup: Setup) {
        let (server, thor, outside) = begin(setup.clone()).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        let moved = outside.around(setup).with("PUBLIC_API_ADDRESS", "https://new.example")
            .with("REMOTE_TOKEN_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        let moved = moved.start().await;
        registers(&host, &json!({ "client_id": "second", "redirect_uris": null }));
        let url = authorize(&moved, &thor, &id).await;
        assert_eq!(parameter(&url, "redirect_uri").unwrap(), "https://new.example/oauth/remote/callback");
        assert_eq!(parameter(&url, "client_id").unwrap(), "second");
    }

    /// RFC 6749 §4.1.3: the code of an authorization that began before the registration was replaced is not sent to the
    /// token endpoint. Concurrent authorizations agree on one new registration.
    async fn a_code_is_redeemed_by_its_own_client_only(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let id = create(&server, &thor, &host).await.expect(200).text("id");
        let old = parameter(&authorize(&server, &thor, &id).await, "state").unwrap();
        server.sql(
            "INSERT INTO auth_remote_connections (connection_id, registration_rejected_at) VALUES ($1, '2025-01-01 00:00:00+00:00') \
             ON CONFLICT (connection_id) DO UPDATE SET registration_rejected_at = excluded.registration_rejected_at", &[&id],
        ).await;
        registers(&host, &json!({ "client_id": "second" }));
        let (one, two) = tokio::join!(authorize(&server, &thor, &id), authorize(&server, &thor, &id));
        assert_eq!(parameter(&one, "client_id"), parameter(&two, "client_id"));
        refused_for(&callback(&server, &thor, &[("state", &old), ("code", "c")]).await, "registration was replaced");
        assert_eq!(host.asked_at("/token").len(), 0);
        let state = parameter(&two, "state").unwrap();
        callback(&server, &thor, &[("state", &state), ("code", "c")]).await.expect(200);
    }

    /// Credentials that an administrator entered are never replaced by a registration, and the error says what to check.
    /// <https://github.com/vstorm-co/agenticos/pull/1620>: their authentication method can be chosen and changed.
    async fn a_manual_connection_is_never_registered(setup: Setup) {
        let (server, thor, outside) = begin(setup).await;
        let host = remote(&outside, "tools.example", &json!({})).await;
        let manual = |method: &str| json!({
            "resource_url": host.url("/mcp"), "mode": "manual", "manual": {
                "client_id": "mine", "client_secret": "s3cret", "token_endpoint_auth_method": method,
                "authorization_endpoint": host.url("/a"), "token_endpoint": host.url("/token"),
            },
        });
        refused_for(&server.post_as(&thor, CONNECTIONS, &manual("private_key_jwt")).await, "client_secret_basic, client_secret_post or none");
        let made = server.post_as(&thor, CONNECTIONS, &manual("client_secret_post")).await.expect(200);
        let id = made.text("id");
        host.reply("/token", invalid_client());
        refused_for(&authorized(&server, &thor, &id).await, "check the client id and the secret");
        assert!(host.asked_at("/token")[0].contains("client_secret=s3cret"));
        let change = json!({ "token_endpoint_auth_method": "client_secret_basic" });
        server.call_as(&thor, ("PATCH", &format!("{CONNECTIONS}/{id}")), Some(&change)).await.expect(200);
        host.reply("/token", tokens(&json!({})));
        authorized(&server, &thor, &id).await.expect(200);
        assert!(!host.asked_at("/token")[1].contains("client_secret="));
        assert_eq!(registrations(&host), 0);
    }

    /// storyden-contract.md#remote-connections: in the profile `storyden` a registration has fixed metadata, and is not
    /// renewed.
    async fn the_storyden_profile_registers_once(setup: Setup) {
        let (server, thor, outside) = begin(setup.with("OAUTH_PROFILE", "storyden")).await;
        let only_post = json!({ "token_endpoint_auth_methods_supported": ["client_secret_post"] });
        let host = remote(&outside, "tools.example", &only_post).await;
        let id = connected(&server, &thor, &host).await;
        assert!(host.asked_at("/register")[0].contains("\"token_endpoint_auth_method\":\"none\""));
        host.reply("/token", invalid_client());
        server.turn(Duration::hours(25));
        refused_for(&supply_token(&server, &thor, &id).await, "invalid_client");
        authorize(&server, &thor, &id).await;
        assert_eq!((registrations(&host), host.asked_at("/token").len()), (1, 2));
    }
}
