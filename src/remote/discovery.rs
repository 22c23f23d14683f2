//! Discovery of a resource's authorization server (RFC 9728 §3) and of its metadata (RFC 8414 §3,
//! OpenID Connect Discovery §4), in the order of the MCP authorization specification.

use crate::egress::WWW_AUTHENTICATE;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::metadata::{ResourceMetadata, ServerMetadata, check_endpoint};
use super::{DEADLINE, Error};
use crate::context::Context;
use crate::egress::{self, Question, Sent, require_json};
use crate::oauth::strict_json;

/// The longest document, in bytes.
const MAX: usize = 64 * 1_024;

/// The way in which this community becomes a client of a remote server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OAuthRemoteMode)]
pub enum Mode {
    /// By this community's own metadata document.
    Cimd,
    /// By registering (RFC 7591).
    Dcr,
    /// By credentials that an administrator entered.
    Manual,
}

impl Mode {
    /// The name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cimd => "cimd",
            Self::Dcr => "dcr",
            Self::Manual => "manual",
        }
    }
}

/// The result of a discovery.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The resource, in stored form.
    pub resource_url: Url,
    /// Metadata of the resource.
    pub resource: ResourceMetadata,
    /// The authorization server, without a slash at the end.
    pub server: String,
    /// Metadata of the authorization server.
    pub metadata: ServerMetadata,
    /// The client mode.
    pub mode: Mode,
}

/// Parses the URL of a resource (storyden-contract.md#remote-discovery).
///
/// # Errors
/// The fault.
pub fn resource_url(given: &str) -> Result<Url, Error> {
    check_endpoint("resource_url", given.trim())
}

/// Discovers the authorization server of a resource. `chosen` is an issuer from the resource's list;
/// without it, the first usable server is taken.
///
/// # Errors
/// The reason of the failure.
pub async fn discover(
    context: &Context,
    given: &str,
    chosen: Option<&str>,
) -> Result<Discovered, Error> {
    let resource_url = resource_url(given)?;
    let resource = find_resource(context, &resource_url).await?;
    let listed = match chosen {
        None => resource.servers.clone(),
        Some(chosen) => {
            let same = |one: &&String| one.trim_end_matches('/') == chosen.trim_end_matches('/');
            let known = resource.servers.iter().find(same);
            let unknown = || Error::refused("authorization_server is none that the resource lists");
            vec![known.ok_or_else(unknown)?.clone()]
        }
    };
    let mut first = None;
    for server in &listed {
        match find_server(context, server).await {
            Ok(metadata) => {
                let mode = if metadata.takes_documents {
                    Mode::Cimd
                } else if metadata.registration_endpoint.is_some() {
                    Mode::Dcr
                } else {
                    Mode::Manual
                };
                return Ok(Discovered {
                    resource_url,
                    resource,
                    server: server.trim_end_matches('/').to_owned(),
                    metadata,
                    mode,
                });
            }
            Err(error) => first = first.or(Some(error)), // the next server may work
        }
    }
    Err(first.unwrap_or_else(|| Error::refused("The resource lists no authorization server")))
}

/// Path-inserted, then at the root, then where a 401 of the resource itself points.
async fn find_resource(context: &Context, resource: &Url) -> Result<ResourceMetadata, Error> {
    let what = "The protected-resource metadata";
    // storyden-contract.md#remote-discovery: the query is not part of the resource.
    let mut asked = resource.clone();
    if context.config.policies.remote.resource_query_ignored {
        asked.set_query(None);
    }
    let asked = asked.as_str();
    let mut failed = None;
    for place in well_known(resource, "oauth-protected-resource") {
        match read(context, what, &place).await {
            Ok(document) => match ResourceMetadata::check(document, asked) {
                Ok(found) => return Ok(found),
                Err(error) => failed = Some(error),
            },
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(place) = pointed_at(context, resource).await {
        let document = read(context, what, &place).await?;
        return ResourceMetadata::check(document, asked);
    }
    Err(failed.unwrap_or_else(|| Error::refused(format!("{what} cannot be found"))))
}

/// RFC 8414's path-inserted form, then OpenID Connect's two (`req_195`).
async fn find_server(context: &Context, issuer: &str) -> Result<ServerMetadata, Error> {
    let url = check_endpoint("The authorization server", issuer)?;
    let what = "The authorization server's metadata";
    let path = url.path().trim_end_matches('/');
    let inserted = |name: &str| at(&url, &format!("/.well-known/{name}{path}"));
    let mut places = vec![
        inserted("oauth-authorization-server"),
        inserted("openid-configuration"),
    ];
    if !path.is_empty() {
        places.push(at(
            &url,
            &format!("{path}/.well-known/openid-configuration"),
        ));
    }
    let mut failed = None;
    for place in places {
        match read(context, what, &place).await {
            Ok(document) => return ServerMetadata::check(document, issuer),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::refused(format!("{what} cannot be found"))))
}

/// The well-known URLs of a resource: with its path, and at the root if the resource has a path.
fn well_known(resource: &Url, name: &str) -> Vec<Url> {
    let path = resource.path().trim_end_matches('/');
    let mut places = vec![at(resource, &format!("/.well-known/{name}{path}"))];
    if !path.is_empty() {
        places.push(at(resource, &format!("/.well-known/{name}")));
    }
    places
}

fn at(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_path(path);
    place.set_query(None);
    place.set_fragment(None);
    place
}

/// The metadata URL in the resource's own 401 response (RFC 9728 §5.1).
async fn pointed_at(context: &Context, resource: &Url) -> Option<Url> {
    let question = Question {
        url: resource,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = context
        .remote_fetch
        .ask(question, Sent::Nothing)
        .await
        .ok()?;
    let challenges = reply.headers.get_all(WWW_AUTHENTICATE);
    let challenges = challenges.iter().filter_map(|value| value.to_str().ok());
    let mut place = challenges.filter_map(|challenge| {
        let (_, rest) = challenge.split_once("resource_metadata=\"")?;
        rest.split_once('"').map(|(place, _)| place)
    });
    place.find_map(|place| Url::parse(place).ok())
}

async fn read(context: &Context, what: &str, url: &Url) -> Result<Value, Error> {
    let question = Question {
        url,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = context.remote_fetch.ask(question, Sent::Nothing).await;
    let reply = reply.map_err(|error| Error::of(what, &error))?;
    if !reply.status.is_success() {
        let status = egress::Error::Status(reply.status.as_u16());
        return Err(Error::of(what, &status));
    }
    require_json(&reply.headers).map_err(|error| Error::of(what, &error))?;
    let document = strict_json::parse(&reply.body);
    document.map_err(|why| Error::Useless(format!("{what}: {why}")))
}
