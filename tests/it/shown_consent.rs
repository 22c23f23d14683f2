//! An approval grants at most the scopes that the consent page showed, to the client that the page
//! showed, regardless of changes before the decision.

use serde_json::{Value, json};

use crate::support::{Answer, Client, Member, NewClient, Server, both};

const CODE: &str = "/api/oauth/authorize/consent";
const DEVICE: &str = "/api/oauth/device/consent";

/// A request of either flow that awaits the decision of an account.
enum Flow {
    Code {
        request_id: String,
    },
    Device {
        user_code: String,
        device_code: String,
    },
}

impl Flow {
    async fn start(
        server: &Server,
        member: &Member,
        app: &Client,
        scope: &str,
        code: bool,
    ) -> Self {
        if code {
            let request_id = server.pending(member, app, &[("scope", scope)]).await;
            return Self::Code { request_id };
        }
        let started = server.start_device(app, scope).await.expect(200);
        Self::Device {
            user_code: started.text("user_code"),
            device_code: started.text("device_code"),
        }
    }

    /// Opens the consent page.
    async fn page(&self, server: &Server, member: &Member) -> Value {
        let answer = match self {
            Self::Code { request_id } => server.consent(member, request_id).await,
            Self::Device { user_code, .. } => server.open_device(member, user_code).await,
        };
        answer.expect(200).json()
    }

    /// Decides, with an optional `client_version` from a page.
    async fn decide(
        &self,
        server: &Server,
        member: &Member,
        decision: &str,
        version: Option<&Value>,
    ) -> Answer {
        let (path, mut body) = match self {
            Self::Code { request_id } => (CODE, json!({ "request_id": request_id })),
            Self::Device { user_code, .. } => (DEVICE, json!({ "user_code": user_code })),
        };
        body["decision"] = decision.into();
        if let Some(version) = version {
            body["client_version"] = version.clone();
        }
        server.post_as(member, path, &body).await
    }

    /// The scope of the tokens after an approval.
    async fn scope(&self, server: &Server, app: &Client, approved: &Answer) -> Vec<String> {
        let tokens = match self {
            Self::Code { .. } => server.exchange(app, &approved.sent("code").unwrap()).await,
            Self::Device { device_code, .. } => server.poll(app, device_code).await,
        };
        tokens.expect(200).scope()
    }
}

/// Fails unless the decision is refused until the page is shown again.
#[track_caller]
fn assert_must_be_shown_again(answer: Answer) {
    let answer = answer.expect_error(400, "consent_required");
    assert!(
        answer
            .text("error_description")
            .contains("show the page again")
    );
    assert_eq!(answer.json().get("location"), None);
}

/// A client of an account, with `READ_PROFILE` as the only allowed permission.
async fn app_of(server: &Server, owner: &Member) -> Client {
    let new = NewClient {
        scope: "openid offline_access READ_PROFILE",
        owner: Some(owner.id.clone()),
        ..NewClient::default()
    };
    server.client(new).await
}

const WIDEN: &str = "UPDATE oauth_clients SET allowed_scopes = \
                     '[\"openid\",\"offline_access\",\"READ_PROFILE\",\"MANAGE_POSTS\"]'";
const ASKED: &str = "openid READ_PROFILE MANAGE_POSTS";

both! {
    /// Issue 13: a scope that the owner allows after the page was shown is not granted.
    async fn a_scope_allowed_after_the_page_is_not_granted(setup: Setup) {
        let server = setup.start().await;
        let thor = server.member("thor", &[]).await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = app_of(&server, &thor).await;
        let device = NewClient { client_id: "tv", ..NewClient::default() };
        let television = server.client(device).await;
        let narrow = "UPDATE oauth_clients SET allowed_scopes = '[\"openid\",\"READ_PROFILE\"]', scope_policy = 'explicit'";
        for code in [true, false] {
            let client = if code { &app } else { &television };
            server.sql(WIDEN, &[]).await; // the device start checks the scopes
            let flow = Flow::start(&server, &frigg, client, ASKED, code).await;
            server.sql(narrow, &[]).await;
            let page = flow.page(&server, &frigg).await;
            assert_eq!(page["granted_scopes"], json!(["openid", "READ_PROFILE"]));
            server.sql(WIDEN, &[]).await;
            let version = Some(&page["client_version"]).filter(|_| code);
            let approved = flow.decide(&server, &frigg, "approve", version).await.expect(200);
            let scope = flow.scope(&server, client, &approved).await;
            assert_eq!(scope, ["READ_PROFILE", "openid"], "{code}");
        }
    }

    /// Issue 13: without a page, an approval grants the scopes that a page would have shown at the time
    /// of the request.
    async fn a_scope_allowed_after_the_request_is_not_granted(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let thor = server.member(&format!("thor-{profile}"), &[]).await;
            let frigg = server.member(&format!("frigg-{profile}"), &["MANAGE_POSTS"]).await;
            server.sql("UPDATE oauth_clients SET client_id = 'older'", &[]).await;
            let app = app_of(&server, &thor).await;
            let flow = Flow::start(&server, &frigg, &app, ASKED, true).await;
            server.sql(WIDEN, &[]).await;
            let approved = flow.decide(&server, &frigg, "approve", None).await.expect(200);
            let scope = flow.scope(&server, &app, &approved).await;
            assert_eq!(scope, ["READ_PROFILE", "openid"], "{profile}");
        }
    }

    /// Issue 13: a permission that the account gains after the page is not granted, even to a client
    /// that inherits all permissions of the account.
    async fn a_permission_gained_after_the_page_is_not_granted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let inherits = NewClient { inherit: true, ..NewClient::default() };
        let app = server.client(inherits).await;
        for code in [true, false] {
            let lose = "UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\"]'";
            server.sql(lose, &[]).await;
            let flow = Flow::start(&server, &frigg, &app, "openid", code).await;
            let page = flow.page(&server, &frigg).await;
            let shown = page["granted_scopes"].as_array().unwrap().len();
            assert!(shown > 10 && page["inherits_user_permissions"] == true, "{page}");
            server.sql("UPDATE roles SET permissions = '[\"USE_OAUTH_CLIENTS\",\"MANAGE_POSTS\"]'", &[]).await;
            let approved = flow.decide(&server, &frigg, "approve", None).await.expect(200);
            let scope = flow.scope(&server, &app, &approved).await;
            assert_eq!(scope.len(), shown, "{scope:?}");
            assert!(!scope.contains(&"MANAGE_POSTS".to_owned()), "{scope:?}");
        }
    }

    /// Issue 13: with pages in two tabs, an approval in either tab grants no more than both pages show.
    async fn a_second_tab_shows_no_more_than_the_first(setup: Setup) {
        let server = setup.start().await;
        let thor = server.member("thor", &[]).await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = app_of(&server, &thor).await;
        let flow = Flow::start(&server, &frigg, &app, ASKED, true).await;
        let first = flow.page(&server, &frigg).await;
        server.sql(WIDEN, &[]).await;
        let second = flow.page(&server, &frigg).await;
        assert_eq!(second["granted_scopes"], json!(["openid", "READ_PROFILE"]));
        assert_eq!(second["new_scopes"], second["granted_scopes"]);
        let narrow = "UPDATE oauth_clients SET allowed_scopes = '[\"openid\"]'";
        server.sql(narrow, &[]).await;
        assert_eq!(flow.page(&server, &frigg).await["granted_scopes"], json!(["openid"]));
        server.sql(WIDEN, &[]).await;
        let version = Some(&first["client_version"]);
        let approved = flow.decide(&server, &frigg, "approve", version).await.expect(200);
        assert_eq!(flow.scope(&server, &app, &approved).await, ["openid"]);
    }

    /// Issue 13: the first page shows scopes and permissions gained since the request.
    async fn the_first_page_shows_what_is_allowed_then(setup: Setup) {
        let server = setup.start().await;
        let thor = server.member("thor", &[]).await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = app_of(&server, &thor).await;
        let flow = Flow::start(&server, &frigg, &app, ASKED, true).await;
        server.sql(WIDEN, &[]).await;
        let page = flow.page(&server, &frigg).await;
        assert_eq!(page["granted_scopes"], json!(["openid", "READ_PROFILE", "MANAGE_POSTS"]));
        let approved = flow.decide(&server, &frigg, "approve", None).await.expect(200);
        let scope = flow.scope(&server, &app, &approved).await;
        assert_eq!(scope, ["MANAGE_POSTS", "READ_PROFILE", "openid"]);
    }

    /// Issue 13: after a change of the client's name, owner or redirect URIs, an approval requires a
    /// new page; a decision without `client_version` refers to the first page.
    async fn a_changed_client_is_shown_again(setup: Setup) {
        let server = setup.start().await;
        let (thor, loki) = (server.member("thor", &[]).await, server.member("loki", &[]).await);
        let frigg = server.member("frigg", &[]).await;
        let app = app_of(&server, &thor).await;
        for code in [true, false] {
            for change in [
                "UPDATE oauth_clients SET name = name || '!' WHERE $1 <> ''",
                "UPDATE oauth_clients SET account_id = $1 WHERE account_id <> $1",
                "UPDATE oauth_clients SET account_id = NULL WHERE $1 <> ''",
                "UPDATE oauth_clients SET redirect_uris = \
                 '[\"https://app.example/cb\",\"https://app.example/too\"]' WHERE $1 <> ''",
            ] {
                let restore = "UPDATE oauth_clients SET account_id = $1, name = 'The app', \
                               redirect_uris = '[\"https://app.example/cb\"]'";
                server.sql(restore, &[thor.id.as_str()]).await;
                let flow = Flow::start(&server, &frigg, &app, "openid", code).await;
                let first = flow.page(&server, &frigg).await;
                assert_eq!(server.sql(change, &[loki.id.as_str()]).await, 1, "{change}");
                let old = Some(&first["client_version"]);
                assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", old).await);
                assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", None).await);
                let again = flow.page(&server, &frigg).await;
                // The first tab is still open.
                assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", old).await);
                assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", None).await);
                let new = Some(&again["client_version"]);
                let approved = flow.decide(&server, &frigg, "approve", new).await.expect(200);
                assert_eq!(flow.scope(&server, &app, &approved).await, ["openid"]);
            }
        }
    }

    /// Issue 13: a client that was renamed for a page and renamed back is not approved by a decision
    /// without `client_version`.
    async fn a_client_renamed_for_one_page_is_not_approved(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for code in [true, false] {
            let flow = Flow::start(&server, &frigg, &app, "openid", code).await;
            let first = flow.page(&server, &frigg).await;
            server.sql("UPDATE oauth_clients SET name = 'Bank'", &[]).await;
            assert_eq!(flow.page(&server, &frigg).await["client_name"], "Bank");
            server.sql("UPDATE oauth_clients SET name = 'The app'", &[]).await;
            assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", None).await);
            let again = flow.page(&server, &frigg).await;
            assert_eq!(again["client_version"], first["client_version"]);
            assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", None).await);
            let version = Some(&again["client_version"]);
            flow.decide(&server, &frigg, "approve", version).await.expect(200);
        }
    }

    /// Issue 13: a changed client can be denied, and changes of other columns require no new page.
    async fn a_changed_client_can_be_denied(setup: Setup) {
        let server = setup.start().await;
        let thor = server.member("thor", &[]).await;
        let frigg = server.member("frigg", &[]).await;
        let app = app_of(&server, &thor).await;
        let request = |code| Flow::start(&server, &frigg, &app, "openid", code);
        for code in [true, false] {
            let (denied, approved) = (request(code).await, request(code).await);
            denied.page(&server, &frigg).await;
            let page = approved.page(&server, &frigg).await;
            let touch = "UPDATE oauth_clients SET updated_at = $1";
            touch_at(&server, touch, "2026-01-01T00:00:05Z").await;
            let version = Some(&page["client_version"]);
            approved.decide(&server, &frigg, "approve", version).await.expect(200);
            server.sql("UPDATE oauth_clients SET name = name || '!'", &[]).await;
            denied.decide(&server, &frigg, "deny", Some(&page["client_version"])).await.expect(200);
        }
    }

    /// Issue 13: a request written by a Storyden is approved if the client, the account and the roles
    /// did not change since the request, or after the page was shown here.
    async fn a_request_of_a_storyden_is_shown_again_after_a_change(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let claim = "UPDATE oauth_device_authorisations SET claimed_by_account_id = $1";
        let request = async |code| {
            let flow = Flow::start(&server, &frigg, &app, "openid", code).await;
            server.sql(claim, &[frigg.id.as_str()]).await;
            server.sql("DELETE FROM auth_shown_consents", &[]).await;
            server.sql("DELETE FROM auth_request_details", &[]).await;
            flow
        };
        for code in [true, false] {
            let flow = request(code).await;
            let approved = flow.decide(&server, &frigg, "approve", None).await.expect(200);
            assert_eq!(flow.scope(&server, &app, &approved).await, ["openid"]);
        }
        for table in ["oauth_clients", "accounts", "roles"] {
            for code in [true, false] {
                let flow = request(code).await;
                server.turn(time::Duration::seconds(1));
                let later = server.clock.now().to_rfc3339();
                let touch = match table {
                    "oauth_clients" => "UPDATE oauth_clients SET updated_at = $1",
                    "accounts" => "UPDATE accounts SET updated_at = $1",
                    _ => "UPDATE roles SET updated_at = $1",
                };
                touch_at(&server, touch, &later).await;
                assert_must_be_shown_again(flow.decide(&server, &frigg, "approve", None).await);
                flow.page(&server, &frigg).await;
                flow.decide(&server, &frigg, "approve", None).await.expect(200);
                server.turn(time::Duration::seconds(1));
            }
        }
    }

    /// Issue 13: a session that ended between page and decision cannot decide; the later end of the
    /// session that approved a grant leaves the grant.
    async fn a_session_ended_before_the_click_decides_nothing(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let phone = server.sign_in_again(&frigg).await;
        let refresh = server.tokens(&phone, &app, &[]).await.text("refresh_token");
        let flow = Flow::start(&server, &phone, &app, "openid", true).await;
        flow.page(&server, &phone).await;
        let out = server.request("POST", "/api/auth/logout").header("cookie", phone.cookie());
        server.send(out).await.expect(302);
        flow.decide(&server, &phone, "approve", None).await.expect(401);
        flow.decide(&server, &phone, "deny", None).await.expect(401);
        flow.decide(&server, &frigg, "approve", None).await.expect(200);
        server.refresh(&app, &refresh).await.expect(200);
    }
}

async fn touch_at(server: &Server, sql: &'static str, at: &str) {
    let at = storyden_auth::clock::Timestamp::parse_rfc3339(at).unwrap();
    server
        .context
        .db
        .execute(sql, vec![at.into()])
        .await
        .unwrap();
}
