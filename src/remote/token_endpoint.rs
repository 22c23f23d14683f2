//! Requests to a remote token endpoint (RFC 6749 §3.2), and validation of the response (§5).

use serde_json::Value;
use time::Duration;
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::auth_method::AuthMethod;
use super::{DEADLINE, Error, error_text};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::egress::{self, Question, Sent, StatusCode, require_json};
use crate::keys::sealer::{self, Place};
use crate::oauth::strict_json;
use crate::secret::Secret;
use crate::store::remote::Connection;
use crate::store::remote_tokens::{GrantedScope, NewTokens};

/// The longest answer, in bytes.
const MAX: usize = 64 * 1_024;
/// The longest token that is kept, in bytes.
const TOKEN_MAX: usize = 16 * 1_024;
/// The longest life of an access token that is believed.
const LIFE_MAX: Duration = Duration::days(3_650);

/// Tokens from a remote server.
#[derive(Debug)]
pub(super) struct Tokens {
    access_token: Secret,
    refresh_token: Option<Secret>,
    expiry: Option<Timestamp>,
    scope: Option<String>,
}

impl Tokens {
    /// The tokens in stored form, after an authorization that requested a scope. A response without scope
    /// grants the requested scope (RFC 6749 §5.1).
    pub(super) fn authorized(
        &self,
        context: &Context,
        connection: &Connection,
        requested: Option<String>,
    ) -> Result<NewTokens, Error> {
        let scope = GrantedScope::Authorized(self.scope.clone().or(requested));
        self.kept(context, connection, scope)
    }

    /// The tokens in stored form, after a refresh.
    pub(super) fn refreshed(
        &self,
        context: &Context,
        connection: &Connection,
    ) -> Result<NewTokens, Error> {
        let before = &connection.details.granted_scope;
        let scope = GrantedScope::Refreshed(self.scope.clone().or_else(|| before.clone()));
        self.kept(context, connection, scope)
    }

    fn kept(
        &self,
        context: &Context,
        connection: &Connection,
        scope: GrantedScope,
    ) -> Result<NewTokens, Error> {
        let now = context.clock.now();
        let scope = if context
            .config
            .policies
            .remote
            .granted_scope_replaces_requested
        {
            GrantedScope::Replacing(self.scope.clone())
        } else {
            scope
        };
        let row = connection.id.as_str();
        let seal = |column, secret| context.sealer.seal(Place { row, column }, secret);
        let refresh_token = self.refresh_token.as_ref();
        Ok(NewTokens {
            id: connection.id.clone(),
            access_token: seal("access_token", &self.access_token)?,
            token_type: "Bearer".to_owned(),
            refresh_token: refresh_token
                .map(|token| seal("refresh_token", token))
                .transpose()?,
            expiry: self.expiry,
            scope,
            now,
        })
    }
}

/// Why there are no tokens.
#[derive(Debug)]
pub(super) enum NoTokens {
    /// The server said no, or something that is no answer: asking again does not help.
    Refused(String),
    /// The server does not know the client or its secret (RFC 6749 §5.2).
    InvalidClient(String),
    /// The server does not accept the scope of the request.
    InvalidScope(String),
    /// A temporary failure.
    Away(String),
    /// Something is wrong here.
    Here(Error),
}

impl From<Error> for NoTokens {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

impl From<sealer::Error> for NoTokens {
    fn from(error: sealer::Error) -> Self {
        Self::Here(error.into())
    }
}

impl From<NoTokens> for Error {
    fn from(error: NoTokens) -> Self {
        match error {
            NoTokens::Refused(why) | NoTokens::InvalidClient(why) | NoTokens::InvalidScope(why) => {
                Self::Refused(why)
            }
            NoTokens::Away(why) => Self::Away(why),
            NoTokens::Here(error) => error,
        }
    }
}

/// Asks for tokens of a connection; `grant` are the parameters of the grant.
pub(super) async fn ask(
    context: &Context,
    connection: &Connection,
    grant: &[(&str, &str)],
) -> Result<Tokens, NoTokens> {
    let lacking =
        || NoTokens::Refused("The connection has no token_endpoint or no client_id".to_owned());
    let endpoint = connection.token_endpoint.as_deref().unwrap_or_default();
    let url = Url::parse(endpoint).map_err(|_| lacking())?;
    let client_id = connection.client_id.as_deref().filter(|id| !id.is_empty());
    let client_id = client_id.ok_or_else(lacking)?;
    let place = Place {
        row: connection.id.as_str(),
        column: "client_secret",
    };
    let secret = connection
        .client_secret
        .as_deref()
        .filter(|text| !text.is_empty());
    let secret = secret
        .map(|kept| context.sealer.open(place, kept))
        .transpose()?;
    let named = connection.token_endpoint_auth_method.as_deref();
    let method = named
        .and_then(AuthMethod::from_name)
        .unwrap_or(match secret {
            Some(_) => AuthMethod::Basic,
            None => AuthMethod::None,
        });
    let mut form = grant.to_vec();
    let resource = connection
        .resource
        .as_deref()
        .filter(|text| !text.is_empty());
    if let Some(resource) = resource
        && !context.config.policies.remote.resource_omitted
    {
        form.push(("resource", resource)); // RFC 8707 §2.2, req_194
    }
    let mut header = None;
    match (method, &secret) {
        (AuthMethod::Basic, Some(secret)) => {
            // RFC 6749 §2.3.1: form encoding, which leaves `-`, `.`, `_` and `*` alone. Some servers
            // compare the encoded text, so nothing else may be escaped.
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            header = Some((encode(client_id), encode(secret.reveal())));
        }
        (AuthMethod::Post, Some(secret)) => {
            form.push(("client_id", client_id));
            form.push(("client_secret", secret.reveal()));
        }
        _ => form.push(("client_id", client_id)),
    }
    let question = Question {
        url: &url,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = context
        .remote_fetch
        .ask(question, Sent::Form(&form, header))
        .await;
    let reply = reply.map_err(|error| {
        let text = format!("The token endpoint: {error}");
        if error.is_temporary() {
            NoTokens::Away(text)
        } else {
            NoTokens::Refused(text)
        }
    })?;
    let away = reply.status.is_server_error()
        || matches!(
            reply.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    if away {
        let status = egress::Error::Status(reply.status.as_u16());
        return Err(NoTokens::Away(format!("The token endpoint: {status}")));
    }
    let document = require_json(&reply.headers).map_err(|error| error.to_string());
    let document = document.and_then(|()| strict_json::parse(&reply.body));
    let document =
        document.map_err(|why| NoTokens::Refused(format!("The token endpoint: {why}")))?;
    if !reply.status.is_success() || document.get("error").is_some() {
        let why =
            error_text(&document).unwrap_or_else(|| format!("status {}", reply.status.as_u16()));
        let why = format!("The token endpoint refused: {why}");
        return Err(match document.get("error").and_then(Value::as_str) {
            Some("invalid_client") => NoTokens::InvalidClient(why),
            Some("invalid_scope") => NoTokens::InvalidScope(why),
            _ => NoTokens::Refused(why),
        });
    }
    read(&document, context.clock.now())
        .map_err(|why| NoTokens::Refused(format!("The token endpoint {why}")))
}

/// RFC 6749 §5.1; A-104.
fn read(answer: &Value, now: Timestamp) -> Result<Tokens, &'static str> {
    let text = |name: &str| match answer.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text))
            if text.len() <= TOKEN_MAX
                && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') =>
        {
            Ok(Some(text.clone()))
        }
        Some(_) => Err("returned an invalid or too long token"),
    };
    let access_token = text("access_token")?.ok_or("gave no access_token")?;
    let token_type = text("token_type")?.ok_or("gave no token_type")?;
    if !token_type.eq_ignore_ascii_case("bearer") {
        return Err("gave a token_type other than Bearer");
    }
    let expiry = match answer.get("expires_in") {
        None | Some(Value::Null) => None,
        Some(seconds) => {
            let seconds = match seconds {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.parse().ok(), // some servers send a quoted number
                _ => None,
            };
            let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
            let seconds = seconds.ok_or("gave an expires_in that is no time to come")?;
            Some(now + Duration::seconds_f64(seconds.min(LIFE_MAX.as_seconds_f64())))
        }
    };
    Ok(Tokens {
        access_token: Secret::new(access_token),
        refresh_token: text("refresh_token")?.map(Secret::new),
        expiry,
        scope: scope(answer),
    })
}

/// The granted scope. Some servers send a list of names; anything else counts as absent.
fn scope(answer: &Value) -> Option<String> {
    let scope = match answer.get("scope")? {
        Value::String(text) => text.clone(),
        Value::Array(names) => {
            let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
            names?.join(" ")
        }
        _ => return None,
    };
    let is_text = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (!scope.is_empty() && scope.len() <= TOKEN_MAX && scope.bytes().all(is_text)).then_some(scope)
}
