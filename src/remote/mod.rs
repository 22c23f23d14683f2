//! This server as a client of others: connections to remote APIs, such as MCP servers, behind their own
//! authorization servers (storyden-contract.md#identity-as-a-client).
//!
//! Strict towards servers: every address passes the SSRF guard ([`crate::egress`]), resource and issuer
//! must equal the requested values, and the issuer of a response is checked against mix-up. Tolerant of
//! networks: a temporary failure is retried and changes nothing.

pub mod auth_method;
pub mod authorize;
pub mod callback;
mod challenge;
pub mod connect;
pub mod discovery;
pub mod metadata;
pub mod registration;
mod renewal;
pub mod scope;
mod token_endpoint;
pub mod tokens;

use std::time::Duration as Span;

use serde::Serialize;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::egress;
use crate::ids::RemoteConnectionId;
use crate::keys::sealer;
use crate::store;
use crate::store::remote;

/// Time limit of a request.
const DEADLINE: Span = Span::from_secs(10);

/// Why something with a remote server did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request or the remote server's response is invalid; the text tells what to change.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing here.
    #[error("{0}")]
    Missing(&'static str),
    /// There is a connection that works.
    #[error("{0}")]
    Connected(&'static str),
    /// The remote server cannot be had now.
    #[error("{0}")]
    Away(String),
    /// The remote server sent an invalid response, and would again.
    #[error("{0}")]
    Useless(String),
    /// A setting is missing here.
    #[error("{0}")]
    Unset(&'static str),
    /// A secret cannot be sealed or opened.
    #[error(transparent)]
    Sealer(#[from] sealer::Error),
    /// The database does not answer.
    #[error("the database does not answer")]
    Store(#[from] store::Error),
}

impl Error {
    fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// Converts a failed request to the server `whom`.
    fn of(whom: &str, error: &egress::Error) -> Self {
        let text = format!("{whom}: {error}");
        match error {
            egress::Error::Forbidden(_) => Self::Refused(text),
            error if error.is_temporary() => Self::Away(text),
            _ => Self::Useless(text),
        }
    }
}

// storyden-contract.md#remote-connections
/// A connection without its secret and its tokens.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthRemoteConnection)]
pub struct Shown {
    /// Authorization endpoint of the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Issuer of the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_server: Option<String>,
    /// Id of this community at the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Time of creation.
    #[serde(rename = "createdAt")]
    pub created_at: Timestamp,
    /// Scope of the tokens, beside the requested `scope`; absent if unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_scope: Option<String>,
    /// True if an access token is stored.
    pub has_access_token: bool,
    /// True if a client secret is stored.
    pub has_client_secret: bool,
    /// True if a refresh token is stored.
    pub has_refresh_token: bool,
    /// Row id.
    pub id: RemoteConnectionId,
    /// Reason of the last failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// `cimd` (client metadata document), `dcr` (dynamic registration) or `manual`.
    pub mode: String,
    /// Redirect URI of this community at the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uri: Option<String>,
    /// Redirect URIs that are registered at the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// Registration endpoint of the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_endpoint: Option<String>,
    /// Resource identifier, from the metadata of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Name of the resource, from its metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// URL of the resource, as entered.
    pub resource_url: String,
    /// Requested scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// `pending` until the first authorization, `connected`, or `error`.
    pub status: String,
    /// Token endpoint of the other server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint: Option<String>,
    /// Authentication method at the token endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_method: Option<String>,
    /// Expiry of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expiry: Option<Timestamp>,
    /// Type of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Time of the last change.
    #[serde(rename = "updatedAt")]
    pub updated_at: Timestamp,
}

impl From<remote::Connection> for Shown {
    fn from(row: remote::Connection) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let has = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
        Self {
            has_access_token: has(&row.access_token),
            has_client_secret: has(&row.client_secret),
            has_refresh_token: has(&row.refresh_token),
            authorization_endpoint: given(row.authorization_endpoint),
            authorization_server: given(row.authorization_server),
            client_id: given(row.client_id),
            created_at: row.created_at,
            granted_scope: given(row.details.granted_scope),
            id: row.id,
            last_error: given(row.last_error),
            mode: row.mode,
            redirect_uri: given(row.redirect_uri),
            redirect_uris: row.redirect_uris.and_then(|uris| uris.0),
            registration_endpoint: given(row.registration_endpoint),
            resource: given(row.resource),
            resource_name: given(row.resource_name),
            resource_url: row.resource_url,
            scope: given(row.scope),
            status: row.status,
            token_endpoint: given(row.token_endpoint),
            token_endpoint_auth_method: given(row.token_endpoint_auth_method),
            token_expiry: row.token_expiry,
            token_type: given(row.token_type),
            updated_at: row.updated_at,
        }
    }
}

/// The connection of an id.
///
/// # Errors
/// [`Error::Missing`].
pub async fn find(context: &Context, id: &RemoteConnectionId) -> Result<remote::Connection, Error> {
    let found = remote::find(&context.db, id).await?;
    found.ok_or(Error::Missing("There is no remote connection with this id"))
}

/// The error that a server told, as text that can be shown (RFC 6749 §5.2).
fn error_text(answer: &Value) -> Option<String> {
    let clean = |name: &str| {
        let text = answer.get(name)?.as_str()?;
        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let error = clean("error")?;
    Some(match clean("error_description") {
        Some(description) => format!("{error}: {description}"),
        None => error,
    })
}
