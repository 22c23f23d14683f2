//! Blocked clients: `/api/admin/oauth/blocked-clients`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::entry;
use crate::clients::blocking::{self, Blocked};
use crate::context::SharedContext;
use crate::http::error::responses::{BodyErrors, Conflict, GuardErrors, Invalid, NotFound};
use crate::http::error::{ApiError, Kind};
use crate::http::extract::{JsonBody, PathId};
use crate::http::guards::Administrator;
use crate::ids::BlockedClientId;
use crate::store;
use crate::store::audit::{self, Event};
use crate::store::blocked_clients::{self, BLOCKED_MAX, BlockedClient};

/// The blocked clients.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthBlockedClientListResult)]
pub struct List {
    /// Newest first; at most 1,000 exist.
    blocked_clients: Vec<BlockedClient>,
}

/// A client to block.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[schema(as = OAuthBlockedClientCreateProps)]
pub struct Block {
    /// The client id: the URL of a metadata document.
    client_id: String,
}

/// `GET /api/admin/oauth/blocked-clients`.
///
/// # Errors
/// 401, 403.
#[utoipa::path(
    get,
    path = "/api/admin/oauth/blocked-clients",
    operation_id = "AdminOAuthBlockedClientList",
    tag = "admin",
    responses(
        (status = 200, description = "List of blocked applications", body = List),
        GuardErrors,
    )
)]
pub async fn list(
    State(context): State<SharedContext>,
    _: Administrator,
) -> Result<Json<List>, ApiError> {
    let blocked_clients = blocked_clients::list(&context.db).await?;
    Ok(Json(List { blocked_clients }))
}

/// `POST /api/admin/oauth/blocked-clients`: blocks a client, and ends all its access.
///
/// # Errors
/// 400 for a client id that is no URL, 401, 403, 409 for a client that is blocked already.
#[utoipa::path(
    post,
    path = "/api/admin/oauth/blocked-clients",
    operation_id = "AdminOAuthBlockedClientCreate",
    tag = "admin",
    request_body = Block,
    responses(
        (status = 200, description = "Blocked; its access ended", body = BlockedClient),
        Invalid,
        GuardErrors,
        Conflict,
        BodyErrors,
    )
)]
pub async fn create(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    JsonBody(sent): JsonBody<Block>,
) -> Result<Json<BlockedClient>, ApiError> {
    if !blocking::can_be_blocked(&sent.client_id) || sent.client_id.len() > 2_048 {
        return Err(ApiError::invalid(
            "client_id must be the URL of a metadata document, of at most 2048 bytes; an application with \
             another id is deleted instead",
        ));
    }
    let entry = entry(&context, Event::ClientBlocked, &actor, None).client(&sent.client_id);
    let new = BlockedClient {
        blocked_by: Some(actor.account.id),
        client_id: sent.client_id,
        created_at: entry.at,
        id: BlockedClientId::generate(entry.at),
    };
    let write = context.db.write((new.clone(), entry), |tx, (new, entry)| {
        Box::pin(blocking::block(tx, new, entry))
    });
    match write.await? {
        Blocked::Done => Ok(Json(new)),
        Blocked::Unchanged => Err(ApiError::new(
            Kind::AlreadyExists,
            format!("This application is blocked already, or {BLOCKED_MAX} applications are"),
        )),
    }
}

/// `DELETE /api/admin/oauth/blocked-clients/{blocked_client_id}`: ends a block.
///
/// # Errors
/// 401, 403, 404 for an unknown block.
#[utoipa::path(
    delete,
    path = "/api/admin/oauth/blocked-clients/{blocked_client_id}",
    operation_id = "AdminOAuthBlockedClientDelete",
    tag = "admin",
    params(("blocked_client_id" = String, Path, description = "Id of the block")),
    responses(
        (status = 204, description = "The application may ask members again"),
        GuardErrors,
        NotFound,
    )
)]
pub async fn delete(
    State(context): State<SharedContext>,
    Administrator(actor): Administrator,
    PathId(id): PathId,
) -> Result<StatusCode, ApiError> {
    let id = BlockedClientId::new(id);
    let entry = entry(&context, Event::ClientUnblocked, &actor, None);
    let write = context.db.write((id, entry), |tx, (id, entry)| {
        Box::pin(async move {
            let Some(client_id) = blocked_clients::delete(tx, id).await? else {
                return Err(store::Error::Gone);
            };
            audit::insert(tx, &entry.clone().client(&client_id)).await
        })
    });
    let missing = "There is no blocked application with this id";
    let written = write.await;
    written.map_err(|error| ApiError::of_write(error, missing))?;
    Ok(StatusCode::NO_CONTENT)
}
