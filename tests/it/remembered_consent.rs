//! Remembered consent: an approval on the consent page is remembered, and the same or less is given again
//! without a page (OpenID Connect Core §3.1.2.4).

use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    Answer, BrowserRequest, Client, Member, NewClient, Server, assert_redirect_to_consent, both,
    told,
};

const CONSENT: &str = "/api/oauth/authorize/consent";

/// Approves a scope on the consent page.
async fn approve(server: &Server, member: &Member, app: &Client, scope: &str) {
    server.code(member, app, &[("scope", scope)]).await;
}

/// Sends an authorization request that does not ask for the consent page.
async fn ask(server: &Server, member: &Member, app: &Client, scope: &str) -> Answer {
    server
        .authorize(Some(member), app, &[("scope", scope)])
        .await
}

/// Counts the remembered consents.
async fn remembered(server: &Server) -> i64 {
    let sql = "SELECT COUNT(*) AS n FROM auth_consents";
    server.count(sql, &[]).await
}

/// Returns the content of the consent page.
async fn page(server: &Server, member: &Member, app: &Client, changed: &[(&str, &str)]) -> Value {
    let request_id = server.pending(member, app, changed).await;
    server.consent(member, &request_id).await.expect(200).json()
}

both! {
    /// Issue 15, req_166, req_025, req_105: the same or less is given without a page, by GET and with
    /// `prompt=none`; the response has `state` and `iss`, and the tokens are those of an approval.
    async fn the_same_or_less_is_given_without_a_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid profile offline_access READ_PROFILE").await;
        server.turn(Duration::hours(1));
        for prompt in ["", "none"] {
            for (scope, granted) in [
                ("openid profile offline_access READ_PROFILE", "READ_PROFILE offline_access openid profile"),
                ("READ_PROFILE openid", "READ_PROFILE openid"),
                ("profile", "profile"),
            ] {
                let changed = [("scope", scope), ("prompt", prompt), ("nonce", "n1")];
                let answer = server.authorize(Some(&frigg), &app, &changed).await;
                let code = answer.code();
                assert_eq!(
                    answer.header("location"),
                    format!("https://app.example/cb?code={code}&state=st&iss=https%3A%2F%2Fauth.example")
                );
                assert_eq!(answer.header("cache-control"), "no-store");
                let tokens = server.exchange(&app, &code).await.expect(200);
                assert_eq!(tokens.scope().join(" "), granted);
                if granted.contains("openid") {
                    let claims = tokens.claims("id_token");
                    assert_eq!((&claims["sub"], &claims["nonce"]), (&json!(frigg.id), &json!("n1")));
                    assert_eq!(claims["auth_time"].as_i64().unwrap(), claims["iat"].as_i64().unwrap() - 3_600);
                }
                assert_eq!(tokens.json().get("refresh_token").is_some(), granted.contains("offline"));
            }
        }
        assert_eq!(remembered(&server).await, 1);
    }

    /// Issue 15: a scope that was not approved needs the page; `prompt=none` is then `consent_required`. The
    /// second approval adds to the first.
    async fn anything_new_is_asked(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
        approve(&server, &frigg, &app, "openid profile").await;
        let more = [("scope", "openid email"), ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &more).await, "consent_required");
        let request_id = assert_redirect_to_consent(ask(&server, &frigg, &app, "openid email").await);
        server.decide(&frigg, &request_id, "approve").await.expect(200);
        ask(&server, &frigg, &app, "openid profile email").await.code();
        assert_redirect_to_consent(ask(&server, &frigg, &app, "openid MANAGE_POSTS").await);
        assert_redirect_to_consent(ask(&server, &frigg, &app, "profile offline_access").await);
        let loki = server.member("loki", &[]).await;
        assert_redirect_to_consent(ask(&server, &loki, &app, "openid").await);
    }

    /// Issue 15, req_167: `prompt=consent` shows the page each time, and `prompt=login` a sign-in before the
    /// remembered approval counts.
    async fn prompt_consent_shows_the_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid").await;
        for prompt in ["consent", "login consent"] {
            server.turn(Duration::seconds(1));
            let changed = [("scope", "openid"), ("prompt", prompt)];
            let answer = server.authorize(Some(&frigg), &app, &changed).await.expect(302);
            let request_id = if prompt == "consent" {
                assert_redirect_to_consent(answer)
            } else {
                let browser = BrowserRequest::of(&answer);
                server.turn(Duration::seconds(1));
                let frigg = server.sign_in_again(&frigg).await;
                let page = browser.open(&server, &frigg).await.expect(200).json();
                assert_eq!((page.get("remembered"), &page["remembers"]), (None, &json!(true)));
                browser.request_id
            };
            // the decision `repeat` does not replace the page
            let repeated = server.decide(&frigg, &request_id, "repeat").await;
            repeated.expect_error(400, "consent_required");
            server.decide(&frigg, &request_id, "approve").await.expect(200);
        }
        let old = server.authorize(Some(&frigg), &app, &[("scope", "openid"), ("prompt", "login")]).await;
        let browser = BrowserRequest::of(&old.expect(302));
        server.turn(Duration::seconds(1));
        let frigg = server.sign_in_again(&frigg).await;
        browser.resume(&server, Some(&frigg)).await.code();
    }

    /// Issue 15, req_170: after a sign-in, the page learns that the approval is remembered, and the decision
    /// `repeat` grants without showing the request.
    async fn after_sign_in_the_approval_is_repeated(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid profile").await;
        let browser = BrowserRequest::begin(&server, &app, &[("scope", "openid")]).await;
        let page = browser.open(&server, &frigg).await.expect(200).json();
        assert_eq!(page["remembered"], true);
        let repeated = browser.decide(&server, &frigg, "repeat").await.expect(200);
        assert_eq!(repeated.text("status"), "approved");
        let tokens = server.exchange(&app, &repeated.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.scope(), ["openid"]);
        let again = browser.decide(&server, &frigg, "repeat").await;
        again.expect_error(400, "invalid_request");
        // A new permission shows the page; `repeat` grants nothing.
        let browser = BrowserRequest::begin(&server, &app, &[("scope", "openid email")]).await;
        let page = browser.open(&server, &frigg).await.expect(200).json();
        assert_eq!(page.get("remembered"), None);
        let repeated = browser.decide(&server, &frigg, "repeat").await;
        repeated.expect_error(400, "consent_required");
        browser.decide(&server, &frigg, "approve").await.expect(200);
        // A resumed request needs no page.
        let browser = BrowserRequest::begin(&server, &app, &[]).await;
        let answer = browser.resume(&server, Some(&frigg)).await;
        assert_redirect_to_consent(answer); // offline_access is new
        let browser = BrowserRequest::begin(&server, &app, &[("scope", "openid email")]).await;
        let answer = browser.resume(&server, Some(&frigg)).await;
        answer.code();
        assert!(answer.header("set-cookie").contains("Max-Age=0"), "the cookie of the request is cleared");
    }

    /// Issue 15: the page says if an approval is remembered.
    async fn the_page_says_that_an_approval_is_remembered(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_SETTINGS"]).await;
        let app = server.public_client().await;
        let native = NewClient { client_id: "native", redirect_uris: &["http://127.0.0.1/cb"], ..NewClient::default() };
        let native = server.client(native).await;
        assert_eq!(page(&server, &frigg, &app, &[]).await["remembers"], true);
        assert_eq!(page(&server, &frigg, &native, &[]).await.get("remembers"), None);
        let tool = NewClient { client_id: "tool", scope: "MANAGE_SETTINGS", ..NewClient::default() };
        let tool = server.client(tool).await;
        assert_eq!(page(&server, &frigg, &tool, &[("scope", "MANAGE_SETTINGS")]).await.get("remembers"), None);
    }

    /// Issue 15: a posted request is answered by the remembered approval too.
    async fn a_posted_request_is_answered_without_a_page(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid").await;
        let form = [
            ("response_type", "code"), ("client_id", "app"), ("scope", "openid"), ("prompt", "none"),
            ("code_challenge", crate::support::CHALLENGE), ("code_challenge_method", "S256"),
        ];
        let answer = server.post_form("/api/oauth/authorize", &form).await.expect(303);
        let browser = BrowserRequest::of(&answer);
        let code = browser.resume(&server, Some(&frigg)).await.code();
        server.exchange(&app, &code).await.expect(200);
        browser.resume(&server, Some(&frigg)).await.expect_error(400, "invalid_request");
    }

    /// Issue 15: the audit trail tells a repeated approval from an approval on the page.
    async fn the_audit_trail_has_repeated_approvals(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid").await;
        ask(&server, &frigg, &app, "openid").await.code();
        let sql = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = $1 AND actor_id = $2 \
                   AND client_id = 'app' AND address IS NOT NULL";
        for event in ["grant_approved", "consent_repeated"] {
            assert_eq!(server.count(sql, &[event, frigg.id.as_str()]).await, 1, "{event}");
        }
    }

    /// Issue 15, req_144: an approval is remembered for the requested resources; a different resource shows the
    /// page, in any order of the resources.
    async fn another_resource_is_asked(setup: Setup) {
        let server = setup.with("OAUTH_RESOURCES", "https://a.example https://b.example").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let of = |resource| [("scope", "openid"), ("resource", resource)];
        approve(&server, &frigg, &app, "openid").await;
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &of("https://a.example")).await);
        server.code(&frigg, &app, &of("https://a.example")).await;
        for resource in ["https://a.example", ""] {
            server.authorize(Some(&frigg), &app, &of(resource)).await.code();
        }
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &of("https://b.example")).await);
        assert_eq!(remembered(&server).await, 2);
    }

    /// Issue 15: the operator can turn remembered approvals off. Approvals from before do not count while
    /// the setting is off.
    async fn the_setting_turns_it_off(setup: Setup) {
        let server = setup.clone().start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid").await;
        let server = setup.with("OAUTH_REMEMBER_CONSENT", "false").start().await;
        let request_id = assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
        let page = server.consent(&frigg, &request_id).await.expect(200).json();
        assert_eq!((page.get("remembered"), page.get("remembers")), (None, None));
        let silent = [("scope", "openid"), ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
        server.sql("DELETE FROM auth_consents", &[]).await;
        approve(&server, &frigg, &app, "openid").await;
        assert_eq!(remembered(&server).await, 0);
    }

    /// Issue 15: the profile `storyden` shows the page each time, regardless of the setting and of approvals
    /// from before; `repeat` is no decision there.
    async fn the_profile_storyden_never_remembers(setup: Setup) {
        let server = setup.clone().start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        approve(&server, &frigg, &app, "openid").await;
        let setup = setup.with("OAUTH_PROFILE", "storyden").with("OAUTH_REMEMBER_CONSENT", "true");
        let server = setup.start().await;
        for _ in 0..2 {
            let request_id = assert_redirect_to_consent(ask(&server, &frigg, &app, "openid").await);
            let page = server.consent(&frigg, &request_id).await.expect(200).json();
            assert_eq!((page.get("remembered"), page.get("remembers")), (None, None));
            let body = json!({ "request_id": request_id, "decision": "repeat" });
            let answer = server.post_as(&frigg, CONSENT, &body).await.expect(400);
            assert_eq!(answer.header("content-type"), "application/problem+json");
            server.decide(&frigg, &request_id, "approve").await.expect(200);
        }
        let listed = server.get_as(&server.admin("odin").await, "/api/auth/oauth/applications").await;
        assert!(!listed.expect(200).body.contains("remembered"));
        assert_eq!(remembered(&server).await, 1); // the row of the profile `standards`
    }
}
