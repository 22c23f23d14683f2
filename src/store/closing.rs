//! The end of what is open of an account: its sessions and what applications were given, and, where that
//! is asked for, its access keys and the secrets of the applications that act as the account.

use serde::Serialize;

use super::audit::{self, Entry, Event};
use super::db::{Db, Tx};
use super::error::Result;
use super::revocation::{self, Ended, Target};
use super::{access_keys, clients, sessions};
use crate::clock::Timestamp;
use crate::ids::{AccountId, SessionId};

/// What of an account ends, besides what every application was given.
#[derive(Clone, Debug)]
pub struct Closing {
    /// The account.
    pub account: AccountId,
    /// The session that stays open.
    pub keep: Option<SessionId>,
    /// True if every access key ends.
    pub access_keys: bool,
    /// True if the secret of every application ends that gets tokens by client credentials.
    pub client_secrets: bool,
    /// The reason that is kept with the grants.
    pub because: &'static str,
}

/// Credentials that work without a session: they outlive sign-out and a new password unless they are
/// ended too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = AuthLastingCredentials)]
pub struct LastingCredentials {
    /// Access keys that are good now.
    pub access_keys: u64,
    /// Applications of the account with the client credentials grant and a secret.
    pub client_secrets: u64,
}

/// The number of each kind that was ended.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthEndedCredentials)]
pub struct EndedCredentials {
    /// Sessions.
    pub sessions: u64,
    #[serde(flatten)]
    granted: Ended,
    /// Access keys and client secrets.
    #[serde(flatten)]
    pub lasting: LastingCredentials,
}

impl EndedCredentials {
    /// The same, with grants that were counted before if there were many.
    #[must_use]
    pub fn or_counted(mut self, counted: Ended) -> Self {
        self.granted = self.granted.or_counted(counted);
        self
    }

    /// Grants to applications.
    #[must_use]
    pub fn grants(&self) -> u64 {
        self.granted.grants
    }
}

/// What was ended and what is left.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = AuthClosed)]
pub struct Closed {
    /// What was ended.
    pub ended: EndedCredentials,
    /// What is left and works on.
    pub left: LastingCredentials,
}

/// Counts the credentials of an account that outlive its sessions.
pub async fn count(db: &Db, account: &AccountId, now: Timestamp) -> Result<LastingCredentials> {
    Ok(LastingCredentials {
        access_keys: access_keys::count_live(db, account, now).await?,
        client_secrets: clients::count_secrets_of(db, account).await?,
    })
}

impl Closing {
    /// Counts what applications were given, before the transaction of [`Closing::close`], which updates a
    /// part of many rows.
    pub async fn count_granted(&self, db: &Db, now: Timestamp) -> Result<Ended> {
        revocation::count_approved(db, &Target::of_account(&self.account), now).await
    }

    /// Ends it, with a line of the audit trail for each key and each secret; `entry` is the line of the
    /// whole, which the caller writes.
    pub async fn close(&self, tx: &mut Tx, entry: &Entry) -> Result<EndedCredentials> {
        let now = entry.at;
        let sessions = sessions::revoke_all(tx, &self.account, self.keep.as_ref(), now).await?;
        let keep = self.keep.as_ref();
        let granted = revocation::close_account(tx, &self.account, keep, self.because, now).await?;
        let mut lasting = LastingCredentials {
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
            for client_id in clients::end_secrets_of(tx, &self.account, now).await? {
                let line = entry.clone().event(Event::ClientSecretEnded);
                audit::insert(tx, &line.client(&client_id)).await?;
                lasting.client_secrets += 1;
            }
        }
        Ok(EndedCredentials {
            sessions,
            granted,
            lasting,
        })
    }
}
