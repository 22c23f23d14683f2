//! Grants of the client credentials grant type (RFC 6749 §4.4): a row of `auth_grants` per client and
//! owner. The client's first token creates the grant; every token names the grant in `gid` until the
//! grant is revoked.

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, WithAccount};
use super::clients::{Client, IS_NOT_DELETED};
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::lookup::{Lookup, lookup};
use super::open_revocations::{GRANT_ENDED, NEWEST_REVOCATION};
use super::row::row;
use super::sql::{IDS, Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, GrantId};
use crate::oauth::auth_method::AuthMethod;

/// The owner of a client, and the grant for the client's next token.
#[derive(Debug)]
pub struct ClientCredentialsGrant {
    /// The owner, with current permissions.
    pub owner: Account,
    /// The live grant; `None` before the first token and after a revocation.
    pub grant: Option<GrantId>,
    /// The credentials stored now.
    stored: Credentials,
}

/// The stored credentials of a client.
#[derive(Debug)]
struct Credentials {
    /// The hash of the secret.
    secret: Option<String>,
    /// The hash of the secret before the last rotation, during the overlap.
    old_secret: Option<String>,
    /// Time of the last change of the client, which may be a change of the keys.
    changed_at: Timestamp,
}

impl ClientCredentialsGrant {
    /// Returns true unless the secret or the keys were replaced after the client was read and authenticated.
    #[must_use]
    pub fn uses_current_credentials(&self, client: &Client) -> bool {
        if uses_keys(client) {
            return client.updated_at == self.stored.changed_at;
        }
        let read = &client.secret_hash;
        *read == self.stored.secret || (read.is_some() && *read == self.stored.old_secret)
    }
}

/// True if the client authenticates with its keys only.
fn uses_keys(client: &Client) -> bool {
    client.auth_method == Some(AuthMethod::PrivateKeyJwt)
}

struct ClientCredentialsGrantRow {
    grant_id: Option<GrantId>,
    secret_hash: Option<String>,
    old_secret_hash: Option<String>,
    changed_at: Timestamp,
}

row!(ClientCredentialsGrantRow: grant_id, secret_hash, old_secret_hash, changed_at);

/// Finds the owner and the live grant of a client; `None` for a client without an owner.
pub async fn find(db: &Db, client: &ClientRowId) -> Result<Option<ClientCredentialsGrant>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT "g.id AS grant_id, c.client_secret_hash AS secret_hash, \
         y.old_secret_hash AS old_secret_hash, c.updated_at AS changed_at, ",
        ACCOUNT_COLUMNS;
        FROM "oauth_clients c JOIN accounts a ON a.id = c.account_id \
         LEFT JOIN auth_clients y ON y.client_id = c.id \
         LEFT JOIN auth_grants g ON g.client_id = c.id AND g.account_id = c.account_id \
         AND g.client_credentials AND g.revoked_at IS NULL AND NOT ",
        GRANT_ENDED,
        " ",
        ACCOUNT_ROLES,
        " WHERE c.id = ", [1]
    );
    let rows = db.look_up(FIND, &[Some(client.as_str())]).await?;
    let found = WithAccount::<ClientCredentialsGrantRow>::decode(&rows)?;
    let Some(WithAccount {
        row,
        account: owner,
    }) = found
    else {
        return Ok(None);
    };
    Ok(Some(ClientCredentialsGrant {
        owner,
        grant: row.grant_id,
        stored: Credentials {
            secret: row.secret_hash,
            old_secret: row.old_secret_hash,
            changed_at: row.changed_at,
        },
    }))
}

/// A grant to insert.
#[derive(Clone, Debug)]
pub struct NewClientCredentialsGrant {
    grant: GrantId,
    client: ClientRowId,
    owner: AccountId,
    secret_hash: Option<String>,
    /// Time of the last change, for a client that authenticates with keys.
    keys_of: Option<Timestamp>,
    now: Timestamp,
}

impl ClientCredentialsGrant {
    /// Builds the grant for a client's first token.
    #[must_use]
    pub fn first(&self, client: &Client, now: Timestamp) -> NewClientCredentialsGrant {
        NewClientCredentialsGrant {
            grant: GrantId::generate(now),
            client: client.row_id.clone(),
            owner: self.owner.id.clone(),
            secret_hash: self.stored.secret.clone(),
            keys_of: uses_keys(client).then_some(self.stored.changed_at),
            now,
        }
    }
}

/// Inserts a grant and returns the id.
///
/// # Errors
/// [`Error::RaceLost`] if a concurrent request inserted the grant first, or the secret or the keys were
/// replaced meanwhile.
pub async fn insert(tx: &mut Tx, new: &NewClientCredentialsGrant) -> Result<GrantId> {
    // `FOR SHARE` conflicts with the UPDATE of a secret rotation and of a change of the keys, `FOR
    // KEY SHARE` with a revocation by account.
    const LOCK: Sql = sql!(
        "SELECT c.updated_at FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 \
         AND c.client_secret_hash IS NOT DISTINCT FROM $3 AND ",
        IS_NOT_DELETED,
        ("", " FOR SHARE OF c FOR KEY SHARE OF a")
    );
    // A live row covered by an open revocation would violate the unique index: revoke that row first.
    const END_COVERED: Sql = sql!(
        "UPDATE auth_grants AS g SET revoked_at = $3 WHERE g.client_id = $1 \
         AND g.account_id = $2 AND g.client_credentials AND g.revoked_at IS NULL AND ",
        GRANT_ENDED
    );
    let (client, owner) = (&new.client, &new.owner);
    let parameters = [client.into(), owner.into(), new.secret_hash.clone().into()];
    let changed_at: Option<Timestamp> = tx.fetch_optional(LOCK, &parameters).await?;
    let changed_at = changed_at.ok_or(Error::RaceLost)?;
    if new.keys_of.is_some_and(|read_at| read_at != changed_at) {
        return Err(Error::RaceLost);
    }
    tx.execute(END_COVERED, &[client.into(), owner.into(), new.now.into()])
        .await?;
    let inserted = tx
        .execute(
            sql!(
                "INSERT INTO auth_grants (id, account_id, client_id, created_at, \
                 client_credentials, revocation_id) VALUES ($1, $2, $3, $4, true, ",
                NEWEST_REVOCATION,
                ") ON CONFLICT DO NOTHING"
            ),
            &[
                (&new.grant).into(),
                owner.into(),
                client.into(),
                new.now.into(),
            ],
        )
        .await?;
    if inserted == 0 {
        return Err(Error::RaceLost);
    }
    Ok(new.grant.clone())
}

/// Revokes a client's client credentials grant, for example when the secret is replaced. Grants that
/// members approved stay. Returns true if there was a live grant.
pub async fn end(
    tx: &mut Tx,
    client: &ClientRowId,
    because: &'static str,
    now: Timestamp,
) -> Result<bool> {
    let ended = tx
        .execute(
            "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3 \
             WHERE client_id = $1 AND client_credentials AND revoked_at IS NULL",
            &[client.into(), now.into(), because.into()],
        )
        .await?;
    Ok(ended > 0)
}

/// Revokes the own grants of several clients. `clients` is the JSON list of the row ids.
pub(super) async fn end_all(
    tx: &mut Tx,
    clients: Value,
    because: &'static str,
    now: Timestamp,
) -> Result<()> {
    const SQL: Sql = sql!(
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3 WHERE client_id IN ",
        IDS,
        " AND client_credentials AND revoked_at IS NULL"
    );
    tx.execute(SQL, &[clients, now.into(), because.into()])
        .await?;
    Ok(())
}
