//! `/api/auth/sessions`: where a person is signed in, and how they sign out there.

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderName, StatusCode};
use serde::Serialize;

use super::entry;
use crate::accounts::guard::Person;
use crate::accounts::session_cookie::session_cookie;
use crate::app::Shared;
use crate::clock::Timestamp;
use crate::endpoints::extract::{ClientAddress, PathId};
use crate::error::{ApiError, Kind, answers};
use crate::ids::{AccountId, SessionId};
use crate::oauth::permission::Permission;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Event};
use crate::store::{revocation, sessions};

/// A session.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSession)]
pub struct ListedSession {
    /// When its person signed in.
    #[serde(rename = "createdAt")]
    created_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
    /// When it ends.
    expires_at: Timestamp,
    /// Its row.
    id: SessionId,
}

/// Whose sessions they are, so that a page can say who is signed in and show what is for them.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSessionAccount)]
pub struct SessionAccount {
    /// The name that is unique.
    handle: String,
    /// The id.
    id: AccountId,
    /// The name that is shown.
    name: String,
    /// What its roles permit now; with `ADMINISTRATOR` everything is permitted.
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

/// Somebody's sessions.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthSessionListResult)]
pub struct SessionList {
    account: SessionAccount,
    /// Those that are open, newest first.
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
        answers::Unauthenticated,
        answers::Forbidden,
        answers::Broken,
    )
)]
pub async fn list(
    State(app): State<Shared>,
    person: Person,
) -> Result<Json<SessionList>, ApiError> {
    let session = person.0;
    let open = sessions::list(&app.db, &session.account.id, app.clock.now()).await?;
    let sessions = open.into_iter().map(|open| ListedSession {
        created_at: open.created_at,
        current: open.id == session.id,
        expires_at: open.expires_at,
        id: open.id,
    });
    let sessions = sessions.collect();
    Ok(Json(SessionList {
        account: session.account.into(),
        sessions,
    }))
}

/// `DELETE /api/auth/sessions/{session_id}`: signs out there.
///
/// # Errors
/// 401, 403, 404 when there is none that is open, or it is somebody else's.
#[utoipa::path(
    delete, path = "/api/auth/sessions/{session_id}", operation_id = "AuthSessionDelete",
    tag = "auth",
    security(("browser" = [])),
    params(("session_id" = String, Path, description = "The row's id")),
    responses(
        (status = 204, description = "It is over"),
        answers::Unauthenticated,
        answers::Forbidden,
        answers::NotFound,
        answers::Broken,
    )
)]
pub async fn delete(
    State(app): State<Shared>,
    person: Person,
    PathId(id): PathId,
    ClientAddress(address): ClientAddress,
) -> Result<StatusCode, ApiError> {
    let (id, account) = (SessionId::new(id), person.0.account.id);
    let entry = entry(&app, Event::SignedOut, &account, address).subject(&id);
    let write = app
        .db
        .write((id, account, entry), |tx, (id, account, entry)| {
            Box::pin(async move {
                if !sessions::revoke_one(tx, account, id, entry.at).await? {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        });
    match write.await {
        Err(store::Error::Gone) => Err(ApiError::new(
            Kind::NotFound,
            "You have no open session with this id",
        )),
        written => Ok(written.map(|()| StatusCode::NO_CONTENT)?),
    }
}

/// `DELETE /api/auth/sessions`: signs out everywhere, and ends what applications were given and what
/// waits for a decision.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    delete, path = "/api/auth/sessions", operation_id = "AuthSessionDeleteAll", tag = "auth",
    security(("browser" = [])),
    responses(
        (status = 204, description = "Nothing of it is left"),
        answers::Unauthenticated,
        answers::Forbidden,
        answers::Broken,
    )
)]
pub async fn delete_all(
    State(app): State<Shared>,
    person: Person,
    ClientAddress(address): ClientAddress,
) -> Result<(StatusCode, [(HeaderName, String); 1]), ApiError> {
    let account = person.0.account.id;
    let entry = entry(&app, Event::SessionsEnded, &account, address);
    let now = entry.at;
    app.db
        .write((account, entry), |tx, (account, entry)| {
            Box::pin(async move {
                let because = "signed_out_everywhere";
                revocation::close_account(tx, account, None, because, entry.at).await?;
                audit::insert(tx, entry).await
            })
        })
        .await?;
    let cookie = session_cookie(&app, "", now);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]))
}
