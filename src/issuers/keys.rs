//! Keys of issuers: fetched through the SSRF guard, from the `jwks_uri` of the operator or of the issuer's metadata
//! (RFC 8414 §3, OpenID Connect Discovery §4).

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use crate::context::Context;
use crate::egress::Question;
use crate::keys::remote_key_sets::KeySet;
use crate::keys::{self, AssertionError};
use crate::oauth::{OAuthError, key_set, strict_json};
use crate::rate_limit::KEYS_ISSUER;
use crate::store::issuers::Issuer;

/// Maximum size of metadata and of a key set, in bytes.
const DOCUMENT_BYTES_MAX: usize = 64 * 1_024;

/// Verifies the signature of an assertion. If no cached key matches, fetches the keys again, because the issuer
/// may have rotated keys.
///
/// # Errors
/// `temporarily_unavailable` if the keys were fetched too often or are unavailable.
pub(super) async fn check_signature(
    context: &Context,
    issuer: &Issuer,
    assertion: &str,
) -> Result<Result<(), AssertionError>, OAuthError> {
    let check = |jwks: &Value| keys::check_identity_assertion(assertion, jwks);
    let place = place(issuer);
    let cached = context
        .remote_key_sets
        .check(&place, context.clock.now(), check);
    if let Some(checked) = cached {
        return Ok(checked);
    }
    let limited = context.limits.spend(&[(KEYS_ISSUER, issuer.id.as_str())]);
    limited.map_err(|wait| {
        OAuthError::limited("The keys of this issuer were fetched too often", wait.0)
    })?;
    let fetch = async {
        let fetched = fetch_keys(context, issuer).await;
        let fetched = fetched.inspect_err(
            |why| tracing::warn!(issuer = %issuer.url, %why, "keys of an issuer cannot be used"),
        );
        let set = fetched.ok()?;
        context.remote_key_sets.insert(&place, set.clone());
        Some(set)
    };
    let set = context.remote_key_sets.fetches.run(&place, fetch).await;
    let set = set.ok_or_else(|| {
        let description = "The keys of the issuer cannot be read now";
        OAuthError::temporarily_unavailable(description).retry_after(10)
    })?;
    Ok(check(&set.jwks))
}

/// The place in the cache: another for every `jwks_uri`, and never that of a client's URL.
fn place(issuer: &Issuer) -> String {
    let uri = issuer.jwks_uri.as_deref().unwrap_or_default();
    format!("issuer {} {uri}", issuer.url)
}

/// Fetches the keys of an issuer.
///
/// # Errors
/// The reason, as a sentence for the operator.
pub async fn fetch_keys(context: &Context, issuer: &Issuer) -> Result<KeySet, String> {
    let uri = match &issuer.jwks_uri {
        Some(uri) => uri.clone(),
        None => discover(context, &issuer.url).await?,
    };
    let url = Url::parse(&uri).map_err(|why| format!("jwks_uri {uri:?}: {why}"))?;
    let jwks = read(context, &url).await?;
    key_set::check(&jwks).map_err(|why| format!("{uri}: the document {why}"))?;
    Ok(KeySet {
        jwks: Arc::new(jwks),
        fetched_at: context.clock.now(),
    })
}

/// Finds the `jwks_uri` of an issuer in its metadata.
async fn discover(context: &Context, issuer: &str) -> Result<String, String> {
    let url = Url::parse(issuer).map_err(|why| format!("{issuer}: {why}"))?;
    let path = url.path().trim_end_matches('/');
    let mut places = vec![
        format!("/.well-known/openid-configuration{path}"),
        format!("/.well-known/oauth-authorization-server{path}"),
    ];
    if !path.is_empty() {
        places.insert(0, format!("{path}/.well-known/openid-configuration"));
    }
    let mut first = None;
    for place in places {
        let mut at = url.clone();
        at.set_path(&place);
        let found = match read(context, &at).await {
            Ok(document) => jwks_uri(&document, issuer).map_err(|why| format!("{at}: {why}")),
            Err(why) => Err(why),
        };
        match found {
            Ok(uri) => return Ok(uri),
            Err(why) => first = first.or(Some(why)),
        }
    }
    Err(first.unwrap_or_default())
}

/// Returns the `jwks_uri` of metadata of this very issuer (RFC 8414 §3.3).
fn jwks_uri(metadata: &Value, issuer: &str) -> Result<String, String> {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    match (text("issuer"), text("jwks_uri")) {
        (Some(found), Some(uri)) if found == issuer => Ok(uri.to_owned()),
        (Some(found), Some(_)) => Err(format!(
            "the metadata are of the issuer {found:?}, not of {issuer:?}"
        )),
        _ => Err("the metadata have no issuer or no jwks_uri".to_owned()),
    }
}

async fn read(context: &Context, url: &Url) -> Result<Value, String> {
    let question = Question {
        url,
        max: DOCUMENT_BYTES_MAX,
        deadline: context.timeouts.fetch,
    };
    let found = context.documents_fetch.json(question).await;
    let found = found.map_err(|why| format!("{url}: {why}"))?;
    strict_json::parse(&found.body).map_err(|why| format!("{url}: {why}"))
}
