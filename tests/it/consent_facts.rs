//! Client facts on the consent page (req_133, req_160, req_192).

use serde_json::{Value, json};

use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Client, Member, NewClient, Server, both};

/// Returns the consent response of a new request.
async fn facts(
    server: &Server,
    person: &Member,
    client: &Client,
    changed: &[(&str, &str)],
) -> Value {
    let request_id = server.pending(person, client, changed).await;
    server.consent(person, &request_id).await.expect(200).json()
}

both! {
    /// req_133, req_160, A-9: creator, age and owner of the client, and the target of the response.
    async fn response_has_client_origin_and_target(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true").start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);
        let mine = NewClient {
            client_id: "mine",
            redirect_uris: &["http://127.0.0.1/cb"],
            owner: Some(frigg.id.clone()),
            ..NewClient::default()
        };
        let theirs = NewClient {
            client_id: "theirs",
            redirect_uris: &["https://xn--pp-6kc.example:8443/cb"],
            owner: Some(odin.id.clone()),
            ..NewClient::default()
        };
        let native = NewClient { client_id: "native", redirect_uris: &["com.example.app:/cb"], ..NewClient::default() };
        let mine = facts(&server, &frigg, &server.client(mine).await, &[("redirect_uri", "http://127.0.0.1:7777/cb")]).await;
        assert_eq!(mine["client_registered_by"], "member");
        assert_eq!(mine["client_owner_handle"], "frigg");
        assert_eq!((&mine["redirect_host"], &mine["redirect_is_loopback"]), (&json!("127.0.0.1:7777"), &json!(true)));
        let theirs = facts(&server, &frigg, &server.client(theirs).await, &[]).await;
        assert_eq!(theirs["client_registered_by"], "administrator");
        assert_eq!(theirs["redirect_host"], "xn--pp-6kc.example:8443");
        assert_eq!(theirs["redirect_is_loopback"], json!(false));
        let native = facts(&server, &frigg, &server.client(native).await, &[]).await;
        assert_eq!(native.get("redirect_host"), None);
        assert_eq!(native["client_first_seen_at"], "2026-01-01T00:00:00Z");
        let document = json!({
            "redirect_uris": ["https://app.example/cb"], "client_uri": "https://app.example/about",
            "policy_uri": "https://elsewhere.example/policy", "token_endpoint_auth_method": "none",
        });
        let request = server.request("POST", "/api/oauth/register").json(&document);
        let registered = server.send(request).await.expect(201);
        let registered = Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: registered.text("client_id"),
            secret: None,
            redirect_uri: "https://app.example/cb".to_owned(),
        };
        let registered = facts(&server, &frigg, &registered, &[]).await;
        assert_eq!(registered["client_registered_by"], "registration");
        // req_141: pages on another host are marked
        assert_eq!(registered["client_uri"], "https://app.example/about");
        assert_eq!(registered["policy_uri"], "https://elsewhere.example/policy");
        assert_eq!(registered["foreign_pages"], json!(["policy_uri"]));
        assert_eq!(registered.get("logo_uri"), None);
        let host = outside.host("editor.example").await;
        let by_document = Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: host.publish("/c?a=1", &json!({
                "logo_uri": "https://cdn.example/x.png", "tos_uri": "https://editor.example/terms",
            })),
            secret: None,
            redirect_uri: host.url("/cb"),
        };
        let by_document = facts(&server, &frigg, &by_document, &[]).await;
        assert_eq!(by_document["client_registered_by"], "metadata_document");
        assert_eq!(by_document["client_id_host"], "editor.example");
        assert_eq!(by_document["tos_uri"], "https://editor.example/terms");
        assert_eq!((&by_document["logo_host"], &by_document["foreign_pages"]), (&json!("cdn.example"), &json!(["logo_uri"])));
        let logo = "https://auth.example/api/oauth/client_logo?client_id=https%3A%2F%2Feditor.example%2Fc%3Fa%3D1";
        assert_eq!(by_document["logo_uri"], logo);
    }

    /// Scopes that are new since the last approval are listed separately.
    async fn new_scopes_are_listed_separately(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &["READ_PROFILE"]).await, server.member("loki", &[]).await);
        let app = server.public_client().await;
        let first = facts(&server, &frigg, &app, &[("scope", "openid profile")]).await;
        assert_eq!((&first["new_scopes"], first.get("granted_before_at")), (&json!(["openid", "profile"]), None));
        server.tokens(&frigg, &app, &[("scope", "openid profile")]).await;
        let more = facts(&server, &frigg, &app, &[("scope", "openid profile email READ_PROFILE")]).await;
        assert_eq!(more["new_scopes"], json!(["email", "READ_PROFILE"]));
        assert_eq!(more["granted_before_at"], "2026-01-01T00:00:00Z");
        let other = facts(&server, &loki, &app, &[("scope", "openid")]).await;
        assert_eq!(other["new_scopes"], json!(["openid"]));
    }

    /// RFC 8628 §5.4: the device consent response has the same facts, and the address of the device.
    async fn device_response_has_the_same_facts(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let started = server.start_device(&server.public_client().await, "openid").await.expect(200);
        let page = server.open_device(&frigg, &started.text("user_code")).await.expect(200).json();
        assert_eq!(page["client_registered_by"], "administrator");
        assert_eq!((&page["new_scopes"], page.get("redirect_host")), (&json!(["openid"]), None));
        assert!(page["device"]["address"].is_string());
    }
}
