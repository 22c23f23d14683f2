//! The paged list of device authorizations for administrators (storyden-contract.md#administration).

use serde::Serialize;

use super::db::Db;
use super::error::Result;
use super::open_revocations::DEVICE_ENDED;
use super::paging::{ListSql, Page, Paged};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, DeviceAuthorizationId};

/// A device authorization in a list, without the device code.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthDeviceAuthorisationRecord)]
pub struct ListedDevice {
    /// Time of approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// The account that approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by_account_id: Option<AccountId>,
    /// Row id of the client that started the device authorization.
    pub client_id: ClientRowId,
    /// Time of token issuance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumed_at: Option<Timestamp>,
    /// Time of the device authorization request.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Time of denial or revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_at: Option<Timestamp>,
    /// Expiry of both codes.
    pub expires_at: Timestamp,
    /// Row id.
    pub id: DeviceAuthorizationId,
    /// Time of the last poll.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_polled_at: Option<Timestamp>,
    /// Polling interval, in seconds.
    pub poll_interval_seconds: i64,
    /// Requested scope; after approval, granted scope.
    pub scope: String,
    /// The user code; absent while a member could still enter the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code: Option<String>,
}

row!(ListedDevice:
    approved_at, approved_by_account_id, client_id, consumed_at, created_at, denied_at, expires_at,
    id, last_polled_at, poll_interval_seconds, scope, user_code
);

impl ListedDevice {
    /// True if a member with the user code may still approve or deny the request.
    #[must_use]
    pub fn awaits_decision(&self, now: Timestamp) -> bool {
        self.approved_at.is_none()
            && self.denied_at.is_none()
            && self.consumed_at.is_none()
            && now < self.expires_at
    }
}

/// State of a device authorization, as a filter value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waiting for a decision.
    Pending,
    /// Approved, no tokens issued.
    Approved,
    /// Denied or revoked.
    Denied,
    /// Tokens issued.
    Consumed,
    /// Expired without tokens.
    Expired,
}

impl Stage {
    /// All stages.
    pub const ALL: &[Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Consumed,
        Self::Expired,
    ];

    /// Name in a request and in the SQL of the list.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Consumed => "consumed",
            Self::Expired => "expired",
        }
    }

    /// Parses a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|stage| stage.name() == name)
    }
}

/// Filter of the list; a device authorization must match all given fields.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Account that claimed or approved.
    pub account: Option<AccountId>,
    /// Client that started the device authorization.
    pub client: Option<ClientRowId>,
    /// State.
    pub stage: Option<Stage>,
    /// True for the newest first.
    pub newest_first: bool,
}

const COUNT: Sql =
    Sql::same("SELECT COUNT(*) AS n FROM (SELECT 1 FROM oauth_device_authorisations d WHERE ");

const SELECT: Sql = sql!(
    "SELECT d.approved_at, d.approved_by_account_id, d.client_id, d.consumed_at, \
     d.created_at, CASE WHEN d.denied_at IS NULL AND d.consumed_at IS NULL \
         AND d.approved_at IS NOT NULL AND ",
    DEVICE_ENDED,
    " THEN (SELECT MAX(w.created_at) FROM auth_revocations w WHERE w.done_at IS NULL) \
     ELSE d.denied_at END AS denied_at, d.expires_at, d.id, d.last_polled_at, \
     d.poll_interval_seconds, d.scope, d.user_code_display AS user_code \
     FROM oauth_device_authorisations d WHERE "
);

/// Condition on the state, `$3`, at the current time, `$4`. States have the same precedence as at a poll.
const IN_STAGE: Sql = sql!(
    " AND NOT EXISTS (SELECT 1 FROM auth_revocations w WHERE w.done_at IS NULL \
         AND w.kind = 'client' AND w.client_id = d.client_id) \
     AND ($3 IS NULL OR $3 = CASE \
     WHEN d.consumed_at IS NOT NULL THEN 'consumed' \
     WHEN d.denied_at IS NOT NULL OR d.approved_at IS NOT NULL AND ",
    DEVICE_ENDED,
    " THEN 'denied' WHEN ",
    (
        "julianday(d.expires_at) <= julianday($4)",
        "d.expires_at <= $4"
    ),
    " THEN 'expired' WHEN d.approved_at IS NOT NULL THEN 'approved' ELSE 'pending' END)"
);

const COUNTED: Sql = sql!(IN_STAGE, " LIMIT $5) x");

const WHOLE: Sql = sql!(IN_STAGE, " LIMIT $5 OFFSET $6");

/// SQLite stores times as text with any UTC offset: compares instants, not texts.
const PAGE: Sql = sql!(
    IN_STAGE,
    (
        " ORDER BY julianday(d.created_at), d.id",
        " ORDER BY d.created_at, d.id"
    ),
    " LIMIT $5 OFFSET $6"
);

const PAGE_NEWEST: Sql = sql!(
    IN_STAGE,
    (
        " ORDER BY julianday(d.created_at) DESC, d.id DESC",
        " ORDER BY d.created_at DESC, d.id DESC"
    ),
    " LIMIT $5 OFFSET $6"
);

/// Builds the statements of a filter: oldest first, and newest first.
macro_rules! statements {
    ($filter:literal) => {{
        const FILTER: Sql = Sql::same($filter);
        const OLDEST: ListSql = ListSql {
            count: sql!(COUNT, FILTER, COUNTED),
            page: sql!(SELECT, FILTER, PAGE),
            whole: Some(sql!(SELECT, FILTER, WHOLE)),
        };
        const NEWEST: ListSql = ListSql {
            page: sql!(SELECT, FILTER, PAGE_NEWEST),
            ..OLDEST
        };
        [OLDEST, NEWEST]
    }};
}

/// The device authorizations of an account, `$1`. `$2` is the client.
const BY_ACCOUNT: [ListSql; 2] = statements!(
    "(d.claimed_by_account_id = $1 OR d.approved_by_account_id = $1) \
     AND ($2 IS NULL OR d.client_id = $2)"
);

const BY_CLIENT: [ListSql; 2] = statements!("$1 IS NULL AND d.client_id = $2");

const ALL: [ListSql; 2] = statements!("$1 IS NULL AND $2 IS NULL");

/// Lists a page of device authorizations, oldest first unless the filter says newest. The unpaged list has the order of the table, as
/// in Storyden.
pub async fn list(
    db: &Db,
    filter: &Filter,
    page: Page,
    now: Timestamp,
) -> Result<Paged<ListedDevice>> {
    let [oldest, newest] = match (filter.account.is_some(), filter.client.is_some()) {
        (true, _) => BY_ACCOUNT,
        (false, true) => BY_CLIENT,
        (false, false) => ALL,
    };
    let list = if filter.newest_first { newest } else { oldest };
    let parameters: Vec<Value> = vec![
        filter.account.as_ref().into(),
        filter.client.as_ref().into(),
        filter.stage.map(|stage| stage.name().to_owned()).into(),
        now.into(),
    ];
    list.fetch(db, parameters, page).await
}
