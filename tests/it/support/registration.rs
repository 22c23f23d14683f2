//! Dynamic client registration (RFC 7591).

use serde_json::Value;
use storyden_auth::ids::ClientRowId;

use super::{Answer, Client, Server, Setup};

/// Starts a server that registers clients of everybody.
pub(crate) async fn open(setup: Setup) -> Server {
    setup
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .start()
        .await
}

/// Sends a registration.
pub(crate) async fn register(server: &Server, document: &Value) -> Answer {
    let request = server.request("POST", "/api/oauth/register");
    server.send(request.json(document)).await
}

/// The registered client, with the redirect URI of its later requests.
pub(crate) fn client_of(answer: &Answer, redirect_uri: &str) -> Client {
    Client {
        row_id: ClientRowId::new(""),
        client_id: answer.text("client_id"),
        secret: answer.json()["client_secret"].as_str().map(str::to_owned),
        redirect_uri: redirect_uri.to_owned(),
    }
}
