//! The results of every flow of a member with an application, to be revoked.

use super::answer::Answer;
use super::client::Client;
use super::member::Member;
use super::server::Server;

const USERINFO: &str = "/api/oauth/userinfo";

/// Tokens, an undecided request, an unused code and an approved device.
pub(crate) struct Issued {
    pub(crate) tokens: Answer,
    pub(crate) request_id: String,
    pub(crate) code: String,
    pub(crate) device_code: String,
}

impl Server {
    /// Runs every flow.
    pub(crate) async fn issue(&self, member: &Member, app: &Client) -> Issued {
        Issued {
            tokens: self.tokens(member, app, &[]).await,
            request_id: self.pending(member, app, &[]).await,
            code: self.code(member, app, &[]).await,
            device_code: self.approved_device(member, app, "openid").await,
        }
    }
}

/// Asserts that every token and code is rejected.
pub(crate) async fn assert_revoked(server: &Server, app: &Client, given: &Issued) {
    let access_token = given.tokens.text("access_token");
    let userinfo = server.get_with_bearer(USERINFO, &access_token).await;
    userinfo.expect_error(401, "invalid_token");
    let refresh_token = given.tokens.text("refresh_token");
    let refreshed = server.refresh(app, &refresh_token).await;
    refreshed.expect_error(400, "invalid_grant");
    let exchanged = server.exchange(app, &given.code).await;
    exchanged.expect_error(400, "invalid_grant");
    let polled = server.poll(app, &given.device_code).await;
    polled.expect_error(400, "access_denied");
}

/// Asserts that every token and code is accepted.
pub(crate) async fn assert_live(server: &Server, app: &Client, given: &Issued) {
    let access_token = given.tokens.text("access_token");
    let userinfo = server.get_with_bearer(USERINFO, &access_token).await;
    userinfo.expect(200);
    let refresh_token = given.tokens.text("refresh_token");
    server.refresh(app, &refresh_token).await.expect(200);
    server.exchange(app, &given.code).await.expect(200);
    server.poll(app, &given.device_code).await.expect(200);
}
