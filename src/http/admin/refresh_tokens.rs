//! Refresh tokens of every account: `/api/admin/oauth/refresh-tokens`
//! (storyden-contract.md#administration).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::entry;
use super::listing::{AdministratorQuery, PageParameters, client_row};
use crate::context::SharedContext;
use crate::http::error::responses::{GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::PathId;
use crate::http::guards::Administrator;
use crate::http::member::tokens::TokenList;
use crate::ids::RefreshTokenId;
use crate::store::audit::{self, Event};
use crate::store::refresh_token_list::{self, Filter};

/// `GET /api/admin/oauth/refresh-tokens`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/refresh-tokens",
    operation_id = "AdminOAuthRefreshTokenList",
    tag = "admin",
    params(
        PageParameters,
        ("account_id" = Option<String>, Query, description = "Filter by account id"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
    ),
    responses(
        (status = 200, description = "List of refresh tokens", body = TokenList),
        Invalid,
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    query: AdministratorQuery,
) -> Result<Json<TokenList>, ApiError> {
    let asked = query.read(&["account_id", "client_id"])?;
    let filter = Filter {
        account: asked.account("account_id"),
        client: client_row(&context, &asked).await?,
    };
    let found = refresh_token_list::list(&context.db, &filter, asked.page()?).await?;
    Ok(Json(TokenList {
        pages: found.pages,
        tokens: found.rows,
    }))
}

/// `DELETE /api/admin/oauth/refresh-tokens/{oauth_refresh_token_id}`.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/refresh-tokens/{oauth_refresh_token_id}",
    operation_id = "AdminOAuthRefreshTokenDelete",
    tag = "admin",
    params(("oauth_refresh_token_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Revoked"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = RefreshTokenId::new(id);
    let entry = entry(&context, Event::RefreshTokenRevoked, &actor, None).subject(&id);
    let found = context.db.write((id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let Some(holder) = refresh_token_list::holder(tx, id).await? else {
                return Ok(false);
            };
            refresh_token_list::revoke(tx, id, None, entry.at).await?;
            let entry = entry.clone().of(&holder.account_id);
            audit::insert(tx, &entry.client(&holder.client_id)).await?;
            Ok(true)
        })
    });
    let policy = context.config.policies.admin;
    if found.await? || policy.unknown_token_deletion_succeeds {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "There is no refresh token with this id";
    Err(ApiError::new(Kind::NotFound, detail))
}
