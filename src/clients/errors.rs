//! Recent errors in the requests of a client, as its developer reads them.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::ClientRowId;
use crate::oauth::mistake::MistakeKind;
use crate::store;
use crate::store::client_errors::{self, ClientError, KEPT_FOR};

/// Equal errors.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientError)]
pub struct ShownError {
    /// Number of equal errors: with the same endpoint, error code, mistake and value.
    pub count: i64,
    /// Error description of the last one, as sent to the application.
    pub description: String,
    /// Path of the endpoint, as in `/api/oauth/token`.
    pub endpoint: String,
    /// Error code, as in `invalid_grant`.
    pub error: String,
    /// Time of the first one.
    pub first_at: Timestamp,
    /// What to change.
    pub hint: &'static str,
    /// Time of the last one.
    pub last_at: Timestamp,
    /// Kind of the mistake, as in `redirect_uri`, `verifier_wrong` or `code_used`; `request` for others.
    pub mistake: &'static str,
    /// The refused value, shortened. Never a secret, a code or a token; absent where the value may be one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl From<ClientError> for ShownError {
    fn from(stored: ClientError) -> Self {
        let kind = MistakeKind::from_name(&stored.mistake);
        Self {
            count: stored.occurrences,
            description: stored.description,
            endpoint: stored.endpoint,
            error: stored.error,
            first_at: stored.first_at,
            hint: kind.hint(),
            last_at: stored.last_at,
            mistake: kind.name(),
            value: stored.value,
        }
    }
}

/// Recent errors of an application.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientErrorListResult)]
pub struct ErrorList {
    /// Errors of the last seven days, the last one first; at most 100.
    pub errors: Vec<ShownError>,
}

/// Lists the errors of a client of the last seven days, the last one first. Includes the errors that this process has
/// not written yet.
///
/// # Errors
/// If the database does not answer.
pub async fn list(context: &Context, client: &ClientRowId) -> Result<ErrorList, store::Error> {
    context.client_errors.write(&context.db).await;
    let since = context.clock.now() - KEPT_FOR;
    let errors = client_errors::list(&context.db, client, since).await?;
    let errors = errors.into_iter().map(ShownError::from).collect();
    Ok(ErrorList { errors })
}
