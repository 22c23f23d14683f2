//! Reuse detection on chains of any length, issued by this server or by a Storyden (RFC 9700 §4.14.2).

use storyden_auth::clock::Timer;
use storyden_auth::secret::Secret;

use crate::support::race::{count, send_concurrently};
use crate::support::{Client, Member, NewClient, Server, Setup, both};

/// Length of a chain. In `make soak`, about a year of refreshes every two minutes.
fn length(is_soak: bool) -> u32 {
    if is_soak { 300_000 } else { 5_000 }
}

/// Maximum response time in seconds of a replay, for a chain of this server.
const AT_ONCE: f64 = 0.5;
/// Maximum response time in seconds for a chain of a Storyden, which is read to its end.
const CHAIN_READ: f64 = 10.0;

const LIVE: &str = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE revoked_at IS NULL";
const LIVE_GRANTS: &str = "SELECT COUNT(*) AS n FROM auth_grants WHERE revoked_at IS NULL";

/// Inserts a chain between the first and the second token of a grant: the first token names the chain's
/// start as the successor, and the chain's end names the second token. Without the timeouts of the server.
async fn lengthen(setup: &Setup, tokens: u32, members: bool) {
    let mut database = setup.connect_as_other_process().await;
    // The foreign keys hold by construction.
    let begin = database.pick(
        "PRAGMA foreign_keys = OFF; BEGIN IMMEDIATE",
        "SET session_replication_role = replica; BEGIN",
    );
    database.run(begin).await;
    let numbers = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tokens})"
    );
    database
        .run(&format!(
            "{numbers} INSERT INTO oauth_refresh_tokens (id, created_at, token_hash, scope, \
             expires_at, revoked_at, last_used_at, account_id, client_id, replaced_by_token_id) \
             SELECT 'chain-' || i, t.created_at, 'hash-' || i, t.scope, t.expires_at, \
             t.created_at, t.created_at, t.account_id, t.client_id, \
             CASE WHEN i < {tokens} THEN 'chain-' || (i + 1) ELSE t.replaced_by_token_id END \
             FROM oauth_refresh_tokens t, n WHERE t.replaced_by_token_id IS NOT NULL"
        ))
        .await;
    if members {
        database
            .run(
                "INSERT INTO auth_refresh_tokens (token_id, grant_id) \
                 SELECT t.id, g.id FROM oauth_refresh_tokens t, auth_grants g WHERE t.id LIKE 'chain-%'",
            )
            .await;
    }
    database
        .run(&format!(
            "UPDATE oauth_refresh_tokens SET replaced_by_token_id = 'chain-1' \
             WHERE id NOT LIKE 'chain-%' AND replaced_by_token_id IS NOT NULL; \
             UPDATE auth_grants SET rotated_token_id = 'chain-{tokens}' \
             WHERE rotated_token_id IS NOT NULL; COMMIT"
        ))
        .await;
    let count = database.pick("SELECT 1", "ANALYZE oauth_refresh_tokens"); // SQLite does not analyze by itself
    database.run(count).await;
}

/// Creates a chain of this length. Returns the first token, which was used, and the last token, which
/// was not.
async fn chain(
    (setup, server): (&Setup, &Server),
    (member, app): (&Member, &Client),
    tokens: u32,
    members: bool,
) -> (String, String) {
    let first = server.tokens(member, app, &[]).await.text("refresh_token");
    let second = server.refresh(app, &first).await.expect(200);
    server.turn(time::Duration::minutes(1));
    lengthen(setup, tokens, members).await;
    (first, second.text("refresh_token"))
}

/// Deletes all refresh tokens, without the timeouts of the server.
async fn delete_tokens(setup: &Setup) {
    let mut database = setup.connect_as_other_process().await;
    let delete = database.pick(
        "PRAGMA foreign_keys = OFF; DELETE FROM oauth_refresh_tokens",
        "TRUNCATE oauth_refresh_tokens",
    );
    database.run(delete).await;
}

both! {
    /// issue 13: the first replay ends a family of any length.
    async fn a_replay_ends_a_long_family(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let length = length(setup.is_soak);
        let (first, last) = chain((&setup, &server), (&frigg, &app), length, true).await;
        let since = Timer::start();
        server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        let seconds = since.seconds();
        server.held.count("tokens of chains", length as usize);
        server.held.longest("ms to answer", seconds);
        assert!(!setup.is_soak || seconds <= AT_ONCE, "the answer took {seconds} s");
        assert_eq!((server.count(LIVE, &[]).await, server.count(LIVE_GRANTS, &[]).await), (0, 0));
        server.refresh(&app, &last).await.expect_error(400, "invalid_grant");
        let audited = "SELECT COUNT(*) AS n FROM auth_audit WHERE event = 'refresh_token_reused'";
        assert_eq!(server.count(audited, &[]).await, 1);
        // Only the grant and the last token were updated; a further replay finds nothing live and is
        // not audited.
        server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        assert_eq!(server.count(audited, &[]).await, 1);
    }

    /// issue 13: the same for a family that a Storyden issued, without a grant row, also
    /// after the last token was used here.
    async fn a_replay_ends_a_long_family_of_a_storyden(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let length = length(setup.is_soak);
        for used_here in [false, true] {
            let app = if used_here {
                server.client(NewClient { client_id: "other", ..NewClient::default() }).await
            } else {
                app.clone()
            };
            let (first, mut last) = chain((&setup, &server), (&frigg, &app), length, false).await;
            server.sql("DELETE FROM auth_refresh_tokens", &[]).await;
            server.sql("DELETE FROM auth_grants", &[]).await;
            if used_here {
                last = server.refresh(&app, &last).await.expect(200).text("refresh_token");
            }
            let since = Timer::start();
            server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
            let seconds = since.seconds();
            server.held.count("tokens of chains", length as usize);
            server.held.longest("ms to answer", seconds);
            assert!(!setup.is_soak || seconds <= CHAIN_READ, "the answer took {seconds} s");
            assert_eq!((server.count(LIVE, &[]).await, server.count(LIVE_GRANTS, &[]).await), (0, 0));
            server.refresh(&app, &last).await.expect_error(400, "invalid_grant");
            delete_tokens(&setup).await;
        }
    }

    /// A-27, issue 13: a chain of this server that a Storyden continued ends as a whole: by reuse, by a
    /// replay of the code, and by revocation (RFC 7009) of any of the tokens.
    async fn tokens_added_by_a_storyden_end_with_the_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for way in ["reuse", "code", "refresh token", "access token"] {
            let code = server.code(&frigg, &app, &[]).await;
            let given = server.exchange(&app, &code).await.expect(200);
            let token = given.text("refresh_token");
            let next = server.refresh(&app, &token).await.expect(200).text("refresh_token");
            server.turn(time::Duration::minutes(1));
            let by_storyden = Secret::new(format!("by a Storyden, {way}"));
            server.sql(
                "INSERT INTO oauth_refresh_tokens (id, created_at, token_hash, scope, expires_at, account_id, \
                 client_id) SELECT 'storyden-' || $1, t.created_at, $2, t.scope, t.expires_at, t.account_id, \
                 t.client_id FROM oauth_refresh_tokens t WHERE t.token_hash = $3",
                &[way, by_storyden.hash().as_str(), Secret::new(next.as_str()).hash().as_str()],
            ).await;
            server.sql(
                "UPDATE oauth_refresh_tokens SET revoked_at = created_at, replaced_by_token_id = 'storyden-' || $1 \
                 WHERE token_hash = $2",
                &[way, Secret::new(next.as_str()).hash().as_str()],
            ).await;
            assert_eq!(server.count(LIVE, &[]).await, 1);
            match way {
                "reuse" => drop(server.refresh(&app, &token).await.expect_error(400, "invalid_grant")),
                "code" => drop(server.exchange(&app, &code).await.expect_error(400, "invalid_grant")),
                "refresh token" => {
                    let form = [("token", &*token), ("client_id", "app")];
                    server.post_form("/api/oauth/revoke", &form).await.expect(200);
                }
                _ => {
                    let form = [("token", &*given.text("access_token")), ("client_id", "app")];
                    server.post_form("/api/oauth/revoke", &form).await.expect(200);
                }
            }
            assert_eq!((server.count(LIVE, &[]).await, server.count(LIVE_GRANTS, &[]).await), (0, 0), "{way}");
            server.refresh(&app, by_storyden.reveal()).await.expect_error(400, "invalid_grant");
        }
    }

    /// A-27, issue 13: a replay in a long chain concurrent with rotations of the last token leaves no
    /// live token, with and without grant rows.
    async fn rotations_in_flight_do_not_survive_their_long_family(setup: Setup) {
        let (server, replica) = (setup.start().await, setup.start().await);
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        for members in [true, false] {
            let (first, last) = chain((&setup, &server), (&frigg, &app), 3_000, members).await;
            if !members {
                server.sql("DELETE FROM auth_refresh_tokens", &[]).await;
                server.sql("DELETE FROM auth_grants", &[]).await;
            }
            let (old, new) = (app.refresh_form(&first), app.refresh_form(&last));
            let requests = (0..8).map(|at| {
                let on = [&server, &replica][at % 2];
                on.token_request(if at < 4 { &new } else { &old })
            });
            let answers = send_concurrently(requests.collect()).await;
            count(&answers, 200);
            assert_eq!((server.count(LIVE, &[]).await, server.count(LIVE_GRANTS, &[]).await), (0, 0));
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                let leaf = answer.text("refresh_token");
                server.refresh(&app, &leaf).await.expect_error(400, "invalid_grant");
            }
            server.sql("DELETE FROM oauth_refresh_tokens", &[]).await;
            server.sql("DELETE FROM auth_grants", &[]).await;
        }
    }
}
