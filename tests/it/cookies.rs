//! Cookies of a browser: the choice among several values, clearing, and limits.

use serde_json::{Value, json};
use time::Duration;

use crate::support::{Answer, CHALLENGE, CookieJar, PASSWORD, Server, Setup, both};

const AUTH: &str = "https://auth.example";
const SIGN_IN: &str = "/api/auth/password/signin";
const LOGOUT: &str = "/api/auth/logout";
const SESSIONS: &str = "/api/auth/sessions";
const CONSENT: &str = "/api/oauth/authorize/consent";
const PLAIN: &str = "storyden-session";
const PREFIXED: &str = "__Host-storyden-session";

/// Device cookie, which sign-out keeps; tested in `device_cookie`.
const DEVICE: &str = "storyden-auth-device";

/// Signs in with [`PASSWORD`], and drops the device cookie.
async fn sign_in(server: &Server, jar: &mut CookieJar, handle: &str) -> Answer {
    let body = json!({ "identifier": handle, "token": PASSWORD });
    let answer = jar.send(server, ("POST", SIGN_IN), Some(&body)).await;
    jar.forget(DEVICE);
    answer.expect(200)
}

/// Returns the handle of the signed-in account, if the session is valid.
async fn signed_in(server: &Server, jar: &CookieJar) -> Option<String> {
    let answer = jar.clone().send(server, ("GET", SESSIONS), None).await;
    if answer.status != 200 {
        answer.expect(401);
        return None;
    }
    Some(
        answer.json()["account"]["handle"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

/// Starts a server with these settings on the shared database.
async fn with(setup: &Setup, settings: &[(&str, &str)]) -> Server {
    let setup = settings.iter().fold(setup.clone(), |setup, (name, value)| {
        setup.with(name, value)
    });
    setup.start().await
}

/// Public address and settings of each variant of the session cookie's name and domain.
const COOKIE_VARIANTS: &[(&str, &[(&str, &str)])] = &[
    (
        "https://api.forum.example",
        &[
            ("OAUTH_PROFILE", "storyden"),
            ("PUBLIC_API_ADDRESS", "https://api.forum.example"),
        ],
    ),
    (
        "https://api.forum.example",
        &[
            ("OAUTH_PROFILE", "storyden"),
            ("PUBLIC_API_ADDRESS", "https://api.forum.example"),
            ("PUBLIC_WEB_ADDRESS", "https://forum.example"),
        ],
    ),
    (
        "https://api.forum.example",
        &[("PUBLIC_API_ADDRESS", "https://api.forum.example")],
    ),
    (
        "https://api.forum.example",
        &[
            ("PUBLIC_API_ADDRESS", "https://api.forum.example"),
            ("PUBLIC_WEB_ADDRESS", "https://forum.example"),
        ],
    ),
    (
        "https://api.forum.example",
        &[
            ("PUBLIC_API_ADDRESS", "https://api.forum.example"),
            ("PUBLIC_WEB_ADDRESS", "https://api.forum.example"),
            ("WEB_ENABLED", "false"),
        ],
    ),
    (
        "https://forum.example",
        &[
            ("OAUTH_PROFILE", "storyden"),
            ("PUBLIC_API_ADDRESS", "https://forum.example"),
        ],
    ),
];

/// Starts an authorization request as a browser that follows a client's link.
async fn start(server: &Server, jar: &mut CookieJar, scope: &str) -> Answer {
    let path = format!(
        "/api/oauth/authorize?response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb\
         &scope={scope}&code_challenge={CHALLENGE}&code_challenge_method=S256"
    );
    jar.send(server, ("GET", &path), None).await
}

/// Returns the id of the pending request.
fn pending_id(answer: Answer) -> String {
    let answer = answer.expect(302);
    let back = answer.sent("return_url").unwrap();
    back.split_once("request_id=").unwrap().1.to_owned()
}

/// Returns the names of the pending-request cookies.
fn pending(jar: &CookieJar) -> Vec<String> {
    let names = jar
        .names()
        .into_iter()
        .filter(|name| name.contains("storyden-auth-request-"));
    names.map(str::to_owned).collect()
}

both! {
    /// the cookie has the `__Host-` prefix if browsers accept the prefix, and Storyden's name in
    /// all other cases.
    async fn session_cookie_has_the_host_prefix_where_possible(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let mut jar = CookieJar::new(AUTH);
        let answer = sign_in(&server, &mut jar, "frigg").await;
        assert!(answer.find_header("set-cookie").unwrap().starts_with("__Host-storyden-session="));
        assert_eq!(jar.names(), [PREFIXED]);
        assert_eq!(signed_in(&server, &jar).await.as_deref(), Some("frigg"));
        for settings in [
            &[("PUBLIC_API_ADDRESS", "http://localhost:8000")][..],
            &[("OAUTH_PROFILE", "storyden")],
            &[("PUBLIC_WEB_ADDRESS", "https://www.auth.example")],
            &[("WEB_ENABLED", "false"), ("PUBLIC_WEB_ADDRESS", AUTH)],
        ] {
            let server = with(&setup, settings).await;
            let address = if settings[0].1.starts_with("http://") { settings[0].1 } else { AUTH };
            let mut jar = CookieJar::new(address);
            sign_in(&server, &mut jar, "frigg").await;
            assert_eq!(jar.names(), [PLAIN], "{settings:?}");
            assert_eq!(signed_in(&server, &jar).await.as_deref(), Some("frigg"));
        }
    }

    /// a session under the cookie name used before an upgrade stays valid, and sign-out ends the
    /// session.
    async fn session_under_the_old_cookie_name_works(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let mut jar = CookieJar::new(AUTH);
        jar.put(PLAIN, &frigg.session);
        assert_eq!(signed_in(&server, &jar).await.as_deref(), Some("frigg"));
        let before = jar.clone();
        jar.send(&server, ("POST", LOGOUT), None).await.expect(302);
        assert_eq!(jar.names(), [""; 0]);
        assert_eq!(signed_in(&server, &before).await, None);
    }

    /// of several cookies with the same name, in several headers, the valid value is used.
    async fn valid_cookie_of_several_is_used(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let old = server.sign_in_again(&frigg).await;
        server.call_as(&old, ("POST", LOGOUT), None).await.expect(302);
        let never = "A".repeat(43);
        let read = async |headers: &[Vec<u8>]| {
            let mut request = server.request("GET", SESSIONS);
            for header in headers {
                request = request.header("cookie", reqwest::header::HeaderValue::from_bytes(header).unwrap());
            }
            let answer = server.send(request).await;
            (answer.status == 200).then(|| answer.json()["account"]["handle"].as_str().unwrap().to_owned())
        };
        let cookie = |name: &str, value: &str| format!("{name}={value}");
        let (stale, good) = (cookie(PLAIN, &old.session), cookie(PLAIN, &frigg.session));
        let unknown = cookie(PLAIN, &never);
        let planted: Vec<String> = (0..40).map(|n| format!("{PLAIN}={n:0>43}")).collect();
        for headers in [
            vec![format!("{stale}; {good}")],
            vec![format!("{unknown}; {stale}; {PLAIN}=; {good}")],
            vec![stale.clone(), good.clone()],
            vec![cookie(PREFIXED, &old.session), good.clone()],
            vec![cookie(PREFIXED, &never), stale.clone(), good.clone()],
            vec![cookie(PREFIXED, &frigg.session), cookie(PLAIN, &thor.session)],
            vec![cookie(PLAIN, &thor.session), cookie(PREFIXED, &frigg.session)],
            vec![format!("theme=\u{e9}; {good}")],
            vec![format!("{}{good}", format!("{PLAIN}=x; ").repeat(40))],
            vec![cookie(PREFIXED, &frigg.session), planted.join("; ")],
        ] {
            let headers: Vec<Vec<u8>> = headers.into_iter().map(String::into_bytes).collect();
            assert_eq!(read(&headers).await.as_deref(), Some("frigg"), "{headers:?}");
        }
        let expired = format!("{stale}; {good}").into_bytes();
        server.turn(Duration::days(90));
        assert_eq!(read(&[expired]).await, None);
    }

    /// after a change of profile, domain or address, sign-in and sign-out work with all cookies
    /// left in the browser.
    async fn sign_out_clears_cookies_of_former_settings(setup: Setup) {
        let mut servers = Vec::new();
        for (address, settings) in COOKIE_VARIANTS {
            servers.push((*address, with(&setup, settings).await));
        }
        servers[0].1.member("frigg", &[]).await;
        for (last, server) in &servers {
            let mut jar = CookieJar::new(last);
            // set each variant of the cookie once, under the settings of that time
            for (address, server) in &servers {
                jar = jar.at(address);
                sign_in(server, &mut jar, "frigg").await;
            }
            jar = jar.at(last);
            sign_in(server, &mut jar, "frigg").await;
            assert_eq!(signed_in(server, &jar).await.as_deref(), Some("frigg"));
            jar.send(server, ("POST", LOGOUT), None).await.expect(302);
            assert_eq!(signed_in(server, &jar).await, None);
            let left = jar.header(LOGOUT, server.clock.now().to_offset_date_time());
            assert_eq!(left, "", "{last}");
        }
    }

    /// sign-out ends the sessions of all cookie variants, and clears the cookies.
    async fn sign_out_ends_sessions_of_all_cookie_variants(setup: Setup) {
        for ways_out in [("POST", LOGOUT), ("DELETE", SESSIONS)] {
            let server = with(&setup, &[("PUBLIC_API_ADDRESS", "https://api.forum.example")]).await;
            let frigg = server.member(if ways_out.0 == "POST" { "frigg" } else { "idun" }, &[]).await;
            let mut jar = CookieJar::new("https://api.forum.example");
            for (address, settings) in COOKIE_VARIANTS {
                let server = with(&setup, settings).await;
                let mut other = CookieJar::new(address); // a sign-in without the other cookies
                let answer = sign_in(&server, &mut other, &frigg.handle).await;
                jar = jar.at(address);
                jar.store(&answer, server.clock.now().to_offset_date_time());
            }
            jar = jar.at("https://api.forum.example");
            jar.forget(DEVICE);
            assert!(jar.names().len() >= 4, "{:?}", jar.names());
            let before = jar.clone();
            let answer = jar.send(&server, ways_out, None).await;
            assert!([302, 200].contains(&answer.status), "{}", answer.status);
            let now = server.clock.now().to_offset_date_time();
            assert_eq!(jar.header(SESSIONS, now), "", "{ways_out:?}");
            assert_eq!(signed_in(&server, &before).await, None);
        }
    }

    /// A-60, req_185: RP-initiated logout clears every cookie too.
    async fn rp_initiated_logout_clears_every_cookie(setup: Setup) {
        let server = setup.start().await;
        let (frigg, thor) = (server.member("frigg", &[]).await, server.member("thor", &[]).await);
        let app = server.public_client().await;
        let hint = server.tokens(&frigg, &app, &[]).await.text("id_token");
        let mut jar = CookieJar::new(AUTH);
        jar.put(PREFIXED, &frigg.session);
        jar.put(PLAIN, &thor.session);
        let path = format!("/api/oauth/end_session?id_token_hint={hint}");
        jar.send(&server, ("GET", &path), None).await.expect(200);
        assert_eq!(jar.names(), [""; 0]);
        for member in [&frigg, &thor] {
            server.get_as(member, SESSIONS).await.expect(401);
        }
    }

    /// revoking the current session in the session list clears the cookie.
    async fn revoking_the_current_session_clears_the_cookie(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let mut jar = CookieJar::new(AUTH);
        sign_in(&server, &mut jar, "frigg").await;
        let list = jar.send(&server, ("GET", SESSIONS), None).await.expect(200).json();
        let sessions = list["sessions"].as_array().unwrap();
        let current = sessions.iter().find(|session| session["current"] == true).unwrap();
        let path = format!("{SESSIONS}/{}", current["id"].as_str().unwrap());
        jar.send(&server, ("DELETE", &path), None).await.expect(204);
        assert_eq!(jar.names(), [""; 0]);
    }

    /// storyden-contract.md#session-cookie: the profile `storyden` sets and clears only Storyden's
    /// cookie, unless the browser sent a different variant.
    async fn storyden_sets_and_clears_its_own_cookie(setup: Setup) {
        let server = with(&setup, &[("OAUTH_PROFILE", "storyden")]).await;
        let frigg = server.member("frigg", &[]).await;
        let mut jar = CookieJar::new(AUTH);
        let attributes = "HttpOnly; SameSite=Lax; Secure; Path=/; Domain=auth.example; Expires=Wed, 01 Apr 2026 00:00:00 GMT";
        for _ in 0..2 {
            let answer = sign_in(&server, &mut jar, "frigg").await;
            assert_eq!(answer.header("set-cookie").split_once("; ").unwrap().1, attributes);
        }
        let answer = jar.send(&server, ("POST", LOGOUT), None).await.expect(302);
        let now = "Thu, 01 Jan 2026 00:00:00 GMT";
        let ended = format!("storyden-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=auth.example; Expires={now}");
        assert_eq!(answer.header("set-cookie"), ended);
        // Storyden does not read the prefixed cookie, so that cookie does not authenticate.
        jar.put(PREFIXED, &frigg.session);
        assert_eq!(signed_in(&server, &jar).await, None);
        jar.send(&server, ("POST", LOGOUT), None).await.expect(302);
        assert_eq!(jar.names(), [""; 0]);
        server.get_as(&frigg, SESSIONS).await.expect(401);
    }

    /// the command prints a session and the cookie name that the server uses.
    async fn session_command_names_the_cookie(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        for (address, name) in [(AUTH, PREFIXED), ("http://localhost:8000", PLAIN)] {
            let create = ["session", "create", "frigg", "--json"];
            let ended = setup.run(&create, &[("PUBLIC_API_ADDRESS", address)]).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            let made: Value = serde_json::from_str(&ended.stdout).unwrap();
            assert_eq!(made["cookie"], name);
            let cookie = format!("{name}={}", made["value"].as_str().unwrap());
            server.send(server.request("GET", SESSIONS).header("cookie", cookie)).await.expect(200);
        }
    }

    /// the pending-request cookie is host-only, and is cleared when the request is bound to the
    /// account.
    async fn pending_request_cookie_is_cleared_when_bound(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        let answer = start(&server, &mut jar, "openid").await;
        let (pair, attributes) = answer.header("set-cookie").split_once("; ").unwrap();
        assert!(pair.starts_with("__Host-storyden-auth-request-"), "{pair}");
        assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600");
        let request_id = pending_id(answer);
        jar.put(PLAIN, &frigg.session);
        // opened
        let path = format!("{CONSENT}?request_id={request_id}");
        jar.send(&server, ("GET", &path), None).await.expect(200);
        assert_eq!(pending(&jar), [""; 0]);
        // decided without being opened
        for decision in ["approve", "deny"] {
            let mut other = CookieJar::new(AUTH);
            let request_id = pending_id(start(&server, &mut other, "openid").await);
            other.put(PLAIN, &frigg.session);
            let body = json!({ "request_id": request_id, "decision": decision });
            other.send(&server, ("POST", CONSENT), Some(&body)).await.expect(200);
            assert_eq!(pending(&other), [""; 0]);
        }
        // resumed at authorize
        let mut other = CookieJar::new(AUTH);
        let request_id = pending_id(start(&server, &mut other, "openid").await);
        other.put(PLAIN, &frigg.session);
        let resumed = format!("/api/oauth/authorize?request_id={request_id}");
        assert_eq!(other.send(&server, ("GET", &resumed), None).await.expect(302).location().path(), "/oauth/authorize/consent");
        assert_eq!(pending(&other), [""; 0]);
    }

    /// the cookie is cleared if the request failed or expired, but not before sign-in.
    async fn cookie_of_a_failed_request_is_cleared(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let open = async |jar: &mut CookieJar, request_id: &str, status: u16| {
            jar.send(&server, ("GET", &format!("{CONSENT}?request_id={request_id}")), None).await.expect(status);
        };
        // an error for the client
        let mut jar = CookieJar::new(AUTH);
        let failed = pending_id(start(&server, &mut jar, "nonsense").await);
        open(&mut jar, &failed, 401).await;
        assert_eq!(pending(&jar).len(), 1, "nobody is signed in yet");
        jar.put(PLAIN, &frigg.session);
        open(&mut jar, &failed, 400).await;
        assert_eq!(pending(&jar), [""; 0]);
        let failed = pending_id({
            let mut guest = jar.clone();
            guest.send(&server, ("POST", LOGOUT), None).await.expect(302);
            let answer = start(&server, &mut guest, "nonsense").await;
            jar.store(&answer, server.clock.now().to_offset_date_time());
            answer
        });
        let again = server.sign_in_again(&frigg).await;
        jar.put(PREFIXED, &again.session);
        let resumed = format!("/api/oauth/authorize?request_id={failed}");
        let answer = jar.send(&server, ("GET", &resumed), None).await.expect(302);
        assert_eq!(answer.location().host_str(), Some("app.example"));
        assert_eq!(pending(&jar), [""; 0]);
        // expired: a browser with a slow clock still sends the cookie
        for path in [CONSENT, "/api/oauth/authorize"] {
            let mut jar = CookieJar::new(AUTH);
            let answer = start(&server, &mut jar, "openid").await;
            let (name, value) = answer.header("set-cookie").split(';').next().unwrap().split_once('=').unwrap();
            let cookies = format!("{name}={value}; {}", again.cookie());
            let late = pending_id(answer.clone());
            server.turn(Duration::minutes(11));
            let request = server.request("GET", &format!("{path}?request_id={late}")).header("cookie", cookies);
            let answer = server.send(request).await.expect(400);
            let cleared = answer.header("set-cookie");
            assert_eq!(cleared, format!("{name}=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0"));
        }
    }

    /// of several cookies of a pending request the valid value is used, also without the creation
    /// time and under the name used before an upgrade.
    async fn valid_cookie_of_a_pending_request_is_used(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        for form in 0..3 {
            let mut jar = CookieJar::new(AUTH);
            let answer = start(&server, &mut jar, "openid").await;
            let (name, value) = answer.header("set-cookie").split(';').next().unwrap().split_once('=').unwrap();
            let wrong = "B".repeat(43);
            let bare = value.split('.').next().unwrap();
            let plain = name.trim_start_matches("__Host-");
            let cookies = match form {
                0 => format!("{name}={wrong}; {name}={value}"),
                1 => format!("{plain}={bare}"),
                _ => format!("{name}={wrong}.1; {plain}={wrong}; {plain}={bare}"),
            };
            let path = format!("{CONSENT}?request_id={}", pending_id(answer.clone()));
            let request = server.request("GET", &path).header("cookie", format!("{cookies}; {}", frigg.cookie()));
            server.send(request).await.expect(200);
        }
    }

    /// with 160 unfinished sign-ins the Cookie header stays short, and the newest request can be
    /// finished.
    async fn pending_request_cookies_are_limited(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        let mut ids = Vec::new();
        for number in 0..160 {
            if number % 7 == 0 {
                server.turn(Duration::seconds(1)); // several cookies share a creation time
            }
            let answer = start(&server, &mut jar, "openid").await;
            let headers: usize = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
            assert!(headers < 2_048, "an answer has {headers} bytes of headers");
            ids.push(pending_id(answer));
            let sent = jar.header("/api/oauth/authorize", server.clock.now().to_offset_date_time());
            assert!(sent.len() < 2_048, "{} bytes of cookies", sent.len());
        }
        assert_eq!(pending(&jar).len(), 16);
        sign_in(&server, &mut jar, "frigg").await;
        for (age, request_id) in ids.iter().rev().enumerate() {
            let status = if age < 16 { 200 } else { 400 };
            if age < 18 {
                let path = format!("{CONSENT}?request_id={request_id}");
                jar.send(&server, ("GET", &path), None).await.expect(status);
            }
        }
        assert_eq!(pending(&jar), [""; 0]);
        let body = json!({ "request_id": ids[159], "decision": "approve" });
        let approved = jar.send(&server, ("POST", CONSENT), Some(&body)).await.expect(200);
        assert!(approved.sent("code").is_some());
        assert!(!frigg.session.is_empty());
    }

    /// cookies planted by a sibling domain, with any creation time, evict no pending request
    /// (cookie tossing).
    async fn planted_cookies_evict_no_pending_request(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        let first = pending_id(start(&server, &mut jar, "openid").await);
        for number in 0..20 {
            let value = format!("{}.9999999999999", "C".repeat(43));
            jar.put(&format!("storyden-auth-request-{number:0>8}"), &value);
        }
        let second = pending_id(start(&server, &mut jar, "openid").await);
        sign_in(&server, &mut jar, "frigg").await;
        for request_id in [first, second] {
            let path = format!("{CONSENT}?request_id={request_id}");
            jar.send(&server, ("GET", &path), None).await.expect(200);
        }
    }

    /// cookies set by responses to cross-site forms are cleared by later requests, in steps that
    /// keep response headers short.
    async fn excess_cookies_are_cleared_in_steps(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.public_client().await;
        let mut jar = CookieJar::new(AUTH);
        let now = server.clock.now().to_offset_date_time();
        for _ in 0..60 {
            // a cross-site form sends no cookie (`SameSite=Lax`)
            let form = [
                ("response_type", "code"), ("client_id", "app"), ("scope", "openid"),
                ("code_challenge", CHALLENGE), ("code_challenge_method", "S256"),
            ];
            let answer = server.post_form("/api/oauth/authorize", &form).await.expect(303);
            jar.store(&answer, now);
        }
        assert_eq!(pending(&jar).len(), 60);
        let mut newest = String::new();
        for left in [45, 30, 16] {
            let answer = start(&server, &mut jar, "openid").await;
            let headers: usize = answer.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
            assert!(headers < 3_072, "an answer has {headers} bytes of headers");
            newest = pending_id(answer);
            assert_eq!(pending(&jar).len(), left);
        }
        sign_in(&server, &mut jar, "frigg").await;
        let path = format!("{CONSENT}?request_id={newest}");
        jar.send(&server, ("GET", &path), None).await.expect(200);
        // the GET after a form sends the cookies, and excess cookies are cleared
        let form = [("response_type", "code"), ("client_id", "app"), ("scope", "openid"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let answer = server.post_form("/api/oauth/authorize", &form).await.expect(303);
        jar.store(&answer, now);
        jar.send(&server, ("POST", LOGOUT), None).await.expect(302);
        let before = pending(&jar).len();
        let go_on = answer.location();
        let path = format!("{}?{}", go_on.path(), go_on.query().unwrap());
        jar.send(&server, ("GET", &path), None).await.expect(302);
        assert_eq!(pending(&jar).len(), before.min(16));
    }
}
