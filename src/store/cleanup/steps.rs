//! Steps of the clean-up: the conditions for due rows, and the statements that delete due rows with
//! dependent rows (storyden-contract.md#clean-up, and tables that a Storyden never purges).
//!
//! Each statement touches only as many rows as the batch has, however large the tables are.

use time::Duration;

/// A statement for both engines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sql {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A step of the clean-up.
#[derive(Debug)]
pub(super) struct Step {
    /// Name in the log, in `auth_jobs`, in `doctor` and in the metrics.
    pub(super) name: &'static str,
    /// Retention after the time of the row.
    pub(super) keep: Duration,
    /// Finds rows. `$1`: rows with an earlier time are due. `$2`: maximum number of rows. `$3`:
    /// position where the last batch ended, or NULL.
    pub(super) find: Find,
    /// Counts due rows, with the same parameters.
    pub(super) count: Sql,
    /// Statements that delete due rows, in this order, in a single transaction.
    pub(super) delete: &'static [Delete],
}

/// The rows that a step examines.
#[derive(Debug)]
pub(super) enum Find {
    /// Due rows, in the order of an index on the time.
    Due(Sql),
    /// All rows of a table, in the order of the primary key, because no index tells which rows are due.
    /// `every`: minimum time between two walks through the table.
    Walk { sql: Sql, every: Duration },
}

/// A statement that deletes rows of a batch. `$1`: the ids, a JSON list.
#[derive(Debug)]
pub(super) enum Delete {
    /// Takes only the ids.
    Ids(Sql),
    /// Also takes `$2`: rows with an earlier time are due.
    IdsBefore(Sql),
}

/// The ids of the batch, as a table with a single column.
macro_rules! ids {
    (sqlite) => {
        "(SELECT value FROM json_each(CAST($1 AS TEXT)))"
    };
    (postgres) => {
        "(SELECT jsonb_array_elements_text($1))"
    };
}

/// Deletes the rows with a column value among the ids; `$also` begins with ` AND `.
macro_rules! delete {
    ($table:literal, $column:literal $(, $also:literal)?) => {
        Delete::Ids(Sql {
            sqlite: concat!("DELETE FROM ", $table, " WHERE ", $column, " IN ", ids!(sqlite) $(, $also)?),
            postgres: concat!("DELETE FROM ", $table, " WHERE ", $column, " IN ", ids!(postgres) $(, $also)?),
        })
    };
}

/// A statement with the ids between two parts.
macro_rules! statement {
    ($before:expr, $after:expr) => {
        Delete::Ids(Sql {
            sqlite: concat!($before, ids!(sqlite), $after),
            postgres: concat!($before, ids!(postgres), $after),
        })
    };
}

/// A statement that finds due rows, and a statement that counts due rows.
macro_rules! counted {
    ($sqlite:expr, $postgres:expr) => {
        (
            Sql {
                sqlite: $sqlite,
                postgres: $postgres,
            },
            Sql {
                sqlite: concat!("SELECT COUNT(*) AS n FROM (", $sqlite, ") z WHERE z.due"),
                postgres: concat!("SELECT COUNT(*) AS n FROM (", $postgres, ") z WHERE z.due"),
            },
        )
    };
}

/// Due rows in the order of an index on a time. PostgreSQL continues where the last batch ended: until
/// a vacuum, the index keeps the entries of deleted rows, and each batch would scan past these again.
/// SQLite removes the entries, and a stored time may be text that does not parse back.
macro_rules! due {
    ($name:literal, $keep:expr, $table:literal, $id:literal, $delete:expr) => {{
        const SQL: (Sql, Sql) = counted!(
            concat!(
                "SELECT x.",
                $id,
                " AS id, 1 AS due, NULL AS place FROM ",
                $table,
                " x WHERE julianday(x.expires_at) < julianday($1) \
                 AND julianday(x.expires_at) >= COALESCE(julianday($3), 0) \
                 ORDER BY julianday(x.expires_at) LIMIT $2"
            ),
            concat!(
                "SELECT x.",
                $id,
                " AS id, true AS due, x.expires_at::text AS place FROM ",
                $table,
                " x WHERE x.expires_at < $1 \
                 AND x.expires_at >= COALESCE($3::text::timestamptz, '-infinity') \
                 ORDER BY x.expires_at LIMIT $2"
            )
        );
        Step {
            name: $name,
            keep: $keep,
            find: Find::Due(SQL.0),
            count: SQL.1,
            delete: $delete,
        }
    }};
}

/// A walk through a table, with the condition for a due row `x` on SQLite and on PostgreSQL. A row of
/// another table is tested as `(SELECT … LIMIT 1) IS NULL`: PostgreSQL could plan `EXISTS` as a hash of
/// the whole other table, built again for each window.
macro_rules! walk {
    ($name:literal, $keep:expr, $every:expr, ($table:literal, $id:literal), $sqlite:expr, $postgres:expr, $delete:expr) => {{
        const SQL: (Sql, Sql) = counted!(
            concat!(
                "SELECT x.",
                $id,
                " AS id, COALESCE($1 IS NOT NULL AND ",
                $sqlite,
                ", 0) AS due, x.",
                $id,
                " AS place FROM ",
                $table,
                " x WHERE x.",
                $id,
                " > COALESCE($3, '') ORDER BY x.",
                $id,
                " LIMIT $2"
            ),
            concat!(
                "SELECT x.",
                $id,
                " AS id, COALESCE($1::timestamptz IS NOT NULL AND ",
                $postgres,
                ", false) AS due, x.",
                $id,
                " AS place FROM ",
                $table,
                " x WHERE x.",
                $id,
                " > COALESCE($3::text, '') ORDER BY x.",
                $id,
                " LIMIT $2"
            )
        );
        Step {
            name: $name,
            keep: $keep,
            find: Find::Walk {
                sql: SQL.0,
                every: $every,
            },
            count: SQL.1,
            delete: $delete,
        }
    }};
    ($name:literal, $of:tt, $both:expr, $delete:expr) => {
        walk!($name, Duration::ZERO, DAILY, $of, $both, $both, $delete)
    };
}

/// Marks the dynamic registrations behind codes, grants or tokens as used, before the rows of this
/// table are deleted: a used registration is kept.
macro_rules! note_used_registrations {
    ($table:literal) => {
        statement!(
            concat!(
                "INSERT INTO auth_clients (client_id, used) SELECT c.id, true FROM oauth_clients c \
                 WHERE c.account_id IS NULL \
                 AND NOT EXISTS (SELECT 1 FROM auth_clients y WHERE y.client_id = c.id AND y.used) \
                 AND c.id IN (SELECT k.client_id FROM ",
                $table,
                " k WHERE k.id IN "
            ),
            ") ON CONFLICT (client_id) DO UPDATE SET used = true"
        )
    };
}

/// Condition: a dynamic registration is unused. No owner, this server's prefix, no code, grant or
/// token, now or earlier.
macro_rules! unused_registration {
    ($client:literal) => {
        concat!(
            $client,
            ".account_id IS NULL AND ",
            $client,
            ".client_id LIKE 'sdoak\\_%' ESCAPE '\\' \
             AND (SELECT y.client_id FROM auth_clients y WHERE y.client_id = ",
            $client,
            ".id AND y.used) IS NULL AND (SELECT g.id FROM auth_grants g WHERE g.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL \
             AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL \
             AND (SELECT t.id FROM oauth_refresh_tokens t WHERE t.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL"
        )
    };
}

/// Condition: no authorization request and no device authorization refers to the client.
macro_rules! without_requests {
    ($client:literal) => {
        concat!(
            " AND (SELECT q.id FROM oauth_authorisation_requests q WHERE q.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL \
             AND (SELECT d.id FROM oauth_device_authorisations d WHERE d.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL"
        )
    };
}

/// Condition: a client from a metadata document has no code, grant, token or request.
macro_rules! unused_document {
    ($client:literal) => {
        concat!(
            $client,
            ".account_id IS NULL AND (SELECT y.confirmed_at FROM auth_clients y WHERE y.client_id = ",
            $client,
            ".id) IS NOT NULL \
             AND (SELECT g.id FROM auth_grants g WHERE g.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL \
             AND (SELECT t.id FROM oauth_refresh_tokens t WHERE t.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL \
             AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.client_id = ",
            $client,
            ".id LIMIT 1) IS NULL",
            without_requests!($client)
        )
    };
}

/// Deletes rows that belong to requests or device authorizations of unused registrations: at most 500,
/// so that the transaction stays short. The registration is deleted once no such row is left.
macro_rules! delete_of_unused_registrations {
    ($table:literal, $column:literal, $parents:literal) => {
        statement!(
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE ",
                $column,
                " IN (SELECT p.id FROM ",
                $parents,
                " p JOIN oauth_clients c ON c.id = p.client_id WHERE c.id IN "
            ),
            concat!(
                " AND ",
                unused_registration!("c"),
                " ORDER BY p.id LIMIT 500)"
            )
        )
    };
}

/// Deletes the side rows of deleted clients.
macro_rules! delete_without_client {
    () => {
        delete!(
            "auth_clients",
            "client_id",
            " AND (SELECT c.id FROM oauth_clients c WHERE c.id = auth_clients.client_id) IS NULL"
        )
    };
}

const HOURLY: Duration = Duration::ZERO;
const DAILY: Duration = Duration::hours(24);

/// Retention of a code after expiry, so that a replay is recognized and revokes the grant.
const CODES: Duration = Duration::hours(24);

/// Retention of an expired refresh token.
const TOKENS: Duration = Duration::days(7);

/// Retention of a grant without tokens: longer than any access token of the grant (at most 24 h).
const GRANTS: Duration = Duration::days(2);

/// Retention of a client from a metadata document without references. The row changes whenever the
/// document is read.
const UNUSED_DOCUMENT: Duration = Duration::days(7);

/// The last tokens of chains, and the tokens before: a rotated token stays while the chain is live, so
/// that reuse is detected.
const REFRESH_TOKENS: Step = {
    const SQL: (Sql, Sql) = counted!(
        "WITH RECURSIVE ending (id) AS (\
         SELECT y.id FROM (SELECT x.id FROM oauth_refresh_tokens x WHERE x.replaced_by_token_id IS NULL \
         AND julianday(x.expires_at) < julianday($1) \
         AND julianday(x.expires_at) >= COALESCE(julianday($3), 0) \
         ORDER BY julianday(x.expires_at) LIMIT $2) y \
         UNION ALL SELECT t.id FROM ending e CROSS JOIN oauth_refresh_tokens t \
         ON t.replaced_by_token_id = e.id WHERE julianday(t.expires_at) < julianday($1)) \
         SELECT id, 1 AS due, NULL AS place FROM ending LIMIT $2",
        // OFFSET 0 keeps the planner from a hash of the whole table
        "WITH RECURSIVE ending (id, expires_at) AS (\
         (SELECT x.id, x.expires_at FROM oauth_refresh_tokens x WHERE x.replaced_by_token_id IS NULL \
         AND x.expires_at < $1 AND x.expires_at >= COALESCE($3::text::timestamptz, '-infinity') \
         ORDER BY x.expires_at LIMIT $2) \
         UNION ALL SELECT t.id, e.expires_at FROM ending e CROSS JOIN LATERAL (\
         SELECT r.id FROM oauth_refresh_tokens r WHERE r.replaced_by_token_id = e.id \
         AND r.expires_at < $1 OFFSET 0) t) \
         SELECT id, true AS due, expires_at::text AS place FROM ending LIMIT $2"
    );
    Step {
        name: "refresh tokens",
        keep: TOKENS,
        find: Find::Due(SQL.0),
        count: SQL.1,
        delete: &[
            note_used_registrations!("oauth_refresh_tokens"),
            // grants without tokens left; the rest of a long chain belongs to a later batch
            Delete::Ids(Sql {
                sqlite: concat!(
                    "DELETE FROM auth_grants WHERE id IN (SELECT m.grant_id FROM auth_refresh_tokens m \
                     WHERE m.token_id IN ",
                    ids!(sqlite),
                    ") AND (SELECT o.token_id FROM auth_refresh_tokens o \
                     WHERE o.grant_id = auth_grants.id AND o.token_id NOT IN ",
                    ids!(sqlite),
                    " LIMIT 1) IS NULL AND (SELECT k.id FROM oauth_authorisation_codes k \
                     WHERE k.id = auth_grants.code_id) IS NULL"
                ),
                postgres: concat!(
                    "DELETE FROM auth_grants WHERE id IN (SELECT m.grant_id FROM auth_refresh_tokens m \
                     WHERE m.token_id IN ",
                    ids!(postgres),
                    ") AND (SELECT o.token_id FROM auth_refresh_tokens o \
                     WHERE o.grant_id = auth_grants.id AND o.token_id NOT IN ",
                    ids!(postgres),
                    " LIMIT 1) IS NULL AND (SELECT k.id FROM oauth_authorisation_codes k \
                     WHERE k.id = auth_grants.code_id) IS NULL"
                ),
            }),
            delete!("auth_refresh_tokens", "token_id"),
            delete!("oauth_refresh_tokens", "id"),
        ],
    }
};

/// Unused dynamic registrations: kept for a day if made here, for seven days if made by a Storyden
/// (storyden-contract.md#clean-up).
const UNUSED_REGISTRATIONS: Step = walk!(
    "unused registrations",
    Duration::ZERO,
    HOURLY,
    ("oauth_clients", "id"),
    concat!(
        "julianday(x.created_at) < julianday($1) - CASE WHEN (SELECT h.client_id FROM auth_clients h \
         WHERE h.client_id = x.id AND h.registered) IS NOT NULL THEN 1 ELSE 7 END AND ",
        unused_registration!("x")
    ),
    concat!(
        "x.created_at < $1 - CASE WHEN (SELECT h.client_id FROM auth_clients h \
         WHERE h.client_id = x.id AND h.registered) IS NOT NULL \
         THEN interval '1 day' ELSE interval '7 days' END AND ",
        unused_registration!("x")
    ),
    &[
        delete_of_unused_registrations!(
            "auth_request_details",
            "request_id",
            "oauth_authorisation_requests"
        ),
        delete_of_unused_registrations!(
            "auth_shown_consents",
            "request_id",
            "oauth_authorisation_requests"
        ),
        delete_of_unused_registrations!(
            "oauth_authorisation_requests",
            "id",
            "oauth_authorisation_requests"
        ),
        delete_of_unused_registrations!(
            "auth_device_origins",
            "device_id",
            "oauth_device_authorisations"
        ),
        delete_of_unused_registrations!(
            "auth_shown_consents",
            "request_id",
            "oauth_device_authorisations"
        ),
        delete_of_unused_registrations!(
            "oauth_device_authorisations",
            "id",
            "oauth_device_authorisations"
        ),
        // The side row holds the mark of a used registration, so the client is deleted first.
        statement!(
            "DELETE FROM oauth_clients WHERE id IN ",
            concat!(
                " AND ",
                unused_registration!("oauth_clients"),
                without_requests!("oauth_clients")
            )
        ),
        delete_without_client!(),
    ]
);

/// Clients from metadata documents without references.
const UNUSED_DOCUMENTS: Step = walk!(
    "unused clients by document",
    UNUSED_DOCUMENT,
    HOURLY,
    ("oauth_clients", "id"),
    concat!(
        "julianday(x.updated_at) < julianday($1) AND ",
        unused_document!("x")
    ),
    concat!("x.updated_at < $1 AND ", unused_document!("x")),
    &[
        Delete::IdsBefore(Sql {
            sqlite: concat!(
                "DELETE FROM oauth_clients WHERE id IN ",
                ids!(sqlite),
                " AND julianday(updated_at) < julianday($2) AND ",
                unused_document!("oauth_clients")
            ),
            postgres: concat!(
                "DELETE FROM oauth_clients WHERE id IN ",
                ids!(postgres),
                " AND updated_at < $2 AND ",
                unused_document!("oauth_clients")
            ),
        }),
        delete_without_client!(),
    ]
);

/// Grants without tokens: the client got no refresh token, or a different program deleted the tokens.
/// Retention counts from the revocation, if any: a grant of a deleted client has no refresh tokens
/// left, and the last access token may be minutes old. A live client credentials grant stays.
const GRANTS_WITHOUT_TOKENS: Step = walk!(
    "grants",
    GRANTS,
    DAILY,
    ("auth_grants", "id"),
    "julianday(x.created_at) < julianday($1) \
     AND (x.revoked_at IS NULL OR julianday(x.revoked_at) < julianday($1)) \
     AND NOT (x.client_credentials AND x.revoked_at IS NULL \
         AND (SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NOT NULL) \
     AND (SELECT m.token_id FROM auth_refresh_tokens m WHERE m.grant_id = x.id LIMIT 1) IS NULL \
     AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL",
    "x.created_at < $1 AND (x.revoked_at IS NULL OR x.revoked_at < $1) \
     AND NOT (x.client_credentials AND x.revoked_at IS NULL \
         AND (SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NOT NULL) \
     AND (SELECT m.token_id FROM auth_refresh_tokens m WHERE m.grant_id = x.id LIMIT 1) IS NULL \
     AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL",
    &[
        note_used_registrations!("auth_grants"),
        delete!(
            "auth_grants",
            "id",
            " AND (SELECT m.token_id FROM auth_refresh_tokens m WHERE m.grant_id = auth_grants.id \
             LIMIT 1) IS NULL"
        ),
    ]
);

/// Applied revocations. The newest row stays, so that SQLite does not reuse the number.
const REVOCATIONS: Step = {
    const SQL: (Sql, Sql) = counted!(
        "SELECT CAST(x.id AS TEXT) AS id, 1 AS due, NULL AS place FROM auth_revocations x \
         WHERE julianday(x.done_at) < julianday($1) AND $3 IS NULL \
         AND x.id < (SELECT MAX(n.id) FROM auth_revocations n) ORDER BY x.id LIMIT $2",
        "SELECT x.id::text AS id, true AS due, NULL::text AS place FROM auth_revocations x \
         WHERE x.done_at < $1 AND $3::text IS NULL \
         AND x.id < (SELECT MAX(n.id) FROM auth_revocations n) ORDER BY x.id LIMIT $2"
    );
    Step {
        name: "revocations",
        keep: GRANTS,
        find: Find::Due(SQL.0),
        count: SQL.1,
        delete: &[delete!("auth_revocations", "CAST(id AS TEXT)")],
    }
};

/// Pending authorization requests, which guests without an account can create: also deleted every
/// minute.
pub(super) const PENDING_REQUESTS: Step = due!(
    "pending requests",
    Duration::ZERO,
    "auth_pending_requests",
    "request_id_hash",
    &[delete!("auth_pending_requests", "request_id_hash")]
);

/// Audit entries. Only this program writes these rows, so on SQLite, too, the order of the texts is the
/// order of the times.
pub(super) const AUDIT_TRAIL: Step = {
    const SQL: (Sql, Sql) = counted!(
        "SELECT x.id AS id, 1 AS due, NULL AS place FROM auth_audit x \
         WHERE x.created_at < $1 AND $3 IS NULL ORDER BY x.created_at LIMIT $2",
        "SELECT x.id AS id, true AS due, x.created_at::text AS place FROM auth_audit x \
         WHERE x.created_at < $1 AND x.created_at >= COALESCE($3::text::timestamptz, '-infinity') \
         ORDER BY x.created_at LIMIT $2"
    );
    Step {
        name: "audit trail",
        keep: Duration::ZERO,
        find: Find::Due(SQL.0),
        count: SQL.1,
        delete: &[delete!("auth_audit", "id")],
    }
};

/// All steps except the audit trail, in order: referencing rows before referenced rows.
pub(super) const STEPS: &[Step] = &[
    // an hour, so that a late poll gets `expired_token` (RFC 8628 §3.5)
    due!(
        "device authorizations",
        Duration::hours(1),
        "oauth_device_authorisations",
        "id",
        &[
            delete!("auth_device_origins", "device_id"),
            delete!("auth_shown_consents", "request_id"),
            delete!("oauth_device_authorisations", "id"),
        ]
    ),
    due!(
        "authorization requests",
        Duration::ZERO,
        "oauth_authorisation_requests",
        "id",
        &[
            // details of an approved request belong to the code
            delete!(
                "auth_request_details",
                "request_id",
                " AND (SELECT k.id FROM oauth_authorisation_codes k \
                 WHERE k.id = auth_request_details.code_id) IS NULL"
            ),
            delete!("auth_shown_consents", "request_id"),
            delete!("oauth_authorisation_requests", "id"),
        ]
    ),
    PENDING_REQUESTS,
    due!(
        "authorization codes",
        CODES,
        "oauth_authorisation_codes",
        "id",
        &[
            note_used_registrations!("oauth_authorisation_codes"),
            delete!(
                "auth_request_details",
                "code_id",
                " AND (SELECT q.id FROM oauth_authorisation_requests q \
                 WHERE q.id = auth_request_details.request_id) IS NULL"
            ),
            delete!("oauth_authorisation_codes", "id"),
        ]
    ),
    REFRESH_TOKENS,
    UNUSED_REGISTRATIONS,
    UNUSED_DOCUMENTS,
    due!(
        "revoked access tokens",
        Duration::ZERO,
        "auth_revoked_tokens",
        "jti",
        &[delete!("auth_revoked_tokens", "jti")]
    ),
    due!(
        "failures of device cookies",
        Duration::ZERO,
        "auth_device_failures",
        "device_id",
        &[delete!("auth_device_failures", "device_id")]
    ),
    due!(
        "client assertions",
        Duration::ZERO,
        "auth_assertions",
        "assertion_hash",
        &[delete!("auth_assertions", "assertion_hash")]
    ),
    due!(
        "remote authorization flows",
        Duration::days(1),
        "oauth_remote_authorisation_flows",
        "id",
        &[
            delete!("auth_remote_flows", "flow_id"),
            delete!("oauth_remote_authorisation_flows", "id"),
        ]
    ),
    due!(
        "sessions",
        Duration::days(7),
        "sessions",
        "id",
        &[
            delete!("auth_sessions", "session_id"),
            delete!("sessions", "id"),
        ]
    ),
    GRANTS_WITHOUT_TOKENS,
    REVOCATIONS,
    // Side rows with parents that a Storyden or an operator deleted.
    walk!(
        "device origins",
        ("auth_device_origins", "device_id"),
        "(SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.device_id) IS NULL",
        &[delete!("auth_device_origins", "device_id")]
    ),
    walk!(
        "remote authorization details",
        ("auth_remote_flows", "flow_id"),
        "(SELECT f.id FROM oauth_remote_authorisation_flows f WHERE f.id = x.flow_id) IS NULL",
        &[delete!("auth_remote_flows", "flow_id")]
    ),
    walk!(
        "request details",
        ("auth_request_details", "request_id"),
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL",
        &[delete!("auth_request_details", "request_id")]
    ),
    walk!(
        "shown consents",
        ("auth_shown_consents", "request_id"),
        "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.id = x.request_id) IS NULL \
         AND (SELECT d.id FROM oauth_device_authorisations d WHERE d.id = x.request_id) IS NULL",
        &[delete!("auth_shown_consents", "request_id")]
    ),
    walk!(
        "refresh token memberships",
        ("auth_refresh_tokens", "token_id"),
        "(SELECT t.id FROM oauth_refresh_tokens t WHERE t.id = x.token_id) IS NULL",
        &[delete!("auth_refresh_tokens", "token_id")]
    ),
    walk!(
        "session details",
        ("auth_sessions", "session_id"),
        "(SELECT s.id FROM sessions s WHERE s.id = x.session_id) IS NULL",
        &[delete!("auth_sessions", "session_id")]
    ),
    walk!(
        "client details",
        ("auth_clients", "client_id"),
        "(SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NULL",
        &[delete_without_client!()]
    ),
];
