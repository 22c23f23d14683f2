//! Derived grants, `auth_derived_grants`: grants of resource servers that exchanged an access token (RFC 8693). A
//! derived grant is a row of `auth_grants`, and ends with each of its ancestors.

use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::GRANT_ENDED;
use super::sql::{Sql, sql};
use crate::clock::Timestamp;
use crate::ids::{ClientRowId, GrantId};

/// Begins a condition: a grant that another grant derives from is revoked. The id of the other grant and `)` follow.
pub(super) const ANCESTOR_ENDED: Sql = sql!(
    "EXISTS (SELECT 1 FROM auth_derived_grants d JOIN auth_grants g ON g.id = d.ancestor_id AND ",
    GRANT_ENDED,
    " WHERE d.grant_id = "
);

/// Finds a live grant of a client that derives directly from `parent` and was created after `since`.
pub async fn find(
    db: &Db,
    parent: &GrantId,
    client: &ClientRowId,
    since: Timestamp,
) -> Result<Option<GrantId>> {
    const SQL: Sql = sql!(
        "SELECT g.id FROM auth_derived_grants d JOIN auth_grants g ON g.id = d.grant_id \
         WHERE d.ancestor_id = $1 AND d.distance = 1 AND g.client_id = $2 AND ",
        (
            "julianday(g.created_at) > julianday($3)",
            "g.created_at > $3"
        ),
        " AND NOT ",
        GRANT_ENDED,
        " LIMIT 1"
    );
    db.fetch_optional(SQL, &[parent.into(), client.into(), since.into()])
        .await
}

/// Makes a new grant derive from `parent`, and from everything that `parent` derives from. The access key that
/// approved `parent` counts for the new grant too.
pub async fn derive(tx: &mut Tx, grant: &GrantId, parent: &GrantId) -> Result<()> {
    for sql in [
        "INSERT INTO auth_derived_grants (grant_id, ancestor_id, distance) VALUES ($1, $2, 1)",
        "INSERT INTO auth_derived_grants (grant_id, ancestor_id, distance) \
         SELECT $1, d.ancestor_id, d.distance + 1 FROM auth_derived_grants d WHERE d.grant_id = $2",
        "UPDATE auth_grants SET access_key_id = \
         (SELECT p.access_key_id FROM auth_grants p WHERE p.id = $2) WHERE id = $1",
    ] {
        tx.execute(sql, &[grant.into(), parent.into()]).await?;
    }
    Ok(())
}
