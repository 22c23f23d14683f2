//! Checks of the addresses that the server listens at, and of the process that uses the SQLite file.

use std::io::ErrorKind;
use std::net::SocketAddr;

use reqwest::StatusCode;
use tokio::net::TcpSocket;

use super::Findings;
use super::reach::TIMEOUT;
use crate::cli::healthcheck::reachable;
use crate::config::Config;
use crate::database_url::{DatabaseUrl, SqliteMode};
use crate::egress;
use crate::keys::SigningKey;
use crate::store::lock::ServerLock;

const CHECK: &str = "listening";

/// The state of an address to listen at.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// No program listens.
    Free,
    /// A storyden-auth answers.
    Ours,
    /// Another program listens.
    Taken,
    /// Listening is not possible.
    Failed(ErrorKind, String),
}

/// Checks the addresses and the process.
pub(super) async fn examine(config: &Config, key: Option<&SigningKey>, findings: &mut Findings) {
    let state = state_of(config.listen_addr, "/api/oauth/introspect").await;
    let is_other = state == State::Ours && is_of_other_database(config, key).await;
    if is_other {
        let address = config.listen_addr;
        findings.fail(
            CHECK,
            format!("a storyden-auth with a different database answers at LISTEN_ADDR {address}"),
            "stop that server (`ss -ltnp` names its process), or choose another port in LISTEN_ADDR",
        );
    } else {
        report("LISTEN_ADDR", config.listen_addr, &state, findings);
    }
    if let Some(address) = config.metrics_addr {
        let state = state_of(address, "/metrics").await;
        report("METRICS_ADDR", address, &state, findings);
    }
    if let DatabaseUrl::Sqlite(url) = config.database()
        && let Some(holder) = ServerLock::holder(&url)
    {
        examine_holder(config, &holder, state == State::Ours && !is_other, findings);
    }
}

/// True if the storyden-auth at `LISTEN_ADDR` has a different database: no process holds the lock of the SQLite file, or
/// the key set lacks the key of these settings.
async fn is_of_other_database(config: &Config, key: Option<&SigningKey>) -> bool {
    if let DatabaseUrl::Sqlite(url) = config.database()
        && url.mode != SqliteMode::ReadOnly
    {
        return ServerLock::holder(&url).is_none();
    }
    let (Some(key), Ok(client)) = (key, egress::command_client()) else {
        return false;
    };
    let url = format!("http://{}/api/oauth/jwks", reachable(config.listen_addr));
    let Ok(answer) = client.get(url).timeout(TIMEOUT).send().await else {
        return false;
    };
    let served = answer.text().await.unwrap_or_default();
    !served.is_empty() && !served.contains(&format!("\"{}\"", key.kid()))
}

async fn state_of(address: SocketAddr, path: &str) -> State {
    match bind(address) {
        Ok(()) => State::Free,
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            if is_ours(address, path).await {
                State::Ours
            } else {
                State::Taken
            }
        }
        Err(error) => State::Failed(error.kind(), error.to_string()),
    }
}

/// Binds an address without listening: a server that starts at the same time is not disturbed.
fn bind(address: SocketAddr) -> std::io::Result<()> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)
}

/// True if a storyden-auth answers: the introspection endpoint, which a Storyden lacks, has no `GET`; metrics have
/// the prefix of this server.
async fn is_ours(address: SocketAddr, path: &str) -> bool {
    let Ok(client) = egress::command_client() else {
        return false;
    };
    let url = format!("http://{}{path}", reachable(address));
    let Ok(answer) = client.get(url).timeout(TIMEOUT).send().await else {
        return false;
    };
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        return true;
    }
    let text = answer.text().await.unwrap_or_default();
    text.contains("storyden_auth_build_info")
}

fn report(setting: &str, address: SocketAddr, state: &State, findings: &mut Findings) {
    match state {
        State::Free => findings.ok(CHECK, format!("{setting} {address} is free")),
        State::Ours => findings.ok(
            CHECK,
            format!("a storyden-auth answers at {setting} {address}"),
        ),
        State::Taken => findings.fail(
            CHECK,
            format!("{setting} {address} is used by another program"),
            format!("stop that program (`ss -ltnp` names it), or choose another port in {setting}"),
        ),
        State::Failed(kind, reason) => {
            let advice = match kind {
                ErrorKind::PermissionDenied => {
                    "ports below 1024 need a privilege: choose a higher port, behind the reverse proxy"
                }
                ErrorKind::AddrNotAvailable => {
                    "no interface of this machine has the address: use 127.0.0.1 or 0.0.0.0"
                }
                _ => "choose another address",
            };
            let finding = format!("{setting} {address} cannot be listened on: {reason}");
            findings.fail(CHECK, finding, format!("{advice}: {setting}"));
        }
    }
}

/// Reports the process that uses the SQLite file. A second server on the file is refused.
fn examine_holder(config: &Config, holder: &str, is_listening: bool, findings: &mut Findings) {
    if is_listening {
        return findings.ok(CHECK, format!("{holder} uses the SQLite file"));
    }
    findings.warn(
        CHECK,
        format!(
            "{holder} uses the SQLite file, and does not listen at LISTEN_ADDR {}: a second server is refused",
            config.listen_addr
        ),
        "stop that process if it is an old server; if two services share DATA_DIR, give each a folder of its own",
    );
}
