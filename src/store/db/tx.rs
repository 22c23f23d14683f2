//! Writing transactions.

use sqlx::{Postgres, Transaction};

use super::Step;
use super::sqlite_connection::SqliteConnection;
use super::statement::{
    Wanted, check, decode_all, decode_first, postgres_execute, postgres_rows, postgres_script,
};
use crate::store::error::Result;
use crate::store::row::{EngineRow, Row};
use crate::store::sql::Sql;
use crate::store::value::Value;

/// A writing transaction.
pub enum Tx {
    /// The connection of the writer, in a savepoint.
    Sqlite(SqliteConnection),
    /// A PostgreSQL transaction, rolled back on drop without a commit.
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

    /// True on PostgreSQL, where each statement costs a round trip.
    #[must_use]
    pub(in crate::store) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
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
            Ok(match self {
                Self::Sqlite(connection) => connection.rows(wanted, sql.sqlite, args)?,
                Self::Postgres(tx) => postgres_rows(tx, wanted, sql.postgres, args).await?,
            })
        })
    }

    /// Runs a statement. Returns the number of changed rows.
    pub fn execute<'a>(&'a mut self, sql: impl Into<Sql>, args: &'a [Value]) -> Step<'a, u64> {
        self.run(sql.into(), args)
    }

    fn run<'a>(&'a mut self, sql: Sql, args: &'a [Value]) -> Step<'a, u64> {
        Box::pin(async move {
            check(self.pick(sql), args)?;
            Ok(match self {
                Self::Sqlite(connection) => connection.execute(sql.sqlite, args)?,
                Self::Postgres(tx) => postgres_execute(tx, sql.postgres, args).await?,
            })
        })
    }

    /// Runs the statements of a migration.
    pub(in crate::store) async fn execute_script(&mut self, script: &str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => connection.execute_script(script)?,
            Self::Postgres(tx) => postgres_script(tx, script).await?,
        }
        Ok(())
    }

    /// Selects the text for the engine.
    #[must_use]
    pub fn pick(&self, sql: Sql) -> &'static str {
        match self {
            Self::Sqlite(_) => sql.sqlite,
            Self::Postgres(_) => sql.postgres,
        }
    }
}
