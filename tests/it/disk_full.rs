//! T5: SQLite on a full disk, and after space is freed.
//!
//! A file size limit (`RLIMIT_FSIZE`) simulates the full disk: writes fail, reads work.

use crate::support::journal::{LoadOutage, assert_temporarily_unavailable, prepare};
use crate::support::{Engine, Setup, free_port};

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
        "/readyz",
    ] {
        server.get(path).await.expect(200);
    }
    let userinfo = server.get_with_bearer("/api/oauth/userinfo", &access_token);
    userinfo.await.expect(200);

    program.limit_files("unlimited").await;
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
}

mod sqlite {
    /// T5, P1, P3: on a full disk writes get 503 and consume no code or token, and reads work. After
    /// space is freed everything works without a restart.
    #[test]
    fn a_full_disk_consumes_nothing_and_recovers() {
        crate::support::run(super::Engine::Sqlite, |setup| {
            Box::pin(super::a_full_disk_consumes_nothing_and_recovers(setup))
        });
    }
}
