//! Pushed authorization requests (RFC 9126).

use reqwest::RequestBuilder;

use super::answer::Answer;
use super::client::Client;
use super::member::Member;
use super::server::Server;

impl Server {
    /// Pushes the authorization request of a client with changed parameters; `""` removes a parameter.
    pub(crate) async fn push(&self, client: &Client, changed: &[(&str, &str)]) -> Answer {
        let mut form = client.authorization_request(changed);
        let others = client.credentials();
        form.extend(others.into_iter().filter(|(name, _)| *name != "client_id"));
        self.post_form("/api/oauth/par", &form).await
    }

    /// Pushes a valid request, and returns the `request_uri`.
    pub(crate) async fn pushed(&self, client: &Client, changed: &[(&str, &str)]) -> String {
        self.push(client, changed)
            .await
            .expect(201)
            .text("request_uri")
    }

    /// Opens the authorization endpoint with a pushed request.
    pub(crate) async fn open_pushed(
        &self,
        member: Option<&Member>,
        client: &Client,
        request_uri: &str,
    ) -> Answer {
        self.send(self.pushed_request(member, client, request_uri))
            .await
    }

    /// Builds the request that opens the authorization endpoint with a pushed request.
    pub(crate) fn pushed_request(
        &self,
        member: Option<&Member>,
        client: &Client,
        request_uri: &str,
    ) -> RequestBuilder {
        let query = [
            ("client_id", client.client_id.as_str()),
            ("request_uri", request_uri),
        ];
        self.authorize_query(member, &query)
    }

    /// Builds an authorization request with exactly these parameters.
    pub(crate) fn authorize_query(
        &self,
        member: Option<&Member>,
        query: &[(&str, &str)],
    ) -> RequestBuilder {
        let request = self.request("GET", "/api/oauth/authorize").query(query);
        match member {
            Some(member) => request.header("cookie", member.cookie()),
            None => request,
        }
    }
}
