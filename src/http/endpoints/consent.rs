//! Scopes of a consent page and of the decision, for the code flow and the device flow.
//!
//! An approval grants at most the scopes that the page showed, limited to the scopes that client and
//! account allow now. If the client changed name, owner or redirect URIs since, the page must be shown
//! again.

use crate::clock::Timestamp;
use crate::context::Context;
use crate::oauth::OAuthError;
use crate::oauth::scope::Scope;
use crate::store;
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::shown_consents::{self, Page, ShownConsent};

/// A request that awaits a decision.
#[derive(Debug)]
pub(super) struct Undecided<'a> {
    /// The row of the authorization request or of the device authorization.
    pub(super) id: &'a str,
    /// The client that asks.
    pub(super) client: &'a Client,
    /// The account that decides.
    pub(super) account: &'a Account,
    /// The requested scopes.
    pub(super) requested: &'a Scope,
    /// The scopes and the client version that pages of this request showed so far.
    pub(super) shown: Option<&'a ShownConsent>,
    /// Time of the request.
    pub(super) created_at: Timestamp,
}

impl Undecided<'_> {
    /// Records that the page is shown; returns the scopes to show as granted.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(super) async fn show(&self, context: &Context) -> Result<Scope, store::Error> {
        let granted = self.granted();
        if let Some(shown) = self.shown.filter(|shown| shown.was_shown) {
            let still_shown = granted.within(&shown.scope);
            let is_same = shown.client.is_empty() || shown.client == self.client.fingerprint();
            if is_same && still_shown.len() == shown.scope.len() {
                return Ok(still_shown);
            }
        }
        let page = Page {
            request: self.id.to_owned(),
            scope: granted,
            client: self.client.fingerprint(),
            at: context.clock.now(),
        };
        let record = context
            .db
            .write(page, |tx, page| Box::pin(shown_consents::record(tx, page)));
        record.await
    }

    /// Returns the scopes that an approval grants. `client_version` is the version that the page
    /// showed, if the page sends the version back.
    ///
    /// # Errors
    /// `consent_required` if the client changed since the page was shown.
    pub(super) async fn approve(
        &self,
        context: &Context,
        client_version: Option<&str>,
    ) -> Result<Scope, OAuthError> {
        let Some(shown) = self.shown else {
            let (client, account) = (&self.client.row_id, &self.account.id);
            let since = self.created_at;
            if shown_consents::may_have_changed(&context.db, client, account, since).await? {
                return Err(changed());
            }
            return Ok(self.granted());
        };
        if client_version.unwrap_or(&shown.client) != self.client.fingerprint() {
            return Err(changed());
        }
        Ok(self.granted().within(&shown.scope))
    }

    /// Returns the requested scopes that client and account allow now.
    fn granted(&self) -> Scope {
        let held = self.account.permissions;
        self.client.scope.grant(self.requested, held)
    }
}

/// Returns the error if the client changed since the page was shown.
pub(super) fn changed() -> OAuthError {
    OAuthError::consent_required(
        "The application changed since its consent page was shown; show the page again",
    )
}
