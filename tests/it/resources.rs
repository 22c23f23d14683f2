//! Resource indicators (RFC 8707).

use serde_json::{Value, json};

use crate::support::{
    Answer, CHALLENGE, Client, Server, Setup, assert_redirect_to_consent, both, told,
};

const FILES: &str = "https://files.example/v1";

async fn begin(setup: Setup) -> (Server, crate::support::Member, Client) {
    let server = setup.with("OAUTH_RESOURCES", FILES).start().await;
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    (server, frigg, app)
}

fn audience(answer: &Answer) -> Value {
    use base64::Engine as _;
    let token = answer.text("access_token");
    let payload = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice::<Value>(&claims).unwrap()["aud"].clone()
}

/// A refresh with a resource.
async fn refresh(server: &Server, token: &str, resource: &str) -> Answer {
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "app"),
        ("refresh_token", token),
        ("resource", resource),
    ];
    server.token(&form).await
}

both! {
    /// req_099, req_144, req_124: the audience is the requested resource, through every refresh; a
    /// token request may narrow the resources and never widen.
    async fn a_token_is_for_the_resources_of_its_grant(setup: Setup) {
        let (server, frigg, app) = begin(setup).await;
        let offline = ("scope", "openid offline_access");
        let none = server.tokens(&frigg, &app, &[offline]).await;
        assert_eq!(audience(&none), json!("storyden"));
        let mcp = server.tokens(&frigg, &app, &[offline, ("resource", "https://auth.example/mcp")]).await;
        assert_eq!(audience(&mcp), json!(["https://auth.example/mcp", "storyden"]));
        server.get_with_bearer("/api/oauth/userinfo", &mcp.text("access_token")).await.expect(200);
        let next = server.refresh(&app, &mcp.text("refresh_token")).await.expect(200);
        assert_eq!(audience(&next), json!(["https://auth.example/mcp", "storyden"]));
        let more = refresh(&server, &next.text("refresh_token"), FILES).await;
        assert_eq!(more.expect(400).text("error"), "invalid_target");
        // The refusal did not consume the refresh token.
        server.refresh(&app, &next.text("refresh_token")).await.expect(200);
        let files = server.tokens(&frigg, &app, &[offline, ("resource", FILES)]).await;
        assert_eq!(audience(&files), json!(FILES));
        // The token is valid only for that resource.
        server.get_with_bearer("/api/oauth/userinfo", &files.text("access_token")).await.expect(401);
        let asked = refresh(&server, &none.text("refresh_token"), "https://auth.example/").await.expect(200);
        assert_eq!(audience(&asked), json!(["https://auth.example", "storyden"]));
        let beyond = refresh(&server, &asked.text("refresh_token"), FILES).await;
        assert_eq!(beyond.expect(400).text("error"), "invalid_target");
    }

    /// req_144: several resources are repeated parameters, and a token request may choose one of these.
    async fn several_resources_are_several_parameters(setup: Setup) {
        let (server, frigg, app) = begin(setup).await;
        let query = [
            ("response_type", "code"), ("client_id", "app"), ("redirect_uri", app.redirect_uri.as_str()),
            ("scope", "openid offline_access"), ("resource", FILES), ("resource", "https://auth.example/api"),
            ("code_challenge", CHALLENGE), ("code_challenge_method", "S256"),
        ];
        let request = server.request("GET", "/api/oauth/authorize").query(&query);
        let asked = server.send(request.header("cookie", frigg.cookie())).await;
        let approved = server.decide(&frigg, &assert_redirect_to_consent(asked), "approve").await.expect(200);
        let code = approved.sent("code").unwrap();
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(audience(&tokens), json!([FILES, "https://auth.example/api", "storyden"]));
        let one = refresh(&server, &tokens.text("refresh_token"), FILES).await.expect(200);
        assert_eq!(audience(&one), json!(FILES));
        let again = server.refresh(&app, &one.text("refresh_token")).await.expect(200);
        assert_eq!(audience(&again), json!([FILES, "https://auth.example/api", "storyden"]));
    }

    /// req_144: an unknown resource is `invalid_target`, by redirect at authorize.
    async fn an_unknown_resource_is_told_by_redirect(setup: Setup) {
        let (server, frigg, app) = begin(setup).await;
        for unknown in ["https://other.example", "storyden", "/mcp", "https://auth.example/mcp#x", "x y"] {
            let asked = server.authorize(Some(&frigg), &app, &[("resource", unknown)]).await;
            told(asked, "invalid_target");
        }
        let service = server.confidential_client(&frigg.id).await;
        let mut form = vec![("grant_type", "client_credentials"), ("resource", "https://other.example")];
        form.extend(service.credentials());
        assert_eq!(server.token(&form).await.expect(400).text("error"), "invalid_target");
        form[1].1 = FILES;
        assert_eq!(audience(&server.token(&form).await.expect(200)), json!(FILES));
    }

    /// A token with another audience can be introspected and revoked here.
    async fn a_token_for_another_resource_can_be_revoked_here(setup: Setup) {
        let (server, frigg, app) = begin(setup).await;
        let tokens = server.tokens(&frigg, &app, &[("resource", FILES), ("scope", "openid")]).await;
        let token = tokens.text("access_token");
        let odin = server.admin("odin").await;
        let key = server.access_key(&odin, "sdpak").await;
        let look = async || {
            let request = server.request("POST", "/api/oauth/introspect").bearer_auth(&key);
            server.send(request.form(&[("token", &token)])).await.expect(200).json()
        };
        let active = look().await;
        assert_eq!((&active["active"], &active["aud"]), (&json!(true), &json!(FILES)));
        server.post_form("/api/oauth/revoke", &[("token", &token), ("client_id", "app")]).await.expect(200);
        assert_eq!(look().await["active"], json!(false));
    }

    /// In the profile `storyden` resources are ignored.
    async fn the_storyden_profile_ignores_resources(setup: Setup) {
        let (server, frigg, app) = begin(setup.with("OAUTH_PROFILE", "storyden")).await;
        let tokens = server.tokens(&frigg, &app, &[("resource", "https://other.example")]).await;
        assert_eq!(audience(&tokens), json!("storyden"));
    }
}
