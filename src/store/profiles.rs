//! The profile of an account beyond handle and name: `accounts`, and the pages of a Storyden.

use super::db::Db;
use super::error::Result;
use super::row::row;
use super::sql::Sql;
use super::value::Flag;
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// A profile.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Time of the last change of the account.
    pub updated_at: Timestamp,
    /// True if a Storyden serves a profile page and an avatar: the database has a table that only Storyden
    /// creates.
    pub has_pages: Flag,
}

row!(Profile: updated_at, has_pages);

/// True if the database is shared with a Storyden: it has a table that only Storyden creates.
pub async fn is_beside_storyden(db: &Db) -> Result<bool> {
    const SQL: Sql = Sql::new(
        "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'posts') AS found",
        "SELECT to_regclass('posts') IS NOT NULL AS found",
    );
    let found: Flag = db.fetch_one(SQL, &[]).await?;
    Ok(found.0)
}

/// Finds the profile of an account.
pub async fn find(db: &Db, id: &AccountId) -> Result<Option<Profile>> {
    const SQL: Sql = Sql::new(
        "SELECT updated_at, EXISTS (SELECT 1 FROM sqlite_master \
         WHERE type = 'table' AND name = 'posts') AS has_pages FROM accounts WHERE id = $1",
        "SELECT updated_at, to_regclass('posts') IS NOT NULL AS has_pages FROM accounts WHERE id = $1",
    );
    db.fetch_optional(SQL, &[id.into()]).await
}
