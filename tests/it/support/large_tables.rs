//! Large tables: chains of refresh tokens with grants, inserted by a few statements.

use super::client::Client;
use super::member::Member;
use super::server::Setup;

/// Refresh tokens to insert: `chains` grants of `length` rotations each, of an account to a client.
///
/// Rows of different chains alternate, as in production. Each token but the last of a chain is used,
/// has a successor, and expires ten minutes before the successor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    /// Id prefix of four characters of the xid alphabet, unique among the rows of the test.
    pub(crate) prefix: &'static str,
    pub(crate) chains: u32,
    pub(crate) length: u32,
    /// Days from the start of the test to the expiry of the last token of each chain; negative for
    /// expired tokens.
    pub(crate) days: i32,
}

impl Setup {
    /// Drops this server's indexes on Storyden's tables, like Storyden at start-up.
    pub(crate) async fn drop_indexes(&self) {
        let mut database = self.connect_as_other_process().await;
        for index in database.own_indexes_on_storyden_tables().await {
            database.run(&format!("DROP INDEX {index}")).await;
        }
    }

    /// Inserts refresh tokens, and updates PostgreSQL's statistics. A million rows take about half a
    /// minute, half of which is index maintenance.
    pub(crate) async fn insert_token_chains(&self, of: &Member, client: &Client, tokens: Tokens) {
        let Tokens {
            prefix,
            chains,
            length,
            days,
        } = tokens;
        let (account, client) = (of.id.as_str(), client.row_id.as_str());
        let rows = chains * length;
        let mut database = self.connect_as_other_process().await;
        // Foreign keys hold by construction, and checking each row would take most of the time.
        database
            .run(database.pick(
                "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -100000",
                "SET session_replication_role = replica",
            ))
            .await;
        // In a single transaction, because clean-up deletes grants without tokens.
        database
            .run(database.pick("BEGIN IMMEDIATE", "BEGIN"))
            .await;
        let numbers = database.pick(
            "WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ROWS)",
            "WITH numbers (n) AS (SELECT generate_series(0, ROWS - 1))",
        );
        let id = database.pick(
            "PREFIX || printf('%016d', N)",
            "PREFIX || lpad((N)::text, 16, '0')",
        );
        let id = |n: &str| id.replace("PREFIX", &format!("'{prefix}'")).replace('N', n);
        let time = database.pick(
            "strftime('%Y-%m-%d %H:%M:%f', '2026-01-01', (SECONDS) || ' seconds') || '+00:00'",
            "timestamptz '2026-01-01 00:00:00+00' + (SECONDS) * interval '1 second'",
        );
        let at = |seconds: &str| time.replace("SECONDS", seconds);
        let hash = database.pick(
            "lower(hex(randomblob(32)))",
            "encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'hex')",
        );
        let expires = at(&format!(
            "{days} * 86400 - n % {chains} - ({length} - 1 - n / {chains}) * 600"
        ));
        let numbers_of = |rows: u32| numbers.replace("ROWS", &rows.to_string());
        database
            .run(&format!(
                "{} INSERT INTO auth_grants (id, account_id, client_id, created_at) \
                 SELECT {}, '{account}', '{client}', {} FROM numbers",
                numbers_of(chains),
                id("n"),
                at(&format!("{days} * 86400 - 2592000 - {length} * 600"))
            ))
            .await;
        database
            .run(&format!(
                "{} INSERT INTO oauth_refresh_tokens (id, created_at, token_hash, scope, expires_at, \
                 revoked_at, last_used_at, account_id, client_id, replaced_by_token_id) \
                 SELECT {}, {created}, {hash}, 'openid offline_access', {expires}, \
                 CASE WHEN n < {used} THEN {created} END, CASE WHEN n < {used} THEN {created} END, \
                 '{account}', '{client}', CASE WHEN n < {used} THEN {} END FROM numbers",
                numbers_of(rows),
                id("n"),
                id(&format!("n + {chains}")),
                created = at(&format!("{days} * 86400 - 2592000 - n % {chains} - ({length} - 1 - n / {chains}) * 600")),
                used = rows - chains,
            ))
            .await;
        database
            .run(&format!(
                "{} INSERT INTO auth_refresh_tokens (token_id, grant_id) SELECT {}, {} FROM numbers",
                numbers_of(rows),
                id("n"),
                id(&format!("n % {chains}"))
            ))
            .await;
        database.run("COMMIT").await;
        database
            .run(database.pick("PRAGMA wal_checkpoint(TRUNCATE)", "VACUUM ANALYZE"))
            .await;
    }
}
