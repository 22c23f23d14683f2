//! T1: repeated SIGKILL under load, checked against a journal of the responses that clients received.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::Connection as _;
use storyden_auth::clock::Timer;
use tokio_util::sync::CancellationToken;

use crate::support::journal::{
    LoadOutage, SETTINGS, WORKERS, journals, prepare, start_workers, unanswered, verify_all,
};
use crate::support::{Engine, Setup, both, free_port};

/// Runs SQLite's integrity check.
async fn integrity(setup: &Setup) {
    if setup.engine == Engine::Sqlite {
        let mut file = sqlx::SqliteConnection::connect(&setup.database.url)
            .await
            .unwrap();
        let check = sqlx::query_scalar::<_, String>("PRAGMA integrity_check");
        assert_eq!(check.fetch_all(&mut file).await.unwrap(), ["ok"]);
        file.close().await.unwrap();
    }
}

both! {
    /// T1, P1, P2, P3: after SIGKILL under load no acknowledged write is lost, no single-use item is
    /// accepted twice, and no refresh chain is broken.
    async fn acknowledged_writes_survive_sigkill(setup: Setup) {
        let kills = if setup.engine == Engine::Sqlite { 20 } else { 5 };
        let port = free_port();
        let load = prepare(&setup, format!("http://127.0.0.1:{port}"), LoadOutage::ServerKilled).await;
        let mut chance = StdRng::seed_from_u64(setup.seed);
        let mut journals = journals(&mut chance);
        for kill in 0..=kills {
            let seed = setup.seed * 1_000_000 + kill * 1_000;
            let started = Timer::start();
            let program = setup.spawn_with(port, SETTINGS).await;
            setup.held.longest("ms to start at most", started.seconds());
            journals = verify_all(&load, journals, seed).await;
            integrity(&setup).await;
            if kill == kills {
                program.kill().await;
                break;
            }
            let running = start_workers(&load, journals, seed, &CancellationToken::new());
            // A random delay, so that the kill hits different points of the flows.
            tokio::time::sleep(Duration::from_micros(chance.random_range(20_000..250_000))).await;
            program.kill().await;
            journals = running.join_all().await;
            setup.held.count("kills", 1);
            setup.held.count("unanswered", unanswered(&journals));
        }
        let (answered, lost) = (setup.held.figure("steps answered"), setup.held.figure("unanswered"));
        assert!(answered > 10 * WORKERS as u64 && lost > 0, "{}", setup.held);
    }
}
