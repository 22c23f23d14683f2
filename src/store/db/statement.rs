//! Statements on a connection to PostgreSQL, and what both engines share.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::types::Json;
use sqlx::{AssertSqlSafe, PgConnection, Postgres};

use crate::store::error::Result;
use crate::store::lookup::Lookup;
use crate::store::row::{EngineRow, Row};
use crate::store::value::{Value, require_storable};

/// The number of rows to read of a result.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    All,
    First,
}

/// Builds a query, and binds the parameters.
fn bound(text: &'static str, args: &[Value]) -> Query<'static, Postgres, PgArguments> {
    args.iter()
        .fold(sqlx::query(text), |query, value| match value {
            Value::Text(text) => query.bind(text.clone()),
            Value::Int(number) => query.bind(*number),
            Value::Bool(flag) => query.bind(*flag),
            Value::Time(at) => query.bind(*at),
            Value::Json(json) => query.bind(Json(json.clone())),
        })
}

/// Reads rows of a result.
pub(super) async fn postgres_rows(
    connection: &mut PgConnection,
    wanted: Wanted,
    sql: &'static str,
    args: &[Value],
) -> sqlx::Result<Vec<EngineRow>> {
    let query = bound(sql, args);
    let rows = match wanted {
        Wanted::All => query.fetch_all(connection).await?,
        Wanted::First => query
            .fetch_optional(connection)
            .await?
            .into_iter()
            .collect(),
    };
    Ok(rows.into_iter().map(EngineRow::Postgres).collect())
}

/// Reads the rows of several requests of a query by keys. `keys` has an array for each parameter.
pub(super) async fn postgres_look_up(
    connection: &mut PgConnection,
    sql: &'static str,
    keys: Vec<Vec<Option<String>>>,
) -> sqlx::Result<Vec<PgRow>> {
    let query = keys.into_iter().fold(sqlx::query(sql), Query::bind);
    query.fetch_all(connection).await
}

/// Runs a statement. Returns the number of changed rows.
pub(super) async fn postgres_execute(
    connection: &mut PgConnection,
    sql: &'static str,
    args: &[Value],
) -> sqlx::Result<u64> {
    Ok(bound(sql, args).execute(connection).await?.rows_affected())
}

/// Runs statements without parameters.
pub(super) async fn postgres_script(
    connection: &mut PgConnection,
    script: &str,
) -> sqlx::Result<()> {
    let script = sqlx::raw_sql(AssertSqlSafe(script));
    script.execute(connection).await.map(drop)
}

/// Checks the parameters of a statement, and logs the text and the types of the parameters at the level
/// trace, but no values.
pub(super) fn check(sql: &'static str, args: &[Value]) -> Result<()> {
    require_storable(args)?;
    tracing::trace!(target: "storyden_auth::sql", sql, parameters = %types(args), "statement");
    Ok(())
}

/// Logs the query of several requests as [`check`] does.
pub(super) fn log_shared(lookup: Lookup, keys: usize) {
    let sql = lookup.many;
    tracing::trace!(target: "storyden_auth::sql", sql, parameters = %vec!["text[]"; keys].join(", "), "statement");
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
