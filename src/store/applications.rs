//! The applications that a person has authorized: those with a grant or a refresh token that is alive,
//! whether we or a Storyden gave it.

use std::collections::HashMap;

use super::clients::is_not_deleted;
use super::db::Db;
use super::error::Result;
use super::open_revocations::{grant_ended, refresh_token_ended};
use super::paging::{Page, Pages, Total};
use super::value::Value;
use crate::clock::Timestamp;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::scope::Scope;

/// An application that somebody authorized.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its row.
    pub row_id: ClientRowId,
    /// Its public id.
    pub client_id: String,
    /// Its name.
    pub name: String,
    /// When it was first given something that is alive.
    pub first_granted_at: Timestamp,
    /// When it last used what it was given.
    pub last_used_at: Timestamp,
    /// What it was granted, all of it together.
    pub scope: Scope,
}

/// A condition: a session approved the grant `g`, or an access key that is good at `$2`.
macro_rules! approved_by_live_key {
    ($engine:ident) => {
        concat!(
            "(g.access_key_id IS NULL OR EXISTS (SELECT 1 FROM authentications v \
             WHERE v.id = g.access_key_id AND NOT v.disabled AND (v.expires_at IS NULL OR ",
            alive!(@ after $engine, "v.expires_at", "$2"),
            ")))"
        )
    };
}

/// What is alive: `$1` is the account, `$2` now and `$3` the time before which the access tokens of a
/// grant without a refresh token are over. A row per grant and per refresh token.
macro_rules! alive {
    ($engine:ident) => {
        concat!(
            "SELECT g.client_id, g.created_at AS given_at, \
             COALESCE(g.rotated_at, g.created_at) AS used_at, k.scope \
             FROM auth_grants g LEFT JOIN oauth_authorisation_codes k ON k.id = g.code_id \
             WHERE g.account_id = $1 AND NOT g.client_credentials AND g.revoked_at IS NULL AND NOT ",
            grant_ended!($engine, "g"),
            " AND ",
            approved_by_live_key!($engine),
            " AND (",
            alive!(@ after $engine, "g.created_at", "$3"),
            " OR EXISTS (SELECT 1 FROM auth_refresh_tokens m JOIN oauth_refresh_tokens r \
             ON r.id = m.token_id WHERE m.grant_id = g.id AND r.revoked_at IS NULL AND ",
            alive!(@ after $engine, "r.expires_at", "$2"),
            ")) UNION ALL \
             SELECT t.client_id, t.created_at AS given_at, t.created_at AS used_at, t.scope \
             FROM oauth_refresh_tokens t WHERE t.account_id = $1 AND t.revoked_at IS NULL AND ",
            alive!(@ after $engine, "t.expires_at", "$2"),
            " AND NOT ",
            refresh_token_ended!($engine, "t"),
            " AND NOT EXISTS (SELECT 1 FROM auth_refresh_tokens m JOIN auth_grants g \
             ON g.id = m.grant_id WHERE m.token_id = t.id AND NOT ",
            approved_by_live_key!($engine),
            ")"
        )
    };
    (@ after sqlite, $time:literal, $other:literal) => {
        concat!("julianday(", $time, ") > julianday(", $other, ")")
    };
    (@ after postgres, $time:literal, $other:literal) => {
        concat!($time, " > ", $other)
    };
}

/// The client has something that is alive, and is not being deleted.
macro_rules! authorized {
    ($engine:ident) => {
        concat!(
            " FROM oauth_clients c WHERE c.id IN (SELECT x.client_id FROM (",
            alive!($engine),
            ") x) AND ",
            is_not_deleted!("c")
        )
    };
}

#[derive(sqlx::FromRow)]
struct NamedRow {
    id: ClientRowId,
    client_id: String,
    name: String,
}

#[derive(sqlx::FromRow)]
struct AliveRow {
    client_id: ClientRowId,
    given_at: Timestamp,
    used_at: Timestamp,
    scope: Option<String>,
}

/// A page of them, by name. Access tokens without a refresh token count as long as they can be good,
/// which is `access_token_ttl`.
pub async fn list(
    db: &Db,
    account: &AccountId,
    (now, access_token_ttl): (Timestamp, time::Duration),
    page: Page,
) -> Result<(Vec<Application>, Pages)> {
    let parameters: [Value; 3] = [account.into(), now.into(), (now - access_token_ttl).into()];
    let count = db.pick(
        concat!("SELECT COUNT(*) AS n", authorized!(sqlite)),
        concat!("SELECT COUNT(*) AS n", authorized!(postgres)),
    );
    let total: Total = db.fetch_one(count, &parameters).await?;
    macro_rules! named {
        ($engine:ident) => {
            concat!(
                "SELECT c.id, c.client_id, c.name",
                authorized!($engine),
                " ORDER BY c.name, c.id LIMIT $4 OFFSET $5"
            )
        };
    }
    let named = db.pick(named!(sqlite), named!(postgres));
    let bounded: Vec<Value> = parameters.iter().cloned().chain(page.bounds()).collect();
    let rows: Vec<NamedRow> = db.fetch_all(named, &bounded).await?;
    let alive = db.pick(alive!(sqlite), alive!(postgres));
    let alive: Vec<AliveRow> = db.fetch_all(alive, &parameters).await?;
    let mut by_client: HashMap<ClientRowId, Vec<AliveRow>> = HashMap::new();
    for row in alive {
        by_client
            .entry(row.client_id.clone())
            .or_default()
            .push(row);
    }
    let applications: Vec<Application> = rows
        .into_iter()
        .filter_map(|row| together(row, &mut by_client))
        .collect();
    let pages = page.of(total.n, applications.len());
    Ok((applications, pages))
}

/// An application with all that is alive of it; `None` when that ended between two statements.
fn together(
    row: NamedRow,
    by_client: &mut HashMap<ClientRowId, Vec<AliveRow>>,
) -> Option<Application> {
    let alive = by_client.remove(&row.id)?;
    let names = alive.iter().filter_map(|row| row.scope.as_deref());
    Some(Application {
        first_granted_at: alive.iter().map(|row| row.given_at).min()?,
        last_used_at: alive.iter().map(|row| row.used_at).max()?,
        scope: names
            .flat_map(|scope| Scope::stored(scope).iter().collect::<Vec<_>>())
            .collect(),
        row_id: row.id,
        client_id: row.client_id,
        name: row.name,
    })
}

/// What a person granted to a client the last time, as far as that is still known.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct LastGrant {
    /// What was granted.
    pub scope: String,
    /// When.
    pub created_at: Timestamp,
}

/// The last that an account granted to a client.
pub async fn last_grant(
    db: &Db,
    account: &AccountId,
    client: &ClientRowId,
) -> Result<Option<LastGrant>> {
    let sql = db.pick(
        "SELECT x.scope, x.created_at FROM (\
             SELECT t.scope, t.created_at FROM oauth_refresh_tokens t \
             WHERE t.account_id = $1 AND t.client_id = $2 \
             UNION ALL SELECT k.scope, k.created_at FROM oauth_authorisation_codes k \
             WHERE k.account_id = $1 AND k.client_id = $2 AND k.consumed_at IS NOT NULL) x \
         ORDER BY julianday(x.created_at) DESC LIMIT 1",
        "SELECT x.scope, x.created_at FROM (\
             SELECT t.scope, t.created_at FROM oauth_refresh_tokens t \
             WHERE t.account_id = $1 AND t.client_id = $2 \
             UNION ALL SELECT k.scope, k.created_at FROM oauth_authorisation_codes k \
             WHERE k.account_id = $1 AND k.client_id = $2 AND k.consumed_at IS NOT NULL) x \
         ORDER BY x.created_at DESC LIMIT 1",
    );
    db.fetch_optional(sql, &[account.into(), client.into()])
        .await
}
