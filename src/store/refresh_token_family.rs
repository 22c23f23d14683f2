//! The family of a refresh token: its grant, and the tokens that took each other's place in a chain.
//!
//! At most the last token of a chain is alive, so a family of any length ends in transactions of
//! constant size. Every check asks the grant, so the grant goes first. Tokens that a Storyden made have
//! no grant, and it may have continued a chain of ours: so the chain is then read to its end, a bounded
//! part in a statement and without a transaction, and its last token and further grants are ended.

use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{GrantId, RefreshTokenId};
use crate::store::audit::{self, Entry};

/// The most tokens of a chain that one statement reads.
const STRETCH: i64 = 1_000;

/// The most tokens of a chain: one a minute for two years. A longer one is a cycle.
const CHAIN_MAX: i64 = 1_000_000;

/// A token that belongs to the family, with its grant, if it has one.
#[derive(Clone, Debug)]
pub struct Member {
    /// The token; none for the whole grant.
    pub token: Option<RefreshTokenId>,
    /// Its grant; none for a token that a Storyden made.
    pub grant: Option<GrantId>,
}

/// Ends what came of a token, as when it was used again: its grant, every token after it in its chain,
/// whichever program made them, and the grants of these. The token itself ends if `and_itself`. Writes
/// `entry` if anything was alive; true then.
///
/// Runs in a task of its own: a client that disconnects does not keep its family alive.
///
/// # Errors
/// When the database does not answer. What was ended before stays ended.
pub async fn end(
    db: &Db,
    member: Member,
    and_itself: bool,
    because: &'static str,
    entry: Entry,
) -> Result<bool> {
    let end = End {
        db: db.clone(),
        because,
        entry,
        any: false,
    };
    let task = tokio::spawn(end.run(member, and_itself));
    task.await.map_err(|_| Error::Aborted)?
}

/// A family that is being ended.
struct End {
    db: Db,
    because: &'static str,
    entry: Entry,
    /// True once something was alive and was ended.
    any: bool,
}

impl End {
    async fn run(mut self, member: Member, and_itself: bool) -> Result<bool> {
        // in a transaction, before anything is read that grows.
        let itself = member.token.clone().filter(|_| and_itself);
        let mut at = member.token;
        if let Some(grant) = member.grant {
            let rotated = rotated_token(&self.db, &grant).await?;
            self.write(vec![grant], itself.into_iter().collect())
                .await?;
            // Every token between was used: the chain goes on after the grant's last rotation.
            at = rotated.or(at);
        } else if itself.is_some() {
            self.write(Vec::new(), itself.into_iter().collect()).await?;
        }
        let Some(mut at) = at else {
            return Ok(self.any);
        };
        let mut read = 0;
        loop {
            let stretch = stretch(&self.db, &at).await?;
            read += STRETCH;
            let is_the_end = stretch.next.is_none();
            if let Some(next) = stretch.next {
                at = next;
            }
            let (grants, tokens) = (stretch.grants, stretch.live);
            if grants.is_empty() && tokens.is_empty() {
                // Read again after a change until nothing is alive: a rotation in flight may have
                // added a token.
                if is_the_end {
                    return Ok(self.any);
                }
                if read >= CHAIN_MAX {
                    tracing::error!(token = %at, "a chain of refresh tokens has no end");
                    return Ok(self.any);
                }
            } else {
                self.write(grants, tokens).await?;
            }
        }
    }

    /// Ends a few grants and tokens, with the line of the trail the first time.
    async fn write(&mut self, grants: Vec<GrantId>, tokens: Vec<RefreshTokenId>) -> Result<()> {
        let input = (grants, tokens, self.because, self.entry.clone(), self.any);
        let ended = self
            .db
            .write(input, |tx, (grants, tokens, because, entry, any_before)| {
                Box::pin(async move {
                    let mut any = false;
                    for grant in grants {
                        any |= revoke_grant(tx, grant, because, entry.at).await?;
                    }
                    for token in tokens {
                        any |= revoke(tx, token, entry.at).await?;
                    }
                    if any && !any_before {
                        audit::insert(tx, entry).await?;
                    }
                    Ok(any)
                })
            });
        self.any |= ended.await?;
        Ok(())
    }
}

/// Ends a grant and its last refresh token; true if the grant was alive.
pub async fn revoke_grant(
    tx: &mut Tx,
    grant: &GrantId,
    because: &'static str,
    now: Timestamp,
) -> Result<bool> {
    // The grant first: a rotation in flight holds it, and the statement below then sees the token that
    // the rotation inserted.
    let ended = tx
        .execute(
            "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3, salt = NULL \
             WHERE id = $1 AND revoked_at IS NULL",
            &[grant.into(), now.into(), because.into()],
        )
        .await?;
    // The successor of the last rotation or, before the first one, the only token there is.
    tx.execute(
        "UPDATE oauth_refresh_tokens SET revoked_at = $2 WHERE revoked_at IS NULL AND id IN \
         (SELECT t.replaced_by_token_id FROM auth_grants g \
             JOIN oauth_refresh_tokens t ON t.id = g.rotated_token_id WHERE g.id = $1 \
         UNION ALL SELECT m.token_id FROM auth_refresh_tokens m \
             JOIN auth_grants g ON g.id = m.grant_id \
             WHERE m.grant_id = $1 AND g.rotated_token_id IS NULL)",
        &[grant.into(), now.into()],
    )
    .await?;
    Ok(ended > 0)
}

/// Revokes one token; true if it was alive.
async fn revoke(tx: &mut Tx, id: &RefreshTokenId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_refresh_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            &[id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// The token that the last rotation of a grant used up or, before the first one, its only token.
async fn rotated_token(db: &Db, grant: &GrantId) -> Result<Option<RefreshTokenId>> {
    #[derive(sqlx::FromRow)]
    struct RotatedRow {
        id: RefreshTokenId,
    }
    let row: Option<RotatedRow> = db
        .fetch_optional(
            "SELECT t.id FROM auth_grants g JOIN oauth_refresh_tokens t ON t.id = g.rotated_token_id \
             WHERE g.id = $1 \
             UNION ALL SELECT m.token_id FROM auth_refresh_tokens m \
             JOIN auth_grants g ON g.id = m.grant_id \
             WHERE m.grant_id = $1 AND g.rotated_token_id IS NULL",
            &[grant.into()],
        )
        .await?;
    Ok(row.map(|row| row.id))
}

/// A part of a chain.
struct Stretch {
    /// Its live grants.
    grants: Vec<GrantId>,
    /// Its live tokens: the last of the chain, or none.
    live: Vec<RefreshTokenId>,
    /// The token after it; none at the end of the chain.
    next: Option<RefreshTokenId>,
}

#[derive(sqlx::FromRow)]
struct StretchRow {
    id: RefreshTokenId,
    next: Option<RefreshTokenId>,
    alive: Flag,
    live_grant: Option<GrantId>,
}

/// Reads the chain from a token on. The first token itself counts as used up.
async fn stretch(db: &Db, from: &RefreshTokenId) -> Result<Stretch> {
    let rows: Vec<StretchRow> = db
        .fetch_all(
            "WITH RECURSIVE chain (id, next, alive, n) AS ( \
                 SELECT t.id, t.replaced_by_token_id, false, 0 FROM oauth_refresh_tokens t \
                 WHERE t.id = $1 \
                 UNION ALL SELECT t.id, t.replaced_by_token_id, t.revoked_at IS NULL, c.n + 1 \
                 FROM chain c JOIN oauth_refresh_tokens t ON t.id = c.next WHERE c.n < $2) \
             SELECT c.id, c.next, c.alive, g.id AS live_grant FROM chain c \
             LEFT JOIN auth_refresh_tokens m ON m.token_id = c.id \
             LEFT JOIN auth_grants g ON g.id = m.grant_id AND g.revoked_at IS NULL \
             ORDER BY c.n",
            &[from.into(), STRETCH.into()],
        )
        .await?;
    let mut stretch = Stretch {
        grants: Vec::new(),
        live: Vec::new(),
        next: None,
    };
    for row in &rows {
        if row.alive.0 {
            stretch.live.push(row.id.clone());
        }
        if let Some(grant) = &row.live_grant
            && !stretch.grants.contains(grant)
        {
            stretch.grants.push(grant.clone());
        }
    }
    let last = rows.last();
    let goes_on = last.is_some_and(|row| row.next.is_some()) && rows.len() > 1;
    stretch.next = last.filter(|_| goes_on).map(|row| row.id.clone());
    Ok(stretch)
}
