//! The `claims` parameter (OpenID Connect Core §5.5): claims that a client requests one by one, for the ID token
//! and for userinfo.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, BrowserRequest, Client, Member, NewClient, Server, both, told};

/// Claims for both places, one of them essential.
const CLAIMS: &str = r#"{"userinfo":{"name":{"essential":true},"nickname":null},"id_token":{"email":null,"auth_time":{"essential":true}}}"#;

/// Starts a request with the scope `openid` and claims, and returns its id with the consent response.
async fn page(server: &Server, member: &Member, app: &Client, claims: &str) -> (String, Value) {
    let changed = [("scope", "openid"), ("claims", claims)];
    let request_id = server.pending(member, app, &changed).await;
    let page = server.consent(member, &request_id).await.expect(200).json();
    (request_id, page)
}

/// Approves as a page does that showed the claims, and returns the token response.
async fn approve(
    server: &Server,
    member: &Member,
    app: &Client,
    (id, page): (String, Value),
) -> Answer {
    let shown = page["requested_claims"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let names: Vec<&Value> = shown.iter().map(|claim| &claim["name"]).collect();
    approve_claims(server, member, app, (&id, json!(names))).await
}

/// Approves with these `granted_claims`, and returns the token response.
async fn approve_claims(
    server: &Server,
    member: &Member,
    app: &Client,
    (id, claims): (&str, Value),
) -> Answer {
    let body = json!({ "request_id": id, "decision": "approve", "granted_claims": claims });
    let approved = server
        .post_as(member, "/api/oauth/authorize/consent", &body)
        .await;
    let code = approved.expect(200).sent("code").unwrap();
    server.exchange(app, &code).await.expect(200)
}

/// The names of the claims about the person in an ID token.
fn in_id_token(tokens: &Answer) -> Vec<String> {
    const PROTOCOL: &[&str] = &[
        "at_hash",
        "aud",
        "auth_time",
        "exp",
        "iat",
        "iss",
        "sub",
        "acr",
        "nonce",
    ];
    let claims = tokens.claims("id_token");
    let names = claims.as_object().unwrap().keys();
    names
        .filter(|name| !PROTOCOL.contains(&name.as_str()))
        .cloned()
        .collect()
}

/// The names of the claims in userinfo, without `sub`.
async fn in_userinfo(server: &Server, tokens: &Answer) -> Vec<String> {
    let answer = server
        .get_with_bearer("/api/oauth/userinfo", &tokens.text("access_token"))
        .await;
    let claims = answer.expect(200).json();
    let names = claims.as_object().unwrap().keys();
    names.filter(|name| *name != "sub").cloned().collect()
}

both! {
    /// req_176: a claim goes to the place that the client names, also after a refresh; the consent response
    /// lists the claims, and tells the essential ones.
    async fn claims_are_given_at_the_requested_place(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (id, shown) = page(&server, &frigg, &app, CLAIMS).await;
        assert_eq!(shown["requested_claims"], json!([
            { "name": "email", "essential": false }, { "name": "name", "essential": true },
        ]));
        assert_eq!(shown["granted_scopes"], json!(["openid"]));
        let tokens = approve(&server, &frigg, &app, (id, shown)).await;
        assert_eq!(tokens.text("scope"), "openid");
        assert_eq!(in_id_token(&tokens), ["email"]);
        assert_eq!(in_userinfo(&server, &tokens).await, ["name"]);
        // The grant keeps the claims.
        let changed = [("scope", "openid offline_access"), ("claims", CLAIMS)];
        let id = server.pending(&frigg, &app, &changed).await;
        let tokens = approve_claims(&server, &frigg, &app, (&id, json!(["email", "name"]))).await;
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(in_id_token(&refreshed), ["email"]);
        assert_eq!(in_userinfo(&server, &refreshed).await, ["name"]);
        // without the parameter
        let plain = server.tokens(&frigg, &app, &[("scope", "openid")]).await;
        assert_eq!(in_id_token(&plain), [""; 0]);
        assert_eq!(in_userinfo(&server, &plain).await, [""; 0]);
    }

    /// An approval grants only what was shown: a page that does not repeat the claims grants none.
    async fn a_page_that_shows_no_claims_grants_none(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (id, _) = page(&server, &frigg, &app, CLAIMS).await;
        let approved = server.decide(&frigg, &id, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(in_id_token(&tokens), [""; 0]);
        assert_eq!(in_userinfo(&server, &tokens).await, [""; 0]);
        // Some of the claims, and claims that the client did not request
        let (id, _) = page(&server, &frigg, &app, CLAIMS).await;
        let tokens = approve_claims(&server, &frigg, &app, (&id, json!(["name", "picture", "x"]))).await;
        assert_eq!(in_id_token(&tokens), [""; 0]);
        assert_eq!(in_userinfo(&server, &tokens).await, ["name"]);
        let (id, _) = page(&server, &frigg, &app, CLAIMS).await;
        let body = json!({ "request_id": id, "decision": "approve", "granted_claims": "name" });
        server.post_as(&frigg, "/api/oauth/authorize/consent", &body).await.expect(400);
    }

    /// OpenID Connect Core §5.4, §5.5: a claim of a granted scope needs no separate approval, and ends with the
    /// scope.
    async fn a_granted_scope_covers_its_claims(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let claims = r#"{"id_token":{"email":null,"email_verified":null}}"#;
        let changed = [("scope", "openid email offline_access"), ("claims", claims)];
        let id = server.pending(&frigg, &app, &changed).await;
        let shown = server.consent(&frigg, &id).await.expect(200).json();
        assert_eq!(shown.get("requested_claims"), None);
        let approved = server.decide(&frigg, &id, "approve").await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(in_id_token(&tokens), ["email", "email_verified"]);
        assert_eq!(tokens.claims("id_token")["email"], "frigg@example.com");
        let refresh_token = tokens.text("refresh_token");
        let narrower = [
            ("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("client_id", &app.client_id),
            ("scope", "openid"),
        ];
        let narrower = server.token(&narrower).await.expect(200);
        assert_eq!(in_id_token(&narrower), [""; 0]);
    }

    /// req_020: a client gets no claim of a scope that it may not have, and none without `openid`.
    async fn claims_stay_within_the_scope_of_the_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.client(NewClient { scope: "openid email", ..NewClient::default() }).await;
        let (id, shown) = page(&server, &frigg, &app, CLAIMS).await;
        assert_eq!(shown["requested_claims"], json!([{ "name": "email", "essential": false }]));
        let tokens = approve_claims(&server, &frigg, &app, (&id, json!(["email", "name"]))).await;
        assert_eq!(in_id_token(&tokens), ["email"]);
        assert_eq!(in_userinfo(&server, &tokens).await, [""; 0]);
        let id = server.pending(&frigg, &app, &[("scope", "email"), ("claims", CLAIMS)]).await;
        let shown = server.consent(&frigg, &id).await.expect(200).json();
        assert_eq!(shown.get("requested_claims"), None);
    }

    /// req_176: a malformed parameter is an error for the client, at once or after sign-in; unknown claims and
    /// members are ignored.
    async fn a_malformed_parameter_is_refused(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for claims in ["{", "[]", "1", r#"{"userinfo":["name"]}"#, r#"{"a":1,"a":2}"#] {
            told(server.authorize(Some(&frigg), &app, &[("claims", claims)]).await, "invalid_request");
            let detour = BrowserRequest::begin(&server, &app, &[("claims", claims)]).await;
            let answer = detour.open(&server, &frigg).await.expect_error(400, "invalid_request");
            assert_eq!(answer.sent("error").as_deref(), Some("invalid_request"));
        }
        let twice = [("claims", "{}"), ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &twice).await, "consent_required");
        for claims in ["{}", r#"{"userinfo":{"x":{"essential":1},"name":true}}"#, r#"{"id_token":null,"y":[]}"#] {
            server.pending(&frigg, &app, &[("claims", claims)]).await;
        }
    }

    /// req_169, OpenID Connect Core §5.5.1: a requested `sub` is the account that must be signed in, also after
    /// the sign-in of another account.
    async fn a_requested_subject_must_be_signed_in(setup: Setup) {
        let server = setup.start().await;
        let (frigg, odin) = (server.member("frigg", &[]).await, server.member("odin", &[]).await);
        let app = server.public_client().await;
        let claims = json!({ "id_token": { "sub": { "value": frigg.id.as_str() } } }).to_string();
        let changed = [("claims", claims.as_str())];
        server.pending(&frigg, &app, &changed).await;
        told(server.authorize(Some(&odin), &app, &changed).await, "login_required");
        let detour = BrowserRequest::begin(&server, &app, &changed).await;
        detour.open(&server, &odin).await.expect_error(400, "login_required");
        detour.open(&server, &frigg).await.expect(200);
    }

    /// Issue 15, req_176: a remembered approval gives the claims of its scopes. A claim that only a page can grant
    /// needs the page each time, also if an earlier page granted the claim.
    async fn a_remembered_approval_gives_no_further_claims(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let shown = page(&server, &frigg, &app, CLAIMS).await;
        approve(&server, &frigg, &app, shown).await;
        let asked = [("scope", "openid"), ("claims", CLAIMS)];
        let silent = [asked[0], asked[1], ("prompt", "none")];
        told(server.authorize(Some(&frigg), &app, &silent).await, "consent_required");
        let detour = BrowserRequest::begin(&server, &app, &asked).await;
        let shown = detour.open(&server, &frigg).await.expect(200).json();
        assert_eq!((shown.get("remembered"), &shown["remembers"]), (None, &json!(true)));
        let repeated = detour.decide(&server, &frigg, "repeat").await;
        repeated.expect_error(400, "consent_required");
        // without these claims, the same approval needs no page
        server.authorize(Some(&frigg), &app, &[("scope", "openid")]).await.code();
        server.code(&frigg, &app, &[("scope", "openid email")]).await;
        let claims = r#"{"id_token":{"email":null},"userinfo":{"email":null}}"#;
        let covered = [("scope", "openid email"), ("claims", claims)];
        let code = server.authorize(Some(&frigg), &app, &covered).await.code();
        let tokens = server.exchange(&app, &code).await.expect(200);
        assert_eq!(in_id_token(&tokens), ["email"]);
    }

    /// Issue 15, req_176: a scope that the member leaves out takes its claims with it.
    async fn a_left_out_scope_takes_its_claims(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let claims = r#"{"id_token":{"email":null,"name":null}}"#;
        let id = server.pending(&frigg, &app, &[("scope", "openid email"), ("claims", claims)]).await;
        let body = json!({
            "request_id": id, "decision": "approve", "scopes": ["openid"], "granted_claims": ["email", "name"],
        });
        let approved = server.post_as(&frigg, "/api/oauth/authorize/consent", &body).await.expect(200);
        let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
        assert_eq!(tokens.text("scope"), "openid");
        assert_eq!(in_id_token(&tokens), ["name"]);
    }

    /// Codes and grants of an earlier binary, and requests of a Storyden, have no claims; the request of an
    /// earlier binary is approved as before.
    async fn rows_without_the_new_columns_work(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (id, _) = page(&server, &frigg, &app, CLAIMS).await;
        server.sql("UPDATE auth_request_details SET requested_claims = NULL, response_mode = NULL, sign_in_method = NULL", &[]).await;
        let tokens = approve_claims(&server, &frigg, &app, (&id, json!(["name"]))).await;
        assert_eq!(in_userinfo(&server, &tokens).await, [""; 0]);
        server.turn(Duration::seconds(1));
        let tokens = server.tokens(&frigg, &app, &[]).await;
        server.sql("UPDATE auth_grants SET claims = NULL, sign_in_method = NULL", &[]).await;
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await.expect(200);
        assert_eq!(in_userinfo(&server, &refreshed).await.len(), 5);
    }
}
