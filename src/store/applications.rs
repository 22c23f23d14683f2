//! Applications that a member has authorized: clients with a live grant or a live refresh token, issued
//! by this server or by Storyden, or with a remembered consent.

use std::collections::HashMap;

use super::clients::IS_NOT_DELETED;
use super::db::Db;
use super::error::Result;
use super::open_revocations::{GRANT_ENDED, REFRESH_TOKEN_ENDED};
use super::origins::StoredOrigin;
use super::paging::{Page, Paged};
use super::row::row;
use super::sql::{Sql, sql};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::scope::Scope;

/// An application that a member authorized.
#[derive(Clone, Debug)]
pub struct Application {
    /// Row id.
    pub row_id: ClientRowId,
    /// Client id.
    pub client_id: String,
    /// Name.
    pub name: String,
    /// Time of the first grant that is still live.
    pub first_granted_at: Timestamp,
    /// Time of the last code exchange or refresh.
    pub last_used_at: Timestamp,
    /// Union of the scopes of all live grants and of the remembered consent.
    pub scope: Scope,
    /// The newest live grants with a known origin.
    pub accesses: Vec<Access>,
}

/// A live grant of an application.
#[derive(Clone, Debug)]
pub struct Access {
    /// The browser that approved, or the device.
    pub origin: StoredOrigin,
    /// Time of the grant.
    pub granted_at: Timestamp,
    /// Time of the exchange or of the last refresh.
    pub last_used_at: Timestamp,
}

/// The credentials that a list of applications counts.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// Current time.
    pub now: Timestamp,
    /// Time after the exchange in which a grant without a refresh token counts as live.
    pub access_token_ttl: time::Duration,
    /// True if remembered consents count.
    pub consents: bool,
}

/// Condition: grant `g` was approved by a session, or by an access key that is live at `$2`.
const APPROVED_BY_LIVE_CREDENTIAL: Sql = sql!(
    "(g.access_key_id IS NULL OR EXISTS (SELECT 1 FROM authentications v \
     WHERE v.id = g.access_key_id AND NOT v.disabled AND (v.expires_at IS NULL OR ",
    (
        "julianday(v.expires_at) > julianday($2)",
        "v.expires_at > $2"
    ),
    ")))"
);

/// Live grants, refresh tokens and remembered consents, a row each: `$1` is the account, `$2` the current time,
/// `$3` the cut-off for grants without a refresh token, `$4` true if remembered consents count. Access tokens of
/// grants made before `$3` have expired.
const LIVE: Sql = sql!(
    "SELECT g.client_id, g.created_at AS given_at, \
     COALESCE(g.rotated_at, g.created_at) AS used_at, k.scope, g.address, g.user_agent, g.device_name \
     FROM auth_grants g LEFT JOIN oauth_authorisation_codes k ON k.id = g.code_id \
     WHERE g.account_id = $1 AND NOT g.client_credentials AND g.revoked_at IS NULL AND NOT ",
    GRANT_ENDED,
    " AND ",
    APPROVED_BY_LIVE_CREDENTIAL,
    " AND (",
    (
        "julianday(g.created_at) > julianday($3)",
        "g.created_at > $3"
    ),
    " OR EXISTS (SELECT 1 FROM auth_refresh_tokens m JOIN oauth_refresh_tokens r \
     ON r.id = m.token_id WHERE m.grant_id = g.id AND r.revoked_at IS NULL AND ",
    (
        "julianday(r.expires_at) > julianday($2)",
        "r.expires_at > $2"
    ),
    ")) UNION ALL \
     SELECT t.client_id, t.created_at AS given_at, t.created_at AS used_at, t.scope, ",
    NO_ORIGIN,
    " FROM oauth_refresh_tokens t WHERE t.account_id = $1 AND t.revoked_at IS NULL AND ",
    (
        "julianday(t.expires_at) > julianday($2)",
        "t.expires_at > $2"
    ),
    " AND NOT ",
    REFRESH_TOKEN_ENDED,
    " AND NOT EXISTS (SELECT 1 FROM auth_refresh_tokens m JOIN auth_grants g \
     ON g.id = m.grant_id WHERE m.token_id = t.id AND NOT ",
    APPROVED_BY_LIVE_CREDENTIAL,
    ") UNION ALL \
     SELECT n.client_id, n.approved_at AS given_at, n.used_at, n.scope, ",
    NO_ORIGIN,
    " FROM auth_consents n WHERE $4 AND n.account_id = $1 AND ",
    (
        "julianday(n.expires_at) > julianday($2)",
        "n.expires_at > $2"
    ),
    " AND n.client_epoch = COALESCE((SELECT y.consent_epoch FROM auth_clients y \
     WHERE y.client_id = n.client_id), 0)"
);

/// The origin of a row that is no grant.
const NO_ORIGIN: Sql = Sql::same(
    "CAST(NULL AS text) AS address, CAST(NULL AS text) AS user_agent, CAST(NULL AS text) AS device_name",
);

/// Maximum number of grants of an application that are listed.
const ACCESSES_MAX: usize = 20;

/// The clients with a live grant, refresh token or remembered consent that are not being deleted.
const AUTHORIZED: Sql = sql!(
    " FROM oauth_clients c WHERE c.id IN (SELECT x.client_id FROM (",
    LIVE,
    ") x) AND ",
    IS_NOT_DELETED
);

struct NamedRow {
    id: ClientRowId,
    client_id: String,
    name: String,
}

row!(NamedRow: id, client_id, name);

struct LiveGrantRow {
    client_id: ClientRowId,
    given_at: Timestamp,
    used_at: Timestamp,
    scope: Option<String>,
    address: Option<String>,
    user_agent: Option<String>,
    device_name: Option<String>,
}

row!(LiveGrantRow: client_id, given_at, used_at, scope, address, user_agent, device_name);

impl LiveGrantRow {
    fn access(&self) -> Access {
        Access {
            origin: StoredOrigin {
                address: self.address.clone(),
                user_agent: self.user_agent.clone(),
                device_name: self.device_name.clone(),
            },
            granted_at: self.given_at,
            last_used_at: self.used_at,
        }
    }
}

/// Lists a page of the authorized applications, by name.
pub async fn list(
    db: &Db,
    account: &AccountId,
    counted: Counted,
    page: Page,
) -> Result<Paged<Application>> {
    const COUNT: Sql = sql!("SELECT COUNT(*) AS n", AUTHORIZED);
    const NAMED: Sql = sql!(
        "SELECT c.id, c.client_id, c.name",
        AUTHORIZED,
        " ORDER BY c.name, c.id LIMIT $5 OFFSET $6"
    );
    let parameters: [Value; 4] = [
        account.into(),
        counted.now.into(),
        (counted.now - counted.access_token_ttl).into(),
        counted.consents.into(),
    ];
    let total: i64 = db.fetch_one(COUNT, &parameters).await?;
    let bounded: Vec<Value> = parameters.iter().cloned().chain(page.bounds()).collect();
    let rows: Vec<NamedRow> = db.fetch_all(NAMED, &bounded).await?;
    let alive: Vec<LiveGrantRow> = db.fetch_all(LIVE, &parameters).await?;
    let mut by_client: HashMap<ClientRowId, Vec<LiveGrantRow>> = HashMap::new();
    for row in alive {
        by_client
            .entry(row.client_id.clone())
            .or_default()
            .push(row);
    }
    let applications: Vec<Application> = rows
        .into_iter()
        .filter_map(|row| combine(row, &mut by_client))
        .collect();
    let pages = page.of(total, applications.len());
    Ok(Paged {
        rows: applications,
        pages,
    })
}

/// Combines a client with all live grants of that client; `None` if all grants ended between the two
/// queries.
fn combine(
    row: NamedRow,
    by_client: &mut HashMap<ClientRowId, Vec<LiveGrantRow>>,
) -> Option<Application> {
    let alive = by_client.remove(&row.id)?;
    let names = alive.iter().filter_map(|row| row.scope.as_deref());
    let known = alive.iter().filter(|row| row.address.is_some());
    let mut accesses: Vec<Access> = known.map(LiveGrantRow::access).collect();
    accesses.sort_by_key(|access| std::cmp::Reverse(access.granted_at));
    accesses.truncate(ACCESSES_MAX);
    Some(Application {
        first_granted_at: alive.iter().map(|row| row.given_at).min()?,
        last_used_at: alive.iter().map(|row| row.used_at).max()?,
        scope: names
            .flat_map(|scope| Scope::stored(scope).iter().collect::<Vec<_>>())
            .collect(),
        accesses,
        row_id: row.id,
        client_id: row.client_id,
        name: row.name,
    })
}

/// The most recent grant of an account to a client, as far as the rows still exist.
#[derive(Clone, Debug)]
pub struct LastGrant {
    /// Granted scope.
    pub scope: String,
    /// Time of the grant.
    pub created_at: Timestamp,
}

row!(LastGrant: scope, created_at);

/// Finds the most recent grant of an account to a client.
pub async fn last_grant(
    db: &Db,
    account: &AccountId,
    client: &ClientRowId,
) -> Result<Option<LastGrant>> {
    // The newest tokens of the account only: an application with older tokens alone counts as new.
    const SQL: Sql = sql!(
        "SELECT x.scope, x.created_at FROM (\
             SELECT n.scope, n.created_at FROM (\
                 SELECT t.scope, t.created_at, t.client_id FROM oauth_refresh_tokens t \
                 WHERE t.account_id = $1 ORDER BY ",
        ("julianday(t.created_at)", "t.created_at"),
        " DESC LIMIT 10000) n \
             WHERE n.client_id = $2 \
             UNION ALL SELECT k.scope, k.created_at FROM oauth_authorisation_codes k \
             WHERE k.account_id = $1 AND k.client_id = $2 AND k.consumed_at IS NOT NULL) x \
         ORDER BY ",
        ("julianday(x.created_at)", "x.created_at"),
        " DESC LIMIT 1"
    );
    db.fetch_optional(SQL, &[account.into(), client.into()])
        .await
}
