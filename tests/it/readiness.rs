//! Readiness follows the database: its tables, and the check that it can be written.

use storyden_auth::jobs;
use storyden_auth::store::leases;
use time::Duration;

use crate::support::{both, free_port};

/// A line of the log that tells that the database cannot be used.
const LOST: &str = "the database cannot be used";

both! {
    /// An empty database, as during a restore, is of no use: `/readyz` answers 503 and names the reason.
    async fn a_database_without_tables_is_not_ready(setup: Setup) {
        let server = setup.start().await;
        server.sql("ALTER TABLE auth_migrations RENAME TO auth_elsewhere", &[]).await;
        let answer = server.get("/readyz").await.expect(503);
        assert_eq!(answer.body, "the tables of this server are missing\n");
        assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
        server.sql("ALTER TABLE auth_elsewhere RENAME TO auth_migrations", &[]).await;
        server.get("/readyz").await.expect(200);
    }

    /// A database that answers and cannot be written is not ready, from the failed check until a check succeeds.
    async fn a_database_that_cannot_be_written_is_not_ready(setup: Setup) {
        let server = setup.start().await;
        assert!(jobs::check_database(&server.context).await);
        assert!(server.context.readiness.is_ready());
        server.sql("ALTER TABLE auth_leases RENAME TO auth_elsewhere", &[]).await;
        assert!(!jobs::check_database(&server.context).await);
        assert!(!server.context.readiness.is_ready());
        assert_eq!(server.get("/readyz").await.expect(503).body, "the database cannot be used\n");
        server.get("/healthz").await.expect(200);
        server.sql("ALTER TABLE auth_elsewhere RENAME TO auth_leases", &[]).await;
        assert!(jobs::check_database(&server.context).await);
        server.get("/readyz").await.expect(200);
        assert_eq!(server.count("SELECT COUNT(*) AS n FROM auth_leases WHERE name = 'write_check'", &[]).await, 0);
    }

    /// The metric has the state of `/readyz`, so that an alert fires without traffic.
    async fn the_metric_tells_the_readiness(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut program = setup.spawn_with(free_port(), &[("METRICS_ADDR", &metrics)]).await;
        program.says("serving metrics").await;
        let server = setup.start().await;
        let ready = async || {
            let shown = server.http.get(format!("http://{metrics}/metrics"));
            let text = server.send(shown).await.expect(200).body;
            text.contains("storyden_auth_ready 1\n")
        };
        assert!(ready().await);
        server.sql("ALTER TABLE auth_leases RENAME TO auth_elsewhere", &[]).await;
        program.says(LOST).await;
        assert!(!ready().await);
        server.sql("ALTER TABLE auth_elsewhere RENAME TO auth_leases", &[]).await;
        program.says("the database can be used again").await;
        assert!(ready().await);
        program.kill().await;
    }

    /// A lease far beyond its duration, of a holder with a wrong clock, is taken over.
    async fn a_lease_of_the_future_is_taken_over(setup: Setup) {
        let server = setup.start().await;
        let now = server.clock.now();
        let take = async |holder: &'static str, life: Duration| {
            leases::take(&server.context.db, "test", holder, now, now + life).await.unwrap()
        };
        assert!(take("wrong", Duration::days(3)).await);
        assert!(take("next", Duration::minutes(10)).await);
        assert!(!take("third", Duration::minutes(10)).await);
    }
}
