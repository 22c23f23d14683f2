//! Clients that are held to the FAPI 2.0 Security Profile.

use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use storyden_auth::ids::ClientRowId;
use storyden_auth::oauth::signing_algorithm::SigningAlgorithm;

use super::answer::Answer;
use super::client::{Client, VERIFIER};
use super::client_key::{ClientKey, ISSUER};
use super::dpop::ProofKey;
use super::member::Member;
use super::pending_browser::assert_redirect_to_consent;
use super::server::{Server, Setup};
use crate::signing_keys::rotating;

const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The path of the endpoint for pushed requests.
pub(crate) const PAR: &str = "/api/oauth/par";

/// The redirect URI of the clients.
pub(crate) const URI: &str = "https://app.example/cb";

/// Settings of a server that can hold clients to the profile.
pub(crate) fn with_algorithms(setup: Setup) -> Setup {
    rotating(setup).with("OAUTH_SIGNING_ALGORITHMS", "RS256,ES256,PS256,EdDSA")
}

/// A client with its key.
pub(crate) struct FapiClient {
    pub(crate) client: Client,
    pub(crate) key: ClientKey,
}

impl FapiClient {
    /// Creates a client of an administrator.
    pub(crate) async fn create(server: &Server, admin: &Member, id: &str) -> Self {
        let key = ClientKey::new(SigningAlgorithm::Ps256);
        let body = json!({
            "account_id": admin.id.as_str(), "client_id": id, "name": id, "type": "confidential",
            "redirect_uris": [URI],
            "allowed_grants": ["authorization_code", "refresh_token", "client_credentials"],
            "allowed_scopes": ["openid", "profile", "email", "offline_access", "READ_PROFILE"],
            "fapi": true, "jwks": key.jwks(),
        });
        let created = server
            .post_as(admin, "/api/admin/oauth/clients", &body)
            .await;
        let created = created.expect(200);
        assert_eq!(created.json().get("client_secret"), None);
        Self {
            client: Client {
                row_id: ClientRowId::new(created.text("id")),
                client_id: id.to_owned(),
                secret: None,
                redirect_uri: URI.to_owned(),
            },
            key,
        }
    }

    /// The claims of a valid client assertion.
    pub(crate) fn claims(&self, server: &Server) -> Value {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let now = server.clock.now().unix_seconds();
        json!({
            "iss": self.client.client_id, "sub": self.client.client_id, "aud": ISSUER,
            "exp": now + 60, "iat": now, "nbf": now, "jti": format!("assertion {number}"),
        })
    }

    /// Adds a client assertion to a form.
    pub(crate) fn authenticated(
        &self,
        server: &Server,
        form: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        self.with_assertion(form, &self.key.sign_as(Some("JWT"), &self.claims(server)))
    }

    /// Adds an assertion to a form.
    pub(crate) fn with_assertion(
        &self,
        form: &[(&str, &str)],
        assertion: &str,
    ) -> Vec<(String, String)> {
        let credentials = [
            ("client_id", self.client.client_id.as_str()),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", assertion),
        ];
        let others = form.iter().filter(|(name, _)| *name != "client_id");
        let all = others.chain(&credentials);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// Pushes a request with changed parameters, and with a proof.
    pub(crate) async fn push(
        &self,
        server: &Server,
        changed: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Answer {
        let form = self.client.authorization_request(changed);
        let form = self.authenticated(server, &form);
        let request = server.request("POST", PAR).form(&form);
        let request = match proof {
            Some(proof) => request.header("DPoP", proof),
            None => request,
        };
        server.send(request).await
    }

    /// Pushes a request, approves it, and returns the redirect to the client.
    pub(crate) async fn approved(
        &self,
        server: &Server,
        member: &Member,
        changed: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Answer {
        let pushed = self.push(server, changed, proof).await.expect(201);
        let request_uri = pushed.text("request_uri");
        let opened = server.open_pushed(Some(member), &self.client, &request_uri);
        let request_id = assert_redirect_to_consent(opened.await);
        server
            .decide(member, &request_id, "approve")
            .await
            .expect(200)
    }

    /// Runs the flow up to the code.
    pub(crate) async fn code(&self, server: &Server, member: &Member) -> String {
        let approved = self.approved(server, member, &[], None).await;
        approved.sent("code").unwrap()
    }

    /// Sends a token request with an assertion, and a proof.
    pub(crate) async fn token(
        &self,
        server: &Server,
        form: &[(&str, &str)],
        proof: Option<&str>,
    ) -> Answer {
        let form = self.authenticated(server, form);
        let request = server.request("POST", "/api/oauth/token").form(&form);
        let request = match proof {
            Some(proof) => request.header("DPoP", proof),
            None => request,
        };
        server.send(request).await
    }

    /// Exchanges a code with a proof of a key.
    pub(crate) async fn exchange(&self, server: &Server, code: &str, key: &ProofKey) -> Answer {
        self.token(server, &exchange_form(code), Some(&key.token_proof(server)))
            .await
    }

    /// Uses a refresh token with a proof of a key.
    pub(crate) async fn refresh(&self, server: &Server, token: &str, key: &ProofKey) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.token(server, &form, Some(&key.token_proof(server)))
            .await
    }
}

/// The form that exchanges a code.
pub(crate) fn exchange_form(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", URI),
        ("code_verifier", VERIFIER),
    ]
}
