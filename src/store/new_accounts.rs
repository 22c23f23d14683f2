//! Creation of accounts, with the e-mail address and the password.

use super::account_passwords;
use super::db::Tx;
use super::error::Result;
use super::sql::Sql;
use crate::clock::Timestamp;
use crate::ids::{AccountId, xid};
use crate::random::Random;
use crate::secret::Secret;

/// True if no account exists. Locks the table, so that of several concurrent sign-ups only the first
/// becomes administrator.
pub async fn lock_and_check_empty(tx: &mut Tx) -> Result<bool> {
    let lock = Sql::new(
        "SELECT 1 AS n WHERE 1 = 0", // BEGIN IMMEDIATE is the lock
        "LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE",
    );
    tx.execute(lock, &[]).await?;
    let total: Option<i64> = tx
        .fetch_optional(
            "SELECT COUNT(*) AS n FROM (SELECT id FROM accounts LIMIT 1) x",
            &[],
        )
        .await?;
    Ok(total.is_none_or(|total| total == 0))
}

/// A new account.
#[derive(Clone)]
pub struct NewAccount {
    /// Account id.
    pub id: AccountId,
    /// Unique name, in lower case.
    pub handle: String,
    /// Display name.
    pub name: String,
    /// True for an administrator.
    pub admin: bool,
    /// E-mail address, if any.
    pub email: Option<NewEmail>,
    /// Argon2id hash of the password, if the account has any.
    pub password_hash: Option<String>,
}

/// The e-mail address of a new account.
#[derive(Clone, Debug)]
pub struct NewEmail {
    /// The address; stored in lower case.
    pub address: String,
    /// True if the address counts as verified.
    pub verified: bool,
    code: Secret,
}

impl NewEmail {
    /// An address that receives no verification e-mail. Storyden accepts the verification code of the
    /// row as proof, so the row gets a random code that is never sent.
    #[must_use]
    pub fn without_verification(address: String, verified: bool, random: &Random) -> Self {
        Self {
            address,
            verified,
            code: Secret::generate(random),
        }
    }
}

/// Inserts an account with e-mail address and password.
///
/// # Errors
/// [`super::Error::Taken`] if the handle or the address is taken.
pub async fn insert(tx: &mut Tx, new: &NewAccount, now: Timestamp) -> Result<()> {
    let verified = new.email.as_ref().is_some_and(|email| email.verified);
    tx.execute(
        "INSERT INTO accounts (id, created_at, updated_at, handle, name, kind, verified_status, admin) \
         VALUES ($1, $2, $2, $3, $4, 'human', $5, $6)",
        &[
            (&new.id).into(),
            now.into(),
            new.handle.as_str().into(),
            new.name.as_str().into(),
            (if verified { "email" } else { "none" }).into(),
            new.admin.into(),
        ],
    )
    .await?;
    if let Some(email) = &new.email {
        // The verification code is stored already expired: only a code that Storyden sent verifies an
        // address.
        tx.execute(
            "INSERT INTO emails (id, created_at, email_address, verification_code, \
             verification_code_expires_at, verification_attempts, verified, account_id) \
             VALUES ($1, $2, $3, $4, $2, 0, $5, $6)",
            &[
                xid(now).into(),
                now.into(),
                email.address.to_lowercase().into(),
                email.code.reveal().into(),
                email.verified.into(),
                (&new.id).into(),
            ],
        )
        .await?;
    }
    if let Some(hash) = &new.password_hash {
        account_passwords::set(tx, &new.id, hash, now).await?;
    }
    Ok(())
}
