//! A server per test, started by the same function as in production, on a separate port.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use storyden_auth::clock::{Clock, Timestamp};
use storyden_auth::config::Config;
use storyden_auth::context::{Context, Environment, SharedContext};
use storyden_auth::egress::network::{Network, System};
use storyden_auth::http::listener;
use storyden_auth::keys::SigningLimits;
use storyden_auth::passwords::Cost;
use storyden_auth::random::Random;
use storyden_auth::rate_limit::connections::ConnectionLimits;
use storyden_auth::store::value::Value;
use storyden_auth::timeouts::Timeouts;
use time::Duration;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::database::{Engine, TestDatabase, signing_key};
use super::soak::{Figures, Rounds};

/// Time at the start of every test.
const START_TIME: time::OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

/// A database and settings, before a server is started.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) engine: Engine,
    pub(crate) database: TestDatabase,
    pub(crate) folder: std::path::PathBuf,
    pub(crate) clock: Clock,
    /// Timeouts for slow peers.
    pub(crate) timeouts: Timeouts,
    /// Limits of the signing queue.
    pub(crate) signing: SigningLimits,
    /// Connection limits.
    pub(crate) connections: ConnectionLimits,
    /// Seed of the test's random number generator.
    pub(crate) seed: u64,
    /// True under `make soak`: the machine is idle, and time limits are asserted.
    pub(crate) is_soak: bool,
    /// Figures that the test reports.
    pub(crate) held: Figures,
    /// Network for outgoing requests.
    pub(crate) network: Arc<dyn Network>,
    settings: HashMap<String, String>,
}

/// A test function. Boxed, so that the runner is compiled once instead of per test.
pub(crate) type Test = fn(Setup) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs a test on an engine for the planned number of rounds. Each round has a new database, dropped
/// after the round even if the test fails.
pub(crate) fn run(engine: Engine, test: Test) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut rounds = Rounds::planned();
    let mut failure = None;
    while let Some(seed) = rounds.next() {
        let round = AssertUnwindSafe(|| runtime.block_on(round(engine, test, seed, &rounds)));
        failure = match std::panic::catch_unwind(round) {
            Ok(Ok(())) => continue,
            Ok(Err(in_test)) => Some(in_test.into_panic()),
            Err(around_it) => Some(around_it),
        };
        rounds.failed();
        break;
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    if let Some(failure) = failure {
        std::panic::resume_unwind(failure);
    }
}

async fn round(engine: Engine, test: Test, seed: u64, rounds: &Rounds) -> Result<(), JoinError> {
    let folder = tempfile::tempdir().unwrap();
    let database = TestDatabase::create(engine, folder.path()).await;
    let setup = Setup {
        engine,
        database: database.clone(),
        folder: folder.path().to_owned(),
        clock: Clock::fixed(Timestamp::new(START_TIME)),
        timeouts: Timeouts::default(),
        signing: SigningLimits::default(),
        connections: ConnectionLimits::of_process(),
        seed,
        is_soak: rounds.is_soak(),
        held: rounds.held.clone(),
        network: Arc::new(System),
        settings: HashMap::new(),
    };
    let outcome = tokio::spawn(test(setup)).await;
    database.remove().await;
    outcome
}

impl Setup {
    /// Adds a setting.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Uses the machine's clock, for other programs that do. Codes live as long as they may, so that none expires
    /// while a busy machine starts a program.
    pub(crate) fn use_machine_clock(&mut self) {
        self.clock = Clock::machine();
        let ttl = ("OAUTH_AUTHORISATION_CODE_TTL".to_owned(), "10m".to_owned());
        self.settings.extend([ttl]);
    }

    /// Another community with a database of its own, which the caller removes.
    pub(crate) async fn second_community(&self) -> Self {
        let folder = self.folder.join("second");
        std::fs::create_dir(&folder).unwrap();
        Self {
            database: TestDatabase::create(self.engine, &folder).await,
            folder,
            settings: HashMap::new(),
            ..self.clone()
        }
    }

    /// Starts a server. Several servers on the same setup are replicas.
    pub(crate) async fn start(&self) -> Server {
        self.start_on(TcpListener::bind("127.0.0.1:0").await.unwrap())
            .await
    }

    /// Starts a server with the listening address as the issuer.
    pub(crate) async fn start_with_own_issuer(&self) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        self.clone()
            .with("PUBLIC_API_ADDRESS", &issuer)
            .start_on(listener)
            .await
    }

    async fn start_on(&self, listener: TcpListener) -> Server {
        let port = listener.local_addr().unwrap().port();
        let mut settings = self.settings.clone();
        let mut default = |name: &str, value: String| {
            settings.entry(name.to_owned()).or_insert(value);
        };
        default("DATABASE_URL", self.database.url.clone());
        default("DATA_DIR", self.folder.display().to_string());
        default(
            "OAUTH_SIGNING_KEY_BASE64",
            std::fs::read_to_string(signing_key()).unwrap(),
        );
        default("PUBLIC_API_ADDRESS", "https://auth.example".to_owned());
        default("TRUSTED_PROXIES", "127.0.0.0/8".to_owned());
        let config = Config::from_lookup(&|name| settings.get(name).cloned()).unwrap();
        let sources = Environment {
            clock: self.clock.clone(),
            random: Random::seeded(u64::from(port)),
            cost: Cost::Cheap,
            timeouts: self.timeouts,
            signing: self.signing,
            connections: self.connections,
            network: Arc::clone(&self.network),
        };
        let context = Arc::new(Context::new(config, sources).await.unwrap());
        context.load_keys().await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(listener::run(Arc::clone(&context), listener, stop.clone()));
        Server {
            address: format!("http://127.0.0.1:{port}"),
            context,
            clock: self.clock.clone(),
            http: http_client(),
            held: self.held.clone(),
            stop,
        }
    }
}

/// Builds an HTTP client that neither follows redirects nor stores cookies.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of the tests that makes a client"
)]
fn http_client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap()
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: String,
    pub(crate) context: SharedContext,
    pub(crate) clock: Clock,
    pub(crate) http: reqwest::Client,
    pub(crate) held: Figures,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    /// Advances the clock.
    pub(crate) fn turn(&self, by: Duration) {
        self.clock.turn(by);
    }

    /// Builds a request to a path, to be sent with [`Server::send`].
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method.parse().unwrap(), format!("{}{path}", self.address))
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends a `GET` without any credential.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    /// Sends a `POST` of a form without any credential.
    pub(crate) async fn post_form(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(self.request("POST", path).form(form)).await
    }

    /// Sends a `POST` to the token endpoint.
    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Answer {
        self.post_form("/api/oauth/token", form).await
    }

    /// Sends a `GET` with an access token.
    pub(crate) async fn get_with_bearer(&self, path: &str, token: &str) -> Answer {
        self.send(self.request("GET", path).bearer_auth(token))
            .await
    }

    /// Executes SQL on the database, bypassing the server, and returns the number of changed rows.
    pub(crate) async fn sql(&self, sql: &'static str, args: &[&str]) -> u64 {
        let args = args.iter().map(|text| Value::from(*text)).collect();
        self.context.db.execute(sql, args).await.unwrap()
    }

    /// Returns the result of a `SELECT COUNT(*) AS n …`.
    pub(crate) async fn count(&self, sql: &'static str, args: &[&str]) -> i64 {
        let args: Vec<Value> = args.iter().map(|text| Value::from(*text)).collect();
        self.context.db.fetch_one(sql, &args).await.unwrap()
    }
}
