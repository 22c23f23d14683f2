use std::error::Error;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet,
    EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, url::Url,
};

pub type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Values to keep in the session until the callback.
pub struct Checks {
    state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
}

pub async fn discover<'c, H: AsyncHttpClient<'c>>(
    http: &'c H,
    issuer: &str,
    (id, secret): (&str, &str),
    redirect_uri: &str,
) -> Result<Client, Box<dyn Error>> {
    let issuer = IssuerUrl::new(issuer.to_owned())?;
    let metadata = CoreProviderMetadata::discover_async(issuer, http).await?;
    let secret = Some(ClientSecret::new(secret.to_owned()));
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(id.to_owned()), secret);
    Ok(client.set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned())?))
}

/// Starts a sign-in: redirect the browser to the URL.
pub fn login(client: &Client) -> (Url, Checks) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
    let scopes = ["profile", "email"].map(|name| Scope::new(name.to_owned()));
    let request = request.add_scopes(scopes).set_pkce_challenge(challenge);
    let (url, state, nonce) = request.url();
    let checks = Checks {
        state,
        nonce,
        verifier,
    };
    (url, checks)
}

/// Completes a sign-in with the parameters `state` and `code` of the callback.
pub async fn callback<'c, H: AsyncHttpClient<'c>>(
    client: &'c Client,
    http: &'c H,
    checks: Checks,
    (state, code): (&str, &str),
) -> Result<CoreUserInfoClaims, Box<dyn Error>> {
    if state != checks.state.secret() {
        return Err("the state is unknown".into());
    }
    let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned()))?;
    let exchange = exchange.set_pkce_verifier(checks.verifier);
    let tokens = exchange.request_async(http).await?;
    let id_token = tokens.id_token().ok_or("there is no ID token")?;
    let claims = id_token.claims(&client.id_token_verifier(), &checks.nonce)?;
    let subject = Some(claims.subject().clone());
    let user = client.user_info(tokens.access_token().clone(), subject)?;
    Ok(user.request_async(http).await?)
}
