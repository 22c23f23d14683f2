//! The JWT bearer grant (RFC 7523 §2.1) with identity assertions, as enterprise-managed authorization of MCP uses it
//! (ID-JAG, draft-ietf-oauth-identity-assertion-authz-grant).
//!
//! 1. Accept the assertion: claims, trusted issuer, signature, account (`src/issuers/assertion.rs`).
//! 2. Limit the scope to the assertion, to the request, and to what client and account may have now.
//! 3. Sign an access token. No refresh token and no ID token: the client gets the next assertion from the issuer.
//! 4. Record the use of the assertion, and insert a grant.

use std::net::IpAddr;

use super::committed;
use super::errors::scope_refused;
use super::issue::{Issue, Terms, TokenResponse};
use super::proof::spend;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::dpop::Proof;
use crate::ids::{GrantId, IssuerId};
use crate::issuers::{self, Accepted};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::scope::Scope;
use crate::oauth::scope_parameter;
use crate::oauth::{ErrorCode, OAuthError};
use crate::resources::{self, Granted, Target};
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::audit::{self, Entry, Event};
use crate::store::clients::Client;
use crate::store::dpop_proofs::UsedProof;
use crate::store::refresh_tokens::{self, NewGrant};
use crate::store::{assertions, issuers as issuer_rows};

/// A request of an authenticated client.
#[derive(Debug)]
pub(super) struct AssertionGrant<'a> {
    /// The server.
    pub context: &'a Context,
    /// The authenticated client.
    pub client: &'a Client,
    /// The assertion.
    pub assertion: &'a Secret,
    /// The requested scope; `None`: the scope of the assertion.
    pub requested: Option<&'a Scope>,
    /// The requested resources; `None`: the resources of the assertion.
    pub resource: Option<&'a str>,
    /// The DPoP proof (RFC 9449 §5).
    pub proof: Option<&'a Proof>,
}

impl AssertionGrant<'_> {
    /// Verifies, signs and commits.
    ///
    /// # Errors
    /// `invalid_grant` for an assertion that is not accepted, `invalid_scope` and `invalid_target` for more than the
    /// assertion allows, `temporarily_unavailable` while the keys of the issuer cannot be read.
    pub(super) async fn answer(&self, address: IpAddr) -> Result<TokenResponse, OAuthError> {
        let answered = self.redeem(address).await;
        answered.inspect_err(|error| {
            if error.code == ErrorCode::InvalidGrant {
                let client_id = &self.client.client_id;
                self.context
                    .record_client_refusal(Event::AssertionRefused, client_id);
            }
        })
    }

    async fn redeem(&self, address: IpAddr) -> Result<TokenResponse, OAuthError> {
        let (context, now) = (self.context, self.context.clock.now());
        let accepted = issuers::accept(context, &self.client.client_id, self.assertion).await?;
        let target = self.target(&accepted).await?;
        let grant = GrantId::generate(now);
        let issue = Issue {
            client: self.client,
            account: &accepted.account,
            scope: &target.scope,
            grant: &grant,
            for_client_itself: false,
            nonce: None,
            auth_time: None,
            sign_in_method: None,
            claims: &GrantedClaims::default(),
            resources: target.resources.as_deref(),
            key: self.proof.map(|proof| &proof.key),
            terms: Terms {
                without_id_token: true,
                ..Terms::default()
            },
        };
        let tokens = issue.sign(context, now).await?;
        let entry = Entry::new(Event::GrantAsserted, now)
            .of(&accepted.account.id)
            .client(&self.client.client_id)
            .subject(&accepted.issuer.id)
            .from(address);
        let redemption = Redemption {
            grant: NewGrant {
                id: grant,
                account: accepted.account.id,
                client: self.client.row_id.clone(),
                code: None,
                access_key: None,
                auth_time: None,
                sign_in_method: None,
                claims: GrantedClaims::default(),
                resources: target.resources,
                dpop_jkt: None,
                device: None,
                created_at: now,
            },
            issuer: accepted.issuer.id,
            spent: accepted.spent,
            expires_at: accepted.expires_at,
            proof: self.proof.map(|proof| proof.used.clone()),
            entry,
        };
        let commit = context
            .db
            .write(redemption, |tx, redemption| Box::pin(redemption.commit(tx)));
        if committed(commit.await)? {
            return Ok(tokens);
        }
        tracing::warn!(client = %self.client.row_id, "assertion of an issuer replayed");
        Err(OAuthError::invalid_grant(
            "The assertion was used before, or its issuer was removed; each assertion needs a new jti",
        ))
    }

    /// Returns resources and scope of the token.
    async fn target(&self, accepted: &Accepted) -> Result<Target, OAuthError> {
        let context = self.context;
        let asserted = accepted.claims.scope.as_deref();
        let asserted = asserted.filter(|scope| !scope_parameter::is_blank(Some(scope)));
        let asserted = match asserted {
            Some(scope) => Some(scope_parameter::read(scope)?.known),
            None => None,
        };
        let allowed = asserted.as_ref().unwrap_or(&self.client.scope.allowed);
        let requested = self.requested.unwrap_or(allowed);
        if let Some(asserted) = &asserted
            && let Some(refused) = requested.iter().find(|name| !asserted.contains(*name))
        {
            let description = "scope asks for more than the assertion allows";
            return Err(scope_refused(
                &context.config,
                description,
                refused,
                asserted,
            ));
        }
        let defined = resources::defined(context, requested, &Scope::default()).await?;
        let held = resources::held(context, &accepted.account, &defined).await?;
        let scope = self.client.scope.still_granted(&defined, &held);
        let asserted = accepted.claims.resources();
        let target = match &asserted {
            None => Target::requested(context, self.resource, &scope).await?,
            Some(asserted) => {
                let named = resources::known(context).await?.read(asserted)?;
                let granted = Granted {
                    resources: Some(&named),
                    at: context.clock.now(),
                };
                Target::within(context, granted, self.resource, &scope).await?
            }
        };
        if target.scope.is_empty() && !requested.is_empty() {
            return Err(OAuthError::invalid_scope(
                "Nothing of the scope is left for this resource, this client and the member's current permissions",
            ));
        }
        Ok(target)
    }
}

/// Everything that the grant writes, in one transaction.
struct Redemption {
    grant: NewGrant,
    issuer: IssuerId,
    spent: SecretHash,
    expires_at: Timestamp,
    proof: Option<UsedProof>,
    entry: Entry,
}

impl Redemption {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        spend(tx, self.proof.as_ref()).await?;
        store::client_locks::hold(tx, &self.grant.client, &self.grant.account).await?;
        // RFC 7523 §3: one use of each `jti`, on every replica
        if !issuer_rows::hold(tx, &self.issuer).await?
            || !assertions::spend(tx, &self.spent, self.expires_at).await?
        {
            return Err(store::Error::RaceLost);
        }
        refresh_tokens::insert_grant(tx, &self.grant).await?;
        audit::insert(tx, &self.entry).await
    }
}
