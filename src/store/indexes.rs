//! This server's indexes on Storyden's tables: the list, and the creation of missing indexes.
//!
//! Storyden's start-up migration drops unknown indexes on Storyden's tables. Only speed depends on
//! these indexes, never correctness. In a database without Storyden the first migration creates the
//! indexes; in a database shared with Storyden a background job recreates the missing ones.

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use super::db::{Db, Tx};
use super::error::Result;
use super::row::row;
use super::value::Flag;

/// Key of the PostgreSQL advisory lock of the session that creates indexes: "staidx" in ASCII.
const ADVISORY_LOCK: i64 = 126_943_687_697_528;

/// Maximum wait of `CREATE INDEX CONCURRENTLY` for older transactions (PostgreSQL). A timeout leaves an
/// invalid index, which the next attempt drops first.
const LOCK_TIMEOUT: &str = "SET lock_timeout = '5min'";

/// An index of this server on a table of Storyden.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// The name: `auth_`, the table, the column.
    pub name: &'static str,
    /// Storyden's table.
    pub table: &'static str,
    /// Columns and predicate on SQLite, where times are texts with any UTC offset.
    sqlite: &'static str,
    /// Columns and predicate on PostgreSQL.
    postgres: &'static str,
}

/// An index on a table, named after a column, with the same SQL on both engines or a text for each.
macro_rules! index {
    ($table:literal, $column:literal, $both:literal) => {
        index!($table, $column, $both, $both)
    };
    ($table:literal, $column:literal, $sqlite:literal, $postgres:literal) => {
        Index {
            name: concat!("auth_", $table, "_", $column),
            table: $table,
            sqlite: $sqlite,
            postgres: $postgres,
        }
    };
}

/// An index on the expiry time, for clean-up.
macro_rules! expiry {
    ($table:literal) => {
        index!(
            $table,
            "expires_at",
            "(julianday(expires_at))",
            "(expires_at)"
        )
    };
}

/// An index on the time of creation, for lists in that order.
macro_rules! created {
    ($table:literal) => {
        index!(
            $table,
            "created_at",
            "(julianday(created_at))",
            "(created_at)"
        )
    };
}

/// All indexes of this server on Storyden's tables, the most important first.
pub const INDEXES: &[Index] = &[
    // ON DELETE SET NULL looks up the predecessors: without the index each deleted row scans the table.
    index!(
        "oauth_refresh_tokens",
        "replaced_by_token_id",
        "(replaced_by_token_id) WHERE replaced_by_token_id IS NOT NULL"
    ),
    // For clean-up: a rotation chain is deleted when the last token of the chain has expired.
    index!(
        "oauth_refresh_tokens",
        "last_expires_at",
        "(julianday(expires_at)) WHERE replaced_by_token_id IS NULL",
        "(expires_at) WHERE replaced_by_token_id IS NULL"
    ),
    // For foreign keys, and for the lists by client and by account.
    index!(
        "oauth_refresh_tokens",
        "client_created_at",
        "(client_id, julianday(created_at))",
        "(client_id, created_at)"
    ),
    index!(
        "oauth_refresh_tokens",
        "account_created_at",
        "(account_id, julianday(created_at))",
        "(account_id, created_at)"
    ),
    created!("oauth_refresh_tokens"),
    // For revocation: skips revoked and expired tokens.
    index!(
        "oauth_refresh_tokens",
        "live_client_id",
        "(client_id, julianday(expires_at)) WHERE revoked_at IS NULL",
        "(client_id, expires_at) WHERE revoked_at IS NULL"
    ),
    index!(
        "oauth_refresh_tokens",
        "live_account_id",
        "(account_id, julianday(expires_at)) WHERE revoked_at IS NULL",
        "(account_id, expires_at) WHERE revoked_at IS NULL"
    ),
    expiry!("oauth_authorisation_codes"),
    index!("oauth_authorisation_codes", "client_id", "(client_id)"),
    index!(
        "oauth_authorisation_codes",
        "live_client_id",
        "(client_id, julianday(expires_at)) WHERE consumed_at IS NULL",
        "(client_id, expires_at) WHERE consumed_at IS NULL"
    ),
    index!("oauth_authorisation_codes", "account_id", "(account_id)"),
    expiry!("oauth_authorisation_requests"),
    index!("oauth_authorisation_requests", "client_id", "(client_id)"),
    index!("oauth_authorisation_requests", "account_id", "(account_id)"),
    expiry!("oauth_device_authorisations"),
    index!("oauth_device_authorisations", "client_id", "(client_id)"),
    index!(
        "oauth_device_authorisations",
        "approved_by_account_id",
        "(approved_by_account_id) WHERE approved_by_account_id IS NOT NULL"
    ),
    index!(
        "oauth_device_authorisations",
        "claimed_by_account_id",
        "(claimed_by_account_id) WHERE claimed_by_account_id IS NOT NULL"
    ),
    expiry!("sessions"),
    index!("sessions", "account_id", "(account_id)"),
    // For the sign-out of all sessions: the newest live sessions of an account.
    index!(
        "sessions",
        "live_account_id",
        "(account_id, julianday(created_at)) WHERE revoked_at IS NULL",
        "(account_id, created_at) WHERE revoked_at IS NULL"
    ),
    index!("oauth_clients", "account_id", "(account_id)"),
    created!("oauth_clients"),
    created!("oauth_device_authorisations"),
    expiry!("oauth_remote_authorisation_flows"),
    index!(
        "oauth_remote_authorisation_flows",
        "connection_id",
        "(connection_id)"
    ),
    // For sign-in: password and addresses by account, and address by lower-case text.
    index!(
        "authentications",
        "account_authentication",
        "(account_authentication)"
    ),
    // For the list of all access keys.
    index!(
        "authentications",
        "access_key_created_at",
        "(julianday(created_at)) WHERE service = 'access_key'",
        "(created_at) WHERE service = 'access_key'"
    ),
    index!("emails", "account_id", "(account_id)"),
    index!("emails", "lower_email_address", "(lower(email_address))"),
];

/// Result of [`create_missing`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All indexes exist; holds the names of the newly created indexes.
    Complete(Vec<&'static str>),
    /// Another process is creating indexes now (PostgreSQL).
    InProgress,
}

struct ExistingRow {
    name: String,
    /// False after an interrupted `CREATE INDEX CONCURRENTLY`.
    valid: Flag,
}

row!(ExistingRow: name, valid);

/// An index to create.
struct Missing {
    index: &'static Index,
    /// True if an invalid index with the same name must be dropped first.
    invalid: bool,
}

/// Number of rows that clean-up can read fast enough without an index.
const SMALL_TABLE_ROWS: i64 = 10_000;

/// True if the tables have so many rows that clean-up should wait for the indexes.
///
/// # Errors
/// If the database does not answer.
pub async fn are_needed(db: &Db) -> Result<bool> {
    let total: i64 = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM ( \
             SELECT n FROM (SELECT 1 AS n FROM oauth_refresh_tokens LIMIT $1) a UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_authorisation_codes LIMIT $1) b UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_authorisation_requests LIMIT $1) c UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_device_authorisations LIMIT $1) d UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_clients LIMIT $1) e UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM sessions LIMIT $1) f) rows",
            &[SMALL_TABLE_ROWS.into()],
        )
        .await?;
    Ok(total >= SMALL_TABLE_ROWS)
}

/// Lists the missing or invalid indexes.
///
/// # Errors
/// If the database does not answer.
pub async fn missing(db: &Db) -> Result<Vec<&'static Index>> {
    let missing = find_missing(db).await?;
    Ok(missing.into_iter().map(|missing| missing.index).collect())
}

async fn find_missing(db: &Db) -> Result<Vec<Missing>> {
    let sql = db.pick(
        "SELECT name, 1 AS valid FROM sqlite_master WHERE type = 'index'",
        "SELECT c.relname::text AS name, i.indisvalid AS valid FROM pg_index i \
         JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema()",
    );
    let existing: Vec<ExistingRow> = db.fetch_all(sql, &[]).await?;
    let of = |index: &'static Index| {
        let row = existing.iter().find(|row| row.name == index.name);
        match row.map(|row| row.valid.0) {
            Some(true) => None,
            found => Some(Missing {
                index,
                invalid: found.is_some(),
            }),
        }
    };
    Ok(INDEXES.iter().filter_map(of).collect())
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
        Db::Postgres(pool) => create_on_postgres(pool, missing, stop).await,
    }
}

/// Creates all indexes in the transaction that created Storyden's tables, while the tables are empty.
pub(super) async fn create_all(tx: &mut Tx) -> Result<()> {
    for index in INDEXES {
        let columns = tx.pick(index.sqlite, index.postgres);
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
    let Index {
        name,
        table,
        sqlite,
        ..
    } = index;
    let mut tx = db.begin().await?;
    tx.execute_script(&format!(
        "CREATE INDEX IF NOT EXISTS {name} ON {table} {sqlite}"
    ))
    .await?;
    tx.commit().await
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
    let Index {
        name,
        table,
        postgres,
        ..
    } = index;
    if invalid {
        run(
            connection,
            &format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        )
        .await?;
    }
    run(
        connection,
        &format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {postgres}"),
    )
    .await
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_are_prefixed_unique_and_short() {
        for (at, index) in INDEXES.iter().enumerate() {
            assert!(index.name.starts_with("auth_"), "{}", index.name);
            assert!(index.name.len() <= 63, "{}", index.name);
            let earlier = &INDEXES[..at];
            assert!(!earlier.iter().any(|other| other.name == index.name));
        }
    }
}
