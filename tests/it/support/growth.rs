//! Databases with many rows: refresh tokens in chains, with their grants, made by a few statements.

use super::client::Client;
use super::member::Member;
use super::server::Setup;

/// Refresh tokens to be made: `chains` grants of `length` rotations each, of one account to one client.
///
/// The rows of different chains alternate, as those of people do. Each token but the last of its chain was
/// used, names its successor, and expires ten minutes before that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens {
    /// Four characters of the alphabet of xids that no other rows of the test begin with.
    pub(crate) prefix: &'static str,
    pub(crate) chains: u32,
    pub(crate) length: u32,
    /// Days from the beginning of the test to the expiry of the last token of each chain; negative for
    /// tokens that have expired.
    pub(crate) days: i32,
}

impl Setup {
    /// Drops the indexes of ours on Storyden's tables, as a Storyden does when it starts.
    pub(crate) async fn drop_indexes(&self) {
        let mut database = self.other_process().await;
        for index in database.indexes_of_ours().await {
            database.run(&format!("DROP INDEX {index}")).await;
        }
    }

    /// Makes refresh tokens, and lets PostgreSQL count its rows. A million take about half a minute, half
    /// of it for indexes that are there.
    pub(crate) async fn make_tokens(&self, of: &Member, client: &Client, tokens: Tokens) {
        let Tokens {
            prefix,
            chains,
            length,
            days,
        } = tokens;
        let (account, client) = (of.id.as_str(), client.row_id.as_str());
        let rows = chains * length;
        let mut database = self.other_process().await;
        // Foreign keys of rows that are made together hold by construction, and checking them one by
        // one would take most of the time.
        database
            .run(database.pick(
                "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -100000",
                "SET session_replication_role = replica",
            ))
            .await;
        // In one transaction, as a server makes them: a grant without a token is clean-up's.
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
