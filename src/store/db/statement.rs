//! Statements on a connection of either engine.

use sqlx::query::Query;
use sqlx::{
    AssertSqlSafe, Database, Executor, IntoArguments, PgConnection, Postgres, Sqlite,
    SqliteConnection,
};

use crate::store::error::Result;
use crate::store::row::{EngineRow, Row};
use crate::store::sql::Sql;
use crate::store::value::{Value, require_storable};

/// A connection for a statement.
pub(super) enum Connection<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// The number of rows to read of a result.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    All,
    First,
}

/// Builds a query of an engine, and binds the parameters.
macro_rules! bind {
    ($engine:ident, $text:expr, $args:expr, $json:expr) => {
        $args
            .iter()
            .fold(sqlx::query::<$engine>($text), |query, value| match value {
                Value::Text(text) => query.bind(text.clone()),
                Value::Int(number) => query.bind(*number),
                Value::Bool(flag) => query.bind(*flag),
                Value::Time(at) => query.bind(*at),
                Value::Json(json) => query.bind($json(json)),
            })
    };
}

impl Connection<'_> {
    /// Reads rows of a result.
    pub(super) async fn rows(
        self,
        wanted: Wanted,
        sql: Sql,
        args: &[Value],
    ) -> sqlx::Result<Vec<EngineRow>> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let query = bind!(Sqlite, sql.sqlite, args, json_blob);
                let rows = read(query, connection, wanted).await?;
                rows.into_iter().map(EngineRow::Sqlite).collect()
            }
            Self::Postgres(connection) => {
                let query = bind!(Postgres, sql.postgres, args, sqlx::types::Json);
                let rows = read(query, connection, wanted).await?;
                rows.into_iter().map(EngineRow::Postgres).collect()
            }
        })
    }

    /// Runs a statement. Returns the number of changed rows.
    pub(super) async fn execute(self, sql: Sql, args: &[Value]) -> sqlx::Result<u64> {
        Ok(match self {
            Self::Sqlite(connection) => {
                let query = bind!(Sqlite, sql.sqlite, args, json_blob);
                query.execute(connection).await?.rows_affected()
            }
            Self::Postgres(connection) => {
                let query = bind!(Postgres, sql.postgres, args, sqlx::types::Json);
                query.execute(connection).await?.rows_affected()
            }
        })
    }

    /// Runs statements without parameters.
    pub(super) async fn execute_script(self, script: &str) -> sqlx::Result<()> {
        let script = sqlx::raw_sql(AssertSqlSafe(script));
        match self {
            Self::Sqlite(connection) => script.execute(connection).await.map(drop),
            Self::Postgres(connection) => script.execute(connection).await.map(drop),
        }
    }
}

/// Runs a query of a driver.
async fn read<'q, DB, A>(
    query: Query<'q, DB, A>,
    connection: &mut DB::Connection,
    wanted: Wanted,
) -> sqlx::Result<Vec<DB::Row>>
where
    DB: Database,
    A: IntoArguments<DB> + Send + 'q,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    match wanted {
        Wanted::All => query.fetch_all(connection).await,
        Wanted::First => {
            let row = query.fetch_optional(connection).await?;
            Ok(row.into_iter().collect())
        }
    }
}

/// Encodes JSON for SQLite as a compact BLOB, like Storyden.
fn json_blob(json: &serde_json::Value) -> Vec<u8> {
    json.to_string().into_bytes()
}

/// Checks the parameters of a statement, and logs the text and the types of the parameters at the level
/// trace, but no values.
pub(super) fn check(sql: &'static str, args: &[Value]) -> Result<()> {
    require_storable(args)?;
    tracing::trace!(target: "storyden_auth::sql", sql, parameters = %types(args), "statement");
    Ok(())
}

/// Returns the types of parameters, as of [`Value::type_name`].
fn types(args: &[Value]) -> String {
    let types: Vec<&str> = args.iter().map(Value::type_name).collect();
    types.join(", ")
}

/// Decodes all rows.
pub(super) fn decode_all<T: Row>(rows: &[EngineRow]) -> Result<Vec<T>> {
    Ok(rows.iter().map(T::decode).collect::<sqlx::Result<_>>()?)
}

/// Decodes the first row, if any.
pub(super) fn decode_first<T: Row>(rows: &[EngineRow]) -> Result<Option<T>> {
    Ok(rows.first().map(T::decode).transpose()?)
}
