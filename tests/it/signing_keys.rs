//! Generated signing keys: rotation, replicas, storage. The tests turn the clock and run the job by hand.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use storyden_auth::jobs;
use storyden_auth::keys::Keys;
use storyden_auth::oauth::signing_algorithm::SigningAlgorithm::{self, Rs256};
use storyden_auth::store::audit::{Entry, Event};
use time::Duration;

use crate::support::{Answer, Client, Engine, Member, Server, Setup, both};

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Settings of a server with generated keys.
pub(crate) fn rotating(setup: Setup) -> Setup {
    setup
        .with("OAUTH_SIGNING_KEY_BASE64", "")
        .with("OAUTH_KEYS_SECRET", SECRET)
}

fn keys(server: &Server) -> &Keys {
    server.context.keys.as_ref().unwrap()
}

/// Makes a new RS256 key sign.
pub(crate) async fn rotate(server: &Server, immediately: bool) {
    let entry = Entry::new(Event::SigningKeyRotated, server.clock.now());
    keys(server)
        .rotate(Rs256, immediately, entry)
        .await
        .unwrap();
}

/// Revokes a key, and ends nothing else.
async fn revoke(server: &Server, kid: &str) {
    let entry = Entry::new(Event::SigningKeyRevoked, server.clock.now());
    keys(server).revoke(kid, entry).await.unwrap();
}

/// Runs the job of every minute.
async fn rotate_due(server: &Server) {
    jobs::rotate_keys(server.context.clone()).await;
    // The server's own job may have the lease.
    while keys(server).is_change_due() {
        jobs::poll_keys(server.context.clone()).await;
    }
}

/// The key ids in the key set.
async fn published(server: &Server) -> Vec<String> {
    let jwks = server.get("/api/oauth/jwks").await.expect(200).json();
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// A member with a new session, and tokens.
async fn tokens_of(server: &Server, handle: &str, app: &Client) -> (Member, Answer) {
    let member = server.member(handle, &[]).await;
    let tokens = server.tokens(&member, app, &[]).await;
    (member, tokens)
}

fn kid(tokens: &Answer) -> String {
    let header = tokens.jwt_header("access_token");
    assert_eq!(header["kid"], tokens.jwt_header("id_token")["kid"]);
    header["kid"].as_str().unwrap().to_owned()
}

async fn userinfo(server: &Server, tokens: &Answer) -> Answer {
    let token = tokens.text("access_token");
    server.get_with_bearer("/api/oauth/userinfo", &token).await
}

/// True if the ID token is accepted as a hint.
async fn is_hint(server: &Server, tokens: &Answer) -> bool {
    let token = tokens.text("id_token");
    let hint = keys(server).verify_hint::<Value>(&token);
    hint.await.unwrap().is_some()
}

/// Tries to read the keys as a server does at start.
async fn start_error(setup: &Setup) -> String {
    let ended = setup
        .run(
            &["serve"],
            &[
                ("OAUTH_SIGNING_KEY_BASE64", ""),
                ("OAUTH_KEYS_SECRET", SECRET),
            ],
        )
        .await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.stderr
}

both! {
    /// a key is published a week before it signs, verifies while its tokens live, and ID token hints
    /// longer; then its row is deleted.
    async fn a_key_is_published_then_signs_then_retires(setup: Setup) {
        let server = rotating(setup).start().await;
        let app = server.public_client().await;
        let (_, first) = tokens_of(&server, "m1", &app).await;
        let a = kid(&first);
        assert_eq!(published(&server).await, std::slice::from_ref(&a));
        server.turn(Duration::days(82));
        rotate_due(&server).await;
        assert_eq!(published(&server).await, std::slice::from_ref(&a), "eight days before the switch");
        server.turn(Duration::days(1));
        rotate_due(&server).await;
        let both = published(&server).await;
        assert_eq!((both.len(), &both[0]), (2, &a));
        let b = both[1].clone();
        server.turn(Duration::days(7) - Duration::seconds(1));
        let (_, last) = tokens_of(&server, "m2", &app).await;
        assert_eq!(kid(&last), a);

        server.turn(Duration::seconds(1)); // no job runs: the time decides
        let (_, new) = tokens_of(&server, "m3", &app).await;
        assert_eq!(kid(&new), b);
        assert_eq!(published(&server).await, [b.clone(), a.clone()]);
        userinfo(&server, &last).await.expect(200);
        server.turn(Duration::minutes(15) - Duration::seconds(2));
        userinfo(&server, &last).await.expect(200);
        server.turn(Duration::seconds(1));
        userinfo(&server, &last).await.expect_error(401, "invalid_token"); // expired
        server.turn(Duration::hours(25));
        assert_eq!(published(&server).await, [b]);
        assert!(is_hint(&server, &last).await);

        let rows = async || server.count("SELECT COUNT(*) AS n FROM auth_keys WHERE kid = $1", &[&a]).await;
        server.turn(Duration::days(177));
        rotate_due(&server).await;
        assert!(is_hint(&server, &last).await && rows().await == 1);
        server.turn(Duration::days(3));
        rotate_due(&server).await;
        assert!(!is_hint(&server, &last).await && rows().await == 0);
    }

    /// A token of an archived key is no access token, even if it has not expired: only hints are verified.
    async fn an_archived_key_verifies_only_hints(setup: Setup) {
        let server = rotating(setup).with("OAUTH_ACCESS_TOKEN_TTL", "24h").start().await;
        let app = server.public_client().await;
        let (_, tokens) = tokens_of(&server, "frigg", &app).await;
        rotate(&server, true).await;
        server.turn(Duration::hours(23));
        userinfo(&server, &tokens).await.expect(200);
        server.turn(Duration::hours(3));
        let verified = keys(&server).verify::<Value>("at+jwt", &tokens.text("access_token")).await;
        assert!(verified.unwrap().is_none());
        assert!(is_hint(&server, &tokens).await);
    }

    /// Two replicas follow a rotation: at once for a token with an unknown key, and by the poll.
    async fn replicas_learn_of_a_rotation(setup: Setup) {
        let setup = rotating(setup);
        let (one, two) = (setup.start().await, setup.start().await);
        let app = one.public_client().await;
        let (frigg, before) = tokens_of(&one, "frigg", &app).await;
        assert_eq!(published(&one).await, published(&two).await, "one first key");
        userinfo(&two, &before).await.expect(200);
        rotate(&one, true).await;
        let after = one.tokens(&frigg, &app, &[]).await;
        assert_ne!(kid(&after), kid(&before));
        userinfo(&two, &after).await.expect(200); // reads the keys again
        userinfo(&two, &before).await.expect(200);
        assert_eq!(published(&one).await, published(&two).await);
        assert_eq!(kid(&two.tokens(&frigg, &app, &[]).await), kid(&after));

        one.turn(Duration::seconds(1));
        rotate(&two, false).await;
        jobs::poll_keys(one.context.clone()).await;
        assert_eq!(published(&one).await, published(&two).await);
        assert_eq!(published(&one).await.len(), 3);
    }

    /// A token with a random key id reads the database at most once a second.
    async fn unknown_key_ids_are_rate_limited(setup: Setup) {
        let server = rotating(setup).start().await;
        let app = server.public_client().await;
        let (_, tokens) = tokens_of(&server, "frigg", &app).await;
        let before = keys(&server).reads();
        for number in 0..20 {
            let header = json!({ "alg": "RS256", "kid": format!("k{number}"), "typ": "at+jwt" });
            let forged = crate::support::forgery::signed(&header, &tokens.claims("access_token"));
            let answer = server.get_with_bearer("/api/oauth/userinfo", &forged).await;
            answer.expect_error(401, "invalid_token");
        }
        assert_eq!(keys(&server).reads() - before, 1);
        userinfo(&server, &tokens).await.expect(200);
    }

    /// A replica that slept for a month knows the current key before it answers, and refuses a revoked one.
    async fn a_replica_that_slept_is_right_at_once(setup: Setup) {
        let setup = rotating(setup);
        let (awake, asleep) = (setup.start().await, setup.start().await);
        let app = awake.public_client().await;
        let (_, old) = tokens_of(&awake, "m1", &app).await;
        userinfo(&asleep, &old).await.expect(200);
        // Revoked before the long sleep: a poll in between is then of no importance.
        revoke(&awake, &kid(&old)).await;
        awake.turn(Duration::days(30));
        let (_, new) = tokens_of(&awake, "m2", &app).await;
        assert_eq!(published(&asleep).await, [kid(&new)]);
        let (_, theirs) = tokens_of(&asleep, "m3", &app).await;
        assert_eq!(kid(&theirs), kid(&new));
        assert!(!is_hint(&asleep, &old).await);
    }

    /// A revoked key is refused on every replica at the next request, before any poll, and the next key
    /// signs at once. Hints of the revoked key are refused too.
    async fn a_revoked_key_is_refused_at_once_everywhere(setup: Setup) {
        let setup = rotating(setup);
        let (one, two) = (setup.start().await, setup.start().await);
        let app = one.public_client().await;
        let (frigg, before) = tokens_of(&one, "frigg", &app).await;
        userinfo(&two, &before).await.expect(200);
        revoke(&one, &kid(&before)).await;
        userinfo(&two, &before).await.expect_error(401, "invalid_token");
        userinfo(&one, &before).await.expect_error(401, "invalid_token");
        let after = one.tokens(&frigg, &app, &[]).await;
        userinfo(&two, &after).await.expect(200);
        assert!(!is_hint(&one, &before).await && !is_hint(&two, &before).await);
        assert_eq!(published(&two).await, [kid(&after)]);
        let sealed = "SELECT COUNT(*) AS n FROM auth_keys WHERE kid = $1 AND sealed IS NOT NULL";
        assert_eq!(one.count(sealed, &[&kid(&before)]).await, 0, "the private key is deleted");
    }

    /// The next key is revoked before it signs: the rotation gets another.
    async fn a_revoked_next_key_is_replaced(setup: Setup) {
        let server = rotating(setup).start().await;
        server.turn(Duration::days(83));
        rotate_due(&server).await;
        let [a, b]: [String; 2] = published(&server).await.try_into().unwrap();
        revoke(&server, &b).await;
        assert_eq!(published(&server).await, std::slice::from_ref(&a));
        rotate_due(&server).await;
        let [same, c]: [String; 2] = published(&server).await.try_into().unwrap();
        assert!(same == a && c != b);
        server.turn(Duration::days(7));
        assert_eq!(published(&server).await, [c.clone(), a]);
        server.turn(Duration::days(83));
        rotate_due(&server).await;
        assert_eq!(published(&server).await.len(), 2, "the chain goes on");
        assert_eq!(published(&server).await[0], c);
    }

    /// Each step of a rotation is a single transaction, and may be repeated: jobs on two replicas at the
    /// same time, and after a holder of the lease that died, create one successor.
    async fn a_rotation_survives_crashes_and_races(setup: Setup) {
        let setup = rotating(setup);
        let (one, two) = (setup.start().await, setup.start().await);
        // The holder of the lease died before the insert.
        one.sql(
            "INSERT INTO auth_leases (name, holder, expires_at) VALUES ('keys', 'dead', '2026-03-26 00:01:00+00:00')",
            &[],
        )
        .await;
        one.turn(Duration::days(84));
        jobs::rotate_keys(one.context.clone()).await;
        assert_eq!(published(&one).await.len(), 1);
        one.turn(Duration::minutes(2));
        // Without the lease: two jobs that both read the rows before either wrote.
        let (first, second) = tokio::join!(keys(&one).rotate_due(), keys(&two).rotate_due());
        first.unwrap();
        second.unwrap();
        for _ in 0..2 {
            rotate_due(&one).await;
            rotate_due(&two).await;
        }
        jobs::poll_keys(one.context.clone()).await;
        jobs::poll_keys(two.context.clone()).await;
        assert_eq!(published(&one).await.len(), 2);
        assert_eq!(published(&one).await, published(&two).await);
    }

    /// A server that was down when a key was due publishes the successor for 15 minutes before it signs.
    async fn a_late_rotation_publishes_before_it_signs(setup: Setup) {
        let server = rotating(setup).start().await;
        let app = server.public_client().await;
        server.turn(Duration::days(200));
        let (_, tokens) = tokens_of(&server, "m1", &app).await;
        let a = kid(&tokens);
        rotate_due(&server).await;
        let (_, tokens) = tokens_of(&server, "m2", &app).await;
        assert_eq!((kid(&tokens), published(&server).await.len()), (a.clone(), 2));
        server.turn(Duration::minutes(15));
        let (_, tokens) = tokens_of(&server, "m3", &app).await;
        assert_ne!(kid(&tokens), a);
    }

    /// A clock that jumps ten years ahead and back, or back before the first key: tokens are issued and
    /// accepted, and the rotation goes on afterwards.
    async fn a_jumping_clock_stops_nothing(setup: Setup) {
        let server = rotating(setup).start().await;
        let app = server.public_client().await;
        let (_, tokens) = tokens_of(&server, "m1", &app).await;
        let a = kid(&tokens);
        server.turn(Duration::days(3_650));
        rotate_due(&server).await;
        let (_, future) = tokens_of(&server, "m2", &app).await;
        userinfo(&server, &future).await.expect(200);
        server.turn(-Duration::days(3_650));
        userinfo(&server, &tokens).await.expect(200);
        rotate_due(&server).await; // plans the next key again
        server.turn(Duration::days(90));
        let (_, rotated) = tokens_of(&server, "m3", &app).await;
        assert_ne!(kid(&rotated), a);
        userinfo(&server, &rotated).await.expect(200);
        server.turn(-Duration::days(1_000));
        let (_, past) = tokens_of(&server, "m4", &app).await;
        assert_eq!(kid(&past), a);
        userinfo(&server, &past).await.expect(200);
    }

    /// Five rotations under three replicas, with clients that cache the key set for its `max-age`: no client
    /// meets a key that it does not know, and no replica refuses a token that has not expired.
    async fn five_rotations_refuse_no_token(setup: Setup) {
        let setup = rotating(setup).with("OAUTH_KEY_ROTATION", "24h");
        let servers = [setup.start().await, setup.start().await, setup.start().await];
        let app = servers[0].public_client().await;
        // Ten minutes before the first switch; then the small steps of the loop are around each switch.
        servers[0].turn(Duration::hours(24) - Duration::minutes(10));
        rotate_due(&servers[0]).await;
        let mut seen = BTreeSet::new();
        let (mut cached, mut live): (Vec<String>, Vec<Answer>) = (Vec::new(), Vec::new());
        for step in 0..126 {
            let server = &servers[step % 3];
            if step % 5 == 0 {
                cached = published(server).await; // as old as allowed when the last step uses it
            }
            if step % 7 == 0 {
                rotate_due(server).await;
            }
            let frigg = server.member(&format!("m{step}"), &[]).await;
            let tokens = server.tokens(&frigg, &app, &[]).await;
            assert!(cached.contains(&kid(&tokens)), "step {step}");
            seen.insert(kid(&tokens));
            live.push(tokens);
            if live.len() > 2 {
                live.remove(0);
            }
            for (offset, tokens) in live.iter().enumerate() {
                userinfo(&servers[(step + offset + 1) % 3], tokens).await.expect(200);
            }
            let by = if step % 21 == 20 { Duration::minutes(24 * 60 - 20) } else { Duration::minutes(1) };
            server.turn(by);
            if by > Duration::hours(1) {
                live.clear();
                cached = published(server).await;
                rotate_due(server).await;
            }
        }
        assert!(seen.len() >= 6, "{seen:?}");
    }

    /// Keys of each algorithm sign and verify; the first of the setting is the default, and the metadata and
    /// the key set list all (RFC 7518 §3.1, RFC 8037, RFC 9864 §2.2).
    async fn every_algorithm_signs(setup: Setup) {
        let app = rotating(setup.clone()).start().await.public_client().await;
        for algorithm in SigningAlgorithm::ALL {
            let others = SigningAlgorithm::ALL.iter().filter(|other| *other != algorithm);
            let names: Vec<&str> = std::iter::once(algorithm).chain(others).map(|one| one.name()).collect();
            let setup = rotating(setup.clone()).with("OAUTH_SIGNING_ALGORITHMS", &names.join(","));
            let server = setup.start().await;
            let frigg = server.member(&format!("frigg-{}", algorithm.name().to_lowercase()), &[]).await;
            let tokens = server.tokens(&frigg, &app, &[]).await;
            for token in ["access_token", "id_token"] {
                assert_eq!(tokens.jwt_header(token)["alg"], algorithm.name());
            }
            userinfo(&server, &tokens).await.expect(200);
            assert!(is_hint(&server, &tokens).await);
            let at_hash = tokens.claims("id_token")["at_hash"].as_str().unwrap().len();
            let is_ed25519 = matches!(algorithm.name(), "EdDSA" | "Ed25519");
            assert_eq!(at_hash, if is_ed25519 { 43 } else { 22 });
            let metadata = server.get("/.well-known/openid-configuration").await.json();
            assert_eq!(metadata["id_token_signing_alg_values_supported"], json!(names));
            let jwks = server.get("/api/oauth/jwks").await.json();
            let listed: Vec<&str> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap()).collect();
            assert_eq!(listed, names);
            for key in jwks["keys"].as_array().unwrap() {
                assert_eq!(key.get("d"), None);
            }
        }
    }

    /// the key set has an entity tag and a `max-age` of at most half the time that a key is published
    /// before it signs (RFC 9110 §13.1.2).
    async fn the_key_set_is_revalidated(setup: Setup) {
        let server = rotating(setup).start().await;
        let first = server.get("/api/oauth/jwks").await.expect(200);
        assert_eq!(first.header("cache-control"), "public, max-age=300");
        let tag = first.header("etag").to_owned();
        let again = server.request("GET", "/api/oauth/jwks").header("if-none-match", &tag);
        let again = server.send(again).await.expect(304);
        assert_eq!((again.body.as_str(), again.header("etag")), ("", tag.as_str()));
        rotate(&server, false).await;
        let changed = server.request("GET", "/api/oauth/jwks").header("if-none-match", &tag);
        let changed = server.send(changed).await.expect(200);
        assert_ne!(changed.header("etag"), tag);
    }

    /// A key of an earlier version in `DATA_DIR` becomes the first key: tokens stay valid.
    async fn a_key_of_an_earlier_version_is_taken_over(setup: Setup) {
        if setup.engine == Engine::Postgres {
            return; // no key in DATA_DIR there
        }
        let old = setup.start().await;
        let app = old.public_client().await;
        let (_, tokens) = tokens_of(&old, "frigg", &app).await;
        let shown: Value = serde_json::from_str(&setup.run(&["key", "show", "--json"], &[]).await.stdout).unwrap();
        std::fs::write(setup.folder.join("oauth-signing-key.pem"), shown["pem"].as_str().unwrap()).unwrap();
        let new = setup.clone().with("OAUTH_SIGNING_KEY_BASE64", "").start().await; // without a secret too
        userinfo(&new, &tokens).await.expect(200);
        assert_eq!(published(&new).await, [kid(&tokens)]);
        new.turn(Duration::days(83));
        rotate_due(&new).await;
        new.turn(Duration::days(7));
        assert_eq!(published(&new).await.len(), 2);
        assert_ne!(published(&new).await[0], kid(&tokens));
        assert!(is_hint(&new, &tokens).await);
        let restarted = setup.with("OAUTH_SIGNING_KEY_BASE64", "").start().await;
        assert_eq!(published(&restarted).await, published(&new).await, "taken over once");
    }

    /// `OAUTH_RETIRED_KEYS` verifies, in each mode: from a configured key to generated keys, and by hand
    /// from one configured key to another.
    async fn retired_keys_of_the_settings_verify(setup: Setup) {
        let old = setup.start().await;
        let app = old.public_client().await;
        let (_, tokens) = tokens_of(&old, "frigg", &app).await;
        let shared = setup.run(&["key", "show", "--json"], &[]).await;
        let shared: Value = serde_json::from_str(&shared.stdout).unwrap();
        let made = setup.run(&["key", "generate", "--json"], &[]).await;
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        let (former, next) = (shared["base64"].as_str().unwrap(), made["base64"].as_str().unwrap());

        let generated = rotating(setup.clone()).with("OAUTH_RETIRED_KEYS", former).start().await;
        userinfo(&generated, &tokens).await.expect(200);
        assert_eq!(published(&generated).await.len(), 2);

        let announced = setup.clone().with("OAUTH_RETIRED_KEYS", next).start().await;
        assert_eq!(published(&announced).await.len(), 2);
        let named = format!("{former},other:{former}");
        let switched = setup.clone().with("OAUTH_SIGNING_KEY_BASE64", next).with("OAUTH_RETIRED_KEYS", &named).start().await;
        userinfo(&switched, &tokens).await.expect(200);
        let frigg = switched.member("odin", &[]).await;
        let new = switched.tokens(&frigg, &app, &[]).await;
        assert_eq!(kid(&new), made["kid"].as_str().unwrap());
        userinfo(&announced, &new).await.expect(200);
        assert!(published(&switched).await.contains(&"other".to_owned()));
    }

    /// From generated keys to a configured key, with the public halves of `key export --public`: tokens of each
    /// algorithm stay valid on both sides of a rolling restart.
    async fn public_halves_of_generated_keys_verify(setup: Setup) {
        const ALGORITHMS: &str = "ES256,RS256,PS256,EdDSA,Ed25519";
        let made = setup.run(&["key", "generate", "--json"], &[]).await;
        let made: Value = serde_json::from_str(&made.stdout).unwrap();
        let announced = STANDARD.encode(json!({ "keys": [made["jwk"]] }).to_string());
        let generated = rotating(setup.clone()).with("OAUTH_SIGNING_ALGORITHMS", ALGORITHMS).with("OAUTH_RETIRED_KEYS", &announced);
        let generated = generated.start().await;
        let app = generated.public_client().await;
        let (_, old) = tokens_of(&generated, "frigg", &app).await;
        let settings = [("OAUTH_SIGNING_KEY_BASE64", ""), ("OAUTH_KEYS_SECRET", SECRET), ("OAUTH_SIGNING_ALGORITHMS", ALGORITHMS)];
        let exported = setup.run(&["key", "export", "--public"], &settings).await.stdout;
        let configured = setup.with("OAUTH_SIGNING_KEY_BASE64", made["base64"].as_str().unwrap());
        let configured = configured.with("OAUTH_RETIRED_KEYS", &STANDARD.encode(&exported)).start().await;
        userinfo(&configured, &old).await.expect(200);
        let (_, new) = tokens_of(&configured, "odin", &app).await;
        assert_eq!(kid(&new), made["kid"].as_str().unwrap());
        userinfo(&generated, &new).await.expect(200);
        let exported: Value = serde_json::from_str(&exported).unwrap();
        let jwks = configured.get("/api/oauth/jwks").await.json();
        assert_eq!(jwks["keys"].as_array().unwrap()[1..], exported["keys"].as_array().unwrap()[..]);
        assert_eq!(exported["keys"].as_array().unwrap().len(), 5);
    }

    /// With a configured key, other algorithms are still generated and rotated.
    async fn other_algorithms_rotate_beside_a_configured_key(setup: Setup) {
        let setup = setup.with("OAUTH_KEYS_SECRET", SECRET).with("OAUTH_SIGNING_ALGORITHMS", "RS256,ES256");
        let server = setup.start().await;
        let app = server.public_client().await;
        let (_, tokens) = tokens_of(&server, "m1", &app).await;
        let before = published(&server).await;
        assert_eq!((before.len(), &before[0]), (2, &kid(&tokens)));
        server.turn(Duration::days(90));
        rotate_due(&server).await;
        server.turn(Duration::minutes(15));
        let after = published(&server).await;
        assert_eq!((after.len(), &after[0]), (3, &before[0]));
        assert_ne!(after[1], before[1]);
    }

    /// A sealed key is bound to its row: a row with the sealed key of another is refused at start, and a
    /// running server goes on with the keys that it can open.
    async fn a_sealed_key_in_another_row_is_refused(setup: Setup) {
        let setup = rotating(setup).with("OAUTH_SIGNING_ALGORITHMS", "RS256,PS256");
        let server = setup.start().await;
        let app = server.public_client().await;
        let (frigg, _) = tokens_of(&server, "frigg", &app).await;
        let swap = "UPDATE auth_keys SET sealed = (SELECT o.sealed FROM auth_keys o WHERE o.algorithm = 'RS256') \
                    WHERE algorithm = 'PS256'";
        assert_eq!(server.sql(swap, &[]).await, 1);
        let said = start_error(&setup).await;
        assert!(said.contains("cannot be opened"), "{said}");
        server.turn(Duration::minutes(1)); // the running server reads the rows again
        let tokens = server.tokens(&frigg, &app, &[]).await;
        userinfo(&server, &tokens).await.expect(200);
    }

    /// Another secret than the keys were sealed with stops the start, with the setting in the error.
    async fn a_wrong_secret_prevents_the_start(setup: Setup) {
        let other = "f".repeat(32);
        let server = rotating(setup.clone()).with("OAUTH_KEYS_SECRET", &other).start().await;
        let said = start_error(&setup).await;
        assert!(said.contains("OAUTH_KEYS_SECRET"), "{said}");
        assert_eq!(published(&server).await.len(), 1);
        let short = setup.run(&["serve"], &[("OAUTH_KEYS_SECRET", "short")]).await;
        assert!(short.stderr.contains("OAUTH_KEYS_SECRET must have at least 32 characters"), "{}", short.stderr);
    }
}
