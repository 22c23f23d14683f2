//! The authorization code grant (RFC 6749 §4.1.3) with PKCE (RFC 7636 §4.5).

use std::net::IpAddr;

use time::Duration;

use super::issue::{Issue, Terms, TokenResponse, first_refresh_token};
use super::proof::{fits_key, refresh_key, spend};
use super::{ATTEMPTS, committed};
use crate::clients::fapi;
use crate::clock::Timestamp;
use crate::compat::CodeReplay;
use crate::context::Context;
use crate::dpop::Proof;
use crate::ids::{AuthorizationCodeId, GrantId};
use crate::oauth::OAuthError;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::pkce::{CodeChallenge, CodeVerifier};
use crate::oauth::redirect_uri::{self, MismatchError};
use crate::oauth::scope::Scope;
use crate::rate_limit::CODE_VERIFIER;
use crate::resources::{self, Granted, Target};
use crate::secret::Secret;
use crate::store;
use crate::store::access_keys;
use crate::store::audit::{Entry, Event};
use crate::store::authorization_codes::{self, AuthorizationCode};
use crate::store::client_locks;
use crate::store::clients::Client;
use crate::store::dpop_proofs::UsedProof;
use crate::store::grant_writes;
use crate::store::refresh_token_family::{self, Member};
use crate::store::refresh_tokens::{self, NewGrant, NewToken};

/// Time after the first use in which a second use of the code counts as a duplicate request: refused,
/// without further effect. A later second use counts as replay of a stolen code and revokes the grant
/// (RFC 6749 §4.1.2).
const DUPLICATE_WINDOW: Duration = Duration::seconds(10);

/// An exchange of a code for tokens.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// The authenticated client.
    pub client: &'a Client,
    /// The code.
    pub code: &'a Secret,
    /// The redirect URI in the token request.
    pub redirect_uri: Option<&'a str>,
    /// The PKCE code verifier.
    pub code_verifier: Option<&'a Secret>,
    /// The requested resource, if the access token shall have a narrower audience than the grant.
    pub resource: Option<&'a str>,
    /// The DPoP proof (RFC 9449 §5).
    pub proof: Option<&'a Proof>,
    /// Address of the client, for the audit event.
    pub address: IpAddr,
}

impl Exchange<'_> {
    /// Loads, checks, signs and commits. Starts again if a concurrent request changed the state first.
    ///
    /// # Errors
    /// `invalid_grant` if the code is not valid for this exchange.
    pub(super) async fn answer(&self, context: &Context) -> Result<TokenResponse, OAuthError> {
        let malformed = || {
            let error = OAuthError::invalid_request("Invalid code_verifier format");
            error.mistake(MistakeKind::VerifierWrong, None)
        };
        let verifier = match self.code_verifier {
            Some(text) => Some(CodeVerifier::parse(text.reveal()).ok_or_else(malformed)?),
            None => None,
        };
        let _turn = context.redemptions.turn(&self.code.hash()).await?;
        for _ in 0..ATTEMPTS {
            let now = context.clock.now();
            let code = self.decide(context, verifier.as_ref(), now).await?;
            if let Some(tokens) = self.redeem(context, code, now).await? {
                return Ok(tokens);
            }
        }
        Err(self.invalid_code(context, CodeFault::Used))
    }

    /// Returns the code if this exchange may redeem it now.
    async fn decide(
        &self,
        context: &Context,
        verifier: Option<&CodeVerifier>,
        now: Timestamp,
    ) -> Result<AuthorizationCode, OAuthError> {
        let found = authorization_codes::find(&context.db, &self.code.hash()).await?;
        // RFC 6749 §4.1.3: only the client of the code redeems it. The code stays valid: a thief with a
        // stolen code must not be able to consume it.
        let code = found
            .filter(|code| code.client == self.client.row_id)
            .ok_or_else(|| self.invalid_code(context, CodeFault::Unknown))?;
        self.check_redirect_uri(context, &code)?;
        let checked = check_verifier(code.code_challenge.as_ref(), verifier, self.client.fapi);
        checked.map_err(|refused| {
            // a wrong verifier does not consume the code, so failures are rate limited per code.
            match context.limits.spend(&[(CODE_VERIFIER, code.id.as_str())]) {
                Ok(()) => refused,
                Err(wait) => refused.retry_after(wait.0),
            }
        })?;
        // RFC 9449 §10: a stolen code is useless without the key. The code stays valid, as for a wrong client.
        if !fits_key(code.dpop_jkt.as_ref(), self.proof) {
            let error = OAuthError::invalid_grant(
                "The code is bound to a key by dpop_jkt; send a DPoP proof of this key",
            );
            return Err(error.mistake(MistakeKind::Dpop, None));
        }
        if let Some(consumed_at) = code.consumed_at {
            if now - consumed_at >= self.duplicate_window()
                && context.config.policies.token_endpoint.code_replay == CodeReplay::RevokesGrant
            {
                self.end_grant_of(context, &code, now).await?;
            }
            return Err(self.invalid_code(context, CodeFault::Used));
        }
        if now >= code.expires_at {
            return Err(self.invalid_code(context, CodeFault::Expired));
        }
        if code.revoked
            || code.account.suspended
            || !code.account.may_use_clients()
            || !code
                .approver
                .counts(code.account.may_use_access_keys(), now)
        {
            return Err(self.invalid_code(context, CodeFault::Revoked));
        }
        Ok(code)
    }

    /// Returns the time after the first use in which a second use is a duplicate request. Each request of a client
    /// that is held to FAPI 2.0 has a new client assertion and a new proof, so a copy of a request is refused before.
    fn duplicate_window(&self) -> Duration {
        if self.client.fapi {
            Duration::ZERO
        } else {
            DUPLICATE_WINDOW
        }
    }

    /// Checks `redirect_uri` (RFC 6749 §4.1.3): that of the authorization request, and absent only if
    /// absent there.
    fn check_redirect_uri(
        &self,
        context: &Context,
        code: &AuthorizationCode,
    ) -> Result<(), OAuthError> {
        let policy = context.config.policies.redirect_uris;
        let error = match self.redirect_uri {
            Some(uri) if redirect_uri::repeats(policy, uri, &code.redirect_uri) => return Ok(()),
            Some(_) if policy.mismatch_error == MismatchError::Generic => {
                self.invalid_code(context, CodeFault::Unknown)
            }
            Some(_) => OAuthError::invalid_grant(
                "redirect_uri is not the one that the authorization request had",
            ),
            None if !code.redirect_uri_given => return Ok(()),
            None => OAuthError::invalid_request("Missing redirect_uri"),
        };
        Err(error.mistake(MistakeKind::RedirectUriRepeat, self.redirect_uri))
    }

    /// Revokes the grant of a replayed code (RFC 6749 §4.1.2, RFC 9700 §4.2.4).
    async fn end_grant_of(
        &self,
        context: &Context,
        code: &AuthorizationCode,
        now: Timestamp,
    ) -> Result<(), OAuthError> {
        let Some(grant) = refresh_tokens::grant_of_code(&context.db, &code.id).await? else {
            return Ok(());
        };
        tracing::warn!(grant = %grant, "authorization code replayed; grant revoked");
        let entry = Entry::new(Event::CodeReplayed, now)
            .of(&code.account.id)
            .client(&self.client.client_id)
            .subject(&code.id)
            .from(self.address);
        let member = Member {
            token: None,
            grant: Some(grant),
        };
        let because = "code_replay";
        if refresh_token_family::end(&context.db, member, true, because, entry).await? {
            context.statistics.event(Event::CodeReplayed);
        }
        Ok(())
    }

    /// Redeems the code and returns the tokens; `None` if a concurrent request changed the state first.
    async fn redeem(
        &self,
        context: &Context,
        code: AuthorizationCode,
        now: Timestamp,
    ) -> Result<Option<TokenResponse>, OAuthError> {
        // drop the scopes that the account or the client lost since the approval.
        let granted = Scope::stored(&code.scope);
        let held = resources::held(context, &code.account, &granted).await?;
        let scope = self.client.scope.still_granted(&granted, &held);
        let approved = Granted {
            resources: code.resources.as_deref(),
            at: code.created_at,
        };
        let target = Target::within(context, approved, self.resource, &scope).await?;
        let grant = GrantId::generate(now);
        let issue = Issue {
            client: self.client,
            account: &code.account,
            scope: &target.scope,
            grant: &grant,
            for_client_itself: false,
            nonce: code.nonce.as_deref(),
            auth_time: code.auth_time,
            sign_in_method: code.sign_in_method,
            claims: &code.claims,
            resources: target.resources.as_deref(),
            key: self.proof.map(|proof| &proof.key),
            terms: Terms::default(),
        };
        let tokens = issue.sign(context, now).await?;
        let refresh = first_refresh_token(context, &issue, &granted, now);
        let (secret, token) = refresh.unzip();
        let redemption = Redemption {
            grant: NewGrant {
                id: grant,
                account: code.account.id,
                client: self.client.row_id.clone(),
                code: Some(code.id.clone()),
                access_key: code.approver.access_key().cloned(),
                auth_time: code.auth_time,
                sign_in_method: code.sign_in_method,
                claims: code.claims,
                resources: target.granted,
                dpop_jkt: refresh_key(self.client, self.proof),
                device: None,
                created_at: now,
            },
            code: code.id,
            token,
            proof: self.proof.map(|proof| proof.used.clone()),
        };
        let commit = context
            .db
            .write(redemption, |tx, redemption| Box::pin(redemption.commit(tx)));
        Ok(committed(commit.await)?.then(|| tokens.with_refresh_token(secret.as_ref())))
    }

    /// Returns the error of a code that is not redeemed.
    fn invalid_code(&self, context: &Context, fault: CodeFault) -> OAuthError {
        let description = "Authorization code is invalid, expired, or already used";
        let texts = context.config.policies.responses.error_texts;
        let error = OAuthError::invalid_grant(description).mistake(fault.mistake(), None);
        texts.explain(error, || {
            let lifetime = fapi::code_ttl(&context.config, self.client).whole_seconds();
            match fault {
                CodeFault::Unknown => {
                    format!("no such code was issued to this client; codes live {lifetime} seconds")
                }
                CodeFault::Expired => {
                    format!("this code has expired, codes live {lifetime} seconds")
                }
                CodeFault::Used => "this code was used before, each code is valid once".to_owned(),
                CodeFault::Revoked => {
                    "this code was revoked, start the authorization again".to_owned()
                }
            }
        })
    }
}

/// Verifies PKCE (RFC 7636 §4.6). Rejects a missing verifier and an unexpected verifier: both can be a
/// PKCE downgrade attack (RFC 9700 §4.8.2). For a missing verifier, the suite of FAPI 2.0 accepts only
/// `invalid_grant`.
fn check_verifier(
    challenge: Option<&CodeChallenge>,
    verifier: Option<&CodeVerifier>,
    fapi: bool,
) -> Result<(), OAuthError> {
    let missing = "Missing code_verifier";
    let (error, kind) = match (challenge, verifier) {
        (Some(challenge), Some(verifier)) if challenge.is_met_by(verifier) => return Ok(()),
        (None, None) => return Ok(()),
        (Some(_), None) if fapi => (
            OAuthError::invalid_grant(missing),
            MistakeKind::VerifierMissing,
        ),
        (Some(_), None) => (
            OAuthError::invalid_request(missing),
            MistakeKind::VerifierMissing,
        ),
        (Some(_), Some(_)) => {
            let description = "Code verifier does not match the code challenge";
            (
                OAuthError::invalid_grant(description),
                MistakeKind::VerifierWrong,
            )
        }
        (None, Some(_)) => {
            let description = "A code_verifier was sent for a code without a challenge";
            (
                OAuthError::invalid_grant(description),
                MistakeKind::PkceMissing,
            )
        }
    };
    Err(error.mistake(kind, None))
}

/// Everything that a redemption writes, in one transaction.
struct Redemption {
    code: AuthorizationCodeId,
    grant: NewGrant,
    token: Option<NewToken>,
    proof: Option<UsedProof>,
}

impl Redemption {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        spend(tx, self.proof.as_ref()).await?;
        client_locks::hold(tx, &self.grant.client, &self.grant.account).await?;
        if let Some(key) = &self.grant.access_key
            && !access_keys::lock_live(tx, key, self.grant.created_at).await?
        {
            return Err(store::Error::RaceLost);
        }
        let token = self.token.as_ref();
        if grant_writes::redeem_code(tx, &self.code, &self.grant, token).await? {
            return Ok(());
        }
        Err(store::Error::RaceLost)
    }
}

/// Why a code is not redeemed. Told only to the client that the code belongs to, with the redirect URI and
/// the code verifier of the authorization request.
#[derive(Clone, Copy)]
enum CodeFault {
    /// Never issued, or issued to a different client.
    Unknown,
    Expired,
    Used,
    /// Revoked, or the account lost the right to use applications.
    Revoked,
}

impl CodeFault {
    fn mistake(self) -> MistakeKind {
        match self {
            Self::Unknown | Self::Revoked => MistakeKind::CodeUnknown,
            Self::Expired => MistakeKind::CodeExpired,
            Self::Used => MistakeKind::CodeUsed,
        }
    }
}
