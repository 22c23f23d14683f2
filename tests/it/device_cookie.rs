//! Distributed password guessing against an account, and device cookies, which keep sign-in possible
//! for known browsers (req_004, A-79).

use serde_json::json;
use time::Duration;

use crate::support::race::{count, send_concurrently};
use crate::support::{Answer, Member, PASSWORD, Server, both};

/// Name of the device cookie over https.
const DEVICE: &str = "__Host-storyden-auth-device";

/// Number of wrong passwords without a device cookie that an identifier allows at once.
const GUESSES_AT_ONCE: u16 = 30;

/// Tries a password from a separate network.
async fn try_from_network(
    server: &Server,
    number: u16,
    identifier: &str,
    password: &str,
) -> Answer {
    let address = format!("2001:db8:{number:x}::1");
    server.sign_in_from(&address, identifier, password).await
}

/// Spends the guesses of an identifier, each from a different /48.
async fn exhaust_guesses(server: &Server, identifier: &str) {
    for number in 0..GUESSES_AT_ONCE {
        let answer = try_from_network(server, number, identifier, "wrong password").await;
        assert_eq!(answer.status, 401, "{number}: {}", answer.body);
    }
    refused(&try_from_network(server, GUESSES_AT_ONCE, identifier, "wrong password").await);
}

/// Asserts a 429 with a Retry-After of at most half a minute.
#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=31).contains(&wait), "{wait}");
}

/// Signs in with a `Cookie` header, from an unused network.
async fn sign_in_with(server: &Server, identifier: &str, password: &str, cookie: &str) -> Answer {
    let body = json!({ "identifier": identifier, "token": password });
    let request = server
        .request("POST", "/api/auth/password/signin")
        .json(&body);
    let request = request.header("x-forwarded-for", "198.51.100.77");
    server.send(request.header("cookie", cookie)).await
}

/// Returns the device cookie of a response, as a `Cookie` pair.
#[track_caller]
fn device_cookie_of(answer: &Answer) -> String {
    format!("{DEVICE}={}", answer.cookie("storyden-auth-device"))
}

/// Signs in without cookies, and returns the device cookie.
async fn new_browser(server: &Server, identifier: &str) -> String {
    let answer = server
        .sign_in_from("192.0.2.10", identifier, PASSWORD)
        .await;
    device_cookie_of(&answer.expect(200))
}

/// Returns the `Set-Cookie` values of device cookies.
fn device_cookies_set(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all("set-cookie").iter();
    let values = values.map(|value| value.to_str().unwrap());
    values
        .filter(|value| value.contains("storyden-auth-device"))
        .collect()
}

/// Changes the password of a member in a browser with a device cookie.
async fn change_password(
    server: &Server,
    member: &Member,
    current: &str,
    new: &str,
    device: &str,
) -> Answer {
    let request = server.request("POST", "/api/auth/password");
    let request = request.header("cookie", format!("{}; {device}", member.cookie()));
    server
        .send(request.json(&json!({ "current": current, "new": new })))
        .await
}

both! {
    /// req_004: guesses against an account share a limit across networks, after which a single guess in
    /// 30 seconds is accepted. Other accounts are not affected.
    async fn guesses_are_limited_across_networks(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        exhaust_guesses(&server, "frigg").await;
        for number in 40..100 {
            refused(&try_from_network(&server, number, "FRIGG", "wrong password").await);
        }
        refused(&try_from_network(&server, 100, "frigg", PASSWORD).await);
        try_from_network(&server, 100, "odin", PASSWORD).await.expect(200);
        server.turn(Duration::seconds(30));
        try_from_network(&server, 101, "frigg", "wrong password").await.expect(401);
        refused(&try_from_network(&server, 102, "frigg", "wrong password").await);
        server.turn(Duration::seconds(30));
        try_from_network(&server, 103, "frigg", PASSWORD).await.expect(200);
        server.turn(Duration::minutes(15));
        exhaust_guesses(&server, "frigg").await;
    }

    /// req_004: guessing cannot lock an owner out: a browser with a device cookie or a session can sign
    /// in, on every replica.
    async fn known_browser_is_not_locked_out(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        let device = new_browser(&server, "frigg").await;
        for server in [&server, &replica] {
            exhaust_guesses(server, "frigg").await;
            exhaust_guesses(server, "frigg@example.com").await;
            for identifier in ["frigg", "Frigg@Example.com"] {
                refused(&sign_in_with(server, identifier, PASSWORD, "").await);
                sign_in_with(server, identifier, PASSWORD, &device).await.expect(200);
                sign_in_with(server, identifier, PASSWORD, &frigg.cookie()).await.expect(200);
                sign_in_with(server, identifier, "wrong password", &device).await.expect(401);
            }
        }
    }

    /// A stolen device cookie allows ten guesses in total, across replicas, and is then ignored
    /// permanently.
    async fn stolen_device_cookie_allows_ten_guesses(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        server.member("frigg", &[]).await;
        let stolen = new_browser(&server, "frigg").await;
        for number in 0..9 {
            let server = if number % 2 == 0 { &server } else { &replica };
            sign_in_with(server, "frigg", "wrong password", &stolen).await.expect(401);
        }
        server.turn(Duration::hours(3));
        sign_in_with(&replica, "frigg", "wrong password", &stolen).await.expect(401);
        for server in [&server, &replica] {
            exhaust_guesses(server, "frigg").await;
            refused(&sign_in_with(server, "frigg", PASSWORD, &stolen).await);
        }
        server.turn(Duration::days(2));
        exhaust_guesses(&server, "frigg").await;
        refused(&sign_in_with(&server, "frigg", PASSWORD, &stolen).await);
        // sign-in issues a cookie with a new allowance
        server.turn(Duration::minutes(1));
        let fresh = device_cookie_of(&sign_in_with(&server, "frigg", PASSWORD, &stolen).await.expect(200));
        for number in 200..240 {
            try_from_network(&server, number, "frigg", "wrong password").await;
        }
        sign_in_with(&server, "frigg", PASSWORD, &fresh).await.expect(200);
    }

    /// Concurrent guesses with a device cookie are all counted.
    async fn concurrent_guesses_with_a_device_cookie_are_counted(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let stolen = new_browser(&server, "frigg").await;
        exhaust_guesses(&server, "frigg").await;
        let body = json!({ "identifier": "frigg", "token": "wrong password" });
        let guess = || server.request("POST", "/api/auth/password/signin").header("cookie", &stolen).json(&body);
        let answers = send_concurrently((0..40).map(|_| guess()).collect()).await;
        assert_eq!((count(&answers, 401), count(&answers, 429)), (10, 30));
    }

    /// A device cookie is bound to the account and the password, expires after a year, and cannot be
    /// forged.
    async fn device_cookie_is_bound_to_account_and_password(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        let device = new_browser(&server, "frigg").await;
        exhaust_guesses(&server, "odin").await;
        refused(&sign_in_with(&server, "odin", PASSWORD, &device).await);
        exhaust_guesses(&server, "frigg").await;
        let (name, value) = device.split_once('=').unwrap();
        let parts: Vec<&str> = value.split('.').collect();
        let later = parts[1].parse::<i64>().unwrap() + 1;
        let other = "A".repeat(22);
        for forged in [
            format!("{name}={}.{later}.{}", parts[0], parts[2]),
            format!("{name}={other}.{}.{}", parts[1], parts[2]),
            format!("{name}={}.{}.{}", parts[0], parts[1], "A".repeat(43)),
            format!("{name}={}.{}", parts[0], parts[1]),
            format!("storyden-auth-device={value}"),
            format!("{name}="),
            format!("{name}=~~~~~~~~"),
        ] {
            refused(&sign_in_with(&server, "frigg", PASSWORD, &forged).await);
        }
        let two = format!("{name}=x; {device}");
        sign_in_with(&server, "frigg", PASSWORD, &two).await.expect(200);

        // a changed password invalidates all device cookies but the new cookie of this response
        let changed = change_password(&server, &frigg, PASSWORD, "another password", &device).await.expect(200);
        refused(&sign_in_with(&server, "frigg", "another password", &device).await);
        let device = device_cookie_of(&changed);
        sign_in_with(&server, "frigg", "another password", &device).await.expect(200);

        server.turn(Duration::days(365) - Duration::seconds(1));
        exhaust_guesses(&server, "frigg").await;
        sign_in_with(&server, "frigg", "another password", &device).await.expect(200);
        server.turn(Duration::seconds(1));
        refused(&sign_in_with(&server, "frigg", "another password", &device).await);
    }

    /// A browser keeps device cookies of the last four accounts, also after sign-out.
    async fn browser_keeps_four_device_cookies(setup: Setup) {
        let server = setup.start().await;
        let names = ["a1", "a2", "a3", "a4", "a5"];
        let mut cookie = String::new();
        for name in names {
            server.member(name, &[]).await;
            for _ in 0..2 {
                cookie = device_cookie_of(&sign_in_with(&server, name, PASSWORD, &cookie).await.expect(200));
            }
        }
        assert_eq!(cookie.split('~').count(), 4);
        let request = server.request("POST", "/api/auth/logout").header("cookie", &cookie);
        let out = server.send(request).await.expect(302);
        assert!(device_cookies_set(&out).is_empty());
        // "cookies" would clear the device cookie too
        assert_eq!(out.header("clear-site-data"), r#""cache", "storage", "executionContexts""#);
        for (name, known) in names.into_iter().zip([false, true, true, true, true]) {
            exhaust_guesses(&server, name).await;
            let answer = sign_in_with(&server, name, PASSWORD, &cookie).await;
            assert_eq!(answer.status, if known { 200 } else { 429 }, "{name}");
            server.turn(Duration::minutes(15));
        }
    }

    /// A-55: the device cookie is host-only and not readable by scripts.
    async fn device_cookie_is_host_only(setup: Setup) {
        let with = |setup: &crate::support::Setup, api: &str, web: &str| {
            setup.clone().with("PUBLIC_API_ADDRESS", api).with("PUBLIC_WEB_ADDRESS", web).with("SIGNUP_ENABLED", "true")
        };
        let server = with(&setup, "https://api.forum.example", "https://forum.example").start().await;
        server.member("frigg", &[]).await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        let [device] = device_cookies_set(&answer)[..] else { panic!("{answer:?}") };
        assert!(device.starts_with(DEVICE), "{device}");
        assert!(device.ends_with("; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=31536000"), "{device}");
        assert!(!device.contains("frigg"), "{device}");
        let body = json!({ "identifier": "balder", "token": PASSWORD });
        let up = server.send(server.request("POST", "/api/auth/password/signup").json(&body)).await.expect(200);
        assert_eq!(device_cookies_set(&up).len(), 1);

        let server = with(&setup, "http://localhost:8000", "http://localhost:3000").start().await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        let [device] = device_cookies_set(&answer)[..] else { panic!("{answer:?}") };
        assert!(device.starts_with("storyden-auth-device="), "{device}");
        assert!(device.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000"), "{device}");
    }

    /// storyden-contract.md#session-cookie: in the profile `storyden` sign-in sets only the session
    /// cookie. Guesses are limited there too, and a browser with a session can sign in.
    async fn storyden_profile_has_no_device_cookie(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
        assert!(device_cookies_set(&answer).is_empty());
        exhaust_guesses(&server, "frigg").await;
        refused(&sign_in_with(&server, "frigg", PASSWORD, "").await);
        sign_in_with(&server, "frigg", PASSWORD, &frigg.cookie()).await.expect(200);
        let out = server.send(server.request("POST", "/api/auth/logout")).await.expect(302);
        assert_eq!(out.header("clear-site-data"), r#""cache", "cookies", "storage", "executionContexts""#);
    }

    /// A-79: limits on wrong passwords do not reveal that two identifiers belong to the same account,
    /// neither by status nor by `Retry-After`.
    async fn limits_do_not_link_identifiers(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        let guess = async |address: &'static str, identifier: &'static str| {
            let answer = server.sign_in_from(address, identifier, "wrong password").await;
            (answer.status, answer.find_header("retry-after").map(str::to_owned), answer.json()["detail"].clone())
        };
        // ten by e-mail from an address, then by handle: of the same account, a different account, and
        // no account
        for _ in 0..10 {
            guess("192.0.2.1", "frigg@example.com").await;
        }
        assert_eq!(guess("192.0.2.1", "frigg@example.com").await.0, 429);
        let same = guess("192.0.2.1", "frigg").await;
        let others = [guess("192.0.2.1", "odin").await, guess("192.0.2.1", "nobody").await];
        assert_eq!(same.0, 401);
        assert!(others.iter().all(|other| *other == same), "{same:?} {others:?}");
        // the same for the limit across networks
        for number in 0..20 {
            try_from_network(&server, number, "frigg@example.com", "wrong password").await.expect(401);
        }
        for number in 0..30 {
            try_from_network(&server, number, "nobody@example.com", "wrong password").await.expect(401);
        }
        let full = guess("203.0.113.1", "frigg@example.com").await;
        assert_eq!(full.0, 429);
        assert_eq!(full, guess("203.0.113.1", "nobody@example.com").await);
        assert_eq!(guess("203.0.113.1", "frigg").await, guess("203.0.113.1", "odin").await);
    }

    /// Variants of an identifier that find the same account share a limit.
    async fn identifier_variants_share_a_limit(setup: Setup) {
        let server = setup.start().await;
        server.member("kvasir", &[]).await;
        let kelvin = "\u{212a}VASIR"; // KELVIN SIGN, whose lower case is an ASCII k
        server.sign_in_from("192.0.2.9", kelvin, PASSWORD).await.expect(200);
        for variant in ["kvasir", "Kvasir", "KVASIR", kelvin, "kVASIR"] {
            for _ in 0..2 {
                server.sign_in_from("192.0.2.1", variant, "wrong password").await.expect(401);
            }
        }
        for variant in ["kvasir", kelvin] {
            server.sign_in_from("192.0.2.1", variant, "wrong password").await.expect(429);
        }
    }
}
