//! Migrations: Storyden's tables if absent, then the tables of this server, in order.
//!
//! A released migration is never edited, and the schema keeps working with the previous binary. In a
//! Storyden's database, migrations change only `auth_*` tables; [`index_creation`] adds indexes to Storyden's
//! tables in the background.

use super::db::{Db, Tx};
use super::error::Result;
use super::index_creation;
use super::sql::Sql;
use crate::clock::Timestamp;

/// A schema step.
struct Migration {
    version: i64,
    name: &'static str,
    script: Sql,
}

impl Migration {
    const fn new(
        version: i64,
        name: &'static str,
        sqlite: &'static str,
        postgres: &'static str,
    ) -> Self {
        Self {
            version,
            name,
            script: Sql::new(sqlite, postgres),
        }
    }
}

/// Storyden's own tables, as defined by Storyden.
const STORYDEN: Migration = Migration::new(
    0,
    "storyden",
    include_str!("../../migrations/sqlite/storyden.sql"),
    include_str!("../../migrations/postgres/storyden.sql"),
);

/// The migrations of this server, in order.
const MIGRATIONS: &[Migration] = &[
    Migration::new(
        1,
        "side_tables",
        include_str!("../../migrations/sqlite/0001_side_tables.sql"),
        include_str!("../../migrations/postgres/0001_side_tables.sql"),
    ),
    Migration::new(
        2,
        "growth",
        include_str!("../../migrations/sqlite/0002_growth.sql"),
        include_str!("../../migrations/postgres/0002_growth.sql"),
    ),
    Migration::new(
        3,
        "revocation_marks",
        include_str!("../../migrations/sqlite/0003_revocation_marks.sql"),
        include_str!("../../migrations/postgres/0003_revocation_marks.sql"),
    ),
    Migration::new(
        4,
        "shown_consent",
        include_str!("../../migrations/sqlite/0004_shown_consent.sql"),
        include_str!("../../migrations/postgres/0004_shown_consent.sql"),
    ),
    Migration::new(
        5,
        "limits",
        include_str!("../../migrations/sqlite/0005_limits.sql"),
        include_str!("../../migrations/postgres/0005_limits.sql"),
    ),
    Migration::new(
        6,
        "long_lists",
        include_str!("../../migrations/sqlite/0006_long_lists.sql"),
        include_str!("../../migrations/postgres/0006_long_lists.sql"),
    ),
    Migration::new(
        7,
        "remembered_consent",
        include_str!("../../migrations/sqlite/0007_remembered_consent.sql"),
        include_str!("../../migrations/postgres/0007_remembered_consent.sql"),
    ),
    Migration::new(
        8,
        "openid",
        include_str!("../../migrations/sqlite/0008_openid.sql"),
        include_str!("../../migrations/postgres/0008_openid.sql"),
    ),
    Migration::new(
        11,
        "remote_scopes",
        include_str!("../../migrations/sqlite/0011_remote_scopes.sql"),
        include_str!("../../migrations/postgres/0011_remote_scopes.sql"),
    ),
    Migration::new(
        12,
        "resources",
        include_str!("../../migrations/sqlite/0012_resources.sql"),
        include_str!("../../migrations/postgres/0012_resources.sql"),
    ),
    Migration::new(
        13,
        "keys",
        include_str!("../../migrations/sqlite/0013_keys.sql"),
        include_str!("../../migrations/postgres/0013_keys.sql"),
    ),
    Migration::new(
        14,
        "pushed_requests",
        include_str!("../../migrations/sqlite/0014_pushed_requests.sql"),
        include_str!("../../migrations/postgres/0014_pushed_requests.sql"),
    ),
    Migration::new(
        15,
        "dpop",
        include_str!("../../migrations/sqlite/0015_dpop.sql"),
        include_str!("../../migrations/postgres/0015_dpop.sql"),
    ),
    Migration::new(
        16,
        "client_algorithms",
        include_str!("../../migrations/sqlite/0016_client_algorithms.sql"),
        include_str!("../../migrations/postgres/0016_client_algorithms.sql"),
    ),
    Migration::new(
        17,
        "fapi",
        include_str!("../../migrations/sqlite/0017_fapi.sql"),
        include_str!("../../migrations/postgres/0017_fapi.sql"),
    ),
    Migration::new(
        18,
        "agents",
        include_str!("../../migrations/sqlite/0018_agents.sql"),
        include_str!("../../migrations/postgres/0018_agents.sql"),
    ),
    Migration::new(
        20,
        "blocked_clients",
        include_str!("../../migrations/sqlite/0020_blocked_clients.sql"),
        include_str!("../../migrations/postgres/0020_blocked_clients.sql"),
    ),
    Migration::new(
        22,
        "origins",
        include_str!("../../migrations/sqlite/0022_origins.sql"),
        include_str!("../../migrations/postgres/0022_origins.sql"),
    ),
    Migration::new(
        26,
        "consent_resources",
        include_str!("../../migrations/sqlite/0026_consent_resources.sql"),
        include_str!("../../migrations/postgres/0026_consent_resources.sql"),
    ),
    Migration::new(
        27,
        "statistics",
        include_str!("../../migrations/sqlite/0027_statistics.sql"),
        include_str!("../../migrations/postgres/0027_statistics.sql"),
    ),
    Migration::new(
        28,
        "client_errors",
        include_str!("../../migrations/sqlite/0028_client_errors.sql"),
        include_str!("../../migrations/postgres/0028_client_errors.sql"),
    ),
];

/// Returns the names of the pending migrations, in order.
pub async fn pending(db: &Db) -> Result<Vec<&'static str>> {
    let mut names = Vec::new();
    if !has_table(db, "accounts").await? {
        names.push(STORYDEN.name);
    }
    let applied = if has_table(db, "auth_migrations").await? {
        db.fetch_all::<i64>(APPLIED, &[]).await?
    } else {
        Vec::new()
    };
    let ran = |migration: &&Migration| !applied.contains(&migration.version);
    names.extend(
        MIGRATIONS
            .iter()
            .filter(ran)
            .map(|migration| migration.name),
    );
    Ok(names)
}

/// Returns the newest migration that this binary knows.
#[must_use]
pub fn newest_known() -> i64 {
    let versions = MIGRATIONS.iter().map(|migration| migration.version);
    versions.max().unwrap_or_default()
}

/// Returns the newest migration applied to the database, possibly by a later binary; 0 without any.
pub async fn newest_applied(db: &Db) -> Result<i64> {
    if !has_table(db, "auth_migrations").await? {
        return Ok(0);
    }
    let applied = db.fetch_all::<i64>(APPLIED, &[]).await?;
    Ok(applied.last().copied().unwrap_or(0))
}

/// Returns the DDL of Storyden's own tables.
pub(super) fn storyden_schema(db: &Db) -> &'static str {
    db.pick(STORYDEN.script)
}

/// Returns the names of all migrations, in order: the pending list of a database that does not exist
/// yet.
#[must_use]
pub fn all() -> Vec<&'static str> {
    std::iter::once(&STORYDEN)
        .chain(MIGRATIONS)
        .map(|migration| migration.name)
        .collect()
}

/// Applies the pending migrations in a single transaction, serialized across processes by a lock.
/// Returns the names of the applied migrations.
pub async fn run(db: &Db, now: Timestamp) -> Result<Vec<&'static str>> {
    if pending(db).await?.is_empty() {
        return Ok(Vec::new());
    }
    let alone = !has_table(db, "accounts").await?;
    if let (Db::Sqlite(sqlite), true) = (db, alone) {
        sqlite.use_wal().await?; // a new file of this server; a Storyden's file keeps the journal mode
    }
    db.write(now, |tx, now| Box::pin(apply_pending(tx, *now)))
        .await
}

async fn apply_pending(tx: &mut Tx, now: Timestamp) -> Result<Vec<&'static str>> {
    tx.lock_for_migration().await?;
    let mut names = Vec::new();
    if !tx.has_table("accounts").await? {
        tx.apply(&STORYDEN).await?;
        index_creation::create_all(tx).await?;
        names.push(STORYDEN.name);
    }
    let table = Sql::new(
        "CREATE TABLE IF NOT EXISTS auth_migrations \
         (version integer NOT NULL PRIMARY KEY, name text NOT NULL, applied_at datetime NOT NULL)",
        "CREATE TABLE IF NOT EXISTS auth_migrations \
         (version bigint NOT NULL PRIMARY KEY, name varchar NOT NULL, applied_at timestamptz NOT NULL)",
    );
    tx.execute(table, &[]).await?;
    let applied: Vec<i64> = tx.fetch_all(APPLIED, &[]).await?;
    for migration in MIGRATIONS {
        if applied.contains(&migration.version) {
            continue;
        }
        tx.apply(migration).await?;
        tx.execute(
            "INSERT INTO auth_migrations (version, name, applied_at) VALUES ($1, $2, $3)",
            &[migration.version.into(), migration.name.into(), now.into()],
        )
        .await?;
        names.push(migration.name);
    }
    Ok(names)
}

const APPLIED: &str = "SELECT version FROM auth_migrations ORDER BY version";

const HAS_TABLE: Sql = Sql::new(
    "SELECT COUNT(*) AS n FROM sqlite_master WHERE type = 'table' AND name = $1",
    "SELECT COUNT(*) AS n FROM information_schema.tables \
     WHERE table_schema = current_schema() AND table_name = $1",
);

/// Returns true if the database has the table.
pub async fn has_table(db: &Db, table: &str) -> Result<bool> {
    let count: i64 = db.fetch_one(HAS_TABLE, &[table.into()]).await?;
    Ok(count > 0)
}

impl Tx {
    async fn has_table(&mut self, table: &str) -> Result<bool> {
        let count: Option<i64> = self.fetch_optional(HAS_TABLE, &[table.into()]).await?;
        Ok(count.is_some_and(|count| count > 0))
    }

    async fn apply(&mut self, migration: &Migration) -> Result<()> {
        self.execute_script(self.pick(migration.script)).await
    }

    /// Takes the migration lock. On SQLite the transaction is the lock.
    async fn lock_for_migration(&mut self) -> Result<()> {
        if let Self::Postgres(_) = self {
            self.execute_script("SET LOCAL statement_timeout = 0")
                .await?;
            // Lock key: "stauth" in ASCII.
            self.execute_script("SELECT pg_advisory_xact_lock(126943972124776)")
                .await?;
        }
        Ok(())
    }
}
