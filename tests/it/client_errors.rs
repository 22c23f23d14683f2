//! Recent errors of each application, for its developer (issue 18): the kinds of mistakes, bounds, access, and what is
//! never stored.

use serde_json::{Value, json};
use storyden_auth::jobs;
use storyden_auth::oauth::mistake::MistakeKind;
use time::Duration;

use crate::cleanup::clean_up;
use crate::support::{
    BrowserRequest, Client, ClientKey, ISSUER, Member, NewClient, Server, VERIFIER, both,
};

/// A public client of the member.
async fn client_of(server: &Server, owner: &Member) -> Client {
    let new = NewClient {
        owner: Some(owner.id.clone()),
        ..NewClient::default()
    };
    server.client(new).await
}

/// Lists the errors of a client with the session of the owner.
async fn errors(server: &Server, owner: &Member, client: &Client) -> Vec<Value> {
    let path = format!("/api/auth/oauth/clients/{}/errors", client.row_id);
    let list = server.get_as(owner, &path).await.expect(200).json();
    list["errors"].as_array().unwrap().clone()
}

/// Checks the kind of the newest error, and returns endpoint, error code and value.
#[track_caller]
fn newest(errors: &[Value], mistake: &str) -> [String; 3] {
    let first = &errors[0];
    assert_eq!(first["mistake"], mistake, "{first}");
    let kind = MistakeKind::ALL.iter().find(|kind| kind.name() == mistake);
    assert_eq!(first["hint"], kind.unwrap().hint());
    ["endpoint", "error", "value"].map(|name| first[name].as_str().unwrap_or_default().to_owned())
}

fn told(endpoint: &str, error: &str, value: &str) -> [String; 3] {
    [endpoint, error, value].map(str::to_owned)
}

const AUTHORIZE: &str = "/api/oauth/authorize";
const TOKEN: &str = "/api/oauth/token";

both! {
    /// A wrong redirect URI is shown with the part that differs, and equal errors are one entry with a count.
    async fn wrong_redirect_uri_is_counted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        assert_eq!(errors(&server, &frigg, &app).await, [] as [Value; 0]);
        let wrong = "https://app.example/callback";
        for _ in 0..3 {
            server.authorize(None, &app, &[("redirect_uri", wrong)]).await.expect(400);
            server.turn(Duration::seconds(1));
        }
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(list.len(), 1, "{list:?}");
        assert_eq!(newest(&list, "redirect_uri"), told(AUTHORIZE, "invalid_request", wrong));
        assert_eq!(list[0]["count"], 3);
        assert!(list[0]["description"].as_str().unwrap().contains("the path"), "{}", list[0]);
        assert!(list[0]["first_at"].as_str() < list[0]["last_at"].as_str());
        // counted on after a write, and beside another value
        server.authorize(None, &app, &[("redirect_uri", wrong)]).await.expect(400);
        server.turn(Duration::seconds(1));
        server.authorize(None, &app, &[("redirect_uri", "https://u:p@app.example/cb")]).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "redirect_uri")[2], "https://…@app.example/cb");
        assert_eq!(list[1]["count"], 4);
        // a token request with another one
        let code = server.code(&frigg, &app, &[]).await;
        server.turn(Duration::seconds(1));
        let form = [("grant_type", "authorization_code"), ("code", &code), ("client_id", "app"), ("redirect_uri", wrong), ("code_verifier", VERIFIER)];
        server.token(&form).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "redirect_uri_repeat"), told(TOKEN, "invalid_grant", wrong));
    }

    /// RFC 7636: a missing challenge, an unsupported method, a malformed challenge, a missing and a wrong verifier.
    async fn pkce_mistakes_are_told_apart(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        for (changed, mistake, value) in [
            (vec![("code_challenge", ""), ("code_challenge_method", "")], "pkce_missing", ""),
            (vec![("code_challenge_method", "plain")], "pkce_method", "plain"),
            (vec![("code_challenge", "short")], "pkce_challenge", ""),
        ] {
            server.turn(Duration::seconds(1));
            let answer = server.authorize(Some(&frigg), &app, &changed).await;
            assert_eq!(answer.sent("error").as_deref(), Some("invalid_request"));
            let list = errors(&server, &frigg, &app).await;
            assert_eq!(newest(&list, mistake), told(AUTHORIZE, "invalid_request", value));
        }
        // a guest signs in first, and the consent page finds the mistake
        server.turn(Duration::seconds(1));
        let browser = BrowserRequest::begin(&server, &app, &[("code_challenge_method", "none")]).await;
        browser.open(&server, &frigg).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "pkce_method"), told(AUTHORIZE, "invalid_request", "none"));
        let code = server.code(&frigg, &app, &[]).await;
        let with = [("grant_type", "authorization_code"), ("code", code.as_str()), ("client_id", "app"), ("redirect_uri", &app.redirect_uri)];
        for (verifier, mistake, error) in [
            (None, "verifier_missing", "invalid_request"),
            (Some("x".repeat(43)), "verifier_wrong", "invalid_grant"),
            (Some("short".to_owned()), "verifier_wrong", "invalid_request"),
        ] {
            server.turn(Duration::seconds(1));
            let mut form = with.to_vec();
            form.extend(verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
            server.token(&form).await.expect_error(400, error);
            let list = errors(&server, &frigg, &app).await;
            assert_eq!(newest(&list, mistake), told(TOKEN, error, ""));
        }
    }

    /// A wrong secret, another authentication method, and two methods at once.
    async fn authentication_mistakes_never_show_the_secret(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let form = [("grant_type", "client_credentials")];
        server.send(server.token_request(&form).basic_auth("service", Some("wrong"))).await.expect(401);
        let list = errors(&server, &frigg, &service).await;
        assert_eq!(newest(&list, "secret"), told(TOKEN, "invalid_client", ""));
        server.turn(Duration::seconds(1));
        server.token(&[form[0], ("client_id", "service")]).await.expect(400);
        let list = errors(&server, &frigg, &service).await;
        assert_eq!(newest(&list, "auth_method"), told(TOKEN, "invalid_client", "none"));
        server.turn(Duration::seconds(1));
        let two = server.token_request(&[form[0], ("client_id", "service"), ("client_secret", "guess-the-secret")]);
        server.send(two.basic_auth("service", Some("guess-the-secret"))).await.expect(400);
        let list = errors(&server, &frigg, &service).await;
        assert_eq!(newest(&list, "auth_method"), told(TOKEN, "invalid_request", ""));
        server.turn(Duration::seconds(1));
        let revoke = [("client_id", "service"), ("client_secret", "guess-the-secret"), ("token", "guess-the-token")];
        server.post_form("/api/oauth/revoke", &revoke).await.expect(400);
        let list = errors(&server, &frigg, &service).await;
        assert_eq!(newest(&list, "secret"), told("/api/oauth/revoke", "invalid_client", ""));
        assert!(!json!(list).to_string().contains("guess"), "{list:?}");
    }

    /// RFC 7523 §3: a client assertion that is signed by another key is shown with its `kid`.
    async fn wrong_key_is_named(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let (key, other) = (ClientKey::es256(), ClientKey::es256());
        let new = json!({
            "name": "Agent", "type": "confidential", "allowed_scopes": ["READ_PROFILE"], "jwks": key.jwks(),
            "allowed_grants": ["client_credentials"], "pkce_required": true,
        });
        let made = server.post_as(&frigg, "/api/auth/oauth/clients", &new).await.expect(200).json();
        let id = made["client"]["client_id"].as_str().unwrap();
        let exp = server.clock.now().unix_seconds() + 60;
        let claims = json!({ "iss": id, "sub": id, "aud": ISSUER, "exp": exp, "jti": "1" });
        let assertion = other.sign_as(None, &claims);
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let form = [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", &assertion)];
        server.token(&form).await.expect(400);
        let path = format!("/api/auth/oauth/clients/{}/errors", made["client"]["id"].as_str().unwrap());
        let list = server.get_as(&frigg, &path).await.expect(200).json();
        let list = list["errors"].as_array().unwrap();
        assert_eq!(newest(list, "assertion"), told(TOKEN, "invalid_client", &other.kid));
        assert!(!json!(list).to_string().contains(&assertion));
    }

    /// RFC 6749 §4.1.2, §6: codes and refresh tokens that are unknown, expired or used.
    async fn codes_and_refresh_tokens_are_told_apart(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        let newest_of = async |mistake| newest(&errors(&server, &frigg, &app).await, mistake);
        let expected = told(TOKEN, "invalid_grant", "");
        server.exchange(&app, "unknown").await.expect(400);
        assert_eq!(newest_of("code_unknown").await, expected);
        let code = server.code(&frigg, &app, &[]).await;
        server.turn(Duration::minutes(2));
        server.exchange(&app, &code).await.expect(400);
        assert_eq!(newest_of("code_expired").await, expected);
        let code = server.code(&frigg, &app, &[]).await;
        let token = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        server.turn(Duration::seconds(1));
        server.exchange(&app, &code).await.expect(400);
        assert_eq!(newest_of("code_used").await, expected);
        server.refresh(&app, &token).await.expect(200);
        server.turn(Duration::minutes(1));
        server.refresh(&app, &token).await.expect(400);
        assert_eq!(newest_of("refresh_token_used").await, expected);
        server.turn(Duration::seconds(1));
        server.refresh(&app, "unknown").await.expect(400);
        assert_eq!(newest_of("refresh_token").await, expected);
        let list = json!(errors(&server, &frigg, &app).await).to_string();
        assert!(!list.contains(&code) && !list.contains(&token), "{list}");
    }

    /// Scopes, grants, grant types and resources: the refused value is named.
    async fn scopes_grants_and_resources_are_named(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        let service = server.confidential_client(&frigg.id).await;
        let secret = service.secret.clone().unwrap();
        let own = [("grant_type", "client_credentials"), ("client_id", "service"), ("client_secret", secret.as_str())];
        for (client, form, mistake, error, value) in [
            (&service, [&own[..], &[("scope", "MANAGE_SETTINGS")]].concat(), "scope", "invalid_scope", "MANAGE_SETTINGS"),
            (&service, [&own[..], &[("scope", "nonsense")]].concat(), "scope", "invalid_scope", "nonsense"),
            (&service, [&own[..], &[("resource", "https://other.example")]].concat(), "resource", "invalid_target", "https://other.example"),
            (&app, vec![("grant_type", "client_credentials"), ("client_id", "app")], "grant", "unauthorized_client", "client_credentials"),
            (&app, vec![("grant_type", "password"), ("client_id", "app")], "grant_type", "unsupported_grant_type", "password"),
            (&app, vec![("client_id", "app")], "grant_type", "invalid_request", ""),
        ] {
            server.turn(Duration::seconds(1));
            server.token(&form).await.expect_error(400, error);
            let list = errors(&server, &frigg, client).await;
            assert_eq!(newest(&list, mistake), told(TOKEN, error, value));
        }
        server.turn(Duration::seconds(1));
        server.authorize(Some(&frigg), &app, &[("scope", "nonsense")]).await;
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "scope"), told(AUTHORIZE, "invalid_scope", "nonsense"));
        server.turn(Duration::seconds(1));
        server.authorize(Some(&frigg), &app, &[("resource", "https://other.example")]).await;
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "resource"), told(AUTHORIZE, "invalid_target", "https://other.example"));
        server.turn(Duration::seconds(1));
        server.push(&app, &[("response_type", "token")]).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "request"), told("/api/oauth/par", "unsupported_response_type", "token"));
        server.turn(Duration::seconds(1));
        server.post_form("/api/oauth/device_authorization", &[("client_id", "service"), ("scope", "openid")]).await.expect(400);
        let list = errors(&server, &frigg, &service).await;
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        assert_eq!(newest(&list, "grant"), told("/api/oauth/device_authorization", "unauthorized_client", grant));
    }

    /// RFC 8628 §3.5: polling too fast is a mistake, waiting and a denial are none.
    async fn polling_too_fast_is_counted(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        let started = server.start_device(&app, "openid").await.expect(200);
        let (code, user_code) = (started.text("device_code"), started.text("user_code"));
        server.poll(&app, &code).await.expect_error(400, "authorization_pending");
        assert_eq!(errors(&server, &frigg, &app).await.len(), 0);
        for _ in 0..2 {
            server.poll(&app, &code).await.expect_error(400, "slow_down");
        }
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "polling"), told(TOKEN, "slow_down", ""));
        assert_eq!(list[0]["count"], 2);
        server.turn(Duration::minutes(1));
        server.open_device(&frigg, &user_code).await.expect(200);
        server.decide_device(&frigg, &user_code, "deny").await.expect(200);
        server.poll(&app, &code).await.expect_error(400, "access_denied");
        assert_eq!(errors(&server, &frigg, &app).await.len(), 1);
        server.poll(&app, "unknown").await.expect_error(400, "invalid_grant");
        newest(&errors(&server, &frigg, &app).await, "device_code");
    }

    /// Only the owner and administrators read the errors of a client, and an unknown client id stores nothing.
    async fn errors_are_for_owner_and_administrators(setup: Setup) {
        let server = setup.start().await;
        let (odin, frigg, loki) = (server.admin("odin").await, server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let app = client_of(&server, &frigg).await;
        server.authorize(None, &app, &[("redirect_uri", "https://x.example")]).await.expect(400);
        server.authorize(None, &app, &[("client_id", "nobody"), ("redirect_uri", "https://x.example")]).await.expect(400);
        server.token(&[("grant_type", "password"), ("client_id", "nobody")]).await.expect(400);
        jobs::write_client_errors(server.context.clone()).await;
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_client_errors", &[]).await, 1);
        let own = format!("/api/auth/oauth/clients/{}/errors", app.row_id);
        let any = format!("/api/admin/oauth/clients/{}/errors", app.row_id);
        let list = server.get_as(&frigg, &own).await.expect(200).json();
        assert_eq!(server.get_as(&odin, &any).await.expect(200).json(), list);
        server.get_as(&loki, &own).await.expect(400);
        server.get_as(&odin, &own).await.expect(400);
        server.get_as(&frigg, &any).await.expect(403);
        server.get(&own).await.expect(401);
        server.get_as(&frigg, "/api/auth/oauth/clients/none/errors").await.expect(404);
        server.get_as(&odin, "/api/admin/oauth/clients/none/errors").await.expect(404);
    }

    /// A flood of one mistake writes a bounded number of rows, keeps the other mistakes, and at most 100 rows stay.
    async fn floods_are_bounded_and_displace_no_other_mistake(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        server.exchange(&app, "unknown").await.expect(400);
        for minute in 0..14 {
            for value in 0..20 {
                let uri = format!("https://app.example/{minute}/{value}");
                server.authorize(None, &app, &[("redirect_uri", &uri)]).await.expect(400);
            }
            jobs::write_client_errors(server.context.clone()).await;
            server.turn(Duration::minutes(1));
        }
        let count = server.count("SELECT COUNT(*) AS n FROM auth_client_errors", &[]).await;
        assert_eq!(count, 100);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(list.len(), 100);
        assert!(list.iter().any(|error| error["mistake"] == "code_unknown"), "displaced");
        let without_value = list.iter().find(|error| error["mistake"] == "redirect_uri" && error["value"].is_null());
        assert!(without_value.unwrap()["count"].as_i64().unwrap() >= 100, "{without_value:?}");
    }

    /// Rows end seven days after the last error, and with the client.
    async fn errors_end_after_seven_days_and_with_the_client(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let rows = async || {
            jobs::write_client_errors(server.context.clone()).await;
            server.count("SELECT COUNT(*) AS n FROM auth_client_errors", &[]).await
        };
        let app = client_of(&server, &frigg).await;
        server.exchange(&app, "unknown").await.expect(400);
        server.turn(Duration::days(6));
        server.authorize(None, &app, &[("redirect_uri", "https://x.example")]).await.expect(400);
        assert_eq!(rows().await, 2);
        server.turn(Duration::days(1) + Duration::minutes(1));
        let frigg = server.sign_in_again(&frigg).await;
        assert_eq!(errors(&server, &frigg, &app).await.len(), 1, "not shown");
        clean_up(&server).await;
        assert_eq!(rows().await, 1, "deleted");
        server.delete_client(&app).await;
        assert_eq!(rows().await, 0);
        // an error that was not written when the client was deleted
        let other = server.client(NewClient { client_id: "other", ..NewClient::default() }).await;
        server.exchange(&other, "unknown").await.expect(400);
        server.delete_client(&other).await;
        assert_eq!(rows().await, 0);
    }

    /// Control and direction characters of a value are replaced, and long values are shortened (spoofing).
    async fn values_are_neutralised(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        let uri = "https://app.example/\u{202E}gpj.exe\u{7}";
        server.authorize(None, &app, &[("redirect_uri", uri)]).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        assert_eq!(newest(&list, "redirect_uri")[2], "https://app.example/\u{FFFD}gpj.exe\u{FFFD}");
        let token = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        server.turn(Duration::seconds(1));
        let uri = format!("https://app.example/cb?access_token={token}&{}", "a/".repeat(300));
        server.authorize(None, &app, &[("redirect_uri", &uri)]).await.expect(400);
        let list = errors(&server, &frigg, &app).await;
        let value = &newest(&list, "redirect_uri")[2];
        assert!(value.starts_with("https://app.example/cb?access_token=…&a/"), "{value}");
        assert!(value.ends_with("a/…") && value.chars().count() <= 201, "{value}");
    }

    /// The profile `storyden` gives the same answers as before, and records the same mistakes.
    async fn profile_storyden_records_errors_too(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let odin = server.admin("odin").await;
        let app = client_of(&server, &odin).await;
        let newest_of = async |mistake| newest(&errors(&server, &odin, &app).await, mistake);
        for (changed, mistake, value) in [
            (("code_challenge", ""), "pkce_missing", ""),
            (("code_challenge_method", "plain"), "pkce_method", "plain"),
            (("code_challenge", "short"), "pkce_challenge", ""),
            (("redirect_uri", "https://x.example"), "redirect_uri", "https://x.example"),
        ] {
            server.turn(Duration::seconds(1));
            server.authorize(Some(&odin), &app, &[changed]).await.expect(400);
            assert_eq!(newest_of(mistake).await[2], value);
        }
        let code = server.code(&odin, &app, &[]).await;
        let form = [("grant_type", "authorization_code"), ("code", &code), ("client_id", "app"), ("redirect_uri", &app.redirect_uri)];
        server.turn(Duration::seconds(1));
        let answer = server.token(&form).await.expect_error(400, "invalid_request");
        assert_eq!(answer.text("error_description"), "Missing code_verifier");
        newest_of("verifier_missing").await;
        server.turn(Duration::seconds(1));
        server.token(&[("grant_type", "password"), ("client_id", "app")]).await.expect(400);
        assert_eq!(newest_of("grant_type").await[2], "password");
    }

    /// `client errors` lists the same, as a table and as JSON.
    async fn command_lists_errors(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock(); // the command uses the machine's clock
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = client_of(&server, &frigg).await;
        let run = async |arguments: &[&str]| setup.run(arguments, &[]).await;
        let none = run(&["client", "errors", "app"]).await;
        assert_eq!((none.code, none.stdout.as_str()), (Some(0), ""));
        assert!(none.stderr.contains("no errors"), "{}", none.stderr);
        let uri = "https://app.example/\u{1b}[2J";
        server.authorize(None, &app, &[("redirect_uri", uri)]).await.expect(400);
        jobs::write_client_errors(server.context.clone()).await;
        let table = run(&["client", "errors", "app"]).await;
        assert_eq!(table.code, Some(0), "{}", table.stderr);
        for part in ["ENDPOINT", "invalid_request", "https://app.example/\u{FFFD}[2J", MistakeKind::RedirectUri.hint()] {
            assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
        }
        let listed = run(&["client", "errors", "app", "--json"]).await;
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(listed, json!(errors(&server, &frigg, &app).await));
        assert_eq!(run(&["client", "errors", "nobody"]).await.code, Some(1));
    }
}

/// The pages show the hints of the API in their languages: English agrees, word for word.
#[test]
fn english_page_has_the_hints_of_the_api() {
    let messages = include_str!("../../web/messages/en.json");
    let messages: Value = serde_json::from_str(messages).unwrap();
    let hints = messages["clients"]["errors"]["hints"].as_object().unwrap();
    let expected = MistakeKind::ALL.iter();
    let expected = expected.map(|kind| (kind.name().to_owned(), json!(kind.hint())));
    assert_eq!(*hints, expected.collect::<serde_json::Map<_, _>>());
}
