//! Client authentication with `private_key_jwt` (RFC 7523 §3, OpenID Connect Core §9). The public keys
//! are registered (`jwks`) or fetched from the client (`jwks_uri`).

use std::sync::Arc;

use serde_json::Value;
use url::Url;

use super::Credentials;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::egress::Question;
use crate::keys::remote_key_sets::KeySet;
use crate::keys::{self, AssertionError};
use crate::oauth::client_assertion::{Audiences, Claims, Once};
use crate::oauth::mistake::MistakeKind;
use crate::oauth::{OAuthError, fapi, key_set, strict_json};
use crate::rate_limit::KEYS_CLIENT;
use crate::secret::Secret;
use crate::store::clients::Client;
use crate::store::{assertions, client_keys};

/// Maximum size of a key set, in bytes.
const KEY_SET_BYTES_MAX: usize = 16 * 1_024;

/// Reads the client id from an unverified assertion: `client_id` is optional beside an assertion (RFC
/// 7521 §4.2).
#[must_use]
pub fn subject(assertion: &Secret) -> Option<String> {
    let claims: Claims = keys::peek_assertion(assertion.reveal())?;
    Some(claims.subject().to_owned())
}

/// Verifies an assertion of the client, and stores the `jti` against replay.
///
/// # Errors
/// `invalid_client` with the reason; `temporarily_unavailable` if the client's keys were fetched too
/// often or are unavailable.
pub async fn prove(
    context: &Context,
    client: &Client,
    credentials: &Credentials,
) -> Result<(), OAuthError> {
    let Some(assertion) = &credentials.assertion else {
        let error = credentials
            .refuse("This client authenticates with private_key_jwt: a client_assertion is needed");
        let used = credentials.method().name();
        return Err(error.mistake(MistakeKind::AuthMethod, Some(used)));
    };
    let assertion = assertion.reveal();
    let refuse = |why: &str| {
        let error = credentials.refuse(format!("The client assertion {why}"));
        error.mistake(MistakeKind::Assertion, keys::key_id(assertion).as_deref())
    };
    let claims: Option<Claims> = keys::peek_assertion(assertion);
    let claims = claims.ok_or_else(|| refuse("is no JWT with iss, sub, aud and exp"))?;
    // Check the claims before any fetch, so that an invalid assertion causes no request.
    let once = check_claims(context, client, &claims).map_err(refuse)?;
    let only = client.fapi.then_some(fapi::ALGORITHMS);
    let check = |jwks: &Value| keys::check_assertion(assertion, jwks, only);
    check_signature(context, client, &check)
        .await?
        .map_err(|why| {
            refuse(match why {
                AssertionError::Malformed if client.fapi => {
                    "must be signed with PS256, ES256 or EdDSA: this client is held to FAPI 2.0"
                }
                AssertionError::Malformed => {
                    "must be signed with an asymmetric algorithm that the metadata name, as in RS256, ES256 or EdDSA"
                }
                AssertionError::NoKey => "is signed by none of the client's keys",
            })
        })?;
    let spent = Secret::new(format!("{}\0{}", client.row_id, once.jti)).hash();
    let expires_at = Timestamp::from_unix_seconds(once.expires_at);
    let first = context
        .db
        .write((spent, expires_at), |tx, (spent, expires_at)| {
            Box::pin(assertions::spend(tx, spent, *expires_at))
        });
    if first.await? {
        return Ok(());
    }
    tracing::warn!(client = %client.row_id, "client assertion replayed");
    Err(refuse("was used before; each assertion needs a new jti"))
}

/// Checks the claims of an assertion: for a client that is held to FAPI 2.0, the audience is the issuer alone
/// (§5.3.2.1 item 8).
fn check_claims<'a>(
    context: &Context,
    client: &Client,
    claims: &'a Claims,
) -> Result<Once<'a>, &'static str> {
    let (issuer, now) = (context.config.issuer(), context.clock.now());
    if client.fapi {
        return claims.check(&client.client_id, Audiences::Only(&issuer), now);
    }
    let with_slash = format!("{issuer}/");
    let base = context.config.endpoint_base();
    // RFC 9126 §2: the endpoint for pushed requests is an audience too
    let (token, pushed) = (format!("{base}/oauth/token"), format!("{base}/oauth/par"));
    let audiences = [&*issuer, &with_slash, &token, &pushed];
    claims.check(&client.client_id, Audiences::OneOf(&audiences), now)
}

/// Verifies a signature with `check`, which gets the keys of the client. If no cached key matches, fetches
/// `jwks_uri` again, because the client may have rotated keys.
///
/// # Errors
/// `temporarily_unavailable` if the keys were fetched too often or are unavailable.
pub(super) async fn check_signature(
    context: &Context,
    client: &Client,
    check: &(dyn Fn(&Value) -> Result<(), AssertionError> + Sync),
) -> Result<Result<(), AssertionError>, OAuthError> {
    let own = client_keys::find(&context.db, &client.row_id).await?;
    if let Some(jwks) = &own.jwks {
        return Ok(check(jwks));
    }
    let Some(uri) = &own.jwks_uri else {
        return Ok(Err(AssertionError::NoKey));
    };
    let cached = context
        .remote_key_sets
        .check(uri, context.clock.now(), check);
    if let Some(checked) = cached {
        return Ok(checked);
    }
    let set = fetch_set(context, client, uri).await?;
    Ok(check(&set.jwks))
}

async fn fetch_set(context: &Context, client: &Client, uri: &str) -> Result<KeySet, OAuthError> {
    let row = client.row_id.as_str();
    context
        .limits
        .spend(&[(KEYS_CLIENT, row)])
        .map_err(|wait| {
            OAuthError::limited("The keys of this client were fetched too often", wait.0)
        })?;
    let set = context
        .remote_key_sets
        .fetches
        .run(uri, read_set(context, uri));
    set.await.ok_or_else(|| {
        let description = "The client's jwks_uri cannot be read now";
        OAuthError::temporarily_unavailable(description).retry_after(10)
    })
}

async fn read_set(context: &Context, uri: &str) -> Option<KeySet> {
    let refused = |why: &dyn std::fmt::Display| {
        tracing::warn!(uri, %why, "key set of a client cannot be used");
    };
    let url = Url::parse(uri).inspect_err(|why| refused(why)).ok()?;
    let question = Question {
        url: &url,
        max: KEY_SET_BYTES_MAX,
        deadline: context.timeouts.fetch,
    };
    let found = context.documents_fetch.json(question).await;
    let found = found.inspect_err(|why| refused(why)).ok()?;
    let jwks = strict_json::parse(&found.body);
    let jwks = jwks.inspect_err(|why| refused(why)).ok()?;
    let checked = key_set::check(&jwks);
    checked.inspect_err(|why| refused(why)).ok()?;
    let set = KeySet {
        jwks: Arc::new(jwks),
        fetched_at: context.clock.now(),
    };
    context.remote_key_sets.insert(uri, set.clone());
    Some(set)
}
