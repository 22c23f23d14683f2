//! Checks that the public address leads to this server.

use reqwest::StatusCode;
use reqwest::header::DATE;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::Duration;

use super::reach::{TIMEOUT, Unreachable};
use super::{Findings, Owner};
use crate::checks::clock::lead;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::egress;
use crate::keys::SigningKey;

const CHECK: &str = "issuer";

/// Maximum difference between the clock of the issuer and this machine's clock; an HTTP date has whole seconds.
const CLOCK_MAX: Duration = Duration::seconds(10);

/// The compared part of a metadata document (RFC 8414 §3.3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
}

/// The served keys (RFC 7517 §5).
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Fetches the metadata like an application, then checks that this server answered.
pub(super) async fn examine(
    config: &Config,
    owner: Owner,
    key: Option<&SigningKey>,
    findings: &mut Findings,
) {
    let issuer = config.issuer();
    let url = format!(
        "{}/.well-known/openid-configuration",
        issuer.trim_end_matches('/')
    );
    let answer = match get(&url).await {
        Ok(answer) => answer,
        Err(failed) => {
            let advice = format!("{}; clients read this address first", failed.advice);
            return findings.warn(CHECK, format!("{url}: {}", failed.reason), advice);
        }
    };
    examine_clock(&answer, findings);
    let finding = match document::<Metadata>(answer).await {
        Ok(metadata) if metadata.issuer == issuer => {
            findings.ok(CHECK, format!("{url} answers as {issuer}"));
            examine_server(config, owner, findings).await;
            if let Some(key) = key {
                examine_key(config, owner, key, findings).await;
            }
            return;
        }
        Ok(metadata) => format!("{url} answers as {:?}, not as {issuer:?}", metadata.issuer),
        Err(why) => format!("{url}: {why}"),
    };
    findings.warn(
        CHECK,
        finding,
        "check that the host name resolves to this server, and that the proxy forwards /.well-known/; clients \
         read this address first",
    );
}

/// Compares the clock of the answer with this machine's clock: ID tokens and assertions have times that both sides
/// check.
fn examine_clock(answer: &reqwest::Response, findings: &mut Findings) {
    let date = answer
        .headers()
        .get(DATE)
        .and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(Timestamp::parse_http_date) else {
        return;
    };
    let ahead = theirs - Clock::machine().now();
    if ahead.abs() > CLOCK_MAX {
        findings.warn(
            "clock",
            format!("the clock of the issuer is {} this machine's", lead(ahead)),
            "let NTP set the clocks of this machine and of the proxy",
        );
    }
}

/// Tells this server from a Storyden, which serves the same metadata but no introspection endpoint.
async fn examine_server(config: &Config, owner: Owner, findings: &mut Findings) {
    let url = format!("{}/oauth/introspect", config.endpoint_base());
    let finding = match get(&url).await.map(|answer| answer.status()) {
        Ok(StatusCode::METHOD_NOT_ALLOWED) => {
            return findings.ok(CHECK, "a storyden-auth answers at this address");
        }
        Ok(StatusCode::NOT_FOUND) if owner == Owner::Storyden => {
            "the Storyden itself answers there, not this server".to_owned()
        }
        Ok(status) => format!("no storyden-auth answers at {url}: {status}"),
        Err(failed) => format!("{url}: {}", failed.reason),
    };
    findings.warn(
        CHECK,
        finding,
        "expected before switching over; afterwards the proxy must forward /api/oauth/ and the \
         other paths of docs/storyden.md to LISTEN_ADDR, as config/Caddyfile and config/nginx.conf \
         do",
    );
}

/// Checks that the served key is the configured key. With different keys, a server rejects the tokens
/// that the other server signed.
async fn examine_key(config: &Config, owner: Owner, key: &SigningKey, findings: &mut Findings) {
    let url = format!("{}/oauth/jwks", config.endpoint_base());
    let served = match read::<KeySet>(&url).await {
        Ok(served) => served,
        Err(why) => {
            let advice = "clients verify ID tokens with these keys; check why they are not served";
            return findings.warn(CHECK, format!("{url}: {why}"), advice);
        }
    };
    let Ok(serde_json::Value::Object(ours)) = serde_json::to_value(key.jwk()) else {
        return;
    };
    if served.keys.iter().any(|other| is_same(&ours, other)) {
        return findings.ok(CHECK, format!("the key {} is served there", key.kid()));
    }
    let kids: Vec<&str> = served
        .keys
        .iter()
        .filter_map(|key| key.get("kid")?.as_str())
        .collect();
    let finding = format!(
        "{url} serves the key {}, and these settings have {}",
        kids.join(", "),
        key.kid()
    );
    let advice = "set OAUTH_SIGNING_KEY_BASE64 and OAUTH_SIGNING_KEY_ID, or DATABASE_URL and \
                  OAUTH_KEYS_SECRET, to the same values on every server of this issuer, and restart the \
                  servers with the old key";
    match owner {
        Owner::Storyden => findings.fail(CHECK, finding, advice),
        Owner::ThisServer => findings.warn(CHECK, finding, advice),
    }
}

/// True if two JWKs have the same kid and key material; `alg` and `use` are ignored.
fn is_same(
    ours: &serde_json::Map<String, serde_json::Value>,
    other: &serde_json::Map<String, serde_json::Value>,
) -> bool {
    let counts = |name: &str| !matches!(name, "alg" | "use");
    let mut members = ours.iter().filter(|(name, _)| counts(name));
    members.all(|(name, value)| other.get(name) == Some(value))
}

async fn read<T: DeserializeOwned>(url: &str) -> Result<T, String> {
    document(get(url).await.map_err(|failed| failed.reason)?).await
}

async fn document<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, String> {
    if !answer.status().is_success() {
        return Err(format!("the answer was {}", answer.status()));
    }
    answer
        .json()
        .await
        .map_err(|_| "the answer is not the document that belongs there".to_owned())
}

async fn get(url: &str) -> Result<reqwest::Response, Unreachable> {
    let client = egress::command_client().map_err(Unreachable::of_request)?;
    let request = client.get(url).timeout(TIMEOUT);
    request.send().await.map_err(Unreachable::of_request)
}
