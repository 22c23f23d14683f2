//! Deliveries of audit entries to the webhook: `auth_webhook_deliveries`. An entry without a row was not sent yet.

use super::audit_list::ListedEntry;
use super::db::Db;
use super::error::Result;
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::AuditId;

/// An entry to send.
#[derive(Debug)]
pub struct Due {
    /// The entry.
    pub entry: ListedEntry,
    /// Failed attempts so far.
    pub attempts: i64,
}

row!(Due: attempts; entry);

/// Finds entries of these events that are to be sent now, oldest first: written since `since`, and not sent yet, or
/// failed and due again.
pub async fn due(
    db: &Db,
    events: impl IntoIterator<Item = &'static str>,
    since: Timestamp,
    now: Timestamp,
    most: i64,
) -> Result<Vec<Due>> {
    const SQL: Sql = sql!(
        "SELECT e.id, e.created_at, e.event, e.actor_id, e.account_id, e.client_id, e.subject_id, \
         e.address, e.trace_id, e.occurrences, COALESCE((SELECT d.attempts FROM auth_webhook_deliveries d \
         WHERE d.audit_id = e.id), 0) AS attempts FROM auth_audit e WHERE e.event IN ",
        IDS,
        " AND e.created_at >= $2 AND NOT EXISTS (SELECT 1 FROM auth_webhook_deliveries d \
         WHERE d.audit_id = e.id AND (d.next_at IS NULL OR d.next_at > $3)) \
         ORDER BY e.created_at, e.id LIMIT $4"
    );
    let parameters = [Value::names(events), since.into(), now.into(), most.into()];
    db.fetch_all(SQL, &parameters).await
}

/// The outcome of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Failed attempts so far.
    pub attempts: i64,
    /// Time of the next attempt; `None` for the last.
    pub next_at: Option<Timestamp>,
    /// Time after which the row is deleted.
    pub expires_at: Timestamp,
}

/// Records the outcome of an attempt to send an entry.
pub async fn record(db: &Db, entry: &AuditId, outcome: Outcome) -> Result<()> {
    let parameters = vec![
        entry.into(),
        outcome.attempts.into(),
        outcome.next_at.into(),
        outcome.expires_at.into(),
    ];
    db.execute(
        "INSERT INTO auth_webhook_deliveries (audit_id, attempts, next_at, expires_at) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (audit_id) DO UPDATE \
         SET attempts = excluded.attempts, next_at = excluded.next_at",
        parameters,
    )
    .await?;
    Ok(())
}
