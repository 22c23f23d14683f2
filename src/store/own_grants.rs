//! The grants of clients that act for themselves (RFC 6749 §4.4): a row of `auth_grants` per client and
//! owner, made with the client's first token and named by all of them (`gid`) until it is ended.

use super::accounts::{Account, AccountColumns, account_columns, account_roles};
use super::clients::{Client, is_not_deleted};
use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::open_revocations::{grant_ended, newest_revocation};
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, GrantId};

/// The owner of a client, with the grant that the client's next token belongs to.
#[derive(Debug)]
pub struct OwnGrant {
    /// The owner, with what they hold now.
    pub owner: Account,
    /// The grant; none before the first token, and after a revocation.
    pub grant: Option<GrantId>,
    /// The secret that is stored now.
    secret: Secret,
}

/// The hashes of a client's secrets.
#[derive(Debug)]
struct Secret {
    current: Option<String>,
    /// Before the last rotation, while the overlap lasts.
    old: Option<String>,
}

impl OwnGrant {
    /// True unless the secret was replaced since the client was read and authenticated with it.
    #[must_use]
    pub fn is_of_the_same_secret(&self, client: &Client) -> bool {
        let read = &client.secret_hash;
        *read == self.secret.current || (read.is_some() && *read == self.secret.old)
    }
}

#[derive(sqlx::FromRow)]
struct OwnGrantRow {
    grant_id: Option<GrantId>,
    secret_hash: Option<String>,
    old_secret_hash: Option<String>,
    #[sqlx(flatten)]
    owner: AccountColumns,
}

/// The owner and the live grant of a client; `None` for a client without an owner.
pub async fn find(db: &Db, client: &ClientRowId) -> Result<Option<OwnGrant>> {
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
    let rows: Vec<OwnGrantRow> = db.fetch_all(sql, &[client.into()]).await?;
    let owner = Account::from_rows(rows.iter().map(|row| &row.owner));
    let (Some(row), Some(owner)) = (rows.into_iter().next(), owner) else {
        return Ok(None);
    };
    Ok(Some(OwnGrant {
        owner,
        grant: row.grant_id,
        secret: Secret {
            current: row.secret_hash,
            old: row.old_secret_hash,
        },
    }))
}

/// A grant to be made.
#[derive(Clone, Debug)]
pub struct NewOwnGrant {
    grant: GrantId,
    client: ClientRowId,
    owner: AccountId,
    secret_hash: Option<String>,
    now: Timestamp,
}

impl OwnGrant {
    /// The grant that a client's first token needs.
    #[must_use]
    pub fn first(self, client: &ClientRowId, now: Timestamp) -> NewOwnGrant {
        NewOwnGrant {
            grant: GrantId::generate(),
            client: client.clone(),
            owner: self.owner.id,
            secret_hash: self.secret.current,
            now,
        }
    }
}

#[derive(sqlx::FromRow)]
struct RowId {
    #[sqlx(rename = "id")]
    _id: ClientRowId,
}

/// Stores a grant; gives its id.
///
/// # Errors
/// [`Error::Lost`] when another request made one first, or the secret was replaced meanwhile.
pub async fn insert(tx: &mut Tx, new: &NewOwnGrant) -> Result<GrantId> {
    // SHARE conflicts with the UPDATE of a rotation, KEY SHARE with a revocation by account.
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
    let row: Option<RowId> = tx.fetch_optional(lock, &parameters).await?;
    row.ok_or(Error::Lost)?;
    // One that an open revocation covers makes room in the unique index.
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
        return Err(Error::Lost);
    }
    Ok(new.grant.clone())
}

/// Ends what a client got for itself, as when its secret is replaced: one row. What members approved
/// stays. True if there was a live grant.
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
