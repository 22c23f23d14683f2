//! Writes while the database is locked: a 503 that consumes nothing, so that the request can be
//! repeated (P3).

use serde_json::json;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use time::Duration;
use tokio::task::JoinSet;

use crate::support::{Answer, Member, Server, Setup, both};

/// A connection of another process that blocks writes.
enum LockHolder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl LockHolder {
    /// Locks the tables that every grant writes to.
    async fn take(url: &str) -> Self {
        if url.starts_with("sqlite:") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            let begin = sqlx::raw_sql("BEGIN IMMEDIATE");
            begin.execute(&mut connection).await.unwrap();
            return Self::Sqlite(connection);
        }
        let mut connection = PgConnection::connect(url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE oauth_refresh_tokens, oauth_device_authorisations, \
                    oauth_authorisation_requests IN SHARE ROW EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self::Postgres(connection)
    }

    /// Releases the lock.
    async fn release(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }
}

/// Fails unless the answer is a 503 with `Retry-After`.
fn assert_retry_later(answer: Answer) {
    let answer = answer.expect(503);
    assert_eq!(answer.text("error"), "temporarily_unavailable");
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
}

/// Uses a code and a refresh token while the database is locked, and again afterwards.
async fn assert_nothing_consumed(server: &Server, url: &str) {
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let code = server.code(&frigg, &app, &[]).await;
    let token = server.tokens(&frigg, &app, &[]).await.text("refresh_token");
    let holder = LockHolder::take(url).await;
    assert_retry_later(server.exchange(&app, &code).await);
    assert_retry_later(server.refresh(&app, &token).await);
    holder.release().await;
    server.exchange(&app, &code).await.expect(200);
    let next = server.refresh(&app, &token).await.expect(200);
    server
        .refresh(&app, &next.text("refresh_token"))
        .await
        .expect(200);
}

/// More than the connections to PostgreSQL.
const DECISIONS: usize = 40;

/// Sends concurrent decisions about one request while the database is locked. Returns the tasks when every
/// decision waits, and a single decision waits with a connection of the database.
async fn waiting_decisions(server: &Server, member: &Member, request_id: &str) -> JoinSet<Answer> {
    let mut running = JoinSet::new();
    for _ in 0..DECISIONS {
        let body = json!({ "request_id": request_id, "decision": "approve" });
        let request = server.request("POST", "/api/oauth/authorize/consent");
        let request = request.header("cookie", member.cookie()).json(&body);
        running.spawn(async move { Answer::of(request.send().await.unwrap()).await });
    }
    loop {
        let connections = server.context.places.load();
        let database = server.context.db.load();
        let in_use = (database.connections as usize).saturating_sub(database.idle);
        let waits = connections.open - connections.idle >= running.len();
        if waits && in_use == 1 && database.writers_waiting <= 1 {
            return running;
        }
        // After a few seconds the locked database refuses the decision that waits for it.
        let refused = running.try_join_next();
        assert!(
            !running.is_empty(),
            "decisions wait with connections: {refused:?}"
        );
        tokio::task::yield_now().await;
    }
}

/// Shortens PostgreSQL's statement timeout, which is long in tests.
fn with_short_statements(mut setup: Setup) -> Setup {
    let url = &mut setup.database.url;
    *url = url.replace("statement_timeout%3D30000", "statement_timeout%3D1000");
    setup
}

both! {
    /// of concurrent decisions about one request only the first waits with a connection of the
    /// database, so that other requests are answered. Exactly one decision counts.
    async fn decisions_about_one_request_hold_one_connection(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let request_id = server.pending(&frigg, &app, &[]).await;
        let holder = LockHolder::take(&setup.database.url).await;
        let decisions = waiting_decisions(&server, &frigg, &request_id).await;
        holder.release().await;
        let answers = decisions.join_all().await;
        let approved = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(approved.count(), 1, "{answers:?}");
    }

    /// while the database is locked the answer is 503, and code and refresh token stay
    /// valid for a retry.
    async fn a_locked_database_consumes_nothing(setup: Setup) {
        let setup = with_short_statements(setup);
        let server = setup.start().await;
        assert_nothing_consumed(&server, &setup.database.url).await;
    }

    /// req_084, A-41: a poll with a pending decision needs no write. An approved device gets
    /// `slow_down` (RFC 8628 §3.5), and tokens after the lock is released.
    async fn a_locked_database_ends_no_device_flow(setup: Setup) {
        let setup = with_short_statements(setup);
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let started = server.start_device(&app, "openid").await.expect(200).text("device_code");
        let approved = server.approved_device(&frigg, &app, "openid").await;
        let holder = LockHolder::take(&setup.database.url).await;
        server.poll(&app, &started).await.expect_error(400, "authorization_pending");
        server.poll(&app, &started).await.expect_error(400, "slow_down");
        server.poll(&app, &approved).await.expect_error(400, "slow_down");
        holder.release().await;
        server.turn(Duration::seconds(10));
        server.poll(&app, &approved).await.expect(200);
        server.poll(&app, &started).await.expect_error(400, "authorization_pending");
    }
}
