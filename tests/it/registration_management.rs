//! Client configuration endpoint (RFC 7592).

use serde_json::{Value, json};

use crate::support::registration::{self, open};
use crate::support::{Answer, Client, Server, both};

const URI: &str = "https://app.example/cb";

async fn register(server: &Server, document: &Value) -> Answer {
    registration::register(server, document).await.expect(201)
}

/// A call of the client configuration endpoint of a registration.
async fn call(
    server: &Server,
    method: &str,
    registered: &Answer,
    token: &str,
    body: Option<&Value>,
) -> Answer {
    let uri = registered.text("registration_client_uri");
    let path = uri.strip_prefix("https://auth.example").unwrap();
    let mut request = server.request(method, path).bearer_auth(token);
    if let Some(body) = body {
        request = request.json(body);
    }
    server.send(request).await
}

both! {
    /// req_143: the registration access token reads the registered metadata, except the secret, which
    /// is stored only as a hash.
    async fn a_registration_is_read_with_its_token(setup: Setup) {
        let server = open(setup).await;
        let document = json!({
            "client_name": "An App", "redirect_uris": [URI], "scope": "openid", "software_id": "x",
            "application_type": "web",
        });
        let registered = register(&server, &document).await;
        let token = registered.text("registration_access_token");
        let read = call(&server, "GET", &registered, &token, None).await.expect(200);
        assert_eq!(read.header("cache-control"), "no-store");
        let (mut before, read) = (registered.json(), read.json());
        before.as_object_mut().unwrap().remove("client_secret");
        before.as_object_mut().unwrap().remove("client_secret_expires_at");
        assert_eq!(read, before);
    }

    /// req_143: without a token, with a wrong token and with the token of another registration the
    /// answers are alike, for existing and missing clients.
    async fn a_wrong_token_is_refused(setup: Setup) {
        let server = open(setup).await;
        let document = json!({ "redirect_uris": [URI] });
        let (mine, other) = (register(&server, &document).await, register(&server, &document).await);
        let token = other.text("registration_access_token");
        let body = json!({ "client_id": mine.text("client_id"), "redirect_uris": ["https://evil.example/cb"] });
        for (method, body) in [("GET", None), ("PUT", Some(&body)), ("DELETE", None)] {
            for token in [token.as_str(), "wrong", ""] {
                let answer = call(&server, method, &mine, token, body).await.expect(401);
                assert_eq!(answer.text("error"), "invalid_token");
                assert!(answer.header("www-authenticate").starts_with("Bearer "));
            }
        }
        let request = server.request("GET", "/api/oauth/register/sdoak_nobody").bearer_auth(&token);
        assert_eq!(server.send(request).await.expect(401).text("error"), "invalid_token");
        let secretless = server.public_client().await;
        let path = format!("/api/oauth/register/{}", secretless.client_id);
        server.send(server.request("DELETE", &path).bearer_auth(&token)).await.expect(401);
    }

    /// req_143: a replacement replaces all metadata, follows the rules of registration, and ends the
    /// client's grants if redirect URIs change.
    async fn a_replacement_replaces_all_metadata(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let public = json!({
            "client_name": "An App", "redirect_uris": [URI], "token_endpoint_auth_method": "none",
            "software_id": "x",
        });
        let registered = register(&server, &public).await;
        let (id, token) = (registered.text("client_id"), registered.text("registration_access_token"));
        let app = Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: id.clone(),
            secret: None,
            redirect_uri: URI.to_owned(),
        };
        let offline = [("scope", "openid offline_access")];
        let refresh = server.tokens(&frigg, &app, &offline).await.text("refresh_token");
        let put = async |document: &Value| call(&server, "PUT", &registered, &token, Some(document)).await;
        for bad in [
            json!({ "redirect_uris": [URI] }),
            json!({ "client_id": "other", "redirect_uris": [URI] }),
            json!({ "client_id": id, "redirect_uris": ["http://app.example/cb"] }),
            json!({ "client_id": id, "redirect_uris": [URI], "registration_access_token": token }),
            json!({ "client_id": id, "redirect_uris": [URI], "client_id_issued_at": 1 }),
        ] {
            put(&bad).await.expect(400);
        }
        // Only display metadata differ: grants stay.
        let same = json!({
            "client_id": id, "client_name": "An App", "redirect_uris": [URI], "token_endpoint_auth_method": "none",
        });
        let answer = put(&same).await.expect(200);
        assert_eq!(answer.json().get("software_id"), None);
        let refresh = server.refresh(&app, &refresh).await.expect(200).text("refresh_token");
        let moved = json!({
            "client_id": id, "client_name": "An App", "redirect_uris": ["https://app.example/new"],
            "token_endpoint_auth_method": "client_secret_post",
        });
        let answer = put(&moved).await.expect(200);
        let confidential = Client { secret: Some(answer.text("client_secret")), ..app };
        server.refresh(&confidential, &refresh).await.expect(400);
        let old = server.authorize(Some(&frigg), &confidential, &[]).await.expect(400);
        assert_eq!(old.text("error"), "invalid_request");
        let elsewhere = Client { redirect_uri: "https://app.example/new".to_owned(), ..confidential };
        server.tokens(&frigg, &elsewhere, &[]).await;
        // The secret survives a second replacement.
        let again = put(&moved).await.expect(200);
        assert_eq!(again.json().get("client_secret"), None);
        server.tokens(&frigg, &elsewhere, &[]).await;
    }

    /// req_143: a deletion ends all grants of the client, and the registration access token.
    async fn a_deletion_ends_all_grants(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let public = json!({ "redirect_uris": [URI], "token_endpoint_auth_method": "none" });
        let registered = register(&server, &public).await;
        let token = registered.text("registration_access_token");
        let app = Client {
            row_id: storyden_auth::ids::ClientRowId::new(""),
            client_id: registered.text("client_id"),
            secret: None,
            redirect_uri: URI.to_owned(),
        };
        let tokens = server.tokens(&frigg, &app, &[("scope", "openid offline_access")]).await;
        let deleted = call(&server, "DELETE", &registered, &token, None).await.expect(204);
        assert_eq!(deleted.body, "");
        call(&server, "GET", &registered, &token, None).await.expect(401);
        server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await.expect(401);
        server.refresh(&app, &tokens.text("refresh_token")).await.expect(400);
    }

    /// The profile `storyden` issues no registration access token, as Storyden does not.
    async fn the_storyden_profile_has_no_client_configuration(setup: Setup) {
        let server = open(setup.with("OAUTH_PROFILE", "storyden")).await;
        let registered = register(&server, &json!({ "redirect_uris": [URI] })).await.json();
        assert_eq!(registered.get("registration_access_token"), None);
        let path = format!("/api/oauth/register/{}", registered["client_id"].as_str().unwrap());
        server.send(server.request("GET", &path).bearer_auth("x")).await.expect(401);
    }
}
