//! The webhook: reports of thefts, lockouts, revoked signing keys and suspended accounts to a server of the operator.
//!
//! The audit trail is the queue, so that a restart loses nothing: a job sends the entries of these events that have no
//! delivery yet, in the form of the Standard Webhooks specification (`webhook-id`, `webhook-timestamp`,
//! `webhook-signature`), and retries with backoff for a day. At most one replica sends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;
use time::Duration as Span;

use crate::audit_export::people;
use crate::context::Context;
use crate::egress::{self, Question, Sent};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::Event;
use crate::store::audit_list::ListedEntry;
use crate::store::webhook_deliveries::{self, Due, Outcome};
use crate::telemetry::metrics;

/// The reported events.
pub const EVENTS: &[Event] = &[
    Event::RefreshTokenReused,
    Event::CodeReplayed,
    Event::SignInLimited,
    Event::PasswordChangeLimited,
    Event::ClientAuthenticationLimited,
    Event::AccessKeyLimited,
    Event::UserCodeLimited,
    Event::SigningKeyRevoked,
    Event::AccountSuspended,
];

/// Entries older than this are not sent.
pub const KEPT: Span = Span::hours(24);

/// Retention of a delivery: longer than [`KEPT`], so that no entry is sent twice.
const DELIVERY_KEPT: Span = Span::hours(48);

/// Maximum number of entries in a pass.
const AT_ONCE: i64 = 50;

/// Time limit of a request.
const DEADLINE: Duration = Duration::from_secs(10);

/// Maximum length of a response, which is not used.
const RESPONSE_MAX: usize = 64 * 1_024;

/// Delay after the first failed attempt; doubles with each attempt.
const FIRST_DELAY: Span = Span::seconds(30);

/// Longest delay between two attempts.
const DELAY_MAX: Span = Span::hours(1);

/// Prefix of a secret that is base64 (Standard Webhooks).
const BASE64_PREFIX: &str = "whsec_";

/// The body of a request (Standard Webhooks).
#[derive(Serialize)]
struct Report<'a> {
    /// Name of the event.
    r#type: &'a str,
    /// Time of the event.
    timestamp: String,
    /// The audit entry.
    data: Data<'a>,
}

/// An audit entry with the names of the people.
#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    entry: &'a ListedEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<&'a str>,
}

/// Sends the reports that are due, in order. A failed request ends the pass, so that a receiver that is down is not
/// asked for every entry.
///
/// # Errors
/// If the database does not answer.
pub async fn send_due(context: &Context) -> store::Result<()> {
    let (Some(url), Some(secret)) = (&context.config.webhook_url, &context.config.webhook_secret)
    else {
        return Ok(());
    };
    let now = context.clock.now();
    let events = EVENTS.iter().map(|event| event.name());
    let due = webhook_deliveries::due(&context.db, events, now - KEPT, now, AT_ONCE).await?;
    for due in due {
        let sent = send(context, url, secret, &due.entry).await?;
        let outcome = outcome_of(context, &due, sent.is_ok());
        webhook_deliveries::record(&context.db, &due.entry.id, outcome).await?;
        if let Err(error) = sent {
            let (event, attempts) = (&due.entry.event, outcome.attempts);
            tracing::warn!(%error, event, attempts, "webhook was not delivered; it is tried again for a day");
            metrics::webhook("failed");
            return Ok(());
        }
        metrics::webhook("delivered");
    }
    Ok(())
}

/// The reason of a failed delivery.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Request(#[from] egress::Error),
    #[error("the receiver answered with status {0}")]
    Status(u16),
}

/// Sends a report; every status of the class 2xx counts as delivered.
async fn send(
    context: &Context,
    url: &url::Url,
    secret: &Secret,
    entry: &ListedEntry,
) -> store::Result<Result<(), Failure>> {
    let people = people(&context.db, std::slice::from_ref(entry)).await?;
    let name = |id: &Option<crate::ids::AccountId>| {
        id.as_ref()
            .and_then(|id| people.get(id))
            .map(String::as_str)
    };
    let report = Report {
        r#type: &entry.event,
        timestamp: entry.created_at.to_rfc3339(),
        data: Data {
            account: name(&entry.account_id),
            actor: name(&entry.actor_id),
            entry,
        },
    };
    let body = serde_json::to_string(&report).expect("an entry has only texts and numbers");
    let at = context.clock.now().unix_seconds().to_string();
    let id = entry.id.as_str();
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-signature", sign(secret, id, &at, &body)),
        ("webhook-timestamp", at),
    ];
    let question = Question {
        url,
        max: RESPONSE_MAX,
        deadline: DEADLINE,
    };
    let reply = context
        .webhook_fetch
        .ask(question, Sent::Signed(body, headers))
        .await;
    Ok(match reply {
        Ok(reply) if reply.status.is_success() => Ok(()),
        Ok(reply) => Err(Failure::Status(reply.status.as_u16())),
        Err(error) => Err(error.into()),
    })
}

/// Returns the delivery after an attempt.
fn outcome_of(context: &Context, due: &Due, is_delivered: bool) -> Outcome {
    let now = context.clock.now();
    let attempts = due.attempts + i64::from(!is_delivered);
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(16);
    let delay = (FIRST_DELAY * 2_i32.pow(doublings)).min(DELAY_MAX);
    Outcome {
        attempts,
        next_at: (!is_delivered).then(|| now + delay),
        expires_at: due.entry.created_at + DELIVERY_KEPT,
    }
}

/// Signs a report: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks).
#[must_use]
pub fn sign(secret: &Secret, id: &str, at: &str, body: &str) -> String {
    let key = key_of(secret);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes a key of any length");
    for part in [id, ".", at, ".", body] {
        mac.update(part.as_bytes());
    }
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// The key of a secret: its bytes, or after `whsec_` those that the base64 stands for.
fn key_of(secret: &Secret) -> zeroize::Zeroizing<Vec<u8>> {
    let text = secret.reveal();
    let decoded = text
        .strip_prefix(BASE64_PREFIX)
        .and_then(|encoded| STANDARD.decode(encoded).ok());
    zeroize::Zeroizing::new(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn signature_matches_the_example_of_the_specification() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signature = sign(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
