//! Registering this community with a remote authorization server (RFC 7591 §3).

use serde_json::{Value, json};
use url::Url;

use super::Error;
use super::auth_method::AuthMethod;
use super::{DEADLINE, error_text};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::egress::{Question, Sent, StatusCode};
use crate::oauth::redirect_uri::is_loopback;
use crate::oauth::strict_json;
use crate::secret::Secret;

/// The longest answer, in bytes.
const MAX: usize = 64 * 1_024;
/// The longest client id or secret that is kept, in bytes.
const TEXT_MAX: usize = 4 * 1_024;

/// The registration at a remote server.
#[derive(Debug)]
pub struct Registered {
    /// Client id there.
    pub client_id: String,
    /// Client secret there.
    pub client_secret: Option<Secret>,
    /// Authentication method there.
    pub auth_method: AuthMethod,
    /// Expiry of the secret.
    pub secret_expires_at: Option<Timestamp>,
}

/// A registration to be made.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// Registration endpoint.
    pub endpoint: &'a str,
    /// The redirect URI.
    pub redirect_uri: &'a str,
    /// Scope of the later authorization request.
    pub scope: Option<&'a str>,
    /// Authentication methods of the token endpoint; empty if the server lists none.
    pub server_methods: &'a [String],
}

/// Selects the authentication method: without a secret if possible, because PKCE already binds the code.
///
/// # Errors
/// If the server lists only methods that are unknown here.
fn select_method(server_methods: &[String]) -> Result<AuthMethod, Error> {
    const PREFERRED: [AuthMethod; 3] = [AuthMethod::None, AuthMethod::Basic, AuthMethod::Post];
    if server_methods.is_empty() {
        return Ok(AuthMethod::None); // the server answers with the registered method
    }
    let is_listed = |method: &AuthMethod| server_methods.iter().any(|one| one == method.name());
    PREFERRED.into_iter().find(is_listed).ok_or_else(|| {
        Error::refused(format!(
            "The authorization server accepts only {} at its token endpoint; this server knows none, \
             client_secret_basic and client_secret_post",
            server_methods.join(", ")
        ))
    })
}

/// Registers this community with one redirect URI.
///
/// # Errors
/// The reason of the failure. A value that the server changed and this community cannot use is
/// rejected.
pub async fn register(
    context: &Context,
    registration: &Registration<'_>,
) -> Result<Registered, Error> {
    let what = "The registration";
    let document = metadata(context, registration)?;
    let url = Url::parse(registration.endpoint)
        .map_err(|_| Error::refused("registration_endpoint is no URL"))?;
    let question = Question {
        url: &url,
        max: MAX,
        deadline: DEADLINE,
    };
    let reply = context
        .remote_fetch
        .ask(question, Sent::Json(&document))
        .await;
    let reply = reply.map_err(|error| Error::of(what, &error))?;
    let answer = strict_json::parse(&reply.body);
    if !reply.status.is_success() {
        let why = answer.ok().and_then(|answer| error_text(&answer));
        let why = why.unwrap_or_else(|| format!("status {}", reply.status.as_u16()));
        let text = format!("{what} was refused: {why}");
        return Err(
            if reply.status.is_server_error() || reply.status == StatusCode::TOO_MANY_REQUESTS {
                Error::Away(text)
            } else {
                Error::Refused(text)
            },
        );
    }
    let answer = answer.map_err(|why| Error::refused(format!("{what}: {why}")))?;
    read(&answer, registration)
}

/// The metadata of this community (RFC 7591 §2).
fn metadata(context: &Context, registration: &Registration<'_>) -> Result<Value, Error> {
    let web = context.config.web_address();
    let is_fixed = context.config.policies.remote.registration_fixed;
    let method = if is_fixed {
        AuthMethod::None
    } else {
        select_method(registration.server_methods)?
    };
    // SEP-837, OpenID Connect Registration §2: plain http on a loopback address is for native applications.
    let is_native = Url::parse(registration.redirect_uri)
        .is_ok_and(|uri| uri.scheme() == "http" && is_loopback(&uri));
    let mut document = json!({
        "redirect_uris": [registration.redirect_uri],
        "token_endpoint_auth_method": method.name(),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": context.config.own_client_name(),
        "application_type": if is_native && !is_fixed { "native" } else { "web" },
    });
    if is_fixed || web.scheme() == "https" {
        // servers reject a page on plain http
        document["client_uri"] = json!(web.as_str().trim_end_matches('/'));
    }
    if let Some(scope) = registration.scope {
        document["scope"] = json!(scope);
    }
    Ok(document)
}

fn read(answer: &Value, registration: &Registration<'_>) -> Result<Registered, Error> {
    let text = |name: &str| {
        let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
        let fits = !text.is_empty() && text.len() <= TEXT_MAX && !text.contains(char::is_control);
        fits.then(|| text.to_owned())
    };
    let client_id = text("client_id");
    let client_id =
        client_id.ok_or_else(|| Error::refused("The registration gave no client_id"))?;
    let client_secret = text("client_secret").map(Secret::new);
    let auth_method = match text("token_endpoint_auth_method") {
        Some(name) => AuthMethod::from_name(&name).ok_or_else(|| {
            Error::refused(format!(
                "The registration requires the unsupported token_endpoint_auth_method {name:?}"
            ))
        })?,
        None if client_secret.is_some() => secret_method(registration.server_methods),
        None => AuthMethod::None,
    };
    if auth_method != AuthMethod::None && client_secret.is_none() {
        return Err(Error::refused(
            "The registration requires a client secret and returned none",
        ));
    }
    let redirect_uri = registration.redirect_uri;
    let uris = answer.get("redirect_uris").and_then(Value::as_array);
    if uris.is_some_and(|uris| !uris.is_empty() && !uris.iter().any(|uri| uri == redirect_uri)) {
        return Err(Error::refused(
            "The registration lacks the redirect_uri that was sent",
        ));
    }
    // RFC 7591 §3.2.1: 0 means that the secret does not expire
    let expiry = answer
        .get("client_secret_expires_at")
        .and_then(Value::as_i64);
    let expiry = expiry.filter(|seconds| *seconds > 0 && client_secret.is_some());
    Ok(Registered {
        client_id,
        client_secret,
        auth_method,
        secret_expires_at: expiry.map(Timestamp::from_unix_seconds),
    })
}

/// The method for a secret if the registration names none (RFC 7591 §2: `client_secret_basic`), unless
/// the server does not list that method.
fn secret_method(server_methods: &[String]) -> AuthMethod {
    let lists = |method: AuthMethod| server_methods.iter().any(|one| one == method.name());
    if lists(AuthMethod::Post) && !lists(AuthMethod::Basic) {
        AuthMethod::Post
    } else {
        AuthMethod::Basic
    }
}
