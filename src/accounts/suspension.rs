//! Suspension of accounts: sign-in is refused, and sessions, grants and pending requests end.

use crate::ids::AccountId;
use crate::store::audit::{self, Entry};
use crate::store::revocation::{self, Target};
use crate::store::{self, Tx, accounts};

/// Revocation reason stored with the grants.
const BECAUSE: &str = "suspended";

/// Suspends an account and ends everything that the account has open, with the audit entry. False if there is no
/// such account.
///
/// # Errors
/// If the database does not answer.
pub async fn suspend(
    tx: &mut Tx,
    handle: &str,
    id: &AccountId,
    entry: &Entry,
) -> store::Result<bool> {
    let now = entry.at;
    if !accounts::set_suspended(tx, handle, Some(now), now).await? {
        return Ok(false);
    }
    revocation::close_account(tx, id, None, BECAUSE, now).await?;
    revocation::end_client_credentials_grants(tx, &Target::of_account(id), BECAUSE, now).await?;
    audit::insert(tx, entry).await?;
    Ok(true)
}

/// Ends the suspension of an account, with the audit entry. False if there is no such account.
///
/// # Errors
/// If the database does not answer.
pub async fn reinstate(tx: &mut Tx, handle: &str, entry: &Entry) -> store::Result<bool> {
    if !accounts::set_suspended(tx, handle, None, entry.at).await? {
        return Ok(false);
    }
    audit::insert(tx, entry).await?;
    Ok(true)
}
