//! Several accounts in a browser, `prompt=select_account` (OpenID Connect Core §3.1.2.1), and the client that
//! the sign-in page names.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{
    Answer, BrowserRequest, Client, CookieJar, Member, NewClient, PASSWORD, Server, Setup,
    assert_redirect_to_consent, both, told,
};

const AUTH: &str = "https://auth.example";
const ACCOUNTS: &str = "/api/auth/accounts";
const CHOOSE: &str = "/api/oauth/authorize/account";
const CONSENT: &str = "/api/oauth/authorize/consent";
const SESSIONS: &str = "/api/auth/sessions";
const SIGN_IN: &str = "/api/auth/password/signin";
const LOGOUT: &str = "/api/auth/logout";
const COOKIE: &str = "__Host-storyden-auth-accounts";

/// Signs in with the browser of a jar.
async fn sign_in(server: &Server, jar: &mut CookieJar, handle: &str) -> Answer {
    let body = json!({ "identifier": handle, "token": PASSWORD });
    jar.send(server, ("POST", SIGN_IN), Some(&body))
        .await
        .expect(200)
}

/// The handles of the accounts of a browser, the current account first.
async fn accounts(server: &Server, jar: &mut CookieJar) -> Vec<String> {
    let list = jar
        .send(server, ("GET", ACCOUNTS), None)
        .await
        .expect(200)
        .json();
    let accounts = list["accounts"].as_array().unwrap();
    for (at, account) in accounts.iter().enumerate() {
        assert_eq!(
            account["current"] == true,
            at == 0 && current(server, jar).await.is_some()
        );
    }
    accounts
        .iter()
        .map(|account| account["handle"].as_str().unwrap().to_owned())
        .collect()
}

/// The handle of the account that acts.
async fn current(server: &Server, jar: &CookieJar) -> Option<String> {
    let answer = jar.clone().send(server, ("GET", SESSIONS), None).await;
    (answer.status == 200).then(|| {
        answer.json()["account"]["handle"]
            .as_str()
            .unwrap()
            .to_owned()
    })
}

/// Chooses an account.
async fn choose(
    server: &Server,
    jar: &mut CookieJar,
    account: &Member,
    request_id: Option<&str>,
) -> Answer {
    let mut body = json!({ "account_id": account.id });
    if let Some(request_id) = request_id {
        body["request_id"] = request_id.into();
    }
    jar.send(server, ("POST", CHOOSE), Some(&body)).await
}

/// Sends an authorization request in a browser.
async fn authorize(server: &Server, jar: &mut CookieJar, app: &Client, more: &str) -> Answer {
    let path = format!(
        "/api/oauth/authorize?response_type=code&client_id={}&scope=openid&state=st\
         &code_challenge={}&code_challenge_method=S256{more}",
        app.client_id,
        crate::support::CHALLENGE
    );
    jar.send(server, ("GET", &path), None).await
}

/// The request id in the address of the login page.
fn request_of(answer: &Answer) -> String {
    assert_eq!(answer.location().path(), "/login");
    let back = answer.sent("return_url").unwrap();
    back.split_once("request_id=").unwrap().1.to_owned()
}

both! {
    /// Issue 15: a second sign-in keeps the first session; the current account is the last one that signed in,
    /// and a choice makes a different account the current account, with the same session.
    async fn a_second_sign_in_keeps_the_first_session(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let mut jar = CookieJar::new(AUTH);
        assert_eq!(accounts(&server, &mut jar).await, [""; 0]);
        sign_in(&server, &mut jar, "frigg").await;
        assert_eq!(accounts(&server, &mut jar).await, ["frigg"]);
        let answer = sign_in(&server, &mut jar, "thor").await;
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().map(|one| one.to_str().unwrap()).collect();
        let others = cookies.iter().find(|one| one.starts_with(COOKIE)).unwrap();
        assert!(others.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=7776000"), "{others}");
        assert_eq!(accounts(&server, &mut jar).await, ["thor", "frigg"]);
        let sessions = "SELECT COUNT(*) AS n FROM sessions";
        let before = server.count(sessions, &[]).await;
        for account in [&frigg, &frigg, &thor, &frigg] {
            assert_eq!(choose(&server, &mut jar, account, None).await.expect(200).text("id"), account.id.as_str());
            assert_eq!(current(&server, &jar).await.as_deref(), Some(account.handle.as_str()));
        }
        assert_eq!(accounts(&server, &mut jar).await, ["frigg", "thor"]);
        assert_eq!(server.count(sessions, &[]).await, before);
        // The account that signs in again replaces its own session alone.
        sign_in(&server, &mut jar, "thor").await;
        assert_eq!(accounts(&server, &mut jar).await, ["thor", "frigg"]);
    }

    /// A-54 (session fixation): a sign-in makes a new session, whatever the browser sent, and a planted or made-up
    /// session is not offered.
    async fn session_fixation_gains_no_account(setup: Setup) {
        let server = setup.start().await;
        let (frigg, loki) = (server.member("frigg", &[]).await, server.member("loki", &[]).await);
        let mut jar = CookieJar::new(AUTH);
        // A sibling host can plant only cookies without the prefix (cookie tossing).
        jar.put("storyden-session", &loki.session);
        jar.put("storyden-auth-accounts", &loki.session);
        sign_in(&server, &mut jar, "frigg").await;
        assert_eq!(accounts(&server, &mut jar).await, ["frigg"]);
        choose(&server, &mut jar, &loki, None).await.expect(404);
        let mut jar = CookieJar::new(AUTH);
        jar.put(COOKIE, &format!("{}.{}.x..{}", "A".repeat(43), "B".repeat(43), "C".repeat(44)));
        sign_in(&server, &mut jar, "frigg").await;
        assert_eq!(accounts(&server, &mut jar).await, ["frigg"]);
        assert!(!jar.names().contains(&COOKIE), "{:?}", jar.names());
        assert_ne!(jar.header("/", server.clock.now().to_offset_date_time()), frigg.cookie());
    }

    /// A-48 (CSRF): a page of a foreign origin cannot change the current account.
    async fn foreign_pages_cannot_choose(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let mut jar = CookieJar::new(AUTH);
        sign_in(&server, &mut jar, "frigg").await;
        sign_in(&server, &mut jar, "thor").await;
        let cookies = jar.header(CHOOSE, server.clock.now().to_offset_date_time());
        let body = json!({ "account_id": frigg.id });
        for (name, value) in [
            ("origin", "https://evil.example"), ("origin", "https://sibling.auth.example"), ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let request = server.request("POST", CHOOSE).header("cookie", &cookies).header(name, value);
            let answer = server.send(request.json(&body)).await.expect(403);
            assert_eq!(answer.find_header("set-cookie"), None);
        }
        let form = server.request("POST", CHOOSE).header("cookie", &cookies);
        let form = form.header("content-type", "text/plain").body(body.to_string());
        server.send(form).await.expect(415);
        for body in [json!({}), json!({ "account_id": 1 }), json!({ "account_id": "" }), json!({ "account_id": "\0" })] {
            let answer = jar.send(&server, ("POST", CHOOSE), Some(&body)).await;
            assert!([400, 404].contains(&answer.status), "{}", answer.body);
        }
        assert_eq!(current(&server, &jar).await.as_deref(), Some(thor.handle.as_str()));
        // Only accounts of this browser can be chosen.
        let mut other = CookieJar::new(AUTH);
        choose(&server, &mut other, &frigg, None).await.expect(404);
    }

    /// Issue 15, req_167: `prompt=select_account` offers the accounts of the browser, and the request continues
    /// with the chosen account, without a new sign-in.
    async fn select_account_continues_with_the_chosen_account(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        sign_in(&server, &mut jar, "frigg").await;
        sign_in(&server, &mut jar, "thor").await;
        for account in [&frigg, &thor] {
            server.turn(Duration::minutes(1));
            let login = authorize(&server, &mut jar, &app, "&prompt=select_account").await.expect(302);
            assert_eq!(login.sent("prompt").as_deref(), Some("select_account"));
            let request_id = request_of(&login);
            let page = format!("{CONSENT}?request_id={request_id}");
            jar.send(&server, ("GET", &page), None).await.expect(401); // nothing is chosen yet
            choose(&server, &mut jar, account, Some(&request_id)).await.expect(200);
            jar.send(&server, ("GET", &page), None).await.expect(200);
            let body = json!({ "request_id": request_id, "decision": "approve" });
            let approved = jar.send(&server, ("POST", CONSENT), Some(&body)).await.expect(200);
            let tokens = server.exchange(&app, &approved.sent("code").unwrap()).await.expect(200);
            let claims = tokens.claims("id_token");
            assert_eq!(claims["sub"], account.id.as_str());
            assert_eq!(claims["auth_time"], 1_767_225_600); // the sign-in, not the choice
        }
        // A remembered approval counts for the chosen account, at the page and at authorize.
        let login = authorize(&server, &mut jar, &app, "&prompt=select_account").await;
        let request_id = request_of(&login);
        choose(&server, &mut jar, &frigg, Some(&request_id)).await.expect(200);
        let resumed = format!("/api/oauth/authorize?request_id={request_id}");
        let code = jar.send(&server, ("GET", &resumed), None).await.code();
        let claims = server.exchange(&app, &code).await.expect(200).claims("id_token");
        assert_eq!(claims["sub"], frigg.id.as_str());
    }

    /// Issue 15: the choice counts for its request and its account alone, and `prompt=login` and `max_age` still
    /// demand a sign-in.
    async fn a_choice_counts_for_one_request(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        sign_in(&server, &mut jar, "frigg").await;
        sign_in(&server, &mut jar, "thor").await;
        server.turn(Duration::minutes(1));
        let first = request_of(&authorize(&server, &mut jar, &app, "&prompt=select_account").await);
        let second = request_of(&authorize(&server, &mut jar, &app, "&prompt=select_account").await);
        choose(&server, &mut jar, &frigg, Some(&first)).await.expect(200);
        let open = async |jar: &mut CookieJar, request_id: &str| {
            jar.send(&server, ("GET", &format!("{CONSENT}?request_id={request_id}")), None).await.status
        };
        assert_eq!(open(&mut jar, &second).await, 401);
        // chosen for a different account
        choose(&server, &mut jar, &thor, None).await.expect(200);
        assert_eq!(open(&mut jar, &first).await, 401);
        choose(&server, &mut jar, &frigg, None).await.expect(200);
        assert_eq!(open(&mut jar, &first).await, 200);
        for more in ["&prompt=select_account%20login", "&prompt=select_account&max_age=10"] {
            let login = authorize(&server, &mut jar, &app, more).await;
            assert_eq!(login.sent("prompt").is_some(), more.contains("max_age"));
            let request_id = request_of(&login);
            choose(&server, &mut jar, &frigg, Some(&request_id)).await.expect(200);
            assert_eq!(open(&mut jar, &request_id).await, 401, "{more}");
        }
        // A sign-in is a choice.
        let request_id = request_of(&authorize(&server, &mut jar, &app, "&prompt=select_account").await);
        server.turn(Duration::seconds(1));
        sign_in(&server, &mut jar, "thor").await;
        assert_eq!(open(&mut jar, &request_id).await, 200);
        let silent = authorize(&server, &mut jar, &app, "&prompt=none%20select_account").await;
        told(silent, "invalid_request");
    }

    /// a choice needs the cookie of the pending request, so that a different browser cannot choose for it.
    async fn a_choice_is_bound_to_the_browser_of_the_request(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        sign_in(&server, &mut jar, "frigg").await;
        server.turn(Duration::minutes(1));
        let request_id = request_of(&authorize(&server, &mut jar, &app, "&prompt=select_account").await);
        let mut other = CookieJar::new(AUTH);
        sign_in(&server, &mut other, "frigg").await;
        choose(&server, &mut other, &frigg, Some(&request_id)).await.expect(200);
        let page = format!("{CONSENT}?request_id={request_id}");
        jar.send(&server, ("GET", &page), None).await.expect(401);
        for request_id in ["", "x", "\0"] {
            choose(&server, &mut jar, &frigg, Some(request_id)).await.expect(200);
        }
        choose(&server, &mut jar, &frigg, Some(&request_id)).await.expect(200);
        jar.send(&server, ("GET", &page), None).await.expect(200);
    }

    /// A-60, req_185: sign-out ends the sessions of every account of the browser, by every way out.
    async fn sign_out_ends_every_account(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        for way in 0..4 {
            let mut jar = CookieJar::new(AUTH);
            sign_in(&server, &mut jar, "frigg").await;
            sign_in(&server, &mut jar, "thor").await;
            let before = jar.clone();
            match way {
                0 => drop(jar.send(&server, ("POST", LOGOUT), None).await.expect(302)),
                1 => drop(jar.send(&server, ("DELETE", SESSIONS), None).await.expect(200)),
                2 => {
                    let thor = server.sign_in_again(&thor).await;
                    let hint = server.tokens(&thor, &app, &[]).await.text("id_token");
                    let path = format!("/api/oauth/end_session?id_token_hint={hint}");
                    jar.send(&server, ("GET", &path), None).await.expect(200);
                }
                _ => {
                    let list = jar.send(&server, ("GET", SESSIONS), None).await.expect(200).json();
                    let sessions = list["sessions"].as_array().unwrap();
                    let of = sessions.iter().find(|one| one["current"] == true).unwrap();
                    let path = format!("{SESSIONS}/{}", of["id"].as_str().unwrap());
                    jar.send(&server, ("DELETE", &path), None).await.expect(204);
                }
            }
            assert!(!jar.names().contains(&COOKIE), "{way}: {:?}", jar.names());
            let mut before = before;
            let left = accounts(&server, &mut before).await;
            // The end of a single session leaves the session of the other account, but not in this browser.
            assert_eq!(left.len(), usize::from(way == 3), "{way}: {left:?}");
        }
        server.get_as(&frigg, SESSIONS).await.expect(200); // a different browser
    }

    /// Issue 15: an account whose session ended, or that is suspended, is not offered; more than five accounts
    /// are not kept.
    async fn only_live_accounts_are_offered(setup: Setup) {
        let server = setup.start().await;
        let handles = ["frigg", "thor", "sif", "tyr", "ull", "odr"];
        let mut members = Vec::new();
        let mut jar = CookieJar::new(AUTH);
        for handle in handles {
            members.push(server.member(handle, &[]).await);
            sign_in(&server, &mut jar, handle).await;
        }
        assert_eq!(accounts(&server, &mut jar).await, ["odr", "ull", "tyr", "sif", "thor"]);
        server.suspend(&members[4]).await;
        let tyr = members[3].id.as_str();
        let end = "UPDATE sessions SET revoked_at = created_at WHERE account_id = $1";
        server.sql(end, &[tyr]).await;
        assert_eq!(accounts(&server, &mut jar).await, ["odr", "sif", "thor"]);
        for gone in [&members[3], &members[4], &members[0]] {
            choose(&server, &mut jar, gone, None).await.expect(404);
        }
        choose(&server, &mut jar, &members[1], None).await.expect(200);
        assert_eq!(accounts(&server, &mut jar).await, ["thor", "odr", "sif"]);
        let sent = jar.header("/", server.clock.now().to_offset_date_time());
        assert!(sent.len() < 2_048, "{} bytes of cookies", sent.len());
        server.turn(Duration::days(91));
        assert_eq!(accounts(&server, &mut jar).await, [""; 0]);
    }

    /// Issue 15: in the profile `storyden`, and where a sibling host can plant the session cookie, a sign-in
    /// replaces the account.
    async fn a_browser_of_a_storyden_has_one_account(setup: Setup) {
        for (settings, name) in [
            (&[("OAUTH_PROFILE", "storyden")][..], "a"),
            (&[("PUBLIC_WEB_ADDRESS", "https://www.auth.example")], "b"),
        ] {
            let setup = settings.iter().fold(setup.clone(), |setup, (name, value)| setup.with(name, value));
            let server = setup.start().await;
            let handles = [format!("frigg-{name}"), format!("thor-{name}")];
            let mut jar = CookieJar::new(AUTH);
            for handle in &handles {
                server.member(handle, &[]).await;
                let answer = sign_in(&server, &mut jar, handle).await;
                assert!(!format!("{:?}", answer.headers).contains("auth-accounts"));
            }
            let list = jar.send(&server, ("GET", ACCOUNTS), None).await.expect(200).json();
            assert_eq!(list["accounts"], json!([]));
            assert_eq!(current(&server, &jar).await.as_ref(), Some(&handles[1]));
        }
    }

    /// Issue 15: the sign-in page learns which client asks, and where the answer goes; only the browser of the
    /// request does.
    async fn the_sign_in_page_names_the_client(setup: Setup) {
        let server = setup.start().await;
        let uris = &["https://app.example:8443/cb", "http://127.0.0.1/cb", "com.example.app:/cb"];
        let app = server.client(NewClient { redirect_uris: uris, ..NewClient::default() }).await;
        for (uri, host, is_loopback) in [
            (uris[0], json!("app.example:8443"), false),
            ("http://127.0.0.1:7777/cb", json!("127.0.0.1:7777"), true),
            (uris[2], Value::Null, false),
        ] {
            let browser = BrowserRequest::begin(&server, &app, &[("redirect_uri", uri)]).await;
            let answer = browser.client(&server).await.expect(200);
            assert_eq!(answer.header("cache-control"), "no-store");
            let client = answer.json();
            assert_eq!((&client["client_id"], &client["client_name"]), (&json!("app"), &json!("The app")));
            assert_eq!((&client["redirect_host"], &client["redirect_is_loopback"]), (&host, &json!(is_loopback)));
            assert_eq!(client.as_object().unwrap().len(), if host.is_null() { 3 } else { 4 });
        }
        let browser = BrowserRequest::begin(&server, &app, &[("redirect_uri", uris[0])]).await;
        let path = format!("/api/oauth/authorize/request?request_id={}", browser.request_id);
        server.get(&path).await.expect_error(400, "invalid_request");
        server.get("/api/oauth/authorize/request").await.expect_error(400, "invalid_request");
        server.turn(Duration::minutes(10));
        browser.client(&server).await.expect_error(400, "invalid_request");
    }

    /// a client that is known by its URL alone is named by the host of that URL; nothing is fetched for a
    /// guest.
    async fn an_unknown_document_is_named_by_its_host(setup: Setup) {
        unknown_document(setup).await;
    }
}

async fn unknown_document(setup: Setup) {
    use crate::support::simulated_internet::SimulatedInternet;
    let outside = SimulatedInternet::new();
    let server = outside.around(setup).start().await;
    let frigg = server.member("frigg", &[]).await;
    let host = outside.host("editor.example").await;
    let document = json!({ "client_name": "Editor", "redirect_uris": [host.url("/cb")] });
    let app = Client {
        row_id: storyden_auth::ids::ClientRowId::new(""),
        client_id: host.publish("/c", &document),
        secret: None,
        redirect_uri: host.url("/cb"),
    };
    let browser = BrowserRequest::begin(&server, &app, &[]).await;
    let client = browser.client(&server).await.expect(200).json();
    assert_eq!(client["client_id_host"], "editor.example");
    assert_eq!(
        (client.get("client_name"), client.get("redirect_host")),
        (None, None)
    );
    browser.open(&server, &frigg).await.expect(200); // fetched for the account
    let browser = BrowserRequest::begin(&server, &app, &[]).await;
    assert_eq!(
        browser.client(&server).await.expect(200).json()["client_name"],
        "Editor"
    );
    let answer = server
        .authorize(Some(&frigg), &app, &[("prompt", "select_account")])
        .await;
    assert_eq!(answer.sent("prompt").as_deref(), Some("select_account"));
    assert_redirect_to_consent(server.authorize(Some(&frigg), &app, &[]).await);
}
