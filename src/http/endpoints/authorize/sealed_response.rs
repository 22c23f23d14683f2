//! An authorization response by form, on its way through the consent page (OAuth 2.0 Form Post Response Mode §2).
//!
//! The authorization endpoint itself answers with a page that posts the form. A consent page cannot do so: the
//! decision returns JSON, and frontends follow only `location`. `location` is then an address of this server,
//! with the sealed response in the query. The seal keeps the code out of logs and browser histories, and forged
//! forms off this origin.

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::keys::sealed_text;
use crate::oauth::OAuthError;

/// The parameter with the sealed response.
const RESPONSE: &str = "response";

/// A response to post.
#[derive(Deserialize, Serialize)]
pub(super) struct SealedResponse {
    pub(super) redirect_uri: String,
    pub(super) parameters: Vec<(String, String)>,
    /// Expiry, in seconds since 1970: that of a code issued now.
    exp: i64,
}

/// Returns the URL of the page that posts a response.
pub(super) async fn location(
    context: &Context,
    redirect_uri: String,
    parameters: Vec<(String, String)>,
) -> Result<String, OAuthError> {
    let now = context.clock.now();
    let response = SealedResponse {
        redirect_uri,
        parameters,
        exp: (now + context.config.code_ttl()).unix_seconds(),
    };
    let text = serde_json::to_vec(&response).map_err(OAuthError::server_error)?;
    let key = &context.response_key;
    let key = key
        .find_or_create(&context.db, &context.random, now)
        .await?;
    let sealed = sealed_text::seal(&key, context.random.bytes(), text)?;
    let base = context.config.endpoint_base();
    Ok(format!(
        "{base}/oauth/authorize/response?{RESPONSE}={sealed}"
    ))
}

/// Opens the sealed response of a query; `None` if this server did not seal the response, or the response
/// expired.
pub(super) async fn open(
    context: &Context,
    query: &str,
) -> Result<Option<SealedResponse>, OAuthError> {
    // Longer than other parameters may be: the client's `state` alone has up to 4 KiB.
    let sealed = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        (name == RESPONSE).then_some(value)
    });
    let (Some(sealed), Some(key)) = (sealed, context.response_key.find(&context.db).await?) else {
        return Ok(None);
    };
    let text = sealed_text::open(&key, sealed);
    let response = text.and_then(|text| serde_json::from_slice::<SealedResponse>(&text).ok());
    let now = context.clock.now();
    Ok(response.filter(|response| now.unix_seconds() < response.exp))
}
