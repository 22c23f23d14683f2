//! The OpenAPI document, `GET /api/openapi.json`.

use axum::Extension;

use super::well_known::Document;

/// `GET /api/openapi.json`.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "OpenAPI",
    tag = "metadata",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1 document", body = Object)),
)]
pub async fn openapi(Extension(document): Extension<Document>) -> Document {
    document
}
