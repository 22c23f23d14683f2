//! T21: marked secrets go through every flow and appear in no output of the program.

use std::collections::BTreeMap;

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::support::{
    Answer, CHALLENGE, Client, Member, PASSWORD, Server, VERIFIER, both, free_port,
};

const TOKEN: &str = "/api/oauth/token";
const STATE: &str = "canary-state-7f3a9c";
const NONCE: &str = "canary-nonce-51be08";
const WRONG: &str = "canary-wrong-e4d2b6-0123456789012345678901234567890";

/// The program, the secrets used, and the error responses received.
struct SecretSearch {
    server: Server,
    secrets: BTreeMap<String, &'static str>,
    refusals: Vec<String>,
}

impl SecretSearch {
    /// Records a secret to search for.
    fn record(&mut self, what: &'static str, secret: &str) -> String {
        assert!(secret.len() >= 8, "{what} is too short to be looked for");
        self.secrets.insert(secret.to_owned(), what);
        secret.to_owned()
    }

    /// Records a secret of a response.
    fn record_member(&mut self, answer: &Answer, member: &'static str) -> String {
        self.record(member, &answer.text(member))
    }

    /// Sends a request that must fail, and keeps the response.
    async fn refused(&mut self, request: RequestBuilder) {
        let answer = self.server.send(request).await;
        assert!(answer.status >= 400, "{} {}", answer.status, answer.body);
        self.refusals
            .push(format!("{:?} {}", answer.headers, answer.body));
    }

    /// Sends a form that the token endpoint must reject.
    async fn refused_form(&mut self, form: &[(&str, &str)]) {
        self.refused(self.server.token_request(form)).await;
    }

    /// Sends a decision that must be rejected.
    async fn refused_decision(&mut self, path: &str, person: &Member, body: &Value) {
        let request = self.server.request("POST", path);
        self.refused(request.header("cookie", person.cookie()).json(body))
            .await;
    }

    /// Sends a credential in every wrong place, and malformed in many ways.
    async fn misuse(&mut self, app: &Client, secret: &str) {
        for grant in ["authorization_code", "refresh_token", "nothing", secret] {
            let mut form = vec![
                ("grant_type", grant),
                ("code", secret),
                ("refresh_token", secret),
                ("redirect_uri", &app.redirect_uri),
                ("code_verifier", WRONG),
                ("scope", secret),
            ];
            form.extend(app.credentials());
            self.refused_form(&form).await;
        }
        let twice = [("code", secret), ("code", secret), ("client_id", secret)];
        self.refused_form(&twice).await;
        self.refused(self.server.request("POST", TOKEN).body(secret.to_owned()))
            .await;
        let userinfo = self.server.request("GET", "/api/oauth/userinfo");
        self.refused(userinfo.bearer_auth(format!("{secret}x")))
            .await;
        let by_query = self.server.request("GET", "/api/oauth/userinfo");
        self.refused(by_query.query(&[("access_token", secret)]))
            .await;
        let basic = self
            .server
            .token_request(&[("grant_type", "client_credentials")]);
        self.refused(basic.basic_auth(secret, Some(secret))).await;
        let cookie = format!("storyden-session={secret}x; storyden-session={secret}y");
        let consent = self.server.request("GET", "/api/oauth/device/consent");
        let consent = consent
            .query(&[("user_code", secret)])
            .header("cookie", cookie);
        self.refused(consent).await;
        let nowhere = format!("/nowhere/{secret}?code={secret}");
        self.refused(self.server.request("GET", &nowhere)).await;
        let json = self.server.request("POST", "/api/auth/password/signin");
        let json = json.header("content-type", "application/json");
        self.refused(json.body(format!("{{\"token\":\"{secret}\",\"{secret}\":")))
            .await;
    }

    /// Runs the code flow with refresh, userinfo and a replay.
    async fn code_flow(&mut self, person: &Member, app: &Client) {
        let changed = [
            ("state", STATE),
            ("nonce", NONCE),
            ("code_challenge", CHALLENGE),
        ];
        let id = self.server.pending(person, app, &changed).await;
        let id = self.record("request_id", &id);
        self.server.consent(person, &id).await.expect(200);
        let decided = self.server.decide(person, &id, "approve").await.expect(200);
        let code = self.record("code", &decided.sent("code").unwrap());
        let wrong = crate::support::race::with(&app.exchange_form(&code), "code_verifier", WRONG)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect::<Vec<_>>();
        self.refused(self.server.request("POST", TOKEN).form(&wrong))
            .await;
        let first = self.server.exchange(app, &code).await.expect(200);
        self.follow(app, &first).await;
        self.refused_form(&app.exchange_form(&code)).await;
        let again = json!({ "request_id": id, "decision": "approve" });
        self.refused_decision("/api/oauth/authorize/consent", person, &again)
            .await;
        self.misuse(app, &code).await;
        self.misuse(app, &id).await;
    }

    /// Uses tokens, including reuse of a rotated token.
    async fn follow(&mut self, app: &Client, first: &Answer) {
        self.record_member(first, "id_token");
        let access = self.record_member(first, "access_token");
        let mut spent = self.record_member(first, "refresh_token");
        self.server
            .get_with_bearer("/api/oauth/userinfo", &access)
            .await
            .expect(200);
        let oldest = spent.clone();
        for _ in 0..2 {
            let next = self.server.refresh(app, &spent).await.expect(200);
            self.server.refresh(app, &spent).await.expect(200); // a repeat inside the window
            self.record_member(&next, "access_token");
            spent = self.record_member(&next, "refresh_token");
        }
        self.refused_form(&app.refresh_form(&oldest)).await;
        self.refused_form(&app.refresh_form(&spent)).await;
        self.misuse(app, &spent).await;
        self.misuse(app, &access).await;
    }

    /// Starts a device flow, and returns the device code and the user code.
    async fn start_device(&mut self, app: &Client) -> (String, String) {
        let scope = "openid offline_access";
        let started = self.server.start_device(app, scope).await.expect(200);
        let device_code = self.record_member(&started, "device_code");
        (device_code, self.record_member(&started, "user_code"))
    }

    /// Runs the device flow.
    async fn device_flow(&mut self, person: &Member, app: &Client) {
        let (device_code, user_code) = self.start_device(app).await;
        self.record("user_code", &user_code.replace('-', ""));
        self.refused_form(&app.poll_form(&device_code)).await; // pending
        self.refused_form(&app.poll_form(&device_code)).await; // slow_down
        let (device_code, user_code) = self.start_device(app).await;
        self.server
            .open_device(person, &user_code)
            .await
            .expect(200);
        self.server
            .decide_device(person, &user_code, "approve")
            .await
            .expect(200);
        let first = self.server.poll(app, &device_code).await.expect(200);
        self.follow(app, &first).await;
        self.refused_form(&app.poll_form(&device_code)).await;
        let again = json!({ "user_code": user_code, "decision": "approve" });
        self.refused_decision("/api/oauth/device/consent", person, &again)
            .await;
        self.misuse(app, &device_code).await;
    }

    /// Signs in with right and wrong passwords.
    async fn sign_in(&mut self, person: &Member, app: &Client) {
        let answer = self
            .server
            .sign_in_from("127.0.0.1", &person.handle, PASSWORD)
            .await;
        let session = self.record("session", &answer.expect(200).cookie("storyden-session"));
        for (identifier, password) in [(person.handle.as_str(), WRONG), (WRONG, PASSWORD)] {
            let body = json!({ "identifier": identifier, "token": password });
            let wrong = self.server.request("POST", "/api/auth/password/signin");
            self.refused(wrong.json(&body)).await;
        }
        self.misuse(app, &session).await;
    }

    /// Authenticates a client with a secret, by Basic and in the body.
    async fn client_secret(&mut self, service: &Client) {
        let secret = service.secret.clone().unwrap();
        self.record("client_secret", &secret);
        let form = [
            ("grant_type", "client_credentials"),
            ("scope", "READ_PROFILE"),
        ];
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let encoded = self.record("client_secret", &encode(&secret));
        let basic = self.server.token_request(&form);
        let by_basic = basic.basic_auth(&service.client_id, Some(&encoded));
        let answer = self.server.send(by_basic).await.expect(200);
        self.record_member(&answer, "access_token");
        let mut in_body = form.to_vec();
        in_body.extend(service.credentials());
        let answer = self.server.token(&in_body).await.expect(200);
        self.record_member(&answer, "access_token");
        let wrong = [("client_id", "service"), ("client_secret", WRONG)];
        self.refused_form(&[&form[..], &wrong[..]].concat()).await;
        let both = self.server.token_request(&in_body);
        self.refused(both.basic_auth(&service.client_id, Some(&encoded)))
            .await;
        self.misuse(service, &secret).await;
    }
}

both! {
    /// T21, A-83: at the highest log level, no secret is in the log, the metrics or an error.
    #[expect(clippy::print_stderr, reason = "the figures of the run, for who asks for them")]
    async fn no_secret_is_in_logs_metrics_or_errors(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let (port, metrics) = (free_port(), format!("127.0.0.1:{}", free_port()));
        let settings = [("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json"), ("METRICS_ADDR", &metrics)];
        let mut program = setup.spawn_with(port, &settings).await;
        program.says("serving metrics").await;
        let mut server = setup.start().await;
        program.address.clone_into(&mut server.address);
        let (frigg, odin) = (server.member("frigg", &[]).await, server.admin("odin").await);
        let (app, service) = (server.public_client().await, server.confidential_client(&odin.id).await);
        let mut walk = SecretSearch { server, secrets: BTreeMap::new(), refusals: Vec::new() };
        for (what, secret) in [
            ("password", PASSWORD),
            ("session", &frigg.session),
            ("code_verifier", VERIFIER),
            ("state", STATE),
            ("nonce", NONCE),
            ("a wrong secret", WRONG),
        ] {
            walk.record(what, secret);
        }
        let mut walking = tokio::spawn(async move {
            walk.code_flow(&frigg, &app).await;
            walk.device_flow(&frigg, &app).await;
            walk.client_secret(&service).await;
            walk.sign_in(&frigg, &app).await;
            let shown = walk.server.http.get(format!("http://{metrics}/metrics"));
            let shown = walk.server.send(shown).await.expect(200);
            (walk, shown.body)
        });
        // Read continuously, because a full pipe blocks the program.
        let mut said = Vec::new();
        let (walk, metrics) = loop {
            tokio::select! {
                walked = &mut walking => break walked.unwrap(),
                line = program.line() => said.push(line.unwrap()),
            }
        };
        program.terminate().await;
        let (code, rest) = program.wait().await;
        assert_eq!(code, Some(0), "{rest:?}");
        said.extend(rest);
        assert!(said.len() > walk.refusals.len(), "the log has a line for each answer");
        assert!(metrics.contains("storyden_auth_token_requests_total"), "{metrics}");
        for output in said.iter().chain(&walk.refusals).chain([&metrics]) {
            for (secret, what) in &walk.secrets {
                assert!(!output.contains(secret), "{what} {secret} is in {output}");
            }
        }
        eprintln!(
            "{} secrets in none of {} lines, {} refusals, {} bytes of metrics",
            walk.secrets.len(),
            said.len(),
            walk.refusals.len(),
            metrics.len()
        );
    }
}
