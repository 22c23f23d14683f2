//! Names of clients in every script: emoji and joiners are accepted where these have an effect (UTS #39,
//! UTS #51), and cannot deceive.

use serde_json::json;
use storyden_auth::ids::ClientRowId;

use crate::support::simulated_internet::SimulatedInternet;
use crate::support::{Client, Server, Setup, both};

const URI: &str = "https://app.example/cb";

/// Names that people use.
const NAMES: [&str; 8] = [
    "👩\u{200d}💻 Notes",
    "🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f}",
    "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} 👍🏽",
    "می\u{200c}خواهم",
    "\u{0dc1}\u{0dca}\u{200d}\u{0dbb}\u{0dd3} Lanka",
    "क्\u{200d}ष क्\u{200c}ष",
    "葛\u{e0100}飾区",
    "שלום 日本語 Ελλάδα",
];

/// Names with joiners, selectors or tags that have no effect, and names that imitate Storyden.
const DECEPTIVE: [&str; 9] = [
    "Cal\u{200d}endar",
    "Cal\u{200c}endar",
    "Calendar\u{fe0f}",
    "🍎\u{200d}🍏",
    "👩\u{200d}",
    "Notes\u{e0041}",
    "🏴\u{e0073}\u{e0074}\u{e007f}",
    "Sto👩\u{200d}💻ryden",
    "St\u{43e}ryden 💬",
];

fn client(client_id: String) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id,
        secret: None,
        redirect_uri: URI.to_owned(),
    }
}

async fn open(setup: Setup) -> Server {
    setup
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .start()
        .await
}

both! {
    /// req_140, A-68: a registered name is shown as given, or the registration is refused.
    async fn a_registered_name_may_have_emoji_and_joiners(setup: Setup) {
        let server = open(setup).await;
        let frigg = server.member("frigg", &[]).await;
        for name in NAMES {
            let document = json!({
                "client_name": name, "redirect_uris": [URI], "token_endpoint_auth_method": "none",
            });
            let request = server.request("POST", "/api/oauth/register").json(&document);
            let answer = server.send(request).await.expect(201);
            assert_eq!(answer.text("client_name"), name);
            let app = client(answer.text("client_id"));
            let request_id = server.pending(&frigg, &app, &[]).await;
            let page = server.consent(&frigg, &request_id).await.expect(200);
            assert_eq!(page.text("client_name"), name);
        }
        for name in DECEPTIVE {
            let document = json!({ "client_name": name, "redirect_uris": [URI] });
            let request = server.request("POST", "/api/oauth/register").json(&document);
            server.send(request).await.expect_error(400, "invalid_client_metadata");
        }
    }

    /// the name of a member's application follows the same rules, at creation and later.
    async fn a_member_may_use_emoji_and_joiners(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let path = "/api/auth/oauth/clients";
        let body = |name: &str| json!({
            "name": name, "type": "public", "allowed_scopes": [], "allowed_grants": ["authorization_code"],
            "pkce_required": true, "redirect_uris": [URI],
        });
        for name in NAMES {
            let made = server.post_as(&frigg, path, &body(name)).await.expect(200);
            assert_eq!(made.json()["client"]["name"], name);
        }
        for name in DECEPTIVE {
            let refused = server.post_as(&frigg, path, &body(name)).await.expect(400);
            assert!(refused.text("detail").starts_with("name "), "{}", refused.body);
        }
    }

    /// a name in a metadata document that could deceive is not shown; the client id is shown.
    async fn a_deceptive_name_in_a_document_is_not_shown(setup: Setup) {
        let outside = SimulatedInternet::new();
        let server = outside.around(setup).start().await;
        let frigg = server.member("frigg", &[]).await;
        let host = outside.host("app.example").await;
        let shown = async |path: &str, name: &str| {
            let id = host.publish(path, &json!({ "client_name": name }));
            let request_id = server.pending(&frigg, &client(id.clone()), &[]).await;
            let page = server.consent(&frigg, &request_id).await.expect(200);
            (id, page.text("client_name"))
        };
        for (number, name) in NAMES.iter().enumerate() {
            assert_eq!(shown(&format!("/good/{number}"), name).await.1, *name);
        }
        for (number, name) in DECEPTIVE.iter().enumerate() {
            let (id, name) = shown(&format!("/bad/{number}"), name).await;
            assert_eq!(name, id);
        }
    }
}
