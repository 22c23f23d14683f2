//! `/api/auth/oauth/applications`: the applications that the account authorized, and revocation of all
//! grants to an application.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::{RequestedPage, entry};
use crate::clock::Timestamp;
use crate::context::SharedContext;
use crate::http::error::responses;
use crate::http::error::{ApiError, Kind};
use crate::http::extract::PathId;
use crate::http::guards::Person;
use crate::ids::ClientRowId;
use crate::oauth::scope::Scope;
use crate::store::audit::{self, Event};
use crate::store::paging::Pages;
use crate::store::revocation;
use crate::store::{applications, clients};

/// An application authorized by the account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthAuthorizedApplication)]
pub struct Application {
    /// Public client id.
    client_id: String,
    /// Name of the client.
    client_name: String,
    /// Time of the oldest grant that is still valid.
    first_granted_at: Timestamp,
    /// Row id.
    id: ClientRowId,
    /// Time of the last token response.
    last_used_at: Timestamp,
    /// Union of the granted scopes.
    #[schema(value_type = Vec<String>)]
    scopes: Scope,
}

/// A page of authorized applications, ordered by name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthAuthorizedApplicationListResult)]
pub struct ApplicationList {
    applications: Vec<Application>,
    #[serde(flatten)]
    pages: Pages,
}

/// `GET /api/auth/oauth/applications`.
///
/// # Errors
/// 400 for a repeated `page`, 401, 403.
#[utoipa::path(
    get, path = "/api/auth/oauth/applications", operation_id = "OAuthApplicationList", tag = "auth",
    security(("browser" = [])),
    params(("page" = Option<String>, Query, description = "Page number, from 1; an invalid number is page 1")),
    responses(
        (status = 200, body = ApplicationList),
        responses::Invalid,
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    person: Person,
    RequestedPage(page): RequestedPage,
) -> Result<Json<ApplicationList>, ApiError> {
    let (now, ttl) = (context.clock.now(), context.config.access_token_ttl);
    let account = &person.session.account.id;
    let found = applications::list(&context.db, account, now, ttl, page).await?;
    let applications = found
        .rows
        .into_iter()
        .map(|application| Application {
            client_id: application.client_id,
            client_name: application.name,
            first_granted_at: application.first_granted_at,
            id: application.row_id,
            last_used_at: application.last_used_at,
            scopes: application.scope,
        })
        .collect();
    Ok(Json(ApplicationList {
        applications,
        pages: found.pages,
    }))
}

/// `DELETE /api/auth/oauth/applications/{oauth_client_id}`: revokes every grant, code and token that
/// the application holds for this account, and cancels pending requests.
///
/// # Errors
/// 401, 403, 404 for an unknown application.
#[utoipa::path(
    delete, path = "/api/auth/oauth/applications/{oauth_client_id}",
    operation_id = "OAuthApplicationRevoke", tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "All access of the application is revoked"),
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn revoke(
    State(context): State<SharedContext>,
    person: Person,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let account = person.session.account.id;
    let client = clients::find_by_row(&context.db, &ClientRowId::new(id)).await?;
    let client = client
        .ok_or_else(|| ApiError::new(Kind::NotFound, "There is no application with this id"))?;
    let entry = entry(&context, Event::GrantRevoked, &account, person.address)
        .client(&client.client_id)
        .subject(&client.row_id);
    context
        .db
        .write(
            (account, client.row_id, entry),
            |tx, (account, client, entry)| {
                Box::pin(async move {
                    revocation::revoke_application(tx, account, client, "member", entry.at).await?;
                    audit::insert(tx, entry).await
                })
            },
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
