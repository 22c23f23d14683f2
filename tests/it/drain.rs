//! T12: graceful shutdown under load: every request that was read gets an answer.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use storyden_auth::clock::Timer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::journal::{PATIENCE, assert_temporarily_unavailable};
use crate::support::race::Form;
use crate::support::{Answer, Client, Server, Setup, both, free_port};

/// The grace period of a container before SIGKILL, less a margin (P5). Only `make soak` enforces the
/// time, as other runs may be on a busy machine.
const EXIT: Duration = Duration::from_secs(8);
/// Number of shutdowns.
const ROUNDS: usize = 3;
/// Number of concurrent clients.
const WORKERS: u64 = 12;
/// Answers logged before SIGTERM.
const ANSWERS: usize = 150;
/// Requests half sent at SIGTERM.
const HALF_SENT: usize = 8;
/// Body of the half-sent requests.
const BODY: &str = "client_id=app&scope=openid";

/// A client that sends requests in sequence: a refresh chain, device starts, or the key set.
struct Worker {
    server: Arc<Server>,
    app: Client,
    number: u64,
    refresh_token: String,
}

impl Worker {
    fn request(&self) -> RequestBuilder {
        match self.number % 3 {
            0 => {
                let form: Form<'_> = self.app.refresh_form(&self.refresh_token);
                self.server.token_request(&form)
            }
            1 => {
                let path = "/api/oauth/device_authorization";
                let form = [("client_id", &self.app.client_id)];
                self.server.request("POST", path).form(&form)
            }
            _ => self.server.request("GET", "/api/oauth/jwks"),
        }
    }

    /// Sends requests until the server is gone. Returns the trace ids of the complete answers.
    async fn work(mut self) -> (Self, HashSet<String>) {
        let mut answered = HashSet::new();
        for count in 1_u64.. {
            let trace_id = format!("{:016x}{count:016x}", self.number + 1);
            let traceparent = format!("00-{trace_id}-{count:016x}-01");
            let request = self.request().header("traceparent", traceparent);
            // The server did not read the request, or logged an answer; the caller of `work` compares
            // the log.
            let Ok(response) = request.send().await else {
                break;
            };
            let answer = Answer::of(response).await;
            if answer.status == 503 {
                // A slow machine may miss the signing deadline with or without a shutdown; a 503 counts
                // as an answer.
                assert_eq!(answer.header("retry-after"), "1", "{}", answer.body);
                self.server.held.count("put off by the signer", 1);
                assert_temporarily_unavailable(answer);
                answered.insert(trace_id);
                continue;
            }
            let answer = answer.expect(200);
            if self.number.is_multiple_of(3) {
                self.refresh_token = answer.text("refresh_token");
            }
            answered.insert(trace_id);
        }
        (self, answered)
    }
}

/// A request with complete headers, read by the server, and no body yet.
async fn half_sent(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/oauth/device_authorization HTTP/1.1\r\nhost: {address}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
         expect: 100-continue\r\n\r\n",
        BODY.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

/// The caller's trace id in the log line of an answered request.
fn answered(line: &str) -> Option<String> {
    let (_, id) = line
        .split_once("caller_trace_id=")
        .filter(|_| line.contains("answered"))?;
    Some(id.trim_start_matches('"').chars().take(32).collect())
}

/// Creates the clients, directed at a program at this address.
async fn workers(setup: &Setup, address: &str) -> Vec<Worker> {
    let mut server = setup.start().await;
    let frigg = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    let mut chains = Vec::new();
    for _ in 0..WORKERS {
        let first = server.tokens(&frigg, &app, &[]).await;
        chains.push(first.text("refresh_token"));
    }
    address.clone_into(&mut server.address);
    let server = Arc::new(server);
    let worker = |(number, refresh_token)| Worker {
        server: Arc::clone(&server),
        app: app.clone(),
        number,
        refresh_token,
    };
    (0..).zip(chains).map(worker).collect()
}

both! {
    /// T12, P5: on SIGTERM under load the server answers every request that was read, and exits with 0
    /// in time.
    async fn shutdown_under_load_answers_every_request_read(setup: Setup) {
        let mut setup = setup;
        setup.use_machine_clock();
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        let within = if setup.is_soak { EXIT } else { PATIENCE };
        let mut workers = workers(&setup, &format!("http://{address}")).await;
        for _ in 0..ROUNDS {
            let mut program = setup.spawn_with(port, &[("LOG_LEVEL", "debug")]).await;
            let mut half = Vec::new();
            for _ in 0..HALF_SENT {
                half.push(half_sent(&address).await);
            }
            let mut running = JoinSet::new();
            for worker in workers {
                running.spawn(worker.work());
            }
            let mut said = Vec::new();
            while said.len() < ANSWERS {
                said.extend(answered(&program.line().await.unwrap()));
            }
            program.terminate().await;
            let draining = Timer::start();
            loop {
                let line = program.line().await.unwrap();
                said.extend(answered(&line));
                if line.contains("draining") {
                    break;
                }
            }
            for stream in &mut half {
                stream.write_all(BODY.as_bytes()).await.unwrap();
            }
            for mut stream in half {
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                assert!(answer.contains("user_code"), "{answer}");
            }
            let (code, rest) = tokio::time::timeout(within, program.wait()).await.expect("exits in time");
            let seconds = draining.seconds();
            assert_eq!(code, Some(0), "{rest:?}");
            said.extend(rest.iter().filter_map(|line| answered(line)));
            let mut received = HashSet::new();
            workers = Vec::new();
            for (worker, ids) in running.join_all().await {
                workers.push(worker);
                received.extend(ids);
            }
            let lost: Vec<_> = said.iter().filter(|id| !received.contains(*id)).collect();
            assert!(lost.is_empty(), "answered, and not received: {lost:?}");
            let count = said.len();
            assert_eq!(count, received.len());
            setup.held.count("SIGTERMs", 1);
            setup.held.count("answered and received", count + HALF_SENT);
            setup.held.longest("ms to exit at most", seconds);
        }
    }
}
