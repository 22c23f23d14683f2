//! The OpenAPI document, `GET /api/openapi.json`.

use axum::extract::State;
use utoipa::openapi::OpenApi;

use super::well_known::Document;
use crate::context::{Context, SharedContext};
use crate::http::error::{ApiError, Kind};

/// `GET /api/openapi.json`.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "OpenAPI",
    tag = "metadata",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1 document", body = Object)),
)]
pub async fn openapi(State(context): State<SharedContext>) -> Result<Document, ApiError> {
    let published = context.documents.openapi.get().cloned();
    let published = published.map(Document::of);
    published.ok_or_else(|| ApiError::new(Kind::Internal, "The document is not rendered"))
}

/// Renders the document. The router calls this function when all routes are known.
pub fn publish(context: &Context, document: &OpenApi) {
    let rendered = || Document::render(context, document);
    context.documents.openapi.get_or_init(rendered);
}
