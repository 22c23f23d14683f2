//! Clean-up of rows with an expiry, and of the audit trail.

use time::Duration;

use super::registrations::{AS_USED, MARK_CLIENTS};
use super::step::{DUE, Delete, EXPIRED, Step, search};
use crate::store::delete_by_id;
use crate::store::sql::{IDS, sql};

/// Retention of a code after expiry, so that a replay is recognized and revokes the grant.
const CODES: Duration = Duration::hours(24);

/// Device authorizations: kept for an hour, so that a late poll gets `expired_token` (RFC 8628 §3.5).
pub(super) const DEVICE_AUTHORIZATIONS: Step = Step::due(
    "device authorizations",
    Duration::hours(1),
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM oauth_device_authorisations x ",
        EXPIRED
    ),
    &[
        Delete::Ids(delete_by_id::DEVICE_ORIGINS),
        Delete::Ids(delete_by_id::SHOWN_CONSENTS),
        Delete::Ids(delete_by_id::DEVICES),
    ],
);

/// Authorization requests. The details of an approved request belong to the code.
pub(super) const AUTHORIZATION_REQUESTS: Step = Step::due(
    "authorization requests",
    Duration::ZERO,
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM oauth_authorisation_requests x ",
        EXPIRED
    ),
    &[
        Delete::Ids(sql!(
            "DELETE FROM auth_request_details WHERE request_id IN ",
            IDS,
            " AND (SELECT k.id FROM oauth_authorisation_codes k \
             WHERE k.id = auth_request_details.code_id) IS NULL"
        )),
        Delete::Ids(delete_by_id::SHOWN_CONSENTS),
        Delete::Ids(delete_by_id::REQUESTS),
    ],
);

/// Pending authorization requests, which guests without an account can create: also deleted every
/// minute.
pub(super) const PENDING_REQUESTS: Step = Step::due(
    "pending requests",
    Duration::ZERO,
    search!(
        "SELECT x.request_id_hash AS id, ",
        DUE,
        " FROM auth_pending_requests x ",
        EXPIRED
    ),
    &[Delete::Ids(delete_by_id::PENDING_REQUESTS)],
);

/// Pushed authorization requests, which anonymous requests can create in the name of public clients: also
/// deleted every minute.
pub(super) const PUSHED_REQUESTS: Step = Step::due(
    "pushed requests",
    Duration::ZERO,
    search!(
        "SELECT x.request_uri_hash AS id, ",
        DUE,
        " FROM auth_pushed_requests x ",
        EXPIRED
    ),
    &[Delete::Ids(delete_by_id::PUSHED_REQUESTS)],
);

pub(super) const AUTHORIZATION_CODES: Step = Step::due(
    "authorization codes",
    CODES,
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM oauth_authorisation_codes x ",
        EXPIRED
    ),
    &[
        Delete::Ids(sql!(
            MARK_CLIENTS,
            "(SELECT k.client_id FROM oauth_authorisation_codes k WHERE k.id IN ",
            IDS,
            ")",
            AS_USED
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_request_details WHERE code_id IN ",
            IDS,
            " AND (SELECT q.id FROM oauth_authorisation_requests q \
             WHERE q.id = auth_request_details.request_id) IS NULL"
        )),
        Delete::Ids(delete_by_id::CODES),
    ],
);

pub(super) const REMEMBERED_CONSENTS: Step = Step::due(
    "remembered consents",
    Duration::ZERO,
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM auth_consents x ",
        EXPIRED
    ),
    &[Delete::Ids(delete_by_id::CONSENTS)],
);

pub(super) const REVOKED_ACCESS_TOKENS: Step = Step::due(
    "revoked access tokens",
    Duration::ZERO,
    search!(
        "SELECT x.jti AS id, ",
        DUE,
        " FROM auth_revoked_tokens x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_revoked_tokens WHERE jti IN ",
        IDS
    ))],
);

pub(super) const DEVICE_FAILURES: Step = Step::due(
    "failures of device cookies",
    Duration::ZERO,
    search!(
        "SELECT x.device_id AS id, ",
        DUE,
        " FROM auth_device_failures x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_device_failures WHERE device_id IN ",
        IDS
    ))],
);

pub(super) const CLIENT_ASSERTIONS: Step = Step::due(
    "client assertions",
    Duration::ZERO,
    search!(
        "SELECT x.assertion_hash AS id, ",
        DUE,
        " FROM auth_assertions x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_assertions WHERE assertion_hash IN ",
        IDS
    ))],
);

pub(super) const DPOP_PROOFS: Step = Step::due(
    "DPoP proofs",
    Duration::ZERO,
    search!(
        "SELECT x.proof_hash AS id, ",
        DUE,
        " FROM auth_dpop_proofs x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_dpop_proofs WHERE proof_hash IN ",
        IDS
    ))],
);

pub(super) const WEBHOOK_DELIVERIES: Step = Step::due(
    "webhook deliveries",
    Duration::ZERO,
    search!(
        "SELECT x.audit_id AS id, ",
        DUE,
        " FROM auth_webhook_deliveries x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_webhook_deliveries WHERE audit_id IN ",
        IDS
    ))],
);

pub(super) const CLIENT_ERRORS: Step = Step::due(
    "errors of clients",
    Duration::ZERO,
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM auth_client_errors x ",
        EXPIRED
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_client_errors WHERE id IN ",
        IDS
    ))],
);

pub(super) const REMOTE_FLOWS: Step = Step::due(
    "remote authorization flows",
    Duration::days(1),
    search!(
        "SELECT x.id AS id, ",
        DUE,
        " FROM oauth_remote_authorisation_flows x ",
        EXPIRED
    ),
    &[
        Delete::Ids(delete_by_id::REMOTE_FLOW_DETAILS),
        Delete::Ids(delete_by_id::REMOTE_FLOWS),
    ],
);

pub(super) const SESSIONS: Step = Step::due(
    "sessions",
    Duration::days(7),
    search!("SELECT x.id AS id, ", DUE, " FROM sessions x ", EXPIRED),
    &[
        Delete::Ids(delete_by_id::SESSION_DETAILS),
        Delete::Ids(sql!("DELETE FROM sessions WHERE id IN ", IDS)),
    ],
);

/// Hourly counts, an hour at a time: all rows of the hours that the search found. As with audit entries, the order of the
/// texts is the order of the times.
pub(super) const STATISTICS: Step = Step::due(
    "statistics",
    Duration::ZERO,
    search!(
        "SELECT ",
        (
            "x.hour AS id, 1 AS due, NULL AS place",
            "x.hour::text AS id, true AS due, x.hour::text AS place"
        ),
        " FROM auth_statistics x WHERE x.hour < $1 AND ",
        (
            "$3 IS NULL",
            "x.hour >= COALESCE($3::text::timestamptz, '-infinity')"
        ),
        " ORDER BY x.hour LIMIT $2"
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_statistics WHERE hour IN ",
        (
            "(SELECT value FROM json_each(CAST($1 AS TEXT)))",
            "(SELECT jsonb_array_elements_text($1)::timestamptz)"
        )
    ))],
);

/// Audit entries. Only this program writes these rows, so on SQLite, too, the order of the texts is the
/// order of the times.
pub(super) const AUDIT_TRAIL: Step = Step::due(
    "audit trail",
    Duration::ZERO,
    search!(
        "SELECT x.id AS id, ",
        (
            "1 AS due, NULL AS place",
            "true AS due, x.created_at::text AS place"
        ),
        " FROM auth_audit x WHERE x.created_at < $1 AND ",
        (
            "$3 IS NULL",
            "x.created_at >= COALESCE($3::text::timestamptz, '-infinity')"
        ),
        " ORDER BY x.created_at LIMIT $2"
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_audit WHERE id IN ",
        IDS
    ))],
);
