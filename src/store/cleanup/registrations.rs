//! Clean-up of unused clients without an owner: dynamic registrations and metadata document clients.

use time::Duration;

use super::step::{DAILY, DUE_IF, Delete, END_IF, HOURLY, PLACE, Step, search};
use crate::store::sql::{IDS, Sql, sql};

/// Retention of a client from a metadata document without references. The row changes whenever the
/// document is read.
const UNUSED_DOCUMENT: Duration = Duration::days(7);

/// Begins a statement that marks the dynamic registrations behind codes, grants or tokens as used, before
/// these rows are deleted: a used registration is kept. The row ids of the clients follow, then [`AS_USED`].
pub(super) const MARK_CLIENTS: Sql = Sql::same(
    "INSERT INTO auth_clients (client_id, used) SELECT c.id, true FROM oauth_clients c \
     WHERE c.account_id IS NULL \
     AND NOT EXISTS (SELECT 1 FROM auth_clients y WHERE y.client_id = c.id AND y.used) AND c.id IN ",
);

pub(super) const AS_USED: Sql = Sql::same(" ON CONFLICT (client_id) DO UPDATE SET used = true");

/// Condition: client `c` has no grant, code or token.
const WITHOUT_GRANTS: Sql = Sql::same(
    "(SELECT g.id FROM auth_grants g WHERE g.client_id = c.id LIMIT 1) IS NULL \
     AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.client_id = c.id LIMIT 1) IS NULL \
     AND (SELECT t.id FROM oauth_refresh_tokens t WHERE t.client_id = c.id LIMIT 1) IS NULL",
);

/// Condition: no authorization request and no device authorization refers to the client `c`.
const WITHOUT_REQUESTS: Sql = Sql::same(
    "(SELECT q.id FROM oauth_authorisation_requests q WHERE q.client_id = c.id LIMIT 1) IS NULL \
     AND (SELECT d.id FROM oauth_device_authorisations d WHERE d.client_id = c.id LIMIT 1) IS NULL",
);

/// Condition: the dynamic registration `c` is unused. No owner, this server's prefix, no code, grant or
/// token, now or earlier.
const IS_UNUSED_REGISTRATION: Sql = sql!(
    "c.account_id IS NULL AND c.client_id LIKE 'sdoak\\_%' ESCAPE '\\' \
     AND (SELECT y.client_id FROM auth_clients y WHERE y.client_id = c.id AND y.used) IS NULL AND ",
    WITHOUT_GRANTS
);

/// Condition: client `c` from a metadata document has no code, grant, token, consent or request.
const IS_UNUSED_DOCUMENT: Sql = sql!(
    "c.account_id IS NULL \
     AND (SELECT y.confirmed_at FROM auth_clients y WHERE y.client_id = c.id) IS NOT NULL AND ",
    WITHOUT_GRANTS,
    " AND (SELECT n.id FROM auth_consents n WHERE n.client_id = c.id LIMIT 1) IS NULL AND ",
    WITHOUT_REQUESTS
);

/// Ends a search for rows of unused registrations: at most 500 rows, so that the transaction stays short.
/// The registration is deleted once no such row is left.
const OF_UNUSED_REGISTRATIONS: Sql = sql!(
    " p JOIN oauth_clients c ON c.id = p.client_id WHERE c.id IN ",
    IDS,
    " AND ",
    IS_UNUSED_REGISTRATION,
    " ORDER BY p.id LIMIT 500)"
);

/// Authorization requests of unused registrations.
const REQUESTS: Sql = sql!(
    "(SELECT p.id FROM oauth_authorisation_requests",
    OF_UNUSED_REGISTRATIONS
);

/// Device authorizations of unused registrations.
const DEVICES: Sql = sql!(
    "(SELECT p.id FROM oauth_device_authorisations",
    OF_UNUSED_REGISTRATIONS
);

/// Deletes the side rows of deleted clients.
const DELETE_DETAILS: Delete = Delete::Ids(sql!(
    "DELETE FROM auth_clients WHERE client_id IN ",
    IDS,
    " AND (SELECT c.id FROM oauth_clients c WHERE c.id = auth_clients.client_id) IS NULL"
));

/// Unused dynamic registrations: kept for a day if made here, for seven days if made by a Storyden
/// (storyden-contract.md#clean-up).
pub(super) const UNUSED_REGISTRATIONS: Step = Step::walk(
    "unused registrations",
    Duration::ZERO,
    HOURLY,
    search!(
        "SELECT c.id AS id, ",
        DUE_IF,
        (
            "julianday(c.created_at) < julianday($1)",
            "c.created_at < $1"
        ),
        " - CASE WHEN (SELECT h.client_id FROM auth_clients h \
         WHERE h.client_id = c.id AND h.registered) IS NOT NULL THEN ",
        ("1 ELSE 7", "interval '1 day' ELSE interval '7 days'"),
        " END AND ",
        IS_UNUSED_REGISTRATION,
        END_IF,
        ", c.id AS place FROM oauth_clients c WHERE c.id > ",
        PLACE,
        " ORDER BY c.id LIMIT $2"
    ),
    &[
        Delete::Ids(sql!(
            "DELETE FROM auth_request_details WHERE request_id IN ",
            REQUESTS
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_shown_consents WHERE request_id IN ",
            REQUESTS
        )),
        Delete::Ids(sql!(
            "DELETE FROM oauth_authorisation_requests WHERE id IN ",
            REQUESTS
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_device_origins WHERE device_id IN ",
            DEVICES
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_shown_consents WHERE request_id IN ",
            DEVICES
        )),
        Delete::Ids(sql!(
            "DELETE FROM oauth_device_authorisations WHERE id IN ",
            DEVICES
        )),
        // The side row holds the mark of a used registration, so the client is deleted first.
        Delete::Ids(sql!(
            "DELETE FROM oauth_clients AS c WHERE c.id IN ",
            IDS,
            " AND ",
            IS_UNUSED_REGISTRATION,
            " AND ",
            WITHOUT_REQUESTS
        )),
        DELETE_DETAILS,
    ],
);

/// Clients from metadata documents without references.
pub(super) const UNUSED_DOCUMENTS: Step = Step::walk(
    "unused clients by document",
    UNUSED_DOCUMENT,
    HOURLY,
    search!(
        "SELECT c.id AS id, ",
        DUE_IF,
        (
            "julianday(c.updated_at) < julianday($1)",
            "c.updated_at < $1"
        ),
        " AND ",
        IS_UNUSED_DOCUMENT,
        END_IF,
        ", c.id AS place FROM oauth_clients c WHERE c.id > ",
        PLACE,
        " ORDER BY c.id LIMIT $2"
    ),
    &[
        Delete::IdsBefore(sql!(
            "DELETE FROM oauth_clients AS c WHERE c.id IN ",
            IDS,
            " AND ",
            (
                "julianday(c.updated_at) < julianday($2)",
                "c.updated_at < $2"
            ),
            " AND ",
            IS_UNUSED_DOCUMENT
        )),
        DELETE_DETAILS,
    ],
);

/// Side rows of clients that a Storyden or an operator deleted.
pub(super) const CLIENT_DETAILS: Step = Step::walk(
    "client details",
    Duration::ZERO,
    DAILY,
    search!(walk "auth_clients" by "client_id" due if
        "(SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NULL"),
    &[DELETE_DETAILS],
);
