//! Token exchange (RFC 8693): the server of a resource exchanges an access token that it received for a token with
//! which it calls on in the member's name.
//!
//! 1. Check that the client is the server of a resource in the audience of the token, and that the token is valid
//!    now. A token can be exchanged by its recipient only.
//! 2. Limit the scope to that of the token, and to the current limits of the account and of both clients.
//! 3. Sign a token for another audience that names the client in `act` (§4.1) and expires with the exchanged token.
//! 4. Insert a grant that ends with the grant of the token. Exchanges of the same grant share it for some hours.

use std::net::IpAddr;

use time::Duration;

use super::committed;
use super::errors::scope_refused;
use super::issue::{Issue, Terms, TokenResponse};
use super::proof::spend;
use crate::clients;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::dpop::Proof;
use crate::http::authorization::verify_access_token;
use crate::ids::GrantId;
use crate::oauth::OAuthError;
use crate::oauth::access_token::{ForWhom, STORYDEN, VerifiedAccessToken};
use crate::oauth::claims_request::GrantedClaims;
use crate::oauth::mistake::MistakeKind;
use crate::oauth::scope::Scope;
use crate::oauth::token_exchange::{ACCESS_TOKEN, ACTORS_MAX, Actor};
use crate::resources::{self, Target};
use crate::secret::Secret;
use crate::store;
use crate::store::accounts::Account;
use crate::store::audit::{self, Entry, Event};
use crate::store::clients::Client;
use crate::store::derived_grants;
use crate::store::dpop_proofs::UsedProof;
use crate::store::refresh_tokens::{self, NewGrant};
use crate::store::resources as resource_rows;

/// Time in which exchanges share a derived grant. The clean-up deletes grants without tokens after two days, and an
/// access token lives at most one: every token of a shared grant expires before.
const SHARED_FOR: Duration = Duration::hours(12);

/// An exchange by an authenticated client.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    /// The server.
    pub context: &'a Context,
    /// The authenticated client, the server of a resource.
    pub client: &'a Client,
    /// The access token to exchange.
    pub subject_token: &'a Secret,
    /// The requested scope; `None`: the scope of the token.
    pub requested: Option<&'a Scope>,
    /// The requested resources; `None`: the audience of the token.
    pub target: Option<&'a str>,
    /// The DPoP proof (RFC 9449 §5).
    pub proof: Option<&'a Proof>,
}

/// The token to exchange, valid now.
struct Subject {
    token: VerifiedAccessToken,
    account: Account,
    /// The grant of the token.
    grant: GrantId,
    /// The clients that act for the account with the new token.
    actor: Actor,
}

impl Exchange<'_> {
    /// Checks, signs and commits. No refresh token (§2.2.1): the client exchanges the next access token.
    ///
    /// # Errors
    /// `unauthorized_client` if the client is the server of no resource, `invalid_request` for a token that cannot be
    /// exchanged (§2.2.2), `invalid_target` for an unknown resource, `invalid_scope` for a scope beyond the token's.
    pub(super) async fn answer(&self, address: IpAddr) -> Result<TokenResponse, OAuthError> {
        let (context, now) = (self.context, self.context.clock.now());
        let subject = self.subject().await?;
        let target = self.target(&subject).await?;
        let since = now - SHARED_FOR;
        let (parent, row) = (&subject.grant, &self.client.row_id);
        let shared = derived_grants::find(&context.db, parent, row, since).await?;
        let is_new = shared.is_none();
        let grant = shared.unwrap_or_else(|| GrantId::generate(now));
        let issue = Issue {
            client: self.client,
            account: &subject.account,
            scope: &target.scope,
            grant: &grant,
            for_client_itself: subject.token.for_client_itself,
            nonce: None,
            auth_time: None,
            sign_in_method: None,
            claims: &GrantedClaims::default(),
            resources: target.resources.as_deref(),
            key: self.proof.map(|proof| &proof.key),
            terms: Terms {
                actor: Some(&subject.actor),
                expires_by: subject.token.expires_at,
                without_id_token: true,
            },
        };
        let tokens = issue.sign(context, now).await?;
        let entry = Entry::new(Event::GrantDerived, now)
            .of(&subject.account.id)
            .client(&self.client.client_id)
            .subject(&grant)
            .from(address);
        let derivation = Derivation {
            new: is_new.then(|| (self.grant(&subject.account, grant, now), entry)),
            account: subject.account,
            client: self.client.clone(),
            parent: subject.grant,
            proof: self.proof.map(|proof| proof.used.clone()),
        };
        let commit = context
            .db
            .write(derivation, |tx, derivation| Box::pin(derivation.commit(tx)));
        committed(commit.await)?;
        Ok(tokens.with_issued_type(ACCESS_TOKEN))
    }

    fn grant(&self, account: &Account, id: GrantId, now: Timestamp) -> NewGrant {
        NewGrant {
            id,
            account: account.id.clone(),
            client: self.client.row_id.clone(),
            code: None,
            access_key: None, // that of the parent
            auth_time: None,
            sign_in_method: None,
            claims: GrantedClaims::default(),
            resources: None,
            dpop_jkt: None,
            device: None,
            created_at: now,
        }
    }

    /// Verifies the token to exchange.
    async fn subject(&self) -> Result<Subject, OAuthError> {
        let (context, client) = (self.context, self.client);
        let served = resource_rows::served_by(&context.db, &client.client_id).await?;
        if served.is_empty() {
            return Err(OAuthError::unauthorized_client(
                "Client is the server of no resource, and may exchange no tokens",
            ));
        }
        let refused = |why: &'static str| OAuthError::invalid_request(why);
        let found = verify_access_token(context, self.subject_token, ForWhom::Anybody).await?;
        let (token, found) = found.ok_or_else(|| {
            refused("subject_token is malformed, expired or revoked, or was not issued here")
        })?;
        if !served.iter().any(|url| token.audience.contains(url)) {
            let error =
                refused("subject_token is for another audience than the resources of this client");
            return Err(error.mistake(MistakeKind::Resource, None));
        }
        let grant = token
            .grant
            .clone()
            .ok_or_else(|| refused("subject_token belongs to no grant of this server"))?;
        let actor = Actor::next(&client.client_id, token.actor.as_ref()).ok_or_else(|| {
            OAuthError::invalid_request(format!(
                "subject_token was exchanged {ACTORS_MAX} times already, the most that are possible"
            ))
        })?;
        Ok(Subject {
            token,
            account: found.account,
            grant,
            actor,
        })
    }

    /// Returns resources and scope of the new token.
    async fn target(&self, subject: &Subject) -> Result<Target, OAuthError> {
        let (context, token) = (self.context, &subject.token);
        let requested = self.requested.unwrap_or(&token.scope);
        if let Some(refused) = requested.iter().find(|name| !token.scope.contains(*name)) {
            let description = "scope asks for more than the subject_token has";
            return Err(scope_refused(
                &context.config,
                description,
                refused,
                &token.scope,
            ));
        }
        let issued_at = token.issued_at;
        let scope = resources::still_of(context, requested, &token.audience, issued_at).await?;
        let held = resources::held(context, &subject.account, &scope).await?;
        let issued_to = token.client_id.as_deref().unwrap_or_default();
        let issued_to = clients::find(context, issued_to).await?;
        let issued_to = issued_to.ok_or_else(|| {
            OAuthError::invalid_request("The client of the subject_token was deleted")
        })?;
        let scope = issued_to.scope.still_granted(&scope, &held);
        let scope = self.client.scope.still_granted(&scope, &held);
        let same: Vec<&str> = token
            .audience
            .iter()
            .filter(|one| *one != STORYDEN)
            .collect();
        let same = Some(same.join(" ")).filter(|same| !same.is_empty());
        let asked = self.target.or(same.as_deref());
        let target = Target::requested(context, asked, &scope).await?;
        if target.scope.is_empty() && !requested.is_empty() {
            return Err(OAuthError::invalid_scope(
                "Nothing of the scope is left for this target, this client and the member's current permissions",
            ));
        }
        Ok(target)
    }
}

/// Everything that an exchange writes, in one transaction.
struct Derivation {
    /// The grant to insert, unless one is shared.
    new: Option<(NewGrant, Entry)>,
    account: Account,
    client: Client,
    parent: GrantId,
    proof: Option<UsedProof>,
}

impl Derivation {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<()> {
        spend(tx, self.proof.as_ref()).await?;
        let Some((grant, entry)) = &self.new else {
            return Ok(());
        };
        store::client_locks::hold(tx, &self.client.row_id, &self.account.id).await?;
        refresh_tokens::insert_grant(tx, grant).await?;
        derived_grants::derive(tx, &grant.id, &self.parent).await?;
        audit::insert(tx, entry).await
    }
}
