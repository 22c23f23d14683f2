//! Interruptions of a rotation and of a revocation of signing keys: failed statements and killed processes. At
//! each point the state is complete or unchanged, and the job completes the rest.

use std::time::Duration as StdDuration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use storyden_auth::clock::Clock;
use storyden_auth::jobs;
use storyden_auth::signing_keys::{self, KeyResource};
use storyden_auth::store::audit::{Entry, Event};
use time::Duration;

use crate::signing_keys::{SECRET, rotating};
use crate::support::{Answer, Client, Engine, Member, Server, Setup, both};

/// A statement that fails: the operation and the table, in the order of a revocation.
type Failure = (&'static str, &'static str);

/// The statements of the first transaction of a revocation.
const TRANSACTION: [Failure; 3] = [
    ("INSERT", "auth_keys"),
    ("UPDATE", "auth_keys"),
    ("INSERT", "auth_audit"),
];

/// The statements that end forged access, in order.
const ENDS: [Failure; 7] = [
    ("UPDATE", "sessions"),
    ("UPDATE", "authentications"),
    ("UPDATE", "oauth_authorisation_codes"),
    ("UPDATE", "oauth_device_authorisations"),
    ("UPDATE", "auth_grants"),
    ("UPDATE", "oauth_refresh_tokens"),
    ("DELETE", "auth_consents"),
];

/// Counts the revocations that are not complete.
const OPEN: &str =
    "SELECT COUNT(*) AS n FROM auth_keys WHERE revoked_at IS NOT NULL AND access_ended_at IS NULL";

/// Makes a statement fail as if the connection was lost.
async fn fail(setup: &Setup, (operation, table): Failure) {
    let sql = match setup.engine {
        Engine::Sqlite => format!(
            "CREATE TRIGGER interrupted BEFORE {operation} ON {table} BEGIN SELECT RAISE(ABORT, 'interrupted'); END"
        ),
        Engine::Postgres => format!(
            "CREATE FUNCTION interrupted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'interrupted'; END $$; \
             CREATE TRIGGER interrupted BEFORE {operation} ON {table} FOR EACH ROW EXECUTE FUNCTION interrupted()"
        ),
    };
    setup.connect_as_other_process().await.run(&sql).await;
}

/// Lets the statement succeed again.
async fn recover(setup: &Setup, (_, table): Failure) {
    let sql = match setup.engine {
        Engine::Sqlite => "DROP TRIGGER interrupted".to_owned(),
        Engine::Postgres => {
            format!("DROP TRIGGER interrupted ON {table}; DROP FUNCTION interrupted()")
        }
    };
    setup.connect_as_other_process().await.run(&sql).await;
}

async fn list(server: &Server) -> Vec<KeyResource> {
    signing_keys::list(&server.context).await.unwrap()
}

/// What a thief may have created with a forged token.
struct Forged {
    thief: Member,
    app: Client,
    tokens: Answer,
    code: String,
    device: String,
}

impl Forged {
    async fn create(server: &Server, number: usize) -> Self {
        let thief = server
            .member(&format!("thief{number}"), &["USE_PERSONAL_ACCESS_KEYS"])
            .await;
        let app = server.client(crate::support::NewClient {
            client_id: [
                "app0", "app1", "app2", "app3", "app4", "app5", "app6", "app7", "app8", "app9",
            ][number],
            ..crate::support::NewClient::default()
        });
        let app = app.await;
        let tokens = server.tokens(&thief, &app, &[]).await;
        let code = server.code(&thief, &app, &[]).await;
        let device = server
            .approved_device(&thief, &app, "openid offline_access")
            .await;
        let body = serde_json::json!({ "name": "forged" });
        server
            .post_as(&thief, "/api/auth/access-keys", &body)
            .await
            .expect(200);
        Self {
            thief,
            app,
            tokens,
            code,
            device,
        }
    }

    fn kid(&self) -> String {
        self.tokens.jwt_header("access_token")["kid"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn userinfo(&self, server: &Server) -> u16 {
        let token = self.tokens.text("access_token");
        server
            .get_with_bearer("/api/oauth/userinfo", &token)
            .await
            .status
    }

    /// Asserts that nothing of the thief is left.
    async fn assert_ended(&self, server: &Server) {
        assert_eq!(self.userinfo(server).await, 401);
        server
            .get_as(&self.thief, "/api/auth/oauth/applications")
            .await
            .expect(401);
        server
            .refresh(&self.app, &self.tokens.text("refresh_token"))
            .await
            .expect_error(400, "invalid_grant");
        server
            .exchange(&self.app, &self.code)
            .await
            .expect_error(400, "invalid_grant");
        server
            .poll(&self.app, &self.device)
            .await
            .expect_error(400, "access_denied");
        let live = "SELECT COUNT(*) AS n FROM authentications WHERE service = 'access_key' AND NOT disabled \
                    AND account_authentication = $1";
        assert_eq!(server.count(live, &[self.thief.id.as_str()]).await, 0);
        let remembered = "SELECT COUNT(*) AS n FROM auth_consents WHERE account_id = $1";
        assert_eq!(server.count(remembered, &[self.thief.id.as_str()]).await, 0);
    }
}

both! {
    /// A rotation that is interrupted at any statement changes nothing, and the job repeats it.
    async fn an_interrupted_rotation_is_repeated(setup: Setup) {
        let setup = rotating(setup);
        let server = setup.start().await;
        let app = server.public_client().await;
        for (round, failure) in [("INSERT", "auth_keys"), ("INSERT", "auth_audit")].into_iter().enumerate() {
            let before = list(&server).await;
            let frigg = server.member(&format!("m{round}"), &[]).await;
            server.turn(Duration::days(84));
            fail(&setup, failure).await;
            jobs::rotate_keys(server.context.clone()).await;
            let planned = |keys: &[KeyResource]| keys.iter().filter(|key| key.state == "next").count();
            assert_eq!((planned(&before), planned(&list(&server).await)), (0, 0), "{failure:?}");
            recover(&setup, failure).await;
            server.tokens(&frigg, &app, &[]).await; // signs with the key of before
            jobs::rotate_keys(server.context.clone()).await;
            assert_eq!(planned(&list(&server).await), 1, "{failure:?}");
            server.turn(Duration::days(7));
        }
        // By command, of the current key with a planned successor: one UPDATE.
        server.turn(Duration::days(84));
        jobs::rotate_keys(server.context.clone()).await;
        let before = list(&server).await;
        let entry = Entry::new(Event::SigningKeyRotated, server.clock.now());
        for failure in [("UPDATE", "auth_keys"), ("INSERT", "auth_audit")] {
            fail(&setup, failure).await;
            signing_keys::rotate(&server.context, None, true, &entry).await.unwrap_err();
            recover(&setup, failure).await;
            assert_eq!(list(&server).await, before, "{failure:?}");
        }
        signing_keys::rotate(&server.context, None, true, &entry).await.unwrap();
        assert_ne!(list(&server).await, before);
    }

    /// A revocation that is interrupted in its first transaction changes nothing; at any later statement the
    /// key is revoked, no token of the key is accepted, and the job ends the rest.
    async fn an_interrupted_revocation_is_completed_by_the_job(setup: Setup) {
        let setup = rotating(setup);
        let server = setup.start().await;
        for (number, failure) in TRANSACTION.into_iter().chain(ENDS).enumerate() {
            server.turn(Duration::minutes(2));
            signing_keys::rotate(&server.context, None, true, &Entry::new(Event::SigningKeyRotated, server.clock.now())).await.unwrap();
            let forged = Forged::create(&server, number).await;
            let kid = forged.kid();
            let before = list(&server).await;
            let revoke = async || {
                let entry = Entry::new(Event::SigningKeyRevoked, server.clock.now());
                signing_keys::revoke(&server.context, &kid, entry).await
            };
            fail(&setup, failure).await;
            revoke().await.unwrap_err();
            recover(&setup, failure).await;
            if TRANSACTION.contains(&failure) {
                assert_eq!(list(&server).await, before, "{failure:?}");
                assert_eq!(forged.userinfo(&server).await, 200);
                revoke().await.unwrap(); // by the administrator, again
            } else {
                let state = list(&server).await.into_iter().find(|key| key.kid == kid).unwrap().state;
                assert_eq!((state, forged.userinfo(&server).await), ("revoked", 401), "{failure:?}");
                jobs::complete_key_revocations(server.context.clone()).await;
                assert!(server.count(OPEN, &[]).await > 0, "requests from before may be in progress");
                server.turn(Duration::minutes(1));
                jobs::complete_key_revocations(server.context.clone()).await;
            }
            forged.assert_ended(&server).await;
        }
        server.turn(Duration::minutes(1));
        jobs::complete_key_revocations(server.context.clone()).await;
        assert_eq!(server.count(OPEN, &[]).await, 0);
        // A session from after a revocation is not ended by the job.
        server.turn(Duration::minutes(1));
        let frigg = server.member("frigg", &[]).await;
        jobs::complete_key_revocations(server.context.clone()).await;
        server.get_as(&frigg, "/api/auth/oauth/applications").await.expect(200);
    }

    /// SIGKILL of `key rotate` and `key revoke` at random times: the keys are as before or as after, and a
    /// running server completes what was begun.
    async fn killed_commands_leave_nothing_half_done(setup: Setup) {
        let settings = [("OAUTH_SIGNING_KEY_BASE64", ""), ("OAUTH_KEYS_SECRET", SECRET)];
        let mut setup = rotating(setup);
        let mut chance = StdRng::seed_from_u64(setup.seed);
        // The clock of the commands is the machine's; the job runs two minutes later.
        setup.use_machine_clock();
        let server = setup.start().await;
        let app = server.public_client().await;
        for round in 0..6 {
            let frigg = server.member(&format!("m{round}-{}", setup.seed), &[]).await;
            jobs::poll_keys(server.context.clone()).await;
            let tokens = server.tokens(&frigg, &app, &[]).await;
            let kid = tokens.jwt_header("access_token")["kid"].as_str().unwrap().to_owned();
            let before = list(&server).await;
            let arguments = match round % 2 {
                0 => vec!["key", "rotate", "--now"],
                _ => vec!["key", "revoke", kid.as_str(), "--yes"],
            };
            let mut command = setup.program(&arguments, &settings).spawn().unwrap();
            let delay = StdDuration::from_micros(chance.random_range(0..120_000));
            let _ = tokio::time::timeout(delay, command.wait()).await;
            command.kill().await.unwrap();
            setup.held.count("kills", 1);

            let after = list(&server).await;
            let count_of = |keys: &[KeyResource], state: &str| keys.iter().filter(|key| key.state == state).count();
            assert_eq!(count_of(&after, "current"), 1, "{after:?}");
            let access = tokens.text("access_token");
            let status = server.get_with_bearer("/api/oauth/userinfo", &access).await.status;
            let is_revoked = after.iter().any(|key| key.kid == kid && key.state == "revoked");
            if !is_revoked {
                assert_eq!(status, 200);
                assert!(count_of(&after, "revoked") == count_of(&before, "revoked"));
                continue;
            }
            assert_eq!(status, 401);
            let mut later = setup.clone();
            later.clock = Clock::fixed(Clock::machine().now() + Duration::minutes(2));
            let later = later.start().await;
            jobs::complete_key_revocations(later.context.clone()).await;
            later.refresh(&app, &tokens.text("refresh_token")).await.expect_error(400, "invalid_grant");
            later.get_as(&frigg, "/api/auth/oauth/applications").await.expect(401);
            setup.held.count("interrupted revocations", 1);
        }
    }
}
