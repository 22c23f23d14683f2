//! Database access for SQLite and PostgreSQL. Only this module distinguishes the two drivers.
//!
//! Every statement is a `&'static str` with `$1` placeholders, valid on both engines. [`Db::pick`]
//! selects between two texts where the SQL differs. SQLite has a single writing connection behind a
//! bounded queue.

use std::any::Any;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection,
    SqlitePool, Transaction,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use super::error::{Error, Result};
use super::readers::ReadPool;
use super::row::{EngineRow, Row};
use super::value::{Value, require_storable};
use crate::clock::Timestamp;
use crate::database_url::{DatabaseUrl, SqliteMode, SqliteUrl};
use crate::files;

/// Maximum number of writers waiting for SQLite's single writing connection; more get [`Error::Busy`].
const MAX_WAITING_WRITERS: usize = 1_024;

/// Maximum wait for a connection, then 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite's `busy_timeout` for locks of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle time after which a PostgreSQL connection is pinged before use. A connection that died within
/// this time costs one 503.
const IDLE_PING_AFTER: Duration = Duration::from_secs(1);

/// Maximum number of attempts for a transaction with a serialization failure or deadlock (PostgreSQL).
const MAX_ATTEMPTS: usize = 4;

/// A database. Clones share the connections.
#[derive(Clone, Debug)]
pub enum Db {
    /// An SQLite file.
    Sqlite(SqliteDb),
    /// A PostgreSQL server.
    Postgres(PgPool),
}

/// An SQLite file: a pool of readers and a single writer.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    readers: Arc<ReadPool>,
    writer: SqlitePool,
    queue: Arc<Semaphore>,
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

/// A writing transaction, rolled back on drop without [`Tx::commit`].
pub enum Tx {
    /// An SQLite transaction (`BEGIN IMMEDIATE`), with the permit of the writer queue.
    Sqlite(Transaction<'static, Sqlite>, OwnedSemaphorePermit),
    /// A PostgreSQL transaction.
    Postgres(Transaction<'static, Postgres>),
}

/// A step of a transaction, or a single statement. A boxed future, so that it is compiled once, and not
/// again in every codegen unit and crate that awaits it.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// The result of a step with its type erased.
type Outcome = Box<dyn Any + Send>;

/// A write with its types erased.
trait Attempt: Send + Sync {
    /// Runs the step in a transaction.
    fn run<'a>(&'a self, tx: &'a mut Tx) -> Step<'a, Outcome>;
}

/// The arguments of [`Db::write`].
struct Write<A, T> {
    input: A,
    step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
}

impl<A: Send + Sync, T: Send + 'static> Attempt for Write<A, T> {
    fn run<'a>(&'a self, tx: &'a mut Tx) -> Step<'a, Outcome> {
        let outcome = (self.step)(tx, &self.input);
        Box::pin(async move { Ok(Box::new(outcome.await?) as Outcome) })
    }
}

/// Binds parameters to a query of either engine.
macro_rules! bind {
    ($query:expr, $args:expr, $json:expr) => {
        $args.iter().fold($query, |query, value| match value {
            Value::Text(text) => query.bind(text.clone()),
            Value::Int(number) => query.bind(*number),
            Value::Bool(flag) => query.bind(*flag),
            Value::Time(at) => query.bind(*at),
            Value::Json(json) => query.bind($json(json)),
        })
    };
}

/// Checks the parameters of a statement, and logs the text and the types of the parameters at the level
/// trace, but no values.
fn check(sql: &'static str, args: &[Value]) -> Result<()> {
    require_storable(args)?;
    tracing::trace!(target: "storyden_auth::sql", sql, parameters = %types(args), "statement");
    Ok(())
}

/// Returns the types of parameters, as of [`Value::type_name`].
fn types(args: &[Value]) -> String {
    let types: Vec<&str> = args.iter().map(Value::type_name).collect();
    types.join(", ")
}

/// The number of rows to read of a result.
#[derive(Clone, Copy)]
enum Rows {
    All,
    First,
}

/// Reads rows of an SQLite result.
async fn sqlite_rows(
    connection: &mut SqliteConnection,
    wanted: Rows,
    sql: &'static str,
    args: &[Value],
) -> sqlx::Result<Vec<EngineRow>> {
    let query = bind!(sqlx::query(sql), args, json_blob);
    let rows = match wanted {
        Rows::All => query.fetch_all(connection).await?,
        Rows::First => query
            .fetch_optional(connection)
            .await?
            .into_iter()
            .collect(),
    };
    Ok(rows.into_iter().map(EngineRow::Sqlite).collect())
}

/// Reads rows of a PostgreSQL result.
async fn postgres_rows(
    connection: &mut PgConnection,
    wanted: Rows,
    sql: &'static str,
    args: &[Value],
) -> sqlx::Result<Vec<EngineRow>> {
    let query = bind!(sqlx::query(sql), args, sqlx::types::Json);
    let rows = match wanted {
        Rows::All => query.fetch_all(connection).await?,
        Rows::First => query
            .fetch_optional(connection)
            .await?
            .into_iter()
            .collect(),
    };
    Ok(rows.into_iter().map(EngineRow::Postgres).collect())
}

/// Encodes JSON for SQLite as a compact BLOB, like Storyden.
fn json_blob(json: &serde_json::Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

impl Db {
    /// Opens the database. Creates an SQLite file and the parent folder if the URL allows.
    ///
    /// # Errors
    /// If the file cannot be opened or the server is unreachable.
    #[must_use]
    pub fn open(url: &DatabaseUrl) -> Step<'_, Self> {
        Box::pin(async move {
            match url {
                DatabaseUrl::Sqlite(url) => Ok(Self::Sqlite(SqliteDb::open(url).await?)),
                DatabaseUrl::Postgres(url) => {
                    let options: PgConnectOptions = url.parse()?;
                    let options = options
                        .application_name("storyden-auth")
                        // JIT compilation takes longer than these short statements.
                        .options([
                            ("statement_timeout", "3000"),
                            ("timezone", "UTC"),
                            ("jit", "off"),
                        ]);
                    let pool =
                        PgPoolOptions::new()
                            .max_connections(16)
                            .acquire_timeout(ACQUIRE_TIMEOUT)
                            .test_before_acquire(false)
                            .before_acquire(|connection, of| {
                                Box::pin(async move {
                                    Ok(of.idle_for < IDLE_PING_AFTER
                                        || connection.ping().await.is_ok())
                                })
                            })
                            .connect_with(options)
                            .await?;
                    Ok(Self::Postgres(pool))
                }
            }
        })
    }

    /// Selects the text of a statement for the engine.
    #[must_use]
    pub fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Returns all rows of a query.
    pub async fn fetch_all<T: Row>(&self, sql: &'static str, args: &[Value]) -> Result<Vec<T>> {
        let rows = self.rows(Rows::All, sql, args).await?;
        Ok(rows.iter().map(T::decode).collect::<sqlx::Result<_>>()?)
    }

    /// Returns the first row of a query, if any.
    pub async fn fetch_optional<T: Row>(
        &self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Option<T>> {
        let rows = self.rows(Rows::First, sql, args).await?;
        Ok(rows.first().map(T::decode).transpose()?)
    }

    /// Reads rows. Not generic, so that the drivers are compiled once, and not with every kind of row.
    fn rows<'a>(
        &'a self,
        wanted: Rows,
        sql: &'static str,
        args: &'a [Value],
    ) -> Step<'a, Vec<EngineRow>> {
        Box::pin(async move {
            check(sql, args)?;
            Ok(match self {
                Self::Sqlite(db) => {
                    let mut reader = db.readers.take().await?;
                    let outcome = sqlite_rows(reader.connection(), wanted, sql, args).await;
                    reader.done(outcome)?
                }
                Self::Postgres(pool) => {
                    let mut connection = pool.acquire().await?;
                    postgres_rows(&mut connection, wanted, sql, args).await?
                }
            })
        })
    }

    /// Returns the row of a query that always has a row.
    pub async fn fetch_one<T: Row>(&self, sql: &'static str, args: &[Value]) -> Result<T> {
        self.fetch_optional(sql, args)
            .await?
            .ok_or(Error::Other(sqlx::Error::RowNotFound))
    }

    /// Runs a single statement in a transaction. Returns the number of changed rows.
    pub async fn execute(&self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        self.write((sql, args), |tx, (sql, args)| tx.execute(sql, args))
            .await
    }

    /// Begins a writing transaction. Prefer [`Db::write`].
    ///
    /// # Errors
    /// [`Error::Busy`] if the writer queue is full, [`Error::Unavailable`] after a timeout.
    pub async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite(db) => {
                let queue = Arc::clone(&db.queue);
                let place = queue.try_acquire_owned().map_err(|_| Error::Busy)?;
                Ok(Tx::Sqlite(
                    db.writer.begin_with("BEGIN IMMEDIATE").await?,
                    place,
                ))
            }
            Self::Postgres(pool) => Ok(Tx::Postgres(pool.begin().await?)),
        }
    }

    /// Runs `step` in a transaction and commits, in a separate task, so that a client disconnect
    /// cancels nothing. After a serialization failure of PostgreSQL the step runs again, so `step` must
    /// have no effect except on the transaction.
    ///
    /// # Errors
    /// The error of the step, after a rollback, or of the commit.
    pub async fn write<A, T>(
        &self,
        input: A,
        step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let outcome = self.spawn(Box::new(Write { input, step })).await;
        let outcome = outcome.map_err(|_| Error::Aborted)??.downcast();
        Ok(*outcome.expect("the outcome has the type of the step"))
    }

    /// Runs a transaction in a separate task. Not generic, so that the task is compiled once instead of
    /// with every kind of write.
    fn spawn(&self, write: Box<dyn Attempt>) -> JoinHandle<Result<Outcome>> {
        let db = self.clone();
        tokio::spawn(async move {
            let mut attempt = 1;
            loop {
                match db.attempt(&*write).await {
                    Err(error) if error.is_retryable() && attempt < MAX_ATTEMPTS => attempt += 1,
                    outcome => return outcome,
                }
            }
        })
    }

    async fn attempt(&self, write: &dyn Attempt) -> Result<Outcome> {
        let mut tx = self.begin().await?;
        let outcome = write.run(&mut tx).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    /// Returns the current load: waiting writers, open and idle connections.
    #[must_use]
    pub fn load(&self) -> Load {
        match self {
            Self::Sqlite(db) => {
                let (reading, idle) = db.readers.load();
                Load {
                    writers_waiting: MAX_WAITING_WRITERS - db.queue.available_permits(),
                    connections: reading + db.writer.size() + u32::try_from(idle).unwrap_or(0),
                    idle: idle + db.writer.num_idle(),
                }
            }
            Self::Postgres(pool) => Load {
                writers_waiting: 0,
                connections: pool.size(),
                idle: pool.num_idle(),
            },
        }
    }

    /// Checks that the database answers.
    pub async fn ping(&self) -> Result<()> {
        match self {
            Self::Sqlite(db) => {
                let mut reader = db.readers.take().await?;
                let query = sqlx::query("SELECT 1");
                let outcome = query.execute(reader.connection()).await;
                reader.done(outcome).map(drop)?;
            }
            Self::Postgres(pool) => sqlx::query("SELECT 1").execute(pool).await.map(drop)?,
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

    /// Closes all connections after the current statements.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(db) => {
                db.writer.close().await;
                db.readers.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// Creates an empty file with mode 0600, and the parent folder, if missing. SQLite would create a
/// world-readable file; the journal files get the mode of the database file.
fn create_private(path: &Path) -> std::io::Result<()> {
    files::create_folder(files::folder_of(path))?;
    match files::create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop),
    }
}

impl SqliteDb {
    async fn open(url: &SqliteUrl) -> Result<Self> {
        if url.mode == SqliteMode::Create {
            create_private(&url.path).map_err(sqlx::Error::Io)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(&url.path)
            .create_if_missing(url.mode == SqliteMode::Create)
            .read_only(url.mode == SqliteMode::ReadOnly)
            .busy_timeout(BUSY_TIMEOUT);
        let options = url.pragmas.iter().fold(options, |options, (name, value)| {
            options.pragma(name.clone(), value.clone())
        });
        // Not configurable: foreign keys for cascades, and full sync for durable commits.
        let options = options
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full);
        // A file connection cannot be lost, so no test before use.
        let writer = SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .max_connections(1)
            // SQLite rolls back by itself when the disk is full. The rollback of sqlx then fails, and
            // sqlx keeps counting the connection as inside that transaction: replace the connection.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            })
            .connect_with(options.clone())
            .await?;
        let readers = ReadPool::open(options, ACQUIRE_TIMEOUT).await?;
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            queue: Arc::new(Semaphore::new(MAX_WAITING_WRITERS)),
        })
    }

    /// Switches the file to a write-ahead log. The setting is persistent, so only for a file that
    /// Storyden does not use.
    pub(super) async fn use_wal(&self) -> Result<()> {
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

impl Tx {
    /// Returns all rows of a query.
    pub async fn fetch_all<T: Row>(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<T>> {
        let rows = self.rows(Rows::All, sql, args).await?;
        Ok(rows.iter().map(T::decode).collect::<sqlx::Result<_>>()?)
    }

    /// Returns the first row of a query, if any.
    pub async fn fetch_optional<T: Row>(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Option<T>> {
        let rows = self.rows(Rows::First, sql, args).await?;
        Ok(rows.first().map(T::decode).transpose()?)
    }

    /// Reads rows, as [`Db::rows`] does.
    fn rows<'a>(
        &'a mut self,
        wanted: Rows,
        sql: &'static str,
        args: &'a [Value],
    ) -> Step<'a, Vec<EngineRow>> {
        Box::pin(async move {
            check(sql, args)?;
            Ok(match self {
                Self::Sqlite(tx, _) => sqlite_rows(tx, wanted, sql, args).await?,
                Self::Postgres(tx) => postgres_rows(tx, wanted, sql, args).await?,
            })
        })
    }

    /// Runs a statement. Returns the number of changed rows.
    pub fn execute<'a>(&'a mut self, sql: &'static str, args: &'a [Value]) -> Step<'a, u64> {
        Box::pin(async move {
            check(sql, args)?;
            Ok(match self {
                Self::Sqlite(tx, _) => {
                    let query = bind!(sqlx::query(sql), args, json_blob);
                    query.execute(&mut **tx).await?.rows_affected()
                }
                Self::Postgres(tx) => {
                    let query = bind!(sqlx::query(sql), args, sqlx::types::Json);
                    query.execute(&mut **tx).await?.rows_affected()
                }
            })
        })
    }

    /// Runs the statements of a migration.
    pub(super) async fn execute_script(&mut self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(tx, _) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
            }
            Self::Postgres(tx) => {
                sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Selects the text of a statement for the engine.
    #[must_use]
    pub fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(..) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// If the commit failed. After a lost connection the outcome is unknown until the rows are read
    /// again.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx, _place) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
