//! Independent relying parties: the HTTP client, and the browser of the member.

use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

use super::member::Member;
use super::server::Server;

/// HTTP client of a relying party.
pub(crate) struct Http(reqwest::Client);

impl Http {
    /// Creates the HTTP client for a server on this machine.
    pub(crate) fn of(server: &Server) -> Self {
        Self(server.http.clone())
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = oauth2::HttpClientError<reqwest::Error>;
    type Future = std::pin::Pin<
        Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + Sync + 'c>,
    >;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let client = self.0.clone();
        let (parts, body) = request.into_parts();
        let task = tokio::spawn(async move {
            let url = parts.uri.to_string();
            let sent = client
                .request(parts.method, url)
                .headers(parts.headers)
                .body(body);
            let answer = sent.send().await?;
            let mut response = HttpResponse::new(Vec::new());
            *response.status_mut() = answer.status();
            *response.headers_mut() = answer.headers().clone();
            *response.body_mut() = answer.bytes().await?.to_vec();
            Ok::<_, reqwest::Error>(response)
        });
        Box::pin(async move {
            task.await
                .unwrap()
                .map_err(|error| oauth2::HttpClientError::Reqwest(Box::new(error)))
        })
    }
}

impl Server {
    /// Follows a URL in a browser with a session, approves unless approved before, and returns the redirect URL.
    pub(crate) async fn approve_in_browser(&self, member: &Member, url: &url::Url) -> url::Url {
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let consent = self.get_as(member, &path).await.expect(302);
        let Some(request_id) = consent.sent("request_id") else {
            return consent.location();
        };
        let decided = self.decide(member, &request_id, "approve").await;
        decided.expect(200).location()
    }
}
