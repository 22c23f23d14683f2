//! `backup` and `restore` commands: during writes, after a crash, with damaged files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::support::{Engine, Setup, free_port};

/// A server with a data folder, a database and a signing key of this test alone.
struct Installation {
    setup: Setup,
    data: PathBuf,
}

impl Installation {
    fn new(setup: &Setup) -> Self {
        Self {
            setup: setup.clone(),
            data: setup.folder.join("data"),
        }
    }

    fn settings(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("DATABASE_URL", ""),
            ("DATA_DIR", self.data.to_str().unwrap()),
            ("OAUTH_SIGNING_KEY_BASE64", ""),
        ]
    }

    fn database(&self) -> PathBuf {
        self.data.join("storyden-auth.db")
    }

    /// Runs a command that succeeds, and returns the output.
    async fn run(&self, command: &[&str]) -> String {
        let ended = self.setup.run(command, &self.settings()).await;
        assert_eq!(ended.code, Some(0), "{command:?}: {}", ended.stderr);
        ended.stdout
    }

    /// Runs a command that fails, and returns the error output.
    async fn refused(&self, command: &[&str]) -> String {
        let ended = self.setup.run(command, &self.settings()).await;
        assert_eq!(ended.code, Some(1), "{command:?}: {}", ended.stdout);
        ended.stderr
    }

    async fn account(&self, handle: &str) {
        self.run(&["account", "create", "--handle", handle, "--json"])
            .await;
    }

    async fn handles(&self) -> Vec<String> {
        let listed: Value =
            serde_json::from_str(&self.run(&["account", "list", "--json"]).await).unwrap();
        let rows = listed
            .as_array()
            .or_else(|| listed["accounts"].as_array())
            .unwrap();
        let mut handles: Vec<String> = rows
            .iter()
            .map(|row| row["handle"].as_str().unwrap().to_owned())
            .collect();
        handles.sort();
        handles
    }

    async fn kid(&self) -> String {
        let shown: Value =
            serde_json::from_str(&self.run(&["key", "show", "--json"]).await).unwrap();
        shown["kid"].as_str().unwrap().to_owned()
    }

    /// Reads all files of the data folder, without the lock file and SQLite's shared-memory file.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let passing = ["-shm", ".lock"];
        let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(&self.data)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                !passing
                    .iter()
                    .any(|end| path.to_str().unwrap().ends_with(end))
            })
            .map(|path| (name(&path), std::fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    fn set_aside(&self) -> Vec<String> {
        let names = self.files().into_iter().map(|(name, _)| name);
        names
            .filter(|name| name.contains(".before-restore-"))
            .collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

async fn sql(path: &Path, statement: &str) {
    let url = format!("sqlite://{}", path.display());
    let mut file = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut file)
        .await
        .unwrap();
    file.close().await.unwrap();
}

async fn restore_after_a_crash_gives_the_backup(setup: Setup) {
    let at = Installation::new(&setup);
    let file = setup.folder.join("a.backup");
    let archive = file.to_str().unwrap();
    let program = setup.spawn_with(free_port(), &at.settings()).await;
    at.account("before").await;
    let told: Value = serde_json::from_str(&at.run(&["backup", archive, "--json"]).await).unwrap();
    assert_eq!(
        told["files"],
        serde_json::json!(["database.sqlite3", "oauth-keys.secret"])
    );
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let kid = at.kid().await;
    at.account("after").await;

    let refused = at.refused(&["restore", archive]).await;
    assert!(
        refused.contains(&format!("the process id {};", program.pid())),
        "{refused}"
    );
    at.run(&["restore", archive, "--check"]).await;
    program.kill().await;
    let log = std::fs::metadata(at.data.join("storyden-auth.db-wal")).unwrap();
    assert!(log.len() > 0, "the log of the crash lies about");
    std::fs::remove_file(at.data.join("oauth-keys.secret")).unwrap();

    let told: Value = serde_json::from_str(&at.run(&["restore", archive, "--json"]).await).unwrap();
    assert_eq!(told["kept"].as_array().unwrap().len(), 1, "{told}");
    let program = setup.spawn_with(free_port(), &at.settings()).await;
    assert_eq!(at.handles().await, ["before"]);
    assert_eq!(at.kid().await, kid);
    at.account("later").await;
    program.kill().await;

    // The replaced database was kept, with the transactions of the write-ahead log.
    let kept = at.data.join(&at.set_aside()[0]);
    for name in ["storyden-auth.db-wal", "storyden-auth.db-shm"] {
        let _ = std::fs::remove_file(at.data.join(name));
    }
    std::fs::rename(kept, at.database()).unwrap();
    assert_eq!(at.handles().await, ["after", "before"]);
    let lying_about: Vec<String> = at.files().into_iter().map(|(name, _)| name).collect();
    assert!(
        !lying_about
            .iter()
            .any(|name| name.contains("partial") || name.contains("restoring")),
        "{lying_about:?}"
    );
}

async fn backup_is_consistent_during_writes(setup: Setup) {
    let mut setup = setup;
    setup.use_machine_clock();
    let server = setup.start().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let writing = {
        let stop = stop.clone();
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.is_cancelled() {
                server.plain_member(&format!("m{count}")).await;
                count += 1;
            }
            count
        })
    };
    let rows = |path: PathBuf| async move {
        let url = format!("sqlite://{}", path.display());
        let mut file = SqliteConnection::connect(&url).await.unwrap();
        let count = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM accounts), (SELECT COUNT(*) FROM sessions)",
        );
        let rows: (i64, i64) = count.fetch_one(&mut file).await.unwrap();
        file.close().await.unwrap();
        rows
    };
    let mut before = 0;
    for number in 0..5 {
        let file = setup.folder.join(format!("{number}.backup"));
        while rows(setup.folder.join("test.db")).await.0 < before + 3 {
            tokio::task::yield_now().await;
        }
        before = rows(setup.folder.join("test.db")).await.0;
        let ended = setup.run(&["backup", file.to_str().unwrap()], &[]).await;
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let elsewhere = setup.folder.join(format!("{number}.db"));
        let url = format!("sqlite://{}", elsewhere.display());
        let restored = setup
            .run(
                &["restore", file.to_str().unwrap()],
                &[("DATABASE_URL", &url)],
            )
            .await;
        assert_eq!(restored.code, Some(0), "{}", restored.stderr);
        let (accounts, sessions) = rows(elsewhere).await;
        assert!(accounts >= before, "{accounts} of {before}");
        // A session is inserted after the account.
        assert!(
            accounts - sessions <= 1 && sessions <= accounts,
            "{accounts} {sessions}"
        );
    }
    stop.cancel();
    assert!(writing.await.unwrap() > before);
}

async fn damaged_archive_changes_nothing(setup: Setup) {
    let at = Installation::new(&setup);
    at.account("odin").await;
    at.run(&["session", "create", "odin"]).await;
    setup
        .spawn_with(free_port(), &at.settings())
        .await
        .kill()
        .await; // makes the key
    let file = setup.folder.join("a.backup");
    at.run(&["backup", file.to_str().unwrap()]).await;
    let good = std::fs::read(&file).unwrap();
    let before = at.files();
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".to_owned(), Vec::new()),
        ("no archive".to_owned(), b"not an archive ".repeat(1_000)),
        (
            "a database".to_owned(),
            std::fs::read(at.database()).unwrap(),
        ),
    ];
    for part in [1, 2, 3, 7] {
        cases.push((
            format!("cut at {part} of 8"),
            good[..(good.len() - 1_024) * part / 8].to_vec(),
        ));
    }
    for place in (1_600..good.len() - 1_024).step_by(good.len() / 23) {
        let mut bytes = good.clone();
        bytes[place] ^= 0x20;
        // Zero and blank bytes may be tar padding, which no checksum covers.
        let is_content = bytes[place] != 0x20 && bytes[place] != 0;
        if is_content {
            cases.push((format!("a bit at {place}"), bytes));
        }
    }
    for (what, bytes) in cases {
        std::fs::write(&file, bytes).unwrap();
        for command in [
            &["restore", file.to_str().unwrap(), "--check"][..],
            &["restore", file.to_str().unwrap()],
        ] {
            let ended = setup.run(command, &at.settings()).await;
            assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
            assert_eq!(at.files(), before, "{what}");
        }
    }

    // A tar file with a path outside the folder (path traversal).
    let mut archive = tar::Builder::new(Vec::new());
    let manifest = serde_json::json!({
        "format": 1, "version": "9", "created_at": "x", "migration": 1, "journal_mode": "wal",
        "files": [{ "name": "database.sqlite3", "size": 1, "sha256": "" }, { "name": "../escaped", "size": 1, "sha256": "" }],
    });
    let mut header = tar::Header::new_gnu();
    header.set_size(manifest.to_string().len() as u64);
    archive
        .append_data(
            &mut header,
            "manifest.json",
            manifest.to_string().as_bytes(),
        )
        .unwrap();
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let refused = at.refused(&["restore", file.to_str().unwrap()]).await;
    assert!(
        refused.contains("the archive has unexpected files"),
        "{refused}"
    );
    assert_eq!(at.files(), before);
}

async fn newer_database_is_restored_with_a_note(setup: Setup) {
    let at = Installation::new(&setup);
    at.account("odin").await;
    let file = setup.folder.join("a.backup");
    let later = "INSERT INTO auth_migrations (version, name, applied_at) VALUES (9999, 'later', '2030-01-01 00:00:00+00:00')";
    sql(&at.database(), later).await;
    at.run(&["backup", file.to_str().unwrap()]).await;
    sql(
        &at.database(),
        "DELETE FROM auth_migrations WHERE version = 9999",
    )
    .await;
    at.account("loki").await;
    for command in [
        &["restore", file.to_str().unwrap(), "--check"][..],
        &["restore", file.to_str().unwrap()],
    ] {
        let ended = setup.run(command, &at.settings()).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stderr.contains("up to 9999"), "{}", ended.stderr);
    }
    assert_eq!(at.handles().await, ["odin"]);
    let found = setup.run(&["doctor"], &at.settings()).await.stdout;
    assert!(
        found.contains("a newer version migrated the database up to 9999"),
        "{found}"
    );
}

async fn damaged_database_is_replaced_and_kept(setup: Setup) {
    let at = Installation::new(&setup);
    at.account("odin").await;
    let file = setup.folder.join("a.backup");
    let archive = file.to_str().unwrap();
    at.run(&["backup", archive]).await;
    std::fs::write(at.database(), b"\x07".repeat(20_000)).unwrap();
    std::fs::write(at.data.join("storyden-auth.db-wal"), b"\x08".repeat(5_000)).unwrap();
    at.run(&["restore", archive]).await;
    assert_eq!(at.handles().await, ["odin"]);
    let kept = at
        .files()
        .into_iter()
        .filter(|(name, _)| name.contains(".before-restore-"));
    let kept: Vec<(String, Vec<u8>)> = kept.collect();
    assert!(
        kept.iter()
            .any(|(_, bytes)| *bytes == b"\x07".repeat(20_000)),
        "{:?}",
        at.set_aside()
    );

    // Restoring works on a new machine too.
    std::fs::remove_dir_all(&at.data).unwrap();
    at.run(&["restore", archive]).await;
    assert_eq!(at.handles().await, ["odin"]);
    assert_eq!(
        std::fs::metadata(at.database())
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o600
    );
    assert_eq!(
        std::fs::metadata(&at.data).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

async fn existing_file_needs_force(setup: Setup) {
    let at = Installation::new(&setup);
    let missing = setup.folder.join("a.backup");
    let refused = at.refused(&["backup", missing.to_str().unwrap()]).await;
    assert!(
        refused.contains("there is no SQLite file yet") && !at.database().exists(),
        "{refused}"
    );
    at.account("odin").await;
    let file = setup.folder.join("mine");
    std::fs::write(&file, "mine").unwrap();
    let refused = at.refused(&["backup", file.to_str().unwrap()]).await;
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    at.run(&["backup", file.to_str().unwrap(), "--force"]).await;
    at.run(&["restore", file.to_str().unwrap(), "--check"])
        .await;

    // The database is not replaced while a process has the file and a log open.
    let url = format!("sqlite://{}", at.database().display());
    let mut shell = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("SELECT COUNT(*) FROM accounts")
        .execute(&mut shell)
        .await
        .unwrap();
    let refused = at.refused(&["restore", file.to_str().unwrap()]).await;
    assert!(refused.contains("is open in another process"), "{refused}");
    shell.close().await.unwrap();
    at.run(&["restore", file.to_str().unwrap()]).await;
}

async fn storyden_file_keeps_journal_and_file_mode(setup: Setup) {
    let mut storyden = setup.add_storyden_tables().await;
    let (file, database) = (setup.folder.join("a.backup"), setup.folder.join("test.db"));
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o640)).unwrap();
    let backup = setup.run(&["backup", file.to_str().unwrap()], &[]).await;
    assert_eq!(backup.code, Some(0), "{}", backup.stderr);
    storyden
        .run("INSERT INTO posts (id) VALUES ('later')")
        .await;
    drop(storyden);
    let restored = setup.run(&["restore", file.to_str().unwrap()], &[]).await;
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert!(
        restored.stderr.contains("A Storyden uses this database"),
        "{}",
        restored.stderr
    );
    assert_eq!(
        std::fs::metadata(&database).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let mut storyden = SqliteConnection::connect(&setup.database.url)
        .await
        .unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut storyden)
        .await
        .unwrap();
    let posts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM posts")
        .fetch_one(&mut storyden)
        .await
        .unwrap();
    assert_eq!((mode.as_str(), posts), ("delete", 0));
}

mod sqlite {
    use crate::support::Engine::Sqlite;
    use crate::support::run;

    /// T1: after SIGKILL and a restore, the server has the data and the key of the backup, and nothing
    /// of the left-over write-ahead log. A restore is rejected while a server runs.
    #[test]
    fn restore_after_a_crash_gives_the_backup() {
        run(Sqlite, |setup| {
            Box::pin(super::restore_after_a_crash_gives_the_backup(setup))
        });
    }

    /// A backup is a consistent snapshot despite concurrent writes.
    #[test]
    fn backup_is_consistent_during_writes() {
        run(Sqlite, |setup| {
            Box::pin(super::backup_is_consistent_during_writes(setup))
        });
    }

    #[test]
    fn damaged_archive_changes_nothing() {
        run(Sqlite, |setup| {
            Box::pin(super::damaged_archive_changes_nothing(setup))
        });
    }

    #[test]
    fn newer_database_is_restored_with_a_note() {
        run(Sqlite, |setup| {
            Box::pin(super::newer_database_is_restored_with_a_note(setup))
        });
    }

    #[test]
    fn damaged_database_is_replaced_and_kept() {
        run(Sqlite, |setup| {
            Box::pin(super::damaged_database_is_replaced_and_kept(setup))
        });
    }

    #[test]
    fn existing_file_needs_force() {
        run(Sqlite, |setup| {
            Box::pin(super::existing_file_needs_force(setup))
        });
    }

    #[test]
    fn storyden_file_keeps_journal_and_file_mode() {
        run(Sqlite, |setup| {
            Box::pin(super::storyden_file_keeps_journal_and_file_mode(setup))
        });
    }
}

async fn postgresql_tools_are_named(setup: Setup) {
    assert_eq!(setup.engine, Engine::Postgres);
    let file = setup.folder.join("a.backup");
    for (command, tool) in [("backup", "pg_dump"), ("restore", "pg_restore")] {
        let ended = setup.run(&[command, file.to_str().unwrap()], &[]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(tool), "{}", ended.stderr);
        assert!(!file.exists());
    }
}

mod postgres {
    use crate::support::Engine::Postgres;
    use crate::support::run;

    #[test]
    fn postgresql_tools_are_named() {
        run(Postgres, |setup| {
            Box::pin(super::postgresql_tools_are_named(setup))
        });
    }
}
