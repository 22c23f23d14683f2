//! What a consent page shows and what its decision approves, in the code flow and the device flow.
//!
//! An approval grants at most what the page showed, within what the client and the account allow now.
//! If the client changed its name, owner or redirect URIs since, the page has to be shown again.

use crate::app::App;
use crate::clock::Timestamp;
use crate::oauth::OAuthError;
use crate::oauth::scope::Scope;
use crate::store;
use crate::store::accounts::Account;
use crate::store::clients::Client;
use crate::store::shown_consents::{self, Page, Shown};

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
    /// What the page of the request showed so far.
    pub(super) shown: Option<&'a Shown>,
    /// When the request was made.
    pub(super) created_at: Timestamp,
}

impl Undecided<'_> {
    /// Records that the page is shown; gives the scopes that it shows as granted.
    ///
    /// # Errors
    /// If the database does not answer.
    pub(super) async fn show(&self, app: &App) -> Result<Scope, store::Error> {
        let granted = self.granted();
        if let Some(shown) = self.shown.filter(|shown| shown.on_a_page) {
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
            at: app.clock.now(),
        };
        let record = app
            .db
            .write(page, |tx, page| Box::pin(shown_consents::record(tx, page)));
        record.await
    }

    /// The scopes that an approval grants. `client_version` is what the page was told with the request,
    /// if it sends that back.
    ///
    /// # Errors
    /// `consent_required` if the client is not the one that was shown.
    pub(super) async fn approve(
        &self,
        app: &App,
        client_version: Option<&str>,
    ) -> Result<Scope, OAuthError> {
        let Some(shown) = self.shown else {
            let (client, account) = (&self.client.row_id, &self.account.id);
            let since = self.created_at;
            if shown_consents::may_have_changed(&app.db, client, account, since).await? {
                return Err(changed());
            }
            return Ok(self.granted());
        };
        if client_version.unwrap_or(&shown.client) != self.client.fingerprint() {
            return Err(changed());
        }
        Ok(self.granted().within(&shown.scope))
    }

    /// What the client and the account allow now of what is requested.
    fn granted(&self) -> Scope {
        let held = self.account.permissions;
        self.client.scope.grant(self.requested, held)
    }
}

/// The answer to an approval of a client that is not the one that the page showed.
pub(super) fn changed() -> OAuthError {
    OAuthError::consent_required(
        "The application changed since its consent page was shown; show the page again",
    )
}
