//! Flows in progress, to be continued after a restart or after another process has changed the
//! database.

use super::client::{Client, NewClient};
use super::member::Member;
use super::server::Server;

/// A member, a client, and a flow of each kind in progress.
pub(crate) struct InProgressFlows {
    person: Member,
    app: Client,
    pending: String,
    code: String,
    device_code: String,
    used_refresh_token: String,
    live_refresh_token: String,
}

/// Creates a member and a client of the same name.
pub(crate) async fn pair(server: &Server, name: &'static str) -> (Member, Client) {
    let client = NewClient {
        client_id: name,
        ..NewClient::default()
    };
    (server.member(name, &[]).await, server.client(client).await)
}

impl InProgressFlows {
    /// Starts a flow of each kind.
    pub(crate) async fn on(server: &Server, name: &'static str) -> Self {
        let (person, app) = pair(server, name).await;
        let first = server.tokens(&person, &app, &[]).await;
        let used_refresh_token = first.text("refresh_token");
        let second = server.refresh(&app, &used_refresh_token).await.expect(200);
        Self {
            pending: server.pending(&person, &app, &[]).await,
            code: server.code(&person, &app, &[]).await,
            device_code: server.approved_device(&person, &app, "openid").await,
            live_refresh_token: second.text("refresh_token"),
            used_refresh_token,
            person,
            app,
        }
    }

    /// Asserts that all flows continue, and that consumed codes and tokens stay consumed.
    pub(crate) async fn goes_on(self, server: &Server) {
        let Self { person, app, .. } = &self;
        server.poll(app, &self.device_code).await.expect(200);
        server.exchange(app, &self.code).await.expect(200);
        let again = server.exchange(app, &self.code).await;
        again.expect_error(400, "invalid_grant");
        let decided = server.decide(person, &self.pending, "approve").await;
        let code = decided.expect(200).sent("code").unwrap();
        server.exchange(app, &code).await.expect(200);
        let next = server
            .refresh(app, &self.live_refresh_token)
            .await
            .expect(200);
        let theft = server.refresh(app, &self.used_refresh_token).await;
        theft.expect_error(400, "invalid_grant");
        let ended = server.refresh(app, &next.text("refresh_token")).await;
        ended.expect_error(400, "invalid_grant");
        server.tokens(person, app, &[]).await;
    }
}
