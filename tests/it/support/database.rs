//! A database per test: a fresh file, or a copy of a migrated PostgreSQL template.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use storyden_auth::clock::Clock;
use storyden_auth::database_url::DatabaseUrl;
use storyden_auth::store::{Db, migrate};

/// Database engine of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Database of a single test.
#[derive(Clone, Debug)]
pub(crate) struct TestDatabase {
    pub(crate) url: String,
    /// The PostgreSQL database to drop afterwards.
    name: Option<String>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl TestDatabase {
    /// Creates a migrated database.
    pub(crate) async fn create(engine: Engine, folder: &Path) -> Self {
        match engine {
            Engine::Sqlite => Self::sqlite(folder).await,
            Engine::Postgres => Self::postgres().await,
        }
    }

    async fn sqlite(folder: &Path) -> Self {
        static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
        let file = folder.join("test.db");
        if let Some(bytes) = TEMPLATE.get() {
            std::fs::write(&file, bytes).unwrap();
            // like a file created by the server
            storyden_auth::files::make_private(&file).unwrap();
        } else {
            migrate_at(&format!("sqlite://{}", file.display())).await;
            // A concurrent test may have set the template first; both files are equal.
            let _ = TEMPLATE.set(std::fs::read(&file).unwrap());
        }
        Self {
            url: format!("sqlite://{}", file.display()),
            name: None,
        }
    }

    async fn postgres() -> Self {
        static TEMPLATE: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
        let server = server_url();
        let template = TEMPLATE
            .get_or_init(|| async {
                let name = format!("it_template_{}", std::process::id());
                administer(&format!("DROP DATABASE IF EXISTS {name}")).await;
                administer(&format!("CREATE DATABASE {name}")).await;
                migrate_at(&with_database(&server, &name)).await;
                name
            })
            .await;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("it_{}_{number}", std::process::id());
        administer(&format!("DROP DATABASE IF EXISTS {name}")).await;
        administer(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self {
            url: with_database(&server, &name),
            name: Some(name),
        }
    }

    /// Drops the database.
    pub(crate) async fn remove(self) {
        if let Some(name) = self.name {
            administer(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

async fn migrate_at(url: &str) {
    let db = Db::open(&DatabaseUrl::parse(url).unwrap()).await.unwrap();
    migrate::run(&db, Clock::machine().now()).await.unwrap();
    db.close().await;
}

/// Runs a statement on the server of the test databases.
async fn administer(sql: &str) {
    let mut connection = PgConnection::connect(&server_url()).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "how `make test` says where its PostgreSQL is"
)]
fn server_url() -> String {
    std::env::var("TEST_POSTGRES_URL").expect(
        "TEST_POSTGRES_URL is not set: run `make test`, which starts a PostgreSQL, or name one \
         whose role may create databases, or run `cargo test sqlite::` for SQLite alone",
    )
}

fn with_database(server: &str, name: &str) -> String {
    let mut url = url::Url::parse(server).unwrap();
    url.set_path(name);
    // On a busy machine a statement takes longer than the server's three seconds.
    let options = "options=-c%20statement_timeout%3D30000";
    let query = url.query().map(|query| format!("{query}&{options}"));
    url.set_query(Some(query.as_deref().unwrap_or(options)));
    url.into()
}

/// Path of the fixed signing key.
pub(crate) fn signing_key() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/signing-key.b64")
}
