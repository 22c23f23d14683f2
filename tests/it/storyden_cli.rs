//! The request sequence of Storyden's command-line tool `sd` (storyden-contract.md#the-sd-tool): a
//! single origin, few fields of each answer, and an abort on every unexpected status.

use reqwest::RequestBuilder;
use serde_json::Value;
use storyden_auth::clock::Timestamp;
use time::Duration;

use crate::support::{Answer, Member, Server, Setup, both};

const CLIENT_ID: &str = "storyden-cli";
const SCOPE: &str = "openid profile offline_access";
/// A token closer to expiry is refreshed before use.
const MARGIN: Duration = Duration::minutes(1);
/// Seconds added to the interval for each `slow_down`, permanently.
const SLOW_DOWN_STEP: i64 = 5;

/// `sd` configured for a server. Time is the server's test clock.
struct Sd<'a> {
    server: &'a Server,
}

/// Concurrent actions while `sd` waits for the next poll.
#[derive(Clone, Copy)]
enum ConcurrentAction<'a> {
    /// A member opens the page and decides `approve` or `deny`.
    Decide(&'a Member, &'a str),
    /// Another program polls with the same code, too early.
    Disturb,
}

/// A device authorization in progress.
struct Waiting {
    device_code: String,
    shown: String,
    interval: i64,
    ends_at: Timestamp,
}

/// Stored login.
struct Context {
    access_token: String,
    refresh_token: Option<String>,
    token_type: String,
    expires_at: Option<Timestamp>,
}

impl Sd<'_> {
    /// First request of every command: discovery of the token endpoint.
    async fn discover(&self) -> Result<String, String> {
        let origin = &self.server.address;
        let answer = self.server.get("/.well-known/openid-configuration").await;
        if answer.status != 200 {
            let problem = answer.json();
            let suggested = problem["metadata"]["suggested"]
                .as_str()
                .unwrap_or_default();
            return Err(format!("{}\n{suggested}", answer.text("title")));
        }
        let found: Value = answer.json();
        found["issuer"].as_str().expect("an issuer");
        let token_endpoint = found["token_endpoint"].as_str().unwrap();
        match token_endpoint.strip_prefix(origin.as_str()) {
            Some(path) if path.starts_with("/api/") => Ok(path.to_owned()),
            _ => Err(format!(
                "Oauth discovery endpoint does not match API base {origin}"
            )),
        }
    }

    /// `sd auth login`: requests a code and shows the code.
    async fn start(&self) -> Result<Waiting, String> {
        self.discover().await?;
        let form = [("client_id", CLIENT_ID), ("scope", SCOPE)];
        let answer = self
            .server
            .post_form("/api/oauth/device_authorization", &form)
            .await;
        if answer.status != 200 {
            return Err(told(&answer));
        }
        let answer = answer.json();
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let shown = text("verification_uri_complete").unwrap_or_else(|| {
            let (uri, code) = (text("verification_uri"), text("user_code"));
            format!("{} {}", uri.unwrap(), code.unwrap())
        });
        let ends_in = answer["expires_in"].as_i64().unwrap();
        Ok(Waiting {
            device_code: text("device_code").unwrap(),
            shown,
            interval: answer["interval"].as_i64().unwrap_or(5),
            ends_at: self.server.clock.now() + Duration::seconds(ends_in),
        })
    }

    /// Polls at once and then at the interval. `meanwhile` lists actions after polls.
    async fn wait(
        &self,
        mut waiting: Waiting,
        meanwhile: &[(u32, ConcurrentAction<'_>)],
    ) -> Result<Context, String> {
        for polls in 1.. {
            let answer = self.poll(&waiting).await;
            if answer.status == 200 {
                return Ok(self.keep(&answer, None));
            }
            match refusal(&answer)?.as_str() {
                "authorization_pending" => {}
                "slow_down" => waiting.interval += SLOW_DOWN_STEP,
                "access_denied" => return Err("Oauth authorization was denied".to_owned()),
                "expired_token" => return Err("Oauth device authorization expired".to_owned()),
                _ => return Err(told(&answer)),
            }
            for (_, act) in meanwhile.iter().filter(|(after, _)| *after == polls) {
                self.perform(*act, &waiting).await;
            }
            self.server.turn(Duration::seconds(waiting.interval));
            if self.server.clock.now() >= waiting.ends_at {
                return Err("Oauth device authorization expired".to_owned());
            }
        }
        unreachable!("it polls until it is over")
    }

    async fn poll(&self, waiting: &Waiting) -> Answer {
        let form = [
            ("client_id", CLIENT_ID),
            ("device_code", waiting.device_code.as_str()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ];
        self.server.token(&form).await
    }

    async fn perform(&self, act: ConcurrentAction<'_>, waiting: &Waiting) {
        match act {
            ConcurrentAction::Decide(person, decision) => {
                decide(self.server, person, &waiting.shown, decision).await;
            }
            ConcurrentAction::Disturb => {
                let early = self.poll(waiting).await;
                early.expect_error(400, "slow_down");
            }
        }
    }

    /// Stores a login; a refresh without a new refresh token keeps the old token.
    fn keep(&self, answer: &Answer, refresh_token: Option<String>) -> Context {
        let tokens = answer.json();
        let text = |name: &str| tokens[name].as_str().map(str::to_owned);
        let lives = tokens["expires_in"].as_i64().map(Duration::seconds);
        Context {
            access_token: text("access_token").expect("required"),
            token_type: text("token_type").expect("required"),
            refresh_token: text("refresh_token").or(refresh_token),
            expires_at: lives.map(|lives| self.server.clock.now() + lives),
        }
    }

    /// Makes an authenticated call; refreshes once, before the call if the token is about to expire, or
    /// after a 401.
    async fn call(&self, context: &mut Context) -> Result<Answer, String> {
        let token_endpoint = self.discover().await?;
        let now = self.server.clock.now();
        if context
            .expires_at
            .is_some_and(|ends_at| ends_at - now < MARGIN)
        {
            self.refresh(&token_endpoint, context).await?;
        }
        let answer = self.server.send(self.request(context)).await;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.refresh(&token_endpoint, context).await?;
        Ok(self.server.send(self.request(context)).await)
    }

    fn request(&self, context: &Context) -> RequestBuilder {
        let credential = format!("{} {}", context.token_type, context.access_token);
        let request = self.server.request("GET", "/api/oauth/userinfo");
        request.header("authorization", credential)
    }

    async fn refresh(&self, token_endpoint: &str, context: &mut Context) -> Result<(), String> {
        let refresh_token = context.refresh_token.clone().unwrap_or_default();
        let form = [
            ("client_id", CLIENT_ID),
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.as_str()),
        ];
        let answer = self.server.post_form(token_endpoint, &form).await;
        if answer.status == 200 {
            *context = self.keep(&answer, context.refresh_token.take());
            return Ok(());
        }
        match refusal(&answer)?.as_str() {
            "invalid_grant" => Err("session expired or was revoked".to_owned()),
            _ => Err(told(&answer)),
        }
    }
}

/// The error code of a refused token request; any other status or media type is fatal.
fn refusal(answer: &Answer) -> Result<String, String> {
    let media_type = answer.find_header("content-type").unwrap_or_default();
    if answer.status != 400 || !media_type.starts_with("application/json") {
        return Err(format!("Oauth token request failed: {}", answer.status));
    }
    Ok(answer.text("error"))
}

/// The message that `sd` prints for an error.
fn told(answer: &Answer) -> String {
    let (code, description) = (answer.text("error"), answer.text("error_description"));
    format!("Oauth error {code:?}: {description}")
}

/// A member opens the shown address and decides.
async fn decide(server: &Server, person: &Member, shown: &str, decision: &str) {
    let url = url::Url::parse(shown).unwrap();
    let code = url.query_pairs().find(|(name, _)| name == "user_code");
    let user_code = code.unwrap().1.into_owned();
    server.open_device(person, &user_code).await.expect(200);
    let decided = server.decide_device(person, &user_code, decision).await;
    decided.expect(200);
}

/// A server with the listening address as the issuer, in the profile `storyden`.
async fn storyden(setup: &Setup) -> Server {
    let setup = setup.clone().with("OAUTH_PROFILE", "storyden");
    setup.start_with_own_issuer().await
}

/// Logs in.
async fn log_in(sd: &Sd<'_>, person: &Member) -> Context {
    let waiting = sd.start().await.unwrap();
    let approved = [(2, ConcurrentAction::Decide(person, "approve"))];
    sd.wait(waiting, &approved).await.unwrap()
}

both! {
    /// Login, calls, and a day of commands, each with the refresh token of the previous refresh; in
    /// both profiles.
    async fn login_lasts_across_refreshes(setup: Setup) {
        for (profile, handle) in [("storyden", "frigg"), ("standards", "loki")] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start_with_own_issuer().await;
            let person = server.member(handle, &[]).await;
            let sd = Sd { server: &server };
            let mut context = log_in(&sd, &person).await;
            for minutes in [1, 14, 14, 15, 600] {
                server.turn(Duration::minutes(minutes));
                let info = sd.call(&mut context).await.unwrap().expect(200);
                assert_eq!(info.text("sub"), person.id.as_str());
            }
        }
    }

    /// A token that is rejected before its expiry is refreshed, and the call is repeated.
    async fn a_401_is_followed_by_a_refresh(setup: Setup) {
        let server = storyden(&setup).await;
        let frigg = server.member("frigg", &[]).await;
        let sd = Sd { server: &server };
        let mut context = log_in(&sd, &frigg).await;
        context.expires_at = None;
        server.turn(Duration::minutes(16));
        server.send(sd.request(&context)).await.expect(401);
        sd.call(&mut context).await.unwrap().expect(200);
    }

    /// After the server ended the grant, `sd` asks for a new login.
    async fn an_ended_session_asks_for_a_new_login(setup: Setup) {
        let server = storyden(&setup).await;
        let frigg = server.member("frigg", &[]).await;
        let sd = Sd { server: &server };
        let mut context = log_in(&sd, &frigg).await;
        server.suspend(&frigg).await;
        server.turn(Duration::minutes(16));
        let refused = sd.call(&mut context).await.map(|answer| answer.status);
        assert_eq!(refused, Err("session expired or was revoked".to_owned()));
    }

    /// After an early poll by another program, `sd` slows down and gets tokens. In the profile
    /// `storyden` each early poll moves the next allowed poll, so `sd` never catches up
    /// (storyden-contract.md#device-poll).
    async fn slow_down_raises_the_interval(setup: Setup) {
        for (profile, handle) in [("standards", "frigg"), ("storyden", "loki")] {
            let server = setup.clone().with("OAUTH_PROFILE", profile).start_with_own_issuer().await;
            let person = server.member(handle, &[]).await;
            let sd = Sd { server: &server };
            let waiting = sd.start().await.unwrap();
            let disturbed = [
                (1, ConcurrentAction::Disturb),
                (3, ConcurrentAction::Decide(&person, "approve")),
            ];
            let outcome = sd.wait(waiting, &disturbed).await;
            let outcome = outcome.map(|context| context.token_type);
            let expected = match profile {
                "standards" => Ok("Bearer".to_owned()),
                _ => Err("Oauth device authorization expired".to_owned()),
            };
            assert_eq!(outcome, expected, "{profile}");
        }
    }

    async fn a_denied_login_fails(setup: Setup) {
        let server = storyden(&setup).await;
        let frigg = server.member("frigg", &[]).await;
        let sd = Sd { server: &server };
        let waiting = sd.start().await.unwrap();
        let denied = [(1, ConcurrentAction::Decide(&frigg, "deny"))];
        let refused = sd.wait(waiting, &denied).await.map(|context| context.token_type);
        assert_eq!(refused, Err("Oauth authorization was denied".to_owned()));
    }

    /// Without a decision the login expires, by the clock of `sd` or by the server's.
    async fn a_login_without_a_decision_expires(setup: Setup) {
        let server = storyden(&setup).await;
        let sd = Sd { server: &server };
        let expired = Err("Oauth device authorization expired".to_owned());
        let mut waiting = sd.start().await.unwrap();
        let refused = sd.wait(waiting, &[]).await;
        assert_eq!(refused.map(|context| context.token_type), expired);
        waiting = sd.start().await.unwrap();
        waiting.ends_at = waiting.ends_at + Duration::hours(1);
        let refused = sd.wait(waiting, &[]).await;
        assert_eq!(refused.map(|context| context.token_type), expired);
    }

    /// The messages of `sd` when login is impossible.
    async fn errors_are_printed_when_login_is_impossible(setup: Setup) {
        let off = setup.clone().with("OAUTH_ENABLED", "false");
        let server = storyden(&off).await;
        let refused = Sd { server: &server }.start().await.map(|waiting| waiting.shown);
        assert_eq!(
            refused,
            Err("OAuth and OpenID Connect are not enabled on this Storyden instance.\n\
                 Ask the instance administrator to configure OAuth before using OAuth clients."
                .to_owned())
        );
        let without = setup.clone().with("OAUTH_CLI_ENABLED", "false");
        let server = storyden(&without).await;
        let refused = Sd { server: &server }.start().await.map(|waiting| waiting.shown);
        assert_eq!(refused, Err("Oauth error \"invalid_client\": Client not found".to_owned()));
        // `sd` refuses an authorization server at another origin.
        let elsewhere = setup.with("OAUTH_PROFILE", "storyden").start().await;
        let refused = Sd { server: &elsewhere }.start().await.map(|waiting| waiting.shown);
        assert!(refused.is_err_and(|why| why.contains("does not match API base")));
    }
}
