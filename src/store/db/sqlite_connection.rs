//! A connection to an SQLite file. Statements run on the calling thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};

use super::sqlite_error::{is_interrupted, is_locked, to_sqlx};
use super::statement::Wanted;
use crate::database_url::{SqliteMode, SqliteUrl};
use crate::store::row::EngineRow;
use crate::store::sqlite_row::SqliteRow;
use crate::store::value::{Value, to_sqlite_text};

/// Wait for locks of other processes, where the thread may wait.
const BUSY_TIMEOUT: Duration = Duration::from_secs(4);

/// Number of prepared statements that a connection keeps: all statements of the requests.
const STATEMENTS_MAX: usize = 512;

/// Steps of SQLite's virtual machine between two calls of the progress handler.
const STEPS: i32 = 1_000;

/// Calls of the progress handler after which a statement is interrupted that runs on the thread of a request:
/// 3,000 to 4,000 steps, less than half a millisecond. A look-up by key takes about 100 steps.
const CALLS_MAX: u32 = 3;

/// No limit of the calls.
const UNLIMITED: u32 = u32::MAX;

/// Options of the connections to a file.
#[derive(Clone, Debug)]
pub(in crate::store) struct SqliteOptions {
    pub(in crate::store) url: SqliteUrl,
    /// Wait for locks of other processes.
    pub(in crate::store) busy_timeout: Duration,
    /// Holds the lock of the file from the first transaction on.
    pub(in crate::store) exclusive: bool,
}

/// A connection.
pub struct SqliteConnection {
    connection: Connection,
    busy_timeout: Duration,
    /// Calls of the progress handler before it interrupts the statement.
    calls_left: Arc<AtomicU32>,
}

impl SqliteOptions {
    pub(in crate::store) fn new(url: &SqliteUrl) -> Self {
        Self {
            url: url.clone(),
            busy_timeout: BUSY_TIMEOUT,
            exclusive: false,
        }
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(in crate::store) fn connect(&self) -> sqlx::Result<SqliteConnection> {
        let access = match self.url.mode {
            SqliteMode::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            SqliteMode::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE,
            SqliteMode::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX; // a connection has one user at a time
        let opened = Connection::open_with_flags(&self.url.path, flags);
        opened
            .and_then(|connection| self.prepare(connection))
            .map_err(to_sqlx)
    }

    fn prepare(&self, connection: Connection) -> rusqlite::Result<SqliteConnection> {
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        if self.exclusive {
            connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        }
        for (name, value) in &self.url.pragmas {
            connection.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        }
        // Not configurable: foreign keys for cascades, and full sync for durable commits.
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL")?;
        let calls_left = Arc::new(AtomicU32::new(UNLIMITED));
        let left = Arc::clone(&calls_left);
        let interrupt = move || match left.load(Ordering::Relaxed) {
            UNLIMITED => false,
            0 => true,
            calls => {
                left.store(calls - 1, Ordering::Relaxed);
                false
            }
        };
        connection.progress_handler(STEPS, Some(interrupt))?;
        Ok(SqliteConnection {
            connection,
            busy_timeout: self.busy_timeout,
            calls_left,
        })
    }
}

impl SqliteConnection {
    /// Reads rows of a result.
    pub(super) fn rows(
        &self,
        wanted: Wanted,
        sql: &str,
        args: &[Value],
    ) -> sqlx::Result<Vec<EngineRow>> {
        self.read(wanted, sql, args).map_err(to_sqlx)
    }

    /// Reads rows on the thread of a request, without any wait. `None` if a lock is held, or if the statement
    /// takes many steps: then a thread that may wait has to repeat the statement.
    pub(super) fn rows_at_once(
        &self,
        wanted: Wanted,
        sql: &str,
        args: &[Value],
    ) -> Option<sqlx::Result<Vec<EngineRow>>> {
        let outcome = self.without_wait(|| self.read(wanted, sql, args));
        match outcome {
            Err(error) if is_locked(&error) || is_interrupted(&error) => None,
            outcome => Some(outcome.map_err(to_sqlx)),
        }
    }

    fn without_wait<T>(&self, read: impl FnOnce() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        self.connection.busy_timeout(Duration::ZERO)?;
        self.calls_left.store(CALLS_MAX, Ordering::Relaxed);
        let outcome = read();
        self.calls_left.store(UNLIMITED, Ordering::Relaxed);
        self.connection.busy_timeout(self.busy_timeout)?;
        outcome
    }

    fn read(&self, wanted: Wanted, sql: &str, args: &[Value]) -> rusqlite::Result<Vec<EngineRow>> {
        let mut statement = self.bound(sql, args)?;
        let columns: Arc<[Box<str>]> = statement
            .column_names()
            .into_iter()
            .map(Into::into)
            .collect();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let values = (0..columns.len()).map(|index| owned(row.get_ref(index)?, index));
            let values = values.collect::<rusqlite::Result<_>>()?;
            found.push(EngineRow::Sqlite(SqliteRow::new(&columns, values)));
            if matches!(wanted, Wanted::First) {
                break;
            }
        }
        Ok(found)
    }

    /// Runs a statement. Returns the number of changed rows.
    pub(super) fn execute(&self, sql: &str, args: &[Value]) -> sqlx::Result<u64> {
        let run = || {
            let mut statement = self.bound(sql, args)?;
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {} // `RETURNING`
            drop(rows);
            drop(statement);
            Ok(self.connection.changes())
        };
        run().map_err(to_sqlx)
    }

    /// Runs statements without parameters.
    pub(in crate::store) fn execute_script(&self, script: &str) -> sqlx::Result<()> {
        self.connection.execute_batch(script).map_err(to_sqlx)
    }

    /// Runs a statement without parameters and rows.
    pub(super) fn command(&self, sql: &'static str) -> sqlx::Result<()> {
        self.execute(sql, &[]).map(drop)
    }

    /// True if the file was opened to read only. SQLite does so without an error if the file cannot be written.
    pub(super) fn is_read_only(&self) -> bool {
        self.connection.is_readonly("main").unwrap_or(false)
    }

    /// True outside a transaction, also after SQLite rolled back by itself (disk full, input or output error).
    pub(super) fn is_autocommit(&self) -> bool {
        self.connection.is_autocommit()
    }

    /// Prepares a statement and binds the parameters.
    fn bound(&self, sql: &str, args: &[Value]) -> rusqlite::Result<CachedStatement<'_>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        for index in 1..=statement.parameter_count() {
            // SQLite numbers `$2` by its first place in the text.
            let name = statement.parameter_name(index).unwrap_or_default();
            let number = name.trim_start_matches('$').parse::<usize>().ok();
            let value = number.and_then(|number| args.get(number.checked_sub(1)?));
            let value = value.ok_or_else(|| {
                rusqlite::Error::InvalidParameterName(format!("{name} of {} values", args.len()))
            })?;
            statement.raw_bind_parameter(index, value)?;
        }
        Ok(statement)
    }
}

/// Copies a value. rusqlite's conversion panics at a text that is not UTF-8.
fn owned(value: ValueRef<'_>, column: usize) -> rusqlite::Result<Owned> {
    Ok(match value {
        ValueRef::Null => Owned::Null,
        ValueRef::Integer(number) => Owned::Integer(number),
        ValueRef::Real(number) => Owned::Real(number),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text);
            let text = text.map_err(|error| rusqlite::Error::Utf8Error(column, error))?;
            Owned::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Owned::Blob(bytes.to_owned()),
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Int(Some(number)) => ToSqlOutput::Owned(Owned::Integer(*number)),
            Self::Bool(flag) => ToSqlOutput::Owned(Owned::Integer(i64::from(*flag))),
            Self::Time(Some(at)) => ToSqlOutput::Owned(Owned::Text(to_sqlite_text(*at))),
            // A compact BLOB, like Storyden.
            Self::Json(json) => ToSqlOutput::Owned(Owned::Blob(json.to_string().into_bytes())),
            Self::Text(None) | Self::Int(None) | Self::Time(None) => {
                ToSqlOutput::Owned(Owned::Null)
            }
        })
    }
}

impl std::fmt::Debug for SqliteConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqliteConnection { .. }")
    }
}
