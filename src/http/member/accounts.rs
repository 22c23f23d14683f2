//! `/api/auth/accounts`: the accounts that are signed in in a browser. A sign-in keeps the sessions of other
//! accounts; only the session cookie decides which account acts.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;

use crate::context::{Context, SharedContext};
use crate::http::accounts_cookie;
use crate::http::caller::session_of;
use crate::http::error::ApiError;
use crate::http::session_cookie;
use crate::ids::AccountId;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::sessions::{self, Session};

/// An account that is signed in in the browser.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthBrowserAccount)]
pub struct BrowserAccount {
    /// True for the account of the session cookie.
    current: bool,
    /// Unique name.
    handle: String,
    /// Account id.
    id: AccountId,
    /// Display name.
    name: String,
}

/// The accounts that are signed in in the browser.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthBrowserAccountListResult)]
pub struct BrowserAccountList {
    /// The current account first.
    accounts: Vec<BrowserAccount>,
}

/// `GET /api/auth/accounts`.
///
/// # Errors
/// If the database is unavailable.
#[utoipa::path(
    get, path = "/api/auth/accounts", operation_id = "AuthBrowserAccountList", tag = "auth",
    security((), ("browser" = [])),
    responses((status = 200, body = BrowserAccountList))
)]
pub async fn list(
    State(context): State<SharedContext>,
    headers: HeaderMap,
) -> Result<Json<BrowserAccountList>, ApiError> {
    let current = session_of(&context, &headers).await?;
    let is_current = |session: &Session| current.as_ref().is_some_and(|of| of.id == session.id);
    let mut accounts: Vec<BrowserAccount> = signed_in(&context, &headers)
        .await?
        .into_iter()
        .map(|(_, session)| BrowserAccount {
            current: is_current(&session),
            handle: session.account.handle,
            id: session.account.id,
            name: session.account.name,
        })
        .collect();
    accounts.sort_by_key(|account| !account.current);
    Ok(Json(BrowserAccountList { accounts }))
}

/// Finds the live sessions of a browser, one of each account that is not suspended, with the tokens.
///
/// # Errors
/// If the database is unavailable.
async fn signed_in(
    context: &Context,
    headers: &HeaderMap,
) -> Result<Vec<(Secret, Session)>, store::Error> {
    let tokens = session_cookie::tokens_of_accounts(&context.config, headers);
    let hashes: Vec<SecretHash> = tokens.iter().map(Secret::hash).collect();
    let found = sessions::find_each(&context.db, &hashes, context.clock.now()).await?;
    let mut live: Vec<(Secret, Session)> = Vec::new();
    for (token, session) in tokens.into_iter().zip(found) {
        let Some(session) = session.filter(|session| !session.account.suspended) else {
            continue;
        };
        if live
            .iter()
            .all(|(_, known)| known.account.id != session.account.id)
        {
            live.push((token, session));
        }
    }
    Ok(live)
}

/// Returns the `Set-Cookie` that keeps the sessions of the other accounts of a browser, when `account` signs in.
///
/// # Errors
/// If the database is unavailable.
pub(super) async fn keep_others(
    context: &Context,
    headers: &HeaderMap,
    account: &AccountId,
) -> Result<Option<String>, store::Error> {
    let live = signed_in(context, headers).await?;
    Ok(set_others(context, headers, live, account))
}

/// Returns the `Set-Cookie` headers that make a different account of a browser the current account. The session stays
/// the same, so the time of the sign-in does too. `None` if the account is not signed in in the browser.
///
/// # Errors
/// If the database is unavailable.
pub async fn choose(
    context: &Context,
    headers: &HeaderMap,
    account: &AccountId,
) -> Result<Option<Vec<String>>, store::Error> {
    let live = signed_in(context, headers).await?;
    let chosen = live
        .iter()
        .find(|(_, session)| session.account.id == *account);
    let Some((token, session)) = chosen else {
        return Ok(None);
    };
    let mut cookies = session_cookie::begin(&context.config, headers, token, session.expires_at);
    cookies.extend(set_others(context, headers, live, account));
    Ok(Some(cookies))
}

fn set_others(
    context: &Context,
    headers: &HeaderMap,
    live: Vec<(Secret, Session)>,
    account: &AccountId,
) -> Option<String> {
    let others = live
        .into_iter()
        .filter(|(_, session)| session.account.id != *account);
    let tokens: Vec<Secret> = others.map(|(token, _)| token).collect();
    accounts_cookie::set(&context.config, headers, &tokens)
}
