//! Refresh tokens of every account: `/api/admin/oauth/refresh-tokens`
//! (storyden-contract.md#administration).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::entry;
use super::listing::{AdministratorQuery, PageParameters, client_row};
use crate::context::SharedContext;
use crate::http::error::responses::{BodyErrors, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::Administrator;
use crate::http::member::tokens::TokenList;
use crate::ids::RefreshTokenId;
use crate::store::audit::{self, Entry, Event};
use crate::store::paging::Page;
use crate::store::refresh_token_list::{self, Filter};
use crate::store::{self, Tx};

/// `GET /api/admin/oauth/refresh-tokens`.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/refresh-tokens",
    operation_id = "AdminOAuthRefreshTokenList",
    tag = "admin",
    params(
        PageParameters,
        ("account_id" = Option<String>, Query, description = "Filter by account: id or handle"),
        ("client_id" = Option<String>, Query, description = "Filter by client: client id or row id"),
        ("sort" = Option<String>, Query, description = "Order: created, or -created for the newest first, as without this parameter"),
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
    let asked = query.read(&["account_id", "client_id", "sort"])?;
    let filter = Filter {
        account: asked.account(&context, "account_id").await?,
        client: client_row(&context, &asked).await?,
    };
    let page = asked.page()?;
    let found = if asked.oldest_first()? == Some(true) {
        refresh_token_list::list_oldest(&context.db, &filter, page).await?
    } else {
        refresh_token_list::list(&context.db, &filter, page).await?
    };
    Ok(Json(TokenList {
        pages: found.pages,
        tokens: found.rows,
    }))
}

/// Refresh tokens to revoke.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthRefreshTokenRevokeProps)]
pub struct RevokeMany {
    /// Ids of the tokens, 1 to 200.
    ids: Vec<String>,
}

/// Number of revoked tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRefreshTokenRevokeResult)]
pub struct RevokedMany {
    /// Tokens that exist; a token that was revoked before counts too.
    revoked: u64,
}

/// `POST /api/admin/oauth/refresh-tokens/revoke`: revokes several tokens, all or none.
///
/// # Errors
/// 400 for no id or too many, 401, 403.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/refresh-tokens/revoke",
    operation_id = "AdminOAuthRefreshTokenRevokeMany",
    tag = "admin",
    request_body = RevokeMany,
    responses(
        (status = 200, description = "Number of revoked tokens", body = RevokedMany),
        Invalid,
        GuardErrors,
        BodyErrors,
    )
)]
pub async fn revoke_many(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(sent): JsonBody<RevokeMany>,
) -> Result<Json<RevokedMany>, ApiError> {
    let most = usize::try_from(Page::SIZE_MAX).unwrap_or(usize::MAX);
    if sent.ids.is_empty() || sent.ids.len() > most {
        let given = sent.ids.len();
        let detail = format!("ids has {given} ids; send 1 to {most}");
        return Err(ApiError::invalid(detail));
    }
    let ids: Vec<RefreshTokenId> = sent.ids.iter().map(RefreshTokenId::new).collect();
    let entry = entry(&context, Event::RefreshTokenRevoked, &actor, None);
    let revoked = context.db.write((ids, entry), |tx, (ids, entry)| {
        Box::pin(async move {
            let mut revoked = 0;
            for id in ids {
                revoked += u64::from(revoke(tx, id, entry).await?);
            }
            Ok(revoked)
        })
    });
    let revoked = revoked.await?;
    Ok(Json(RevokedMany { revoked }))
}

/// Revokes a token, with the audit entry. False if there is no such token.
async fn revoke(tx: &mut Tx, id: &RefreshTokenId, entry: &Entry) -> store::Result<bool> {
    let Some(holder) = refresh_token_list::holder(tx, id).await? else {
        return Ok(false);
    };
    refresh_token_list::revoke(tx, id, None, entry.at).await?;
    let entry = entry.clone().of(&holder.account_id).subject(id);
    audit::insert(tx, &entry.client(&holder.client_id)).await?;
    Ok(true)
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
    let entry = entry(&context, Event::RefreshTokenRevoked, &actor, None);
    let found = context.db.write((id, entry), |tx, (id, entry)| {
        Box::pin(revoke(tx, id, entry))
    });
    let policy = context.config.policies.admin;
    if found.await? || policy.unknown_token_deletion_succeeds {
        return Ok(StatusCode::NO_CONTENT);
    }
    let detail = "There is no refresh token with this id";
    Err(ApiError::new(Kind::NotFound, detail))
}
