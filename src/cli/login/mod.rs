//! `login`: the device flow in a terminal (RFC 8628). Stores nothing.
//!
//! 1. Discovery finds the endpoints (OpenID Connect Discovery §4); the issuer must be the given server.
//! 2. The device authorization request returns the codes (§3.1, §3.2), which are shown (§3.3).
//! 3. The token endpoint is polled (§3.4, §3.5) until the member decides.
//! 4. The userinfo endpoint identifies the member.

mod pace;
mod screen;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::Duration as Span;

use super::{Error, arguments, output, with_causes};
use crate::clock::Clock;
use crate::egress;
use crate::oauth::grant_type::GrantType;
use crate::secret::Secret;
use pace::Pace;
use screen::Screen;

/// Sign in from a terminal: show a code to enter in a browser, wait, and print the member.
///
/// Stores nothing: a tool to try a server, and for scripts that keep the token response of --json.
#[derive(Args, Debug)]
pub(super) struct Login {
    /// The authorization server.
    #[arg(long, help = "The authorization server, as in https://auth.example.org", value_name = "URL", default_value = "http://localhost:8000", value_parser = arguments::server)]
    server: String,
    /// Client id; a public client with the grant `device_code`.
    #[arg(long, value_name = "ID", default_value = "storyden-cli")]
    client_id: String,
    /// Requested scope.
    #[arg(
        long,
        value_name = "SCOPE",
        default_value = "openid profile offline_access"
    )]
    scope: String,
    /// Show no QR code. The QR code is also left out where the terminal is too small.
    #[arg(long)]
    no_qr: bool,
    /// Print the token response on standard output, and all other text on standard error.
    #[arg(long)]
    json: bool,
}

/// The relevant members of the metadata (OpenID Connect Discovery §3, RFC 8628 §4).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: String,
    userinfo_endpoint: Option<String>,
}

/// A device authorization (RFC 8628 §3.2).
#[derive(Deserialize)]
struct Device {
    #[serde(rename = "device_code")]
    code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: i64,
    interval: Option<u64>,
}

/// An error of the protocol (RFC 6749 §5.2).
#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
    error_description: Option<String>,
}

/// The member (OpenID Connect Core §5.3.2).
#[derive(Deserialize)]
struct Person {
    sub: String,
    name: Option<String>,
    preferred_username: Option<String>,
}

/// Result of a poll (RFC 8628 §3.5).
enum PollOutcome {
    Tokens(serde_json::Value),
    Pending,
    SlowDown,
    /// The final error.
    Refused(Error),
    /// No response, or a response unrelated to the code: retry later.
    Unreachable,
}

impl Login {
    /// Signs in.
    pub(super) async fn run(self) -> Result<ExitCode, Error> {
        let http = egress::command_client()
            .map_err(|error| Error::because(format!("no HTTP client: {}", with_causes(&error))))?;
        let metadata = self.discover(&http).await?;
        let device = self.start(&http, &metadata).await?;
        let screen = Screen::new(self.json, !self.no_qr);
        screen.show(&device)?;
        let tokens = self.wait(&http, &metadata, &device, &screen).await;
        screen.clear();
        let tokens = tokens?;
        let person = who(&http, &metadata, &tokens).await;
        if self.json {
            output::print_json(&tokens)?;
            output::note(&person);
        } else {
            output::print(&person)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Step 1. The issuer must be the server that was asked (Discovery §4.3).
    async fn discover(&self, http: &reqwest::Client) -> Result<Metadata, Error> {
        let server = &self.server;
        let url = format!("{server}/.well-known/openid-configuration");
        let answer = http.get(&url).send().await.map_err(|error| {
            let why = with_causes(&error.without_url());
            Error::because(format!(
                "--server: {server} does not answer ({why}); check that the server runs"
            ))
        })?;
        let status = answer.status();
        if !status.is_success() {
            let hint = if status.is_redirection() {
                "; use the address of the redirect"
            } else {
                ""
            };
            return Err(Error::because(format!(
                "--server: {url} answered {status}{hint}"
            )));
        }
        let Ok(metadata) = answer.json::<Metadata>().await else {
            let text = format!("--server: {url} is no OpenID Connect metadata");
            return Err(Error::because(text));
        };
        let issuer = metadata
            .issuer
            .strip_suffix('/')
            .unwrap_or(&metadata.issuer);
        if issuer != server {
            let issuer = output::clean(issuer);
            return Err(Error::because(format!(
                "--server: {server} calls itself {issuer}; use --server {issuer}"
            )));
        }
        Ok(metadata)
    }

    /// Step 2.
    async fn start(&self, http: &reqwest::Client, metadata: &Metadata) -> Result<Device, Error> {
        let server = &self.server;
        let Some(endpoint) = &metadata.device_authorization_endpoint else {
            return Err(Error::because(format!(
                "--server: {server} has no device flow"
            )));
        };
        let form = [("client_id", &self.client_id), ("scope", &self.scope)];
        let sent = http.post(endpoint).form(&form).send().await;
        let answer = sent.map_err(|error| {
            let why = with_causes(&error.without_url());
            Error::because(format!("--server: {endpoint} does not answer: {why}"))
        })?;
        let status = answer.status();
        let body = answer.bytes().await.unwrap_or_default();
        if status.is_success() {
            return read(&body, "device authorization");
        }
        let Ok(refusal) = serde_json::from_slice::<ErrorResponse>(&body) else {
            return Err(Error::because(format!(
                "--server: {endpoint} answered {status}"
            )));
        };
        let flag = match refusal.error.as_str() {
            "invalid_scope" => "--scope",
            "invalid_client" | "unauthorized_client" => "--client-id",
            _ => "--server",
        };
        Err(Error::because(format!(
            "{flag}: the server refused: {}",
            refusal.text()
        )))
    }

    /// Step 3: polls after each interval, never sooner, until the code expires.
    async fn wait(
        &self,
        http: &reqwest::Client,
        metadata: &Metadata,
        device: &Device,
        screen: &Screen,
    ) -> Result<serde_json::Value, Error> {
        let clock = Clock::machine();
        let expires_at = clock.now() + Span::seconds(device.expires_in);
        let mut pace = Pace::new(device.interval);
        loop {
            let poll_at = clock.now() + pace.wait();
            while clock.now() < poll_at {
                let left = expires_at - clock.now();
                if left <= Span::ZERO {
                    return Err(Error::because(
                        "the code expired before it was approved; run `login` again",
                    ));
                }
                screen.count_down(left, pace.has_failed());
                let nap = (poll_at - clock.now()).clamp(Span::ZERO, Span::SECOND);
                tokio::time::sleep(nap.unsigned_abs()).await;
            }
            match self.poll(http, metadata, device).await {
                PollOutcome::Tokens(tokens) => return Ok(tokens),
                PollOutcome::Refused(error) => return Err(error),
                PollOutcome::Pending => pace.answered(),
                PollOutcome::SlowDown => pace.slow_down(),
                PollOutcome::Unreachable => pace.failed(),
            }
        }
    }

    /// Sends an access token request (RFC 8628 §3.4) and interprets the response (§3.5).
    async fn poll(
        &self,
        http: &reqwest::Client,
        metadata: &Metadata,
        device: &Device,
    ) -> PollOutcome {
        let form = [
            ("grant_type", GrantType::DeviceCode.wire_name()),
            ("device_code", device.code.reveal()),
            ("client_id", &self.client_id),
        ];
        let sent = http.post(&metadata.token_endpoint).form(&form).send().await;
        let Ok(answer) = sent else {
            return PollOutcome::Unreachable;
        };
        let status = answer.status();
        let Ok(body) = answer.bytes().await else {
            return PollOutcome::Unreachable;
        };
        if status.is_success() {
            return match read(&body, "token response") {
                Ok(tokens) => PollOutcome::Tokens(tokens),
                Err(error) => PollOutcome::Refused(error),
            };
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return PollOutcome::Unreachable;
        }
        let Ok(refusal) = serde_json::from_slice::<ErrorResponse>(&body) else {
            let text = format!("--server: the token endpoint answered {status}");
            return PollOutcome::Refused(Error::because(text));
        };
        match refusal.error.as_str() {
            "authorization_pending" => PollOutcome::Pending,
            "slow_down" => PollOutcome::SlowDown,
            "access_denied" => {
                PollOutcome::Refused(Error::because("the sign-in was denied in the browser"))
            }
            "expired_token" => PollOutcome::Refused(Error::because(
                "the code expired before it was approved; run `login` again",
            )),
            _ => PollOutcome::Refused(Error::because(format!(
                "the server refused: {}",
                refusal.text()
            ))),
        }
    }
}

impl ErrorResponse {
    fn text(&self) -> String {
        output::clean(&match &self.error_description {
            Some(description) => format!("{} ({})", description, self.error),
            None => self.error.clone(),
        })
    }
}

/// Step 4. Returns a sentence like "Signed in as Odin (@odin)".
async fn who(http: &reqwest::Client, metadata: &Metadata, tokens: &serde_json::Value) -> String {
    let person = async {
        let token = tokens.get("access_token")?.as_str()?;
        let endpoint = metadata.userinfo_endpoint.as_ref()?;
        let sent = http
            .get(endpoint)
            .bearer_auth(token)
            .timeout(Duration::from_secs(10))
            .send();
        sent.await
            .ok()?
            .error_for_status()
            .ok()?
            .json::<Person>()
            .await
            .ok()
    };
    let text = match person.await {
        Some(Person {
            name: Some(name),
            preferred_username: Some(handle),
            ..
        }) => {
            format!("Signed in as {name} (@{handle})")
        }
        Some(Person {
            name,
            preferred_username,
            sub,
        }) => {
            let who = name.or(preferred_username).unwrap_or(sub);
            format!("Signed in as {who}")
        }
        None => "Signed in (the name needs the scopes openid and profile)".to_owned(),
    };
    output::clean(&text)
}

fn read<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|_| Error::because(format!("--server: the response is not a {what}")))
}
