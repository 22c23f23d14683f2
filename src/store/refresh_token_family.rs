//! Token family of a refresh token: the grant, and the chain of tokens linked by rotation.
//!
//! At most the last token of a chain is live, so revoking a family of any length takes only
//! transactions of constant size. Every token check also checks the grant, so the grant is revoked
//! first. Tokens issued by a Storyden have no grant, and a Storyden may have continued a chain that
//! began here. Therefore the chain is then read to the end, in bounded parts and without a transaction,
//! and the last token and any further grants are revoked.

use super::db::{Db, Tx};
use super::error::{Error, Result};
use super::row::row;
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::{GrantId, RefreshTokenId};
use crate::store::audit::{self, Entry};

/// Maximum number of tokens of a chain that a statement reads.
const CHAIN_PART_MAX: i64 = 1_000;

/// Maximum length of a chain: a rotation per minute for two years. A longer chain is a cycle.
const CHAIN_MAX: i64 = 1_000_000;

/// A member of the family: a token and the grant, if any.
#[derive(Clone, Debug)]
pub struct Member {
    /// The token; `None` for the whole grant.
    pub token: Option<RefreshTokenId>,
    /// The grant; `None` for a token issued by a Storyden.
    pub grant: Option<GrantId>,
}

/// Revokes the descendants of a token, for example after a replay of a rotated token: the grant, every
/// later token of the chain (issued here or by a Storyden), and the grants of these tokens. Revokes the
/// token itself too if `include_token`. Writes `entry` and returns true if anything was live.
///
/// Runs in a spawned task, so that a client cannot stop the revocation by disconnecting.
///
/// # Errors
/// If the database does not answer. Rows already revoked stay revoked.
pub async fn end(
    db: &Db,
    member: Member,
    include_token: bool,
    because: &'static str,
    entry: Entry,
) -> Result<bool> {
    let end = FamilyRevocation {
        db: db.clone(),
        because,
        entry,
        any: false,
    };
    let task = tokio::spawn(end.run(member, include_token));
    task.await.map_err(|_| Error::Aborted)?
}

/// A family revocation in progress.
struct FamilyRevocation {
    db: Db,
    because: &'static str,
    entry: Entry,
    /// True after the first live row was revoked.
    any: bool,
}

impl FamilyRevocation {
    async fn run(mut self, member: Member, include_token: bool) -> Result<bool> {
        // revoke the grant first, in a transaction, before reading a chain of any length.
        let itself = member.token.clone().filter(|_| include_token);
        let mut at = member.token;
        if let Some(grant) = member.grant {
            let rotated = rotated_token(&self.db, &grant).await?;
            self.write(vec![grant], itself.into_iter().collect())
                .await?;
            // All tokens up to the last rotation of the grant were used, so continue from there.
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
            read += CHAIN_PART_MAX;
            let is_the_end = stretch.next.is_none();
            if let Some(next) = stretch.next {
                at = next;
            }
            let (grants, tokens) = (stretch.grants, stretch.live);
            if grants.is_empty() && tokens.is_empty() {
                // Read again after a change, until no live row is left: a concurrent rotation may have
                // added a token.
                if is_the_end {
                    return Ok(self.any);
                }
                if read >= CHAIN_MAX {
                    tracing::error!(token = %at, "chain of refresh tokens has a cycle");
                    return Ok(self.any);
                }
            } else {
                self.write(grants, tokens).await?;
            }
        }
    }

    /// Revokes a few grants and tokens, with an audit entry for the first live row.
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

/// Revokes a grant and the grant's last refresh token; returns true if the grant was live.
pub async fn revoke_grant(
    tx: &mut Tx,
    grant: &GrantId,
    because: &'static str,
    now: Timestamp,
) -> Result<bool> {
    // Update the grant first. This waits for a concurrent rotation, which holds the row lock, so that
    // the next statement sees the token inserted by that rotation.
    let ended = tx
        .execute(
            "UPDATE auth_grants SET revoked_at = $2, revoked_because = $3, salt = NULL \
             WHERE id = $1 AND revoked_at IS NULL",
            &[grant.into(), now.into(), because.into()],
        )
        .await?;
    // The successor from the last rotation or, before any rotation, the grant's only token.
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

/// Revokes a token; returns true if the token was live.
async fn revoke(tx: &mut Tx, id: &RefreshTokenId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE oauth_refresh_tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            &[id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// Finds the token used in the last rotation of a grant or, before any rotation, the grant's only
/// token.
async fn rotated_token(db: &Db, grant: &GrantId) -> Result<Option<RefreshTokenId>> {
    db.fetch_optional(
        "SELECT t.id FROM auth_grants g JOIN oauth_refresh_tokens t ON t.id = g.rotated_token_id \
             WHERE g.id = $1 \
             UNION ALL SELECT m.token_id FROM auth_refresh_tokens m \
             JOIN auth_grants g ON g.id = m.grant_id \
             WHERE m.grant_id = $1 AND g.rotated_token_id IS NULL",
        &[grant.into()],
    )
    .await
}

/// A bounded part of a chain.
struct ChainPart {
    /// Live grants of the tokens in this part.
    grants: Vec<GrantId>,
    /// Live tokens in this part: at most the last token of the chain.
    live: Vec<RefreshTokenId>,
    /// The token to continue from; `None` at the end of the chain.
    next: Option<RefreshTokenId>,
}

struct ChainRow {
    id: RefreshTokenId,
    next: Option<RefreshTokenId>,
    alive: Flag,
    live_grant: Option<GrantId>,
}

row!(ChainRow: id, next, alive, live_grant);

/// Reads the chain from a token on. The first token itself counts as used.
async fn stretch(db: &Db, from: &RefreshTokenId) -> Result<ChainPart> {
    let rows: Vec<ChainRow> = db
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
            &[from.into(), CHAIN_PART_MAX.into()],
        )
        .await?;
    let mut stretch = ChainPart {
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
