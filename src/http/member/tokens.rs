//! `/api/auth/oauth/tokens`: the member's own refresh tokens
//! (storyden-contract.md#refresh-token-lists).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use super::refusal::MemberError;
use super::{Manager, RequestedPage, entry};
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::PathId;
use crate::ids::RefreshTokenId;
use crate::store;
use crate::store::audit::{self, Event};
use crate::store::paging::Pages;
use crate::store::refresh_token_list::{self, Filter, ListedToken};

/// A page of the account's refresh tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRefreshTokenListResult)]
pub struct TokenList {
    #[serde(flatten)]
    pub(crate) pages: Pages,
    /// Newest first, including used and revoked tokens.
    pub(crate) tokens: Vec<ListedToken>,
}

/// `GET /api/auth/oauth/tokens`.
///
/// # Errors
/// 400 for a repeated `page`, 401, 403.
#[utoipa::path(
    get, path = "/api/auth/oauth/tokens", operation_id = "OAuthRefreshTokenList", tag = "auth",
    security(("browser" = [])),
    params(("page" = Option<String>, Query, description = "Page number, from 1; an invalid number is page 1")),
    responses(
        (status = 200, body = TokenList),
        responses::Invalid,
        responses::GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    RequestedPage(page): RequestedPage,
) -> Result<Json<TokenList>, ApiError> {
    let filter = Filter {
        account: Some(person.session.account.id),
        client: None,
    };
    let found = refresh_token_list::list(&context.db, &filter, page).await?;
    Ok(Json(TokenList {
        pages: found.pages,
        tokens: found.rows,
    }))
}

/// `DELETE /api/auth/oauth/tokens/{oauth_refresh_token_id}`: revokes this token; earlier and later
/// tokens of the chain stay.
///
/// # Errors
/// 400 for an unknown token or a token of a different account, 401, 403.
#[utoipa::path(
    delete, path = "/api/auth/oauth/tokens/{oauth_refresh_token_id}",
    operation_id = "OAuthRefreshTokenDelete", tag = "auth",
    security(("browser" = [])),
    params(("oauth_refresh_token_id" = String, Path, description = "Row id")),
    responses(
        (status = 204, description = "Revoked"),
        responses::OAuthInvalid,
        responses::GuardErrors,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
) -> Result<StatusCode, MemberError> {
    let (id, account) = (RefreshTokenId::new(id), person.session.account.id);
    let entry = entry(
        &context,
        Event::RefreshTokenRevoked,
        &account,
        person.address,
    )
    .subject(&id);
    let write = context
        .db
        .write((id, account, entry), |tx, (id, account, entry)| {
            Box::pin(async move {
                if !refresh_token_list::revoke(tx, id, Some(account), entry.at).await? {
                    return Err(store::Error::Gone);
                }
                audit::insert(tx, entry).await
            })
        });
    match write.await {
        Err(store::Error::Gone) => Err(MemberError::missing_or_foreign(
            "Refresh token not found or does not belong to account",
        )),
        written => Ok(written.map(|()| StatusCode::NO_CONTENT)?),
    }
}
