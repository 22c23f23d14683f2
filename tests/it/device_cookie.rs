//! Guesses at one account from many networks, and the device cookies that keep a way in for browsers
//! that signed in before (req_004, A-79).

use serde_json::json;
use time::Duration;

use crate::support::race::{at_once, count};
use crate::support::{Answer, Member, PASSWORD, Server, both};

/// The name of the device cookie behind https.
const DEVICE: &str = "__Host-storyden-auth-device";

/// The wrong passwords of strangers that one identifier takes at once.
const BURST: u16 = 30;

/// Tries a password from a network of its own.
async fn try_from_network(
    server: &Server,
    number: u16,
    identifier: &str,
    password: &str,
) -> Answer {
    let address = format!("2001:db8:{number:x}::1");
    server.sign_in_from(&address, identifier, password).await
}

/// Spends what an identifier allows to strangers, each guess from another /48.
async fn guess_from_everywhere(server: &Server, identifier: &str) {
    for number in 0..BURST {
        let answer = try_from_network(server, number, identifier, "wrong password").await;
        assert_eq!(answer.status, 401, "{number}: {}", answer.body);
    }
    refused(&try_from_network(server, BURST, identifier, "wrong password").await);
}

/// Fails unless strangers are slowed down: 429, and half a minute to wait.
#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=31).contains(&wait), "{wait}");
}

/// Signs in with a `Cookie` header, from a network that did nothing before.
async fn sign_in_with(server: &Server, identifier: &str, password: &str, cookie: &str) -> Answer {
    let body = json!({ "identifier": identifier, "token": password });
    let request = server
        .request("POST", "/api/auth/password/signin")
        .json(&body);
    let request = request.header("x-forwarded-for", "198.51.100.77");
    server.send(request.header("cookie", cookie)).await
}

/// The device cookie of an answer, as a browser sends it back.
#[track_caller]
fn device_of(answer: &Answer) -> String {
    format!("{DEVICE}={}", answer.cookie("storyden-auth-device"))
}

/// Signs in as a browser that was never here: its device cookie.
async fn new_browser(server: &Server, identifier: &str) -> String {
    let answer = server
        .sign_in_from("192.0.2.10", identifier, PASSWORD)
        .await;
    device_of(&answer.expect(200))
}

/// The device cookies that an answer sets, with their attributes.
fn devices_set(answer: &Answer) -> Vec<&str> {
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
    /// req_004: guesses at one account count together, whatever the network; then one in 30 seconds is
    /// heard. Other accounts are not affected.
    async fn one_account_is_guessed_at_slowly_from_many_networks(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        guess_from_everywhere(&server, "frigg").await;
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
        guess_from_everywhere(&server, "frigg").await;
    }

    /// req_004: strangers cannot lock an owner out: a browser that signed in before has a way in, by its
    /// device cookie or its session, on every replica.
    async fn a_known_browser_keeps_a_way_in(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        let device = new_browser(&server, "frigg").await;
        for server in [&server, &replica] {
            guess_from_everywhere(server, "frigg").await;
            guess_from_everywhere(server, "frigg@example.com").await;
            for identifier in ["frigg", "Frigg@Example.com"] {
                refused(&sign_in_with(server, identifier, PASSWORD, "").await);
                sign_in_with(server, identifier, PASSWORD, &device).await.expect(200);
                sign_in_with(server, identifier, PASSWORD, &frigg.cookie()).await.expect(200);
                sign_in_with(server, identifier, "wrong password", &device).await.expect(401);
            }
        }
    }

    /// A stolen device cookie is worth ten guesses in all, on all replicas; then its holder is a
    /// stranger, for good.
    async fn a_stolen_device_cookie_loses_its_privilege(setup: Setup) {
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
            guess_from_everywhere(server, "frigg").await;
            refused(&sign_in_with(server, "frigg", PASSWORD, &stolen).await);
        }
        server.turn(Duration::days(2));
        guess_from_everywhere(&server, "frigg").await;
        refused(&sign_in_with(&server, "frigg", PASSWORD, &stolen).await);
        // signing in makes a cookie with a budget of its own
        server.turn(Duration::minutes(1));
        let fresh = device_of(&sign_in_with(&server, "frigg", PASSWORD, &stolen).await.expect(200));
        for number in 200..240 {
            try_from_network(&server, number, "frigg", "wrong password").await;
        }
        sign_in_with(&server, "frigg", PASSWORD, &fresh).await.expect(200);
    }

    /// Many guesses at once with one device cookie do not pass together.
    async fn guesses_at_once_with_a_device_cookie_are_counted(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        let stolen = new_browser(&server, "frigg").await;
        guess_from_everywhere(&server, "frigg").await;
        let body = json!({ "identifier": "frigg", "token": "wrong password" });
        let guess = || server.request("POST", "/api/auth/password/signin").header("cookie", &stolen).json(&body);
        let answers = at_once((0..40).map(|_| guess()).collect()).await;
        assert_eq!((count(&answers, 401), count(&answers, 429)), (10, 30));
    }

    /// A device cookie is good for its account, its password and its year, and cannot be made up.
    async fn a_device_cookie_is_bound(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        let device = new_browser(&server, "frigg").await;
        guess_from_everywhere(&server, "odin").await;
        refused(&sign_in_with(&server, "odin", PASSWORD, &device).await);
        guess_from_everywhere(&server, "frigg").await;
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

        // a changed password voids the cookies of all browsers but the one that changed it
        let changed = change_password(&server, &frigg, PASSWORD, "another password", &device).await.expect(200);
        refused(&sign_in_with(&server, "frigg", "another password", &device).await);
        let device = device_of(&changed);
        sign_in_with(&server, "frigg", "another password", &device).await.expect(200);

        server.turn(Duration::days(365) - Duration::seconds(1));
        guess_from_everywhere(&server, "frigg").await;
        sign_in_with(&server, "frigg", "another password", &device).await.expect(200);
        server.turn(Duration::seconds(1));
        refused(&sign_in_with(&server, "frigg", "another password", &device).await);
    }

    /// One browser is remembered for the last four accounts, and signing out forgets none.
    async fn a_browser_is_remembered_for_four_accounts(setup: Setup) {
        let server = setup.start().await;
        let names = ["a1", "a2", "a3", "a4", "a5"];
        let mut cookie = String::new();
        for name in names {
            server.member(name, &[]).await;
            for _ in 0..2 {
                cookie = device_of(&sign_in_with(&server, name, PASSWORD, &cookie).await.expect(200));
            }
        }
        assert_eq!(cookie.split('~').count(), 4);
        let request = server.request("POST", "/api/auth/logout").header("cookie", &cookie);
        let out = server.send(request).await.expect(302);
        assert!(devices_set(&out).is_empty());
        // "cookies" would take the device cookie as well
        assert_eq!(out.header("clear-site-data"), r#""cache", "storage", "executionContexts""#);
        for (name, known) in names.into_iter().zip([false, true, true, true, true]) {
            guess_from_everywhere(&server, name).await;
            let answer = sign_in_with(&server, name, PASSWORD, &cookie).await;
            assert_eq!(answer.status, if known { 200 } else { 429 }, "{name}");
            server.turn(Duration::minutes(15));
        }
    }

    /// A-55: only the API's host reads the device cookie, and no script.
    async fn the_device_cookie_stays_with_the_host(setup: Setup) {
        let with = |setup: &crate::support::Setup, api: &str, web: &str| {
            setup.clone().with("PUBLIC_API_ADDRESS", api).with("PUBLIC_WEB_ADDRESS", web).with("SIGNUP_ENABLED", "true")
        };
        let server = with(&setup, "https://api.forum.example", "https://forum.example").start().await;
        server.member("frigg", &[]).await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        let [device] = devices_set(&answer)[..] else { panic!("{answer:?}") };
        assert!(device.starts_with(DEVICE), "{device}");
        assert!(device.ends_with("; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict; Secure"), "{device}");
        assert!(!device.contains("frigg"), "{device}");
        let body = json!({ "identifier": "balder", "token": PASSWORD });
        let up = server.send(server.request("POST", "/api/auth/password/signup").json(&body)).await.expect(200);
        assert_eq!(devices_set(&up).len(), 1);

        let server = with(&setup, "http://localhost:8000", "http://localhost:3000").start().await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        let [device] = devices_set(&answer)[..] else { panic!("{answer:?}") };
        assert!(device.starts_with("storyden-auth-device="), "{device}");
        assert!(device.ends_with("SameSite=Strict"), "{device}");
    }

    /// Contract 3.6: in the profile `storyden` signing in sets one cookie. Strangers are slowed down
    /// there too, and a browser with a session keeps its way in.
    async fn the_profile_storyden_has_no_device_cookie(setup: Setup) {
        let server = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let frigg = server.member("frigg", &[]).await;
        let answer = server.sign_in_from("192.0.2.10", "frigg", PASSWORD).await.expect(200);
        assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 1);
        assert!(devices_set(&answer).is_empty());
        guess_from_everywhere(&server, "frigg").await;
        refused(&sign_in_with(&server, "frigg", PASSWORD, "").await);
        sign_in_with(&server, "frigg", PASSWORD, &frigg.cookie()).await.expect(200);
        let out = server.send(server.request("POST", "/api/auth/logout")).await.expect(302);
        assert_eq!(out.header("clear-site-data"), r#""cache", "cookies", "storage", "executionContexts""#);
    }

    /// A-79: wrong passwords for one identifier do not tell which other identifier belongs to the same
    /// account: neither by status nor by `Retry-After`.
    async fn limits_do_not_link_identifiers(setup: Setup) {
        let server = setup.start().await;
        server.member("frigg", &[]).await;
        server.member("odin", &[]).await;
        let guess = async |address: &'static str, identifier: &'static str| {
            let answer = server.sign_in_from(address, identifier, "wrong password").await;
            (answer.status, answer.find_header("retry-after").map(str::to_owned), answer.json()["detail"].clone())
        };
        // ten by e-mail from one address, then by handle: of the same account, of another, of none
        for _ in 0..10 {
            guess("192.0.2.1", "frigg@example.com").await;
        }
        assert_eq!(guess("192.0.2.1", "frigg@example.com").await.0, 429);
        let same = guess("192.0.2.1", "frigg").await;
        let others = [guess("192.0.2.1", "odin").await, guess("192.0.2.1", "nobody").await];
        assert_eq!(same.0, 401);
        assert!(others.iter().all(|other| *other == same), "{same:?} {others:?}");
        // the same with the limit of all networks together
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

    /// Variants of an identifier that find the same account are one identifier.
    async fn variants_of_an_identifier_count_together(setup: Setup) {
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
