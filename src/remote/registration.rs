//! Registering this community with a remote authorization server (RFC 7591 §3).

use serde_json::{Value, json};
use url::Url;

use super::Error;
use super::auth_method::AuthMethod;
use super::{DEADLINE, error_text};
use crate::context::Context;
use crate::egress::{Question, Sent, StatusCode};
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
}

/// Registers this community with one redirect URI.
///
/// # Errors
/// The reason of the failure. A value that the server changed and this community cannot use is
/// rejected.
pub async fn register(
    context: &Context,
    endpoint: &str,
    redirect_uri: &str,
    scope: Option<&str>,
) -> Result<Registered, Error> {
    let what = "The registration";
    let web = context.config.web_address();
    let mut document = json!({
        "redirect_uris": [redirect_uri],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": context.config.own_client_name(),
        "client_uri": web.as_str().trim_end_matches('/'),
        "application_type": "web",
    });
    if let Some(scope) = scope {
        document["scope"] = json!(scope);
    }
    let url =
        Url::parse(endpoint).map_err(|_| Error::refused("registration_endpoint is no URL"))?;
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
    read(&answer, redirect_uri)
}

fn read(answer: &Value, redirect_uri: &str) -> Result<Registered, Error> {
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
        None if client_secret.is_some() => AuthMethod::Basic,
        None => AuthMethod::None,
    };
    if auth_method != AuthMethod::None && client_secret.is_none() {
        return Err(Error::refused(
            "The registration requires a client secret and returned none",
        ));
    }
    let uris = answer.get("redirect_uris").and_then(Value::as_array);
    if uris.is_some_and(|uris| !uris.is_empty() && !uris.iter().any(|uri| uri == redirect_uri)) {
        return Err(Error::refused(
            "The registration lacks the redirect_uri that was sent",
        ));
    }
    Ok(Registered {
        client_id,
        client_secret,
        auth_method,
    })
}
