//! Concurrent requests, and forms of the token endpoint.

use reqwest::RequestBuilder;
use tokio::task::JoinSet;

use super::answer::Answer;
use super::client::{Client, VERIFIER};
use super::server::Server;

/// A form, as name-value pairs.
pub(crate) type Form<'a> = Vec<(&'a str, &'a str)>;

/// Sends all requests concurrently, and returns the responses in the order of the requests.
pub(crate) async fn send_concurrently(requests: Vec<RequestBuilder>) -> Vec<Answer> {
    let mut running = JoinSet::new();
    for (at, request) in requests.into_iter().enumerate() {
        running.spawn(async move { (at, Answer::of(request.send().await.unwrap()).await) });
    }
    let mut answers = running.join_all().await;
    answers.sort_unstable_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Counts the responses with a status, and asserts that no response is a 5xx.
#[track_caller]
pub(crate) fn count(answers: &[Answer], status: u16) -> usize {
    for answer in answers {
        assert!(answer.status < 500, "{} {}", answer.status, answer.body);
    }
    answers
        .iter()
        .filter(|answer| answer.status == status)
        .count()
}

impl Server {
    /// Builds a request to the token endpoint.
    pub(crate) fn token_request(&self, form: &[(&str, &str)]) -> RequestBuilder {
        self.request("POST", "/api/oauth/token").form(form)
    }
}

impl Client {
    /// Returns the form that exchanges a code.
    pub(crate) fn exchange_form<'a>(&'a self, code: &'a str) -> Form<'a> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect_uri.as_str()),
            ("code_verifier", VERIFIER),
        ];
        form.extend(self.credentials());
        form
    }

    /// Returns the form that uses a refresh token.
    pub(crate) fn refresh_form<'a>(&'a self, refresh_token: &'a str) -> Form<'a> {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        form.extend(self.credentials());
        form
    }

    /// Returns the form that polls with a device code.
    pub(crate) fn poll_form<'a>(&'a self, device_code: &'a str) -> Form<'a> {
        let mut form = vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("device_code", device_code),
        ];
        form.extend(self.credentials());
        form
    }
}

/// Returns the form without a parameter.
pub(crate) fn without<'a>(form: &[(&'a str, &'a str)], name: &str) -> Form<'a> {
    let kept = form.iter().filter(|(known, _)| *known != name);
    kept.copied().collect()
}

/// Returns the form with a changed parameter.
pub(crate) fn with<'a>(form: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Form<'a> {
    let mut form = without(form, name);
    form.push((name, value));
    form
}
