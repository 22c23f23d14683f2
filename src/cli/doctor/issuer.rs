//! Checks that the public address leads to this server.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Findings, Owner};
use crate::cli::with_causes;
use crate::config::Config;
use crate::egress;
use crate::keys::SigningKey;

const CHECK: &str = "issuer";

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(5);

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
    let finding = match read::<Metadata>(&url).await {
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
        "check that the server runs, that the host name resolves to it, and that the proxy \
         forwards /.well-known/; clients read this address first",
    );
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
        Err(why) => format!("{url}: {why}"),
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
    let answer = get(url).await?;
    if !answer.status().is_success() {
        return Err(format!("the answer was {}", answer.status()));
    }
    answer
        .json()
        .await
        .map_err(|_| "the answer is not the document that belongs there".to_owned())
}

async fn get(url: &str) -> Result<reqwest::Response, String> {
    let failed = |error: reqwest::Error| {
        if error.is_timeout() {
            return format!("no answer within {} s", TIMEOUT.as_secs());
        }
        with_causes(&error.without_url())
    };
    let client = egress::command_client().map_err(failed)?;
    let request = client.get(url).timeout(TIMEOUT);
    request.send().await.map_err(failed)
}
