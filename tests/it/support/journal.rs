//! A load of concurrent clients during an outage of the server or the database, with a journal of the
//! responses, to be verified afterwards.
//!
//! A client advances items step by step, and marks a step as in flight if no response arrives.
//! Verification repeats the step: a step that was not sent must succeed, a step in flight may already
//! be done, and an acknowledged step must still be in effect.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::RequestBuilder;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::client::{CHALLENGE, Client};
use super::member::Member;
use super::server::{Server, Setup};

/// Number of concurrent clients.
pub(crate) const WORKERS: usize = 8;
/// Number of items per client.
const ITEMS: usize = 3;
/// OAuth error code of a temporary outage.
const TEMPORARILY_UNAVAILABLE: &str = "temporarily_unavailable";
/// Timeout for the verification of all journals, for slow machines.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// Limits and lifetimes that exceed any outage, also on a slow machine.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("RATE_LIMIT", "1000000000"),
    ("OAUTH_REFRESH_TOKEN_REUSE_WINDOW", "5m"),
    ("OAUTH_AUTHORISATION_CODE_TTL", "10m"),
    ("OAUTH_DEVICE_POLL_EVERY", "0s"),
];

/// Progress of an item: the last acknowledged response.
#[derive(Clone, Debug)]
enum Stage {
    /// Initial stage; a code flow is next.
    CodeFlow,
    /// A pending authorization request.
    Request(String),
    /// An authorization code.
    Code(String),
    /// Initial stage; a device flow is next.
    DeviceFlow,
    /// A device flow, not opened yet.
    Device(DeviceCodes),
    /// An opened device flow.
    Opened(DeviceCodes),
    /// An approved device flow.
    Approved(DeviceCodes),
    /// Issued tokens.
    Chain(Chain),
}

/// The two codes of a device flow.
#[derive(Clone, Debug)]
struct DeviceCodes {
    device: String,
    user: String,
}

/// Origin of tokens.
#[derive(Clone, Debug)]
enum Origin {
    Code(String),
    Device(String),
}

/// A refresh chain as known to the client.
#[derive(Clone, Debug)]
struct Chain {
    origin: Origin,
    /// Refresh token used last.
    spent: Option<String>,
    refresh_token: String,
    access_token: String,
}

/// An item of a client, with the journal.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    stage: Stage,
    /// True if the next step was sent without a response.
    pub(crate) in_flight: bool,
}

/// Outage during a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoadOutage {
    /// SIGKILL of the server.
    ServerKilled,
    /// Loss of the database; the server stays up.
    DatabaseLost,
}

/// Server, account and client shared by all workers.
pub(crate) struct Load {
    pub(crate) server: Server,
    pub(crate) person: Member,
    pub(crate) app: Client,
    fate: LoadOutage,
}

/// Why a step failed.
enum StepError {
    /// Connection refused; nothing was sent.
    NotSent,
    /// The request was sent, and the response is missing or incomplete.
    NoAnswer,
    /// A temporary error with Retry-After.
    Temporary,
}

/// Asserts a 503 `temporarily_unavailable` with Retry-After.
#[track_caller]
pub(crate) fn assert_temporarily_unavailable(answer: Answer) {
    let answer = answer.expect_error(503, TEMPORARILY_UNAVAILABLE);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() > 0);
}

async fn send(request: RequestBuilder) -> Result<Answer, StepError> {
    let response = request.send().await.map_err(|error| {
        if error.is_connect() {
            StepError::NotSent
        } else {
            StepError::NoAnswer
        }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.map_err(|_| StepError::NoAnswer)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn new_item(rng: &mut StdRng) -> Item {
    let stage = if rng.random_range(0..3) == 0 {
        Stage::DeviceFlow
    } else {
        Stage::CodeFlow
    };
    Item {
        stage,
        in_flight: false,
    }
}

impl Load {
    /// True if the response asks the client to retry: an OAuth error, a redirect with an error (RFC
    /// 6749 §4.1.2.1), or `slow_down` for a device (RFC 8628 §3.5).
    fn is_temporary_error(&self, answer: &Answer) -> bool {
        if answer.status == 400 && answer.text("error") == "slow_down" {
            self.server.held.count("put off as a device", 1);
            return true;
        }
        let by_redirect = || {
            answer.status == 302 && answer.sent("error").as_deref() == Some(TEMPORARILY_UNAVAILABLE)
        };
        let what = match answer.find_header("retry-after") {
            _ if answer.status != 503 && !by_redirect() => return false,
            Some("1") => "put off by the signer",
            _ => "put off by the database",
        };
        if answer.status == 503 {
            assert_temporarily_unavailable(answer.clone());
        }
        self.server.held.count(what, 1);
        true
    }

    /// Builds the request of the next step.
    fn request(&self, stage: &Stage) -> RequestBuilder {
        let (server, app) = (&self.server, &self.app);
        let as_person = |request: RequestBuilder| request.header("cookie", self.person.cookie());
        match stage {
            Stage::CodeFlow => {
                let query = [
                    ("response_type", "code"),
                    ("client_id", &app.client_id),
                    ("redirect_uri", &app.redirect_uri),
                    ("scope", "openid offline_access"),
                    ("state", "st"),
                    ("prompt", "consent"), // approved before
                    ("code_challenge", CHALLENGE),
                    ("code_challenge_method", "S256"),
                ];
                as_person(server.request("GET", "/api/oauth/authorize")).query(&query)
            }
            Stage::Request(id) => {
                let body = json!({ "request_id": id, "decision": "approve" });
                as_person(server.request("POST", "/api/oauth/authorize/consent")).json(&body)
            }
            Stage::Code(code) => server.token_request(&app.exchange_form(code)),
            Stage::DeviceFlow => {
                let form = [
                    ("client_id", app.client_id.as_str()),
                    ("scope", "openid offline_access"),
                ];
                server
                    .request("POST", "/api/oauth/device_authorization")
                    .form(&form)
            }
            Stage::Device(codes) => as_person(server.request("GET", "/api/oauth/device/consent"))
                .query(&[("user_code", &codes.user)]),
            Stage::Opened(codes) => {
                let body = json!({ "user_code": codes.user, "decision": "approve" });
                as_person(server.request("POST", "/api/oauth/device/consent")).json(&body)
            }
            Stage::Approved(codes) => server.token_request(&app.poll_form(&codes.device)),
            Stage::Chain(chain) => server.token_request(&app.refresh_form(&chain.refresh_token)),
        }
    }

    /// Advances an item by a step; `Ok(false)` if the server rejected the step.
    async fn step(&self, item: &mut Item) -> Result<bool, StepError> {
        let request = self.request(&item.stage);
        let answer = match send(request).await {
            Ok(answer) => answer,
            Err(broken) => {
                item.in_flight |= matches!(broken, StepError::NoAnswer);
                return Err(broken);
            }
        };
        if self.is_temporary_error(&answer) {
            item.in_flight = true;
            return Err(StepError::Temporary);
        }
        self.server.held.count("steps answered", 1);
        assert!(answer.status < 500, "{} {}", answer.status, answer.body);
        if answer.status >= 400 {
            return Ok(false);
        }
        item.in_flight = false;
        item.stage = follow(&item.stage, &answer);
        Ok(true)
    }

    /// Advances items until the server is gone, every item got a temporary error, or `stop` is
    /// cancelled. Returns the journal.
    async fn work(&self, mut items: Vec<Item>, seed: u64, stop: CancellationToken) -> Vec<Item> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut open: Vec<usize> = (0..items.len()).collect();
        while !open.is_empty() && !stop.is_cancelled() {
            let at = open[rng.random_range(0..open.len())];
            match self.step(&mut items[at]).await {
                Ok(taken) => assert!(taken, "refused while nothing was wrong: {:?}", items[at]),
                Err(StepError::Temporary) => open.retain(|known| *known != at),
                Err(_) => {
                    assert_eq!(self.fate, LoadOutage::ServerKilled, "the server is gone");
                    break;
                }
            }
            if matches!(items[at].stage, Stage::Chain(_)) && rng.random_range(0..6) == 0 {
                items[at] = new_item(&mut rng);
            }
        }
        items
    }

    /// Sends a request until the response is no temporary error.
    async fn ask(&self, request: RequestBuilder) -> Answer {
        loop {
            let again = request.try_clone().unwrap();
            let Ok(answer) = send(again).await else {
                panic!("the server is gone");
            };
            if !self.is_temporary_error(&answer) {
                return answer;
            }
        }
    }

    async fn refresh(&self, token: &str) -> Answer {
        let form = self.app.refresh_form(token);
        self.ask(self.server.token_request(&form)).await
    }

    /// Verifies an item against the journal, and returns the item to continue with.
    async fn verify(&self, mut item: Item, rng: &mut StdRng) -> Item {
        let mut was = item.clone();
        if let Stage::Chain(chain) = &item.stage {
            let userinfo = self.server.request("GET", "/api/oauth/userinfo");
            let userinfo = self.ask(userinfo.bearer_auth(&chain.access_token)).await;
            assert_eq!(userinfo.status, 200, "an access token was lost: {was:?}");
        }
        let taken = loop {
            match self.step(&mut item).await {
                Ok(taken) => break taken,
                Err(StepError::Temporary) => was.in_flight = true,
                Err(StepError::NotSent | StepError::NoAnswer) => {
                    panic!("the server is gone at {was:?}")
                }
            }
        };
        if !taken {
            // A rejection means that the step was done and the response lost, possible only for a
            // single-use step.
            assert!(was.in_flight, "lost: {was:?}");
            let Stage::Opened(codes) = &was.stage else {
                let once = matches!(
                    was.stage,
                    Stage::Request(_) | Stage::Code(_) | Stage::Approved(_)
                );
                assert!(once, "burnt: {was:?}");
                return new_item(rng);
            };
            // The approval was committed before the response was lost.
            item = Item {
                stage: Stage::Approved(codes.clone()),
                in_flight: false,
            };
            let poll = self.request(&item.stage);
            let approved = self.ask(poll).await;
            assert_eq!(approved.status, 200, "an approval was lost: {item:?}");
            item.stage = follow(&item.stage, &approved);
        }
        self.assert_single_use(&was.stage, item, rng).await
    }

    /// Asserts that single-use items cannot be used a second time.
    async fn assert_single_use(&self, was: &Stage, item: Item, rng: &mut StdRng) -> Item {
        let Stage::Chain(now) = &item.stage else {
            return item;
        };
        if let Stage::Chain(before) = was {
            // A repeat inside the window returns the same successor.
            let again = self.refresh(&before.refresh_token).await;
            let again = again.expect(200).text("refresh_token");
            assert_eq!(again, now.refresh_token, "two successors of one token");
        }
        if let Origin::Device(code) = &now.origin {
            let poll = self.server.token_request(&self.app.poll_form(code));
            let again = self.ask(poll).await;
            again.expect_error(400, "invalid_grant");
        }
        match (rng.random_range(0..4), &now.origin, &now.spent) {
            // Code reuse may revoke the grant, so the chain is not continued.
            (0, Origin::Code(code), _) => {
                let exchange = self.server.token_request(&self.app.exchange_form(code));
                let again = self.ask(exchange).await;
                again.expect_error(400, "invalid_grant");
            }
            // Reuse of a token with a used successor revokes the family.
            (1, _, Some(spent)) => {
                let next = self.refresh(&now.refresh_token).await;
                let next = next.expect(200).text("refresh_token");
                for token in [spent, &now.refresh_token, &next] {
                    let refused = self.refresh(token).await;
                    refused.expect_error(400, "invalid_grant");
                }
            }
            _ => return item,
        }
        new_item(rng)
    }
}

/// Returns the stage after a response.
fn follow(stage: &Stage, answer: &Answer) -> Stage {
    let chain = |origin, spent| {
        Stage::Chain(Chain {
            origin,
            spent,
            refresh_token: answer.text("refresh_token"),
            access_token: answer.text("access_token"),
        })
    };
    match stage {
        Stage::CodeFlow => Stage::Request(answer.sent("request_id").unwrap()),
        Stage::Request(_) => Stage::Code(answer.sent("code").unwrap()),
        Stage::Code(code) => chain(Origin::Code(code.clone()), None),
        Stage::DeviceFlow => Stage::Device(DeviceCodes {
            device: answer.text("device_code"),
            user: answer.text("user_code"),
        }),
        Stage::Device(codes) => Stage::Opened(codes.clone()),
        Stage::Opened(codes) => Stage::Approved(codes.clone()),
        Stage::Approved(codes) => chain(Origin::Device(codes.device.clone()), None),
        Stage::Chain(known) => chain(known.origin.clone(), Some(known.refresh_token.clone())),
    }
}

/// Items of each client.
pub(crate) type Journals = Vec<Vec<Item>>;

/// Creates the initial items of all clients.
pub(crate) fn journals(rng: &mut StdRng) -> Journals {
    let items = |rng: &mut StdRng| (0..ITEMS).map(|_| new_item(rng)).collect();
    (0..WORKERS).map(|_| items(rng)).collect()
}

/// Starts all clients; each task returns the journal.
pub(crate) fn start_workers(
    load: &Arc<Load>,
    journals: Journals,
    seed: u64,
    stop: &CancellationToken,
) -> JoinSet<Vec<Item>> {
    let mut running = JoinSet::new();
    for (worker, items) in (0_u64..).zip(journals) {
        let (load, stop) = (Arc::clone(load), stop.clone());
        running.spawn(async move { load.work(items, seed + worker, stop).await });
    }
    running
}

/// Verifies all journals concurrently.
pub(crate) async fn verify_all(load: &Arc<Load>, journals: Journals, seed: u64) -> Journals {
    let mut running = JoinSet::new();
    for (worker, items) in (0_u64..).zip(journals) {
        let load = Arc::clone(load);
        running.spawn(async move {
            let mut rng = StdRng::seed_from_u64(seed + 500 + worker);
            let mut kept = Vec::new();
            for item in items {
                kept.push(load.verify(item, &mut rng).await);
            }
            kept
        });
    }
    let verified = tokio::time::timeout(PATIENCE, running.join_all()).await;
    verified.expect("the server goes on")
}

/// Counts the items in flight.
pub(crate) fn unanswered(journals: &Journals) -> usize {
    let items = journals.iter().flatten();
    items.filter(|item| item.in_flight).count()
}

/// Creates an account and a client with the machine's clock, and closes the database, so that only the
/// program at `address` uses the database.
pub(crate) async fn prepare(setup: &Setup, address: String, fate: LoadOutage) -> Arc<Load> {
    let mut setup = setup.clone();
    setup.use_machine_clock();
    let mut server = setup.start().await;
    let person = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    server.context.db.close().await;
    server.address = address;
    Arc::new(Load {
        server,
        person,
        app,
        fate,
    })
}
