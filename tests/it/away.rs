//! T4: database outage and recovery under load.
//!
//! Durations depend on the machine, so the test waits for events; only `make soak` asserts the promised
//! times.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{Connection as _, PgConnection};
use storyden_auth::clock::Stopwatch;
use tokio_util::sync::CancellationToken;

use crate::support::journal::{
    Fate, Load, PATIENCE, SETTINGS, journals, prepare, put_off, set_to_work, unanswered, verify_all,
};
use crate::support::{Answer, Engine, OwnPostgres, Setup, free_port};

/// Maximum time until the server is ready after the database (P4).
const READY: Duration = Duration::from_secs(2);

/// A kind of database outage.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// A shutdown of PostgreSQL, with a start after the checks.
    Stopped,
    /// SIGKILL of a backend process, upon which PostgreSQL ends all connections and recovers.
    Crashed,
    /// `pg_terminate_backend` of every connection of the server.
    HungUp,
}

/// A PostgreSQL cluster under load, to be stopped and started.
struct Victim {
    postgres: Arc<OwnPostgres>,
    load: Arc<Load>,
}

impl Victim {
    /// Runs a blocking action.
    async fn with<T: Send + 'static>(&self, act: fn(&OwnPostgres) -> T) -> T {
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
    async fn suffer(&self, blow: Blow) {
        match blow {
            Blow::Stopped => {
                self.with(OwnPostgres::stop).await;
                self.check_away().await;
                self.with(OwnPostgres::start).await;
            }
            Blow::Crashed => {
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
                self.check_up().await;
                drop(self.connect().await);
            }
            Blow::HungUp => {
                let end_theirs = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                                  WHERE application_name = 'storyden-auth'";
                let mut witness = self.connect().await;
                sqlx::query(end_theirs).execute(&mut witness).await.unwrap();
                self.check_up().await;
            }
        }
    }

    /// Asserts the endpoints that need no database.
    async fn check_up(&self) {
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
    async fn check_away(&self) {
        let Load {
            server,
            person,
            app,
            ..
        } = &*self.load;
        let ((), ready, exchanged, authorized, told) = tokio::join!(
            self.check_up(),
            server.get("/readyz"),
            server.exchange(app, "any"),
            server.authorize(Some(person), app, &[]),
            server.get_as(person, "/api/oauth/device/consent?user_code=BCDF-GHJK"),
        );
        put_off(exchanged);
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
        let since = Stopwatch::start();
        let waited = tokio::time::timeout(within, ready).await;
        waited.expect("ready in time after the database");
        let held = &self.load.server.held;
        held.longest("ms until ready at most", since.seconds());
    }
}

async fn the_database_goes_and_comes_back(setup: Setup) {
    let make = tokio::task::spawn_blocking(OwnPostgres::make);
    let postgres = Arc::new(make.await.unwrap());
    let mut setup = setup;
    setup.database.url = postgres.url();
    let program = setup.spawn_with(free_port(), SETTINGS).await;
    let load = prepare(&setup, program.address.clone(), Fate::Robbed).await;
    let victim = Victim {
        postgres,
        load: Arc::clone(&load),
    };
    let within = if setup.at_length { READY } else { PATIENCE };

    let mut chance = StdRng::seed_from_u64(setup.seed);
    let mut journals = journals(&mut chance);
    for (blow, number) in [Blow::Crashed, Blow::HungUp, Blow::Stopped]
        .into_iter()
        .zip(0..)
    {
        let seed = setup.seed * 1_000_000 + number * 1_000;
        let stop = CancellationToken::new();
        let running = set_to_work(&load, journals, seed, &stop);
        // A random delay, so that outages begin at different points of the flows.
        tokio::time::sleep(Duration::from_micros(chance.random_range(20_000..250_000))).await;
        let suffered = tokio::time::timeout(PATIENCE, victim.suffer(blow)).await;
        suffered.expect("the database comes back");
        victim.ready(within).await;
        stop.cancel();
        journals = running.join_all().await;
        setup.held.count("blows", 1);
        setup.held.count("unanswered", unanswered(&journals));
        journals = verify_all(&load, journals, seed).await;
    }

    // The server process survived all outages.
    program.terminate().await;
    let (code, said) = program.wait().await;
    assert_eq!(code, Some(0), "{said:?}");
    let broke = |line: &&String| line.contains("a request failed") || line.contains("panicked");
    assert_eq!(said.iter().find(broke), None);
    assert!(setup.held.figure("unanswered") > 0, "{}", setup.held);
}

mod postgres {
    /// T4, P1, P2, P3, P4: with the database stopped, crashed or disconnected under load, the server
    /// answers 503 with Retry-After and never 500, serves keys and metadata, and is soon ready again
    /// without loss of acknowledged writes.
    #[test]
    fn the_database_goes_and_comes_back() {
        crate::support::run(super::Engine::Postgres, |setup| {
            Box::pin(super::the_database_goes_and_comes_back(setup))
        });
    }
}
