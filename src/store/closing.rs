//! Account closure: ends all sessions and grants of the account and, on request, the access keys and
//! the secrets of clients that act as the account (RFC 6749 §4.4).

use serde::Serialize;

use super::audit::{self, Entry, Event};
use super::client_secrets;
use super::db::{Db, Tx};
use super::error::Result;
use super::open_revocations::BATCH;
use super::revocation::{self, RevokedCounts, Target};
use super::{access_keys, sessions};
use crate::clock::Timestamp;
use crate::ids::{AccountId, SessionId};

/// The credentials of an account to end.
#[derive(Clone, Debug)]
pub struct AccountClosing {
    /// The account.
    pub account: AccountId,
    /// The current session, which stays open.
    pub keep: Option<SessionId>,
    /// True to delete all access keys.
    pub access_keys: bool,
    /// True to remove the secrets of all clients with the client credentials grant.
    pub client_secrets: bool,
    /// Revocation reason stored with the grants.
    pub because: &'static str,
}

/// Credentials that work without a session. Sign-out and a password change do not end them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AuthLastingCredentials)]
pub struct SessionlessCredentials {
    /// Live access keys.
    pub access_keys: u64,
    /// Clients of the account with a secret or keys, and the client credentials grant.
    pub client_secrets: u64,
}

/// Numbers of ended credentials.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthEndedCredentials)]
pub struct EndedCredentials {
    /// Sessions.
    pub sessions: u64,
    #[serde(flatten)]
    granted: RevokedCounts,
    /// Access keys and client secrets.
    #[serde(flatten)]
    pub lasting: SessionlessCredentials,
}

impl EndedCredentials {
    /// Replaces the numbers by numbers counted before the transaction, if the transaction updated only some
    /// of the rows.
    #[must_use]
    pub fn or_counted(mut self, counted: OpenCounts) -> Self {
        if self.sessions >= BATCH.unsigned_abs() {
            self.sessions = self.sessions.max(counted.sessions);
        }
        self.granted = self.granted.or_counted(counted.granted);
        self
    }

    /// Number of grants to applications.
    #[must_use]
    pub fn grants(&self) -> u64 {
        self.granted.grants
    }
}

/// Numbers of live sessions and grants of an account.
#[derive(Clone, Copy, Debug)]
pub struct OpenCounts {
    sessions: u64,
    granted: RevokedCounts,
}

/// Ended and remaining credentials.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthClosed)]
pub struct Closed {
    /// Ended credentials.
    pub ended: EndedCredentials,
    /// Remaining credentials, which still work.
    pub left: SessionlessCredentials,
}

/// Counts the credentials of an account that work without a session.
pub async fn count(db: &Db, account: &AccountId, now: Timestamp) -> Result<SessionlessCredentials> {
    Ok(SessionlessCredentials {
        access_keys: access_keys::count_live(db, account, now).await?,
        client_secrets: client_secrets::count_of_own_grants(db, account).await?,
    })
}

impl AccountClosing {
    /// Counts the sessions and the grants to applications. Call before the transaction of
    /// [`AccountClosing::close`], which updates only a part of many rows.
    pub async fn count_open(&self, db: &Db, now: Timestamp) -> Result<OpenCounts> {
        let (account, keep) = (&self.account, self.keep.as_ref());
        Ok(OpenCounts {
            sessions: sessions::count_open(db, account, keep).await?,
            granted: revocation::count_approved(db, &Target::of_account(account), now).await?,
        })
    }

    /// Ends the credentials, with an audit entry for each key and secret. The caller inserts `entry`,
    /// the entry of the whole operation.
    pub async fn close(&self, tx: &mut Tx, entry: &Entry) -> Result<EndedCredentials> {
        let (now, keep) = (entry.at, self.keep.as_ref());
        let closed = revocation::close_account(tx, &self.account, keep, self.because, now).await?;
        let mut lasting = SessionlessCredentials {
            access_keys: 0,
            client_secrets: 0,
        };
        if self.access_keys {
            for key in access_keys::end_all(tx, &self.account, now).await? {
                let line = entry.clone().event(Event::AccessKeyDeleted).subject(&key);
                audit::insert(tx, &line).await?;
                lasting.access_keys += 1;
            }
        }
        if self.client_secrets {
            for client_id in client_secrets::remove_of_own_grants(tx, &self.account, now).await? {
                let line = entry.clone().event(Event::ClientSecretEnded);
                audit::insert(tx, &line.client(&client_id)).await?;
                lasting.client_secrets += 1;
            }
        }
        Ok(EndedCredentials {
            sessions: closed.sessions,
            granted: closed.granted,
            lasting,
        })
    }
}
