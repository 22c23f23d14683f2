//! T5: SQLite on a full disk, and after space is freed.
//!
//! A file size limit (`RLIMIT_FSIZE`) simulates the full disk: writes fail, reads work.

use crate::support::journal::{LoadOutage, PATIENCE, assert_temporarily_unavailable, prepare};
use crate::support::{Engine, Server, Setup, free_port};

/// Waits until `/readyz` has a status.
async fn ready_with(server: &Server, status: u16) {
    let reached = async { while server.get("/readyz").await.status != status {} };
    let waited = tokio::time::timeout(PATIENCE, reached).await;
    waited.expect("readiness follows the database");
}

/// `doctor` with a limit of the size of files: the folder has no space, and nothing can be written.
async fn doctor_reports_a_full_disk(setup: Setup) {
    let program = setup.spawn(free_port()).await; // with -wal and -shm, as on a disk that became full
    let inner = setup.program(&["doctor", "--json"], &[]);
    let inner = inner.as_std();
    let mut command = tokio::process::Command::new("prlimit");
    command
        .arg("--fsize=4096")
        .arg(inner.get_program())
        .args(inner.get_args())
        .env_clear()
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(&setup.folder);
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for finding in [
        "has less than 1 MiB of free space",
        "nothing can be written: ",
    ] {
        assert!(said.contains(finding), "{finding}: {said}");
    }
    program.kill().await;
}

async fn a_full_disk_consumes_nothing_and_recovers(setup: Setup) {
    let program = setup.spawn(free_port()).await;
    let load = prepare(&setup, program.address.clone(), LoadOutage::DatabaseLost).await;
    let (server, app) = (&load.server, &load.app);
    let tokens = server.tokens(&load.person, app, &[]).await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let code = server.code(&load.person, app, &[]).await;

    program.limit_files("4096").await;
    // Repeat: a failed write must not leave state that breaks the next attempt.
    for _ in 0..3 {
        assert_temporarily_unavailable(server.start_device(app, "openid").await);
        assert_temporarily_unavailable(server.refresh(app, &refresh_token).await);
        assert_temporarily_unavailable(server.exchange(app, &code).await);
    }
    for path in [
        "/api/oauth/jwks",
        "/.well-known/openid-configuration",
        "/healthz",
    ] {
        server.get(path).await.expect(200);
    }
    ready_with(server, 503).await;
    let userinfo = server.get_with_bearer("/api/oauth/userinfo", &access_token);
    userinfo.await.expect(200);

    program.limit_files("unlimited").await;
    ready_with(server, 200).await;
    server.start_device(app, "openid").await.expect(200);
    let next = server.refresh(app, &refresh_token).await.expect(200);
    server.exchange(app, &code).await.expect(200);
    server
        .refresh(app, &next.text("refresh_token"))
        .await
        .expect(200);
    program.terminate().await;
    let (exit, said) = program.wait().await;
    assert_eq!(exit, Some(0), "{said:?}");
    let lost = said
        .iter()
        .filter(|line| line.contains("the database cannot be used"));
    let lost: Vec<_> = lost.collect();
    assert_eq!(lost.len(), 1, "a line per change of the state: {said:?}");
    assert!(
        lost[0].contains("full") || lost[0].contains("I/O"),
        "{lost:?}"
    );
}

mod sqlite {
    /// `doctor` writes and commits, so that a full disk is found.
    #[test]
    fn doctor_reports_a_full_disk() {
        crate::support::run(super::Engine::Sqlite, |setup| {
            Box::pin(super::doctor_reports_a_full_disk(setup))
        });
    }

    /// T5, P1, P3: on a full disk writes get 503 and consume no code or token, and reads work. After
    /// space is freed everything works without a restart.
    #[test]
    fn a_full_disk_consumes_nothing_and_recovers() {
        crate::support::run(super::Engine::Sqlite, |setup| {
            Box::pin(super::a_full_disk_consumes_nothing_and_recovers(setup))
        });
    }
}
