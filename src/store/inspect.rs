//! Database queries of the `doctor` command.

use super::db::Db;
use super::error::Result;
use super::migrate::has_table;
use super::sql::Sql;

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
