//! Permissions that a member leaves out on the page of a code flow or a device flow.

use serde_json::{Value, json};

use crate::support::{
    Answer, Client, Member, NewClient, Server, assert_redirect_to_consent, both, told,
};

const CODE: &str = "/api/oauth/authorize/consent";
const DEVICE: &str = "/api/oauth/device/consent";
const ASKED: &str = "openid profile email offline_access READ_PROFILE MANAGE_POSTS";

/// A request of either flow that awaits a decision.
enum Flow {
    Code(String),
    Device {
        user_code: String,
        device_code: String,
    },
}

impl Flow {
    async fn start(server: &Server, member: &Member, app: &Client, is_code: bool) -> Self {
        if is_code {
            return Self::Code(server.pending(member, app, &[("scope", ASKED)]).await);
        }
        let started = server.start_device(app, ASKED).await.expect(200);
        let user_code = started.text("user_code");
        server.open_device(member, &user_code).await.expect(200);
        Self::Device {
            user_code,
            device_code: started.text("device_code"),
        }
    }

    /// Approves with the scopes that are left selected.
    async fn approve(&self, server: &Server, member: &Member, scopes: &Value) -> Answer {
        let (path, mut body) = match self {
            Self::Code(request_id) => (CODE, json!({ "request_id": request_id })),
            Self::Device { user_code, .. } => (DEVICE, json!({ "user_code": user_code })),
        };
        body["decision"] = "approve".into();
        body["scopes"] = scopes.clone();
        server.post_as(member, path, &body).await
    }

    /// The tokens after an approval.
    async fn tokens(&self, server: &Server, app: &Client, approved: &Answer) -> Answer {
        match self {
            Self::Code(_) => server
                .exchange(app, &approved.sent("code").unwrap())
                .await
                .expect(200),
            Self::Device { device_code, .. } => server.poll(app, device_code).await.expect(200),
        }
    }
}

both! {
    /// Issue 15, req_018, req_133: the tokens have what was left selected, and say so; a refresh gains nothing.
    async fn the_tokens_have_what_was_selected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        for is_code in [true, false] {
            for (selected, granted) in [
                (json!(["openid", "offline_access", "READ_PROFILE"]), "READ_PROFILE offline_access openid"),
                (json!(["openid"]), "openid"),
                (json!(["openid", "openid", "ADMINISTRATOR", "nonsense", ""]), "openid"),
                (Value::Null, "MANAGE_POSTS READ_PROFILE email offline_access openid profile"),
            ] {
                let flow = Flow::start(&server, &frigg, &app, is_code).await;
                let approved = flow.approve(&server, &frigg, &selected).await.expect(200);
                let tokens = flow.tokens(&server, &app, &approved).await;
                assert_eq!(tokens.scope().join(" "), granted, "{is_code}");
                assert_eq!(tokens.claims("access_token")["scope"].as_str().map(|scope| scope.split(' ').count()), Some(tokens.scope().len()));
                let refresh = tokens.json()["refresh_token"].as_str().map(str::to_owned);
                assert_eq!(refresh.is_some(), granted.contains("offline_access"));
                if let Some(refresh) = refresh {
                    assert_eq!(server.refresh(&app, &refresh).await.expect(200).scope().join(" "), granted);
                }
            }
        }
    }

    /// Issue 15: `openid` cannot be left out, if the page offered it; the request stays undecided.
    async fn openid_cannot_be_left_out(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        for is_code in [true, false] {
            let flow = Flow::start(&server, &frigg, &app, is_code).await;
            for selected in [json!([]), json!(["profile", "MANAGE_POSTS"])] {
                let answer = flow.approve(&server, &frigg, &selected).await;
                let answer = answer.expect_error(400, "invalid_scope");
                assert_eq!(answer.text("error_description"), "openid cannot be left out; deny the request instead");
                assert_eq!(answer.json().get("location"), None);
            }
            for malformed in [json!("openid"), json!([1]), json!({}), json!([null])] {
                flow.approve(&server, &frigg, &malformed).await.expect(400);
            }
            flow.approve(&server, &frigg, &json!(["openid"])).await.expect(200);
        }
        let request_id = server.pending(&frigg, &app, &[("scope", "READ_PROFILE")]).await;
        let flow = Flow::Code(request_id);
        let approved = flow.approve(&server, &frigg, &json!([])).await.expect(200);
        assert_eq!(flow.tokens(&server, &app, &approved).await.text("scope"), "");
    }

    /// Issue 15: a permission that was left out is new at the next request; the approved rest is remembered.
    /// Leaving out a permission forgets an earlier approval of it.
    async fn a_permission_that_was_left_out_is_asked_again(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &["MANAGE_POSTS"]).await;
        let app = server.public_client().await;
        let flow = Flow::start(&server, &frigg, &app, true).await;
        flow.approve(&server, &frigg, &json!(["openid", "email"])).await.expect(200);
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("scope", ASKED)]).await);
        let silent = [("scope", ASKED), ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
        server.authorize(Some(&frigg), &app, &[("scope", "openid email")]).await.code();
        let flow = Flow::start(&server, &frigg, &app, true).await;
        flow.approve(&server, &frigg, &json!(["openid", "profile"])).await.expect(200);
        server.authorize(Some(&frigg), &app, &[("scope", "openid profile")]).await.code();
        assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[("scope", "openid email")]).await);
    }

    /// Issue 15, A-32: a client that inherits every permission has what was left selected, also after a refresh.
    async fn an_inheriting_client_has_what_was_selected(setup: Setup) {
        let server = setup.start().await;
        let odin = server.admin("odin").await;
        let app = server.client(NewClient { inherit: true, ..NewClient::default() }).await;
        let request_id = server.pending(&odin, &app, &[("scope", "openid offline_access")]).await;
        let offered = server.consent(&odin, &request_id).await.expect(200).json();
        assert!(offered["granted_scopes"].as_array().unwrap().contains(&json!("ADMINISTRATOR")));
        let flow = Flow::Code(request_id);
        let selected = json!(["openid", "offline_access", "CREATE_POST"]);
        let approved = flow.approve(&server, &odin, &selected).await.expect(200);
        let tokens = flow.tokens(&server, &app, &approved).await;
        assert_eq!(tokens.scope(), ["CREATE_POST", "offline_access", "openid"]);
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(refreshed.scope(), tokens.scope());
    }
}
