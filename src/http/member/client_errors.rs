//! Recent errors of an own application: `/api/auth/oauth/clients/{oauth_client_id}/errors`.

use axum::Json;
use axum::extract::State;

use super::Manager;
use super::clients::find_own;
use super::refusal::MemberError;
use crate::clients::errors::{self, ErrorList};
use crate::context::SharedContext;
use crate::http::error::responses;
use crate::http::extract::PathId;

/// `GET /api/auth/oauth/clients/{oauth_client_id}/errors`.
///
/// # Errors
/// 400 for an application of a different account, 401, 403, 404.
#[utoipa::path(
    get, path = "/api/auth/oauth/clients/{oauth_client_id}/errors", operation_id = "OAuthClientErrorList",
    tag = "auth",
    security(("browser" = [])),
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, body = ErrorList),
        responses::OAuthInvalid,
        responses::GuardErrors,
        responses::NotFound,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    Manager(person): Manager,
    PathId(id): PathId,
) -> Result<Json<ErrorList>, MemberError> {
    let client = find_own(&context, &person, id).await?;
    Ok(Json(errors::list(&context, &client.row_id).await?))
}
