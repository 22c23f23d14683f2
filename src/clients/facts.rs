//! What a person is told about who asks, so that they can decide: who made the client and when, what
//! it calls its own, where its answer goes, and what is new since they approved it last.

use serde::Serialize;
use url::Url;

use super::builtin;
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::AccountId;
use crate::oauth::client_id_url;
use crate::oauth::permission::Permission;
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::scope::Scope;
use crate::store::client_details;
use crate::store::clients::{self, Client};
use crate::store::{self, applications};

/// How a client came to be here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OAuthClientOrigin)]
pub enum Origin {
    /// It is part of Storyden.
    BuiltIn,
    /// An administrator made it.
    Administrator,
    /// A member made it.
    Member,
    /// It registered itself (RFC 7591): nobody here looked at it.
    Registration,
    /// Its id is the URL of a document that says what it is: nobody here looked at it.
    MetadataDocument,
}

/// The facts about a client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientFacts)]
pub struct ClientFacts {
    /// When it was made, or first asked.
    client_first_seen_at: Timestamp,
    /// The host of its id, where that is a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_host: Option<String>,
    /// The handle of whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_owner_handle: Option<String>,
    /// How it came to be here.
    client_registered_by: Origin,
    /// Its home page; this and the next three as it says, on a host that it answers for.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    /// When this person last approved it; absent the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_before_at: Option<Timestamp>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<String>,
    /// What would be granted that was not granted then.
    #[schema(value_type = Vec<String>)]
    new_scopes: Scope,
    /// How it treats data.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<String>,
    /// The host that the answer goes to, with its port; absent where a program on the device gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_host: Option<String>,
    /// Whether the answer goes to a program on this person's own computer.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_is_loopback: Option<bool>,
    /// Its terms.
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<String>,
}

/// Looks the facts up. `granted` is what would be granted now; `redirect_uri` is where the answer
/// goes, none for a device.
///
/// # Errors
/// When the database does not answer.
pub async fn of(
    app: &App,
    client: &Client,
    person: &AccountId,
    granted: &Scope,
    redirect_uri: Option<&str>,
) -> Result<ClientFacts, store::Error> {
    let details = client_details::find(&app.db, &client.row_id).await?;
    let owner = match &client.owner {
        Some(_) => clients::owner(&app.db, &client.row_id).await?,
        None => None,
    };
    let last = applications::last_grant(&app.db, person, &client.row_id).await?;
    let before = last.as_ref().map(|last| Scope::stored(&last.scope));
    let before = before.unwrap_or_default();
    let is_url = client_id_url::is_url(&client.client_id);
    let origin = if client.client_id == builtin::CLIENT_ID {
        Origin::BuiltIn
    } else if let Some(owner) = &owner {
        if owner.permissions.holds(Permission::Administrator) {
            Origin::Administrator
        } else {
            Origin::Member
        }
    } else if is_url {
        Origin::MetadataDocument
    } else if details.registered || client.client_id.starts_with("sdoak_") {
        Origin::Registration
    } else {
        Origin::Administrator
    };
    let id_host = is_url.then(|| host_of(&client.client_id)).flatten();
    let redirect = redirect_uri.and_then(|uri| Url::parse(uri).ok());
    let redirect_host = redirect_uri.and_then(host_of);
    // req_141: a page elsewhere is somebody else's
    let own = |uri: Option<String>| {
        let host = uri.as_deref().and_then(host_of);
        let is_own = host.is_some() && (host == id_host || host == redirect_host);
        uri.filter(|_| is_own)
    };
    Ok(ClientFacts {
        client_first_seen_at: client.created_at,
        client_owner_handle: owner.map(|owner| owner.handle),
        client_registered_by: origin,
        client_uri: own(details.about.client_uri),
        logo_uri: own(details.about.logo_uri),
        policy_uri: own(details.about.policy_uri),
        tos_uri: own(details.about.tos_uri),
        granted_before_at: last.map(|last| last.created_at),
        new_scopes: granted
            .iter()
            .filter(|one| !before.contains(*one))
            .collect(),
        redirect_is_loopback: redirect.as_ref().map(is_loopback),
        redirect_host,
        client_id_host: id_host,
    })
}

/// The host of a web address, in the form a browser shows, with a port that is not its
/// scheme's own.
fn host_of(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}
