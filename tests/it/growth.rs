//! P7: clean-up of a large database: other writes are not blocked, and the rate does not fall.
//!
//! A few hundred rows in `make test`; a million in `make soak`, which enforces the ratios.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use storyden_auth::clock::Timer;
use storyden_auth::jobs::{self, IndexCheck};
use tokio::task::JoinHandle;

use crate::cleanup::wait_for_first_pass;
use crate::support::{Client, Member, NewClient, Server, Tokens, both};

/// Rotations of each chain: a day of an application that refreshes every half an hour.
const LENGTH: u32 = 50;
/// Number of refreshes for the idle p99.
const IDLE: usize = 500;
/// Longest wait of a concurrent write, as a multiple of the idle p99.
const WAIT: f64 = 10.0;
/// Lowest rate with many rows, as a share of the rate with few rows.
const RATE: f64 = 0.8;

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

/// Rounds a reported figure.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a figure of a test"
)]
fn rounded(figure: f64) -> usize {
    figure.round() as usize
}

both! {
    /// P7: the clean-up of 500,000 expired among 1,000,000 refresh tokens delays concurrent writes by
    /// at most ten times the idle p99, and keeps the rate of 5,000 among 10,000. Indexes that a
    /// Storyden dropped are recreated first, beside concurrent writes.
    async fn clean_up_does_not_delay_other_writes(setup: Setup) {
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
        let rate_of_few = clean_up(&server).await;

        setup.drop_indexes().await;
        let many = Tokens { prefix: "past", chains: chains(5_000, 100), ..few };
        setup.insert_token_chains(&frigg, &app, many).await;
        setup.insert_token_chains(&frigg, &app, Tokens { prefix: "good", days: 20, ..many }).await;
        let mut writer = Writer::new(&server, &frigg, &other).await;

        let stop = Arc::new(AtomicBool::new(false));
        let writing = writer.start(&stop);
        let since = Timer::start();
        while jobs::make_indexes(&server.context).await == IndexCheck::Later {
            tokio::task::yield_now().await;
        }
        let making = since.seconds();
        stop.store(true, Ordering::Relaxed);
        let (back, seconds) = writing.await.unwrap();
        writer = back;
        server.held.longest("ms to make the indexes", making);
        server.held.longest("ms waited meanwhile", seconds[seconds.len() - 1]);

        let idle = writer.idle().await;
        let stop = Arc::new(AtomicBool::new(false));
        let writing = writer.start(&stop);
        let rate_of_many = clean_up(&server).await;
        stop.store(true, Ordering::Relaxed);
        let (_, seconds) = writing.await.unwrap();
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
}
