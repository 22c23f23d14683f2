//! `/api/auth/sessions`: the sessions of an account, and remote sign-out.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;

use super::entry;
use super::origin::Origin;
use crate::clock::Timestamp;
use crate::context::SharedContext;
use crate::http::cookies::set_cookies;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::{PathId, decode_query};
use crate::http::guards::Person;
use crate::http::session_cookie;
use crate::ids::{AccountId, SessionId};
use crate::oauth::permission::Permission;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry, Event};
use crate::store::closing::{self, AccountClosing, Closed, SessionlessCredentials};
use crate::store::sessions;

/// A session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSession)]
pub struct ListedSession {
    /// Time of sign-in.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// True for the session of this request.
    current: bool,
    /// Time of expiry.
    expires_at: Timestamp,
    /// Row id.
    id: SessionId,
    /// True for a sign-in by a browser that had not signed in to the account before, which the member should see: after
    /// the session of this request began, or while that session belongs to a known browser.
    is_new: bool,
    /// Time of the last use, within 15 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<Timestamp>,
    /// The browser, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
}

/// The account of the sessions, for pages that show the account or depend on permissions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSessionAccount)]
pub struct SessionAccount {
    /// Unique name.
    handle: String,
    /// Account id.
    id: AccountId,
    /// Display name.
    name: String,
    /// Current permissions. `ADMINISTRATOR` satisfies every permission.
    permissions: Vec<&'static str>,
}

impl From<Account> for SessionAccount {
    fn from(account: Account) -> Self {
        Self {
            handle: account.handle,
            id: account.id,
            name: account.name,
            permissions: account.permissions.iter().map(Permission::name).collect(),
        }
    }
}

/// The sessions of an account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSessionListResult)]
pub struct SessionList {
    /// The account of the sessions.
    account: SessionAccount,
    /// Credentials that stay valid after sign-out, unless revoked too.
    lasting: SessionlessCredentials,
    /// Open sessions, newest first.
    sessions: Vec<ListedSession>,
}

/// `GET /api/auth/sessions`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get, path = "/api/auth/sessions", operation_id = "AuthSessionList", tag = "auth",
    security(("browser" = [])),
    responses(
        (status = 200, body = SessionList),
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    person: Person,
) -> Result<Json<SessionList>, ApiError> {
    let session = person.session;
    let open = sessions::list(&context.db, &session.account.id, context.clock.now()).await?;
    let current = open.iter().find(|open| open.id == session.id);
    let is_known = current.is_some_and(|current| !current.is_unknown_browser);
    let sessions = open.into_iter().map(|open| ListedSession {
        created_at: open.created_at,
        current: open.id == session.id,
        expires_at: open.expires_at,
        is_new: open.id != session.id
            && open.is_unknown_browser
            && (is_known || open.created_at > session.created_at),
        last_used_at: open.last_used_at,
        origin: Origin::of(&context, open.origin),
        id: open.id,
    });
    let sessions = sessions.collect();
    let lasting = closing::count(&context.db, &session.account.id, context.clock.now()).await?;
    Ok(Json(SessionList {
        lasting,
        account: session.account.into(),
        sessions,
    }))
}

/// `DELETE /api/auth/sessions/{session_id}`: ends a session.
///
/// # Errors
/// 401, 403, 404 if the account has no such open session.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{session_id}", operation_id = "AuthSessionDelete",
    tag = "auth",
    security(("browser" = [])),
    params(("session_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Revoked"),
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    person: Person,
    PathId(id): PathId,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let (id, account) = (SessionId::new(id), person.session.account.id);
    let cookies = if id == person.session.id {
        session_cookie::end(&context.config, &headers, context.clock.now())
    } else {
        Vec::new()
    };
    let entry = entry(&context, Event::SignedOut, &account, person.address).subject(&id);
    let write = context
        .db
        .write((id, account, entry), |tx, (id, account, entry)| {
            Box::pin(async move {
                if !sessions::revoke_one(tx, account, id, entry.at).await? {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        });
    let missing = "You have no open session with this id";
    let written = write.await;
    written.map_err(|error| ApiError::of_write(error, missing))?;
    Ok((StatusCode::NO_CONTENT, set_cookies(cookies)))
}

/// `DELETE /api/auth/sessions`: ends every session, revokes all grants, and cancels pending requests.
///
/// # Errors
/// 400, 401, 403.
#[utoipa::path(
    delete, path = "/api/auth/sessions", operation_id = "AuthSessionDeleteAll", tag = "auth",
    security(("browser" = [])),
    params(
        ("end_access_keys" = Option<bool>, Query, description = "Also revoke all access keys of the account; default false"),
        ("end_client_secrets" = Option<bool>, Query, description = "Also revoke the secrets and keys of the account's applications with the client credentials grant; default false")
    ),
    responses(
        (
            status = 200,
            description = "Counts of revoked and of remaining credentials",
            body = Closed,
            headers(("Set-Cookie" = String, description = "Clears the session cookie"))
        ),
        responses::Invalid,
        responses::GuardErrors,
    )
)]
pub async fn delete_all(
    State(context): State<SharedContext>,
    person: Person,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let account = person.session.account.id;
    let tokens = session_cookie::every_token(&context.config, &headers);
    let closing = closing(query.as_deref(), account.clone())?;
    let entry = entry(&context, Event::SessionsEnded, &account, person.address);
    let now = entry.at;
    let counted = closing.count_open(&context.db, now).await?;
    let input = (closing, tokens, entry);
    let write = context.db.write(input, |tx, (closing, tokens, entry)| {
        Box::pin(async move {
            audit::insert(tx, entry).await?;
            let closed = closing.close(tx, entry).await?;
            // sessions of other accounts in this browser
            let entry = Entry {
                event: Event::SignedOut,
                ..entry.clone()
            };
            session_cookie::revoke_all(tx, tokens, &entry).await?;
            Ok(closed)
        })
    });
    let ended = write.await?.or_counted(counted);
    let left = closing::count(&context.db, &account, now).await?;
    let cookies = session_cookie::end(&context.config, &headers, now);
    Ok((set_cookies(cookies), Json(Closed { ended, left })))
}

/// Parses the query: the credentials to revoke besides the sessions.
fn closing(query: Option<&str>, account: AccountId) -> Result<AccountClosing, ApiError> {
    const ALSO: &[&str] = &["end_access_keys", "end_client_secrets"];
    let query = decode_query(query, ALSO)?;
    let is_given = |name: &str| match query.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::invalid(format!("{name} must be true or false"))),
    };
    Ok(AccountClosing {
        access_keys: is_given(ALSO[0])?,
        client_secrets: is_given(ALSO[1])?,
        account,
        keep: None,
        because: "signed_out_everywhere",
    })
}
