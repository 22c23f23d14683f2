//! Rotations and revocations of signing keys under load: three replicas, and clients that cache the key set for
//! its `max-age`. The tests turn the clock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use storyden_auth::clock::Timestamp;
use storyden_auth::context::SharedContext;
use storyden_auth::store::audit::{Entry, Event};
use storyden_auth::{jobs, signing_keys};
use time::Duration;
use tokio::task::JoinSet;

use crate::signing_keys::rotating;
use crate::support::{Answer, Client, Member, Server, Setup, both};

const USERINFO: &str = "/api/oauth/userinfo";

/// Concurrent clients.
const CLIENTS: usize = 4;

/// A client that holds tokens of a member, and verifies the tokens with a cached key set.
struct CachingClient {
    refresh_token: String,
    /// Access tokens with the time of issue.
    tokens: Vec<(String, Timestamp)>,
    /// The key set, with the end of its `max-age`.
    cached: Option<(JwkSet, Timestamp)>,
    rng: StdRng,
}

/// Replicas under load.
struct Load {
    servers: Vec<Server>,
    app: Client,
    /// Kid of the key that is revoked; empty before.
    revoked_kid: String,
    /// True once the revocation has returned.
    is_revoked: AtomicBool,
}

fn header(token: &str) -> jsonwebtoken::Header {
    jsonwebtoken::decode_header(token).unwrap()
}

fn kid(token: &str) -> String {
    header(token).kid.unwrap()
}

/// Verifies the signature as a resource server does.
fn verifies(keys: &JwkSet, token: &str) -> bool {
    let Some(key) = keys.find(&kid(token)) else {
        return false;
    };
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false; // the clock of the test is not the clock of the library
    validation.validate_aud = false;
    let key = DecodingKey::from_jwk(key).unwrap();
    jsonwebtoken::decode::<Value>(token, &key, &validation).is_ok()
}

impl CachingClient {
    fn new(tokens: &Answer, seed: u64) -> Self {
        Self {
            refresh_token: tokens.text("refresh_token"),
            tokens: Vec::new(),
            cached: None,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Refreshes at a replica, verifies the new token with the cached keys, and uses the oldest, the newest and a
    /// random live token at other replicas.
    async fn act(&mut self, load: &Load) {
        let server = self.replica(load);
        let now = server.clock.now();
        let answer = server.refresh(&load.app, &self.refresh_token).await;
        let answer = answer.expect(200);
        self.refresh_token = answer.text("refresh_token");
        let token = answer.text("access_token");
        self.verify_with_cached_keys(load, &token).await;
        self.tokens.push((token, now));
        self.tokens
            .retain(|(_, issued)| now - *issued < Duration::minutes(15));
        let any = self.rng.random_range(0..self.tokens.len());
        for index in BTreeSet::from([0, any, self.tokens.len() - 1]) {
            let (token, _) = self.tokens[index].clone();
            self.use_token(load, &token).await;
        }
    }

    async fn use_token(&mut self, load: &Load, token: &str) {
        let was_revoked = load.is_revoked.load(Ordering::SeqCst);
        let server = self.replica(load);
        let answer = server.get_with_bearer(USERINFO, token).await;
        let kid = kid(token);
        if kid != load.revoked_kid {
            assert_eq!(answer.status, 200, "{kid}: {}", answer.body);
        } else if was_revoked {
            assert_eq!(answer.status, 401, "accepted after the revocation: {kid}");
        }
    }

    /// A client with a cached key set fetches the set again at the end of `max-age`, and not before, unless a
    /// key was revoked. The key set has no revoked key.
    async fn verify_with_cached_keys(&mut self, load: &Load, token: &str) {
        let now = load.servers[0].clock.now();
        let is_fresh = self.cached.as_ref().is_some_and(|(_, until)| now < *until);
        let may_refetch = !load.revoked_kid.is_empty();
        if !is_fresh || may_refetch {
            let replica = self.replica(load);
            if may_refetch {
                // Every replica does so every two seconds.
                jobs::poll_keys(replica.context.clone()).await;
            }
            let answer = replica.get("/api/oauth/jwks").await.expect(200);
            let max_age = answer.header("cache-control").rsplit('=').next().unwrap();
            let until = now + Duration::seconds(max_age.parse().unwrap());
            self.cached = Some((serde_json::from_str(&answer.body).unwrap(), until));
        }
        let (keys, _) = self.cached.as_ref().unwrap();
        let is_verified = verifies(keys, token) || kid(token) == load.revoked_kid;
        assert!(is_verified, "{} is not in the cached key set", kid(token));
    }

    fn replica<'l>(&mut self, load: &'l Load) -> &'l Server {
        &load.servers[self.rng.random_range(0..load.servers.len())]
    }
}

impl Load {
    /// Starts three replicas.
    async fn start(setup: &Setup) -> Self {
        let servers = vec![
            setup.start().await,
            setup.start().await,
            setup.start().await,
        ];
        let app = servers[0].public_client().await;
        Self {
            servers,
            app,
            is_revoked: AtomicBool::new(false),
            revoked_kid: String::new(),
        }
    }

    async fn clients(&self, seed: u64) -> Vec<CachingClient> {
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let member = self.servers[0].member(&format!("m{number}"), &[]).await;
            let tokens = self.servers[0].tokens(&member, &self.app, &[]).await;
            clients.push(CachingClient::new(&tokens, seed + number as u64));
        }
        clients
    }

    /// Lets every client act once, at the same time as the jobs of a replica.
    async fn round(
        self: &Arc<Self>,
        clients: Vec<CachingClient>,
        replica: usize,
    ) -> Vec<CachingClient> {
        let mut running = JoinSet::new();
        for mut client in clients {
            let load = Arc::clone(self);
            running.spawn(async move {
                client.act(&load).await;
                client
            });
        }
        let context = self.context(replica);
        jobs::rotate_keys(context.clone()).await;
        jobs::poll_keys(context).await;
        running.join_all().await
    }

    fn context(&self, replica: usize) -> SharedContext {
        self.servers[replica % self.servers.len()].context.clone()
    }

    fn turn(&self, by: Duration) {
        self.servers[0].turn(by);
    }
}

/// The clients after five rotations, the last of them five minutes ago.
async fn five_rotations(load: &Arc<Load>, mut clients: Vec<CachingClient>) -> Vec<CachingClient> {
    let mut seen = BTreeSet::new();
    load.turn(Duration::hours(24) - Duration::minutes(20));
    for rotation in 0..5 {
        // From 20 minutes before the switch to 5 minutes after the switch.
        for minute in 0..25 {
            clients = load.round(clients, rotation + minute).await;
            seen.extend(
                clients
                    .iter()
                    .filter_map(|one| one.tokens.last())
                    .map(|(token, _)| kid(token)),
            );
            load.turn(Duration::minutes(1));
        }
        if rotation < 4 {
            load.turn(Duration::hours(24) - Duration::minutes(25));
        }
    }
    assert!(seen.len() >= 6, "{seen:?}");
    clients
}

both! {
    /// A-82, P5: five rotations and a revocation on three replicas under load. No token is refused that should
    /// not be; every token is verified by clients that cache the key set for its `max-age`; and after the
    /// revocation returned, no replica accepts a token of the revoked key.
    async fn five_rotations_and_a_revocation_under_load(setup: Setup) {
        let setup = rotating(setup).with("OAUTH_KEY_ROTATION", "24h");
        let load = Arc::new(Load::start(&setup).await);
        let clients = load.clients(setup.seed * 100).await;
        let mut clients = five_rotations(&load, clients).await;
        setup.held.count("rotations", 5);

        // Tokens of the stolen key, and of the key before, which stay valid.
        let current = kid(&clients[0].tokens.last().unwrap().0);
        let kids: BTreeSet<String> = clients.iter().flat_map(|one| &one.tokens).map(|(token, _)| kid(token)).collect();
        assert!(kids.len() == 2 && kids.contains(&current), "{kids:?}");
        let frigg = load.servers[0].member("frigg", &[]).await;
        let forged = load.servers[0].tokens(&frigg, &load.app, &[]).await;

        let mut load = Arc::into_inner(load).unwrap();
        load.revoked_kid.clone_from(&current);
        let load = Arc::new(load);
        let mut running = JoinSet::new();
        for mut client in clients {
            let load = Arc::clone(&load);
            running.spawn(async move {
                for _ in 0..4 {
                    client.act(&load).await;
                }
                client
            });
        }
        let context = load.context(1);
        let entry = Entry::new(Event::SigningKeyRevoked, context.clock.now());
        let ended = signing_keys::revoke(&context, &current, entry).await.unwrap();
        load.is_revoked.store(true, Ordering::SeqCst);
        assert_eq!((ended.sessions, ended.grants), (1, 1), "only what is newer than the key");
        for server in &load.servers {
            let answer = server.get_with_bearer(USERINFO, &forged.text("access_token")).await;
            answer.expect_error(401, "invalid_token");
            server.get_as(&frigg, "/api/auth/oauth/applications").await.expect(401);
        }
        clients = running.join_all().await;
        setup.held.count("revocations", 1);
        // Every replica does so every two seconds; until then it may sign with the revoked key.
        for server in &load.servers {
            jobs::poll_keys(server.context.clone()).await;
        }
        for (index, mut client) in clients.into_iter().enumerate() {
            client.act(&load).await;
            assert_ne!(kid(&client.tokens.last().unwrap().0), current);
            let (token, _) = client.tokens.iter().find(|(token, _)| kid(token) == current).unwrap();
            let server = &load.servers[index % 3];
            server.get_with_bearer(USERINFO, token).await.expect_error(401, "invalid_token");
            assert!(client.tokens.iter().any(|(token, _)| kid(token) != current));
        }
    }

    /// A clock that jumps forward by a day, past a rotation, and back: no token from before the jump is
    /// refused, tokens are issued and accepted at each time, and one key signs.
    async fn a_clock_that_jumps_by_a_day_refuses_no_token(setup: Setup) {
        let setup = rotating(setup).with("OAUTH_KEY_ROTATION", "24h");
        let load = Arc::new(Load::start(&setup).await);
        let mut clients = load.clients(setup.seed * 100).await;
        for day in 0..4 {
            let before: Vec<String> = clients.iter().flat_map(|one| &one.tokens).map(|(token, _)| token.clone()).collect();
            load.turn(Duration::days(1));
            for minute in 0..3 {
                for client in &mut clients {
                    client.cached = None; // older than a day
                }
                clients = load.round(clients, day + minute).await;
            }
            load.turn(-Duration::days(1));
            for client in &mut clients {
                client.tokens.clear(); // issued in the future
                client.cached = None;
            }
            for token in &before {
                load.servers[day % 3].get_with_bearer(USERINFO, token).await.expect(200);
            }
            for minute in 0..3 {
                clients = load.round(clients, day + minute).await;
            }
            load.turn(Duration::minutes(1));
        }
        let list = signing_keys::list(&load.context(0)).await.unwrap();
        let signing = list.iter().filter(|key| key.state == "current").count();
        assert_eq!(signing, 1, "{list:?}");
    }

    /// The administrators' API: the list, a rotation, and a revocation with a dry run, recorded with the
    /// administrator. Other members have no access.
    async fn administrators_rotate_and_revoke(setup: Setup) {
        const KEYS: &str = "/api/admin/oauth/keys";
        let server = rotating(setup).start().await;
        let (odin, frigg) = (server.admin("odin").await, server.member("frigg", &[]).await);
        server.get(KEYS).await.expect(401);
        server.get_as(&frigg, KEYS).await.expect(403);
        let list = server.get_as(&odin, KEYS).await.expect(200).json();
        assert_eq!((&list["keys"][0]["state"], &list["keys"][0]["source"]), (&json!("current"), &json!("database")));
        assert_eq!(list["rotated_algorithms"], json!(["RS256"]));
        let text = list.to_string();
        assert!(!text.contains("sealed") && !text.contains("public_jwk"), "{text}");

        let rotate = async |by: &Member, body: Value| server.post_as(by, &format!("{KEYS}/rotate"), &body).await;
        rotate(&frigg, json!({})).await.expect(403);
        rotate(&odin, json!({ "algorithm": "ES256" })).await.expect(409);
        rotate(&odin, json!({ "algorithm": "none" })).await.expect(400);
        server.turn(Duration::minutes(1));
        let rotated = rotate(&odin, json!({})).await.expect(200).json();
        assert_eq!((&rotated["keys"][0]["state"], &rotated["keys"][1]["state"]), (&json!("current"), &json!("next")));
        let until = rotated["keys"][0]["published_until"].as_str().unwrap();
        assert_eq!(until, (server.clock.now() + Duration::minutes(15) + Duration::hours(25)).to_rfc3339());
        server.turn(Duration::minutes(1));
        let rotated = rotate(&odin, json!({ "algorithm": "RS256", "immediately": true })).await.expect(200).json();
        assert_eq!((&rotated["keys"][0]["state"], &rotated["keys"][1]["state"]), (&json!("retired"), &json!("current")));

        server.turn(Duration::minutes(1));
        let app = server.public_client().await;
        let thor = server.member("thor", &[]).await;
        let tokens = server.tokens(&thor, &app, &[]).await;
        let kid = kid(&tokens.text("access_token"));
        assert_eq!(rotated["keys"][1]["kid"], kid.as_str());
        let revoke = async |by: &Member, kid: &str, query: &str| {
            let path = format!("{KEYS}/{kid}/revoke{query}");
            server.call_as(by, ("POST", &path), None).await
        };
        revoke(&frigg, &kid, "").await.expect(403);
        revoke(&odin, "x", "").await.expect(404);
        for wrong in ["?dryrun=true", "?dry_run=1", "?dry_run=true&dry_run=true"] {
            revoke(&odin, &kid, wrong).await.expect(400);
        }
        for dry in ["?dry_run=true", "?dry_run", "?dry_run="] {
            let counted = revoke(&odin, &kid, dry).await.expect(200).json();
            assert_eq!((&counted["dry_run"], &counted["grants"], &counted["kid"]), (&json!(true), &json!(1), &json!(kid)));
        }
        server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect(200);
        let ended = revoke(&odin, &kid, "").await.expect(200).json();
        assert_eq!((&ended["dry_run"], &ended["grants"], &ended["refresh_tokens"]), (&json!(false), &json!(1), &json!(1)));
        server.get_with_bearer(USERINFO, &tokens.text("access_token")).await.expect_error(401, "invalid_token");
        server.get_as(&thor, "/api/auth/oauth/applications").await.expect(401);
        let list = server.get_as(&odin, KEYS).await.expect(200).json(); // signed in before the key existed
        let revoked = list["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
        assert_eq!(revoked["state"], "revoked");
        for event in ["signing_key_rotated", "signing_key_revoked"] {
            let trail = server.get_as(&odin, &format!("/api/admin/audit?event={event}")).await.expect(200).json();
            assert_eq!(trail["entries"][0]["actor_id"], odin.id.as_str(), "{trail}");
        }
    }

    /// A key of the settings is listed, and neither rotated nor revoked; beside a Storyden too.
    async fn a_key_of_the_settings_is_only_listed(setup: Setup) {
        for profile in ["standards", "storyden"] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start().await;
            let odin = server.admin(&format!("odin-{profile}")).await;
            let list = server.get_as(&odin, "/api/admin/oauth/keys").await.expect(200).json();
            let key = &list["keys"][0];
            assert_eq!((&key["source"], &key["state"]), (&json!("settings"), &json!("current")));
            assert_eq!(list["rotated_algorithms"], json!([]));
            let answer = server.post_as(&odin, "/api/admin/oauth/keys/rotate", &json!({})).await.expect(409);
            assert!(answer.text("detail").contains("OAUTH_RETIRED_KEYS"));
            let path = format!("/api/admin/oauth/keys/{}/revoke", key["kid"].as_str().unwrap());
            server.call_as(&odin, ("POST", &path), None).await.expect(404);
        }
    }
}
