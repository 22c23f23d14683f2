//! The refresh token grant (RFC 6749 §6) with rotation and reuse detection (RFC 9700 §4.14.2).
//!
//! A token is used once. The successor is derived from the token, so that a client that lost the
//! response gets the same successor again within the reuse window. Later reuse counts as theft and
//! revokes the token family. The token of a public client may be bound to a key (RFC 9449 §5): then a DPoP proof
//! of the key belongs to each use. A client that is held to FAPI 2.0 keeps its token: there is no rotation.

use std::net::IpAddr;

use time::Duration;

use super::errors::scope_refused;
use super::issue::{Issue, Terms, TokenResponse};
use super::proof::{fits_key, refresh_key, spend};
use super::{ATTEMPTS, committed};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::dpop::Proof;
use crate::ids::{AccountId, ClientRowId, GrantId, RefreshTokenId};
use crate::oauth::OAuthError;
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::dpop::Thumbprint;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::refresh_grant::{RefreshGrant, RefreshState, derive_successor};
use crate::oauth::scope::Scope;
use crate::resources::{self, Granted, Target};
use crate::secret::Secret;
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::client_locks;
use crate::store::clients::Client;
use crate::store::dpop_proofs::UsedProof;
use crate::store::grant_writes;
use crate::store::refresh_token_family::{self, Member};
use crate::store::refresh_tokens::{self, Grant, NewGrant, NewToken, RefreshToken, Successor};

/// The error description of a refresh token that is not accepted.
const INVALID: &str = "Refresh token is invalid, expired, or revoked";

/// The last rotation of a grant.
#[derive(Clone, Copy)]
struct LastRotation<'a> {
    grant: &'a GrantId,
    salt: &'a str,
    successor: &'a Successor,
}

impl<'a> LastRotation<'a> {
    /// Returns the rotation of a token if the successor can be derived again.
    fn of(token: &'a RefreshToken, now: Timestamp) -> Option<Self> {
        let (successor, grant) = (token.successor.as_ref()?, token.grant.as_ref()?);
        let is_last = grant.rotated_token.as_ref() == Some(&token.id);
        let is_unused = !successor.revoked && now < successor.expires_at;
        let rotation = Self {
            grant: &grant.id,
            salt: grant.salt.as_deref()?,
            successor,
        };
        (is_last && is_unused).then_some(rotation)
    }
}

/// Determines the effect of using the token now.
fn state_of(
    token: &RefreshToken,
    now: Timestamp,
    window: Duration,
) -> RefreshState<LastRotation<'_>> {
    let grant = RefreshGrant {
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        rotated: token.successor.is_some(),
        grant_revoked: !token.is_granted(now),
        repeatable: LastRotation::of(token, now),
    };
    grant.state(now, window)
}

/// A refresh request of an authenticated client.
#[derive(Debug)]
pub(super) struct Refresh<'a> {
    /// The server.
    pub context: &'a Context,
    /// The authenticated client.
    pub client: &'a Client,
    /// The presented refresh token.
    pub presented: &'a Secret,
    /// The requested scope, if narrower than the granted scope.
    pub requested: Option<&'a Scope>,
    /// The requested resource, if the access token shall have a narrower audience than the grant.
    pub resource: Option<&'a str>,
    /// The DPoP proof (RFC 9449 §5).
    pub proof: Option<&'a Proof>,
    /// Address of the client, for audit events.
    pub address: IpAddr,
}

impl Refresh<'_> {
    /// Loads, checks, signs and commits. Starts again if a concurrent request changed the state first.
    ///
    /// # Errors
    /// `invalid_grant` if the token is not valid, `invalid_scope` for a scope beyond the granted scope.
    pub(super) async fn answer(&self) -> Result<TokenResponse, OAuthError> {
        let context = self.context;
        let presented = self.presented.hash();
        for _ in 0..ATTEMPTS {
            // Only a rotation keeps the turn: the repeats in the reuse window change no token and may
            // run concurrently.
            let turn = context.redemptions.turn(&presented).await?;
            let now = context.clock.now();
            let found = refresh_tokens::find(&context.db, &presented).await?;
            // A token of a different client is refused and not revoked.
            let token = found
                .filter(|token| token.client == self.client.row_id)
                .ok_or_else(|| invalid_refresh_token(context, TokenFault::Unknown))?;
            if token.account.suspended || !token.account.may_use_clients() {
                return Err(invalid_refresh_token(context, TokenFault::Revoked));
            }
            let state = state_of(&token, now, context.config.reuse_window());
            if !matches!(state, RefreshState::Live) {
                drop(turn);
            }
            let tokens = match state {
                // A thief without the key must not be able to end the grant.
                RefreshState::Live if !self.has_key_of(&token) => return Err(wrong_key()),
                RefreshState::Live => match &token.grant {
                    Some(grant) if self.client.fapi => self.keep(&token, grant, now).await?,
                    _ => self.rotate(token, now).await?,
                },
                RefreshState::Repeat(rotation) if self.has_key_of(&token) => {
                    Some(self.repeat(&token, rotation, now).await?)
                }
                // A repeat without the key is not a repeat of the client that used the token.
                RefreshState::Repeat(_) | RefreshState::Reused => {
                    return Err(self.end_family(&token, now).await?);
                }
                RefreshState::Expired => {
                    return Err(invalid_refresh_token(context, TokenFault::Expired));
                }
                RefreshState::Revoked => {
                    return Err(invalid_refresh_token(context, TokenFault::Revoked));
                }
            };
            if let Some(tokens) = tokens {
                return Ok(tokens);
            }
        }
        Err(OAuthError::invalid_grant(INVALID)) // concurrent uses kept changing the token
    }

    /// True if the token is bound to no key, or the request has a proof of the key.
    fn has_key_of(&self, token: &RefreshToken) -> bool {
        let grant = token.grant.as_ref();
        fits_key(grant.and_then(|grant| grant.dpop_jkt.as_ref()), self.proof)
    }

    /// Builds an audit event about a token.
    fn entry(&self, event: Event, token: &RefreshToken, now: Timestamp) -> Entry {
        Entry::new(event, now)
            .of(&token.account.id)
            .client(&self.client.client_id)
            .subject(&token.id)
            .from(self.address)
    }

    /// Returns the scope of the new access token: requested, granted, and still held.
    async fn scope(&self, token: &RefreshToken) -> Result<Scope, OAuthError> {
        let granted = Scope::stored(&token.scope);
        let requested = self.requested.unwrap_or(&granted);
        let asked = &resources::defined(self.context, requested, &granted).await?;
        if asked.is_empty() && !requested.is_empty() {
            return Err(resources::none_left(self.context, requested).await);
        }
        // RFC 6749 §6: no scope beyond the granted scope
        if let Some(refused) = asked.iter().find(|name| !granted.contains(*name)) {
            let description = "scope asks for more than was granted";
            let config = &self.context.config;
            return Err(scope_refused(config, description, refused, &granted));
        }
        let held = resources::held(self.context, &token.account, asked).await?;
        Ok(self.client.scope.still_granted(asked, &held))
    }

    async fn sign(
        &self,
        token: &RefreshToken,
        grant: &GrantId,
        now: Timestamp,
    ) -> Result<TokenResponse, OAuthError> {
        let scope = self.scope(token).await?;
        let stored = token.grant.as_ref();
        let granted = Granted {
            resources: stored.and_then(|grant| grant.resources.as_deref()),
            at: stored.map_or(now, |grant| grant.created_at),
        };
        let target = Target::within(self.context, granted, self.resource, &scope).await?;
        let no_claims = GrantedClaims::default();
        let issue = Issue {
            client: self.client,
            account: &token.account,
            scope: &target.scope,
            grant,
            for_client_itself: false,
            nonce: None, // OpenID Connect Core §12.2
            auth_time: stored.and_then(|grant| grant.auth_time),
            sign_in_method: stored.and_then(|grant| grant.sign_in_method),
            claims: stored.map_or(&no_claims, |grant| &grant.claims),
            resources: target.resources.as_deref(),
            key: self.proof.map(|proof| &proof.key),
            terms: Terms::default(),
        };
        issue.sign(self.context, now).await
    }

    /// Returns new tokens beside the same refresh token: FAPI 2.0 §5.3.2.1 forbids rotation, since a client that
    /// loses a response would lose its access. The token is bound to the client's key, so a stolen copy is useless.
    /// `None` if a concurrent request changed the state first.
    async fn keep(
        &self,
        token: &RefreshToken,
        grant: &Grant,
        now: Timestamp,
    ) -> Result<Option<TokenResponse>, OAuthError> {
        let tokens = self.sign(token, &grant.id, now).await?;
        let renewal = Renewal {
            token: token.id.clone(),
            client: self.client.row_id.clone(),
            account: token.account.id.clone(),
            proof: self.proof.map(|proof| proof.used.clone()),
            now,
            expires_at: self
                .context
                .config
                .refresh_token_expiry(now, grant.created_at),
        };
        let commit = self
            .context
            .db
            .write(renewal, |tx, renewal| Box::pin(renewal.commit(tx)));
        Ok(committed(commit.await)?.then(|| tokens.with_refresh_token(Some(self.presented))))
    }

    /// Rotates the token (first use); `None` if a concurrent request changed the state first.
    async fn rotate(
        &self,
        token: RefreshToken,
        now: Timestamp,
    ) -> Result<Option<TokenResponse>, OAuthError> {
        let salt = self.context.random.base64url::<32>();
        let successor = RefreshTokenId::generate(now);
        let next = derive_successor(self.presented, &salt, &successor);
        // Refresh tokens made by Storyden have no grant yet.
        let (grant, missing_grant) = match &token.grant {
            Some(grant) => (grant.id.clone(), false),
            None => (GrantId::generate(now), true),
        };
        let tokens = self.sign(&token, &grant, now).await?;
        let key = refresh_key(self.client, self.proof);
        let started_at = token.grant.as_ref().map_or(now, |grant| grant.created_at);
        let rotation = Rotation {
            used: token.id,
            missing_grant: missing_grant.then(|| NewGrant {
                id: grant.clone(),
                account: token.account.id.clone(),
                client: self.client.row_id.clone(),
                code: None,
                access_key: None,
                auth_time: None,
                sign_in_method: None,
                claims: GrantedClaims::default(),
                resources: None,
                dpop_jkt: key.clone(),
                device: None,
                created_at: now,
            }),
            key,
            proof: self.proof.map(|proof| proof.used.clone()),
            salt,
            next: NewToken {
                id: successor,
                token: next.hash(),
                scope: token.scope, // RFC 6749 §6: the scope stays
                account: token.account.id,
                client: self.client.row_id.clone(),
                grant,
                created_at: now,
                expires_at: self.context.config.refresh_token_expiry(now, started_at),
            },
        };
        let commit = self
            .context
            .db
            .write(rotation, |tx, rotation| Box::pin(rotation.commit(tx)));
        Ok(committed(commit.await)?.then(|| tokens.with_refresh_token(Some(&next))))
    }

    /// Answers a repeated use within the reuse window with the same successor: the client may have lost
    /// the first response.
    async fn repeat(
        &self,
        token: &RefreshToken,
        rotation: LastRotation<'_>,
        now: Timestamp,
    ) -> Result<TokenResponse, OAuthError> {
        let LastRotation {
            grant,
            salt,
            successor,
        } = rotation;
        let derived = derive_successor(self.presented, salt, &successor.id);
        if derived.hash() != successor.token {
            return Err(self.end_family(token, now).await?); // a different successor was issued
        }
        let tokens = self.sign(token, grant, now).await?;
        let entry = self.entry(Event::RefreshRepeated, token, now);
        let used = self.proof.map(|proof| proof.used.clone());
        let noted = self.context.db.write((entry, used), |tx, (entry, used)| {
            Box::pin(async move {
                spend(tx, used.as_ref()).await?;
                audit::insert(tx, entry).await
            })
        });
        committed(noted.await)?;
        tracing::info!(grant = %grant, "refresh token repeated within the reuse window");
        Ok(tokens.with_refresh_token(Some(&derived)))
    }

    /// Revokes the token family after reuse, a sign of theft. Returns the error for the client.
    async fn end_family(
        &self,
        token: &RefreshToken,
        now: Timestamp,
    ) -> Result<OAuthError, OAuthError> {
        let entry = self.entry(Event::RefreshTokenReused, token, now);
        let member = Member {
            token: Some(token.id.clone()),
            grant: token.grant.as_ref().map(|grant| grant.id.clone()),
        };
        let because = "refresh_reuse";
        let db = &self.context.db;
        let ended = refresh_token_family::end(db, member, false, because, entry).await?;
        if ended {
            self.context.statistics.event(Event::RefreshTokenReused);
            tracing::warn!(token = %token.id, "refresh token reused; token family revoked");
        }
        Ok(invalid_refresh_token(self.context, TokenFault::Used))
    }
}

/// Everything that a refresh without rotation writes, in one transaction.
struct Renewal {
    token: RefreshTokenId,
    client: ClientRowId,
    account: AccountId,
    proof: Option<UsedProof>,
    now: Timestamp,
    expires_at: Timestamp,
}

impl Renewal {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        spend(tx, self.proof.as_ref()).await?;
        client_locks::hold(tx, &self.client, &self.account).await?;
        if refresh_tokens::renew(tx, &self.token, self.now, self.expires_at).await? {
            return Ok(());
        }
        Err(store::Error::RaceLost)
    }
}

/// Everything that a rotation writes, in one transaction.
struct Rotation {
    used: RefreshTokenId,
    missing_grant: Option<NewGrant>,
    salt: String,
    next: NewToken,
    /// The key to bind the grant to, if not bound yet.
    key: Option<Thumbprint>,
    proof: Option<UsedProof>,
}

impl Rotation {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        let now = self.next.created_at;
        spend(tx, self.proof.as_ref()).await?;
        client_locks::hold(tx, &self.next.client, &self.next.account).await?;
        if let Some(grant) = &self.missing_grant {
            // Lock the token's row first: a concurrent first rotation of the same token waits here.
            if !refresh_tokens::consume(tx, &self.used, now).await? {
                return Err(store::Error::RaceLost);
            }
            refresh_tokens::insert_grant(tx, grant).await?;
            refresh_tokens::join_grant(tx, &self.used, &grant.id).await?;
            let (grant, used) = (&grant.id, &self.used);
            refresh_tokens::lock_for_rotation(tx, grant, used, &self.salt, now).await?;
            refresh_tokens::insert(tx, &self.next).await?;
            return refresh_tokens::link(tx, &self.used, &self.next.id).await;
        }
        let rotation = grant_writes::Rotation {
            used: &self.used,
            salt: &self.salt,
            next: &self.next,
            key: self.key.as_ref(),
        };
        if grant_writes::rotate(tx, rotation).await? {
            return Ok(());
        }
        Err(store::Error::RaceLost)
    }
}

/// Why a refresh token is not accepted. Told only to the client that the token belongs to.
#[derive(Clone, Copy)]
enum TokenFault {
    /// Never issued, or issued to a different client.
    Unknown,
    Expired,
    Used,
    /// Revoked, or the account lost the right to use applications.
    Revoked,
}

/// Returns the error for a token that is bound to another key. Nothing was consumed.
fn wrong_key() -> OAuthError {
    OAuthError::invalid_grant("The refresh token is bound to a key; send a DPoP proof of this key")
        .mistake(MistakeKind::Dpop, None)
}

fn invalid_refresh_token(context: &Context, fault: TokenFault) -> OAuthError {
    let texts = context.config.policies.responses.error_texts;
    let kind = match fault {
        TokenFault::Used => MistakeKind::RefreshTokenUsed,
        TokenFault::Unknown | TokenFault::Expired | TokenFault::Revoked => {
            MistakeKind::RefreshToken
        }
    };
    texts.explain(OAuthError::invalid_grant(INVALID).mistake(kind, None), || {
        let clause = match fault {
            TokenFault::Unknown => "no such token was issued to this client",
            TokenFault::Expired => "this token has expired, start the authorization again",
            TokenFault::Used => {
                "this token was used before, each refresh returns the next token; every token of \
                 the approval was revoked"
            }
            TokenFault::Revoked => "this token was revoked, start the authorization again",
        };
        clause.to_owned()
    })
}
