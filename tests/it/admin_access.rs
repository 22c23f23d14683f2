//! Access to the administration API: accounts with ADMINISTRATOR, by any kind of credential
//! (storyden-contract.md#callers-of-each-operation).

use serde_json::json;

use crate::support::{Answer, NewClient, Server, both};

/// Every operation, with a path or query that an authorized caller would get an error for.
const OPERATIONS: &[(&str, &str)] = &[
    ("GET", "/api/admin/oauth/clients"),
    ("POST", "/api/admin/oauth/clients"),
    ("GET", "/api/admin/oauth/clients/none"),
    ("PATCH", "/api/admin/oauth/clients/none"),
    ("DELETE", "/api/admin/oauth/clients/none"),
    ("GET", "/api/admin/oauth/clients/none/errors"),
    ("GET", "/api/admin/access-keys?page_size=0"),
    ("DELETE", "/api/admin/access-keys/none"),
    ("GET", "/api/admin/oauth/device-authorizations?state=none"),
    ("GET", "/api/admin/oauth/refresh-tokens?page_size=0"),
    ("DELETE", "/api/admin/oauth/refresh-tokens/none"),
    ("POST", "/api/admin/oauth/revoke"),
    ("GET", "/api/admin/audit?since=never"),
    ("GET", "/api/admin/audit/export?format=xml"),
    ("GET", "/api/admin/oauth/overview"),
    ("GET", "/api/admin/oauth/members?sort=none"),
    ("GET", "/api/admin/oauth/members/none"),
    ("POST", "/api/admin/oauth/members/none/suspend"),
    ("POST", "/api/admin/oauth/members/none/reinstate"),
    ("DELETE", "/api/admin/oauth/members/none/sessions"),
    ("DELETE", "/api/admin/oauth/members/none/sessions/none"),
    ("GET", "/api/admin/oauth/roles"),
    ("POST", "/api/admin/oauth/refresh-tokens/revoke"),
    ("GET", "/api/admin/oauth/blocked-clients"),
    ("POST", "/api/admin/oauth/blocked-clients"),
    ("DELETE", "/api/admin/oauth/blocked-clients/none"),
    ("PUT", "/api/admin/oauth/members/none/roles/none"),
    ("DELETE", "/api/admin/oauth/members/none/roles/none"),
];

/// Asserts the status of a rejection, and the challenge in the profile `standards`.
#[track_caller]
fn refused(answer: &Answer, status: u16, challenge: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    let given = answer.find_header("www-authenticate");
    let metadata = "https://auth.example/.well-known/oauth-protected-resource/api";
    let expected = challenge.map(|error| format!("Bearer resource_metadata=\"{metadata}\"{error}"));
    assert_eq!(given, expected.as_deref());
}

/// A credential without the ADMINISTRATOR permission.
enum Credential {
    Cookie(String),
    Bearer(String),
}

async fn send(server: &Server, (method, path): (&str, &str), credential: &Credential) -> Answer {
    let request = server.request(method, path);
    let request = match credential {
        Credential::Cookie(cookie) => request.header("cookie", cookie),
        Credential::Bearer(token) => request.bearer_auth(token),
    };
    server.send(request.body("not json")).await
}

/// Sends every kind of insufficient credential to every operation.
async fn rejects_all_without_administrator(server: &Server, challenges: bool) {
    const LACKING: Option<&str> = Some(", error=\"insufficient_scope\"");
    const INVALID: Option<&str> = Some(", error=\"invalid_token\"");
    let odin = server.admin("odin").await;
    let hela = server.admin("hela").await;
    let frigg = server
        .member("frigg", &["MANAGE_ROBOTS", "MANAGE_SETTINGS"])
        .await;
    let loki = server.plain_member("loki").await;
    let app = NewClient {
        scope: "openid profile ADMINISTRATOR READ_PROFILE",
        ..NewClient::default()
    };
    let app = server.client(app).await;
    let tokens = async |member, scope| {
        let tokens = server.tokens(member, &app, &[("scope", scope)]).await;
        Credential::Bearer(tokens.text("access_token"))
    };
    let key = async |member, kind| Credential::Bearer(server.access_key(member, kind).await);
    let suspended = [
        (Credential::Cookie(hela.cookie()), 403, None),
        (key(&hela, "sdpak").await, 403, None),
        (tokens(&hela, "openid ADMINISTRATOR").await, 401, INVALID),
    ];
    server.suspend(&hela).await;
    let cases = [
        (
            Credential::Cookie(String::from("storyden-session=none")),
            401,
            Some(""),
        ),
        (Credential::Bearer("eyJx".to_owned()), 401, INVALID),
        (
            Credential::Bearer("sdpak_AAAAAAAAAAAABBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB".to_owned()),
            401,
            INVALID,
        ),
        (Credential::Cookie(loki.cookie()), 403, LACKING),
        (Credential::Cookie(frigg.cookie()), 403, LACKING),
        (key(&frigg, "sdpak").await, 403, LACKING),
        (key(&frigg, "sdbak").await, 403, LACKING),
        (tokens(&frigg, "openid ADMINISTRATOR").await, 403, LACKING), // not granted to this account
        (tokens(&odin, "openid READ_PROFILE").await, 403, LACKING),
    ];
    for (credential, status, challenge) in cases.iter().chain(&suspended) {
        for operation in OPERATIONS {
            let answer = send(server, *operation, credential).await;
            refused(&answer, *status, challenge.filter(|_| challenges));
            let kept = challenges.then_some("no-store"); // Storyden sends no such header
            assert_eq!(answer.find_header("cache-control"), kept);
        }
    }
}

both! {
    /// req_046, req_047, req_049, storyden-contract.md#callers-of-each-operation: callers without
    /// ADMINISTRATOR are rejected before the input is read, and a bearer challenge names the error.
    async fn every_operation_requires_administrator(setup: Setup) {
        rejects_all_without_administrator(&setup.start().await, true).await;
    }

    /// storyden-contract.md#callers-of-each-operation: the profile `storyden` rejects the same callers,
    /// without a bearer challenge.
    async fn every_operation_requires_administrator_in_storyden(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        rejects_all_without_administrator(&server, false).await;
    }

    /// storyden-contract.md#callers-of-each-operation: a session, a personal key, a bot key and an
    /// access token with ADMINISTRATOR are all accepted.
    async fn any_credential_of_an_administrator_is_accepted(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(NewClient { scope: "openid ADMINISTRATOR", ..NewClient::default() }).await;
        let tokens = server.tokens(&odin, &app, &[("scope", "openid ADMINISTRATOR")]).await;
        let (personal, bot) = (server.access_key(&odin, "sdpak").await, server.access_key(&odin, "sdbak").await);
        for path in ["/api/admin/oauth/clients", "/api/admin/oauth/refresh-tokens", "/api/admin/audit"] {
            server.get_as(&odin, path).await.expect(200);
            for bearer in [&personal, &bot, &tokens.text("access_token")] {
                server.get_with_bearer(path, bearer).await.expect(200);
            }
        }
        let body = json!({ "client_id": app.client_id, "dry_run": true });
        let revoke = server.request("POST", "/api/admin/oauth/revoke").bearer_auth(&bot).json(&body);
        server.send(revoke).await.expect(200);
    }

    /// a demoted administrator is rejected at the next request, also with a token that has the
    /// scope ADMINISTRATOR.
    async fn demoted_administrator_is_rejected_at_once(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(NewClient { scope: "openid ADMINISTRATOR", ..NewClient::default() }).await;
        let tokens = server.tokens(&odin, &app, &[("scope", "openid ADMINISTRATOR")]).await;
        server.sql("UPDATE accounts SET admin = false WHERE id = $1", &[odin.id.as_str()]).await;
        let path = "/api/admin/oauth/clients";
        server.get_as(&odin, path).await.expect(403);
        server.get_with_bearer(path, &tokens.text("access_token")).await.expect(403);
    }

    /// cross-origin requests cannot change data with an administrator's session (CSRF); CORS
    /// protects reads.
    async fn cross_origin_requests_change_nothing(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.public_client().await;
        let path = format!("/api/admin/oauth/clients/{}", app.row_id);
        let delete = |name, value| server.request("DELETE", &path).header("cookie", odin.cookie()).header(name, value);
        server.send(delete("origin", "https://evil.example")).await.expect(403);
        server.send(delete("sec-fetch-site", "cross-site")).await.expect(403);
        server.send(delete("origin", "https://auth.example")).await.expect(204);
    }

    /// storyden-contract.md#paths: other methods, including `HEAD`, get 405.
    async fn other_methods_are_405(setup: Setup) {
        let server = setup.start().await;
        for (method, path) in [("PUT", "/api/admin/oauth/clients/x"), ("HEAD", "/api/admin/oauth/clients"), ("GET", "/api/admin/oauth/revoke"), ("POST", "/api/admin/audit")] {
            assert_eq!(server.send(server.request(method, path)).await.status, 405, "{method} {path}");
        }
    }
}
