//! Who protects a resource (RFC 9728 §3) and how that works (RFC 8414 §3, OpenID Connect Discovery
//! §4), in the order of the MCP authorization specification.

use axum::http::header::WWW_AUTHENTICATE;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::metadata::{ResourceMetadata, ServerMetadata, check_endpoint};
use super::{Error, token_endpoint::DEADLINE};
use crate::app::App;
use crate::fetch::{self, Question, Sent, require_json};
use crate::oauth::strict_json;

/// The longest document, in bytes.
const MAX: usize = 64 * 1_024;

/// How this community becomes a client of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OAuthRemoteMode)]
pub enum Mode {
    /// By the metadata document of its own.
    Cimd,
    /// By registering (RFC 7591).
    Dcr,
    /// By what an administrator was given.
    Manual,
}

impl Mode {
    /// Its name on the wire and in the database.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cimd => "cimd",
            Self::Dcr => "dcr",
            Self::Manual => "manual",
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The resource, as it is kept.
    pub resource_url: Url,
    /// What it says.
    pub resource: ResourceMetadata,
    /// Who gives tokens for it, without a slash at its end.
    pub server: String,
    /// What that says.
    pub metadata: ServerMetadata,
    /// How this community can be its client.
    pub mode: Mode,
}

/// Reads the URL of a resource (contract 18.3).
///
/// # Errors
/// What is wrong with it.
pub fn resource_url(given: &str) -> Result<Url, Error> {
    check_endpoint("resource_url", given.trim())
}

/// Finds out who protects a resource. `chosen` is one of its authorization servers; without one it
/// is the first that can be used.
///
/// # Errors
/// Why it cannot be found out.
pub async fn discover(app: &App, given: &str, chosen: Option<&str>) -> Result<Discovered, Error> {
    let resource_url = resource_url(given)?;
    let resource = find_resource(app, &resource_url).await?;
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
        match find_server(app, server).await {
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
            Err(error) => first = first.or(Some(error)), // the next one may do
        }
    }
    Err(first.unwrap_or_else(|| Error::refused("The resource lists no authorization server")))
}

/// Path-inserted, then at the root, then where a 401 of the resource itself points.
async fn find_resource(app: &App, resource: &Url) -> Result<ResourceMetadata, Error> {
    let what = "The protected-resource metadata";
    // contract 18.3: there the query is no part of what a resource is called
    let mut asked = resource.clone();
    if app.config.profile.remote_connections_are_storydens() {
        asked.set_query(None);
    }
    let asked = asked.as_str();
    let mut failed = None;
    for place in well_known(resource, "oauth-protected-resource") {
        match read(app, what, &place).await {
            Ok(document) => match ResourceMetadata::check(document, asked) {
                Ok(found) => return Ok(found),
                Err(error) => failed = Some(error),
            },
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    if let Some(place) = pointed_at(app, resource).await {
        let document = read(app, what, &place).await?;
        return ResourceMetadata::check(document, asked);
    }
    Err(failed.unwrap_or_else(|| Error::refused(format!("{what} are nowhere"))))
}

/// RFC 8414's path-inserted form, then OpenID Connect's two (`req_195`).
async fn find_server(app: &App, issuer: &str) -> Result<ServerMetadata, Error> {
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
        match read(app, what, &place).await {
            Ok(document) => return ServerMetadata::check(document, issuer),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.unwrap_or_else(|| Error::refused(format!("{what} are nowhere"))))
}

/// The well-known addresses of a resource: with its path, and at the root where it has one.
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

/// Where a resource's own 401 says that its metadata are (RFC 9728 §5.1).
async fn pointed_at(app: &App, resource: &Url) -> Option<Url> {
    let question = Question {
        url: resource,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = app.remote_fetch.ask(question, Sent::Nothing).await.ok()?;
    let challenges = reply.headers.get_all(WWW_AUTHENTICATE);
    let challenges = challenges.iter().filter_map(|value| value.to_str().ok());
    let mut place = challenges.filter_map(|challenge| {
        let (_, rest) = challenge.split_once("resource_metadata=\"")?;
        rest.split_once('"').map(|(place, _)| place)
    });
    place.find_map(|place| Url::parse(place).ok())
}

async fn read(app: &App, what: &str, url: &Url) -> Result<Value, Error> {
    let question = Question {
        url,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = app.remote_fetch.ask(question, Sent::Nothing).await;
    let reply = reply.map_err(|error| Error::of(what, &error))?;
    if !reply.status.is_success() {
        let status = fetch::Error::Status(reply.status.as_u16());
        return Err(Error::of(what, &status));
    }
    require_json(&reply.headers).map_err(|error| Error::of(what, &error))?;
    let document = strict_json::parse(&reply.body);
    document.map_err(|why| Error::Useless(format!("{what}: {why}")))
}
