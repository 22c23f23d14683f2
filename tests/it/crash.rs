//! T1: killed again and again while clients are at work, and held to a journal of what those
//! clients were told.
//!
//! A client takes its items one step at a time and writes down what it sends before it sends it.
//! After a restart the same step is taken again with a server that lives: what was never sent must
//! work, what was sent may have been done, and what was answered must be as it was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::RequestBuilder;
use serde_json::json;
use sqlx::Connection as _;
use storyden_auth::clock::{Clock, Stopwatch};
use tokio::task::JoinSet;

use crate::support::{Answer, CHALLENGE, Client, Engine, Member, Server, Setup, both, free_port};

/// How many clients are at work.
const WORKERS: usize = 8;
/// How many items each of them has.
const ITEMS: usize = 3;

/// How far an item is: the last thing that the client was told.
#[derive(Clone, Debug)]
enum Stage {
    /// Nothing yet; a code flow comes next.
    CodeFlow,
    /// An authorization request waits for its person.
    Request(String),
    /// A code was given.
    Code(String),
    /// Nothing yet; a device flow comes next.
    DeviceFlow,
    /// A device flow waits to be opened.
    Device(Codes),
    /// It was opened, and waits for its person.
    Opened(Codes),
    /// Its person approved it.
    Approved(Codes),
    /// Tokens were given.
    Chain(Chain),
}

/// The two codes of a device flow.
#[derive(Clone, Debug)]
struct Codes {
    device: String,
    user: String,
}

/// What tokens came from.
#[derive(Clone, Debug)]
enum Origin {
    Code(String),
    Device(String),
}

/// A refresh chain as its client has it.
#[derive(Clone, Debug)]
struct Chain {
    origin: Origin,
    /// The one before the newest token.
    spent: Option<String>,
    refresh_token: String,
    access_token: String,
}

/// An item of a client, with what is in its journal.
#[derive(Clone, Debug)]
struct Item {
    stage: Stage,
    /// The next step was sent, and no answer came.
    in_flight: bool,
}

/// What all clients share.
struct Load {
    server: Server,
    person: Member,
    app: Client,
    /// Steps that were answered.
    answered: AtomicUsize,
}

/// Why a step did not come to its end.
enum Broken {
    /// The server was not there any more, so that nothing was sent.
    NotSent,
    /// It was sent, and the answer did not come, or not whole.
    NoAnswer,
}

async fn send(request: RequestBuilder) -> Result<Answer, Broken> {
    let response = request.send().await.map_err(|error| {
        if error.is_connect() {
            Broken::NotSent
        } else {
            Broken::NoAnswer
        }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.text().await.map_err(|_| Broken::NoAnswer)?;
    Ok(Answer {
        status,
        headers,
        body,
    })
}

fn fresh(chance: &mut StdRng) -> Item {
    let stage = if chance.random_range(0..3) == 0 {
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
    /// The request of a stage's next step.
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

    /// Takes an item one step further; `Ok(false)` when the server refused it.
    async fn step(&self, item: &mut Item) -> Result<bool, Broken> {
        let request = self.request(&item.stage);
        let answer = match send(request).await {
            Ok(answer) => answer,
            Err(broken) => {
                item.in_flight |= matches!(broken, Broken::NoAnswer);
                return Err(broken);
            }
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        assert!(answer.status < 500, "{} {}", answer.status, answer.body);
        if answer.status >= 400 {
            return Ok(false);
        }
        item.in_flight = false;
        item.stage = follow(&item.stage, &answer);
        Ok(true)
    }

    /// Works until the server is gone; what the journal then says.
    async fn work(&self, mut items: Vec<Item>, seed: u64) -> Vec<Item> {
        let mut chance = StdRng::seed_from_u64(seed);
        loop {
            let at = chance.random_range(0..items.len());
            match self.step(&mut items[at]).await {
                Ok(taken) => assert!(taken, "refused while nothing was wrong: {:?}", items[at]),
                Err(_) => return items,
            }
            if matches!(items[at].stage, Stage::Chain(_)) && chance.random_range(0..6) == 0 {
                items[at] = fresh(&mut chance);
            }
        }
    }

    /// Holds the server that was started again to the journal of an item; the item to go on with.
    async fn verify(&self, mut item: Item, chance: &mut StdRng) -> Item {
        let was = item.clone();
        if let Stage::Chain(chain) = &item.stage {
            let path = "/api/oauth/userinfo";
            let userinfo = self.server.get_with_bearer(path, &chain.access_token).await;
            assert_eq!(userinfo.status, 200, "an access token was lost: {was:?}");
        }
        let Ok(taken) = self.step(&mut item).await else {
            panic!("the server is gone at {was:?}");
        };
        if !taken {
            // Done, and its answer lost: that is for nothing but a step that is done once.
            assert!(was.in_flight, "lost: {was:?}");
            let Stage::Opened(codes) = &was.stage else {
                let once = matches!(
                    was.stage,
                    Stage::Request(_) | Stage::Code(_) | Stage::Approved(_)
                );
                assert!(once, "burnt: {was:?}");
                return fresh(chance);
            };
            // The approval was written, so it counts.
            item = Item {
                stage: Stage::Approved(codes.clone()),
                in_flight: false,
            };
            let approved = self.step(&mut item).await;
            assert!(
                matches!(approved, Ok(true)),
                "an approval was lost: {item:?}"
            );
        }
        self.spend_again(&was.stage, item, chance).await
    }

    /// Tries everything a second time that can be spent but once.
    async fn spend_again(&self, was: &Stage, item: Item, chance: &mut StdRng) -> Item {
        let Stage::Chain(now) = &item.stage else {
            return item;
        };
        if let Stage::Chain(before) = was {
            // Within the window a repeat gives the same successor, never a second one.
            let again = self.server.refresh(&self.app, &before.refresh_token).await;
            let again = again.expect(200).text("refresh_token");
            assert_eq!(again, now.refresh_token, "two successors of one token");
        }
        if let Origin::Device(code) = &now.origin {
            let again = self.server.poll(&self.app, code).await;
            again.expect_error(400, "invalid_grant");
        }
        match (chance.random_range(0..4), &now.origin, &now.spent) {
            // A code that is used again may end its grant, so this is the last of the chain.
            (0, Origin::Code(code), _) => {
                let again = self.server.exchange(&self.app, code).await;
                again.expect_error(400, "invalid_grant");
            }
            // A token whose successor was used is spent for good, and using it ends the family.
            (1, _, Some(spent)) => {
                let next = self.server.refresh(&self.app, &now.refresh_token).await;
                let next = next.expect(200).text("refresh_token");
                for token in [spent, &now.refresh_token, &next] {
                    let refused = self.server.refresh(&self.app, token).await;
                    refused.expect_error(400, "invalid_grant");
                }
            }
            _ => return item,
        }
        fresh(chance)
    }
}

/// Where an answer takes a stage.
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
        Stage::DeviceFlow => Stage::Device(Codes {
            device: answer.text("device_code"),
            user: answer.text("user_code"),
        }),
        Stage::Device(codes) => Stage::Opened(codes.clone()),
        Stage::Opened(codes) => Stage::Approved(codes.clone()),
        Stage::Approved(codes) => chain(Origin::Device(codes.device.clone()), None),
        Stage::Chain(known) => chain(known.origin.clone(), Some(known.refresh_token.clone())),
    }
}

/// The clients' items, one list each.
type Journals = Vec<Vec<Item>>;

/// All clients hold the server to their journals, at the same time.
async fn verify_all(load: &Arc<Load>, journals: Journals, round: u64) -> Journals {
    let mut running = JoinSet::new();
    for (worker, items) in (0_u64..).zip(journals) {
        let load = Arc::clone(load);
        running.spawn(async move {
            let mut chance = StdRng::seed_from_u64(round * 1_000 + 500 + worker);
            let mut kept = Vec::new();
            for item in items {
                kept.push(load.verify(item, &mut chance).await);
            }
            kept
        });
    }
    running.join_all().await
}

/// SQLite's own word that its file is whole.
async fn integrity(setup: &Setup) {
    if setup.engine == Engine::Sqlite {
        let mut file = sqlx::SqliteConnection::connect(&setup.database.url)
            .await
            .unwrap();
        let check = sqlx::query_scalar::<_, String>("PRAGMA integrity_check");
        assert_eq!(check.fetch_all(&mut file).await.unwrap(), ["ok"]);
        file.close().await.unwrap();
    }
}

/// The machine's clock, and nobody else at the database while the program crashes.
async fn prepare(setup: &Setup, address: String) -> Arc<Load> {
    let mut server = setup.start().await;
    let person = server.member("frigg", &[]).await;
    let app = server.public_client().await;
    server.app.db.close().await;
    server.address = address;
    Arc::new(Load {
        server,
        person,
        app,
        answered: AtomicUsize::new(0),
    })
}

both! {
    /// T1, P1, P2, P3: killed at any moment under load, it has lost nothing that it acknowledged, has
    /// spent nothing twice, and has burnt no refresh chain.
    #[expect(clippy::print_stderr, reason = "the figures of the run, for who asks for them")]
    async fn killed_under_load_it_keeps_its_word(setup: Setup) {
        let mut setup = setup;
        setup.clock = Clock::machine();
        let kills = if setup.engine == Engine::Sqlite { 20 } else { 5 };
        let port = free_port();
        let load = prepare(&setup, format!("http://127.0.0.1:{port}")).await;
        let mut chance = StdRng::seed_from_u64(1);
        let mut journals: Journals = (0..WORKERS)
            .map(|_| (0..ITEMS).map(|_| fresh(&mut chance)).collect())
            .collect();
        let (mut in_flight, mut slowest) = (0, 0_f64);
        for round in 0..=kills {
            let started = Stopwatch::start();
            let program = setup.spawn(port).await;
            slowest = slowest.max(started.seconds());
            journals = verify_all(&load, journals, round).await;
            integrity(&setup).await;
            if round == kills {
                program.kill().await;
                break;
            }
            let mut running = JoinSet::new();
            for (worker, items) in (0_u64..).zip(journals) {
                let load = Arc::clone(&load);
                running.spawn(async move { load.work(items, round * 1_000 + worker).await });
            }
            // Any moment will do, which is the point.
            tokio::time::sleep(Duration::from_micros(chance.random_range(20_000..250_000))).await;
            program.kill().await;
            journals = running.join_all().await;
            in_flight += journals.iter().flatten().filter(|item| item.in_flight).count();
        }
        let answered = load.answered.load(Ordering::Relaxed);
        eprintln!("{kills} kills, {answered} steps, {in_flight} unanswered, start in {slowest:.3} s at most");
        assert!(answered > 20 * WORKERS && in_flight > 0, "{answered} steps, {in_flight} unanswered");
    }
}
