//! P7: clean-up, index creation and large revocations in a large database: other writes are not blocked,
//! and the clean-up rate does not fall.
//!
//! A few hundred rows in `make test`; a million in `make soak`, which enforces the figures.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use storyden_auth::clock::Timer;
use storyden_auth::jobs;
use storyden_auth::store::apply_revocations;
use storyden_auth::store::clients;
use storyden_auth::store::indexes::INDEXES;
use tokio::task::JoinHandle;

use crate::cleanup::wait_for_first_pass;
use crate::support::{Answer, Client, Engine, Member, NewClient, Server, Setup, Tokens, both};

/// Rotations of each chain: a day of an application that refreshes every half an hour.
const LENGTH: u32 = 50;
/// Number of refreshes for the idle p99.
const IDLE: usize = 500;
/// Longest wait of a concurrent write, as a multiple of the idle p99.
const WAIT: f64 = 10.0;
/// Lowest rate with many rows, as a share of the rate with few rows.
const RATE: f64 = 0.8;
/// `RATE_LIMIT` for continuous refreshes.
const UNLIMITED: &str = "1000000000";
/// Longest wait in seconds of a write during index creation, below the timeouts of the server.
const INDEX_WAIT: f64 = 3.0;
/// Maximum response time in seconds of a large revocation.
const ANSWER: f64 = 2.0;

/// A client that refreshes continuously.
struct Writer {
    server: Arc<Server>,
    app: Client,
    token: String,
}

impl Writer {
    async fn new(server: &Arc<Server>, of: &Member, app: &Client) -> Self {
        Self {
            server: Arc::clone(server),
            app: app.clone(),
            token: server.tokens(of, app, &[]).await.text("refresh_token"),
        }
    }

    /// Refreshes once; returns the duration in seconds.
    async fn write(&mut self) -> f64 {
        let since = Timer::start();
        let answer = self.server.refresh(&self.app, &self.token).await;
        let seconds = since.seconds();
        self.token = answer.expect(200).text("refresh_token");
        seconds
    }

    /// Measures the 99th percentile of refreshes on an idle server.
    async fn idle(&mut self) -> f64 {
        let mut seconds = Vec::with_capacity(IDLE);
        for _ in 0..IDLE {
            seconds.push(self.write().await);
        }
        seconds.sort_by(f64::total_cmp);
        seconds[IDLE * 99 / 100]
    }

    /// Refreshes until `stop` is set. Returns the writer and the sorted durations.
    fn start(mut self, stop: &Arc<AtomicBool>) -> JoinHandle<(Self, Vec<f64>)> {
        let stop = Arc::clone(stop);
        tokio::spawn(async move {
            let mut seconds = Vec::new();
            while seconds.is_empty() || !stop.load(Ordering::Relaxed) {
                seconds.push(self.write().await);
            }
            seconds.sort_by(f64::total_cmp);
            (self, seconds)
        })
    }
}

const EXPIRED: &str =
    "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE id LIKE 'over%' OR id LIKE 'past%'";

/// Runs clean-up passes until no expired token is left. Returns the rate of deleted tokens per second.
async fn clean_up(server: &Server) -> f64 {
    let expired = server.count(EXPIRED, &[]).await;
    let since = Timer::start();
    while !jobs::clean_up(server.context.clone()).await {}
    let seconds = since.seconds();
    assert_eq!(server.count(EXPIRED, &[]).await, 0);
    f64::from(i32::try_from(expired).unwrap()) / seconds
}

/// [`clean_up`] beside a client that refreshes. Returns the client, the rate, and the sorted durations of the
/// refreshes.
async fn clean_up_beside(server: &Server, writer: Writer) -> (Writer, f64, Vec<f64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let writing = writer.start(&stop);
    let rate = clean_up(server).await;
    stop.store(true, Ordering::Relaxed);
    let (writer, seconds) = writing.await.unwrap();
    (writer, rate, seconds)
}

/// Rounds a reported figure.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure of a test"
)]
fn rounded(figure: f64) -> usize {
    figure.round() as usize
}

/// Samples the age of the server's write transactions until `stop`. Returns the longest, in seconds; 0 on
/// SQLite.
fn longest_transaction(setup: &Setup, stop: &Arc<AtomicBool>) -> JoinHandle<f64> {
    const AGE: &str = "SELECT COALESCE(MAX(EXTRACT(EPOCH FROM clock_timestamp() - xact_start)), 0)::text \
         FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL \
         AND application_name = 'storyden-auth'";
    let (setup, stop) = (setup.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut longest: f64 = 0.0;
        if setup.engine == Engine::Sqlite {
            return longest; // a single writer: a long transaction delays the other writes
        }
        let mut database = setup.connect_as_other_process().await;
        while !stop.load(Ordering::Relaxed) {
            let age = database.texts(AGE).await.remove(0).unwrap();
            longest = longest.max(age.parse().unwrap());
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        longest
    })
}

/// A large revocation.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The owner deletes a client.
    Application,
    /// A member revokes the grants of an application.
    Grants,
    /// A member signs out of all sessions.
    Account,
    /// A dynamically registered client deletes itself (RFC 7592 §2.3).
    Registration,
}

/// A client, and the request that revokes the client's tokens.
struct Ending {
    app: Client,
    request: reqwest::RequestBuilder,
}

impl End {
    async fn of(self, server: &Server, frigg: &Member) -> Ending {
        let public = NewClient {
            owner: Some(frigg.id.clone()),
            ..NewClient::default()
        };
        if let Self::Registration = self {
            let document = json!({
                "redirect_uris": ["https://app.example/cb"], "token_endpoint_auth_method": "none",
            });
            let registered = server
                .send(
                    server
                        .request("POST", "/api/oauth/register")
                        .json(&document),
                )
                .await;
            let registered = registered.expect(201);
            let client_id = registered.text("client_id");
            let row = clients::find(&server.context.db, &client_id)
                .await
                .unwrap()
                .unwrap();
            let path = format!("/api/oauth/register/{client_id}");
            let token = registered.text("registration_access_token");
            return Ending {
                app: Client {
                    row_id: row.row_id,
                    client_id,
                    secret: None,
                    redirect_uri: "https://app.example/cb".to_owned(),
                },
                request: server.request("DELETE", &path).bearer_auth(token),
            };
        }
        let app = server.client(public).await;
        let path = match self {
            Self::Application => format!("/api/auth/oauth/clients/{}", app.row_id),
            Self::Grants => format!("/api/auth/oauth/applications/{}", app.row_id),
            Self::Account | Self::Registration => "/api/auth/sessions".to_owned(),
        };
        let request = server
            .request("DELETE", &path)
            .header("cookie", frigg.cookie());
        Ending { app, request }
    }

    /// True if the client and its rows are deleted.
    fn deletes(self) -> bool {
        matches!(self, Self::Application | Self::Registration)
    }
}

/// Revokes many live tokens with one request while another client refreshes: the response is fast, the
/// transaction is short, and the tokens are rejected from the response on. The job then updates or deletes
/// the rows, beside the same writes.
#[expect(clippy::too_many_lines, reason = "one flow, told in order")]
async fn end_many_tokens(setup: Setup, end: End) {
    let server = setup
        .clone()
        .with("OAUTH_DYNAMIC_REGISTRATION_ENABLED", "true")
        .with("RATE_LIMIT", UNLIMITED)
        .start()
        .await;
    let server = Arc::new(server);
    wait_for_first_pass(&server).await;
    let (odin, frigg) = (
        server.admin("odin").await,
        server.member("frigg", &[]).await,
    );
    let sif = server.member("sif", &[]).await;
    let key = server.access_key(&odin, "sdpak").await;
    let other = server
        .client(NewClient {
            client_id: "other",
            ..NewClient::default()
        })
        .await;
    let Ending { app, request } = end.of(&server, &frigg).await;
    let scope = [("scope", "openid offline_access")];
    let early = server.tokens(&frigg, &app, &scope).await;
    let chains = if setup.is_soak { 100_000 } else { 500 };
    setup
        .insert_token_chains(
            &frigg,
            &app,
            Tokens {
                prefix: "many",
                chains,
                length: 1,
                days: 20,
            },
        )
        .await;
    let late = server.tokens(&frigg, &app, &scope).await;
    let mut writer = Writer::new(&server, &sif, &other).await;
    let idle = if setup.is_soak {
        writer.idle().await
    } else {
        0.0
    };

    let stop = Arc::new(AtomicBool::new(false));
    let transaction = longest_transaction(&setup, &stop);
    let writing = writer.start(&stop);
    let since = Timer::start();
    let answer = server.send(request).await;
    let seconds = since.seconds();
    assert!(matches!(answer.status, 200 | 204), "{answer:?}");
    for tokens in [&early, &late] {
        assert_rejected(&server, &app, &key, tokens).await;
    }
    stop.store(true, Ordering::Relaxed);
    let (writer, waits) = writing.await.unwrap();
    let waited = waits[waits.len() - 1];
    let transaction = transaction.await.unwrap();

    let stop = Arc::new(AtomicBool::new(false));
    let writing = writer.start(&stop);
    let since = Timer::start();
    while apply_revocations::any_open(&server.context.db)
        .await
        .unwrap()
    {
        jobs::apply_revocations(server.context.clone()).await;
        tokio::task::yield_now().await;
    }
    let applied = since.seconds();
    stop.store(true, Ordering::Relaxed);
    let (_, waits) = writing.await.unwrap();
    let waited_for_job = waits[waits.len() - 1];
    let client = [app.row_id.as_str()];
    if end.deletes() {
        let rows = "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE client_id = $1";
        assert_eq!(server.count(rows, &client).await, 0);
        let row = "SELECT COUNT(*) AS n FROM oauth_clients WHERE id = $1";
        assert_eq!(server.count(row, &client).await, 0);
    }
    for live in [
        "SELECT COUNT(*) AS n FROM oauth_refresh_tokens WHERE client_id = $1 AND revoked_at IS NULL",
        "SELECT COUNT(*) AS n FROM auth_grants WHERE client_id = $1 AND revoked_at IS NULL",
    ] {
        assert_eq!(server.count(live, &client).await, 0, "{live}");
    }

    server
        .held
        .count("live tokens", usize::try_from(chains).unwrap());
    server.held.longest("ms to answer", seconds);
    server.held.longest("ms longest transaction", transaction);
    server.held.longest("ms idle p99 of other writes", idle);
    server.held.longest("ms longest", waited);
    server
        .held
        .longest("ms longest beside the job", waited_for_job);
    server.held.longest("ms for the job", applied);
    if setup.is_soak {
        assert!(seconds <= ANSWER, "the answer took {seconds} s");
        let longest = waited.max(waited_for_job).max(transaction);
        assert!(
            longest <= WAIT * idle,
            "a write waited {longest} s, idle p99 is {idle} s"
        );
    }
}

/// Fails unless every endpoint rejects the tokens.
async fn assert_rejected(server: &Server, app: &Client, key: &str, given: &Answer) {
    let (access_token, refresh_token) = (given.text("access_token"), given.text("refresh_token"));
    server
        .get_with_bearer("/api/oauth/userinfo", &access_token)
        .await
        .expect_error(401, "invalid_token");
    server.refresh(app, &refresh_token).await.expect(400);
    for token in [&access_token, &refresh_token] {
        let asked = server
            .request("POST", "/api/oauth/introspect")
            .bearer_auth(key);
        let asked = server
            .send(asked.form(&[("token", token)]))
            .await
            .expect(200);
        assert_eq!(asked.json(), json!({ "active": false }));
    }
}

both! {
    /// P7: the clean-up of 500,000 expired among 1,000,000 refresh tokens delays concurrent writes by
    /// at most ten times the idle p99, and keeps the rate of 5,000 among 10,000.
    async fn clean_up_does_not_delay_other_writes(setup: Setup) {
        let setup = setup.with("RATE_LIMIT", UNLIMITED);
        let server = Arc::new(setup.start().await);
        wait_for_first_pass(&server).await;
        let frigg = server.member("frigg", &[]).await;
        let app = server.public_client().await;
        let other = NewClient { client_id: "other", ..NewClient::default() };
        let other = server.client(other).await;
        let chains = |few: u32, many: u32| if setup.is_soak { few * many / LENGTH } else { few / 1_000 };
        let few = Tokens { prefix: "over", chains: chains(5_000, 1), length: LENGTH, days: -8 };
        let live = Tokens { prefix: "live", days: 20, ..few };
        setup.insert_token_chains(&frigg, &app, few).await;
        setup.insert_token_chains(&frigg, &app, live).await;
        let writer = Writer::new(&server, &frigg, &other).await;
        let (mut writer, rate_of_few, _) = clean_up_beside(&server, writer).await;

        let many = Tokens { prefix: "past", chains: chains(5_000, 100), ..few };
        setup.insert_token_chains(&frigg, &app, many).await;
        setup.insert_token_chains(&frigg, &app, Tokens { prefix: "good", days: 20, ..many }).await;
        let idle = writer.idle().await;
        let (_, rate_of_many, seconds) = clean_up_beside(&server, writer).await;
        let (p99, longest) = (seconds[seconds.len() * 99 / 100], seconds[seconds.len() - 1]);

        let deleted = (few.chains + many.chains) * LENGTH;
        server.held.count("expired tokens", usize::try_from(deleted).unwrap());
        server.held.count("per second of few", rounded(rate_of_few));
        server.held.count("per second of many", rounded(rate_of_many));
        server.held.count("other writes", seconds.len());
        server.held.longest("ms idle p99", idle);
        server.held.longest("ms p99 meanwhile", p99);
        server.held.longest("ms longest", longest);
        let left = "SELECT COUNT(*) AS n FROM auth_refresh_tokens WHERE token_id LIKE 'live%' OR token_id LIKE 'good%'";
        assert_eq!(server.count(left, &[]).await, i64::from(deleted));
        let grants = "SELECT COUNT(*) AS n FROM auth_grants WHERE id LIKE 'over%' OR id LIKE 'past%'";
        assert_eq!(server.count(grants, &[]).await, 0);
        if setup.is_soak {
            assert!(longest <= WAIT * idle, "a write waited {longest} s, idle p99 is {idle} s");
            assert!(rate_of_many >= RATE * rate_of_few, "{rate_of_many}/s of many, {rate_of_few}/s of few");
        }
    }

    /// P7: a server that starts beside a Storyden recreates the indexes of 1,000,000 refresh tokens that the
    /// Storyden dropped, beside concurrent writes. On SQLite with the journal mode of a Storyden.
    async fn indexes_are_created_beside_other_writes(setup: Setup) {
        let setup = setup.with("RATE_LIMIT", UNLIMITED);
        let mut storyden = setup.add_storyden_tables().await;
        let (frigg, app, other) = {
            let server = setup.start().await;
            wait_for_first_pass(&server).await;
            let other = NewClient { client_id: "other", ..NewClient::default() };
            (server.member("frigg", &[]).await, server.public_client().await, server.client(other).await)
        };
        setup.drop_indexes().await;
        let chains = if setup.is_soak { 20_000 } else { 20 };
        let tokens = Tokens { prefix: "many", chains, length: LENGTH, days: 20 };
        setup.insert_token_chains(&frigg, &app, tokens).await;
        let server = Arc::new(setup.start().await);
        let since = Timer::start();
        let writer = Writer::new(&server, &frigg, &other).await;
        let stop = Arc::new(AtomicBool::new(false));
        let writing = writer.start(&stop);
        while storyden.own_indexes_on_storyden_tables().await.len() < INDEXES.len() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await; // the job makes them
        }
        let making = since.seconds();
        stop.store(true, Ordering::Relaxed);
        let (mut writer, seconds) = writing.await.unwrap();
        let idle = writer.idle().await;
        let longest = seconds[seconds.len() - 1];
        server.held.count("indexed tokens", usize::try_from(chains * LENGTH).unwrap());
        server.held.longest("ms to make the indexes", making);
        server.held.count("other writes", seconds.len());
        server.held.longest("ms idle p99 of other writes", idle);
        server.held.longest("ms p99 meanwhile", seconds[seconds.len() * 99 / 100]);
        server.held.longest("ms longest", longest);
        if setup.is_soak {
            assert!(longest <= INDEX_WAIT, "a write waited {longest} s for an index");
        }
    }

    /// P7: deletion of a client with 100,000 live tokens.
    async fn many_tokens_end_with_their_client(setup: Setup) {
        end_many_tokens(setup, End::Application).await;
    }

    /// P7: revocation of 100,000 grants of an account to a client.
    async fn many_tokens_end_with_the_grants_of_an_account(setup: Setup) {
        end_many_tokens(setup, End::Grants).await;
    }

    /// P7: sign-out of all sessions with 100,000 live tokens.
    async fn many_tokens_end_with_all_sessions(setup: Setup) {
        end_many_tokens(setup, End::Account).await;
    }

    /// req_143, P7: deletion of a dynamic registration with 100,000 live tokens (RFC 7592).
    async fn many_tokens_end_with_their_registration(setup: Setup) {
        end_many_tokens(setup, End::Registration).await;
    }
}
