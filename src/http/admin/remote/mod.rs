//! Connections to remote servers: `/api/admin/oauth/remote` (storyden-contract.md#remote-connections).

pub mod authorization;
pub mod connections;
pub mod discovery;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::context::{Context, SharedContext};
use crate::http::error::ApiError;
use crate::ids::RemoteConnectionId;
use crate::remote;
use crate::store::remote::Connection;

/// The id of a connection in a path. An invalid id is 400 as in Storyden
/// (storyden-contract.md#remote-authorization).
pub struct ConnectionId(RemoteConnectionId);

impl FromRequestParts<SharedContext> for ConnectionId {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        context: &SharedContext,
    ) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, context).await;
        let id = path.map(|Path(id)| id).unwrap_or_default();
        if id.len() == 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(Self(RemoteConnectionId::new(id)));
        }
        let detail = "The id of a connection has 20 letters and digits";
        Err(ApiError::invalid(detail))
    }
}

async fn find(context: &Context, id: &RemoteConnectionId) -> Result<Connection, ApiError> {
    let found = remote::find(context, id).await;
    found.map_err(|error| problem(context, error))
}

fn problem(context: &Context, error: remote::Error) -> ApiError {
    ApiError::from_remote(error, context.config.policies.remote.failure_status)
}
