//! The commands of signing keys: `key list`, `key rotate`, `key revoke` and `key export`.

use base64::Engine as _;
use serde_json::{Value, json};
use storyden_auth::jobs;

use crate::signing_keys::{SECRET, rotating};
use crate::support::{Engine, Server, Setup, both};

const SETTINGS: [(&str, &str); 2] = [
    ("OAUTH_SIGNING_KEY_BASE64", ""),
    ("OAUTH_KEYS_SECRET", SECRET),
];

/// Runs a command, which must succeed, and returns the JSON output.
async fn run(setup: &Setup, arguments: &[&str]) -> Value {
    let ended = setup.run(arguments, &SETTINGS).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The states of the keys, in the order of signing.
fn states(list: &Value) -> Vec<&str> {
    let keys = list.as_array().unwrap().iter();
    keys.map(|key| key["state"].as_str().unwrap()).collect()
}

/// A server with generated keys and the clock of the commands.
async fn started(setup: &mut Setup) -> Server {
    setup.use_machine_clock();
    *setup = rotating(setup.clone());
    setup.start().await
}

/// Statements that make the rows of an account a day older.
fn one_day_older(engine: Engine) -> [&'static str; 4] {
    match engine {
        Engine::Sqlite => [
            "UPDATE sessions SET created_at = strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-1 day') WHERE account_id = $1",
            "UPDATE auth_grants SET created_at = strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-1 day') WHERE account_id = $1",
            "UPDATE oauth_refresh_tokens SET created_at = strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-1 day') WHERE account_id = $1",
            "UPDATE authentications SET created_at = strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-1 day') WHERE account_authentication = $1",
        ],
        Engine::Postgres => [
            "UPDATE sessions SET created_at = now() - interval '1 day' WHERE account_id = $1",
            "UPDATE auth_grants SET created_at = now() - interval '1 day' WHERE account_id = $1",
            "UPDATE oauth_refresh_tokens SET created_at = now() - interval '1 day' WHERE account_id = $1",
            "UPDATE authentications SET created_at = now() - interval '1 day' WHERE account_authentication = $1",
        ],
    }
}

both! {
    /// Commands create and switch keys; a running server follows.
    async fn a_command_rotates(setup: Setup) {
        let mut setup = setup;
        let server = started(&mut setup).await;
        let list = run(&setup, &["key", "list", "--json"]).await;
        assert_eq!(states(&list), ["current"]);
        assert_eq!(list[0]["algorithm"], "RS256");
        let announced = run(&setup, &["key", "rotate", "--json"]).await;
        assert_eq!(states(&announced), ["current", "next"]);
        assert_eq!(announced[0]["kid"], list[0]["kid"]);
        assert_eq!(list[0].get("published_until"), None);
        assert!(announced[0]["published_until"].as_str() > announced[1]["signs_from"].as_str());
        let again = run(&setup, &["key", "rotate", "--json"]).await;
        assert_eq!(again, announced, "the next key is not replaced, and waits no longer");
        let switched = run(&setup, &["key", "rotate", "--now", "--json"]).await;
        assert_eq!(states(&switched), ["retired", "current"]);
        assert_eq!(switched[1]["kid"], announced[1]["kid"]);
        jobs::poll_keys(server.context.clone()).await;
        let published = server.get("/api/oauth/jwks").await.json();
        assert_eq!(published["keys"][0]["kid"], switched[1]["kid"]);
        assert_eq!(run(&setup, &["key", "export", "--public"]).await, published);
        let shown = run(&setup, &["key", "show", "--json"]).await;
        assert_eq!(shown["kid"], switched[1]["kid"]);
        let table = setup.run(&["key", "list"], &SETTINGS).await.stdout;
        assert!(table.contains("SIGNS FROM") && table.contains("retired"), "{table}");
        let odin = server.admin("odin").await;
        let trail = server.get_as(&odin, "/api/admin/audit?event=signing_key_rotated").await;
        assert_eq!(trail.expect(200).json()["entries"].as_array().unwrap().len(), 2);
    }

    /// A key of the settings does not rotate by command, and the error tells what to do.
    async fn a_configured_key_does_not_rotate(setup: Setup) {
        for command in [&["key", "rotate"][..], &["key", "revoke", "x", "--yes"]] {
            let ended = setup.run(command, &[]).await;
            assert_eq!(ended.code, Some(1));
            assert!(ended.stderr.contains("OAUTH_RETIRED_KEYS"), "{}", ended.stderr);
        }
        let unknown = setup.run(&["key", "revoke", "x", "--yes"], &SETTINGS).await;
        assert!(unknown.stderr.contains("key list"), "{}", unknown.stderr);
    }

    /// `key revoke` ends the key, and everything that a forged token may have created since the key exists;
    /// `--dry-run` only counts. What is older than the key stays.
    async fn a_revocation_ends_what_may_be_forged(setup: Setup) {
        let mut setup = setup;
        let server = started(&mut setup).await;
        let app = server.public_client().await;
        let older = server.member("odin", &[]).await;
        let kept = server.tokens(&older, &app, &[]).await;
        server.access_key(&older, "sdpak").await;
        for sql in one_day_older(setup.engine) {
            assert!(server.sql(sql, &[older.id.as_str()]).await > 0);
        }
        run(&setup, &["key", "rotate", "--now", "--json"]).await;
        jobs::poll_keys(server.context.clone()).await;

        let frigg = server.member("frigg", &[]).await;
        let tokens = server.tokens(&frigg, &app, &[]).await;
        let code = server.code(&frigg, &app, &[]).await;
        server.access_key(&frigg, "sdpak").await;
        let device = server.approved_device(&frigg, &app, "openid offline_access").await;
        let kid = tokens.jwt_header("access_token")["kid"].as_str().unwrap().to_owned();
        let access = tokens.text("access_token");
        let list = run(&setup, &["key", "list", "--json"]).await;
        assert_eq!(list[1]["kid"], kid.as_str());

        let counted = run(&setup, &["key", "revoke", &kid, "--dry-run", "--json"]).await;
        assert_eq!(counted["grants"], 1);
        server.get_with_bearer("/api/oauth/userinfo", &access).await.expect(200);
        let ended = run(&setup, &["key", "revoke", &kid, "--yes", "--json"]).await;
        for (name, number) in ended.as_object().unwrap() {
            let is_counted = name == "dry_run" || *number == counted[name];
            assert!(is_counted, "{name}: {ended} {counted}");
        }
        assert_eq!((&ended["sessions"], &ended["access_keys"], &ended["codes"]), (&json!(1), &json!(1), &json!(1)));
        assert_eq!((&ended["device_authorizations"], &ended["refresh_tokens"]), (&json!(1), &json!(1)));

        // No poll since: the next request is refused.
        server.get_with_bearer("/api/oauth/userinfo", &access).await.expect_error(401, "invalid_token");
        server.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.poll(&app, &device).await.expect_error(400, "access_denied");
        server.get_as(&frigg, "/api/auth/oauth/applications").await.expect(401);

        jobs::poll_keys(server.context.clone()).await;
        let again = server.refresh(&app, &kept.text("refresh_token")).await.expect(200);
        server.get_with_bearer("/api/oauth/userinfo", &again.text("access_token")).await.expect(200);
        assert_ne!(again.jwt_header("access_token")["kid"], kid.as_str());
        server.get_as(&older, "/api/auth/oauth/applications").await.expect(200);
        let live = "SELECT COUNT(*) AS n FROM authentications WHERE service = 'access_key' AND NOT disabled";
        assert_eq!(server.count(live, &[]).await, 1, "the older access key");
        let repeated = run(&setup, &["key", "revoke", &kid, "--yes", "--json"]).await;
        assert_eq!(repeated["sessions"], 0, "safe to repeat");
    }

    /// `doctor` reports keys that cannot be opened, settings without effect, and a key file that is no longer
    /// used.
    async fn doctor_reports_key_problems(setup: Setup) {
        let mut setup = setup;
        let server = started(&mut setup).await;
        let doctor = async |settings: &[(&str, &str)]| {
            let settings = [&[("PUBLIC_API_ADDRESS", "http://localhost:1")], settings].concat();
            setup.run(&["doctor"], &settings).await.stdout
        };
        let said = doctor(&SETTINGS).await;
        assert!(said.contains("RS256, kid") && said.contains("next in"), "{said}");
        let other = "e".repeat(32);
        let said = doctor(&[SETTINGS[0], ("OAUTH_KEYS_SECRET", &other)]).await;
        assert!(said.contains("FAIL  signing key") && said.contains("cannot be opened"), "{said}");
        let said = doctor(&[SETTINGS[1]]).await;
        assert!(said.contains("OAUTH_KEYS_SECRET is set and has no effect"), "{said}");
        let said = doctor(&[SETTINGS[0], SETTINGS[1], ("OAUTH_SIGNING_ALGORITHMS", "ES256"), ("OAUTH_KEY_ROTATION", "0")]).await;
        assert!(said.contains("has no RS256") && said.contains("keys do not rotate"), "{said}");
        if setup.engine == Engine::Postgres {
            let said = doctor(&[SETTINGS[0]]).await;
            assert!(said.contains("OAUTH_KEYS_SECRET is not set"), "{said}");
        }
        drop(server);
    }

    /// `doctor` reports entries of `OAUTH_RETIRED_KEYS` that are private or sign, chosen algorithms without a
    /// key, keys of servers with different secrets, and old keys that do not rotate.
    async fn doctor_reports_wrong_combinations(setup: Setup) {
        let mut setup = setup;
        let server = started(&mut setup).await;
        let doctor = async |settings: &[(&str, &str)]| {
            let settings = [&[("PUBLIC_API_ADDRESS", "http://localhost:1")], settings].concat();
            setup.run(&["doctor"], &settings).await.stdout
        };
        let made: Value = serde_json::from_str(&setup.run(&["key", "generate", "--json"], &[]).await.stdout).unwrap();
        let private = made["base64"].as_str().unwrap();
        let said = doctor(&[SETTINGS[0], SETTINGS[1], ("OAUTH_RETIRED_KEYS", private)]).await;
        assert!(said.contains(&format!("has the private key {}", made["kid"].as_str().unwrap())), "{said}");
        let exported = setup.run(&["key", "export", "--public"], &SETTINGS).await.stdout;
        let exported = base64::engine::general_purpose::STANDARD.encode(exported);
        let said = doctor(&[SETTINGS[0], SETTINGS[1], ("OAUTH_RETIRED_KEYS", &exported)]).await;
        assert!(said.contains("which signs") && !said.contains("private key"), "{said}");
        let said = doctor(&[SETTINGS[0], SETTINGS[1], ("OAUTH_RETIRED_KEYS", "eyJrZXlzIjpbe31dfQ==")]).await;
        assert!(said.contains("OAUTH_RETIRED_KEYS has an entry that is not a set of public keys"), "{said}");

        let arguments = ["client", "create", "--name", "X", "--type", "public", "--redirect-uri", "https://x.example/cb", "--id-token-alg", "ES256"];
        let both = [SETTINGS[0], SETTINGS[1], ("OAUTH_SIGNING_ALGORITHMS", "RS256,ES256")];
        assert_eq!(setup.run(&arguments, &both).await.code, Some(0));
        let said = doctor(&SETTINGS).await;
        assert!(said.contains("applications chose ES256, and there is no key"), "{said}");
        let said = doctor(&both).await;
        assert!(!said.contains("applications chose") && said.contains("ES256: none yet"), "{said}");

        let old = match setup.engine {
            Engine::Sqlite => "UPDATE auth_keys SET signs_from = strftime('%Y-%m-%d %H:%M:%S+00:00', 'now', '-400 days')",
            Engine::Postgres => "UPDATE auth_keys SET signs_from = now() - interval '400 days'",
        };
        assert_eq!(server.sql(old, &[]).await, 1);
        let said = doctor(&[SETTINGS[0], SETTINGS[1], ("OAUTH_KEY_ROTATION", "0s")]).await;
        assert!(said.contains("signs for 400 days, and does not rotate"), "{said}");
        // A key of another secret, as a server writes it.
        let copy = "INSERT INTO auth_keys (kid, algorithm, predecessor, sealed, public_jwk, created_at, signs_from) \
                    SELECT 'other', algorithm, kid, sealed, public_jwk, created_at, signs_from FROM auth_keys";
        assert_eq!(server.sql(copy, &[]).await, 1);
        let said = doctor(&SETTINGS).await;
        assert!(said.contains("and other cannot: servers with different secrets wrote them"), "{said}");
    }
}
