//! Creation of this server's indexes on Storyden's tables.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use super::db::{Db, Tx};
use super::error::Result;
use super::indexes::{INDEXES, Index, Missing, find_missing};

/// Key of the PostgreSQL advisory lock of the session that creates indexes: "staidx" in ASCII.
const ADVISORY_LOCK: i64 = 126_943_687_697_528;

/// Maximum wait of `CREATE INDEX CONCURRENTLY` for older transactions (PostgreSQL). A timeout leaves an
/// invalid index, which the next attempt drops first.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5min'";

/// Result of [`create_missing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All indexes exist; holds the names of the newly created indexes.
    Complete(Vec<&'static str>),
    /// Another process is creating indexes now (PostgreSQL).
    InProgress,
}

/// Creates the missing indexes. On PostgreSQL, writes are not blocked; on SQLite each index is a
/// separate write transaction, so other writers run in between. A failed index is logged and skipped.
/// `stop` is checked before each index.
///
/// # Errors
/// If the database does not answer, or the first error of a failed index.
pub async fn create_missing(db: &Db, stop: impl Fn() -> bool) -> Result<Outcome> {
    let missing = find_missing(db).await?;
    if missing.is_empty() {
        return Ok(Outcome::Complete(Vec::new()));
    }
    match db {
        Db::Sqlite(_) => {
            let mut made = CreatedIndexes::default();
            for Missing { index, .. } in missing {
                if stop() {
                    break;
                }
                made.note(index, create_on_sqlite(db, index).await);
            }
            made.outcome()
        }
        Db::Postgres(db) => create_on_postgres(&db.pool, missing, stop).await,
    }
}

/// Creates all indexes in the transaction that created Storyden's tables, while the tables are empty.
pub(super) async fn create_all(tx: &mut Tx) -> Result<()> {
    for index in INDEXES {
        let columns = tx.pick(index.columns);
        let sql = format!("CREATE INDEX {} ON {} {columns}", index.name, index.table);
        tx.execute_script(&sql).await?;
    }
    Ok(())
}

/// Names of the created indexes, and the first error.
#[derive(Default)]
struct CreatedIndexes {
    names: Vec<&'static str>,
    error: Option<super::Error>,
}

impl CreatedIndexes {
    fn note(&mut self, index: &'static Index, made: Result<()>) {
        match made {
            Ok(()) => self.names.push(index.name),
            Err(error) => {
                let (index, table) = (index.name, index.table);
                tracing::warn!(%error, index, table, "index cannot be created");
                self.error.get_or_insert(error);
            }
        }
    }

    /// Runs `ANALYZE` on the tables with a new index, so that the planner uses the index (PostgreSQL).
    async fn analyze(&self, connection: &mut PgConnection) {
        let mut tables: Vec<&str> = INDEXES
            .iter()
            .filter(|index| self.names.contains(&index.name))
            .map(|index| index.table)
            .collect();
        tables.dedup();
        for table in tables {
            if let Err(error) = run(connection, &format!("ANALYZE {table}")).await {
                tracing::warn!(%error, table, "table statistics cannot be updated");
            }
        }
    }

    fn outcome(self) -> Result<Outcome> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(Outcome::Complete(self.names)),
        }
    }
}

async fn create_on_sqlite(db: &Db, index: &Index) -> Result<()> {
    let (name, table, columns) = (index.name, index.table, index.columns.sqlite);
    let create = format!("CREATE INDEX IF NOT EXISTS {name} ON {table} {columns}");
    db.write(create, |tx, create| Box::pin(tx.execute_script(create)))
        .await
}

/// Creates the indexes on a separate connection, because `CREATE INDEX CONCURRENTLY` runs outside any
/// transaction and for longer than `statement_timeout`.
async fn create_on_postgres(
    pool: &PgPool,
    missing: Vec<Missing>,
    stop: impl Fn() -> bool,
) -> Result<Outcome> {
    let mut connection = pool.acquire().await?.detach();
    run(&mut connection, "SET statement_timeout = 0").await?;
    run(&mut connection, LOCK_TIMEOUT).await?;
    let locked: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
        .bind(ADVISORY_LOCK)
        .fetch_one(&mut connection)
        .await?;
    if !locked {
        connection.close().await?;
        return Ok(Outcome::InProgress);
    }
    let mut made = CreatedIndexes::default();
    for Missing { index, invalid } in missing {
        if stop() {
            break;
        }
        made.note(
            index,
            create_concurrently(&mut connection, index, invalid).await,
        );
    }
    made.analyze(&mut connection).await;
    connection.close().await?;
    made.outcome()
}

async fn create_concurrently(
    connection: &mut PgConnection,
    index: &Index,
    invalid: bool,
) -> Result<()> {
    let (name, table, columns) = (index.name, index.table, index.columns.postgres);
    if invalid {
        run(
            connection,
            &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        )
        .await?;
    }
    run(
        connection,
        &format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {columns}"),
    )
    .await
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}
