//! Token responses of all grants (RFC 6749 §5.1, RFC 9068, OpenID Connect Core §3.1.3.3).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256, Sha512};

use crate::accounts::person_claims;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::{GrantId, RefreshTokenId};
use crate::oauth::access_token::{self, AccessTokenClaims};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::dpop::{Confirmation, Thumbprint, token_type};
use crate::oauth::grant_type::GrantType;
use crate::oauth::id_token::{ClaimPlace, IdTokenClaims, PersonClaims};
use crate::oauth::scope::{Scope, ScopeName};
use crate::oauth::sign_in_method::SignInMethod;
use crate::oauth::signing_algorithm::{SigningAlgorithm, TokenHash};
use crate::oauth::token_exchange::Actor;
use crate::oauth::{OAuthError, fapi};
use crate::secret::Secret;
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::refresh_tokens::NewToken;

/// A successful token response (RFC 6749 §5.1).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OAuthToken)]
pub(super) struct TokenResponse {
    /// The access token, a JWT.
    access_token: String,
    /// Lifetime of the access token, in seconds.
    expires_in: i64,
    /// The type of the access token, after a token exchange (RFC 8693 §2.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    /// The ID token, if the scope has `openid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    /// The refresh token, if the client may use this grant and the scope has `offline_access`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// Granted scopes, separated by spaces; may be less than requested.
    scope: String,
    /// `Bearer`, or `DPoP` if the access token is bound to the key of a DPoP proof (RFC 9449 §5).
    token_type: &'static str,
}

impl TokenResponse {
    /// Adds the type of the access token.
    #[must_use]
    pub(super) fn with_issued_type(mut self, name: &'static str) -> Self {
        self.issued_token_type = Some(name);
        self
    }

    /// Adds a refresh token, if the grant has one. The only place that reveals the value.
    #[must_use]
    pub(super) fn with_refresh_token(mut self, token: Option<&Secret>) -> Self {
        self.refresh_token = token.map(|token| token.reveal().to_owned());
        self
    }
}

/// Content of the tokens to sign.
#[derive(Debug)]
pub(super) struct Issue<'a> {
    /// The client.
    pub client: &'a Client,
    /// The account that the tokens act for.
    pub account: &'a Account,
    /// The granted scopes.
    pub scope: &'a Scope,
    /// The grant that the tokens belong to.
    pub grant: &'a GrantId,
    /// True for client credentials: no ID token and no refresh token.
    pub for_client_itself: bool,
    /// The `nonce` of the authorization request.
    pub nonce: Option<&'a str>,
    /// Time of the user's sign-in, if known.
    pub auth_time: Option<Timestamp>,
    /// The way of that sign-in, if known.
    pub sign_in_method: Option<SignInMethod>,
    /// The claims that the client requested one by one, as granted.
    pub claims: &'a GrantedClaims,
    /// The resources that the access token is for (RFC 8707); `None` for the community's own API.
    pub resources: Option<&'a [String]>,
    /// The key that the access token is bound to (RFC 9449 §5).
    pub key: Option<&'a Thumbprint>,
    /// Terms that only some grants have.
    pub terms: Terms<'a>,
}

/// Terms of tokens that only some grants have.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Terms<'a> {
    /// The clients that act for the account (RFC 8693 §4.1).
    pub actor: Option<&'a Actor>,
    /// The latest expiry, in seconds since 1970.
    pub expires_by: Option<i64>,
    /// True if there is no ID token, whatever the scope.
    pub without_id_token: bool,
}

impl Issue<'_> {
    /// Signs an access token and, with `openid`, an ID token. Stores nothing.
    ///
    /// # Errors
    /// `temporarily_unavailable` if too many signatures wait.
    pub(super) async fn sign(
        &self,
        context: &Context,
        now: Timestamp,
    ) -> Result<TokenResponse, OAuthError> {
        let keys = context
            .keys
            .as_ref()
            .ok_or_else(|| OAuthError::server_error("there is no key"))?;
        let issuer = context.config.issuer();
        let (iat, end) = (now.unix_seconds(), now + context.config.access_token_ttl);
        let last = self.terms.expires_by.unwrap_or(i64::MAX);
        let exp = end.unix_seconds().min(last);
        // Read before the turn, so that no signing slot waits for the database.
        let person = self.person(context).await?;
        let method = self
            .sign_in_method
            .filter(|_| context.config.policies.tokens.claims.has_acr());
        let acr = method.map(SignInMethod::acr);
        let claims = AccessTokenClaims {
            acr,
            act: self.terms.actor,
            aud: context.resources.audience(self.resources),
            client_id: &self.client.client_id,
            cnf: self.key.cloned().map(|jkt| Confirmation { jkt }),
            exp,
            auth_time: self.auth_time.map(Timestamp::unix_seconds),
            gid: self.grant,
            gty: self
                .for_client_itself
                .then_some(access_token::CLIENT_CREDENTIALS),
            iat,
            iss: &issuer,
            jti: URL_SAFE_NO_PAD.encode(context.random.bytes::<12>()),
            scope: self.scope.to_string(),
            sub: &self.account.id,
        };
        let algorithms = self.client.algorithms;
        let turn = keys
            .turn_with(self.algorithm(context, algorithms.access_token))
            .await?;
        self.require_fapi_algorithm(turn.algorithm())?;
        let format = context.config.policies.tokens.access_token_format;
        let typ = format.issued_type();
        let (access_token, id_token) = if let Some(person) = person {
            let id = keys.same_turn_with(&turn, self.algorithm(context, algorithms.id_token))?;
            let algorithm = id.algorithm();
            self.require_fapi_algorithm(algorithm)?;
            let (aud, sub) = (self.client.client_id.clone(), self.account.id.clone());
            let (nonce, iss) = (self.nonce.map(str::to_owned), issuer.clone());
            let auth_time = self.auth_time.map(Timestamp::unix_seconds);
            let id_claims = move |access_token: &str| {
                serde_json::to_vec(&IdTokenClaims {
                    acr,
                    at_hash: at_hash(access_token, algorithm),
                    aud: &aud,
                    auth_time,
                    exp,
                    iat,
                    iss: &iss,
                    nonce: nonce.as_deref(),
                    sub: &sub,
                    person,
                })
            };
            let both = turn.sign_both(typ, &claims, &id, id_claims).await?;
            (both.0, Some(both.1))
        } else {
            (turn.sign(typ, &claims).await?, None)
        };
        Ok(TokenResponse {
            access_token,
            expires_in: exp - iat,
            issued_token_type: None,
            id_token,
            refresh_token: None,
            scope: self.scope.to_string(),
            token_type: token_type(self.key),
        })
    }

    /// Returns the algorithm of a token, by the choice of the client.
    fn algorithm(
        &self,
        context: &Context,
        chosen: Option<SigningAlgorithm>,
    ) -> Option<SigningAlgorithm> {
        if self.client.fapi {
            fapi::signing_algorithm(chosen, &context.config.signing_algorithms.0)
        } else {
            chosen
        }
    }

    /// Refuses a signature that the FAPI 2.0 Security Profile forbids (§5.4.1): this server has no key for another
    /// algorithm.
    fn require_fapi_algorithm(&self, algorithm: SigningAlgorithm) -> Result<(), OAuthError> {
        if self.client.fapi && !fapi::is_permitted(algorithm) {
            return Err(OAuthError::server_error(
                "a client is held to FAPI 2.0, and there is no signing key for PS256, ES256 or EdDSA",
            ));
        }
        Ok(())
    }

    /// Returns the claims about the person in the ID token; `None` if there is no ID token (OpenID Connect
    /// Core §3.1.2.1).
    async fn person(&self, context: &Context) -> Result<Option<PersonClaims>, OAuthError> {
        let has_no_id_token = self.for_client_itself || self.terms.without_id_token;
        if has_no_id_token || !self.scope.contains(ScopeName::Openid) {
            return Ok(None);
        }
        let policy = context.config.policies.tokens.claims;
        let released = policy.released(ClaimPlace::IdToken, self.scope, self.claims);
        Ok(Some(
            person_claims::collect(context, self.account, &released).await?,
        ))
    }
}

/// Computes the `at_hash` claim, which binds the ID token to the access token (OpenID Connect Core
/// §3.1.3.6).
fn at_hash(access_token: &str, algorithm: SigningAlgorithm) -> String {
    let half = match algorithm.token_hash() {
        TokenHash::Sha256 => Sha256::digest(access_token.as_bytes())[..16].to_vec(),
        TokenHash::Sha512 => Sha512::digest(access_token.as_bytes())[..32].to_vec(),
    };
    URL_SAFE_NO_PAD.encode(half)
}

/// Makes the first refresh token of a grant, if scope and client allow one (OpenID Connect Core §11).
#[must_use]
pub(super) fn first_refresh_token(
    context: &Context,
    issue: &Issue<'_>,
    granted: &Scope,
    now: Timestamp,
) -> Option<(Secret, NewToken)> {
    let wanted = issue.scope.contains(ScopeName::OfflineAccess);
    if !wanted || !issue.client.may_use(GrantType::RefreshToken) {
        return None;
    }
    let token = Secret::generate(&context.random);
    let new = NewToken {
        id: RefreshTokenId::generate(now),
        token: token.hash(),
        scope: granted.to_string(),
        account: issue.account.id.clone(),
        client: issue.client.row_id.clone(),
        grant: issue.grant.clone(),
        created_at: now,
        expires_at: context.config.refresh_token_expiry(now, now),
    };
    Some((token, new))
}
