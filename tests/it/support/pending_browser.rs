//! A browser with a pending authorization request: during sign-in, or after a form POST.

use serde_json::json;

use super::answer::Answer;
use super::client::Client;
use super::member::Member;
use super::server::Server;

/// A pending request of a browser: request id and cookie.
pub(crate) struct BrowserRequest {
    pub(crate) request_id: String,
    pub(crate) cookie: String,
}

impl BrowserRequest {
    /// Starts an authorization request without a session.
    pub(crate) async fn begin(server: &Server, client: &Client, changed: &[(&str, &str)]) -> Self {
        let answer = server.authorize(None, client, changed).await;
        Self::of(&answer.expect(302))
    }

    /// Reads the request id and the cookie from a redirect.
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        let request_id = answer.sent("request_id").unwrap_or_else(|| {
            let back = answer.sent("return_url").unwrap();
            back.split_once("request_id=").unwrap().1.to_owned()
        });
        let cookie = answer.header("set-cookie").split(';').next().unwrap();
        Self {
            request_id,
            cookie: cookie.to_owned(),
        }
    }

    /// Returns the pending-request cookie and the session cookie.
    fn cookies(&self, member: &Member) -> String {
        format!("{}; {}", member.cookie(), self.cookie)
    }

    /// Opens the consent page after sign-in.
    pub(crate) async fn open(&self, server: &Server, member: &Member) -> Answer {
        let path = format!(
            "/api/oauth/authorize/consent?request_id={}",
            self.request_id
        );
        let request = server.request("GET", &path);
        server
            .send(request.header("cookie", self.cookies(member)))
            .await
    }

    /// Decides in this browser.
    pub(crate) async fn decide(&self, server: &Server, member: &Member, decision: &str) -> Answer {
        let body = json!({ "request_id": self.request_id, "decision": decision });
        let request = server.request("POST", "/api/oauth/authorize/consent");
        server
            .send(request.header("cookie", self.cookies(member)).json(&body))
            .await
    }

    /// Reads the client of the pending request, as the sign-in page does.
    pub(crate) async fn client(&self, server: &Server) -> Answer {
        let path = format!(
            "/api/oauth/authorize/request?request_id={}",
            self.request_id
        );
        let request = server.request("GET", &path);
        server.send(request.header("cookie", &self.cookie)).await
    }

    /// Chooses an account for the pending request, with the session of another account.
    pub(crate) async fn choose(&self, server: &Server, with: &Member, account: &Member) -> Answer {
        let body = json!({ "account_id": account.id, "request_id": self.request_id });
        let request = server.request("POST", "/api/oauth/authorize/account");
        server
            .send(request.header("cookie", self.cookies(with)).json(&body))
            .await
    }

    /// Resumes the pending request at authorize.
    pub(crate) async fn resume(&self, server: &Server, member: Option<&Member>) -> Answer {
        let cookies = member.map_or_else(|| self.cookie.clone(), |member| self.cookies(member));
        let path = format!("/api/oauth/authorize?request_id={}", self.request_id);
        server
            .send(server.request("GET", &path).header("cookie", cookies))
            .await
    }
}

/// An erroneous authorization request: the member, the changed parameter, and the error code that the
/// redirect tells the client.
pub(crate) type RedirectedError = (Member, (&'static str, &'static str), &'static str);

/// Creates a member with the permission to use clients and a member without, and makes a request for each
/// error.
pub(crate) async fn redirected_errors(server: &Server) -> Vec<RedirectedError> {
    let frigg = server.member("frigg", &[]).await;
    let loki = server.plain_member("loki").await;
    let invalid = [
        (("response_type", "token"), "unsupported_response_type"),
        (("scope", "nonsense"), "invalid_scope"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
    ];
    let invalid = invalid.map(|(changed, error)| (frigg.clone(), changed, error));
    let denied = (loki, ("scope", "openid"), "access_denied");
    invalid.into_iter().chain([denied]).collect()
}

/// Counts the pending requests, before and after sign-in.
pub(crate) async fn stored(server: &Server) -> i64 {
    let decided = "SELECT COUNT(*) AS n FROM oauth_authorisation_requests";
    let pending = "SELECT COUNT(*) AS n FROM auth_pending_requests";
    server.count(decided, &[]).await + server.count(pending, &[]).await
}

/// Asserts a redirect to the login page, and returns the pending request.
#[track_caller]
pub(crate) fn assert_redirect_to_login(answer: Answer) -> BrowserRequest {
    let answer = answer.expect(302);
    assert_eq!(answer.location().path(), "/login");
    BrowserRequest::of(&answer)
}

/// Asserts a redirect to the consent page, and returns the request id.
#[track_caller]
pub(crate) fn assert_redirect_to_consent(answer: Answer) -> String {
    let answer = answer.expect(302);
    assert_eq!(answer.location().path(), "/oauth/authorize/consent");
    answer.sent("request_id").unwrap()
}
