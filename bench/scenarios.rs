//! Scenarios, with their prepared requests.

use std::time::Duration;

use crate::Result;
use crate::drive::{Flow, Loop, run};
use crate::http::{Connection, get, post_form};
use crate::process::rss_mib;
use crate::report::{Figure, Measure, Row, Watch};
use crate::requests::{TOKEN, code, codes, exchange_of, poll_of_new_device, same};

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
    /// True if tokens are signed by ES256.
    pub(crate) es256: bool,
    /// The parent process of the database's workers, if the database is a separate process.
    pub(crate) database: Option<u32>,
}

/// Amount of load.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
    /// Runs of each row; the median counts.
    pub(crate) runs: usize,
}

impl Size {
    pub(crate) fn warm_up(self) -> Duration {
        self.duration.min(Duration::from_secs(1))
    }
}

/// A prepared scenario.
struct Scenario {
    name: &'static str,
    measure: Measure,
    goal: Option<f64>,
    flows: Vec<Flow>,
}

/// The rows and figures of a run.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
}

impl Findings {
    fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    fn at_most(
        &mut self,
        on: &Target,
        name: &str,
        value: f64,
        (at_most, unit): (f64, &'static str),
    ) {
        let on = on.name.clone();
        let name = name.to_owned();
        eprintln!("{name} on {on}: {value:.2} {unit}");
        self.figures.push(Figure {
            name,
            on,
            value,
            unit,
            at_most,
        });
    }
}

const MIB: &str = "MiB";

/// Runs all scenarios in sequence.
pub(crate) async fn all(target: &Target, size: Size, findings: &mut Findings) -> Result<()> {
    if let Some(idle) = rss_mib(target.pid) {
        findings.at_most(target, "memory, idle", idle, (30.0, MIB));
    }
    let first = findings.rows.len();
    if target.es256 {
        measure(target, size, client_credentials(target, size), findings).await?;
    } else {
        measure(target, size, jwks(size), findings).await?;
        measure(target, size, discovery(size), findings).await?;
        measure(target, size, userinfo(target, size).await?, findings).await?;
        polls_and_tokens(target, size, findings).await?;
    }
    measure(target, size, refresh(target, size).await?, findings).await?;
    exchange(target, size, findings).await?;
    let most = findings.rows[first..].iter().filter_map(|row| row.rss);
    if let Some(most) = most.max_by(f64::total_cmp) {
        findings.at_most(target, "memory, under load", most, (60.0, MIB));
    }
    if !target.es256 {
        many_devices(target, size, findings).await?;
    }
    Ok(())
}

/// Runs a closed loop several times and keeps the median run, then an open loop at half the rate, then a closed
/// loop of one connection.
async fn measure(
    target: &Target,
    size: Size,
    scenario: Scenario,
    findings: &mut Findings,
) -> Result<(f64, Vec<Flow>)> {
    let address = &target.address;
    let Scenario {
        name,
        measure,
        goal,
        flows,
    } = scenario;
    let (_, mut flows) = run(address, flows, Loop::Closed, size.warm_up()).await?;
    let (mut rows, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..size.runs {
        let watch = Watch::start(target);
        let (measured, after) = run(address, flows, Loop::Closed, size.duration).await?;
        flows = after;
        rates.push(measured.rate());
        rows.push(
            watch
                .row(name, Loop::Closed, &measured)
                .compared(measure, goal),
        );
    }
    findings
        .rows
        .extend(Row::median(rows).inspect(|row| eprintln!("{row}")));
    rates.sort_by(f64::total_cmp);
    let rate = rates[rates.len() / 2];
    let how = Loop::Open(rate / 2.0);
    let watch = Watch::start(target);
    let (measured, mut flows) = run(address, flows, how, size.duration).await?;
    findings.add(watch.row(name, how, &measured).compared(measure, None));
    let others = flows.split_off(1);
    let watch = Watch::start(target);
    let (measured, mut flows) = run(address, flows, Loop::Closed, size.duration).await?;
    let name = format!("{name}, one connection");
    findings.add(
        watch
            .row(&name, Loop::Closed, &measured)
            .compared(measure, None),
    );
    flows.extend(others);
    Ok((rate, flows))
}

/// Polls and tokens, each alone, and then polls at half of their maximum beside tokens as fast as possible.
async fn polls_and_tokens(target: &Target, size: Size, findings: &mut Findings) -> Result<()> {
    let poll = polls(target, size.connections).await?;
    let (rate, _) = measure(target, size, poll, findings).await?;
    let issue = client_credentials(target, size);
    let (_, issue) = measure(target, size, issue, findings).await?;
    let how = Loop::Open(rate / 2.0);
    let flows = polls(target, 64).await?.flows;
    let (alone, flows) = run(&target.address, flows, how, size.duration).await?;
    let watch = Watch::start(target);
    let (polls, issued) = tokio::join!(
        run(&target.address, flows, how, size.duration),
        run(&target.address, issue, Loop::Closed, size.duration),
    );
    let (polls, issued) = (polls?.0, issued?.0);
    findings.add(
        watch
            .row("polls beside tokens", how, &polls)
            .shares_its_processor(),
    );
    let beside = watch.row("tokens beside polls", Loop::Closed, &issued);
    findings.add(beside.shares_its_processor());
    let ratio = polls.permille(990) / alone.permille(990);
    let name = "p99 of polls at half rate: beside tokens, of alone";
    findings.at_most(target, name, ratio, (2.0, "times"));
    Ok(())
}

/// Ten thousand devices that poll in turn.
async fn many_devices(target: &Target, size: Size, findings: &mut Findings) -> Result<()> {
    const DEVICES: usize = 10_000;
    let mut connection = Connection::open(&target.address).await?;
    let mut waiting: Vec<Vec<Vec<u8>>> = vec![Vec::new(); size.connections];
    for number in 0..DEVICES {
        let poll = poll_of_new_device(&mut connection).await?;
        waiting[number % size.connections].push(poll);
    }
    let flows = waiting.into_iter().map(Flow::Cycle).collect();
    let watch = Watch::start(target);
    let (measured, _) = run(&target.address, flows, Loop::Closed, size.duration * 2).await?;
    let row = watch.row("polls of 10,000 devices", Loop::Closed, &measured);
    let rss = row.rss;
    findings.add(row);
    if let Some(rss) = rss {
        findings.at_most(target, "memory, 10,000 polling devices", rss, (150.0, MIB));
    }
    Ok(())
}

fn jwks(size: Size) -> Scenario {
    Scenario {
        name: "JWKS",
        measure: Measure::Header,
        goal: Some(0.8),
        flows: same(get("/api/oauth/jwks", ""), 200, size),
    }
}

fn discovery(size: Size) -> Scenario {
    let path = "/.well-known/openid-configuration";
    Scenario {
        name: "discovery",
        measure: Measure::Header,
        goal: Some(0.8),
        flows: same(get(path, ""), 200, size),
    }
}

fn client_credentials(target: &Target, size: Size) -> Scenario {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "bench-service"),
        ("client_secret", &target.secret),
    ];
    let (measure, goal) = if target.es256 {
        (Measure::Es256(1), None)
    } else {
        (Measure::Rsa(1), Some(0.85))
    };
    Scenario {
        name: "client credentials",
        measure,
        goal,
        flows: same(post_form(TOKEN, &form), 200, size),
    }
}

async fn polls(target: &Target, connections: usize) -> Result<Scenario> {
    let mut connection = Connection::open(&target.address).await?;
    let mut flows = Vec::new();
    for _ in 0..connections {
        let poll = poll_of_new_device(&mut connection).await?;
        flows.push(Flow::Same(poll.into(), 400));
    }
    Ok(Scenario {
        name: "pending device poll",
        measure: Measure::Form,
        goal: Some(0.4),
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
        measure: Measure::HeaderAndVerification,
        goal: Some(0.4),
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
    let (measure, goal) = redemption(target, (0.184, 0.277));
    Ok(Scenario {
        name: "refresh",
        measure,
        goal,
        flows,
    })
}

/// The measure of an answer with two signatures. With ES256 the goal is four times the answers per RSA signature
/// of the first measurement, on PostgreSQL and on SQLite.
fn redemption(target: &Target, (postgres, sqlite): (f64, f64)) -> (Measure, Option<f64>) {
    if !target.es256 {
        return (Measure::Rsa(2), Some(0.75));
    }
    let first = if target.name.starts_with("SQLite") {
        sqlite
    } else {
        postgres
    };
    (Measure::AnswersPerRsa, Some(4.0 * first))
}

/// Exchanges prepared codes, until the last code or the end of the run.
async fn exchange(target: &Target, size: Size, findings: &mut Findings) -> Result<()> {
    let name = "code exchange";
    let (measure, goal) = redemption(target, (0.191, 0.228));
    let per_second = if target.es256 { 4 } else { 1 } * CODES_PER_SECOND;
    let count = usize::try_from(size.duration.as_secs().max(1) * per_second)?;
    let mut rows = Vec::new();
    let mut rate = 0.0;
    for _ in 0..size.runs {
        let flows = codes(target, size, count).await?;
        let watch = Watch::start(target);
        let (measured, _) = run(&target.address, flows, Loop::Closed, size.duration).await?;
        rate = measured.rate() / 2.0;
        rows.push(
            watch
                .row(name, Loop::Closed, &measured)
                .compared(measure, goal),
        );
    }
    findings
        .rows
        .extend(Row::median(rows).inspect(|row| eprintln!("{row}")));
    let flows = codes(target, size, count / 2).await?;
    let how = Loop::Open(rate);
    let watch = Watch::start(target);
    let (measured, _) = run(&target.address, flows, how, size.duration).await?;
    findings.add(watch.row(name, how, &measured).compared(measure, None));
    Ok(())
}
