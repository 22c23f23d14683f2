//! Clean-up: deleted and kept rows (storyden-contract.md#clean-up).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use storyden_auth::http::prometheus;
use storyden_auth::jobs;
use storyden_auth::store::cleanup::Progress;
use storyden_auth::store::{cleanup, leases};
use time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{NewClient, Server, Setup, Tokens, both};

/// Runs a clean-up pass without the lease, which the pass at start-up may still hold.
pub(crate) async fn clean_up(server: &Server) {
    cleanup::run(&server.context.db, server.clock.now(), || false).await;
}

/// Advances the clock and runs a clean-up pass.
async fn clean_up_after(server: &Server, time: Duration) {
    server.turn(time);
    clean_up(server).await;
}

/// Returns the number of rows that a step is due to delete.
async fn backlog(server: &Server, step: &str) -> i64 {
    let retention = server.context.retention();
    let counted = cleanup::backlog(&server.context.db, server.clock.now(), retention).await;
    let counted = counted.unwrap();
    counted
        .iter()
        .find(|known| known.step == step)
        .unwrap()
        .rows
}

/// Returns the stored progress of a step.
async fn progress(server: &Server, step: &str) -> Progress {
    let known = cleanup::progress(&server.context.db).await.unwrap();
    known.into_iter().find(|known| known.name == step).unwrap()
}

/// Waits for the end of the clean-up pass at start-up.
pub(crate) async fn wait_for_first_pass(server: &Server) {
    while cleanup::progress(&server.context.db)
        .await
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
}

/// Returns the clean-up findings of `doctor`, each with the status.
async fn findings(setup: &Setup) -> Vec<String> {
    let ended = setup.run(&["doctor", "--json"], &[]).await;
    let found: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let of_clean_up = found.iter().filter(|found| found["check"] == "clean-up");
    let text = |found: &Value| {
        let [status, finding] = ["status", "finding"].map(|name| found[name].as_str().unwrap());
        format!("{status}: {finding}")
    };
    of_clean_up.map(text).collect()
}

/// Counts the rows of a table.
macro_rules! rows {
    ($server:expr, $table:literal) => {
        $server
            .count(concat!("SELECT COUNT(*) AS n FROM ", $table), &[])
            .await
    };
}

both! {
    /// device rows are deleted an hour after expiry, in every state; live rows stay.
    async fn device_rows_are_deleted_an_hour_after_expiry(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let consumed = server.approved_device(&frigg, &app, "openid").await;
        server.poll(&app, &consumed).await.expect(200);
        server.approved_device(&frigg, &app, "openid").await;
        server.start_device(&app, "openid").await.expect(200);
        clean_up_after(&server, Duration::minutes(69)).await;
        let live = server.start_device(&app, "openid").await.expect(200);
        assert_eq!((rows!(server, "oauth_device_authorisations"), rows!(server, "auth_device_origins")), (4, 4));
        clean_up_after(&server, Duration::minutes(2)).await;
        assert_eq!((rows!(server, "oauth_device_authorisations"), rows!(server, "auth_device_origins")), (1, 1));
        server.poll(&app, &live.text("device_code")).await.expect_error(400, "authorization_pending");
    }

    /// P7: authorization requests are deleted at expiry, decided or not; live requests stay.
    async fn authorization_requests_are_deleted_at_expiry(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.pending(&frigg, &app, &[]).await;
        server.code(&frigg, &app, &[]).await;
        server.authorize(None, &app, &[]).await.expect(302); // waits for a sign-in
        assert_eq!((rows!(server, "oauth_authorisation_requests"), rows!(server, "auth_pending_requests")), (2, 1));
        server.turn(Duration::days(1));
        let live = server.pending(&frigg, &app, &[]).await;
        clean_up(&server).await;
        assert_eq!((rows!(server, "oauth_authorisation_requests"), rows!(server, "auth_pending_requests")), (1, 0));
        server.decide(&frigg, &live, "approve").await.expect(200);
    }

    /// A-14, P7: codes are kept for a day after expiry, so that a replay is detected, and then deleted.
    async fn codes_are_deleted_a_day_after_expiry(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        server.code(&frigg, &app, &[]).await;
        let token = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        clean_up_after(&server, Duration::hours(24)).await;
        assert_eq!(rows!(server, "oauth_authorisation_codes"), 2);
        clean_up_after(&server, Duration::minutes(11)).await;
        assert_eq!(rows!(server, "oauth_authorisation_codes"), 0);
        // The grant survives the deletion of the code.
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &token).await.expect(200);
    }

    /// a replay just before the deletion of the code still ends the grant.
    async fn replay_before_code_deletion_is_detected(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[]).await;
        let token = server.exchange(&app, &code).await.expect(200).text("refresh_token");
        clean_up_after(&server, Duration::hours(24)).await;
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &token).await.expect_error(400, "invalid_grant");
    }

    /// P7: refresh tokens are deleted a week after expiry; live and recently expired tokens stay.
    async fn refresh_tokens_are_deleted_a_week_after_expiry(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.tokens(&frigg, &app, &[]).await;
        server.turn(Duration::days(6));
        server.tokens(&frigg, &app, &[]).await;
        server.turn(Duration::days(31));
        let live = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        clean_up_after(&server, Duration::ZERO).await;
        assert_eq!(rows!(server, "oauth_refresh_tokens"), 3);
        clean_up_after(&server, Duration::minutes(11)).await; // the first token: 30 days and a week
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "auth_refresh_tokens")), (2, 2));
        assert_eq!(rows!(server, "auth_grants"), 2);
        server.refresh(&app, &live).await.expect(200);
    }

    /// a rotated token is kept while the chain has a live token, so that reuse is detected.
    async fn rotated_token_is_kept_while_the_chain_is_live(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let mut leaf = first.clone();
        for _ in 0..3 {
            server.turn(Duration::days(29));
            leaf = server.refresh(&app, &leaf).await.expect(200).text("refresh_token");
        }
        clean_up_after(&server, Duration::days(1)).await;
        assert_eq!(rows!(server, "oauth_refresh_tokens"), 4);
        server.refresh(&app, &first).await.expect_error(400, "invalid_grant");
        server.refresh(&app, &leaf).await.expect_error(400, "invalid_grant");
    }

    /// P7: an expired chain is deleted from the newest token to the oldest, then the grant.
    async fn expired_chain_is_deleted_with_its_grant(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let first = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
        let second = server.refresh(&app, &first).await.expect(200).text("refresh_token");
        server.refresh(&app, &second).await.expect(200);
        clean_up_after(&server, Duration::days(37)).await;
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "auth_grants")), (3, 1));
        clean_up_after(&server, Duration::hours(1)).await;
        clean_up_after(&server, Duration::hours(1)).await;
        clean_up_after(&server, Duration::hours(1)).await; // three tokens need at most three passes
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "auth_refresh_tokens")), (0, 0));
        assert_eq!(rows!(server, "auth_grants"), 0);
    }

    /// req_142, P7: unused registrations without an owner are deleted after a week, including
    /// authorization requests.
    async fn unused_registrations_are_deleted_after_a_week(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let register = |client_id| NewClient { client_id, ..NewClient::default() };
        let unused = server.client(register("sdoak_unused")).await;
        let used = server.client(register("sdoak_used")).await;
        let owned = NewClient { owner: Some(frigg.id.clone()), ..register("sdoak_owned") };
        server.client(owned).await;
        server.client(register("by-hand")).await;
        server.client(register("sdoakX")).await;
        server.tokens(&frigg, &used, &[]).await;
        server.turn(Duration::days(7) - Duration::minutes(5));
        server.client(register("sdoak_young")).await;
        server.pending(&frigg, &unused, &[]).await;
        server.start_device(&unused, "openid").await.expect(200);
        clean_up_after(&server, Duration::minutes(4)).await;
        assert_eq!(rows!(server, "oauth_clients"), 6);
        clean_up_after(&server, Duration::minutes(15)).await;
        assert_eq!(rows!(server, "oauth_clients"), 5);
        server.exchange(&unused, "x").await.expect_error(400, "invalid_client");
        assert_eq!(rows!(server, "oauth_authorisation_requests"), 0);
        assert_eq!(rows!(server, "oauth_device_authorisations"), 0);
        // A used registration stays, even after all codes and tokens are deleted.
        clean_up_after(&server, Duration::days(60)).await;
        clean_up_after(&server, Duration::days(1)).await;
        assert_eq!(rows!(server, "oauth_authorisation_codes") + rows!(server, "oauth_refresh_tokens"), 0);
        server.exchange(&used, "x").await.expect_error(400, "invalid_grant");
    }

    /// P7: sessions are deleted a week after expiry.
    async fn sessions_are_deleted_a_week_after_expiry(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        server.sign_in_again(&frigg).await;
        clean_up_after(&server, Duration::days(96)).await;
        assert_eq!((rows!(server, "sessions"), rows!(server, "auth_sessions")), (2, 1));
        clean_up_after(&server, Duration::days(2)).await;
        assert_eq!((rows!(server, "sessions"), rows!(server, "auth_sessions")), (0, 0));
        let again = server.sign_in_again(&frigg).await;
        server.sql("DELETE FROM sessions", &[]).await; // by a Storyden
        clean_up_after(&server, Duration::hours(24)).await;
        assert_eq!(rows!(server, "auth_sessions"), 0, "{}", again.handle);
    }

    /// a revoked grant is kept until no access token can refer to that grant.
    async fn revoked_grant_outlives_its_access_tokens(setup: Setup) {
        let server = setup.with("OAUTH_ACCESS_TOKEN_TTL", "24h").start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let code = server.code(&frigg, &app, &[("scope", "openid")]).await;
        let token = server.exchange(&app, &code).await.expect(200).text("access_token");
        server.turn(Duration::hours(1));
        server.exchange(&app, &code).await.expect_error(400, "invalid_grant");
        clean_up_after(&server, Duration::hours(22)).await;
        server.get_with_bearer("/api/oauth/userinfo", &token).await.expect(401);
        clean_up_after(&server, Duration::days(2)).await;
        assert_eq!(rows!(server, "auth_grants"), 0);
    }

    /// P6: a lease limits clean-up to a single replica at a time; after a crash the lease expires in
    /// ten minutes.
    async fn lease_limits_clean_up_to_one_replica(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        server.pending(&frigg, &app, &[]).await;
        server.turn(Duration::days(1));
        let now = server.clock.now();
        let until = now + Duration::minutes(10);
        while !leases::take(&server.context.db, "cleanup", "another", now, until).await.unwrap() {
            tokio::task::yield_now().await; // the pass at start-up holds the lease
        }
        server.turn(Duration::minutes(10) - Duration::microseconds(1));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!(rows!(server, "oauth_authorisation_requests"), 1);
        server.turn(Duration::microseconds(1));
        jobs::clean_up(server.context.clone()).await;
        assert_eq!(rows!(server, "oauth_authorisation_requests"), 0);
        assert_eq!(rows!(server, "auth_leases"), 0); // released
    }

    /// A-108, P7: a pass runs when a server starts, also while OAuth is off.
    async fn clean_up_runs_at_start_while_oauth_is_off(setup: Setup) {
        let on = setup.start().await;
        let frigg = on.member("frigg", &[]).await;
        let app = on.public_client().await;
        on.pending(&frigg, &app, &[]).await;
        on.turn(Duration::days(1));
        let off = setup.clone().with("OAUTH_ENABLED", "false").start().await;
        while rows!(off, "oauth_authorisation_requests") > 0 {
            tokio::task::yield_now().await; // until the pass of that start deleted the row
        }
    }

    /// P7: an expired chain of any length is deleted in a single pass, including the grant.
    async fn long_chain_is_deleted_in_one_pass(setup: Setup) {
        let server = setup.start().await;
        wait_for_first_pass(&server).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let over = Tokens { prefix: "over", chains: 1, length: 450, days: -8 };
        setup.insert_token_chains(&frigg, &app, over).await;
        let young = Tokens { prefix: "week", chains: 2, length: 3, days: -6 };
        setup.insert_token_chains(&frigg, &app, young).await;
        assert_eq!(backlog(&server, "refresh tokens").await, 450);
        clean_up(&server).await;
        assert_eq!(backlog(&server, "refresh tokens").await, 0);
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "auth_refresh_tokens")), (6, 6));
        assert_eq!(rows!(server, "auth_grants"), 2);
    }

    /// A-24, P7: expired tokens of live chains stay, and do not delay the deletion of other rows.
    async fn expired_tokens_of_live_chains_block_nothing(setup: Setup) {
        let server = setup.start().await;
        wait_for_first_pass(&server).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        // Ten minutes between rotations: most of the chain expired more than a week ago.
        let living = Tokens { prefix: "long", chains: 2, length: 1_500, days: 1 };
        setup.insert_token_chains(&frigg, &app, living).await;
        let over = Tokens { prefix: "over", chains: 300, length: 1, days: -8 };
        setup.insert_token_chains(&frigg, &app, over).await;
        clean_up(&server).await;
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "auth_grants")), (3_000, 2));
    }

    /// P7: a pass that ran out of time reports `finished: false`, and the next pass continues.
    async fn interrupted_pass_is_continued(setup: Setup) {
        let server = setup.start().await;
        wait_for_first_pass(&server).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let over = Tokens { prefix: "over", chains: 500, length: 1, days: -8 };
        setup.insert_token_chains(&frigg, &app, over).await;
        let (db, now, asked) = (&server.context.db, server.clock.now(), AtomicUsize::new(0));
        let pass = cleanup::run(db, now, || asked.fetch_add(1, Ordering::Relaxed) > 5).await;
        assert!(!pass.finished, "{pass:?}");
        let left = rows!(server, "oauth_refresh_tokens");
        assert!((1..500).contains(&left), "{left}");
        let pass = cleanup::run(db, now, || false).await;
        assert!(pass.finished, "{pass:?}");
        assert_eq!(rows!(server, "oauth_refresh_tokens"), 0);
        assert!(jobs::clean_up(server.context.clone()).await);
    }

    /// P7: pending authorization requests, which need no authentication, are deleted within a minute of
    /// expiry.
    async fn pending_requests_are_deleted_every_minute(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        server.authorize(None, &app, &[]).await.expect(302);
        server.turn(Duration::minutes(9));
        server.authorize(None, &app, &[]).await.expect(302);
        server.turn(Duration::minutes(2));
        assert_eq!(backlog(&server, "pending requests").await, 1);
        jobs::each_minute(server.context.clone()).await;
        assert_eq!(rows!(server, "auth_pending_requests"), 1);
    }

    /// P7: pushed requests, which anonymous requests can create, are deleted within a minute after expiry.
    async fn pushed_requests_are_deleted_every_minute(setup: Setup) {
        let server = setup.start().await;
        let app = server.public_client().await;
        server.push(&app, &[]).await.expect(201);
        server.turn(Duration::seconds(59));
        server.push(&app, &[]).await.expect(201);
        server.turn(Duration::seconds(2));
        assert_eq!(backlog(&server, "pushed requests").await, 1);
        jobs::each_minute(server.context.clone()).await;
        assert_eq!(rows!(server, "auth_pushed_requests"), 1);
    }

    /// P7: rows of this server are deleted once a day after Storyden deleted the parent rows.
    async fn orphaned_rows_are_deleted_daily(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        clean_up(&server).await;
        server.start_device(&app, "openid").await.expect(200);
        server.pending(&frigg, &app, &[]).await;
        server.tokens(&frigg, &app, &[]).await;
        for sql in [
            "DELETE FROM oauth_device_authorisations",
            "DELETE FROM oauth_authorisation_requests",
            "DELETE FROM oauth_authorisation_codes",
            "DELETE FROM oauth_refresh_tokens",
        ] {
            server.sql(sql, &[]).await;
        }
        clean_up_after(&server, Duration::hours(23)).await;
        assert_eq!((rows!(server, "auth_device_origins"), rows!(server, "auth_request_details")), (1, 2));
        clean_up_after(&server, Duration::hours(1)).await;
        assert_eq!((rows!(server, "auth_device_origins"), rows!(server, "auth_request_details")), (0, 0));
        assert_eq!((rows!(server, "auth_refresh_tokens"), rows!(server, "auth_grants")), (0, 1));
        clean_up_after(&server, Duration::hours(25)).await;
        assert_eq!(rows!(server, "auth_grants"), 0);
    }

    /// P7: a row that cannot be deleted blocks neither the rows before nor the other steps, and
    /// `doctor` reports the failure until the step completes.
    async fn failed_step_is_reported_and_others_run(setup: Setup) {
        let server = setup.start().await;
        wait_for_first_pass(&server).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let over = Tokens { prefix: "over", chains: 300, length: 1, days: -8 };
        setup.insert_token_chains(&frigg, &app, over).await;
        let mut database = setup.connect_as_other_process().await;
        let refuse = database.pick(
            "CREATE TRIGGER refuse BEFORE DELETE ON oauth_refresh_tokens \
             WHEN old.id = 'over0000000000000000' BEGIN SELECT RAISE(ABORT, 'not this row'); END",
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN RAISE 'not this row'; END $$; \
             CREATE TRIGGER refuse BEFORE DELETE ON oauth_refresh_tokens \
             FOR EACH ROW WHEN (old.id = 'over0000000000000000') EXECUTE FUNCTION refuse()",
        );
        database.run(refuse).await;
        server.turn(Duration::days(91)); // sessions are expired
        let pass = cleanup::run(&server.context.db, server.clock.now() + Duration::days(7), || false).await;
        assert_eq!(pass.failed, ["refresh tokens"], "{pass:?}");
        assert!(pass.finished, "it waits for the next regular pass");
        assert_eq!((rows!(server, "oauth_refresh_tokens"), rows!(server, "sessions")), (1, 0));
        let known = progress(&server, "refresh tokens").await;
        assert!(known.error.unwrap().contains("not this row"));
        let told = findings(&setup).await;
        assert!(told.iter().any(|line| line.starts_with("warn: refresh tokens: 1 due,")), "{told:?}");
        database.run(database.pick("DROP TRIGGER refuse", "DROP TRIGGER refuse ON oauth_refresh_tokens")).await;
        clean_up(&server).await;
        assert_eq!(progress(&server, "refresh tokens").await.error, None);
        assert_eq!(rows!(server, "oauth_refresh_tokens"), 0);
    }

    /// P7: `doctor` and the metrics show due rows and the last completion of each step.
    async fn backlog_is_reported(setup: Setup) {
        let server = setup.clone().with("METRICS_ADDR", "127.0.0.1:9100").start().await;
        wait_for_first_pass(&server).await;
        prometheus::install();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(prometheus::serve(server.context.clone(), listener, stop.clone()));
        let app = server.public_client().await;
        server.authorize(None, &app, &[]).await.expect(302);
        server.turn(Duration::days(1));
        assert_eq!(backlog(&server, "pending requests").await, 1);
        jobs::each_minute(server.context.clone()).await;
        let known = progress(&server, "pending requests").await;
        assert_eq!(known.completed_at, Some(server.clock.now()));
        assert_eq!((known.deleted, known.error), (1, None));
        let shown = server.http.get(format!("http://{address}/metrics")).send().await.unwrap();
        let shown = shown.text().await.unwrap();
        for line in [
            "# HELP storyden_auth_cleanup_backlog_rows ",
            "storyden_auth_cleanup_backlog_rows{step=\"pending requests\"} ",
            "storyden_auth_cleanup_backlog_rows{step=\"refresh tokens\"} ",
            "# HELP storyden_auth_cleanup_last_completed_timestamp_seconds ",
            "storyden_auth_cleanup_last_completed_timestamp_seconds{step=\"grants\"} ",
            "# HELP storyden_auth_cleanup_rows_deleted_total ",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        stop.cancel();
    }
}
