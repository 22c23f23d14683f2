//! Database queries of `doctor`, and of the checks at the start and while the server runs.

use super::db::Db;
use super::error::Result;
use super::migrate::has_table;
use super::sql::Sql;
use crate::clock::Timestamp;

/// Returns the version of the database engine, unchanged.
pub async fn version(db: &Db) -> Result<String> {
    let sql = Sql::new(
        "SELECT sqlite_version() AS text",
        "SELECT current_setting('server_version') AS text",
    );
    db.fetch_one(sql, &[]).await
}

/// Returns the journal mode of an SQLite file, in lower case; `None` on PostgreSQL.
pub async fn journal_mode(db: &Db) -> Result<Option<String>> {
    if let Db::Postgres(_) = db {
        return Ok(None);
    }
    let mode: String = db
        .fetch_one("SELECT journal_mode AS text FROM pragma_journal_mode", &[])
        .await?;
    Ok(Some(mode.to_lowercase()))
}

/// Writes a row and deletes it, in one transaction that is committed: a transaction that is rolled back would not meet
/// a full disk.
///
/// # Errors
/// The reason why the database cannot be written.
pub async fn check_write(db: &Db, now: Timestamp) -> Result<()> {
    db.write(now, |tx, now| {
        Box::pin(async move {
            tx.execute(
                "INSERT INTO auth_leases (name, holder, expires_at) VALUES ('write_check', '', $1) \
                 ON CONFLICT (name) DO NOTHING",
                &[(*now).into()],
            )
            .await?;
            tx.execute("DELETE FROM auth_leases WHERE name = 'write_check'", &[])
                .await
                .map(drop)
        })
    })
    .await
}

/// Takes the lock of a writer and changes nothing, for a database without the tables of this server.
///
/// # Errors
/// The reason why the database cannot be written; on PostgreSQL only errors of the connection.
pub async fn check_lock(db: &Db) -> Result<()> {
    db.write((), |_, ()| Box::pin(async { Ok(()) })).await
}

/// Returns why the role can use neither the schema of the search path nor the tables of this server in it; `None` if
/// it can, and on SQLite. Without the rights, the tables of PostgreSQL's information schema are invisible.
pub async fn missing_rights(db: &Db) -> Result<Option<String>> {
    if let Db::Sqlite(_) = db {
        return Ok(None);
    }
    let schema: i64 = db.fetch_one(HAS_SCHEMA, &[]).await?;
    if schema == 0 {
        return Ok(Some("it may use no schema of its search_path".to_owned()));
    }
    let tables: Vec<String> = db.fetch_all(FORBIDDEN_TABLES, &[]).await?;
    if tables.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        "it may not read and write the tables {}",
        tables.join(", ")
    )))
}

const HAS_SCHEMA: &str =
    "SELECT CAST(CASE WHEN current_schema() IS NULL THEN 0 ELSE 1 END AS bigint) AS n";

const FORBIDDEN_TABLES: &str = "SELECT c.relname::text AS text FROM pg_catalog.pg_class c \
     JOIN pg_catalog.pg_namespace s ON s.oid = c.relnamespace \
     WHERE s.nspname = current_schema() AND c.relkind IN ('r', 'p') \
     AND (c.relname LIKE 'auth\\_%' OR c.relname LIKE 'oauth\\_%' OR c.relname IN ('accounts', 'sessions', 'roles')) \
     AND NOT (has_table_privilege(c.oid, 'SELECT') \
         AND (c.relname NOT LIKE 'auth\\_%' OR has_table_privilege(c.oid, 'INSERT'))) \
     ORDER BY c.relname LIMIT 5";

/// True if the role may create tables in its schema; also on SQLite.
pub async fn may_create_tables(db: &Db) -> Result<bool> {
    if let Db::Sqlite(_) = db {
        return Ok(true);
    }
    let sql = "SELECT COUNT(*) AS n FROM pg_catalog.pg_namespace s \
               WHERE s.nspname = current_schema() AND has_schema_privilege(s.oid, 'CREATE')";
    Ok(db.fetch_one::<i64>(sql, &[]).await? > 0)
}

/// Returns the first faults of SQLite's quick check; empty for an intact file, and on PostgreSQL. Reads the whole file.
pub async fn damage(db: &Db) -> Result<Vec<String>> {
    if let Db::Postgres(_) = db {
        return Ok(Vec::new());
    }
    let sql = "SELECT quick_check AS text FROM pragma_quick_check";
    let found: Vec<String> = db.fetch_all(sql, &[]).await?;
    Ok(found.into_iter().filter(|text| text != "ok").collect())
}

/// True if Storyden uses this database: there are tables that only Storyden creates.
pub async fn has_storyden_tables(db: &Db) -> Result<bool> {
    has_table(db, "posts").await
}

/// Returns the stored time texts of the newest rows of an SQLite file; empty on PostgreSQL, which
/// stores instants.
pub async fn newest_stored_times(db: &Db) -> Result<Vec<String>> {
    if let Db::Postgres(_) = db {
        return Ok(Vec::new());
    }
    let sessions =
        "SELECT CAST(created_at AS TEXT) AS text FROM sessions ORDER BY id DESC LIMIT 50";
    let accounts =
        "SELECT CAST(created_at AS TEXT) AS text FROM accounts ORDER BY id DESC LIMIT 50";
    let clients =
        "SELECT CAST(updated_at AS TEXT) AS text FROM oauth_clients ORDER BY id DESC LIMIT 50";
    let tokens = "SELECT CAST(created_at AS TEXT) AS text FROM oauth_refresh_tokens ORDER BY id DESC LIMIT 50";
    let mut texts = Vec::new();
    for sql in [sessions, accounts, clients, tokens] {
        texts.extend(db.fetch_all::<String>(sql, &[]).await?);
    }
    Ok(texts)
}
