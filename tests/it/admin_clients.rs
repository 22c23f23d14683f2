//! `/api/admin/oauth/clients`: the clients of every account (storyden-contract.md#administration).

use insta::{allow_duplicates, assert_json_snapshot};
use serde_json::{Value, json};

use crate::support::{Answer, Client, Member, NewClient, Server, both};

const PATH: &str = "/api/admin/oauth/clients";

/// A cheap Argon2id hash of an unknown secret.
const HASH: &str =
    "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$d63wJ7fRChEvKSMDfeGBdY9lOnlBNk9LGxPSW9BTHEI";

/// Returns the body of a create request, with changed members; `null` removes a member.
fn new_client(owner: &Member, changes: &Value) -> Value {
    let mut body = json!({
        "account_id": owner.id.as_str(),
        "client_id": "calendar",
        "name": "Calendar",
        "type": "confidential",
        "redirect_uris": ["https://calendar.example/callback"],
        "allowed_scopes": ["openid", "READ_PROFILE"],
        "allowed_grants": ["authorization_code", "refresh_token", "client_credentials"],
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

async fn create(server: &Server, odin: &Member, changes: &Value) -> Answer {
    let body = new_client(odin, changes);
    server.post_as(odin, PATH, &body).await
}

async fn patch(server: &Server, odin: &Member, client: &Client, body: &Value) -> Answer {
    let path = format!("{PATH}/{}", client.row_id);
    server.call_as(odin, ("PATCH", &path), Some(body)).await
}

/// Asserts an error with `words` in the detail.
#[track_caller]
fn assert_problem(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(answer.text("detail").contains(words), "{}", answer.body);
}

/// Counts the clients.
async fn count_clients(server: &Server) -> i64 {
    server
        .count("SELECT COUNT(*) AS n FROM oauth_clients", &[])
        .await
}

/// Sends values that both profiles reject, each with words of the error.
async fn assert_creation_rejected_in_both_profiles(server: &Server, odin: &Member) {
    let long = "n".repeat(256);
    for (changes, words) in [
        (
            json!({ "redirect_uris": ["javascript:alert(1)//"] }),
            "scheme that is not allowed",
        ),
        (
            json!({ "redirect_uris": ["data:text/html,x"] }),
            "scheme that is not allowed",
        ),
        (
            json!({ "redirect_uris": ["http://app.example/cb"] }),
            "must use https",
        ),
        (json!({ "redirect_uris": ["/relative"] }), "absolute"),
        (
            json!({ "redirect_uris": ["https://app.example/cb#x"] }),
            "fragment",
        ),
        (
            json!({ "redirect_uris": ["https://*.example/cb"] }),
            "wildcard",
        ),
        (
            json!({ "client_secret_hash": "nonsense" }),
            "Argon2id PHC string",
        ),
        (
            json!({ "client_secret_hash": HASH.replace("m=8", "m=4194304") }),
            "256 MiB",
        ),
        (
            json!({ "client_secret_hash": HASH.replace("argon2id", "argon2i") }),
            "Argon2id",
        ),
        (json!({ "name": "" }), "name must have"),
        (json!({ "name": "a\u{0}b" }), "name must have"),
        (json!({ "name": long }), "name must have"),
        (
            json!({ "allowed_grants": ["password"] }),
            "authorization_code, refresh_token",
        ),
        (json!({ "name": 1 }), "wrong type"),
        (json!({ "scope_policy": "x" }), "wrong type"),
        (
            json!({ "redirect_uris": "https://app.example/cb" }),
            "wrong type",
        ),
    ] {
        assert_problem(&create(server, odin, &changes).await, 400, words);
        let made = server
            .count(
                "SELECT COUNT(*) AS n FROM oauth_clients WHERE client_id = 'calendar'",
                &[],
            )
            .await;
        assert_eq!(made, 0, "{changes}");
    }
    for (changes, words) in [
        (json!({ "client_id": "" }), "client_id must have"),
        (json!({ "client_id": "a\u{0}b" }), "client_id must have"),
        (json!({ "client_id": "taken\nby" }), "client_id must have"),
        (
            json!({ "account_id": "00000000000000000001" }),
            "account_id names no account",
        ),
        (json!({ "account_id": null }), "lacks a member"),
        (json!({ "redirect_uris": null }), "lacks a member"),
        (json!({ "type": "x" }), "wrong type"),
    ] {
        assert_problem(&create(server, odin, &changes).await, 400, words);
    }
    let mut body = new_client(odin, &json!({}));
    body["scope_policy"] = Value::Null;
    assert_problem(&server.post_as(odin, PATH, &body).await, 400, "wrong type");
    let text = server
        .request("POST", PATH)
        .header("cookie", odin.cookie())
        .body("{}");
    server.send(text).await.expect(415);
    let long = json!({ "name": "n".repeat(40_000) });
    server.post_as(odin, PATH, &long).await.expect(413);
}

/// Sends changes of a confidential client that both profiles reject.
async fn assert_changes_rejected_in_both_profiles(server: &Server, odin: &Member) {
    let service = server.confidential_client(&odin.id).await;
    let before = server
        .get_as(odin, &format!("{PATH}/{}", service.row_id))
        .await
        .expect(200)
        .json();
    for (body, words) in [
        (
            json!({ "redirect_uris": ["javascript:alert(1)//"] }),
            "scheme that is not allowed",
        ),
        (
            json!({ "client_secret_hash": "$argon2id$x" }),
            "Argon2id PHC string",
        ),
        (
            json!({ "client_secret_hash": HASH.replace("t=1", "t=17") }),
            "t=16",
        ),
        (json!({ "name": " " }), "name must have"),
        (
            json!({ "allowed_grants": ["password"] }),
            "authorization_code, refresh_token",
        ),
        (json!({ "name": null }), "wrong type"),
        (json!({ "scope_policy": "x" }), "wrong type"),
    ] {
        assert_problem(&patch(server, odin, &service, &body).await, 400, words);
    }
    let after = server
        .get_as(odin, &format!("{PATH}/{}", service.row_id))
        .await
        .expect(200)
        .json();
    assert_eq!(before, after);
}

both! {
    /// storyden-contract.md#administration: a client is created, read, listed, changed and deleted.
    async fn client_is_created_changed_and_deleted(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let made = create(&server, &odin, &json!({})).await.expect(200);
        let mut shown = made.json();
        let row = made.text("id");
        let secret = made.text("client_secret");
        (shown["account_id"], shown["id"]) = (json!("[account]"), json!("[id]"));
        shown["client_secret"] = json!("[secret]");
        allow_duplicates! { assert_json_snapshot!(shown, @r#"
        {
          "account_id": "[account]",
          "allowed_grants": [
            "authorization_code",
            "refresh_token",
            "client_credentials"
          ],
          "allowed_scopes": [
            "openid",
            "READ_PROFILE"
          ],
          "client_id": "calendar",
          "client_secret": "[secret]",
          "createdAt": "2026-01-01T00:00:00Z",
          "id": "[id]",
          "name": "Calendar",
          "pkce_required": true,
          "redirect_uris": [
            "https://calendar.example/callback"
          ],
          "require_pushed_authorization_requests": false,
          "scope_policy": "explicit",
          "type": "confidential",
          "updatedAt": "2026-01-01T00:00:00Z"
        }
        "#) }
        // The generated secret authenticates the client.
        let form = [("grant_type", "client_credentials"), ("client_id", "calendar"), ("client_secret", &*secret)];
        server.token(&form).await.expect(200);

        let path = format!("{PATH}/{row}");
        let one = server.get_as(&odin, &path).await.expect(200);
        assert_eq!(one.json().get("client_secret"), None, "it is shown once");
        server.turn(time::Duration::seconds(5));
        let all = json!({ "name": "Diary", "scope_policy": "inherit", "redirect_uris": ["https://diary.example/cb"],
            "allowed_scopes": ["openid"], "allowed_grants": ["client_credentials"], "client_secret_hash": HASH });
        let changed = server.call_as(&odin, ("PATCH", &path), Some(&all)).await.expect(200);
        for member in ["name", "scope_policy", "redirect_uris", "allowed_scopes", "allowed_grants"] {
            assert_eq!(changed.json()[member], all[member], "{member}");
        }
        assert_eq!(changed.text("updatedAt"), "2026-01-01T00:00:05Z");
        server.token(&form).await.expect_error(400, "invalid_client"); // the secret was replaced
        let unchanged = server.call_as(&odin, ("PATCH", &path), Some(&json!({ "type": "public" }))).await.expect(200);
        assert_eq!(unchanged.text("type"), "confidential");

        server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
        for method in ["GET", "DELETE"] {
            server.call_as(&odin, (method, &path), None).await.expect(404);
        }
        server.call_as(&odin, ("PATCH", &path), Some(&all)).await.expect(404);
        assert_eq!(count_clients(&server).await, 0);
    }

    /// A-8, A-81: values that would harm members or the server are rejected, and nothing is stored.
    async fn harmful_values_are_rejected(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        assert_creation_rejected_in_both_profiles(&server, &odin).await;
        assert_changes_rejected_in_both_profiles(&server, &odin).await;
    }

    /// A-8, A-81: the profile `storyden` rejects these values too, although Storyden accepts all of
    /// these.
    async fn harmful_values_are_rejected_in_storyden(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        assert_creation_rejected_in_both_profiles(&server, &odin).await;
        assert_changes_rejected_in_both_profiles(&server, &odin).await;
    }

    /// Inconsistent type, grants, scopes or redirect URIs are rejected with the reason.
    async fn inconsistent_metadata_is_rejected(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for (changes, words) in [
            (json!({ "allowed_scopes": ["openid", "NOPE"] }), "the unknown scope \"NOPE\";"),
            (json!({ "allowed_grants": [] }), "at least one grant"),
            (json!({ "allowed_grants": ["refresh_token"] }), "the first refresh token"),
            (json!({ "redirect_uris": [] }), "at least one for authorization_code"),
            (json!({ "redirect_uris": ["myapp://callback"] }), "com.example.app:/callback"),
            (json!({ "type": "public" }), "client_credentials needs the type confidential"),
            (json!({ "allowed_grants": ["device_code"] }), "device_code needs the type public"),
            (json!({ "account_id": "nonsense" }), "account_id must be the id"),
            (json!({ "client_id": "a b" }), "printable ASCII"),
            (json!({ "client_id": "storyden-cli" }), "built-in"),
            (json!({ "client_id": "https://app.example/client" }), "must not be a URL"),
            (json!({ "type": "public", "allowed_grants": ["device_code"], "client_secret_hash": HASH }), "client_secret_hash is only for confidential clients"),
        ] {
            assert_problem(&create(&server, &odin, &changes).await, 400, words);
        }
        assert_eq!(count_clients(&server).await, 0);
        let app = server.public_client().await;
        for (body, words) in [
            (json!({ "allowed_scopes": ["NOPE"] }), "the unknown scope \"NOPE\";"),
            (json!({ "allowed_grants": [] }), "at least one grant"),
            (json!({ "redirect_uris": [] }), "at least one for authorization_code"),
            (json!({ "allowed_grants": ["client_credentials"] }), "needs the type confidential"),
            (json!({ "client_secret_hash": HASH }), "client_secret_hash is only for confidential clients"),
        ] {
            assert_problem(&patch(&server, &odin, &app, &body).await, 400, words);
        }
        // Removes the redirect URIs and the grant that requires redirect URIs in the same request.
        let both = json!({ "redirect_uris": [], "allowed_grants": ["device_code", "refresh_token"] });
        patch(&server, &odin, &app, &both).await.expect(200);
    }

    /// A PATCH validates only the members sent: a client row that Storyden wrote can be renamed even if
    /// the stored grants are invalid here.
    async fn patch_validates_only_sent_members(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let odd = NewClient { redirect_uris: &[], ..NewClient::default() };
        let odd = server.client(odd).await;
        patch(&server, &odin, &odd, &json!({ "name": "Odd" })).await.expect(200);
    }

    /// A duplicate `client_id` is a conflict.
    async fn duplicate_client_id_is_a_conflict(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        create(&server, &odin, &json!({})).await.expect(200);
        let again = create(&server, &odin, &json!({})).await;
        assert_problem(&again, 409, "client_id is taken");
        assert_eq!(again.text("type"), "urn:storyden:problem:already-exists");
        assert_eq!(count_clients(&server).await, 1);
    }

    /// storyden-contract.md#administration: the profile `storyden` accepts harmless inconsistencies.
    async fn storyden_accepts_inconsistent_clients(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        for changes in [
            json!({ "client_id": "any string: \u{e9}", "redirect_uris": ["myapp://callback"] }),
            json!({ "client_id": "two", "redirect_uris": [], "allowed_grants": [] }),
            json!({ "client_id": "three", "type": "public", "client_secret_hash": HASH }),
        ] {
            let made = create(&server, &odin, &changes).await.expect(200).json();
            assert_eq!(made.get("client_secret"), None);
            assert_eq!(made["redirect_uris"], *changes.get("redirect_uris").unwrap_or(&json!(["https://calendar.example/callback"])));
        }
        let unowned = create(&server, &odin, &json!({ "account_id": "nonsense" })).await.expect(200);
        assert_eq!(unowned.text("account_id"), "00000000000000000000");
        let path = format!("{PATH}/{}", unowned.text("id"));
        let shown = server.get_as(&odin, &path).await.expect(200).json();
        assert_eq!(shown.get("account_id"), None);
        // No secret was generated, so client authentication fails.
        let form = [("grant_type", "client_credentials"), ("client_id", "calendar"), ("client_secret", "")];
        server.token(&form).await.expect_error(400, "invalid_client");
        let unknown = create(&server, &odin, &json!({ "client_id": "x", "allowed_scopes": ["NOPE"] })).await;
        assert_problem(&unknown, 403, "the unknown scope \"NOPE\";");
        assert_eq!(unknown.text("title"), "Forbidden");
    }

    /// A-107, P6: deleting a client ends everything issued to that client.
    async fn client_deletion_ends_everything_issued(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        let app = server.public_client().await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let code = server.code(&frigg, &app, &[]).await;
        let path = format!("{PATH}/{}", app.row_id);
        server.call_as(&odin, ("DELETE", &path), None).await.expect(204);
        let userinfo = server.get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token")).await;
        userinfo.expect_error(401, "invalid_token");
        server.exchange(&app, &code).await.expect_error(400, "invalid_client");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_client");
    }

    /// storyden-contract.md#ids-and-times, A-66: an invalid id is 404.
    async fn invalid_id_is_404(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        for id in ["nope", "00000000000000000000", "%00", "%ff", "a%2Fb", "'%20OR%201=1--", "%F0%9F%98%80"] {
            let path = format!("{PATH}/{id}");
            for method in ["GET", "DELETE"] {
                let answer = server.call_as(&odin, (method, &path), None).await.expect(404);
                assert_eq!(answer.header("content-type"), "application/problem+json", "{id}");
            }
            server.call_as(&odin, ("PATCH", &path), Some(&json!({ "name": "x" }))).await.expect(404);
        }
    }

    /// storyden-contract.md#built-in-client: the built-in client gets back the built-in name at the
    /// next use.
    async fn built_in_client_name_is_reset(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let form = [("client_id", "storyden-cli"), ("scope", "openid profile offline_access")];
        let start = "/api/oauth/device_authorization";
        server.post_form(start, &form).await.expect(200);
        let listed = server.get_as(&odin, &format!("{PATH}?client_id=storyden-cli")).await.json();
        let path = format!("{PATH}/{}", listed["clients"][0]["id"].as_str().unwrap());
        server.call_as(&odin, ("PATCH", &path), Some(&json!({ "name": "Your bank" }))).await.expect(200);
        let code = server.post_form(start, &form).await.expect(200).text("user_code");
        assert_eq!(server.open_device(&odin, &code).await.expect(200).text("client_name"), "Storyden");
    }
}
