//! This server's indexes on Storyden's tables: recreated after a Storyden dropped the indexes.

use serde_json::Value;
use storyden_auth::jobs::{self, IndexCheck};
use storyden_auth::store::index_creation::{self, Outcome};
use storyden_auth::store::indexes::INDEXES;

use crate::support::{Setup, Tokens, both};

/// The names of all indexes, sorted.
fn every_name() -> Vec<String> {
    let mut names: Vec<String> = INDEXES.iter().map(|index| index.name.to_owned()).collect();
    names.sort();
    names
}

/// The status and text of `doctor`'s finding about indexes.
async fn finding(setup: &Setup) -> (String, String) {
    let ended = setup.run(&["doctor", "--json"], &[]).await;
    let findings: Vec<Value> = serde_json::from_str(&ended.stdout).unwrap();
    let of_indexes = findings.iter().find(|found| found["check"] == "indexes");
    let text = |name: &str| of_indexes.unwrap()[name].as_str().unwrap().to_owned();
    (text("status"), text("finding"))
}

both! {
    /// P7: a database without a Storyden has every index from the first migration on.
    async fn a_database_of_our_own_has_every_index(setup: Setup) {
        let mut database = setup.connect_as_other_process().await;
        assert_eq!(database.own_indexes_on_storyden_tables().await, every_name());
        assert_eq!(finding(&setup).await.0, "ok");
    }

    /// P7, P8: indexes that a Storyden dropped at start-up are recreated before the clean-up runs. The
    /// rest of the schema stays as the Storyden left the tables.
    async fn dropped_indexes_are_recreated(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let known = storyden.schema().await;
        storyden.run_start_up_migration().await;
        assert!(storyden.own_indexes_on_storyden_tables().await.is_empty(), "it knows none of them");
        let (status, text) = finding(&setup).await;
        assert_eq!(status, "warn");
        assert!(text.contains("auth_oauth_refresh_tokens_replaced_by_token_id"), "{text}");
        let server = setup.start().await;
        while jobs::make_indexes(&server.context).await == IndexCheck::Later {
            tokio::task::yield_now().await; // the start-up job is making them
        }
        assert_eq!(storyden.own_indexes_on_storyden_tables().await, every_name());
        assert_eq!(storyden.schema().await, known);
        let nothing = index_creation::create_missing(&server.context.db, || false).await.unwrap();
        assert_eq!(nothing, Outcome::Complete(Vec::new()));
        assert_eq!(finding(&setup).await.0, "ok");
    }

    /// P7: an index left invalid by an interrupted build counts as missing and is rebuilt (PostgreSQL).
    async fn an_invalid_index_is_rebuilt(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let invalid = storyden.pick(
            "DROP INDEX auth_sessions_account_id",
            "UPDATE pg_index SET indisvalid = false \
             WHERE indexrelid = 'auth_sessions_account_id'::regclass",
        );
        storyden.run(invalid).await;
        assert_eq!(storyden.own_indexes_on_storyden_tables().await.len(), INDEXES.len() - 1);
        let server = setup.start().await;
        while jobs::make_indexes(&server.context).await == IndexCheck::Later {
            tokio::task::yield_now().await; // the start-up job is making them
        }
        assert_eq!(storyden.own_indexes_on_storyden_tables().await, every_name());
    }

    /// P8: rows inserted in bulk equal rows made by a server, with complete chains.
    async fn rows_made_in_bulk_are_valid(setup: Setup) {
        let server = setup.start().await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let tokens = Tokens { prefix: "bulk", chains: 5, length: 4, days: 30 };
        setup.insert_token_chains(&frigg, &app, tokens).await;
        let last = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens t \
                    JOIN auth_refresh_tokens m ON m.token_id = t.id JOIN auth_grants g ON g.id = m.grant_id \
                    WHERE t.replaced_by_token_id IS NULL AND t.revoked_at IS NULL";
        assert_eq!(server.count(last, &[]).await, 5);
        let linked = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens t \
                      JOIN oauth_refresh_tokens s ON s.id = t.replaced_by_token_id \
                      JOIN auth_refresh_tokens m ON m.token_id = t.id JOIN auth_refresh_tokens o ON o.token_id = s.id \
                      WHERE m.grant_id = o.grant_id AND t.revoked_at IS NOT NULL";
        assert_eq!(server.count(linked, &[]).await, 15);
        let listed = server.get_as(&frigg, "/api/auth/oauth/tokens").await;
        assert_eq!(listed.expect(200).json()["tokens"].as_array().unwrap().len(), 20);
    }
}
