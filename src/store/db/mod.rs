//! Database access for SQLite and PostgreSQL. Only this module distinguishes the two drivers.
//!
//! Every statement is a constant text with `$1` placeholders: a `&'static str` that is valid on both
//! engines, or an [`Sql`] with a text for each. Statements on SQLite run on the calling thread; a single thread
//! writes, behind a bounded queue.

mod lookup_connections;
mod postgres;
mod readers;
mod sqlite;
mod sqlite_connection;
mod sqlite_error;
mod statement;
mod tx;
mod write;
mod writer;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use super::error::{Cause, Error, Result};
use super::lookup::{Keys, Lookup, values};
use super::row::{EngineRow, Row};
use super::sql::Sql;
use super::value::Value;
use crate::clock::Timestamp;
use crate::database_url::DatabaseUrl;
use crate::trace_id::step;
use lookup_connections::{LOOKUP_CONNECTIONS_MAX, LookupConnections};
pub use postgres::PostgresDb;
pub use sqlite::SqliteDb;
pub(in crate::store) use sqlite_connection::SqliteOptions;
use statement::{Wanted, check, decode_all, decode_first, log_shared, postgres_rows};
pub use tx::Tx;

/// Maximum wait for a connection, then 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Maximum number of connections to PostgreSQL.
const CONNECTIONS_MAX: u32 = 16;

/// Idle time after which a PostgreSQL connection is pinged before use. A connection that died within
/// this time costs one 503.
const IDLE_PING_AFTER: Duration = Duration::from_secs(1);

/// A database. Clones share the connections.
#[derive(Clone, Debug)]
pub enum Db {
    /// An SQLite file.
    Sqlite(SqliteDb),
    /// A PostgreSQL server.
    Postgres(PostgresDb),
}

/// Current load of a database.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Writers in SQLite's queue, including the active writer.
    pub writers_waiting: usize,
    /// Open connections.
    pub connections: u32,
    /// Idle connections.
    pub idle: usize,
}

/// A step of a transaction, or a single statement. A boxed future, so that it is compiled once, and not
/// again in every codegen unit and crate that awaits it.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

impl Db {
    /// Opens the database. Creates an SQLite file and the parent folder if the URL allows.
    ///
    /// # Errors
    /// If the file cannot be opened or the server is unreachable.
    #[must_use]
    pub fn open(url: &DatabaseUrl) -> Step<'_, Self> {
        Box::pin(async move {
            match url {
                DatabaseUrl::Sqlite(url) => Ok(Self::Sqlite(SqliteDb::open(url)?)),
                DatabaseUrl::Postgres(url) => Ok(Self::Postgres(open_postgres(url).await?)),
            }
        })
    }

    /// Selects the text for the engine.
    #[must_use]
    pub fn pick(&self, sql: Sql) -> &'static str {
        match self {
            Self::Sqlite(_) => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }

    /// Returns all rows of a query.
    pub async fn fetch_all<T: Row>(&self, sql: impl Into<Sql>, args: &[Value]) -> Result<Vec<T>> {
        decode_all(&self.rows(Wanted::All, sql.into(), args).await?)
    }

    /// Returns the first row of a query, if any.
    pub async fn fetch_optional<T: Row>(
        &self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Option<T>> {
        decode_first(&self.rows(Wanted::First, sql.into(), args).await?)
    }

    /// Reads rows. Not generic, so that the drivers are compiled once, and not with every kind of row.
    fn rows<'a>(&'a self, wanted: Wanted, sql: Sql, args: &'a [Value]) -> Step<'a, Vec<EngineRow>> {
        Box::pin(async move {
            let _step = step("database read");
            check(self.pick(sql), args)?;
            Ok(match self {
                Self::Sqlite(db) => db.readers.rows(wanted, sql.sqlite, args).await?,
                Self::Postgres(db) => {
                    let mut connection = db.pool.acquire().await?;
                    postgres_rows(&mut connection, wanted, sql.postgres, args).await?
                }
            })
        })
    }

    /// Returns the rows of a query by keys. On PostgreSQL, requests of the same query that wait at the same time
    /// share a statement.
    pub(in crate::store) async fn look_up(
        &self,
        lookup: Lookup,
        keys: Keys<'_>,
    ) -> Result<Vec<EngineRow>> {
        let _step = step("database look-up");
        let values = values(keys);
        check(self.pick(lookup.one), &values)?;
        match self {
            Self::Sqlite(db) => {
                let rows = db.readers.rows(Wanted::All, lookup.one.sqlite, &values);
                Ok(rows.await?)
            }
            Self::Postgres(db) => {
                log_shared(lookup, keys.len());
                db.look_up(lookup, keys).await
            }
        }
    }

    /// Returns the row of a query that always has a row.
    pub async fn fetch_one<T: Row>(&self, sql: impl Into<Sql>, args: &[Value]) -> Result<T> {
        self.fetch_optional(sql, args)
            .await?
            .ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Returns the current load: waiting writers, open and idle connections.
    #[must_use]
    pub fn load(&self) -> Load {
        match self {
            Self::Sqlite(db) => db.load(),
            Self::Postgres(db) => {
                let (lookups, idle) = db.lookups.load();
                Load {
                    writers_waiting: 0,
                    connections: db.pool.size() + lookups,
                    idle: db.pool.num_idle() + idle,
                }
            }
        }
    }

    /// Checks that the database answers, and has the tables of this server: an empty database, as during a restore,
    /// is of no use.
    pub async fn ping(&self) -> Result<()> {
        let sql = "SELECT version FROM auth_migrations LIMIT 1";
        self.fetch_optional::<i64>(sql, &[]).await.map(drop)
    }

    /// Returns true if nothing can be written: an SQLite file that was opened to read only, or a standby or read-only
    /// role of PostgreSQL. Waits for no lock.
    pub async fn is_read_only(&self) -> Result<bool> {
        match self {
            Self::Sqlite(db) => Ok(db.readers.is_read_only),
            Self::Postgres(_) => {
                let sql = "SELECT current_setting('transaction_read_only') AS text";
                Ok(self.fetch_one::<String>(sql, &[]).await? == "on")
            }
        }
    }

    /// Copies the write-ahead log of an SQLite file to the file, on a read connection, so that the next
    /// writers need not. Without effect on PostgreSQL and on a file with a rollback journal.
    pub async fn checkpoint(&self) -> Result<()> {
        if let Self::Sqlite(db) = self {
            db.readers.command("PRAGMA wal_checkpoint(PASSIVE)").await?;
        }
        Ok(())
    }

    /// Reads PostgreSQL's clock; `None` on SQLite, which uses the clock of this host.
    pub async fn clock(&self) -> Result<Option<Timestamp>> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(_) => {
                let now = self.fetch_one("SELECT clock_timestamp() AS now", &[]);
                Ok(Some(now.await?))
            }
        }
    }

    /// Returns the reason why no connection can be opened, for an error that names only the time of the pool.
    pub async fn reason_of(&self, error: Error) -> Error {
        match self {
            Self::Postgres(db) if error.cause() == Cause::Pool => {
                reason_of(&db.pool.connect_options()).await
            }
            _ => error,
        }
    }

    /// Closes all connections after the current statements.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => db.close().await,
            Self::Postgres(db) => {
                db.lookups.close().await;
                db.pool.close().await;
            }
        }
    }
}

/// Run-time parameters of a PostgreSQL session, unless the URL sets the parameter itself
/// (`?options=-c statement_timeout=…`).
const POSTGRES_PARAMETERS: [(&str, &str); 2] = [
    ("statement_timeout", "3000"),
    // JIT compilation takes longer than these short statements.
    ("jit", "off"),
];

async fn open_postgres(url: &str) -> Result<PostgresDb> {
    let options: PgConnectOptions = url.parse()?;
    let of_url = options.get_options().unwrap_or_default().to_owned();
    let missing = POSTGRES_PARAMETERS
        .into_iter()
        .filter(|(name, _)| !of_url.contains(name));
    let options = options
        .application_name("storyden-auth")
        .options(missing)
        .options([("timezone", "UTC")]);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX - LOOKUP_CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, of| {
            Box::pin(
                async move { Ok(of.idle_for < IDLE_PING_AFTER || connection.ping().await.is_ok()) },
            )
        })
        .connect_with(options.clone())
        .await;
    match pool {
        Ok(pool) => Ok(PostgresDb::new(pool, LookupConnections::new(options))),
        Err(sqlx::Error::PoolTimedOut) => Err(reason_of(&options).await),
        Err(error) => Err(error.into()),
    }
}

/// Connects once, without the pool. The pool repeats refused connections until its time is over, and then reports only
/// the time.
async fn reason_of(options: &PgConnectOptions) -> Error {
    let connected = PgConnection::connect_with(options);
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connected).await {
        Ok(Err(error)) => error.into(),
        Ok(Ok(_)) => sqlx::Error::PoolTimedOut.into(),
        Err(_) => {
            let text = "no answer: the host is down, or a firewall drops the connection";
            let error = std::io::Error::new(std::io::ErrorKind::TimedOut, text);
            sqlx::Error::Io(error).into()
        }
    }
}
