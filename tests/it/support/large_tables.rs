//! Large tables: chains of refresh tokens with grants, inserted by a few statements.

use super::client::Client;
use super::database::Engine;
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

/// Tables that grow with accounts, clients and time. Tables of remote connections, settings and roles stay
/// small.
pub(crate) const GROWING: &[&str] = &[
    "accounts",
    "account_roles",
    "authentications",
    "emails",
    "sessions",
    "oauth_clients",
    "oauth_authorisation_requests",
    "oauth_authorisation_codes",
    "oauth_device_authorisations",
    "oauth_refresh_tokens",
    "auth_assertions",
    "auth_audit",
    "auth_client_errors",
    "auth_clients",
    "auth_consents",
    "auth_derived_grants",
    "auth_device_failures",
    "auth_device_origins",
    "auth_dpop_proofs",
    "auth_grants",
    "auth_issuer_subjects",
    "auth_pending_requests",
    "auth_pushed_requests",
    "auth_refresh_tokens",
    "auth_request_details",
    "auth_revoked_tokens",
    "auth_sessions",
    "auth_shown_consents",
    "auth_statistics",
    "auth_webhook_deliveries",
];

/// Minimum number of rows of a table after [`Setup::grow_tables`].
const ROWS: u32 = 6_000;

impl Setup {
    /// Copies the rows of every growing table and updates the statistics of PostgreSQL. Each copy has ids,
    /// hashes and unique names of its own, and is a second older than the previous copy.
    pub(crate) async fn grow_tables(&self) {
        let mut database = self.connect_as_other_process().await;
        database
            .run(database.pick(
                "PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; BEGIN IMMEDIATE",
                "SET session_replication_role = replica; BEGIN",
            ))
            .await;
        for table in GROWING {
            let query = database.pick(
                "SELECT name || ' ' || lower(type) FROM pragma_table_info('TABLE')",
                "SELECT column_name || ' ' || data_type FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = 'TABLE' ORDER BY ordinal_position",
            );
            let columns = database.texts(&query.replace("TABLE", table)).await;
            let columns: Vec<String> = columns.into_iter().flatten().collect();
            let copy = |column: &String| {
                let (name, kind) = column.split_once(' ').unwrap();
                let own = name.ends_with("id") || name.ends_with("hash");
                let own = own || matches!(name, "handle" | "email_address" | "identifier" | "jti");
                let copied = match (self.engine, kind) {
                    (_, "text" | "varchar" | "character varying") if own => {
                        format!("r.{name} || '-' || i")
                    }
                    (Engine::Sqlite, "datetime") => {
                        format!(
                            "strftime('%Y-%m-%d %H:%M:%f', r.{name}, '-' || i || ' seconds') || '+00:00'"
                        )
                    }
                    (Engine::Postgres, "timestamp with time zone") => {
                        format!("r.{name} - i * interval '1 second'")
                    }
                    _ => format!("r.{name}"),
                };
                (name.to_owned(), copied)
            };
            let (names, copied): (Vec<String>, Vec<String>) = columns.iter().map(copy).unzip();
            let count = format!("SELECT CAST(COUNT(*) AS text) FROM {table}");
            let rows = database.texts(&count).await.remove(0);
            let rows: u32 = rows.unwrap().parse().unwrap();
            assert!(rows > 0, "no row to copy in {table}");
            database
                .run(&format!(
                    "INSERT INTO {table} ({}) WITH RECURSIVE n (i) AS \
                     (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) SELECT {} FROM {table} r, n",
                    names.join(", "),
                    ROWS.div_ceil(rows),
                    copied.join(", ")
                ))
                .await;
        }
        database.run("COMMIT").await;
        database
            .run(database.pick("SELECT 1", "VACUUM ANALYZE"))
            .await;
    }

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
