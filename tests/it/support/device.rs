//! Device flows and device consent.

use serde_json::json;

use super::answer::Answer;
use super::client::Client;
use super::member::Member;
use super::server::Server;

impl Server {
    /// Opens a user code as a member, which claims the device.
    pub(crate) async fn open_device(&self, member: &Member, user_code: &str) -> Answer {
        let path = format!("/api/oauth/device/consent?user_code={user_code}");
        self.get_as(member, &path).await
    }

    /// Decides an opened device flow.
    pub(crate) async fn decide_device(
        &self,
        member: &Member,
        user_code: &str,
        decision: &str,
    ) -> Answer {
        let body = json!({ "user_code": user_code, "decision": decision });
        self.post_as(member, "/api/oauth/device/consent", &body)
            .await
    }

    /// Starts and approves a device flow, and returns the device code.
    pub(crate) async fn approved_device(
        &self,
        member: &Member,
        client: &Client,
        scope: &str,
    ) -> String {
        let started = self.start_device(client, scope).await.expect(200);
        let user_code = started.text("user_code");
        self.open_device(member, &user_code).await.expect(200);
        self.decide_device(member, &user_code, "approve")
            .await
            .expect(200);
        started.text("device_code")
    }
}
