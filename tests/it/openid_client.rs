//! The crate `openidconnect` as an independent relying party, configured only with the issuer:
//! discovery, keys, code flow with PKCE, device flow, refresh, userinfo.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreDeviceAuthorizationResponse, CoreProviderMetadata,
    CoreUserInfoClaims,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge,
    ProviderMetadata, RedirectUrl, Scope, TokenResponse as _,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::relying_party::Http;
use crate::support::{Server, Setup, both};

/// Metadata unknown to the crate (RFC 8628 §4).
#[derive(Clone, Debug, Deserialize, Serialize)]
struct DeviceEndpoint {
    device_authorization_endpoint: DeviceAuthorizationUrl,
}
impl AdditionalProviderMetadata for DeviceEndpoint {}

type DeviceMetadata = ProviderMetadata<
    DeviceEndpoint,
    openidconnect::core::CoreAuthDisplay,
    openidconnect::core::CoreClientAuthMethod,
    openidconnect::core::CoreClaimName,
    openidconnect::core::CoreClaimType,
    openidconnect::core::CoreGrantType,
    openidconnect::core::CoreJweContentEncryptionAlgorithm,
    openidconnect::core::CoreJweKeyManagementAlgorithm,
    openidconnect::core::CoreJsonWebKey,
    openidconnect::core::CoreResponseMode,
    openidconnect::core::CoreResponseType,
    openidconnect::core::CoreSubjectIdentifierType,
>;

/// A server with the listening address as the issuer.
async fn listening(mut setup: Setup) -> Server {
    setup.use_machine_clock(); // the relying party checks times with the machine's clock
    setup.start_with_own_issuer().await
}

both! {
    /// req_053, req_105, req_162, req_163, req_183: code flow, PKCE, ID token, nonce, userinfo.
    async fn the_code_flow_satisfies_a_relying_party(setup: Setup) {
        let server = listening(setup).await;
        let frigg = server.member("frigg", &[]).await;
        let service = server.confidential_client(&frigg.id).await;
        let http = Http::of(&server);
        let issuer = IssuerUrl::new(server.address.clone()).unwrap();
        let metadata = CoreProviderMetadata::discover_async(issuer, &http).await.unwrap();
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(service.client_id.clone()),
            Some(ClientSecret::new(service.secret.clone().unwrap())),
        )
        .set_redirect_uri(RedirectUrl::new(service.redirect_uri.clone()).unwrap());

        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scopes(["profile", "email", "offline_access"].map(|s| Scope::new(s.to_owned())))
            .set_pkce_challenge(challenge)
            .url();
        let back = server.approve_in_browser(&frigg, &url).await;
        let sent: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
        assert_eq!(&sent["state"], state.secret());
        assert_eq!(sent["iss"], server.address);

        let code = AuthorizationCode::new(sent["code"].clone());
        let tokens = client
            .exchange_code(code)
            .unwrap()
            .set_pkce_verifier(verifier)
            .request_async(&http)
            .await
            .unwrap();
        let id_token_verifier = client.id_token_verifier();
        let claims = tokens.id_token().unwrap().claims(&id_token_verifier, &nonce).unwrap();
        assert_eq!(claims.subject().as_str(), frigg.id.as_str());

        let info: CoreUserInfoClaims = client
            .user_info(tokens.access_token().clone(), Some(claims.subject().clone()))
            .unwrap()
            .request_async(&http)
            .await
            .unwrap();
        assert_eq!(info.preferred_username().unwrap().as_str(), "frigg");
        assert_eq!(info.email().unwrap().as_str(), "frigg@example.com");

        let refreshed = client
            .exchange_refresh_token(tokens.refresh_token().unwrap())
            .unwrap()
            .request_async(&http)
            .await
            .unwrap();
        let again = refreshed.id_token().unwrap();
        let no_nonce = |nonce: Option<&Nonce>| match nonce {
            None => Ok(()),
            Some(_) => Err("a refreshed ID token has no nonce".to_owned()),
        };
        again.claims(&id_token_verifier, no_nonce).unwrap();
    }

    /// req_081, req_084, req_086, req_092: the device flow, found through discovery.
    async fn the_device_flow_satisfies_a_relying_party(setup: Setup) {
        let server = listening(setup.with("OAUTH_DEVICE_POLL_EVERY", "0s")).await;
        let frigg = server.member("frigg", &[]).await;
        let http = Http::of(&server);
        let issuer = IssuerUrl::new(server.address.clone()).unwrap();
        let metadata = DeviceMetadata::discover_async(issuer, &http).await.unwrap();
        let endpoint = metadata.additional_metadata().device_authorization_endpoint.clone();
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new("storyden-cli".to_owned()),
            None,
        )
        .set_device_authorization_url(endpoint);

        let details: CoreDeviceAuthorizationResponse = client
            .exchange_device_code()
            .add_scopes(["profile", "offline_access"].map(|scope| Scope::new(scope.to_owned())))
            .request_async(&http)
            .await
            .unwrap();
        let user_code = details.user_code().secret().clone();
        let path = format!("/api/oauth/device/consent?user_code={user_code}");
        server.get_as(&frigg, &path).await.expect(200);
        let decision = json!({ "user_code": user_code, "decision": "approve" });
        server.post_as(&frigg, "/api/oauth/device/consent", &decision).await.expect(200);

        let tokens = client
            .exchange_device_access_token(&details)
            .unwrap()
            .request_async(&http, tokio::time::sleep, None)
            .await
            .unwrap();
        let verifier = client.id_token_verifier();
        let no_nonce = |_: Option<&Nonce>| Ok(());
        let claims = tokens.id_token().unwrap().claims(&verifier, no_nonce).unwrap();
        assert_eq!(claims.subject().as_str(), frigg.id.as_str());
        assert!(tokens.refresh_token().is_some());
    }
}
