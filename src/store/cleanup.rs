//! What is deleted when its time has passed (contract 17.2, and what Storyden never purges).
//!
//! Times are compared as instants: `julianday(…)` on SQLite, where rows carry the zone of whatever
//! process wrote them. Every statement is a transaction of its own, so nobody waits for long.

use time::Duration;

use super::db::Db;
use super::error::Result;
use super::value::Value;
use crate::clock::Timestamp;

/// A step of the clean-up.
struct Step {
    /// What it deletes, for the log.
    what: &'static str,
    /// How long past its time a row stays.
    keep: Duration,
    sqlite: &'static str,
    postgres: &'static str,
}

/// A dynamic registration nobody ever used: no owner, our prefix, no code, no refresh token.
macro_rules! unused_registration {
    () => {
        " AND c.account_id IS NULL AND c.client_id LIKE 'sdoak\\_%' ESCAPE '\\' \
         AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_codes k WHERE k.client_id = c.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_refresh_tokens t WHERE t.client_id = c.id)"
    };
}

/// Details of which neither the request nor the code is there any more.
macro_rules! bare_details {
    () => {
        "AND NOT EXISTS (SELECT 1 FROM oauth_authorisation_requests q WHERE q.id = request_id) \
         AND (code_id IS NULL OR NOT EXISTS \
             (SELECT 1 FROM oauth_authorisation_codes k WHERE k.id = code_id))"
    };
}

/// A grant that nothing belongs to any more.
macro_rules! bare_grant {
    () => {
        "AND NOT EXISTS (SELECT 1 FROM auth_refresh_tokens m WHERE m.grant_id = auth_grants.id) \
         AND (code_id IS NULL OR NOT EXISTS \
             (SELECT 1 FROM oauth_authorisation_codes k WHERE k.id = code_id))"
    };
}

/// In order: rows that point before rows that are pointed at.
const STEPS: &[Step] = &[
    Step {
        what: "device authorizations",
        keep: Duration::hours(1), // so that a late poll hears `expired_token` (RFC 8628 §3.5)
        sqlite: "DELETE FROM oauth_device_authorisations \
                 WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM oauth_device_authorisations WHERE expires_at < $1",
    },
    Step {
        what: "authorization requests",
        keep: Duration::ZERO,
        sqlite: "DELETE FROM oauth_authorisation_requests \
                 WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM oauth_authorisation_requests WHERE expires_at < $1",
    },
    Step {
        what: "pending requests",
        keep: Duration::ZERO,
        sqlite: "DELETE FROM auth_pending_requests WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM auth_pending_requests WHERE expires_at < $1",
    },
    Step {
        what: "authorization codes",
        keep: Duration::hours(24), // so that a replay is recognized and ends its grant
        sqlite: "DELETE FROM oauth_authorisation_codes \
                 WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM oauth_authorisation_codes WHERE expires_at < $1",
    },
    Step {
        what: "refresh tokens",
        keep: Duration::days(7), // a rotated parent stays while its chain lives: reuse is seen
        sqlite: "DELETE FROM oauth_refresh_tokens \
                 WHERE julianday(expires_at) < julianday($1) AND replaced_by_token_id IS NULL",
        postgres: "DELETE FROM oauth_refresh_tokens \
                   WHERE expires_at < $1 AND replaced_by_token_id IS NULL",
    },
    Step {
        what: "authorization requests of unused registrations",
        keep: Duration::days(7),
        sqlite: concat!(
            "DELETE FROM oauth_authorisation_requests WHERE client_id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE julianday(c.created_at) < julianday($1)",
            unused_registration!(),
            ")"
        ),
        postgres: concat!(
            "DELETE FROM oauth_authorisation_requests WHERE client_id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE c.created_at < $1",
            unused_registration!(),
            ")"
        ),
    },
    Step {
        what: "device authorizations of unused registrations",
        keep: Duration::days(7),
        sqlite: concat!(
            "DELETE FROM oauth_device_authorisations WHERE client_id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE julianday(c.created_at) < julianday($1)",
            unused_registration!(),
            ")"
        ),
        postgres: concat!(
            "DELETE FROM oauth_device_authorisations WHERE client_id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE c.created_at < $1",
            unused_registration!(),
            ")"
        ),
    },
    Step {
        what: "unused registrations",
        keep: Duration::days(7),
        sqlite: concat!(
            "DELETE FROM oauth_clients WHERE id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE julianday(c.created_at) < julianday($1)",
            unused_registration!(),
            ")"
        ),
        postgres: concat!(
            "DELETE FROM oauth_clients WHERE id IN ",
            "(SELECT c.id FROM oauth_clients c WHERE c.created_at < $1",
            unused_registration!(),
            ")"
        ),
    },
    Step {
        what: "remote authorization flows",
        keep: Duration::days(1),
        sqlite: "DELETE FROM oauth_remote_authorisation_flows \
                 WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM oauth_remote_authorisation_flows WHERE expires_at < $1",
    },
    Step {
        what: "sessions",
        keep: Duration::days(7),
        sqlite: "DELETE FROM sessions WHERE julianday(expires_at) < julianday($1)",
        postgres: "DELETE FROM sessions WHERE expires_at < $1",
    },
    Step {
        what: "device origins",
        keep: Duration::ZERO,
        sqlite: "DELETE FROM auth_device_origins WHERE $1 IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM oauth_device_authorisations d WHERE d.id = device_id)",
        postgres: "DELETE FROM auth_device_origins WHERE $1::timestamptz IS NOT NULL AND NOT EXISTS \
                   (SELECT 1 FROM oauth_device_authorisations d WHERE d.id = device_id)",
    },
    Step {
        what: "request details",
        keep: Duration::ZERO,
        sqlite: concat!(
            "DELETE FROM auth_request_details WHERE $1 IS NOT NULL ",
            bare_details!()
        ),
        postgres: concat!(
            "DELETE FROM auth_request_details WHERE $1::timestamptz IS NOT NULL ",
            bare_details!()
        ),
    },
    Step {
        what: "refresh token memberships",
        keep: Duration::ZERO,
        sqlite: "DELETE FROM auth_refresh_tokens WHERE $1 IS NOT NULL AND NOT EXISTS \
                 (SELECT 1 FROM oauth_refresh_tokens t WHERE t.id = token_id)",
        postgres: "DELETE FROM auth_refresh_tokens WHERE $1::timestamptz IS NOT NULL AND NOT EXISTS \
                   (SELECT 1 FROM oauth_refresh_tokens t WHERE t.id = token_id)",
    },
    Step {
        what: "grants",
        keep: Duration::days(2), // longer than any access token that names one
        sqlite: concat!(
            "DELETE FROM auth_grants WHERE julianday(created_at) < julianday($1) ",
            bare_grant!()
        ),
        postgres: concat!(
            "DELETE FROM auth_grants WHERE created_at < $1 ",
            bare_grant!()
        ),
    },
];

/// What a pass deleted: the name of a step and how many rows, for each step that deleted any.
pub type Deleted = Vec<(&'static str, u64)>;

/// One pass over everything that has had its time.
pub async fn run(db: &Db, now: Timestamp) -> Result<Deleted> {
    let mut deleted = Vec::new();
    for step in STEPS {
        let sql = db.pick(step.sqlite, step.postgres);
        let rows = db.execute(sql, vec![Value::from(now - step.keep)]).await?;
        if rows > 0 {
            deleted.push((step.what, rows));
        }
    }
    Ok(deleted)
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
