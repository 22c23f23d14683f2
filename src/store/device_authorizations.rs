//! Device authorizations (RFC 8628): `oauth_device_authorisations`, and the origin of the requests in
//! `auth_device_origins`.

use super::accounts::{ACCOUNT_COLUMNS, ACCOUNT_ROLES, Account, WithAccount};
use super::clients::{CLIENT_COLUMNS, Client, ClientColumns, IS_NOT_DELETED};
use super::db::{Db, Tx};
use super::error::Result;
use super::lookup::{Lookup, lookup};
use super::open_revocations::{DEVICE_ENDED, NEWEST_REVOCATION};
use super::row::row;
use super::shown_consents::{SHOWN_COLUMNS, ShownColumns, ShownConsent};
use super::sql::{Sql, sql};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, DeviceAuthorizationId};
use crate::oauth::device_grant::{DeviceDecision, DeviceGrant};
use crate::secret::SecretHash;

/// A device authorization for the polling device.
#[derive(Clone, Debug)]
pub struct PolledDevice {
    /// Row id.
    pub id: DeviceAuthorizationId,
    /// The client that started the device authorization.
    pub client: ClientRowId,
    /// State, for the result of a poll; with the account that approved and its current permissions.
    pub grant: DeviceGrant<Account>,
    /// Requested scope; after approval, granted scope.
    pub scope: String,
}

/// The columns of the state of the device authorization `d`.
const GRANT_COLUMNS: Sql = Sql::same(
    "d.id AS device_id, d.scope, d.expires_at, d.poll_interval_seconds, d.last_polled_at, \
     d.denied_at, d.consumed_at, d.approved_at",
);

struct GrantColumns {
    device_id: DeviceAuthorizationId,
    scope: String,
    expires_at: Timestamp,
    poll_interval_seconds: i64,
    last_polled_at: Option<Timestamp>,
    denied_at: Option<Timestamp>,
    consumed_at: Option<Timestamp>,
    approved_at: Option<Timestamp>,
}

row!(GrantColumns:
    device_id, scope, expires_at, poll_interval_seconds, last_polled_at, denied_at, consumed_at,
    approved_at
);

impl GrantColumns {
    /// Builds the state. `account` is the account that approved; `None` if there is no such account.
    fn grant<A>(&self, revoked: bool, account: Option<A>) -> DeviceGrant<A> {
        DeviceGrant {
            expires_at: self.expires_at,
            interval_seconds: self.poll_interval_seconds,
            last_polled_at: self.last_polled_at,
            decision: match account {
                _ if self.consumed_at.is_some() => DeviceDecision::Consumed,
                _ if revoked || self.denied_at.is_some() => DeviceDecision::Denied,
                _ if self.approved_at.is_none() => DeviceDecision::Undecided,
                Some(account) => DeviceDecision::Approved(account),
                None => DeviceDecision::ApproverGone,
            },
        }
    }
}

struct PolledRow {
    device_client_id: ClientRowId,
    /// True if an open revocation covers the approval; the device then gets `access_denied`.
    revoked: Flag,
    columns: GrantColumns,
}

row!(PolledRow: device_client_id, revoked; columns);

/// Finds a device authorization by the hash of the device code.
pub async fn find_by_device_code(
    db: &Db,
    device_code: &SecretHash,
) -> Result<Option<PolledDevice>> {
    const FIND: Lookup = lookup!(
        1 key: SELECT "d.client_id AS device_client_id, ", DEVICE_ENDED, " AS revoked, ", GRANT_COLUMNS, ", ", ACCOUNT_COLUMNS;
        FROM "oauth_device_authorisations d LEFT JOIN accounts a ON a.id = d.approved_by_account_id ",
        ACCOUNT_ROLES, " WHERE d.device_code_hash = ", [1]
    );
    let rows = db.look_up(FIND, &[Some(device_code.as_str())]).await?;
    let found = WithAccount::<PolledRow, _>::optional(&rows)?;
    Ok(found.map(|WithAccount { row, account }| PolledDevice {
        grant: row.columns.grant(row.revoked.0, account),
        id: row.columns.device_id,
        client: row.device_client_id,
        scope: row.columns.scope,
    }))
}

/// A device authorization for the member with the user code.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    /// Row id.
    pub id: DeviceAuthorizationId,
    /// The client that started the device authorization.
    pub client: Client,
    /// State, without the account that approved.
    pub grant: DeviceGrant<()>,
    /// Requested scope.
    pub scope: String,
    /// User code in display form.
    pub user_code: String,
    /// The first account that opened the request.
    pub claimed_by: Option<AccountId>,
    /// Time of the device authorization request.
    pub created_at: Timestamp,
    /// Remote address of the device, if known.
    pub address: Option<String>,
    /// `User-Agent` of the device, unverified.
    pub user_agent: Option<String>,
    /// The scopes and the client that the consent page showed; `None` until this server shows the page.
    pub shown: Option<ShownConsent>,
}

struct RequestRow {
    user_code_display: String,
    claimed_by_account_id: Option<AccountId>,
    device_created_at: Timestamp,
    address: Option<String>,
    user_agent: Option<String>,
    shown: ShownColumns,
    columns: GrantColumns,
    client: ClientColumns,
}

row!(RequestRow:
    user_code_display, claimed_by_account_id, device_created_at, address, user_agent; shown,
    columns, client
);

/// Finds a device authorization by the hash of the user code.
pub async fn find_by_user_code(db: &Db, user_code: &SecretHash) -> Result<Option<DeviceRequest>> {
    const SQL: Sql = sql!(
        "SELECT d.user_code_display, d.claimed_by_account_id, d.created_at AS device_created_at, \
         o.address, o.user_agent, ",
        SHOWN_COLUMNS,
        ", ",
        GRANT_COLUMNS,
        ", ",
        CLIENT_COLUMNS,
        " FROM oauth_device_authorisations d JOIN oauth_clients c ON c.id = d.client_id \
         LEFT JOIN auth_device_origins o ON o.device_id = d.id \
         LEFT JOIN auth_shown_consents s ON s.request_id = d.id WHERE d.user_code_hash = $1 AND ",
        IS_NOT_DELETED
    );
    let row: Option<RequestRow> = db.fetch_optional(SQL, &[user_code.into()]).await?;
    Ok(row.map(|row| DeviceRequest {
        grant: row.columns.grant(false, Some(())),
        id: row.columns.device_id,
        client: row.client.into(),
        scope: row.columns.scope,
        user_code: row.user_code_display,
        claimed_by: row.claimed_by_account_id,
        created_at: row.device_created_at,
        address: row.address,
        user_agent: row.user_agent,
        shown: row.shown.into(),
    }))
}

/// A new device authorization.
#[derive(Clone, Debug)]
pub struct NewDevice {
    /// Row id.
    pub id: DeviceAuthorizationId,
    /// Hash of the device code.
    pub device_code: SecretHash,
    /// Hash of the user code.
    pub user_code: SecretHash,
    /// User code in display form.
    pub user_code_display: String,
    /// Requested scope.
    pub scope: String,
    /// The client.
    pub client: ClientRowId,
    /// Polling interval, in seconds.
    pub interval_seconds: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// Expiry of both codes.
    pub expires_at: Timestamp,
    /// Remote address of the device.
    pub address: String,
    /// `User-Agent` of the device, unverified.
    pub user_agent: Option<String>,
}

/// Inserts a device authorization.
///
/// # Errors
/// [`super::Error::Taken`] if the device code or user code is in use, [`super::Error::Gone`] if the
/// client was deleted.
pub async fn insert(tx: &mut Tx, new: &NewDevice) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_device_authorisations (id, created_at, device_code_hash, user_code_hash, \
         user_code_display, scope, expires_at, poll_interval_seconds, client_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            (&new.id).into(),
            new.created_at.into(),
            (&new.device_code).into(),
            (&new.user_code).into(),
            new.user_code_display.as_str().into(),
            new.scope.as_str().into(),
            new.expires_at.into(),
            new.interval_seconds.into(),
            (&new.client).into(),
        ],
    )
    .await?;
    tx.execute(
        "INSERT INTO auth_device_origins (device_id, address, user_agent) VALUES ($1, $2, $3)",
        &[
            (&new.id).into(),
            new.address.as_str().into(),
            new.user_agent.clone().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Deletes the 100 oldest expired device authorizations, as Storyden does at each device start. The
/// limit keeps the request short; the clean-up job deletes the rest.
pub async fn delete_expired(db: &Db, now: Timestamp) -> Result<()> {
    const SQL: Sql = sql!(
        "DELETE FROM oauth_device_authorisations WHERE id IN (SELECT d.id \
         FROM oauth_device_authorisations d WHERE ",
        (
            "julianday(d.expires_at) < julianday($1) ORDER BY julianday(d.expires_at)",
            "d.expires_at < $1 ORDER BY d.expires_at",
        ),
        " LIMIT 100)"
    );
    db.execute(SQL, vec![now.into()]).await?;
    Ok(())
}

/// Claims a device authorization for the first account that opens the request; only that account may
/// decide. False if another account has the claim, or the request is already decided.
pub async fn claim(db: &Db, id: &DeviceAuthorizationId, account: &AccountId) -> Result<bool> {
    let changed = db
        .execute(
            "UPDATE oauth_device_authorisations SET claimed_by_account_id = $2 \
             WHERE id = $1 AND approved_at IS NULL AND denied_at IS NULL AND consumed_at IS NULL \
             AND (claimed_by_account_id IS NULL OR claimed_by_account_id = $2)",
            vec![id.into(), account.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Stores the name that the member gave the device.
pub async fn set_name(tx: &mut Tx, id: &DeviceAuthorizationId, name: &str) -> Result<()> {
    tx.execute(
        "UPDATE auth_device_origins SET name = $2 WHERE device_id = $1",
        &[id.into(), name.into()],
    )
    .await?;
    Ok(())
}

/// Marks a device authorization approved by the account with the claim, by compare and set. False if
/// already decided.
pub async fn approve(
    tx: &mut Tx,
    id: &DeviceAuthorizationId,
    account: &AccountId,
    scope: &str,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_device_authorisations \
             SET approved_at = $2, approved_by_account_id = $3, scope = $4 \
             WHERE id = $1 AND claimed_by_account_id = $3 AND approved_at IS NULL \
             AND denied_at IS NULL AND consumed_at IS NULL AND EXISTS \
             (SELECT 1 FROM accounts a WHERE a.id = $3 AND a.deleted_at IS NULL)",
            &[id.into(), now.into(), account.into(), scope.into()],
        )
        .await?;
    tx.execute(
        sql!(
            "UPDATE auth_device_origins SET revocation_id = ",
            NEWEST_REVOCATION,
            " WHERE device_id = $1"
        ),
        &[id.into()],
    )
    .await?;
    Ok(changed > 0)
}

/// Marks a device authorization denied by the account with the claim, by compare and set. False if
/// already decided.
pub async fn deny(
    tx: &mut Tx,
    id: &DeviceAuthorizationId,
    account: &AccountId,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_device_authorisations SET denied_at = $2 \
             WHERE id = $1 AND claimed_by_account_id = $3 AND approved_at IS NULL \
             AND denied_at IS NULL AND consumed_at IS NULL",
            &[id.into(), now.into(), account.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Marks a device authorization consumed, by compare and set. False if already consumed or denied, if a
/// revocation covers the approval, or if the account that approved is suspended.
pub async fn consume(tx: &mut Tx, id: &DeviceAuthorizationId, now: Timestamp) -> Result<bool> {
    const SQL: Sql = sql!(
        "UPDATE oauth_device_authorisations AS d SET consumed_at = $2, last_polled_at = $2 \
         WHERE d.id = $1 AND d.consumed_at IS NULL AND d.denied_at IS NULL \
         AND d.approved_at IS NOT NULL AND EXISTS (SELECT 1 FROM accounts a \
         WHERE a.id = d.approved_by_account_id AND a.deleted_at IS NULL) AND NOT ",
        DEVICE_ENDED
    );
    Ok(tx.execute(SQL, &[id.into(), now.into()]).await? > 0)
}

/// A poll of a device.
#[derive(Clone, Debug)]
pub struct DevicePoll {
    /// The device authorization.
    pub device: DeviceAuthorizationId,
    /// Time of the poll.
    pub at: Timestamp,
    /// Polling interval after the poll, in seconds.
    pub interval_seconds: i64,
}

/// Writes poll times and intervals in a single transaction, in the order of `polls`. A fixed order
/// prevents deadlocks between replicas that write the same rows.
pub async fn record_polls(tx: &mut Tx, polls: &[DevicePoll]) -> Result<()> {
    const SQL: Sql = Sql::new(
        "UPDATE oauth_device_authorisations SET last_polled_at = CASE \
         WHEN julianday(last_polled_at) >= julianday($2) THEN last_polled_at ELSE $2 END, \
         poll_interval_seconds = MAX(poll_interval_seconds, $3) WHERE id = $1 \
         AND (last_polled_at IS NULL OR julianday(last_polled_at) < julianday($2) \
         OR poll_interval_seconds < $3)",
        "UPDATE oauth_device_authorisations SET last_polled_at = GREATEST(last_polled_at, $2), \
         poll_interval_seconds = GREATEST(poll_interval_seconds, $3) WHERE id = $1 \
         AND (last_polled_at IS NULL OR last_polled_at < $2 OR poll_interval_seconds < $3)",
    );
    for poll in polls {
        let parameters = [
            (&poll.device).into(),
            poll.at.into(),
            poll.interval_seconds.into(),
        ];
        tx.execute(SQL, &parameters).await?;
    }
    Ok(())
}
