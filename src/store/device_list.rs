//! The device authorizations that administrators see (contract 15).

use serde::Serialize;

use super::db::Db;
use super::error::Result;
use super::open_revocations::device_ended;
use super::paging::{Page, Pages, Total};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId, DeviceAuthorizationId};

/// A device authorization as it is listed; the device code is nowhere.
#[derive(Debug, Serialize, sqlx::FromRow, utoipa::ToSchema)]
#[schema(as = OAuthDeviceAuthorisationRecord)]
pub struct ListedDevice {
    /// When somebody approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Timestamp>,
    /// Who that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by_account_id: Option<AccountId>,
    /// The row of the client that started it.
    pub client_id: ClientRowId,
    /// When tokens were issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumed_at: Option<Timestamp>,
    /// When it was started.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// When somebody denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_at: Option<Timestamp>,
    /// When its codes end.
    pub expires_at: Timestamp,
    /// Its row.
    pub id: DeviceAuthorizationId,
    /// When its device polled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_polled_at: Option<Timestamp>,
    /// Seconds between polls.
    pub poll_interval_seconds: i64,
    /// What was asked or, once approved, granted.
    pub scope: String,
    /// The code that its person enters; left out where it could still be entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_code: Option<String>,
}

impl ListedDevice {
    /// Whether a person who knows the user code may still decide it.
    #[must_use]
    pub fn awaits_decision(&self, now: Timestamp) -> bool {
        self.approved_at.is_none()
            && self.denied_at.is_none()
            && self.consumed_at.is_none()
            && now < self.expires_at
    }
}

/// How far a device authorization is, in the words of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has decided yet.
    Pending,
    /// Somebody said yes, and no tokens were issued yet.
    Approved,
    /// Somebody said no.
    Denied,
    /// Tokens were issued.
    Consumed,
    /// Its time ran out before that.
    Expired,
}

impl Stage {
    /// Every stage.
    pub const ALL: &[Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Denied,
        Self::Consumed,
        Self::Expired,
    ];

    /// Its name in a request and in the statement below.
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

    /// The stage of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|stage| stage.name() == name)
    }
}

/// Which device authorizations are listed: those that fit everything that is named.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Claimed or approved by this account.
    pub account: Option<AccountId>,
    /// Started by this client.
    pub client: Option<ClientRowId>,
    /// As far as this.
    pub stage: Option<Stage>,
}

/// The parameters of [`Filter`] and the time, `$4`; the stages in the order in which a poll sees them.
macro_rules! filtered {
    ($engine:ident, $expired:literal) => {
        concat!(
            " FROM oauth_device_authorisations d \
             WHERE ($1 IS NULL OR d.claimed_by_account_id = $1 OR d.approved_by_account_id = $1) \
             AND ($2 IS NULL OR d.client_id = $2) \
             AND NOT EXISTS (SELECT 1 FROM auth_revocations w WHERE w.done_at IS NULL \
                 AND w.kind = 'client' AND w.client_id = d.client_id) \
             AND ($3 IS NULL OR $3 = CASE \
             WHEN d.consumed_at IS NOT NULL THEN 'consumed' \
             WHEN d.denied_at IS NOT NULL OR d.approved_at IS NOT NULL AND ",
            device_ended!($engine, "d"),
            " THEN 'denied' WHEN ",
            $expired,
            " THEN 'expired' WHEN d.approved_at IS NOT NULL THEN 'approved' ELSE 'pending' END)"
        )
    };
}

macro_rules! filtered_sqlite {
    () => {
        filtered!(sqlite, "julianday(d.expires_at) <= julianday($4)")
    };
}

macro_rules! filtered_postgres {
    () => {
        filtered!(postgres, "d.expires_at <= $4")
    };
}

macro_rules! listed {
    ($engine:ident, $filtered:expr, $order:literal) => {
        concat!(
            "SELECT d.approved_at, d.approved_by_account_id, d.client_id, d.consumed_at, \
             d.created_at, CASE WHEN d.denied_at IS NULL AND d.consumed_at IS NULL \
                 AND d.approved_at IS NOT NULL AND ",
            device_ended!($engine, "d"),
            " THEN (SELECT MAX(w.created_at) FROM auth_revocations w WHERE w.done_at IS NULL) \
             ELSE d.denied_at END AS denied_at, d.expires_at, d.id, d.last_polled_at, \
             d.poll_interval_seconds, d.scope, d.user_code_display AS user_code",
            $filtered,
            $order,
            " LIMIT $5 OFFSET $6"
        )
    };
}

/// A page of device authorizations, oldest first; the whole list in the order of the table, as a
/// Storyden lists it.
pub async fn list(
    db: &Db,
    filter: &Filter,
    page: Page,
    now: Timestamp,
) -> Result<(Vec<ListedDevice>, Pages)> {
    let mut parameters: Vec<Value> = vec![
        filter.account.as_ref().into(),
        filter.client.as_ref().into(),
        filter.stage.map(|stage| stage.name().to_owned()).into(),
        now.into(),
    ];
    let count = db.pick(
        concat!("SELECT COUNT(*) AS n", filtered_sqlite!()),
        concat!("SELECT COUNT(*) AS n", filtered_postgres!()),
    );
    let total: Total = db.fetch_one(count, &parameters).await?;
    parameters.extend(page.bounds());
    let list = if page.is_whole() {
        db.pick(
            listed!(sqlite, filtered_sqlite!(), ""),
            listed!(postgres, filtered_postgres!(), ""),
        )
    } else {
        // SQLite holds text with the offset of its writer, so instants are compared
        db.pick(
            listed!(
                sqlite,
                filtered_sqlite!(),
                " ORDER BY julianday(d.created_at), d.id"
            ),
            listed!(
                postgres,
                filtered_postgres!(),
                " ORDER BY d.created_at, d.id"
            ),
        )
    };
    let devices: Vec<ListedDevice> = db.fetch_all(list, &parameters).await?;
    let pages = page.of(total.n, devices.len());
    Ok((devices, pages))
}
