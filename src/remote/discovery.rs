//! Discovery of a resource's authorization server (RFC 9728 §3) and of its metadata (RFC 8414 §3,
//! OpenID Connect Discovery §4), in the order of the MCP authorization specification.

use std::time::Duration as Span;

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use super::challenge::Challenge;
use super::metadata::{ResourceMetadata, ServerMetadata, check_endpoint};
use super::{DEADLINE, Error, scope};
use crate::context::Context;
use crate::egress::{self, Question, Sent, StatusCode, WWW_AUTHENTICATE, require_json};
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::strict_json;

/// The longest document, in bytes.
const MAX: usize = 64 * 1_024;
/// Time limit of the request for a challenge, which a resource may also answer with an event stream.
const CHALLENGE_DEADLINE: Span = Span::from_secs(5);

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
    /// Scope of a connection for which no scope is given.
    pub scope: Option<String>,
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
    let asks_first = !context.config.policies.remote.scope_as_given;
    let mut challenge = None;
    if asks_first {
        challenge = Some(challenge_of(context, &resource_url).await);
    }
    let resource = find_resource(context, &resource_url, challenge.as_ref()).await;
    let challenge = challenge.unwrap_or_default();
    let resource = match resource {
        Err(Error::Useless(_)) if challenge.is_bearer => ResourceMetadata::assumed(&resource_url),
        found => found?,
    };
    let scope = if asks_first {
        scope::select(challenge.scope.as_deref(), resource.scopes.as_deref())
    } else {
        None
    };
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
                let mode = mode_for(context, server, &metadata);
                return Ok(Discovered {
                    resource_url,
                    resource,
                    server: server.trim_end_matches('/').to_owned(),
                    metadata,
                    mode,
                    scope,
                });
            }
            Err(error) => first = first.or(Some(error)), // the next server may work
        }
    }
    Err(first.unwrap_or_else(|| Error::refused("The resource lists no authorization server")))
}

/// The way in which a server takes this community as a client: by document if the server supports
/// documents, accepts clients without a secret and can read the document; then by registration.
fn mode_for(context: &Context, server: &str, metadata: &ServerMetadata) -> Mode {
    let registers = metadata.registration_endpoint.is_some();
    if metadata.takes_documents {
        // A document at a plain http address is on this computer, as seen from this computer only.
        let is_near = Url::parse(server).is_ok_and(|url| is_loopback(&url));
        let can_read = context.config.own_client_id().scheme() == "https" || is_near;
        let by_document = metadata.takes_public_clients() && can_read;
        if by_document || !registers || context.config.policies.remote.registration_fixed {
            return Mode::Cimd;
        }
    }
    if registers { Mode::Dcr } else { Mode::Manual }
}

/// Reads the metadata of a resource: at the locations in the resource's challenge, with the path inserted,
/// and at the root of the host. Without a challenge, the resource is asked for one last.
async fn find_resource(
    context: &Context,
    resource: &Url,
    challenge: Option<&Challenge>,
) -> Result<ResourceMetadata, Error> {
    // storyden-contract.md#remote-discovery: the query is not part of the resource.
    let mut identifier = resource.clone();
    if context.config.policies.remote.resource_query_ignored {
        identifier.set_query(None);
    }
    let mut places = challenge.map(pointed_at).unwrap_or_default();
    for place in well_known(resource, "oauth-protected-resource") {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let mut failed = None;
    for place in places {
        match read_resource(context, &place, &identifier).await {
            Ok(found) => return Ok(found),
            // A document that is absent is less of a reason than a document that cannot be used.
            Err(error) if matches!(failed, None | Some(Error::Useless(_))) => failed = Some(error),
            Err(_) => {}
        }
    }
    if challenge.is_none()
        && let Some(place) = pointed_at(&challenge_of(context, resource).await).first()
    {
        return read_resource(context, place, &identifier).await;
    }
    let missing = || Error::refused("The protected-resource metadata cannot be found");
    Err(failed.unwrap_or_else(missing))
}

async fn read_resource(
    context: &Context,
    place: &Url,
    identifier: &Url,
) -> Result<ResourceMetadata, Error> {
    let document = read(context, "The protected-resource metadata", place).await?;
    // RFC 9728 §3.1: the document at the root of the host describes the host itself.
    let host = at(identifier, "/");
    if *place == at(identifier, "/.well-known/oauth-protected-resource") {
        return ResourceMetadata::check(document, &[identifier.as_str(), host.as_str()]);
    }
    ResourceMetadata::check(document, &[identifier.as_str()])
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
            Ok(document) => match ServerMetadata::check(document, issuer) {
                Ok(found) => return Ok(found),
                Err(error) => failed = failed.or(Some(error)),
            },
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

/// The metadata locations in a challenge (RFC 9728 §5.1).
fn pointed_at(challenge: &Challenge) -> Vec<Url> {
    let places = challenge.metadata.iter();
    places.filter_map(|place| Url::parse(place).ok()).collect()
}

/// Asks a resource for its challenge, without a token. Some MCP servers answer only `POST`, so a `ping`
/// follows a `GET` that has no challenge and was rejected as a request.
async fn challenge_of(context: &Context, resource: &Url) -> Challenge {
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    for sent in [Sent::Nothing, Sent::Json(&ping)] {
        let question = Question {
            url: resource,
            max: MAX,
            deadline: CHALLENGE_DEADLINE,
        };
        let Ok(head) = context.remote_fetch.head(question, sent).await else {
            return Challenge::default();
        };
        let headers = head.headers.get_all(WWW_AUTHENTICATE);
        let challenge = Challenge::read(headers.iter().filter_map(|value| value.to_str().ok()));
        let is_final = head.status == StatusCode::UNAUTHORIZED || !head.status.is_client_error();
        if challenge.is_bearer || is_final {
            return challenge;
        }
    }
    Challenge::default()
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
