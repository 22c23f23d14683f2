//! Writing transactions.

use sqlx::{Postgres, Sqlite, Transaction};
use tokio::sync::OwnedSemaphorePermit;

use super::Step;
use super::statement::{Connection, Wanted, check, decode_all, decode_first};
use crate::store::error::Result;
use crate::store::row::{EngineRow, Row};
use crate::store::sql::Sql;
use crate::store::value::Value;

/// A writing transaction, rolled back on drop without [`Tx::commit`].
pub enum Tx {
    /// An SQLite transaction (`BEGIN IMMEDIATE`), with the permit of the writer queue.
    Sqlite(Transaction<'static, Sqlite>, OwnedSemaphorePermit),
    /// A PostgreSQL transaction.
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    /// Returns all rows of a query.
    pub async fn fetch_all<T: Row>(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Vec<T>> {
        decode_all(&self.rows(Wanted::All, sql.into(), args).await?)
    }

    /// Returns the first row of a query, if any.
    pub async fn fetch_optional<T: Row>(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Option<T>> {
        decode_first(&self.rows(Wanted::First, sql.into(), args).await?)
    }

    /// Reads rows. Not generic, as [`super::Db::rows`].
    fn rows<'a>(
        &'a mut self,
        wanted: Wanted,
        sql: Sql,
        args: &'a [Value],
    ) -> Step<'a, Vec<EngineRow>> {
        Box::pin(async move {
            check(self.pick(sql), args)?;
            Ok(self.connection().rows(wanted, sql, args).await?)
        })
    }

    /// Runs a statement. Returns the number of changed rows.
    pub fn execute<'a>(&'a mut self, sql: impl Into<Sql>, args: &'a [Value]) -> Step<'a, u64> {
        self.run(sql.into(), args)
    }

    fn run<'a>(&'a mut self, sql: Sql, args: &'a [Value]) -> Step<'a, u64> {
        Box::pin(async move {
            check(self.pick(sql), args)?;
            Ok(self.connection().execute(sql, args).await?)
        })
    }

    /// Runs the statements of a migration.
    pub(in crate::store) async fn execute_script(&mut self, script: &str) -> Result<()> {
        Ok(self.connection().execute_script(script).await?)
    }

    /// Selects the text for the engine.
    #[must_use]
    pub fn pick(&self, sql: Sql) -> &'static str {
        match self {
            Self::Sqlite(..) => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }

    fn connection(&mut self) -> Connection<'_> {
        match self {
            Self::Sqlite(tx, _) => Connection::Sqlite(tx),
            Self::Postgres(tx) => Connection::Postgres(tx),
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
