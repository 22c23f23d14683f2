//! Valid access tokens of connections, refreshed before expiry
//! (storyden-contract.md#remote-token-supply). Of all callers on all replicas one refreshes, so the
//! remote server gets one request.

use std::time::Duration as Span;

use time::Duration;

use super::token_endpoint::{self, NoTokens};
use super::{Error, find, renewal};
use crate::clock::Timestamp;
use crate::context::Context;
use crate::ids::RemoteConnectionId;
use crate::keys::sealer::Place;
use crate::secret::Secret;
use crate::store::remote::Connection;
use crate::store::remote_tokens as rows;

/// Time before expiry at which a token is refreshed.
const EARLY: Duration = Duration::minutes(5);
/// After how long a refresh is given up for lost.
const LEASE: Duration = Duration::seconds(30);
/// Polling interval of the callers that wait for the refresh.
const LOOK: Span = Span::from_millis(100);
/// The most polls.
const LOOKS: usize = 100;
/// Backoff before each retry of a temporary failure.
const BACK_OFF: [Span; 2] = [Span::from_millis(200), Span::from_millis(800)];

/// An access token that is good now.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret,
    /// Token type.
    pub token_type: String,
    /// Expiry, if known.
    pub expiry: Option<Timestamp>,
    /// Scope, if known.
    pub scope: Option<String>,
}

/// Returns the access token of a connection, refreshed if it expires within five minutes.
///
/// # Errors
/// [`Error::Refused`] if the connection must be authorized again, [`Error::Away`] if the remote server
/// does not answer and the present token has expired.
pub async fn fresh(context: &Context, id: &RemoteConnectionId) -> Result<AccessToken, Error> {
    for _ in 0..LOOKS {
        let row = find(context, id).await?;
        let now = context.clock.now();
        let is_good = |until: Timestamp| row.token_expiry.is_none_or(|end| until < end);
        if row.access_token.is_none() {
            return Err(Error::refused("This connection is not authorized yet"));
        }
        if row.status == "error" {
            let why = row
                .last_error
                .as_deref()
                .unwrap_or("the connection no longer works");
            return Err(Error::refused(format!(
                "{why}; authorize the connection again"
            )));
        }
        // of a token that lives but shortly, the last quarter
        let lead = row
            .token_expiry
            .map_or(EARLY, |end| EARLY.min((end - row.updated_at) / 4));
        if is_good(now + lead) {
            return opened(context, &row);
        }
        let Some(kept) = row.refresh_token.clone().filter(|token| !token.is_empty()) else {
            if is_good(now) {
                return opened(context, &row);
            }
            let why = "The access token is over, and the other server gave no refresh token";
            rows::fail(&context.db, id, why, now).await?;
            return Err(Error::refused(format!(
                "{why}; authorize the connection again"
            )));
        };
        if row
            .token_refresh_started_at
            .is_some_and(|at| at + LEASE <= now)
        {
            tracing::warn!(connection = %id, "an earlier refresh of the remote connection did not finish");
        }
        if rows::take_lease(&context.db, id, &kept, now, now - LEASE).await? {
            match refresh(context, &row, &kept).await {
                Ok(()) => return opened(context, &find(context, id).await?),
                // the present token is still valid
                Err(Error::Away(_)) if is_good(context.clock.now()) => {
                    return opened(context, &row);
                }
                Err(error) => return Err(error),
            }
        }
        if is_good(now) {
            return opened(context, &row); // another caller refreshes, and the present token is still valid
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(Error::Away(
        "Another process is refreshing this connection".to_owned(),
    ))
}

fn opened(context: &Context, row: &Connection) -> Result<AccessToken, Error> {
    let place = Place {
        row: row.id.as_str(),
        column: "access_token",
    };
    let kept = row.access_token.as_deref().unwrap_or_default();
    Ok(AccessToken {
        token: context.sealer.open(place, kept)?,
        token_type: row
            .token_type
            .clone()
            .unwrap_or_else(|| "Bearer".to_owned()),
        expiry: row.token_expiry,
        scope: row
            .details
            .granted_scope
            .clone()
            .or_else(|| row.scope.clone()),
    })
}

/// Refreshes as the holder of the lease. A rejection marks the connection as failed; a temporary
/// failure does not.
async fn refresh(context: &Context, row: &Connection, kept: &str) -> Result<(), Error> {
    let place = Place {
        row: row.id.as_str(),
        column: "refresh_token",
    };
    let outcome = match context.sealer.open(place, kept) {
        Ok(token) => ask(context, row, &token).await,
        Err(error) => Err(error.into()),
    };
    let outcome = match outcome {
        Err(NoTokens::InvalidClient(why)) => {
            let why = Box::pin(renewal::after_rejection(context, row, why)).await;
            Err(NoTokens::Refused(why))
        }
        outcome => outcome,
    };
    match outcome {
        Ok(()) => Ok(()),
        Err(NoTokens::Refused(why) | NoTokens::InvalidScope(why)) => {
            tracing::warn!(connection = %row.id, why, "remote connection must be authorized again");
            rows::fail(&context.db, &row.id, &why, context.clock.now()).await?;
            Err(Error::refused(format!(
                "{why}; authorize the connection again"
            )))
        }
        Err(error) => {
            rows::release_lease(&context.db, &row.id).await?;
            Err(error.into())
        }
    }
}

/// Asks for new tokens with the scope of the authorization: some servers grant less without (RFC 6749 §6
/// allows both). A server that rejects the scope is asked without.
async fn ask(context: &Context, row: &Connection, token: &Secret) -> Result<(), NoTokens> {
    let mut scope = row.details.authorized_scope.as_deref();
    let mut tries = BACK_OFF.iter();
    let tokens = loop {
        let mut grant = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", token.reveal()),
        ];
        grant.extend(scope.map(|scope| ("scope", scope)));
        match token_endpoint::ask(context, row, &grant).await {
            Err(NoTokens::InvalidScope(_)) if scope.is_some() => scope = None,
            Err(NoTokens::Away(why)) => match tries.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => return Err(NoTokens::Away(why)),
            },
            outcome => break outcome?,
        }
    };
    let kept = tokens.refreshed(context, row)?;
    // From here on the remote server has invalidated the old token: a failure to store the new token is
    // logged.
    let saved = context
        .db
        .write(kept, |tx, kept| Box::pin(rows::save_tokens(tx, kept)));
    saved.await.map_err(|error| {
        tracing::error!(connection = %row.id, %error, "refreshed tokens of a remote connection cannot be stored");
        NoTokens::Here(error.into())
    })?;
    Ok(())
}
