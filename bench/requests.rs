//! Prepared requests.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::Result;
use crate::drive::Flow;
use crate::http::{Connection, get, post, post_form};
use crate::scenarios::{Size, Target};

pub(crate) const TOKEN: &str = "/api/oauth/token";
const CLIENT: &str = "bench";
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(crate) fn same(request: Vec<u8>, status: u16, size: Size) -> Vec<Flow> {
    let request: Arc<[u8]> = request.into();
    let flow = || Flow::Same(Arc::clone(&request), status);
    std::iter::repeat_with(flow)
        .take(size.connections)
        .collect()
}

/// Requests to the bare handlers: with a form, and with a header.
pub(crate) fn bare(size: Size) -> [Vec<Flow>; 2] {
    let code = "x".repeat(43);
    let form = [
        ("grant_type", DEVICE_GRANT),
        ("client_id", CLIENT),
        ("device_code", &code),
    ];
    let token = format!("Authorization: Bearer {}\r\n", "x".repeat(900));
    let (form, header) = (post_form("/form", &form), get("/header", &token));
    [same(form, 200, size), same(header, 200, size)]
}

/// Starts a device flow, and returns the request of a poll.
pub(crate) async fn poll_of_new_device(connection: &mut Connection) -> Result<Vec<u8>> {
    let form = [("client_id", CLIENT), ("scope", "openid")];
    let start = post_form("/api/oauth/device_authorization", &form);
    let started = connection.send(&start).await?;
    let device_code = started
        .text("device_code")
        .ok_or_else(|| started.body.clone())?;
    let form = [
        ("grant_type", DEVICE_GRANT),
        ("client_id", CLIENT),
        ("device_code", &device_code),
    ];
    Ok(post_form(TOKEN, &form))
}

/// Prepares the exchanges of a number of codes for all connections.
pub(crate) async fn codes(target: &Target, size: Size, count: usize) -> Result<Vec<Flow>> {
    let mut running = JoinSet::new();
    for _ in 0..size.connections {
        let (target, share) = (target.clone(), count / size.connections);
        running.spawn(async move {
            let mut connection = Connection::open(&target.address).await?;
            let mut exchanges = Vec::with_capacity(share);
            for _ in 0..share {
                exchanges.push(exchange_of(&code(&mut connection, &target).await?));
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(exchanges)
        });
    }
    let mut exchanges = Vec::new();
    while let Some(share) = running.join_next().await {
        exchanges.extend(share??);
    }
    let exchanges = Arc::new(Mutex::new(exchanges));
    let flow = || Flow::Once(Arc::clone(&exchanges));
    Ok(std::iter::repeat_with(flow)
        .take(size.connections)
        .collect())
}

/// Obtains an authorization code approved by the member.
pub(crate) async fn code(connection: &mut Connection, target: &Target) -> Result<String> {
    let query = Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid profile email offline_access"),
            ("prompt", "consent"), // approved before
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let cookie = format!("Cookie: storyden-session={}\r\n", target.session);
    let path = format!("/api/oauth/authorize?{query}");
    let asked = connection.send(&get(&path, &cookie)).await?;
    let page = asked.header("location").ok_or_else(|| asked.body.clone())?;
    let request_id = parameter(page, "request_id")?;
    let body = json!({ "request_id": request_id, "decision": "approve" }).to_string();
    let approve = post(
        "/api/oauth/authorize/consent",
        "application/json",
        &cookie,
        &body,
    );
    let approved = connection.send(&approve).await?;
    let location = approved
        .text("location")
        .ok_or_else(|| approved.body.clone())?;
    parameter(&location, "code")
}

pub(crate) fn exchange_of(code: &str) -> Vec<u8> {
    post_form(
        TOKEN,
        &[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("code", code),
        ],
    )
}

/// Returns a parameter of a URL.
fn parameter(address: &str, name: &str) -> Result<String> {
    let url = Url::parse(address)?;
    let found = url.query_pairs().find(|(known, _)| known == name);
    let value = found.map(|(_, value)| value.into_owned());
    value.ok_or_else(|| format!("no {name} in {address}").into())
}
