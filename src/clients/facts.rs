//! Client facts for the consent page: creator and age of the client, its logo and pages and the hosts of
//! these, the target of the response, and scopes that are new since the last approval.

use serde::Serialize;
use url::Url;
use url::form_urlencoded::Serializer;

use super::builtin;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::AccountId;
use crate::oauth::client_id_url;
use crate::oauth::permission::Permission;
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::scope::Scope;
use crate::store::client_details;
use crate::store::clients::{self, Client};
use crate::store::{self, applications};

/// The way in which a client was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OAuthClientOrigin)]
pub enum Origin {
    /// Part of Storyden.
    BuiltIn,
    /// Created by an administrator.
    Administrator,
    /// Created by a member.
    Member,
    /// Dynamically registered (RFC 7591); not reviewed.
    Registration,
    /// Described by a metadata document at the client id; not reviewed.
    MetadataDocument,
}

/// The facts about a client.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = OAuthClientFacts)]
pub struct ClientFacts {
    /// Time of creation, or of the first request.
    client_first_seen_at: Timestamp,
    /// The host of a client id that is a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id_host: Option<String>,
    /// The owner's handle.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_owner_handle: Option<String>,
    /// The way in which the client was created.
    client_registered_by: Origin,
    /// Home page. The pages and the logo are self-asserted, on any host.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    /// Of `client_uri`, `logo_uri`, `policy_uri` and `tos_uri`, the members that are on another host than
    /// the redirect URI and the client id. Mark these: the host may belong to another party.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    foreign_pages: Vec<&'static str>,
    /// Time of this member's last approval; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_before_at: Option<Timestamp>,
    /// The host that the logo is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_host: Option<String>,
    /// Logo: an image at this server, which fetches the client's.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<String>,
    /// Scopes that the last approval did not include.
    #[schema(value_type = Vec<String>)]
    new_scopes: Scope,
    /// Privacy policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<String>,
    /// Host and port of the redirect URI; absent for a private-use scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_host: Option<String>,
    /// True if the redirect URI is a loopback address.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_is_loopback: Option<bool>,
    /// Terms of service.
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<String>,
}

/// Collects the facts. `granted` is the scope that an approval would grant now; `redirect_uri` is
/// absent for a device.
///
/// # Errors
/// If the database does not answer.
pub async fn of(
    context: &Context,
    client: &Client,
    person: &AccountId,
    granted: &Scope,
    redirect_uri: Option<&str>,
) -> Result<ClientFacts, store::Error> {
    let details = client_details::find(&context.db, &client.row_id).await?;
    let owner = match &client.owner {
        Some(_) => clients::owner(&context.db, &client.row_id).await?,
        None => None,
    };
    let last = applications::last_grant(&context.db, person, &client.row_id).await?;
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
    let about = details.about;
    // req_141: a page on a different host may belong to someone other than the client
    let own_hosts = [&id_host, &redirect_host];
    let pages = [
        ("client_uri", &about.client_uri),
        ("logo_uri", &about.logo_uri),
        ("policy_uri", &about.policy_uri),
        ("tos_uri", &about.tos_uri),
    ];
    let is_own = |host: &str| own_hosts.iter().any(|own| own.as_deref() == Some(host));
    let is_foreign = |uri: &String| !host_of(uri).is_some_and(|host| is_own(&host));
    let foreign = pages
        .into_iter()
        .filter(|(_, uri)| uri.as_ref().is_some_and(is_foreign));
    Ok(ClientFacts {
        client_first_seen_at: client.created_at,
        client_owner_handle: owner.map(|owner| owner.handle),
        client_registered_by: origin,
        foreign_pages: foreign.map(|(name, _)| name).collect(),
        logo_host: about.logo_uri.as_deref().and_then(host_of),
        logo_uri: about
            .logo_uri
            .is_some()
            .then(|| logo_address(context, &client.client_id)),
        client_uri: about.client_uri,
        policy_uri: about.policy_uri,
        tos_uri: about.tos_uri,
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

/// The address of a client's logo at this server.
fn logo_address(context: &Context, client_id: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("client_id", client_id)
        .finish();
    format!(
        "{}/oauth/client_logo?{query}",
        context.config.endpoint_base()
    )
}

/// The host of a web address in the form shown by browsers, with a non-default port.
#[must_use]
pub fn host_of(uri: &str) -> Option<String> {
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
