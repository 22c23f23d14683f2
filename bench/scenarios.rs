//! Scenarios, with their prepared requests.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::Result;
use crate::drive::{Flow, Loop, run};
use crate::http::{Connection, get, post, post_form};
use crate::report::{Row, Watch};

const TOKEN: &str = "/api/oauth/token";
const CLIENT: &str = "bench";
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Codes to prepare per second of a closed loop; the run ends after the last code.
const CODES_PER_SECOND: u64 = 600;

/// A server under test, with credentials.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) pid: u32,
    /// The value of a member's session cookie.
    pub(crate) session: String,
    /// The secret of the confidential client `bench-service`.
    pub(crate) secret: String,
    /// The parent process of the database's workers, if the database is a separate process.
    pub(crate) database: Option<u32>,
}

/// Amount of load.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
}

/// A prepared scenario.
struct Scenario {
    name: &'static str,
    /// Signatures per response.
    signatures: u32,
    flows: Vec<Flow>,
}

/// Runs all scenarios in sequence and calls `done` with each row.
pub(crate) async fn all(target: &Target, size: Size, done: &mut impl FnMut(Row)) -> Result<()> {
    let (poll, issue) = (polls(target, size).await?, client_credentials(target, size));
    measure(target, size, jwks(size), done).await?;
    measure(target, size, userinfo(target, size).await?, done).await?;
    let (poll_rate, poll) = measure(target, size, poll, done).await?;
    let (_, issue) = measure(target, size, issue, done).await?;
    together(target, size, (poll, issue), poll_rate / 10.0, done).await?;
    measure(target, size, refresh(target, size).await?, done).await?;
    exchange(target, size, done).await
}

/// Runs a closed loop, then an open loop at half the measured rate.
async fn measure(
    target: &Target,
    size: Size,
    scenario: Scenario,
    done: &mut impl FnMut(Row),
) -> Result<(f64, Vec<Flow>)> {
    let address = &target.address;
    let warm_up = Duration::from_secs(1);
    let (_, flows) = run(address, scenario.flows, Loop::Closed, warm_up).await?;
    let watch = Watch::start(target);
    let (measured, flows) = run(address, flows, Loop::Closed, size.duration).await?;
    let rate = measured.rate();
    done(watch.row(scenario.name, scenario.signatures, Loop::Closed, &measured));
    let how = Loop::Open(rate / 2.0);
    let watch = Watch::start(target);
    let (measured, flows) = run(address, flows, how, size.duration).await?;
    done(watch.row(scenario.name, scenario.signatures, how, &measured));
    Ok((rate, flows))
}

/// Polls at a fixed rate while a closed loop requests tokens.
async fn together(
    target: &Target,
    size: Size,
    (poll, issue): (Vec<Flow>, Vec<Flow>),
    rate: f64,
    done: &mut impl FnMut(Row),
) -> Result<()> {
    let how = Loop::Open(rate);
    let watch = Watch::start(target);
    let (polls, issued) = tokio::join!(
        run(&target.address, poll, how, size.duration),
        run(&target.address, issue, Loop::Closed, size.duration),
    );
    let (polls, issued) = (polls?.0, issued?.0);
    let mut row = watch.row("polls beside it", 0, how, &polls);
    row.shares_its_processor();
    let mut beside = watch.row("tokens beside polls", 1, Loop::Closed, &issued);
    beside.shares_its_processor();
    done(row);
    done(beside);
    Ok(())
}

fn same(request: Vec<u8>, status: u16, size: Size) -> Vec<Flow> {
    let request: Arc<[u8]> = request.into();
    let flow = || Flow::Same(Arc::clone(&request), status);
    std::iter::repeat_with(flow)
        .take(size.connections)
        .collect()
}

/// Request to the bare handler.
pub(crate) fn bare(size: Size) -> Vec<Flow> {
    same(get("/", ""), 200, size)
}

fn jwks(size: Size) -> Scenario {
    Scenario {
        name: "JWKS",
        signatures: 0,
        flows: same(get("/api/oauth/jwks", ""), 200, size),
    }
}

fn client_credentials(target: &Target, size: Size) -> Scenario {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "bench-service"),
        ("client_secret", &target.secret),
    ];
    Scenario {
        name: "client credentials",
        signatures: 1,
        flows: same(post_form(TOKEN, &form), 200, size),
    }
}

async fn polls(target: &Target, size: Size) -> Result<Scenario> {
    let mut connection = Connection::open(&target.address).await?;
    let mut flows = Vec::new();
    for _ in 0..size.connections {
        let form = [("client_id", CLIENT), ("scope", "openid")];
        let start = post_form("/api/oauth/device_authorization", &form);
        let started = connection.send(&start).await?;
        let device_code = started
            .text("device_code")
            .ok_or_else(|| started.body.clone())?;
        let form = [
            ("grant_type", DEVICE_GRANT),
            ("client_id", CLIENT),
            ("device_code", &device_code),
        ];
        flows.push(Flow::Same(post_form(TOKEN, &form).into(), 400));
    }
    Ok(Scenario {
        name: "pending device poll",
        signatures: 0,
        flows,
    })
}

async fn userinfo(target: &Target, size: Size) -> Result<Scenario> {
    let mut connection = Connection::open(&target.address).await?;
    let exchange = exchange_of(&code(&mut connection, target).await?);
    let tokens = connection.send(&exchange).await?;
    let token = tokens
        .text("access_token")
        .ok_or_else(|| tokens.body.clone())?;
    let request = get(
        "/api/oauth/userinfo",
        &format!("Authorization: Bearer {token}\r\n"),
    );
    Ok(Scenario {
        name: "userinfo",
        signatures: 0,
        flows: same(request, 200, size),
    })
}

async fn refresh(target: &Target, size: Size) -> Result<Scenario> {
    let mut connection = Connection::open(&target.address).await?;
    let mut flows = Vec::new();
    for _ in 0..size.connections {
        let exchange = exchange_of(&code(&mut connection, target).await?);
        let tokens = connection.send(&exchange).await?;
        let token = tokens
            .text("refresh_token")
            .ok_or_else(|| tokens.body.clone())?;
        flows.push(Flow::Refresh(token));
    }
    Ok(Scenario {
        name: "refresh",
        signatures: 2,
        flows,
    })
}

/// Exchanges prepared codes, until the last code or the end of the run.
async fn exchange(target: &Target, size: Size, done: &mut impl FnMut(Row)) -> Result<()> {
    let name = "code exchange";
    let count = usize::try_from(size.duration.as_secs().max(1) * CODES_PER_SECOND)?;
    let flows = codes(target, size, count).await?;
    let watch = Watch::start(target);
    let (measured, _) = run(&target.address, flows, Loop::Closed, size.duration).await?;
    let rate = measured.rate() / 2.0;
    done(watch.row(name, 2, Loop::Closed, &measured));
    let flows = codes(target, size, count / 2).await?;
    let how = Loop::Open(rate);
    let watch = Watch::start(target);
    let (measured, _) = run(&target.address, flows, how, size.duration).await?;
    done(watch.row(name, 2, how, &measured));
    Ok(())
}

/// Prepares the exchanges of a number of codes for all connections.
async fn codes(target: &Target, size: Size, count: usize) -> Result<Vec<Flow>> {
    let mut running = JoinSet::new();
    for _ in 0..size.connections {
        let (target, share) = (target.clone(), count / size.connections);
        running.spawn(async move {
            let mut connection = Connection::open(&target.address).await?;
            let mut exchanges = Vec::with_capacity(share);
            for _ in 0..share {
                exchanges.push(exchange_of(&code(&mut connection, &target).await?));
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(exchanges)
        });
    }
    let mut exchanges = Vec::new();
    while let Some(share) = running.join_next().await {
        exchanges.extend(share??);
    }
    let exchanges = Arc::new(Mutex::new(exchanges));
    let flow = || Flow::Once(Arc::clone(&exchanges));
    Ok(std::iter::repeat_with(flow)
        .take(size.connections)
        .collect())
}

/// Obtains an authorization code approved by the member.
async fn code(connection: &mut Connection, target: &Target) -> Result<String> {
    let query = Serializer::new(String::new())
        .extend_pairs([
            ("response_type", "code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "openid profile email offline_access"),
            ("prompt", "consent"), // approved before
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ])
        .finish();
    let cookie = format!("Cookie: storyden-session={}\r\n", target.session);
    let path = format!("/api/oauth/authorize?{query}");
    let asked = connection.send(&get(&path, &cookie)).await?;
    let page = asked.header("location").ok_or_else(|| asked.body.clone())?;
    let request_id = parameter(page, "request_id")?;
    let body = json!({ "request_id": request_id, "decision": "approve" }).to_string();
    let approve = post(
        "/api/oauth/authorize/consent",
        "application/json",
        &cookie,
        &body,
    );
    let approved = connection.send(&approve).await?;
    let location = approved
        .text("location")
        .ok_or_else(|| approved.body.clone())?;
    parameter(&location, "code")
}

fn exchange_of(code: &str) -> Vec<u8> {
    post_form(
        TOKEN,
        &[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT),
            ("redirect_uri", REDIRECT_URI),
            ("code_verifier", VERIFIER),
            ("code", code),
        ],
    )
}

/// Returns a parameter of a URL.
fn parameter(address: &str, name: &str) -> Result<String> {
    let url = Url::parse(address)?;
    let found = url.query_pairs().find(|(known, _)| known == name);
    let value = found.map(|(_, value)| value.into_owned());
    value.ok_or_else(|| format!("no {name} in {address}").into())
}
