//! Storyden on the same database: the start-up migration of Storyden drops unknown columns and indexes.

use tokio_util::sync::CancellationToken;

use crate::support::{InProgressFlows, Server, both, pair};

/// Refreshes and reads until cancelled, and returns the number of rounds.
async fn refresh_until(server: &Server, stop: &CancellationToken) -> usize {
    let (person, app) = pair(server, "thor").await;
    let mut tokens = server.tokens(&person, &app, &[]).await;
    let mut times = 0;
    while times == 0 || !stop.is_cancelled() {
        let refreshed = server.refresh(&app, &tokens.text("refresh_token")).await;
        tokens = refreshed.expect(200);
        let access_token = tokens.text("access_token");
        let userinfo = server.get_with_bearer("/api/oauth/userinfo", &access_token);
        userinfo.await.expect(200);
        times += 1;
    }
    times
}

both! {
    /// T15, P8: Storyden's start-up migration drops unknown columns and indexes of Storyden's own
    /// tables, and leaves this server's tables alone. Requests during the migration succeed, and flows
    /// in progress continue, here and after a restart.
    async fn storyden_migration_keeps_flows_and_tables(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let known = storyden.schema().await;
        let server = setup.start().await;
        let (one, other) = (InProgressFlows::on(&server, "frigg").await, InProgressFlows::on(&server, "loki").await);
        assert_eq!(storyden.schema().await, known, "who serves changes no table");

        storyden.run("ALTER TABLE oauth_refresh_tokens ADD COLUMN stray text").await;
        storyden.run("CREATE INDEX stray ON oauth_clients (name)").await;
        assert_ne!(storyden.schema().await, known);
        let stop = CancellationToken::new();
        let (_, ()) = tokio::join!(refresh_until(&server, &stop), async {
            storyden.run_start_up_migration().await;
            stop.cancel();
        });
        assert_eq!(storyden.schema().await, known, "a stray is gone, and ours is there");
        one.goes_on(&server).await;
        other.goes_on(&setup.start().await).await;
    }

    /// T15, P8: `migrate` on a Storyden database only adds this server's tables, also with five
    /// processes at once.
    async fn migration_adds_only_own_tables(setup: Setup) {
        let mut storyden = setup.add_storyden_tables().await;
        let (theirs, ours) = storyden.schema().await;
        storyden.drop_ours().await;
        assert_eq!(storyden.schema().await, (theirs.clone(), Vec::new()));
        let migrate = || setup.run(&["migrate"], &[]);
        let all = tokio::join!(migrate(), migrate(), migrate(), migrate(), migrate());
        for ended in [all.0, all.1, all.2, all.3, all.4] {
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        }
        assert_eq!(storyden.schema().await, (theirs, ours));
    }
}
