//! The crate `oauth2` as an independent client, configured only with the endpoints of the metadata (RFC
//! 8414): code flow with PKCE, device flow, refresh, client credentials.

use std::sync::atomic::{AtomicUsize, Ordering};

use oauth2::basic::{BasicClient, BasicErrorResponseType};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl,
    DeviceCodeErrorResponseType, EndpointNotSet, EndpointSet, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, Scope, StandardDeviceAuthorizationResponse,
    StandardErrorResponse, TokenResponse as _, TokenUrl,
};

use crate::support::relying_party::Http;
use crate::support::{Client, Member, Server, both};

/// The client with the endpoints of the metadata: authorization, device authorization, token.
type ConfiguredClient =
    BasicClient<EndpointSet, EndpointSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

async fn configured_client(server: &Server, app: &Client) -> ConfiguredClient {
    let metadata = server.get("/.well-known/oauth-authorization-server").await;
    let url = |member: &str| metadata.text(member);
    let client = BasicClient::new(ClientId::new(app.client_id.clone()))
        .set_auth_uri(AuthUrl::new(url("authorization_endpoint")).unwrap())
        .set_token_uri(TokenUrl::new(url("token_endpoint")).unwrap())
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(url("device_authorization_endpoint")).unwrap(),
        )
        .set_redirect_uri(RedirectUrl::new(app.redirect_uri.clone()).unwrap());
    match &app.secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.clone())),
        None => client,
    }
}

fn scopes(names: &str) -> Vec<Scope> {
    let names = names.split(' ').map(str::to_owned);
    names.map(Scope::new).collect()
}

/// Approves a code in the browser; returns the code and the PKCE verifier.
async fn code(
    server: &Server,
    person: &Member,
    client: &ConfiguredClient,
) -> (String, PkceCodeVerifier) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(scopes("offline_access READ_PROFILE"))
        .set_pkce_challenge(challenge)
        .url();
    let back = server.approve_in_browser(person, &url).await;
    let sent: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
    assert_eq!(&sent["state"], state.secret());
    assert_eq!(sent["iss"], server.address);
    (sent["code"].clone(), verifier)
}

/// Runs the code flow and two refreshes.
async fn code_flow(server: &Server, person: &Member, app: &Client) {
    let (http, client) = (Http::of(server), configured_client(server, app).await);
    let (code, verifier) = code(server, person, &client).await;
    let again = PkceCodeVerifier::new(verifier.secret().clone());
    let exchange = |verifier| {
        let code = AuthorizationCode::new(code.clone());
        client.exchange_code(code).set_pkce_verifier(verifier)
    };
    let mut tokens = exchange(verifier).request_async(&http).await.unwrap();
    for _ in 0..2 {
        let spent = tokens.refresh_token().unwrap().clone();
        let granted: Vec<_> = tokens
            .scopes()
            .unwrap()
            .iter()
            .map(|scope| scope.as_str())
            .collect();
        assert_eq!(granted, ["offline_access", "READ_PROFILE"]);
        assert!(tokens.expires_in().unwrap().as_secs() > 0);
        let refresh = client.exchange_refresh_token(&spent);
        tokens = refresh.request_async(&http).await.unwrap();
        assert_ne!(tokens.refresh_token().unwrap().secret(), spent.secret());
    }
    // The crate parses the error code.
    let refused = exchange(again).request_async(&http).await.unwrap_err();
    assert_eq!(reason(&refused), &BasicErrorResponseType::InvalidGrant);
}

/// Extracts the error code of a refused request.
#[track_caller]
fn reason<E, T>(error: &RequestTokenError<E, StandardErrorResponse<T>>) -> &T
where
    E: std::error::Error + 'static,
    T: oauth2::ErrorResponseType + std::fmt::Display + 'static,
{
    match error {
        RequestTokenError::ServerResponse(response) => response.error(),
        other => panic!("no error of the protocol: {other:?}"),
    }
}

both! {
    /// T25, req_022, req_053, req_105: code flow with PKCE and refresh, for a client with a secret.
    async fn the_code_flow_satisfies_a_confidential_oauth2_client(setup: Setup) {
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.confidential_client(&frigg.id).await;
        code_flow(&server, &frigg, &app).await;
    }

    /// T25, req_022, req_053, req_105: code flow with PKCE and refresh, for a client without a secret.
    async fn the_code_flow_satisfies_a_public_oauth2_client(setup: Setup) {
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        code_flow(&server, &frigg, &app).await;
    }

    /// T25, req_081, req_084, req_086: the device flow, at the interval that the server requests.
    async fn the_device_flow_satisfies_an_oauth2_client(setup: Setup) {
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (http, client) = (Http::of(&server), configured_client(&server, &app).await);
        let details: StandardDeviceAuthorizationResponse = client
            .exchange_device_code()
            .add_scopes(scopes("offline_access READ_PROFILE"))
            .request_async(&http)
            .await
            .unwrap();
        let user_code = details.user_code().secret();
        server.open_device(&frigg, user_code).await.expect(200);
        // The user approves during the third wait.
        let waits = AtomicUsize::new(0);
        let wait = async |time: std::time::Duration| {
            server.turn(time.try_into().unwrap());
            if waits.fetch_add(1, Ordering::Relaxed) == 2 {
                server.decide_device(&frigg, user_code, "approve").await.expect(200);
            }
        };
        let tokens = client
            .exchange_device_access_token(&details)
            .request_async(&http, wait, None)
            .await
            .unwrap();
        assert_eq!(waits.into_inner(), 3);
        let refresh = client.exchange_refresh_token(tokens.refresh_token().unwrap());
        refresh.request_async(&http).await.unwrap();
    }

    /// T25, req_084: the crate receives the denial of a device flow.
    async fn a_denied_device_flow_is_told_to_an_oauth2_client(setup: Setup) {
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let (http, client) = (Http::of(&server), configured_client(&server, &app).await);
        let details: StandardDeviceAuthorizationResponse =
            client.exchange_device_code().request_async(&http).await.unwrap();
        let user_code = details.user_code().secret();
        server.open_device(&frigg, user_code).await.expect(200);
        server.decide_device(&frigg, user_code, "deny").await.expect(200);
        let refused = client
            .exchange_device_access_token(&details)
            .request_async(&http, tokio::time::sleep, None)
            .await
            .unwrap_err();
        assert_eq!(reason(&refused), &DeviceCodeErrorResponseType::AccessDenied);
    }

    /// T25, req_031, req_033: client credentials, and a wrong secret.
    async fn client_credentials_satisfy_an_oauth2_client(setup: Setup) {
        let server = setup.start_with_own_issuer().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.confidential_client(&frigg.id).await;
        let (http, client) = (Http::of(&server), configured_client(&server, &app).await);
        let tokens = client
            .exchange_client_credentials()
            .add_scopes(scopes("READ_PROFILE"))
            .request_async(&http)
            .await
            .unwrap();
        assert!(tokens.refresh_token().is_none());
        let granted: Vec<_> = tokens.scopes().unwrap().iter().map(|scope| scope.as_str()).collect();
        assert_eq!(granted, ["READ_PROFILE"]);

        let guess = client.set_client_secret(ClientSecret::new("a guess".to_owned()));
        let refused = guess.exchange_client_credentials().request_async(&http).await.unwrap_err();
        assert_eq!(reason(&refused), &BasicErrorResponseType::InvalidClient);
    }
}
