//! Browser actions: consent, sign-in, and raw connections.

use serde_json::json;
use storyden_auth::store::client_deletion;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::answer::Answer;
use super::client::Client;
use super::member::{Member, PASSWORD};
use super::server::Server;

impl Server {
    /// Reads a consent request.
    pub(crate) async fn consent(&self, member: &Member, request_id: &str) -> Answer {
        let path = format!("/api/oauth/authorize/consent?request_id={request_id}");
        self.get_as(member, &path).await
    }

    /// Signs in, with `address` in X-Forwarded-For.
    pub(crate) async fn sign_in_from(
        &self,
        address: &str,
        identifier: &str,
        password: &str,
    ) -> Answer {
        let body = json!({ "identifier": identifier, "token": password });
        let request = self
            .request("POST", "/api/auth/password/signin")
            .header("x-forwarded-for", address)
            .json(&body);
        self.send(request).await
    }

    /// Signs in again, which creates another session of the account.
    pub(crate) async fn sign_in_again(&self, member: &Member) -> Member {
        self.sign_in_with(member, PASSWORD).await
    }

    /// Signs in again with the given password.
    pub(crate) async fn sign_in_with(&self, member: &Member, password: &str) -> Member {
        let answer = self
            .sign_in_from("127.0.0.1", &member.handle, password)
            .await;
        Member {
            session: answer.expect(200).cookie("storyden-session"),
            ..member.clone()
        }
    }

    /// Deletes a client like the owner's API operation.
    pub(crate) async fn delete_client(&self, client: &Client) {
        let input = (client.row_id.clone(), self.clock.now());
        let delete = self.context.db.write(input, |tx, (row_id, now)| {
            Box::pin(client_deletion::delete(tx, row_id, *now))
        });
        delete.await.unwrap();
    }

    /// Sends bytes and reads until the server closes the connection.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let address = self.address.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may answer and close the connection before the request is complete.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }
}
