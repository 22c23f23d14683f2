//! Start of an authorization at a remote server (RFC 6749 §4.1.1;
//! storyden-contract.md#remote-authorization).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use time::Duration;
use url::Url;

use super::connect::requested_scope;
use super::metadata::check_endpoint;
use super::scope::{is_offline, scope_of, union};
use super::{Error, find, renewal};
use crate::context::Context;
use crate::ids::{AccountId, RemoteFlowId};
use crate::keys::sealer::Place;
use crate::oauth::pkce::{CodeChallenge, CodeVerifier};
use crate::secret::Secret;
use crate::store::audit::{self, Entry, Event};
use crate::store::remote::{self, Change, Connection};
use crate::store::remote_flows::{self, NewFlow};

/// Lifetime of an authorization flow.
const FLOW_TTL: Duration = Duration::minutes(10);

/// A started authorization.
#[derive(Debug)]
pub struct Started {
    /// The connection, with changes of scope and registration.
    pub connection: Connection,
    /// The authorization URL for the browser.
    pub url: Url,
}

/// Starts an authorization. `added` is the scope of an `insufficient_scope` challenge (RFC 6750 §3.1): it
/// joins the scope of the connection, for this authorization and later ones (SEP-2350).
///
/// # Errors
/// If the connection is not complete, or the client must be registered anew and cannot be.
pub async fn authorize(
    context: &Context,
    row: Connection,
    account: &AccountId,
    added: Option<String>,
) -> Result<Started, Error> {
    let row = widen(context, row, account, added).await?;
    let row = Box::pin(renewal::before_authorization(context, row)).await?;
    let url = begin(context, &row, account).await?;
    Ok(Started {
        connection: row,
        url,
    })
}

/// Adds names to the scope of a connection. The granted scope joins too: the next token replaces the
/// present token.
async fn widen(
    context: &Context,
    row: Connection,
    account: &AccountId,
    added: Option<String>,
) -> Result<Connection, Error> {
    let Some(added) = scope_of(added)? else {
        return Ok(row);
    };
    let before = union(row.scope.as_deref(), row.details.granted_scope.as_deref());
    let scope = union(before.as_deref(), Some(&added));
    let scope = scope.ok_or_else(|| Error::refused("the scope has more than 2048 bytes"))?;
    let change = Change {
        id: row.id.clone(),
        scope: Some(scope),
        client_secret: None,
        auth_method: None,
        now: context.clock.now(),
    };
    let entry = Entry::new(Event::RemoteUpdated, change.now).by(account);
    let change = (change, entry.subject(&row.id));
    let update = context.db.write(change, |tx, (change, entry)| {
        Box::pin(async move {
            if remote::update(tx, change).await? {
                audit::insert(tx, entry).await?;
            }
            Ok(())
        })
    });
    update.await?;
    find(context, &row.id).await
}

/// Stores a flow and builds the authorization URL.
async fn begin(context: &Context, row: &Connection, account: &AccountId) -> Result<Url, Error> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let incomplete =
        || Error::refused("The connection has no authorization_endpoint or no client_id");
    let endpoint = given(&row.authorization_endpoint).ok_or_else(incomplete)?;
    let client_id = given(&row.client_id).ok_or_else(incomplete)?;
    let mut url = check_endpoint("authorization_endpoint", &endpoint)?;
    check_endpoint(
        "token_endpoint",
        row.token_endpoint.as_deref().unwrap_or_default(),
    )?;
    let redirect_uri =
        given(&row.redirect_uri).unwrap_or_else(|| context.config.remote_callback_page().into());
    check_endpoint("redirect_uri", &redirect_uri)?;
    let scope = requested_scope(context, row);
    let state = Secret::generate(&context.random);
    let verifier = context.random.base64url::<48>();
    let challenge = CodeVerifier::parse(&verifier).map(|verifier| CodeChallenge::of(&verifier));
    let challenge =
        challenge.ok_or_else(|| Error::refused("the code verifier cannot be generated"))?;
    let now = context.clock.now();
    let id = RemoteFlowId::generate(now);
    let place = Place {
        row: id.as_str(),
        column: "pkce_verifier",
    };
    let flow = NewFlow {
        state_hash: state_hash(state.reveal()),
        verifier: context.sealer.seal(place, &Secret::new(verifier))?,
        redirect_uri: redirect_uri.clone(),
        connection: row.id.clone(),
        account: account.clone(),
        issuer: issuer_of(row),
        scope: scope.clone(),
        client_id: client_id.clone(),
        created_at: now,
        expires_at: now + FLOW_TTL,
        id,
    };
    let insert = context
        .db
        .write(flow, |tx, flow| Box::pin(remote_flows::insert(tx, flow)));
    insert.await?;
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", &client_id),
        ("redirect_uri", &redirect_uri),
    ];
    parameters.extend(scope.as_deref().map(|scope| ("scope", scope)));
    parameters.extend([
        ("state", state.reveal()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ]);
    let policy = context.config.policies.remote;
    // OpenID Connect Core §11: no refresh token without this scope.
    if scope.as_deref().is_some_and(is_offline) && !policy.consent_prompt_omitted {
        parameters.push(("prompt", "consent"));
    }
    // RFC 8707 §2.1, req_194
    let resource = given(&row.resource).filter(|_| !policy.resource_omitted);
    parameters.extend(resource.as_deref().map(|resource| ("resource", resource)));
    set_parameters(&mut url, &parameters);
    Ok(url)
}

/// Adds parameters to an endpoint. The endpoint may have some of these in its own query, such as `prompt` or the
/// `resource` of the server itself: these are replaced, because no parameter may be sent twice (RFC 6749 §3.1).
fn set_parameters(url: &mut Url, parameters: &[(&str, &str)]) {
    let is_set = |name: &str| parameters.iter().any(|(set, _)| *set == name);
    let own: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    if own.iter().any(|(name, _)| is_set(name)) {
        url.set_query(None);
        let kept = own.iter().filter(|(name, _)| !is_set(name));
        url.query_pairs_mut().extend_pairs(kept);
    }
    url.query_pairs_mut().extend_pairs(parameters);
}

/// The expected issuer: the issuer of the metadata.
fn issuer_of(row: &Connection) -> Option<String> {
    let metadata = row.authorization_server_metadata.as_ref()?;
    metadata.0.get("issuer")?.as_str().map(str::to_owned)
}

/// The stored form of a `state` (storyden-contract.md#remote-authorization).
pub(super) fn state_hash(state: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(state.as_bytes()))
}
