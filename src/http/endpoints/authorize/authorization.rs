//! A resolved authorization request: the sign-in, and then a code by a remembered consent or the consent
//! page.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::Response;

use super::approval::{Approvable, Approval, Approved, Granted, Remembering, Unstored};
use super::pending::{self, NextPage, PendingRequest};
use super::request::{ResolvedRequest, limit_requests};
use super::response::{consent_page, redirect};
use super::{AuthorizeError, Browser, pending_cookie};
use crate::context::Context;
use crate::http::caller::ResourceOwner;
use crate::http::extract::ClientAddress;
use crate::oauth::OAuthError;
use crate::oauth::known_resources::KnownResources;
use crate::resources;
use crate::secret::{Secret, SecretHash};
use crate::store;
use crate::store::audit::Event;
use crate::store::authorization_requests::NewRequest;
use crate::store::origins::Origin;

/// A resolved request in this browser, new or pending.
pub(super) struct Authorization<'a> {
    pub(super) context: &'a Context,
    pub(super) browser: Browser<'a>,
    pub(super) request: Box<ResolvedRequest>,
    pub(super) pending: Option<PendingRequest>,
    /// The id of the request if it has to wait for the sign-in; a random id if absent.
    pub(super) new_id: Option<Secret>,
}

/// Everything that a request of a signed-in account writes, in one transaction.
struct Begin {
    unstored: Unstored,
    /// The approval, if a remembered consent may approve the request.
    approval: Option<Approval>,
    /// True if no page may be shown (`prompt=none`).
    is_silent: bool,
}

/// The outcome of [`Begin`].
enum Outcome {
    /// A remembered consent approved the request.
    Approved,
    /// The request is stored for the consent page.
    Stored,
    /// The consent page is needed, and no page may be shown. Nothing was written.
    PageNeeded,
}

impl Begin {
    async fn commit(&self, tx: &mut store::Tx) -> store::Result<Outcome> {
        if let Some(approval) = &self.approval {
            match approval.commit(tx, Some(&self.unstored)).await? {
                Approved::Yes => return Ok(Outcome::Approved),
                // Stored, but the account was suspended meanwhile. The page reports the suspension.
                Approved::AlreadyDecided if self.is_silent => return Err(store::Error::RaceLost),
                Approved::AlreadyDecided => return Ok(Outcome::Stored),
                Approved::NotCovered | Approved::ClientChanged | Approved::KeyEnded => {}
            }
        }
        if self.is_silent {
            return Ok(Outcome::PageNeeded);
        }
        self.unstored.store(tx).await?;
        Ok(Outcome::Stored)
    }
}

impl Authorization<'_> {
    /// Authenticates the account (step 2), then runs the steps 3 and 4.
    pub(super) async fn of_account(
        &self,
        owner: Option<ResourceOwner>,
    ) -> Result<Response, AuthorizeError> {
        let Some(owner) = owner else {
            // OpenID Connect Core §3.1.2.1: `prompt=none` never shows a page
            if self.request.is_silent() {
                let error = self.request.interaction().err();
                return Err(self.by_redirect(error.unwrap_or_else(login_required)));
            }
            return self.keep().await;
        };
        let now = self.context.clock.now();
        let pending = self.pending.as_ref();
        let asked_at = pending.map_or(now, |pending| pending.asked_at);
        let chosen = pending.and_then(|pending| pending.chosen_account.as_ref());
        let requires_sign_in = self.request.requires_sign_in(&owner, asked_at, chosen, now);
        if !requires_sign_in.map_err(|error| self.by_redirect(error))? {
            return self.begin(&owner).await;
        }
        if self.request.is_silent() {
            return Err(self.by_redirect(login_required()));
        }
        self.keep().await
    }

    /// Keeps the request pending, and sends the browser to the login page.
    async fn keep(&self) -> Result<Response, AuthorizeError> {
        let request = pending::Request {
            client: Some(&self.request.client.row_id),
            parameters: &self.request.parameters,
            pending: self.pending.as_ref(),
            new_id: self.new_id.as_ref(),
        };
        let kept = request.keep(self.context, self.browser, NextPage::Login);
        Ok(kept.await?)
    }

    /// Validates the request (step 3), and approves or stores it (step 4).
    async fn begin(&self, owner: &ResourceOwner) -> Result<Response, AuthorizeError> {
        let context = self.context;
        limit_requests(context, &owner.account.id)?;
        let request_id = match &self.pending {
            Some(pending) => pending.request_id.clone(),
            None => Secret::generate(&context.random),
        };
        let new = self.request.validate(context, owner, request_id.hash());
        let (new, known) = new.await.map_err(|error| self.by_redirect(error))?;
        if self.request.is_silent() && !new.repeatable {
            return Err(self.by_redirect(page_needed()));
        }
        let prepared = self.prepare(new, known).await;
        let (begin, code) = prepared.map_err(|error| self.by_redirect(error.into()))?;
        let committed = context
            .db
            .write(begin, |tx, begin| Box::pin(begin.commit(tx)));
        let page = || {
            redirect(
                StatusCode::FOUND,
                consent_page(context, &request_id).as_str(),
            )
        };
        let response = match (committed.await, code) {
            (Ok(Outcome::Approved), Some(code)) => {
                context.statistics.event(Event::ConsentRepeated);
                self.code_response(&code)
            }
            (Ok(Outcome::PageNeeded), _) => return Err(self.by_redirect(page_needed())),
            (Err(store::Error::Gone), _) => {
                return Err(OAuthError::invalid_client("Client not found").into());
            }
            (Ok(_), _) => page(),
            // A second tab took the pending request first. The consent page shows the outcome.
            (Err(store::Error::RaceLost | store::Error::Taken(_)), _)
                if self.pending.is_some() && !self.request.is_silent() =>
            {
                page()
            }
            (Err(error), _) => return Err(self.by_redirect(error.into())),
        };
        let ended = self.pending_hash();
        let headers = self.browser.headers;
        Ok(pending_cookie::cleared(
            context,
            headers,
            ended.as_ref(),
            response,
        ))
    }

    /// Prepares the transaction. Returns the code too, if a remembered consent may approve the request. Only a
    /// page grants claims one by one.
    async fn prepare(
        &self,
        new: NewRequest,
        known: Option<KnownResources>,
    ) -> store::Result<(Begin, Option<Secret>)> {
        let context = self.context;
        let origin = Origin::of(ClientAddress(self.browser.address), self.browser.headers);
        let approvable = Approvable::unstored(&new, &self.request.client);
        let claims = approvable.individual_claims(&new.shown_scope);
        let (approval, code) = if new.repeatable && claims.is_empty() {
            let granted = Granted::without_page(new.shown_scope.clone());
            let known = match known {
                Some(known) => Cow::Owned(known),
                None => resources::known_to(context, new.resources.as_deref()).await?,
            };
            let remembering = Remembering::Repeat(approvable.consent_key(&known));
            let approval = Approval::new(context, &approvable, granted, remembering, origin);
            Some(approval).unzip()
        } else {
            (None, None)
        };
        let begin = Begin {
            approval,
            is_silent: self.request.is_silent(),
            unstored: Unstored {
                request: new,
                is_pending: self.pending.is_some(),
            },
        };
        Ok((begin, code))
    }

    /// Builds the response with the code.
    fn code_response(&self, code: &Secret) -> Response {
        let response = self.request.receiver();
        let response = response.respond(self.context, &[("code", code.reveal())]);
        response.into_response(self.context, self.browser.headers)
    }

    fn by_redirect(&self, error: OAuthError) -> AuthorizeError {
        AuthorizeError::ByRedirect {
            response: self.request.error(self.context, &error),
            pending: self.pending_hash(),
            error,
        }
    }

    fn pending_hash(&self) -> Option<SecretHash> {
        self.pending
            .as_ref()
            .map(|pending| pending.request_id.hash())
    }
}

fn page_needed() -> OAuthError {
    OAuthError::consent_required(
        "The user must approve the request, and prompt=none forbids a page",
    )
}

fn login_required() -> OAuthError {
    OAuthError::login_required("The user must sign in, and prompt=none forbids a page")
}
