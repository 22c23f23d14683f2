//! Secrets of confidential clients: generation, and rotation with an overlap.

use time::Duration;

use crate::context::Context;
use crate::ids::SessionId;
use crate::passwords;
use crate::secret::Secret;
use crate::store::audit::{self, Entry};
use crate::store::client_secrets::{self, Rotation};
use crate::store::clients::Client;
use crate::store::sessions;
use crate::store::{self};

/// Maximum overlap: how long a replaced secret remains valid.
pub const OVERLAP_MAX: Duration = Duration::days(7);

/// Generates a secret and its Argon2id hash.
///
/// # Errors
/// If too many hashes are in progress.
pub async fn generate(context: &Context) -> Result<(Secret, String), passwords::Error> {
    let secret = Secret::new(format!("sdoas_{}", context.random.base64url::<32>()));
    let hash = context.passwords.hash(&secret).await?;
    Ok((secret, hash))
}

/// Why a secret was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Hashing failed.
    #[error("the secret cannot be hashed")]
    Hashing(#[from] passwords::Error),
    /// The database failed; [`store::Error::Gone`] if the client was deleted meanwhile.
    #[error("the secret cannot be stored")]
    Store(#[from] store::Error),
}

/// Replaces a client's secret and keeps the old secret valid for `overlap`. If `session` is given, that
/// session must still be open.
///
/// # Errors
/// [`Error`]; [`store::Error::RaceLost`] if the session was closed meanwhile.
pub async fn rotate(
    context: &Context,
    client: &Client,
    overlap: Duration,
    entry: Entry,
    session: Option<SessionId>,
) -> Result<Secret, Error> {
    let (secret, hash) = generate(context).await?;
    let now = context.clock.now();
    let rotation = Rotation {
        client: client.row_id.clone(),
        hash,
        old_until: overlap.is_positive().then(|| now + overlap),
        now,
    };
    let write = context
        .db
        .write(
            (rotation, entry, session),
            |tx, (rotation, entry, session)| {
                Box::pin(async move {
                    if let Some(session) = session
                        && !sessions::lock_row(tx, session).await?
                    {
                        return Err(store::Error::RaceLost);
                    }
                    if !client_secrets::rotate_secret(tx, rotation).await? {
                        return Err(store::Error::Gone);
                    }
                    audit::insert(tx, entry).await
                })
            },
        )
        .await;
    write?;
    Ok(secret)
}
