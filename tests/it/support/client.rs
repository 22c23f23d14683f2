//! OAuth clients.

use storyden_auth::ids::{AccountId, ClientRowId};
use storyden_auth::oauth::auth_method::AuthMethod;
use storyden_auth::oauth::client_algorithms::ClientAlgorithms;
use storyden_auth::oauth::client_scope::{ClientScope, ScopePolicy};
use storyden_auth::oauth::grant_type::{ClientType, GrantType};
use storyden_auth::oauth::pkce::{CodeChallenge, CodeVerifier};
use storyden_auth::oauth::request_protection::RequestProtection;
use storyden_auth::oauth::scope::Scope;
use storyden_auth::secret::Secret;
use storyden_auth::store::client_changes;
use storyden_auth::store::clients;

use super::answer::Answer;
use super::server::Server;

/// PKCE verifier of the code flows.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// S256 challenge of [`VERIFIER`] (RFC 7636, appendix B).
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Returns the S256 challenge of a verifier.
pub(crate) fn challenge_of(verifier: &str) -> String {
    CodeChallenge::of(&CodeVerifier::parse(verifier).unwrap())
        .as_str()
        .to_owned()
}

/// A registered client.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "`client_id` is the standard's name"
)]
pub(crate) struct Client {
    pub(crate) row_id: ClientRowId,
    pub(crate) client_id: String,
    pub(crate) secret: Option<String>,
    pub(crate) redirect_uri: String,
}

/// A client to register. By default public, with the four standard scopes, READ_PROFILE and
/// MANAGE_POSTS, and with the code, refresh and device grants.
#[derive(Clone, Debug)]
pub(crate) struct NewClient {
    pub(crate) client_id: &'static str,
    pub(crate) secret: Option<&'static str>,
    pub(crate) redirect_uris: &'static [&'static str],
    pub(crate) scope: &'static str,
    pub(crate) grants: &'static [GrantType],
    pub(crate) inherit: bool,
    pub(crate) pkce_required: bool,
    pub(crate) request_protection: RequestProtection,
    pub(crate) auth_method: Option<AuthMethod>,
    pub(crate) owner: Option<AccountId>,
}

impl Default for NewClient {
    fn default() -> Self {
        Self {
            client_id: "app",
            secret: None,
            redirect_uris: &["https://app.example/cb"],
            scope: "openid profile email offline_access READ_PROFILE MANAGE_POSTS",
            grants: &[
                GrantType::AuthorizationCode,
                GrantType::RefreshToken,
                GrantType::DeviceCode,
            ],
            inherit: false,
            pkce_required: true,
            request_protection: RequestProtection::NONE,
            auth_method: None,
            owner: None,
        }
    }
}

impl Server {
    /// Registers a public client.
    pub(crate) async fn public_client(&self) -> Client {
        self.client(NewClient::default()).await
    }

    /// Registers a confidential client with an owner and the grants code, refresh and client
    /// credentials.
    pub(crate) async fn confidential_client(&self, owner: &AccountId) -> Client {
        self.client(NewClient {
            client_id: "service",
            secret: Some("s3cret:with %+ odd=chars"),
            grants: &[
                GrantType::AuthorizationCode,
                GrantType::RefreshToken,
                GrantType::ClientCredentials,
            ],
            owner: Some(owner.clone()),
            ..NewClient::default()
        })
        .await
    }

    /// Registers a client.
    pub(crate) async fn client(&self, new: NewClient) -> Client {
        let secret_hash = match new.secret {
            Some(secret) => Some(
                self.context
                    .passwords
                    .hash(&Secret::new(secret))
                    .await
                    .unwrap(),
            ),
            None => None,
        };
        let kind = if new.secret.is_some() {
            ClientType::Confidential
        } else {
            ClientType::Public
        };
        let policy = if new.inherit {
            ScopePolicy::Inherit
        } else {
            ScopePolicy::Explicit
        };
        let row = clients::Client {
            row_id: ClientRowId::generate(self.clock.now()),
            client_id: new.client_id.to_owned(),
            secret_hash,
            name: format!("The {}", new.client_id),
            kind,
            application_type: None,
            old_secret: None,
            auth_method: new.auth_method,
            pkce_required: new.pkce_required,
            request_protection: new.request_protection,
            dpop_bound: false,
            fapi: false,
            algorithms: ClientAlgorithms::default(),
            scope: ClientScope {
                policy,
                allowed: Scope::stored(new.scope),
                self_registered: false,
            },
            redirect_uris: new
                .redirect_uris
                .iter()
                .map(|uri| (*uri).to_owned())
                .collect(),
            redirect_uris_omitted: false,
            grants: new.grants.to_vec(),
            owner: new.owner,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
        };
        let client = Client {
            row_id: row.row_id.clone(),
            client_id: row.client_id.clone(),
            secret: new.secret.map(str::to_owned),
            redirect_uri: row.redirect_uris.first().cloned().unwrap_or_default(),
        };
        let insert = self
            .context
            .db
            .write(row, |tx, row| Box::pin(client_changes::insert(tx, row)));
        insert.await.unwrap();
        client
    }

    /// Exchanges a code.
    pub(crate) async fn exchange(&self, client: &Client, code: &str) -> Answer {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &client.redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        form.extend(client.credentials());
        self.token(&form).await
    }

    /// Uses a refresh token.
    pub(crate) async fn refresh(&self, client: &Client, refresh_token: &str) -> Answer {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        form.extend(client.credentials());
        self.token(&form).await
    }

    /// Starts a device flow.
    pub(crate) async fn start_device(&self, client: &Client, scope: &str) -> Answer {
        let form = [("client_id", client.client_id.as_str()), ("scope", scope)];
        self.post_form("/api/oauth/device_authorization", &form)
            .await
    }

    /// Polls for the tokens of a device flow.
    pub(crate) async fn poll(&self, client: &Client, device_code: &str) -> Answer {
        let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        let mut form = vec![("grant_type", grant_type), ("device_code", device_code)];
        form.extend(client.credentials());
        self.token(&form).await
    }
}

impl Client {
    /// Returns the parameters of an authorization request with changed parameters; `""` removes a parameter.
    pub(crate) fn authorization_request<'a>(
        &'a self,
        changed: &[(&'a str, &'a str)],
    ) -> Vec<(&'a str, &'a str)> {
        let mut parameters = vec![
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("scope", "openid profile email offline_access"),
            ("state", "st"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in changed {
            parameters.retain(|(known, _)| known != name);
            if !value.is_empty() {
                parameters.push((name, value));
            }
        }
        parameters
    }

    /// Returns the client's credentials as form parameters.
    pub(crate) fn credentials(&self) -> Vec<(&str, &str)> {
        let secret = self
            .secret
            .as_deref()
            .map(|secret| ("client_secret", secret));
        std::iter::once(("client_id", self.client_id.as_str()))
            .chain(secret)
            .collect()
    }
}
