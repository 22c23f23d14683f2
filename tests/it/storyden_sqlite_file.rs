//! An SQLite file owned by a Storyden: the journal mode stays, and idle connections hold no lock.

use crate::support::{InProgressFlows, Process, Server, Setup, Storyden, free_port, pair};

/// A setup beside a Storyden on the same SQLite file, with a fixed port for restarts of the program.
struct SharedFile {
    setup: Setup,
    port: u16,
}

impl SharedFile {
    async fn with(setup: Setup) -> (Self, Storyden) {
        let mut setup = setup;
        setup.use_machine_clock();
        let storyden = setup.add_storyden_tables().await;
        let port = free_port();
        (Self { setup, port }, storyden)
    }

    /// Starts the program, and a server of this process with requests sent to the program.
    async fn started(&self) -> (Server, Process) {
        let program = self.setup.spawn(self.port).await;
        let mut server = self.setup.start().await;
        server.address.clone_from(&program.address);
        (server, program)
    }
}

async fn a_storydens_file_keeps_its_journal(setup: Setup) {
    let (at, mut storyden) = SharedFile::with(setup).await;
    let (server, program) = at.started().await;
    InProgressFlows::on(&server, "frigg")
        .await
        .goes_on(&server)
        .await;
    for command in [&["migrate"][..], &["doctor"], &["account", "list"]] {
        at.setup.run(command, &[]).await;
    }
    let mode = storyden.texts("PRAGMA journal_mode").await;
    assert_eq!(mode, [Some("delete".to_owned())]);
    program.terminate().await;
    assert_eq!(program.wait().await.0, Some(0));
    for left in ["test.db-wal", "test.db-shm"] {
        assert!(!at.setup.folder.join(left).exists(), "{left}");
    }
}

async fn an_idle_server_holds_no_lock(setup: Setup) {
    let (at, mut storyden) = SharedFile::with(setup).await;
    let (server, program) = at.started().await;
    InProgressFlows::on(&server, "frigg")
        .await
        .goes_on(&server)
        .await;
    // An open read transaction would block the exclusive lock forever.
    storyden
        .run("BEGIN EXCLUSIVE; INSERT INTO posts (id) VALUES ('x'); COMMIT")
        .await;
    server.get("/readyz").await.expect(200);
    program.kill().await;
}

async fn a_start_does_not_wait_for_a_writer(setup: Setup) {
    let (at, mut storyden) = SharedFile::with(setup).await;
    let (server, program) = at.started().await;
    let (person, app) = pair(&server, "frigg").await;
    let tokens = server.tokens(&person, &app, &[]).await;
    program.terminate().await;
    assert_eq!(program.wait().await.0, Some(0));
    drop(server);

    // A Storyden with a long write transaction.
    storyden
        .run("BEGIN IMMEDIATE; INSERT INTO posts (id) VALUES ('x')")
        .await;
    let (server, program) = at.started().await;
    server.get("/readyz").await.expect(200);
    let access_token = tokens.text("access_token");
    let userinfo = server.get_with_bearer("/api/oauth/userinfo", &access_token);
    userinfo.await.expect(200);
    storyden.run("COMMIT").await;
    let refresh_token = tokens.text("refresh_token");
    server.refresh(&app, &refresh_token).await.expect(200);
    program.kill().await;
}

mod sqlite {
    use crate::support::Engine::Sqlite;
    use crate::support::run;

    /// The journal mode of a Storyden's file is never changed.
    #[test]
    fn a_storydens_file_keeps_its_journal() {
        run(Sqlite, |setup| {
            Box::pin(super::a_storydens_file_keeps_its_journal(setup))
        });
    }

    /// No lock is held between requests.
    #[test]
    fn an_idle_server_holds_no_lock() {
        run(Sqlite, |setup| {
            Box::pin(super::an_idle_server_holds_no_lock(setup))
        });
    }

    /// A start without migrations takes no write lock, so the server starts and reads during another
    /// process's write transaction.
    #[test]
    fn a_start_does_not_wait_for_a_writer() {
        run(Sqlite, |setup| {
            Box::pin(super::a_start_does_not_wait_for_a_writer(setup))
        });
    }
}
