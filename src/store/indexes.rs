//! This server's indexes on Storyden's tables: the list, and the search for missing indexes.
//!
//! Storyden's start-up migration drops unknown indexes on Storyden's tables. Only speed depends on
//! these indexes, never correctness. In a database without Storyden the first migration creates the
//! indexes; in a database shared with Storyden a background job recreates the missing ones.

use super::db::Db;
use super::error::Result;
use super::row::row;
use super::sql::Sql;
use super::value::Flag;

/// An index of this server on a table of Storyden.
#[derive(Debug, PartialEq, Eq)]
pub struct Index {
    /// The name: `auth_`, the table, the column.
    pub name: &'static str,
    /// Storyden's table.
    pub table: &'static str,
    /// Columns and predicate.
    pub(super) columns: Sql,
}

/// Columns of an index on the expiry time, for clean-up. On SQLite, times are texts with any UTC offset.
const EXPIRY: Sql = Sql::new("(julianday(expires_at))", "(expires_at)");

/// Columns of an index on the time of creation, for lists in that order.
const CREATION: Sql = Sql::new("(julianday(created_at))", "(created_at)");

/// All indexes of this server on Storyden's tables, the most important first.
pub const INDEXES: &[Index] = &[
    // ON DELETE SET NULL looks up the predecessors: without the index each deleted row scans the table.
    Index {
        name: "auth_oauth_refresh_tokens_replaced_by_token_id",
        table: "oauth_refresh_tokens",
        columns: Sql::same("(replaced_by_token_id) WHERE replaced_by_token_id IS NOT NULL"),
    },
    // For clean-up: a rotation chain is deleted when the last token of the chain has expired.
    Index {
        name: "auth_oauth_refresh_tokens_last_expires_at",
        table: "oauth_refresh_tokens",
        columns: Sql::new(
            "(julianday(expires_at)) WHERE replaced_by_token_id IS NULL",
            "(expires_at) WHERE replaced_by_token_id IS NULL",
        ),
    },
    // For foreign keys, and for the lists by client and by account.
    Index {
        name: "auth_oauth_refresh_tokens_client_created_at",
        table: "oauth_refresh_tokens",
        columns: Sql::new(
            "(client_id, julianday(created_at))",
            "(client_id, created_at)",
        ),
    },
    Index {
        name: "auth_oauth_refresh_tokens_account_created_at",
        table: "oauth_refresh_tokens",
        columns: Sql::new(
            "(account_id, julianday(created_at))",
            "(account_id, created_at)",
        ),
    },
    Index {
        name: "auth_oauth_refresh_tokens_created_at",
        table: "oauth_refresh_tokens",
        columns: CREATION,
    },
    // For revocation: skips revoked and expired tokens.
    Index {
        name: "auth_oauth_refresh_tokens_live_client_id",
        table: "oauth_refresh_tokens",
        columns: Sql::new(
            "(client_id, julianday(expires_at)) WHERE revoked_at IS NULL",
            "(client_id, expires_at) WHERE revoked_at IS NULL",
        ),
    },
    Index {
        name: "auth_oauth_refresh_tokens_live_account_id",
        table: "oauth_refresh_tokens",
        columns: Sql::new(
            "(account_id, julianday(expires_at)) WHERE revoked_at IS NULL",
            "(account_id, expires_at) WHERE revoked_at IS NULL",
        ),
    },
    Index {
        name: "auth_oauth_authorisation_codes_expires_at",
        table: "oauth_authorisation_codes",
        columns: EXPIRY,
    },
    Index {
        name: "auth_oauth_authorisation_codes_client_id",
        table: "oauth_authorisation_codes",
        columns: Sql::same("(client_id)"),
    },
    Index {
        name: "auth_oauth_authorisation_codes_live_client_id",
        table: "oauth_authorisation_codes",
        columns: Sql::new(
            "(client_id, julianday(expires_at)) WHERE consumed_at IS NULL",
            "(client_id, expires_at) WHERE consumed_at IS NULL",
        ),
    },
    Index {
        name: "auth_oauth_authorisation_codes_account_id",
        table: "oauth_authorisation_codes",
        columns: Sql::same("(account_id)"),
    },
    Index {
        name: "auth_oauth_authorisation_requests_expires_at",
        table: "oauth_authorisation_requests",
        columns: EXPIRY,
    },
    Index {
        name: "auth_oauth_authorisation_requests_client_id",
        table: "oauth_authorisation_requests",
        columns: Sql::same("(client_id)"),
    },
    Index {
        name: "auth_oauth_authorisation_requests_account_id",
        table: "oauth_authorisation_requests",
        columns: Sql::same("(account_id)"),
    },
    Index {
        name: "auth_oauth_device_authorisations_expires_at",
        table: "oauth_device_authorisations",
        columns: EXPIRY,
    },
    Index {
        name: "auth_oauth_device_authorisations_client_id",
        table: "oauth_device_authorisations",
        columns: Sql::same("(client_id)"),
    },
    Index {
        name: "auth_oauth_device_authorisations_approved_by_account_id",
        table: "oauth_device_authorisations",
        columns: Sql::same("(approved_by_account_id) WHERE approved_by_account_id IS NOT NULL"),
    },
    Index {
        name: "auth_oauth_device_authorisations_claimed_by_account_id",
        table: "oauth_device_authorisations",
        columns: Sql::same("(claimed_by_account_id) WHERE claimed_by_account_id IS NOT NULL"),
    },
    Index {
        name: "auth_sessions_expires_at",
        table: "sessions",
        columns: EXPIRY,
    },
    Index {
        name: "auth_sessions_account_id",
        table: "sessions",
        columns: Sql::same("(account_id)"),
    },
    // For the sign-out of all sessions: the newest live sessions of an account.
    Index {
        name: "auth_sessions_live_account_id",
        table: "sessions",
        columns: Sql::new(
            "(account_id, julianday(created_at)) WHERE revoked_at IS NULL",
            "(account_id, created_at) WHERE revoked_at IS NULL",
        ),
    },
    Index {
        name: "auth_oauth_clients_account_id",
        table: "oauth_clients",
        columns: Sql::same("(account_id)"),
    },
    Index {
        name: "auth_oauth_clients_created_at",
        table: "oauth_clients",
        columns: CREATION,
    },
    Index {
        name: "auth_oauth_device_authorisations_created_at",
        table: "oauth_device_authorisations",
        columns: CREATION,
    },
    Index {
        name: "auth_oauth_remote_authorisation_flows_expires_at",
        table: "oauth_remote_authorisation_flows",
        columns: EXPIRY,
    },
    Index {
        name: "auth_oauth_remote_authorisation_flows_connection_id",
        table: "oauth_remote_authorisation_flows",
        columns: Sql::same("(connection_id)"),
    },
    // For sign-in: password and addresses by account, and address by lower-case text.
    Index {
        name: "auth_authentications_account_authentication",
        table: "authentications",
        columns: Sql::same("(account_authentication)"),
    },
    // For the list of all access keys.
    Index {
        name: "auth_authentications_access_key_created_at",
        table: "authentications",
        columns: Sql::new(
            "(julianday(created_at)) WHERE service = 'access_key'",
            "(created_at) WHERE service = 'access_key'",
        ),
    },
    Index {
        name: "auth_emails_account_id",
        table: "emails",
        columns: Sql::same("(account_id)"),
    },
    Index {
        name: "auth_emails_lower_email_address",
        table: "emails",
        columns: Sql::same("(lower(email_address))"),
    },
    // For the administrators' list of members: the order of each column, and the search by the beginning of
    // a text, which needs the order of bytes.
    Index {
        name: "auth_emails_search",
        table: "emails",
        columns: Sql::new(
            "(lower(email_address), account_id)",
            "(lower(email_address) COLLATE \"C\", account_id)",
        ),
    },
    Index {
        name: "auth_accounts_handle",
        table: "accounts",
        columns: Sql::new("(handle)", "(handle COLLATE \"C\")"),
    },
    Index {
        name: "auth_accounts_name",
        table: "accounts",
        columns: Sql::new("(lower(name))", "(lower(name) COLLATE \"C\")"),
    },
    Index {
        name: "auth_accounts_last_name",
        table: "accounts",
        columns: Sql::new(
            "(lower(substr(name, instr(name, ' ') + 1)))",
            "(lower(substr(name, strpos(name, ' ') + 1)) COLLATE \"C\")",
        ),
    },
    Index {
        name: "auth_accounts_created_at",
        table: "accounts",
        columns: CREATION,
    },
    Index {
        name: "auth_accounts_admin",
        table: "accounts",
        columns: Sql::same("(handle) WHERE admin"),
    },
    Index {
        name: "auth_accounts_suspended",
        table: "accounts",
        columns: Sql::same("(handle) WHERE deleted_at IS NOT NULL"),
    },
    Index {
        name: "auth_account_roles_role_id",
        table: "account_roles",
        columns: Sql::same("(role_id)"),
    },
];

struct ExistingRow {
    name: String,
    /// False after an interrupted `CREATE INDEX CONCURRENTLY`.
    valid: Flag,
}

row!(ExistingRow: name, valid);

/// An index to create.
pub(super) struct Missing {
    pub(super) index: &'static Index,
    /// True if an invalid index with the same name must be dropped first.
    pub(super) invalid: bool,
}

/// Number of rows that clean-up can read fast enough without an index.
const SMALL_TABLE_ROWS: i64 = 10_000;

/// True if the tables have so many rows that clean-up should wait for the indexes.
///
/// # Errors
/// If the database does not answer.
pub async fn are_needed(db: &Db) -> Result<bool> {
    let total: i64 = db
        .fetch_one(
            "SELECT COUNT(*) AS n FROM ( \
             SELECT n FROM (SELECT 1 AS n FROM oauth_refresh_tokens LIMIT $1) a UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_authorisation_codes LIMIT $1) b UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_authorisation_requests LIMIT $1) c UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_device_authorisations LIMIT $1) d UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM oauth_clients LIMIT $1) e UNION ALL \
             SELECT n FROM (SELECT 1 AS n FROM sessions LIMIT $1) f) rows",
            &[SMALL_TABLE_ROWS.into()],
        )
        .await?;
    Ok(total >= SMALL_TABLE_ROWS)
}

/// Lists the missing or invalid indexes.
///
/// # Errors
/// If the database does not answer.
pub async fn missing(db: &Db) -> Result<Vec<&'static Index>> {
    let missing = find_missing(db).await?;
    Ok(missing.into_iter().map(|missing| missing.index).collect())
}

/// Finds the missing or invalid indexes.
pub(super) async fn find_missing(db: &Db) -> Result<Vec<Missing>> {
    let sql = Sql::new(
        "SELECT name, 1 AS valid FROM sqlite_master WHERE type = 'index'",
        "SELECT c.relname::text AS name, i.indisvalid AS valid FROM pg_index i \
         JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema()",
    );
    let existing: Vec<ExistingRow> = db.fetch_all(sql, &[]).await?;
    let of = |index: &'static Index| {
        let row = existing.iter().find(|row| row.name == index.name);
        match row.map(|row| row.valid.0) {
            Some(true) => None,
            found => Some(Missing {
                index,
                invalid: found.is_some(),
            }),
        }
    };
    Ok(INDEXES.iter().filter_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_names_are_prefixed_unique_and_short() {
        for (at, index) in INDEXES.iter().enumerate() {
            let prefix = format!("auth_{}_", index.table);
            assert!(index.name.starts_with(&prefix), "{}", index.name);
            assert!(index.name.len() <= 63, "{}", index.name);
            let earlier = &INDEXES[..at];
            assert!(!earlier.iter().any(|other| other.name == index.name));
        }
    }
}
