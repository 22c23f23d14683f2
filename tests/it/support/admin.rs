//! Requests of administrators, and access keys.

use serde_json::Value;
use storyden_auth::ids::AccessKeyId;
use storyden_auth::secret::Secret;

use super::answer::Answer;
use super::member::Member;
use super::server::Server;

impl Server {
    /// Sends a request with a session and an optional body.
    pub(crate) async fn call_as(
        &self,
        member: &Member,
        (method, path): (&str, &str),
        body: Option<&Value>,
    ) -> Answer {
        let mut request = self.request(method, path).header("cookie", member.cookie());
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await
    }

    /// Creates an access key of an account: `sdpak` for a person, `sdbak` for a bot.
    pub(crate) async fn access_key(&self, member: &Member, kind: &str) -> String {
        let id = AccessKeyId::generate(self.clock.now());
        let name = &id.as_str()[8..];
        let secret = "S3cretS3cretS3cretS3cretS3cretS3";
        let hash = self
            .context
            .passwords
            .hash(&Secret::new(secret))
            .await
            .unwrap();
        let identifier = format!("{kind}_{name}");
        let sql = "INSERT INTO authentications (id, service, token_type, identifier, token, name, \
                   disabled, account_authentication) \
                   VALUES ($1, 'access_key', 'password_hash', $2, $3, 'key', false, $4)";
        let args = [id.as_str(), &identifier, &hash, member.id.as_str()];
        assert_eq!(self.sql(sql, &args).await, 1);
        format!("{identifier}{secret}")
    }
}
