//! T5: the disk below SQLite is full, and has room again.
//!
//! A limit on the size of files stands for a full disk: what grows fails, what is there can be read.

use crate::support::journal::{Fate, prepare, put_off};
use crate::support::{Engine, Setup, free_port};

async fn a_full_disk_is_waited_for(setup: Setup) {
    let program = setup.spawn(free_port()).await;
    let load = prepare(&setup, program.address.clone(), Fate::Robbed).await;
    let (server, app) = (&load.server, &load.app);
    let tokens = server.tokens(&load.person, app, &[]).await;
    let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
    let code = server.code(&load.person, app, &[]).await;

    program.limit_files("4096").await;
    // More than once: a failure must not be what the next one stumbles over.
    for _ in 0..3 {
        put_off(server.start_device(app, "openid").await);
        put_off(server.refresh(app, &refresh_token).await);
        put_off(server.exchange(app, &code).await);
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
    /// T5, P1, P3: on a full disk what writes is put off and burns nothing, what reads is answered, and
    /// all goes on once there is room, without a restart.
    #[test]
    fn a_full_disk_is_waited_for() {
        crate::support::run(super::Engine::Sqlite, |setup| {
            Box::pin(super::a_full_disk_is_waited_for(setup))
        });
    }
}
