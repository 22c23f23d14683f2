//! The fetch and the check of a metadata document.

use serde_json::Value;
use time::Duration;

use super::check_id;
use crate::context::Context;
use crate::egress::{self, Found, Question};
use crate::oauth::client_document::{self, ClientDocument};
use crate::oauth::client_metadata::Bounds;
use crate::oauth::scope::Scope;
use crate::oauth::{OAuthError, strict_json};
use crate::resources;

/// Maximum size of a document, in bytes (§6.6).
const MAX: usize = 5 * 1_024;
/// Freshness of a document without `max-age`.
const FRESH: Duration = Duration::minutes(5);
/// Upper bound of `max-age`.
const FRESH_MAX: Duration = Duration::hours(1);

/// The error for a document that cannot be fetched. Does not tell the reason.
const UNREACHABLE: &str =
    "The client's metadata document cannot be fetched now: its host does not answer";

/// Why a document could not be used.
pub(super) struct Failed {
    pub(super) error: OAuthError,
    pub(super) reason: String,
    /// True if the failure is temporary.
    pub(super) passing: bool,
}

impl Failed {
    fn new(description: String, reason: &dyn std::fmt::Display) -> Self {
        Self {
            error: OAuthError::invalid_client(description),
            reason: reason.to_string(),
            passing: false,
        }
    }
}

/// A fetched and checked document.
pub(super) struct FetchedDocument {
    pub(super) document: ClientDocument,
    /// Duration of freshness.
    pub(super) fresh: Duration,
}

/// Fetches and checks a document.
pub(super) async fn fetch_document(
    context: &Context,
    client_id: &str,
) -> Result<FetchedDocument, Failed> {
    let policy = context.config.policies.document_fetch;
    let url = check_id(context, client_id).map_err(|error| Failed {
        reason: error.description.to_string(),
        error,
        passing: false,
    })?;
    let question = Question {
        url: &url,
        max: MAX,
        deadline: context.timeouts.fetch * policy.timeout_factor,
    };
    let found = context.documents_fetch.json(question).await;
    let found = found.map_err(|error| Failed {
        error: OAuthError::invalid_client(describe(&error, client_id, policy.storyden_errors)),
        passing: error.is_temporary(),
        reason: error.to_string(),
    })?;
    let fresh = freshness(&found);
    let explain = |sentence: &str, why: &str| {
        if policy.storyden_errors {
            sentence.to_owned()
        } else {
            format!("The client's metadata document {why}")
        }
    };
    let document = if policy.repeated_members_accepted {
        serde_json::from_slice(&found.body).map_err(|error| error.to_string())
    } else {
        strict_json::parse(&found.body)
    };
    let document = document.map_err(|why| {
        Failed::new(
            explain(
                "Failed to parse CIMD client metadata",
                "cannot be read as JSON",
            ),
            &why,
        )
    })?;
    let bounds = Bounds {
        scope: &context.config.document_scope(),
        resource_scopes: &resource_scopes(context, &document).await?,
        private_use_schemes: &context.config.private_use_schemes(),
        signing_algorithms: &context.config.signing_algorithms.0,
    };
    let policy = context.config.policies.client_documents;
    let document = client_document::check(policy, client_id, &document, bounds);
    let document = document
        .map_err(|why| Failed::new(explain("Invalid CIMD client metadata", &why.0), &why.0))?;
    if !document.warnings.is_empty() {
        tracing::info!(
            client = client_id,
            left_out = ?document.warnings,
            "client metadata document used in part"
        );
    }
    Ok(FetchedDocument { document, fresh })
}

/// Returns the scopes of resources that a document lists.
async fn resource_scopes(context: &Context, document: &Value) -> Result<Scope, Failed> {
    let listed = document.get("scope").and_then(Value::as_str);
    let limited = context.config.policies.client_documents.limited_to_scope;
    let scopes = resources::listable(context, limited, listed.unwrap_or_default()).await;
    scopes.map_err(|error| Failed {
        reason: error.to_string(),
        error: error.into(),
        passing: true,
    })
}

/// The public error description of a failed fetch. Network details go to the log only.
fn describe(error: &egress::Error, client_id: &str, storyden_errors: bool) -> String {
    use egress::Error::{
        Busy, Compressed, Forbidden, NoTrust, NotJson, Slow, Status, TooLong, Unreachable,
        Unresolved,
    };
    use egress::address::AddressError::{Address, Addresses};
    // The URL itself shows a local address, so naming the reason reveals nothing about the network
    // (SSRF).
    let named = names_local_host(client_id);
    if storyden_errors {
        return match error {
            Forbidden(_) if named => {
                format!("Invalid CIMD client ID: '{client_id}' cimd client_id host is not allowed")
            }
            Forbidden(_) | Unresolved => "CIMD client host is not allowed".to_owned(),
            NotJson => "CIMD client metadata is not JSON".to_owned(),
            TooLong(_) => "Failed to read CIMD client metadata".to_owned(),
            _ => "Failed to fetch CIMD client metadata".to_owned(),
        };
    }
    match error {
        // The same error for internal names and for unknown names; a difference would let an attacker
        // map the internal network (SSRF).
        Forbidden(Address | Addresses) if !named => UNREACHABLE.to_owned(),
        Forbidden(why) => format!("The client's metadata document is not fetched: {why}"),
        Busy | NoTrust | Unresolved | Unreachable | Slow => UNREACHABLE.to_owned(),
        Status(_) | NotJson | Compressed | TooLong(_) => {
            format!("The client's metadata document cannot be used: {error}")
        }
    }
}

/// True if the URL has a literal IP address or `localhost` as the host. Storyden has a separate error
/// for these URLs.
fn names_local_host(client_id: &str) -> bool {
    let Ok(url) = url::Url::parse(client_id) else {
        return false;
    };
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(_) => true,
        None => false,
    }
}
/// Reads the freshness from `Cache-Control` (RFC 9111 §5.2.2), bounded by [`FRESH_MAX`] (`req_155`).
fn freshness(found: &Found) -> Duration {
    let Some(control) = found.cache_control.as_deref() else {
        return FRESH;
    };
    let mut fresh = FRESH;
    for directive in control
        .split(',')
        .map(|one| one.trim().to_ascii_lowercase())
    {
        if directive.starts_with("no-store") || directive.starts_with("no-cache") {
            return Duration::ZERO;
        }
        if let Some(seconds) = directive.strip_prefix("max-age=") {
            let seconds = seconds.trim_matches('"').parse::<i64>().unwrap_or(0);
            fresh = Duration::seconds(seconds.clamp(0, FRESH_MAX.whole_seconds()));
        }
    }
    fresh
}
