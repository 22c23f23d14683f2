//! T4: database outage and recovery under load.
//!
//! Durations depend on the machine, so the test waits for events; only `make soak` asserts the promised
//! times.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{Connection as _, PgConnection};
use storyden_auth::clock::Timer;
use tokio_util::sync::CancellationToken;

use crate::support::journal::{
    Load, LoadOutage, PATIENCE, SETTINGS, assert_temporarily_unavailable, journals, prepare,
    start_workers, unanswered, verify_all,
};
use crate::support::{Answer, Engine, PostgresCluster, Setup, free_port};

/// Maximum time until the server is ready after the database (P4).
const READY_WITHIN: Duration = Duration::from_secs(2);

/// A kind of database outage.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// A shutdown of PostgreSQL, with a start after the checks.
    Stopped,
    /// SIGKILL of a backend process, upon which PostgreSQL ends all connections and recovers.
    Crashed,
    /// `pg_terminate_backend` of every connection of the server.
    Disconnected,
}

/// A PostgreSQL cluster under load, to be stopped and started.
struct TestPostgres {
    postgres: Arc<PostgresCluster>,
    load: Arc<Load>,
}

impl TestPostgres {
    /// Runs a blocking action.
    async fn with<T: Send + 'static>(&self, act: fn(&PostgresCluster) -> T) -> T {
        let postgres = Arc::clone(&self.postgres);
        let task = tokio::task::spawn_blocking(move || act(&postgres));
        task.await.unwrap()
    }

    async fn connect(&self) -> PgConnection {
        loop {
            if let Ok(connection) = PgConnection::connect(&self.postgres.url()).await {
                return connection;
            }
        }
    }

    /// Causes an outage, and returns when the database answers again.
    async fn cause(&self, outage: Outage) {
        match outage {
            Outage::Stopped => {
                self.with(PostgresCluster::stop).await;
                self.assert_unavailable().await;
                self.with(PostgresCluster::start).await;
            }
            Outage::Crashed => {
                let theirs = "SELECT pid FROM pg_stat_activity WHERE application_name = 'storyden-auth' LIMIT 1";
                let mut witness = self.connect().await;
                let pid: i32 = sqlx::query_scalar(theirs)
                    .fetch_one(&mut witness)
                    .await
                    .unwrap();
                let postgres = Arc::clone(&self.postgres);
                let killed = tokio::task::spawn_blocking(move || postgres.kill(pid));
                // The crash recovery ends this connection too, so that later connections are made after
                // the recovery.
                let end = sqlx::query("SELECT pg_sleep(600)").execute(&mut witness);
                end.await.unwrap_err();
                killed.await.unwrap();
                self.assert_served_without_database().await;
                drop(self.connect().await);
            }
            Outage::Disconnected => {
                let end_theirs = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                                  WHERE application_name = 'storyden-auth'";
                let mut witness = self.connect().await;
                sqlx::query(end_theirs).execute(&mut witness).await.unwrap();
                self.assert_served_without_database().await;
            }
        }
    }

    /// Asserts the endpoints that need no database.
    async fn assert_served_without_database(&self) {
        for path in [
            "/api/oauth/jwks",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/healthz",
        ] {
            self.load.server.get(path).await.expect(200);
        }
    }

    /// Asserts the responses during an outage.
    async fn assert_unavailable(&self) {
        let Load {
            server,
            person,
            app,
            ..
        } = &*self.load;
        let ((), ready, exchanged, authorized, told) = tokio::join!(
            self.assert_served_without_database(),
            server.get("/readyz"),
            server.exchange(app, "any"),
            server.authorize(Some(person), app, &[]),
            server.get_as(person, "/api/oauth/device/consent?user_code=BCDF-GHJK"),
        );
        assert_temporarily_unavailable(exchanged);
        for answer in [ready, authorized, told] {
            let answer: Answer = answer.expect(503);
            assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
        }
    }

    /// Waits until `/readyz` answers 200.
    async fn ready(&self, within: Duration) {
        let ready = async {
            loop {
                let answer = self.load.server.get("/readyz").await;
                if answer.status == 200 {
                    return;
                }
                answer.expect(503);
            }
        };
        let since = Timer::start();
        let waited = tokio::time::timeout(within, ready).await;
        waited.expect("ready in time after the database");
        let held = &self.load.server.held;
        held.longest("ms until ready at most", since.seconds());
    }
}

async fn server_survives_database_outages(setup: Setup) {
    let make = tokio::task::spawn_blocking(PostgresCluster::make);
    let postgres = Arc::new(make.await.unwrap());
    let mut setup = setup;
    setup.database.url = postgres.url();
    let program = setup.spawn_with(free_port(), SETTINGS).await;
    let load = prepare(&setup, program.address.clone(), LoadOutage::DatabaseLost).await;
    let test_postgres = TestPostgres {
        postgres,
        load: Arc::clone(&load),
    };
    let within = if setup.is_soak {
        READY_WITHIN
    } else {
        PATIENCE
    };

    let mut chance = StdRng::seed_from_u64(setup.seed);
    let mut journals = journals(&mut chance);
    for (outage, number) in [Outage::Crashed, Outage::Disconnected, Outage::Stopped]
        .into_iter()
        .zip(0..)
    {
        let seed = setup.seed * 1_000_000 + number * 1_000;
        let stop = CancellationToken::new();
        let running = start_workers(&load, journals, seed, &stop);
        // A random delay, so that outages begin at different points of the flows.
        tokio::time::sleep(Duration::from_micros(chance.random_range(20_000..250_000))).await;
        let suffered = tokio::time::timeout(PATIENCE, test_postgres.cause(outage)).await;
        suffered.expect("the database comes back");
        test_postgres.ready(within).await;
        stop.cancel();
        journals = running.join_all().await;
        setup.held.count("outages", 1);
        setup.held.count("unanswered", unanswered(&journals));
        journals = verify_all(&load, journals, seed).await;
    }

    // The server process survived all outages.
    program.terminate().await;
    let (code, said) = program.wait().await;
    assert_eq!(code, Some(0), "{said:?}");
    let broke = |line: &&String| {
        line.contains("request failed with an internal error") || line.contains("panicked")
    };
    assert_eq!(said.iter().find(broke), None);
    assert!(setup.held.figure("unanswered") > 0, "{}", setup.held);
}

mod postgres {
    /// T4, P1, P2, P3, P4: with the database stopped, crashed or disconnected under load, the server
    /// answers 503 with Retry-After and never 500, serves keys and metadata, and is soon ready again
    /// without loss of acknowledged writes.
    #[test]
    fn server_survives_database_outages() {
        crate::support::run(super::Engine::Postgres, |setup| {
            Box::pin(super::server_survives_database_outages(setup))
        });
    }
}
