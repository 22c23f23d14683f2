//! Recent errors of any client: `/api/admin/oauth/clients/{oauth_client_id}/errors`.

use axum::Json;
use axum::extract::State;

use super::clients::find;
use crate::clients::errors::{self, ErrorList};
use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses::{GuardErrors, NotFound};
use crate::http::extract::PathId;
use crate::http::guards::Administrator;
use crate::ids::ClientRowId;

/// `GET /api/admin/oauth/clients/{oauth_client_id}/errors`.
///
/// # Errors
/// 401, 403, 404.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/clients/{oauth_client_id}/errors",
    operation_id = "AdminOAuthClientErrorList",
    tag = "admin",
    params(("oauth_client_id" = String, Path, description = "Row id")),
    responses(
        (status = 200, description = "Recent errors of the client", body = ErrorList),
        GuardErrors,
        NotFound,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
    PathId(id): PathId,
) -> Result<Json<ErrorList>, ApiError> {
    let client = find(&context, &ClientRowId::new(id)).await?;
    Ok(Json(errors::list(&context, &client.row_id).await?))
}
