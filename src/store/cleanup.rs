//! What is deleted when its time has passed (contract 17.2, and what Storyden never purges).
//!
//! Times are compared as instants: `julianday(…)` on SQLite, where rows carry the zone of whatever
//! process wrote them. Rows go in batches, each a transaction of its own, so that nobody waits for
//! long however much there is.

use time::Duration;

use super::audit;
use super::db::Db;
use super::error::Result;
use crate::clock::Timestamp;

/// How many rows a statement deletes.
const BATCH: i64 = 200;

/// How many batches of a step a pass makes; the next pass goes on.
const BATCHES: usize = 500;

/// A step of the clean-up.
struct Step {
    /// What it deletes, for the log.
    what: &'static str,
    /// How long past its time a row stays.
    keep: Duration,
    sqlite: &'static str,
    postgres: &'static str,
}

/// Deletes rows of a table by a time of theirs; `$also` begins with ` AND ` or is empty.
macro_rules! rows {
    ($what:literal, $keep:expr, $table:literal, $id:literal, $time:literal $(, $also:expr)?) => {
        Step {
            what: $what,
            keep: $keep,
            sqlite: concat!(
                "DELETE FROM ", $table, " WHERE ", $id, " IN (SELECT x.", $id, " FROM ", $table,
                " x WHERE julianday(x.", $time, ") < julianday($1)" $(, $also)?, " LIMIT $2)"
            ),
            postgres: concat!(
                "DELETE FROM ", $table, " WHERE ", $id, " IN (SELECT x.", $id, " FROM ", $table,
                " x WHERE x.", $time, " < $1" $(, $also)?, " LIMIT $2)"
            ),
        }
    };
}

/// Deletes side rows whose parents are gone; `$orphan` begins with ` AND `.
macro_rules! orphans {
    ($what:literal, $table:literal, $id:literal, $orphan:expr) => {
        Step {
            what: $what,
            keep: Duration::ZERO,
            sqlite: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $id,
                " IN (SELECT x.",
                $id,
                " FROM ",
                $table,
                " x WHERE $1 IS NOT NULL",
                $orphan,
                " LIMIT $2)"
            ),
            postgres: concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $id,
                " IN (SELECT x.",
                $id,
                " FROM ",
                $table,
                " x WHERE $1::timestamptz IS NOT NULL",
                $orphan,
                " LIMIT $2)"
            ),
        }
    };
}

/// A dynamic registration nobody ever used: no owner, our prefix, no code or grant now or before, no
/// refresh token.
macro_rules! unused_registration {
    ($client:literal) => {
        concat!(
            " AND ",
            $client,
            ".account_id IS NULL",
            " AND ",
            $client,
            ".client_id LIKE 'sdoak\\_%' ESCAPE '\\'",
            " AND NOT EXISTS (SELECT 1 FROM auth_clients y WHERE y.client_id = ",
            $client,
            ".id AND y.used)",
            " AND NOT EXISTS (SELECT 1 FROM auth_grants g WHERE g.client_id = ",
            $client,
            ".id)",
            " AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_codes k WHERE k.client_id = ",
            $client,
            ".id)",
            " AND NOT EXISTS (SELECT 1 FROM oauth_refresh_tokens t WHERE t.client_id = ",
            $client,
            ".id)"
        )
    };
    ($client:literal, here) => {
        concat!(
            " AND EXISTS (SELECT 1 FROM auth_clients h WHERE h.client_id = ",
            $client,
            ".id AND h.registered)",
            unused_registration!($client)
        )
    };
}

/// Rows of unused registrations that point at them; `here` for those that registered here.
macro_rules! rows_of_unused_registrations {
    ($what:literal, $keep:expr, $table:literal $(, $here:ident)?) => {
        Step {
            what: $what,
            keep: $keep,
            sqlite: concat!(
                "DELETE FROM ",
                $table,
                " WHERE id IN (SELECT x.id FROM ",
                $table,
                " x JOIN oauth_clients c ON c.id = x.client_id",
                " WHERE julianday(c.created_at) < julianday($1)",
                unused_registration!("c" $(, $here)?),
                " LIMIT $2)"
            ),
            postgres: concat!(
                "DELETE FROM ",
                $table,
                " WHERE id IN (SELECT x.id FROM ",
                $table,
                " x JOIN oauth_clients c ON c.id = x.client_id WHERE c.created_at < $1",
                unused_registration!("c" $(, $here)?),
                " LIMIT $2)"
            ),
        }
    };
}

/// A grant without a refresh token and a code, and not the live grant of a client's own tokens.
macro_rules! unused_grant {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM auth_refresh_tokens m WHERE m.grant_id = x.id) \
         AND (x.code_id IS NULL OR NOT EXISTS \
             (SELECT 1 FROM oauth_authorisation_codes k WHERE k.id = x.code_id)) \
         AND NOT (x.client_credentials AND x.revoked_at IS NULL AND EXISTS \
             (SELECT 1 FROM oauth_clients c WHERE c.id = x.client_id))"
    };
}

/// In order: rows that point before rows that are pointed at.
const STEPS: &[Step] = &[
    // an hour, so that a late poll hears `expired_token` (RFC 8628 §3.5)
    rows!(
        "device authorizations",
        Duration::hours(1),
        "oauth_device_authorisations",
        "id",
        "expires_at"
    ),
    rows!(
        "authorization requests",
        Duration::ZERO,
        "oauth_authorisation_requests",
        "id",
        "expires_at"
    ),
    rows!(
        "pending requests",
        Duration::ZERO,
        "auth_pending_requests",
        "request_id_hash",
        "expires_at"
    ),
    // a day, so that a replay is recognized and ends its grant
    rows!(
        "authorization codes",
        CODES,
        "oauth_authorisation_codes",
        "id",
        "expires_at"
    ),
    // a rotated parent stays while its chain lives, so that reuse is seen
    rows!(
        "refresh tokens",
        Duration::days(7),
        "oauth_refresh_tokens",
        "id",
        "expires_at",
        " AND x.replaced_by_token_id IS NULL"
    ),
    // A day for those that registered here, who are a Storyden keeps its own a week.
    rows_of_unused_registrations!(
        "requests of unused registrations",
        UNUSED,
        "oauth_authorisation_requests",
        here
    ),
    rows_of_unused_registrations!(
        "devices of unused registrations",
        UNUSED,
        "oauth_device_authorisations",
        here
    ),
    rows!(
        "unused registrations",
        UNUSED,
        "oauth_clients",
        "id",
        "created_at",
        unused_registration!("x", here)
    ),
    rows_of_unused_registrations!(
        "requests of a Storyden's unused registrations",
        UNUSED_OF_STORYDEN,
        "oauth_authorisation_requests"
    ),
    rows_of_unused_registrations!(
        "devices of a Storyden's unused registrations",
        UNUSED_OF_STORYDEN,
        "oauth_device_authorisations"
    ),
    rows!(
        "a Storyden's unused registrations",
        UNUSED_OF_STORYDEN,
        "oauth_clients",
        "id",
        "created_at",
        unused_registration!("x")
    ),
    // Changed whenever its document is read: nobody has asked for it since.
    rows!(
        "unused clients by document",
        UNUSED_DOCUMENT,
        "oauth_clients",
        "id",
        "updated_at",
        " AND x.account_id IS NULL AND EXISTS \
             (SELECT 1 FROM auth_clients y WHERE y.client_id = x.id AND y.confirmed_at IS NOT NULL) \
         AND NOT EXISTS (SELECT 1 FROM auth_grants g WHERE g.client_id = x.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_refresh_tokens t WHERE t.client_id = x.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_codes k WHERE k.client_id = x.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_requests q WHERE q.client_id = x.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_device_authorisations d WHERE d.client_id = x.id)"
    ),
    rows!(
        "revoked access tokens",
        Duration::ZERO,
        "auth_revoked_tokens",
        "jti",
        "expires_at"
    ),
    rows!(
        "client assertions",
        Duration::ZERO,
        "auth_assertions",
        "assertion_hash",
        "expires_at"
    ),
    rows!(
        "remote authorization flows",
        Duration::days(1),
        "oauth_remote_authorisation_flows",
        "id",
        "expires_at"
    ),
    rows!(
        "sessions",
        Duration::days(7),
        "sessions",
        "id",
        "expires_at"
    ),
    orphans!(
        "device origins",
        "auth_device_origins",
        "device_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_device_authorisations d WHERE d.id = x.device_id)"
    ),
    orphans!(
        "remote authorization details",
        "auth_remote_flows",
        "flow_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_remote_authorisation_flows f WHERE f.id = x.flow_id)"
    ),
    orphans!(
        "request details",
        "auth_request_details",
        "request_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_requests q WHERE q.id = x.request_id) \
         AND (x.code_id IS NULL OR NOT EXISTS \
             (SELECT 1 FROM oauth_authorisation_codes k WHERE k.id = x.code_id))"
    ),
    orphans!(
        "shown consents",
        "auth_shown_consents",
        "request_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_requests q WHERE q.id = x.request_id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_device_authorisations d WHERE d.id = x.request_id)"
    ),
    orphans!(
        "refresh token memberships",
        "auth_refresh_tokens",
        "token_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_refresh_tokens t WHERE t.id = x.token_id)"
    ),
    orphans!(
        "client details",
        "auth_clients",
        "client_id",
        " AND NOT EXISTS (SELECT 1 FROM oauth_clients c WHERE c.id = x.client_id)"
    ),
    // Two days: longer than any access token that names one (the settings allow 24 h). Counted from the
    // revocation where there was one: a grant of a deleted client has no refresh tokens left, and its
    // last access token may be minutes old. The live grant of a client's own tokens stays.
    Step {
        what: "grants",
        keep: Duration::days(2),
        sqlite: concat!(
            "DELETE FROM auth_grants WHERE id IN (SELECT x.id FROM auth_grants x \
             WHERE julianday(x.created_at) < julianday($1) \
             AND (x.revoked_at IS NULL OR julianday(x.revoked_at) < julianday($1))",
            unused_grant!(),
            " LIMIT $2)"
        ),
        postgres: concat!(
            "DELETE FROM auth_grants WHERE id IN (SELECT x.id FROM auth_grants x \
             WHERE x.created_at < $1 AND (x.revoked_at IS NULL OR x.revoked_at < $1)",
            unused_grant!(),
            " LIMIT $2)"
        ),
    },
    // The newest stays, so that no number comes twice on SQLite.
    rows!(
        "revocations",
        Duration::days(2),
        "auth_revocations",
        "id",
        "done_at",
        " AND x.id < (SELECT MAX(n.id) FROM auth_revocations n)"
    ),
];

/// How long a client stays that registered here and that nobody uses.
const UNUSED: Duration = Duration::hours(24);

/// The same of one that registered with a Storyden (contract 17.2).
const UNUSED_OF_STORYDEN: Duration = Duration::days(7);

/// How long a client stays whose document nobody had read.
const UNUSED_DOCUMENT: Duration = Duration::days(7);

/// How long past its expiry a code stays.
const CODES: Duration = Duration::hours(24);

/// What a pass deleted: the name of a step and how many rows, for each step that deleted any.
pub type Deleted = Vec<(&'static str, u64)>;

/// One pass over everything that has had its time. A step that fails is logged and left to the next
/// pass; `stop` is asked between batches.
pub async fn run(db: &Db, now: Timestamp, stop: impl Fn() -> bool) -> Deleted {
    let mut deleted = Vec::new();
    if let Err(error) = note_used_registrations(db, now - CODES).await {
        // Without the note their clients would look unused once the codes are gone.
        tracing::warn!(%error, "the clean-up did not begin");
        return deleted;
    }
    for step in STEPS {
        let mut rows = 0;
        for _ in 0..BATCHES {
            if stop() {
                return deleted;
            }
            match batch(db, step, now).await {
                Ok(0) => break,
                Ok(some) => rows += some,
                Err(error) => {
                    tracing::warn!(%error, what = step.what, "a step of the clean-up failed");
                    break;
                }
            }
        }
        if rows > 0 {
            deleted.push((step.what, rows));
        }
    }
    deleted
}

async fn batch(db: &Db, step: &Step, now: Timestamp) -> Result<u64> {
    let sql = db.pick(step.sqlite, step.postgres);
    db.execute(sql, vec![(now - step.keep).into(), BATCH.into()])
        .await
}

/// Deletes the lines of the audit trail from before a time; how many it deleted.
///
/// # Errors
/// When a batch failed; those before it are done.
pub async fn audit_trail(db: &Db, before: Timestamp, stop: impl Fn() -> bool) -> Result<u64> {
    let mut lines = 0;
    for _ in 0..BATCHES {
        if stop() {
            break;
        }
        match audit::delete_before(db, before, BATCH).await? {
            0 => break,
            some => lines += some,
        }
    }
    Ok(lines)
}

/// Remembers which dynamic registrations were used, before what they got is deleted: those that had
/// a code, and those that have a grant, which is all that a device leaves without a refresh token.
async fn note_used_registrations(db: &Db, before: Timestamp) -> Result<u64> {
    let sql = db.pick(
        "INSERT INTO auth_clients (client_id, used) \
         SELECT c.id, true FROM oauth_clients c WHERE c.account_id IS NULL \
         AND NOT EXISTS (SELECT 1 FROM auth_clients y WHERE y.client_id = c.id AND y.used) \
         AND (EXISTS (SELECT 1 FROM auth_grants g WHERE g.client_id = c.id) \
         OR EXISTS (SELECT 1 FROM oauth_authorisation_codes k WHERE k.client_id = c.id \
             AND julianday(k.expires_at) < julianday($1))) \
         ON CONFLICT (client_id) DO UPDATE SET used = true",
        "INSERT INTO auth_clients (client_id, used) \
         SELECT c.id, true FROM oauth_clients c WHERE c.account_id IS NULL \
         AND NOT EXISTS (SELECT 1 FROM auth_clients y WHERE y.client_id = c.id AND y.used) \
         AND (EXISTS (SELECT 1 FROM auth_grants g WHERE g.client_id = c.id) \
         OR EXISTS (SELECT 1 FROM oauth_authorisation_codes k WHERE k.client_id = c.id \
             AND k.expires_at < $1)) \
         ON CONFLICT (client_id) DO UPDATE SET used = true",
    );
    db.execute(sql, vec![before.into()]).await
}

/// Wipes the salts of rotations made before `closed`: their successors can no longer be derived.
pub async fn wipe_salts(db: &Db, closed: Timestamp) -> Result<u64> {
    let sql = db.pick(
        "UPDATE auth_grants SET salt = NULL \
         WHERE salt IS NOT NULL AND julianday(rotated_at) < julianday($1)",
        "UPDATE auth_grants SET salt = NULL WHERE salt IS NOT NULL AND rotated_at < $1",
    );
    db.execute(sql, vec![closed.into()]).await
}
