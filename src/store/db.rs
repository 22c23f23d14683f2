//! The one door to the database: two engines, four verbs, and the only `match` between them.
//!
//! Every statement is a `&'static str` with `$1` placeholders that both engines run as it is. Where
//! an engine needs its own words, [`Db::pick`] chooses between two texts in the one function that
//! has them. SQLite is written to by one connection behind a bounded queue.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow, SqliteSynchronous};
use sqlx::{
    AssertSqlSafe, Connection as _, FromRow, PgPool, Postgres, Sqlite, SqlitePool, Transaction,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{Error, Result};
use super::readers::Readers;
use super::url::{DatabaseUrl, SqliteMode, SqliteUrl};
use super::value::{Value, require_storable};
use crate::clock::Timestamp;
use crate::files;

/// How many writers may wait for SQLite's one writing connection; the next is told to come back.
const WRITERS_WAITING: usize = 1_024;

/// How long anybody waits for a connection before the answer is 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long SQLite waits for a lock that another process holds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// How long a connection to PostgreSQL may have been idle and is still used unasked: it was alive
/// when it came back, and one that died since costs a 503 and is gone.
const ALIVE: Duration = Duration::from_secs(1);

/// How often a transaction that PostgreSQL could not serialize is tried.
const ATTEMPTS: usize = 4;

/// A row that reads from both engines.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}
impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

/// A database. Clones share its connections.
#[derive(Clone, Debug)]
pub enum Db {
    /// One file.
    Sqlite(SqliteDb),
    /// A server.
    Postgres(PgPool),
}

/// An SQLite file: many readers, one writer.
#[derive(Clone, Debug)]
pub struct SqliteDb {
    readers: Arc<Readers>,
    writer: SqlitePool,
    queue: Arc<Semaphore>,
}

/// How busy a database is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Writers in SQLite's queue, the one that writes included.
    pub writers_waiting: usize,
    /// Open connections.
    pub connections: u32,
    /// Those of them that nobody uses.
    pub idle: usize,
}

/// A transaction that is being written. Dropped without [`Tx::commit`], it is rolled back.
pub enum Tx {
    /// SQLite's, begun `IMMEDIATE`, with its place in the queue.
    Sqlite(Transaction<'static, Sqlite>, OwnedSemaphorePermit),
    /// PostgreSQL's.
    Postgres(Transaction<'static, Postgres>),
}

/// What a step of a transaction is: a future that borrows the transaction and its input.
pub type Step<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

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

/// SQLite's JSON: a BLOB of compact JSON, as Storyden writes it.
fn json_blob(json: &serde_json::Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

impl Db {
    /// Opens the database. An SQLite file (and its folder) is made when the URL allows it.
    ///
    /// # Errors
    /// When the file cannot be opened, or the server is not there.
    pub async fn open(url: &DatabaseUrl) -> Result<Self> {
        match url {
            DatabaseUrl::Sqlite(url) => Ok(Self::Sqlite(SqliteDb::open(url).await?)),
            DatabaseUrl::Postgres(url) => {
                let options: PgConnectOptions = url.parse()?;
                let options = options
                    .application_name("storyden-auth")
                    // Compiling a short statement takes longer than the statement.
                    .options([
                        ("statement_timeout", "3000"),
                        ("timezone", "UTC"),
                        ("jit", "off"),
                    ]);
                let pool = PgPoolOptions::new()
                    .max_connections(16)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .test_before_acquire(false)
                    .before_acquire(|connection, of| {
                        Box::pin(async move {
                            Ok(of.idle_for < ALIVE || connection.ping().await.is_ok())
                        })
                    })
                    .connect_with(options)
                    .await?;
                Ok(Self::Postgres(pool))
            }
        }
    }

    /// Chooses between two texts of one statement.
    #[must_use]
    pub fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Every row of a query.
    pub async fn fetch_all<T: Row>(&self, sql: &'static str, args: &[Value]) -> Result<Vec<T>> {
        require_storable(args)?;
        Ok(match self {
            Self::Sqlite(db) => {
                let mut reader = db.readers.take().await?;
                let query = bind!(sqlx::query_as(sql), args, json_blob);
                let outcome = query.fetch_all(reader.connection()).await;
                reader.done(outcome)?
            }
            Self::Postgres(pool) => {
                bind!(sqlx::query_as(sql), args, sqlx::types::Json)
                    .fetch_all(pool)
                    .await?
            }
        })
    }

    /// The first row of a query, if there is one.
    pub async fn fetch_optional<T: Row>(
        &self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Option<T>> {
        require_storable(args)?;
        Ok(match self {
            Self::Sqlite(db) => {
                let mut reader = db.readers.take().await?;
                let query = bind!(sqlx::query_as(sql), args, json_blob);
                let outcome = query.fetch_optional(reader.connection()).await;
                reader.done(outcome)?
            }
            Self::Postgres(pool) => {
                bind!(sqlx::query_as(sql), args, sqlx::types::Json)
                    .fetch_optional(pool)
                    .await?
            }
        })
    }

    /// The one row of a query that always has one.
    pub async fn fetch_one<T: Row>(&self, sql: &'static str, args: &[Value]) -> Result<T> {
        self.fetch_optional(sql, args)
            .await?
            .ok_or(Error::Other(sqlx::Error::RowNotFound))
    }

    /// Runs one statement in a transaction of its own; the number of rows it changed.
    pub async fn execute(&self, sql: &'static str, args: Vec<Value>) -> Result<u64> {
        self.write((sql, args), |tx, (sql, args)| {
            Box::pin(tx.execute(sql, args))
        })
        .await
    }

    /// Begins a transaction that writes. Prefer [`Db::write`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] when too many wait already, or the wait was too long.
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

    /// Runs `step` in a transaction and commits it, in a task of its own: a client that hangs up
    /// cancels nothing. What PostgreSQL could not serialize is tried again, so `step` may run more
    /// than once and must do nothing but write to the transaction.
    ///
    /// # Errors
    /// What the step says (nothing is then written), or why the transaction was not committed.
    pub async fn write<A, T>(
        &self,
        input: A,
        step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
    {
        let db = self.clone();
        let task = tokio::spawn(async move {
            let mut attempt = 1;
            loop {
                match db.attempt(&input, step).await {
                    Err(error) if error.may_be_retried() && attempt < ATTEMPTS => attempt += 1,
                    outcome => return outcome,
                }
            }
        });
        task.await.map_err(|_| Error::Aborted)?
    }

    async fn attempt<A, T>(
        &self,
        input: &A,
        step: for<'a> fn(&'a mut Tx, &'a A) -> Step<'a, T>,
    ) -> Result<T> {
        let mut tx = self.begin().await?;
        let outcome = step(&mut tx, input).await?;
        tx.commit().await?;
        Ok(outcome)
    }

    /// How busy it is: writers waiting, connections open and idle.
    #[must_use]
    pub fn load(&self) -> Load {
        match self {
            Self::Sqlite(db) => {
                let (reading, idle) = db.readers.load();
                Load {
                    writers_waiting: WRITERS_WAITING - db.queue.available_permits(),
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

    /// Whether the database answers.
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

    /// What PostgreSQL's clock shows; SQLite has none of its own.
    pub async fn clock(&self) -> Result<Option<Timestamp>> {
        #[derive(sqlx::FromRow)]
        struct Now {
            now: Timestamp,
        }
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(_) => {
                let row: Now = self
                    .fetch_one("SELECT clock_timestamp() AS now", &[])
                    .await?;
                Ok(Some(row.now))
            }
        }
    }

    /// Ends all connections, after what they are doing.
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

/// Makes an empty file for the owner alone, if there is none, and its folder. SQLite would make it readable
/// for others, and gives the files beside it the mode that it has.
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
        // Ours whatever the URL says: cascades hold, and what was acknowledged is on the disk.
        let options = options
            .foreign_keys(true)
            .synchronous(SqliteSynchronous::Full);
        // A file does not hang up, so the writer is not asked whether it lives.
        let writer = SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .max_connections(1)
            // SQLite ends a transaction by itself when the disk is full. The rollback then fails, and
            // the connection would count as being in that transaction for good: a new one instead.
            .before_acquire(|connection, _| {
                let usable = !connection.is_in_transaction();
                Box::pin(async move { Ok(usable) })
            })
            .connect_with(options.clone())
            .await?;
        let readers = Readers::open(options, ACQUIRE_TIMEOUT).await?;
        Ok(Self {
            readers: Arc::new(readers),
            writer,
            queue: Arc::new(Semaphore::new(WRITERS_WAITING)),
        })
    }

    /// Makes the file a write-ahead-logged one. Persistent, so only for a file that is ours.
    pub(super) async fn use_wal(&self) -> Result<()> {
        sqlx::query("PRAGMA journal_mode = WAL")
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

impl Tx {
    /// Every row of a query.
    pub async fn fetch_all<T: Row>(&mut self, sql: &'static str, args: &[Value]) -> Result<Vec<T>> {
        require_storable(args)?;
        Ok(match self {
            Self::Sqlite(tx, _) => {
                bind!(sqlx::query_as(sql), args, json_blob)
                    .fetch_all(&mut **tx)
                    .await?
            }
            Self::Postgres(tx) => {
                bind!(sqlx::query_as(sql), args, sqlx::types::Json)
                    .fetch_all(&mut **tx)
                    .await?
            }
        })
    }

    /// The first row of a query, if there is one.
    pub async fn fetch_optional<T: Row>(
        &mut self,
        sql: &'static str,
        args: &[Value],
    ) -> Result<Option<T>> {
        require_storable(args)?;
        Ok(match self {
            Self::Sqlite(tx, _) => {
                bind!(sqlx::query_as(sql), args, json_blob)
                    .fetch_optional(&mut **tx)
                    .await?
            }
            Self::Postgres(tx) => {
                bind!(sqlx::query_as(sql), args, sqlx::types::Json)
                    .fetch_optional(&mut **tx)
                    .await?
            }
        })
    }

    /// Runs one statement; the number of rows it changed.
    pub async fn execute(&mut self, sql: &'static str, args: &[Value]) -> Result<u64> {
        require_storable(args)?;
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

    /// Chooses between two texts of one statement.
    #[must_use]
    pub fn pick(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(..) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// When it was not; whether it is then written is known only after a look.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx, _place) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}
