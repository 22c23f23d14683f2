//! `healthcheck`: for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{Error, output, with_causes};
use crate::config::Config;
use crate::egress;

/// Time limit of the check.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Ask the server at `LISTEN_ADDR` for readiness; the exit code is 0 or 1.
#[derive(Args, Debug)]
pub(super) struct Healthcheck {}

impl Healthcheck {
    /// Sends the request.
    pub(super) async fn run(self, config: &Config) -> Result<ExitCode, Error> {
        let url = format!("http://{}/readyz", reachable(config.listen_addr));
        let client = egress::command_client()
            .map_err(|error| Error::because(format!("no HTTP client: {}", with_causes(&error))))?;
        let answer = match client.get(&url).timeout(TIMEOUT).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let why = with_causes(&error.without_url());
                return Err(Error::because(format!(
                    "LISTEN_ADDR: {url} does not answer: {why}"
                )));
            }
        };
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let line = output::clean(text.lines().next().unwrap_or_default());
        if !status.is_success() {
            return Err(Error::because(format!("not ready: {status}: {line}")));
        }
        output::print(&line)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns a connectable address: loopback in place of the unspecified address.
pub(super) fn reachable(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listening.port())
}
