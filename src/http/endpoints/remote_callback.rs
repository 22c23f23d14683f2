//! Callback of remote servers: `GET /api/oauth/remote/callback` (storyden-contract.md#remote-callback).
//! The page at `/oauth/remote/callback` passes the query on to this operation.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;

use crate::context::SharedContext;
use crate::http::error::ApiError;
use crate::http::error::responses;
use crate::http::extract::decode_query;
use crate::http::guards::Person;
use crate::oauth::permission::Permission;
use crate::remote::callback::{self, Answer};
use crate::remote::{self, Shown};
use crate::store::audit::{Entry, Event};

/// The parameters of an authorization response (RFC 6749 §4.1.2, RFC 9207 §2).
const KNOWN: &[&str] = &["code", "state", "iss", "error", "error_description"];

/// The authorized connection.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteCallbackResult)]
pub struct AuthorizedConnection {
    /// The connection.
    connection: Shown,
}

/// `GET /api/oauth/remote/callback`.
#[utoipa::path(
    get,
    path = "/api/oauth/remote/callback",
    operation_id = "OAuthRemoteCallback",
    tag = "auth",
    security(("browser" = [])),
    params(
        ("state" = Option<String>, Query, description = "`state` of the authorization request"),
        ("code" = Option<String>, Query, description = "Authorization code"),
        ("iss" = Option<String>, Query, description = "Issuer of the response (RFC 9207)"),
        ("error" = Option<String>, Query, description = "Error code of the other server"),
        ("error_description" = Option<String>, Query, description = "Error description of the other server"),
    ),
    responses(
        (status = 200, description = "The authorized connection", body = AuthorizedConnection),
        responses::Invalid,
        responses::GuardErrors,
        responses::NotFound,
    ),
)]
pub async fn finish(
    State(context): State<SharedContext>,
    person: Person,
    RawQuery(query): RawQuery,
) -> Result<Json<AuthorizedConnection>, ApiError> {
    person.require(Permission::ManageRobots)?;
    let decoded = decode_query(query.as_deref(), KNOWN)?;
    let state = decoded.get("state").map(str::trim).unwrap_or_default();
    if state.is_empty() {
        return Err(ApiError::invalid("state is missing"));
    }
    let answer = Answer {
        state,
        code: decoded.get("code"),
        iss: decoded.get("iss"),
        error: decoded.get("error"),
        error_description: decoded.get("error_description"),
    };
    // storyden-contract.md#remote-callback: Storyden requires `code` and rejects error responses
    let accepts_errors = !context.config.policies.remote.error_callbacks_rejected;
    if answer.code.is_none() && !(accepts_errors && answer.error.is_some()) {
        return Err(ApiError::invalid(
            "code is missing, and there is no error parameter",
        ));
    }
    let account = &person.session.account.id;
    let entry = Entry::new(Event::RemoteConnected, context.clock.now())
        .by(account)
        .from(person.address);
    let finished = Box::pin(callback::finish(&context, &answer, account, entry)).await;
    let finished = finished.map_err(|error| match error {
        // storyden-contract.md#remote-callback: later failures are 400, network failures included
        remote::Error::Away(why) | remote::Error::Useless(why) => ApiError::invalid(why),
        error => ApiError::from_remote(error, context.config.policies.remote.failure_status),
    })?;
    Ok(Json(AuthorizedConnection {
        connection: finished.into(),
    }))
}
