//! Clients identified by the URL of a metadata document (OAuth Client ID Metadata Document §4). The
//! document is fetched for a signed-in account, at a device start, or for a pushed request.
//!
//! The fetched metadata is stored as a snapshot. The token endpoint uses the snapshot alone: an
//! unreachable host breaks no refresh, and an anonymous request cannot make this server send requests
//! (SSRF).

mod fetch;

use std::net::IpAddr;

use time::Duration;

use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::{AccountId, ClientRowId};
use crate::oauth::OAuthError;
use crate::oauth::application_type::ApplicationType;
use crate::oauth::auth_method::AuthMethod;
use crate::oauth::client_document::ClientDocument;
use crate::oauth::client_id_url;
use crate::oauth::client_metadata::{ClientKeys, RequestMetadata};
use crate::oauth::client_scope::{ClientScope, ScopePolicy};
use crate::oauth::grant_type::ClientType;
use crate::rate_limit::{DOCUMENTS_ACCOUNT, DOCUMENTS_ADDRESS, networks};
use crate::statistics;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::blocked_clients;
use crate::store::client_details::Details;
use crate::store::client_documents::{self, NewSnapshot, Snapshot};
use crate::store::clients::Client;
use fetch::{Failed, FetchedDocument, fetch_document};

/// Lifetime of a snapshot after the last successful fetch, while the host is unreachable.
const STALE_MAX: Duration = Duration::hours(24);

/// The requester that a document fetch is counted against.
#[derive(Clone, Copy, Debug)]
pub struct Requester<'a> {
    /// The signed-in account; `None` at a device start and for a pushed request.
    pub account: Option<&'a AccountId>,
    /// The client's IP address.
    pub address: IpAddr,
}

/// True if a client id is a document URL, and document clients are enabled.
#[must_use]
pub fn is_document(context: &Context, client_id: &str) -> bool {
    context.config.documents_enabled() && client_id_url::is_url(client_id)
}

/// Parses a document URL without fetching the document.
///
/// # Errors
/// `invalid_client`, with the violated rule.
pub fn check_id(context: &Context, client_id: &str) -> Result<url::Url, OAuthError> {
    let http_too = context.config.cimd_insecure;
    client_id_url::parse(client_id, http_too).map_err(|why| invalid_client_id(client_id, why))
}

/// Finds a document client: the stored snapshot while fresh, and the fetched document after that.
///
/// # Errors
/// `invalid_client` if the URL or the document is invalid, the document cannot be fetched, or the client is blocked;
/// `temporarily_unavailable` after too many fetches.
pub async fn find(
    context: &Context,
    client_id: &str,
    visitor: Requester<'_>,
) -> Result<Client, OAuthError> {
    if blocked_clients::is_blocked(&context.db, client_id).await? {
        return Err(OAuthError::invalid_client(
            "The administrators of this community blocked this client",
        ));
    }
    let client = match find_fresh(context, client_id).await? {
        Some(client) => client,
        None => read_once(context, client_id, visitor).await?,
    };
    statistics::set_client(&client.row_id);
    Ok(client)
}

/// Reads a document; concurrent requests for the same document share a read (single flight).
async fn read_once(
    context: &Context,
    client_id: &str,
    visitor: Requester<'_>,
) -> Result<Client, OAuthError> {
    check_id(context, client_id)?;
    let read = Box::pin(async {
        spend(context, visitor)?;
        read(context, client_id, visitor).await
    });
    context.document_fetches.run(client_id, read).await
}

/// Counts a fetch against the rate limits of the network and the account.
fn spend(context: &Context, visitor: Requester<'_>) -> Result<(), OAuthError> {
    let mut limits = networks(DOCUMENTS_ADDRESS, visitor.address);
    let account = visitor.account.map(ToString::to_string);
    limits.extend(account.map(|account| (DOCUMENTS_ACCOUNT, account)));
    context.limits.spend(&limits).map_err(|wait| {
        match visitor.account {
            Some(account) => context.record_account_refusal(Event::ClientDocumentLimited, account),
            None => context.refused(Event::ClientDocumentLimited),
        }
        OAuthError::limited("Too many client metadata documents were requested", wait.0)
    })
}

/// Finds a snapshot that is usable without a fetch.
async fn find_fresh(context: &Context, client_id: &str) -> Result<Option<Client>, store::Error> {
    let snapshot = client_documents::find(&context.db, client_id).await?;
    let now = context.clock.now();
    Ok(snapshot.filter(|one| one.serves(now)).map(|one| one.client))
}

async fn read(
    context: &Context,
    client_id: &str,
    visitor: Requester<'_>,
) -> Result<Client, OAuthError> {
    let snapshot = client_documents::find(&context.db, client_id).await?;
    let now = context.clock.now();
    if let Some(one) = &snapshot
        && one.serves(now)
    {
        return Ok(one.client.clone()); // a previous fetch stored the document
    }
    let failed = match fetch_document(context, client_id).await {
        Ok(fetched) => {
            return store_document(context, client_id, snapshot, fetched, visitor).await;
        }
        Err(failed) => failed,
    };
    let serves = snapshot.filter(|one| serves_stale(context, one, &failed, now));
    tracing::warn!(
        client = client_id,
        why = %failed.reason,
        serves_on = serves.is_some(),
        "client metadata document cannot be used"
    );
    serves.map(|one| one.client).ok_or(failed.error)
}

/// True if an expired snapshot may be used: the failure is temporary, and the last successful fetch is
/// recent.
fn serves_stale(context: &Context, snapshot: &Snapshot, failed: &Failed, now: Timestamp) -> bool {
    let confirmed = snapshot.confirmed_at;
    failed.passing
        && !context.config.policies.document_fetch.stale_rejected
        && confirmed.is_some_and(|at| now - at < STALE_MAX)
}

fn invalid_client_id(client_id: &str, why: client_id_url::ClientIdUrlError) -> OAuthError {
    OAuthError::invalid_client(format!("Invalid CIMD client ID: '{client_id}' {why}"))
}

/// Stores a fetched document. Revokes the grants if the client's identity changed.
async fn store_document(
    context: &Context,
    client_id: &str,
    before: Option<Snapshot>,
    fetched: FetchedDocument,
    visitor: Requester<'_>,
) -> Result<Client, OAuthError> {
    let FetchedDocument {
        mut document,
        fresh,
    } = fetched;
    let now = context.clock.now();
    if !context.config.protects_requests() {
        document.requests = RequestMetadata::default();
    }
    let client = client_of(client_id, before.as_ref(), &document, now);
    let keys = document.keys;
    let changed = before
        .as_ref()
        .is_some_and(|before| identity_changed(before, &client, &keys));
    let details = Details {
        registered: false,
        default_scope: document.default_scope.map(|scope| scope.to_string()),
        post_logout_redirect_uris: document.post_logout_redirect_uris,
        about: document.about,
        registration_token: None,
        request_object_algorithm: document.requests.algorithm(),
    };
    let new = NewSnapshot {
        exists: before.is_some(),
        ends_grants: changed,
        details,
        keys,
        confirmed_at: now,
        fresh_until: now + fresh,
        client: client.clone(),
    };
    let event = match (&before, changed) {
        (None, _) => Some(Event::ClientRegistered),
        (Some(_), true) => Some(Event::ClientUpdated),
        (Some(_), false) => None,
    };
    let entry = event.map(|event| {
        let entry = Entry::new(event, now)
            .client(client_id)
            .subject(&client.row_id);
        let entry = entry.from(visitor.address);
        match visitor.account {
            Some(account) => entry.by(account),
            None => entry,
        }
    });
    if changed {
        tracing::warn!(
            client = client_id,
            "client metadata document changed; all access of the client is revoked"
        );
    }
    let saved = context.db.write((new, entry), |tx, (new, entry)| {
        Box::pin(async move {
            client_documents::save(tx, new).await?;
            match entry {
                Some(entry) => audit::insert(tx, entry).await,
                None => Ok(()),
            }
        })
    });
    match saved.await {
        Ok(()) => Ok(client),
        // another replica stored the same or a newer document first
        Err(store::Error::Taken(_) | store::Error::Gone) => {
            let there = client_documents::find(&context.db, client_id).await?;
            let there = there.map(|there| there.client);
            there.ok_or_else(|| OAuthError::invalid_client("Client not found"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Builds the client that a document describes; an existing row keeps id and creation time.
fn client_of(
    client_id: &str,
    before: Option<&Snapshot>,
    document: &ClientDocument,
    now: Timestamp,
) -> Client {
    let before = before.map(|before| &before.client);
    let client = Client {
        row_id: before.map_or_else(|| ClientRowId::generate(now), |one| one.row_id.clone()),
        client_id: client_id.to_owned(),
        secret_hash: None,
        old_secret: None,
        auth_method: Some(document.auth_method),
        name: document.name.clone(),
        kind: if document.auth_method == AuthMethod::PrivateKeyJwt {
            ClientType::Confidential
        } else {
            ClientType::Public
        },
        application_type: document
            .about
            .application_type
            .as_deref()
            .and_then(ApplicationType::from_name),
        // an administrator may have exempted a client that authenticates with a key
        pkce_required: before.is_none_or(|one| one.pkce_required),
        request_protection: document.requests.protection(),
        dpop_bound: document.dpop_bound,
        fapi: document.fapi,
        algorithms: document.algorithms,
        scope: ClientScope {
            policy: ScopePolicy::Explicit,
            allowed: document.allowed.clone(),
            self_registered: true,
        },
        redirect_uris: document.redirect_uris.clone(),
        redirect_uris_omitted: false,
        grants: document.grants.clone(),
        owner: None,
        created_at: before.map_or(now, |one| one.created_at),
        updated_at: now,
    };
    client.with_fapi()
}

/// True if the client's name, type, redirect URIs or keys of client authentication changed: the members who
/// approved the old client have to approve the new client (`req_159`). Keys of request objects alone give no
/// access.
fn identity_changed(before: &Snapshot, now: &Client, keys: &ClientKeys) -> bool {
    let sorted = |uris: &[String]| {
        let mut uris = uris.to_vec();
        uris.sort_unstable();
        uris
    };
    before.client.name != now.name
        || before.client.kind != now.kind
        || now.auth_method == Some(AuthMethod::PrivateKeyJwt) && before.keys != *keys
        || sorted(&before.client.redirect_uris) != sorted(&now.redirect_uris)
}
