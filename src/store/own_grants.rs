//! Grants of the client credentials grant type (RFC 6749 §4.4): a row of `auth_grants` per client and
//! owner. The client's first token creates the grant; every token names the grant in `gid` until the
//! grant is revoked.

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::clients::{Client, is_not_deleted};
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::open_revocations::{grant_ended, newest_revocation};
use super::row::row;
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, GrantId};

/// The owner of a client, and the grant for the client's next token.
#[derive(Debug)]
pub struct ClientCredentialsGrant {
    /// The owner, with current permissions.
    pub owner: Account,
    /// The live grant; `None` before the first token and after a revocation.
    pub grant: Option<GrantId>,
    /// The secret hashes stored now.
    secret: Secret,
}

/// The hashes of a client's secrets.
#[derive(Debug)]
struct Secret {
    current: Option<String>,
    /// The secret before the last rotation, during the overlap.
    old: Option<String>,
}

impl ClientCredentialsGrant {
    /// Returns true unless the secret was replaced after the client was read and authenticated.
    #[must_use]
    pub fn uses_current_secret(&self, client: &Client) -> bool {
        let read = &client.secret_hash;
        *read == self.secret.current || (read.is_some() && *read == self.secret.old)
    }
}

struct ClientCredentialsGrantRow {
    grant_id: Option<GrantId>,
    secret_hash: Option<String>,
    old_secret_hash: Option<String>,
    owner: AccountColumns,
}

row!(ClientCredentialsGrantRow: grant_id, secret_hash, old_secret_hash; owner);

/// Finds the owner and the live grant of a client; `None` for a client without an owner.
pub async fn find(db: &Db, client: &ClientRowId) -> Result<Option<ClientCredentialsGrant>> {
    macro_rules! sql {
        ($engine:ident) => {
            concat!(
                "SELECT g.id AS grant_id, c.client_secret_hash AS secret_hash, \
                 y.old_secret_hash AS old_secret_hash, ",
                account_columns!(),
                " FROM oauth_clients c JOIN accounts a ON a.id = c.account_id \
                 LEFT JOIN auth_clients y ON y.client_id = c.id \
                 LEFT JOIN auth_grants g ON g.client_id = c.id AND g.account_id = c.account_id \
                 AND g.client_credentials AND g.revoked_at IS NULL AND NOT ",
                grant_ended!($engine, "g"),
                " ",
                account_roles!(),
                " WHERE c.id = $1"
            )
        };
    }
    let sql = db.pick(sql!(sqlite), sql!(postgres));
    let rows: Vec<ClientCredentialsGrantRow> = db.fetch_all(sql, &[client.into()]).await?;
    let owner = Account::from_rows(rows.iter().map(|row| &row.owner));
    let (Some(row), Some(owner)) = (rows.into_iter().next(), owner) else {
        return Ok(None);
    };
    Ok(Some(ClientCredentialsGrant {
        owner,
        grant: row.grant_id,
        secret: Secret {
            current: row.secret_hash,
            old: row.old_secret_hash,
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
    now: Timestamp,
}

impl ClientCredentialsGrant {
    /// Builds the grant for a client's first token.
    #[must_use]
    pub fn first(&self, client: &ClientRowId, now: Timestamp) -> NewClientCredentialsGrant {
        NewClientCredentialsGrant {
            grant: GrantId::generate(now),
            client: client.clone(),
            owner: self.owner.id.clone(),
            secret_hash: self.secret.current.clone(),
            now,
        }
    }
}

/// Inserts a grant and returns the id.
///
/// # Errors
/// [`Error::RaceLost`] if a concurrent request inserted the grant first, or the secret was replaced
/// meanwhile.
pub async fn insert(tx: &mut Tx, new: &NewClientCredentialsGrant) -> Result<GrantId> {
    // `FOR SHARE` conflicts with the UPDATE of a secret rotation, `FOR KEY SHARE` with a
    // revocation by account.
    let lock = tx.pick(
        concat!(
            "SELECT c.id FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 \
             AND c.client_secret_hash IS NOT DISTINCT FROM $3 AND ",
            is_not_deleted!("c")
        ),
        concat!(
            "SELECT c.id FROM oauth_clients c, accounts a WHERE c.id = $1 AND a.id = $2 \
             AND c.client_secret_hash IS NOT DISTINCT FROM $3 AND ",
            is_not_deleted!("c"),
            " FOR SHARE OF c FOR KEY SHARE OF a"
        ),
    );
    let (client, owner) = (&new.client, &new.owner);
    let parameters = [client.into(), owner.into(), new.secret_hash.clone().into()];
    let row: Option<ClientRowId> = tx.fetch_optional(lock, &parameters).await?;
    row.ok_or(Error::RaceLost)?;
    // A live row covered by an open revocation would violate the unique index: revoke that row first.
    macro_rules! end_covered {
        ($engine:ident) => {
            concat!(
                "UPDATE auth_grants AS g SET revoked_at = $3 WHERE g.client_id = $1 \
                 AND g.account_id = $2 AND g.client_credentials AND g.revoked_at IS NULL AND ",
                grant_ended!($engine, "g")
            )
        };
    }
    let end = tx.pick(end_covered!(sqlite), end_covered!(postgres));
    tx.execute(end, &[client.into(), owner.into(), new.now.into()])
        .await?;
    let inserted = tx
        .execute(
            concat!(
                "INSERT INTO auth_grants (id, account_id, client_id, created_at, \
                 client_credentials, revocation_id) VALUES ($1, $2, $3, $4, true, ",
                newest_revocation!(),
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
    let sql = tx.pick(
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3 \
         WHERE client_id IN (SELECT value FROM json_each(CAST($1 AS TEXT))) \
         AND client_credentials AND revoked_at IS NULL",
        "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3 \
         WHERE client_id IN (SELECT jsonb_array_elements_text($1)) \
         AND client_credentials AND revoked_at IS NULL",
    );
    tx.execute(sql, &[clients, now.into(), because.into()])
        .await?;
    Ok(())
}
