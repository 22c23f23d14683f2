//! Clean-up of refresh tokens, grants and revocations.

use time::Duration;

use super::registrations::{AS_USED, MARK_CLIENTS};
use super::step::{DAILY, DUE_IF, Delete, END_IF, PLACE, Step, search};
use crate::store::delete_by_id;
use crate::store::sql::{IDS, sql};

/// Retention of an expired refresh token.
const TOKENS: Duration = Duration::days(7);

/// Retention of a grant without tokens: longer than any access token of the grant (at most 24 h).
const GRANTS: Duration = Duration::days(2);

/// The last tokens of chains, and the tokens before: a rotated token stays while the chain is live, so
/// that reuse is detected. `OFFSET 0` keeps PostgreSQL's planner from a hash of the whole table. A batch
/// deletes grants without tokens left; the rest of a long chain belongs to a later batch.
pub(super) const REFRESH_TOKENS: Step = Step::due(
    "refresh tokens",
    TOKENS,
    search!((
        "WITH RECURSIVE ending (id) AS (\
         SELECT y.id FROM (SELECT x.id FROM oauth_refresh_tokens x WHERE x.replaced_by_token_id IS NULL \
         AND julianday(x.expires_at) < julianday($1) \
         AND julianday(x.expires_at) >= COALESCE(julianday($3), 0) \
         ORDER BY julianday(x.expires_at) LIMIT $2) y \
         UNION ALL SELECT t.id FROM ending e CROSS JOIN oauth_refresh_tokens t \
         ON t.replaced_by_token_id = e.id WHERE julianday(t.expires_at) < julianday($1)) \
         SELECT id, 1 AS due, NULL AS place FROM ending LIMIT $2",
        "WITH RECURSIVE ending (id, expires_at) AS (\
         (SELECT x.id, x.expires_at FROM oauth_refresh_tokens x WHERE x.replaced_by_token_id IS NULL \
         AND x.expires_at < $1 AND x.expires_at >= COALESCE($3::text::timestamptz, '-infinity') \
         ORDER BY x.expires_at LIMIT $2) \
         UNION ALL SELECT t.id, e.expires_at FROM ending e CROSS JOIN LATERAL (\
         SELECT r.id FROM oauth_refresh_tokens r WHERE r.replaced_by_token_id = e.id \
         AND r.expires_at < $1 OFFSET 0) t) \
         SELECT id, true AS due, expires_at::text AS place FROM ending LIMIT $2"
    )),
    &[
        Delete::Ids(sql!(
            MARK_CLIENTS,
            "(SELECT k.client_id FROM oauth_refresh_tokens k WHERE k.id IN ",
            IDS,
            ")",
            AS_USED
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_grants WHERE id IN (SELECT m.grant_id FROM auth_refresh_tokens m \
             WHERE m.token_id IN ",
            IDS,
            ") AND (SELECT o.token_id FROM auth_refresh_tokens o \
             WHERE o.grant_id = auth_grants.id AND o.token_id NOT IN ",
            IDS,
            " LIMIT 1) IS NULL AND (SELECT k.id FROM oauth_authorisation_codes k \
             WHERE k.id = auth_grants.code_id) IS NULL"
        )),
        Delete::Ids(delete_by_id::MEMBERSHIPS),
        Delete::Ids(delete_by_id::REFRESH_TOKENS),
    ],
);

/// Grants without tokens: the client got no refresh token, or a different program deleted the tokens.
/// Retention counts from the revocation, if any: a grant of a deleted client has no refresh tokens
/// left, and the last access token may be minutes old. A live client credentials grant stays.
pub(super) const GRANTS_WITHOUT_TOKENS: Step = Step::walk(
    "grants",
    GRANTS,
    DAILY,
    search!(walk "auth_grants" by "id" due if
        (
            "julianday(x.created_at) < julianday($1) \
             AND (x.revoked_at IS NULL OR julianday(x.revoked_at) < julianday($1))",
            "x.created_at < $1 AND (x.revoked_at IS NULL OR x.revoked_at < $1)"
        ),
        " AND NOT (x.client_credentials AND x.revoked_at IS NULL \
             AND (SELECT c.id FROM oauth_clients c WHERE c.id = x.client_id) IS NOT NULL) \
         AND (SELECT m.token_id FROM auth_refresh_tokens m WHERE m.grant_id = x.id LIMIT 1) IS NULL \
         AND (SELECT k.id FROM oauth_authorisation_codes k WHERE k.id = x.code_id) IS NULL"),
    &[
        Delete::Ids(sql!(
            MARK_CLIENTS,
            "(SELECT k.client_id FROM auth_grants k WHERE k.id IN ",
            IDS,
            ")",
            AS_USED
        )),
        Delete::Ids(sql!(
            "DELETE FROM auth_grants WHERE id IN ",
            IDS,
            " AND (SELECT m.token_id FROM auth_refresh_tokens m WHERE m.grant_id = auth_grants.id \
             LIMIT 1) IS NULL"
        )),
    ],
);

/// Applied revocations. The newest row stays, so that SQLite does not reuse the number.
pub(super) const REVOCATIONS: Step = Step::due(
    "revocations",
    GRANTS,
    search!(
        (
            "SELECT CAST(x.id AS TEXT) AS id, 1 AS due, NULL AS place FROM auth_revocations x \
             WHERE julianday(x.done_at) < julianday($1) AND $3 IS NULL",
            "SELECT x.id::text AS id, true AS due, NULL::text AS place FROM auth_revocations x \
             WHERE x.done_at < $1 AND $3::text IS NULL"
        ),
        " AND x.id < (SELECT MAX(n.id) FROM auth_revocations n) ORDER BY x.id LIMIT $2"
    ),
    &[Delete::Ids(sql!(
        "DELETE FROM auth_revocations WHERE CAST(id AS TEXT) IN ",
        IDS
    ))],
);
