//! The approval of an authorization request: everything that the transaction writes, for a decision on the
//! consent page and for a remembered consent.

use super::pending;
use crate::clients::fapi;
use crate::context::Context;
use crate::ids::{AccessKeyId, AccountId, AuthorizationCodeId, AuthorizationRequestId};
use crate::oauth::claims_request::{ClaimList, GrantedClaims, RequestedClaims};
use crate::oauth::known_resources::KnownResources;
use crate::oauth::pkce::CodeChallenge;
use crate::oauth::scope::{Scope, ScopeName};
use crate::secret::Secret;
use crate::store;
use crate::store::access_keys;
use crate::store::audit::{self, Entry, Event};
use crate::store::authorization_codes::{self, NewCode};
use crate::store::authorization_requests::{
    self, ApprovedRequest, AuthorizationRequest, NewRequest,
};
use crate::store::client_locks;
use crate::store::clients::Client;
use crate::store::consents::{self, ConsentKey, NewConsent};
use crate::store::origins::Origin;

/// The parts of a request, stored or not, that an approval needs.
pub(super) struct Approvable<'a> {
    pub(super) id: &'a AuthorizationRequestId,
    pub(super) client: &'a Client,
    pub(super) account: &'a AccountId,
    pub(super) redirect_uri: &'a str,
    pub(super) nonce: Option<&'a str>,
    pub(super) code_challenge: Option<&'a CodeChallenge>,
    pub(super) resources: Option<&'a [String]>,
    pub(super) claims: &'a RequestedClaims,
}

impl<'a> From<&'a AuthorizationRequest> for Approvable<'a> {
    fn from(request: &'a AuthorizationRequest) -> Self {
        Self {
            id: &request.id,
            client: &request.client,
            account: &request.account,
            redirect_uri: &request.redirect_uri,
            nonce: request.nonce.as_deref(),
            code_challenge: request.code_challenge.as_ref(),
            resources: request.resources.as_deref(),
            claims: &request.claims,
        }
    }
}

impl<'a> Approvable<'a> {
    /// Joins a request that is not stored yet with the client.
    pub(super) fn unstored(request: &'a NewRequest, client: &'a Client) -> Self {
        Self {
            id: &request.id,
            client,
            account: &request.account,
            redirect_uri: &request.redirect_uri,
            nonce: request.nonce.as_deref(),
            code_challenge: request.code_challenge.as_ref(),
            resources: request.resources.as_deref(),
            claims: &request.claims,
        }
    }

    /// Returns the claims that only an approval of a page grants, one by one: no scope of `offered` releases
    /// these claims.
    pub(super) fn individual_claims(&self, offered: &Scope) -> ClaimList {
        let is_openid = offered.contains(ScopeName::Openid);
        let may_have = |scope| is_openid && self.client.scope.allows(scope);
        self.claims.shown(offered, may_have)
    }

    /// Returns the key of the remembered consent. `known` describes the resources of the request.
    pub(super) fn consent_key(&self, known: &KnownResources) -> ConsentKey {
        ConsentKey {
            account: self.account.clone(),
            client: self.client.row_id.clone(),
            resources: self.resources.map(<[String]>::to_vec),
            identities: self.resources.map(|asked| known.consent_identities(asked)),
        }
    }
}

/// The scopes and the claims of an approval.
pub(super) struct Granted {
    pub(super) scope: Scope,
    /// The claims that the user approved one by one.
    pub(super) claims: ClaimList,
}

impl Granted {
    /// Grants scopes, and no claim beyond the claims of the scopes.
    pub(super) fn without_page(scope: Scope) -> Self {
        Self {
            scope,
            claims: ClaimList::default(),
        }
    }
}

/// The effect of an approval on remembered consents.
pub(super) enum Remembering {
    /// The approval is not remembered.
    Nothing,
    /// The approval is remembered.
    Remember(NewConsent),
    /// A remembered consent approves, and must cover the request at the commit.
    Repeat(ConsentKey),
}

/// A request that the transaction of the approval stores first.
pub(super) struct Unstored {
    pub(super) request: NewRequest,
    /// True if the request is pending since before sign-in.
    pub(super) is_pending: bool,
}

impl Unstored {
    pub(super) async fn store(&self, tx: &mut store::Tx) -> store::Result<()> {
        if self.is_pending {
            return pending::claim(tx, &self.request).await;
        }
        authorization_requests::insert(tx, &self.request).await
    }
}

/// Everything that an approval writes, in one transaction: the decision, the code, the audit event, and the
/// remembered consent.
pub(super) struct Approval {
    request: AuthorizationRequestId,
    access_key: Option<AccessKeyId>,
    /// Fingerprint of the client that the user approved.
    client_version: String,
    scope: Scope,
    claims: GrantedClaims,
    code: NewCode,
    remembering: Remembering,
    /// The browser or program that approves.
    origin: Origin,
    entry: Entry,
}

/// The outcome of an [`Approval`]. All variants except `Yes` wrote nothing, except that `AlreadyDecided`
/// stored an unstored request.
pub(super) enum Approved {
    Yes,
    AlreadyDecided,
    /// The approving access key was revoked meanwhile.
    KeyEnded,
    /// The client was changed meanwhile.
    ClientChanged,
    /// No remembered consent covers the request any more.
    NotCovered,
}

impl Approval {
    /// Prepares the approval of a request. Returns the code too.
    pub(super) fn new(
        context: &Context,
        request: &Approvable<'_>,
        granted: Granted,
        remembering: Remembering,
        origin: Origin,
    ) -> (Self, Secret) {
        let Granted { scope, claims } = granted;
        let (secret, now) = (Secret::generate(&context.random), context.clock.now());
        let code = NewCode {
            id: AuthorizationCodeId::generate(now),
            code: secret.hash(),
            client: request.client.row_id.clone(),
            account: request.account.clone(),
            redirect_uri: request.redirect_uri.to_owned(),
            scope: scope.to_string(),
            nonce: request.nonce.map(str::to_owned),
            code_challenge: request.code_challenge.cloned(),
            created_at: now,
            expires_at: now + fapi::code_ttl(&context.config, request.client),
        };
        let event = match remembering {
            Remembering::Repeat(_) => Event::ConsentRepeated,
            Remembering::Nothing | Remembering::Remember(_) => Event::GrantApproved,
        };
        let entry = Entry::new(event, now)
            .by(request.account)
            .client(&request.client.client_id)
            .subject(&code.id)
            .from(origin.address);
        let approval = Self {
            request: request.id.clone(),
            access_key: None,
            client_version: request.client.fingerprint(),
            claims: request.claims.grant(&scope, claims),
            scope,
            code,
            remembering,
            origin,
            entry,
        };
        (approval, secret)
    }

    /// Returns the audit event: an approval by the member, or by a remembered consent.
    pub(super) fn event(&self) -> Event {
        self.entry.event
    }

    /// Sets the access key that approves.
    pub(super) fn by(mut self, access_key: Option<&AccessKeyId>) -> Self {
        self.access_key = access_key.cloned();
        self
    }

    /// Writes the approval. Stores the request first, if not stored yet.
    pub(super) async fn commit(
        &self,
        tx: &mut store::Tx,
        unstored: Option<&Unstored>,
    ) -> store::Result<Approved> {
        let now = self.code.created_at;
        let (client, account) = (&self.code.client, &self.code.account);
        if !client_locks::lock_as_shown(tx, client, account, &self.client_version).await? {
            return Ok(Approved::ClientChanged);
        }
        // A revocation locks the same rows, and ends the consents in its transaction.
        if let Remembering::Repeat(key) = &self.remembering
            && !consents::is_covered(tx, key, &self.scope, now).await?
        {
            return Ok(Approved::NotCovered);
        }
        let key = self.access_key.as_ref();
        if let Some(key) = key
            && !access_keys::lock_live(tx, key, now).await?
        {
            return Ok(Approved::KeyEnded);
        }
        if let Some(unstored) = unstored {
            unstored.store(tx).await?;
        }
        if !authorization_requests::approve(tx, &self.request, now).await? {
            return Ok(Approved::AlreadyDecided);
        }
        authorization_codes::insert(tx, &self.code).await?;
        let approved = ApprovedRequest {
            id: &self.request,
            code: &self.code.id,
            access_key: key,
            claims: &self.claims,
            origin: &self.origin,
            at: now,
        };
        authorization_requests::link_code(tx, approved).await?;
        match &self.remembering {
            Remembering::Nothing => {}
            Remembering::Remember(new) => consents::remember(tx, new).await?,
            Remembering::Repeat(key) => consents::touch(tx, key, now).await?,
        }
        audit::insert(tx, &self.entry).await?;
        Ok(Approved::Yes)
    }
}
