//! Hourly counts of events: `auth_statistics`, the sum over all replicas.

use std::borrow::Cow;

use serde_json::json;

use super::clients::IS_NOT_DELETED;
use super::db::Db;
use super::error::Result;
use super::row::row;
use super::sql::{Sql, sql};
use super::value::{Value, to_sqlite_text};
use crate::clock::Timestamp;

/// The kind of the errors of clients.
pub const CLIENT_ERROR: &str = "client_error";

/// The detail of errors of clients beyond the bound.
pub const OTHER: &str = "other";

/// The detail of errors with a client id that does not exist.
pub const UNKNOWN: &str = "unknown";

/// Events of an hour to add to the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Kind of the events.
    pub kind: &'static str,
    /// Detail of the kind: an audit event, a grant type, or a client.
    pub detail: Cow<'static, str>,
    /// Number of events.
    pub count: i64,
}

/// Adds counts to the table, in one statement. Rows are written in the order of the key: replicas that write the same
/// rows wait for each other, and do not deadlock.
pub async fn add(db: &Db, counts: &[Count]) -> Result<()> {
    const SQL: Sql = sql!(
        "INSERT INTO auth_statistics (hour, kind, detail, count) SELECT ",
        (
            "json_extract(e.value, '$.hour') AS hour, json_extract(e.value, '$.kind') AS kind, \
             json_extract(e.value, '$.detail') AS detail, json_extract(e.value, '$.count') AS count \
             FROM json_each(CAST($1 AS TEXT)) e WHERE true",
            "(e.value->>'hour')::timestamptz AS hour, e.value->>'kind' AS kind, \
             e.value->>'detail' AS detail, (e.value->>'count')::bigint AS count \
             FROM jsonb_array_elements($1) AS e (value)"
        ),
        " ORDER BY hour, kind, detail ON CONFLICT (hour, kind, detail) \
         DO UPDATE SET count = auth_statistics.count + excluded.count"
    );
    let rows = counts.iter().map(|one| {
        let hour = to_sqlite_text(one.hour); // both engines read this form
        json!({ "hour": hour, "kind": one.kind, "detail": one.detail, "count": one.count })
    });
    db.execute(SQL, vec![Value::Json(rows.collect())]).await?;
    Ok(())
}

/// Events of an hour, of all replicas.
#[derive(Debug)]
pub struct HourlyCount {
    /// Start of the hour.
    pub hour: Timestamp,
    /// Kind of the events.
    pub kind: String,
    /// Detail of the kind; empty for errors of clients, which are summed over the clients.
    pub detail: String,
    /// Number of events.
    pub count: i64,
}

row!(HourlyCount: hour, kind, detail, count);

/// A period of whole hours: from a start, inclusive, to an end, exclusive. With both bounds, PostgreSQL reads the rows
/// by index.
#[derive(Clone, Copy, Debug)]
pub struct Hours {
    /// Start of the first hour.
    pub from: Timestamp,
    /// End of the last hour.
    pub until: Timestamp,
}

/// Returns the counts of a period.
pub async fn list(db: &Db, hours: Hours) -> Result<Vec<HourlyCount>> {
    db.fetch_all(
        "SELECT x.hour, x.kind, CASE WHEN x.kind = 'client_error' THEN '' ELSE x.detail END AS detail, \
         CAST(SUM(x.count) AS bigint) AS count FROM auth_statistics x WHERE x.hour >= $1 AND x.hour < $2 \
         GROUP BY x.hour, x.kind, CASE WHEN x.kind = 'client_error' THEN '' ELSE x.detail END",
        &[hours.from.into(), hours.until.into()],
    )
    .await
}

/// Errors of a client.
#[derive(Debug)]
pub struct ClientErrors {
    /// Row id of the client, [`OTHER`] or [`UNKNOWN`].
    pub detail: String,
    /// Client id; `None` if there is no such client any more.
    pub client_id: Option<String>,
    /// Name of the client.
    pub name: Option<String>,
    /// Number of errors.
    pub count: i64,
}

row!(ClientErrors: detail, client_id, name, count);

/// Returns the clients with the most errors in a period.
pub async fn errors_by_client(db: &Db, hours: Hours, most: i64) -> Result<Vec<ClientErrors>> {
    const SQL: Sql = sql!(
        "SELECT s.detail, c.client_id, c.name, s.count FROM (SELECT x.detail, \
         CAST(SUM(x.count) AS bigint) AS count FROM auth_statistics x \
         WHERE x.hour >= $1 AND x.hour < $2 AND x.kind = 'client_error' GROUP BY x.detail \
         ORDER BY SUM(x.count) DESC, x.detail LIMIT $3) s LEFT JOIN oauth_clients c ON c.id = s.detail AND ",
        IS_NOT_DELETED,
        " ORDER BY s.count DESC, s.detail"
    );
    let parameters = [hours.from.into(), hours.until.into(), most.into()];
    db.fetch_all(SQL, &parameters).await
}
