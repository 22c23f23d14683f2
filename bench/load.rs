//! The load driver of `make bench`: sends typical requests to running servers and prints a table of throughput,
//! latency and cost. See `docs/performance.md`.
//!
//! The driver runs on one thread, because it shares the machine with the servers.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that prints a table"
)]

mod baseline;
mod drive;
mod http;
mod process;
mod report;
mod requests;
mod scenarios;

use std::time::Duration;

use clap::Parser;

use baseline::{Bare, Ceilings};
use drive::{Flow, Loop};
use process::Start;
use report::{Baselines, Figure, Row, Watch};
use scenarios::{Findings, Size, Target};

/// Error that ends a run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures running servers; `bench/run` starts them.
#[derive(Debug, Parser)]
struct Arguments {
    /// A server: NAME,HOST:PORT,PID,SESSION,SECRET,ALGORITHM and the PID of its database, if it has one.
    #[arg(long = "target", value_parser = target)]
    targets: Vec<Target>,
    /// A stopped server with a migrated database: NAME,HOST:PORT,PROGRAM. PROGRAM starts the server.
    #[arg(long = "start", value_parser = start)]
    starts: Vec<Start>,
    /// Five runs of five seconds per row, and the median counts; about half an hour.
    #[arg(long)]
    full: bool,
    /// Duration of each run; 2 without --full.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
    /// Runs per row; 1 without --full.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=20))]
    runs: Option<u8>,
    /// Number of connections.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: u16,
    /// Argument that `cargo bench` always passes.
    #[arg(long, hide = true)]
    bench: bool,
    /// `bare` serves the baseline handler.
    #[arg(hide = true, value_parser = ["bare"])]
    role: Option<String>,
}

fn target(text: &str) -> std::result::Result<Target, String> {
    let fields: Vec<&str> = text.split(',').collect();
    let [
        name,
        address,
        pid,
        session,
        secret,
        algorithm,
        database @ ..,
    ] = fields.as_slice()
    else {
        return Err("NAME,HOST:PORT,PID,SESSION,SECRET,ALGORITHM[,DATABASE PID]".to_owned());
    };
    let pid_of = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is no PID"));
    Ok(Target {
        name: (*name).to_owned(),
        address: (*address).to_owned(),
        pid: pid_of(pid)?,
        session: (*session).to_owned(),
        secret: (*secret).to_owned(),
        es256: *algorithm == "ES256",
        database: match database {
            [pid] if !pid.is_empty() => Some(pid_of(pid)?),
            _ => None,
        },
    })
}

fn start(text: &str) -> std::result::Result<Start, String> {
    let fields: Vec<&str> = text.split(',').collect();
    let [name, address, program] = fields.as_slice() else {
        return Err("NAME,HOST:PORT,PROGRAM".to_owned());
    };
    Ok(Start {
        name: (*name).to_owned(),
        address: (*address).to_owned(),
        program: (*program).to_owned(),
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runtime = if arguments.role.is_some() {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
    } else {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
    };
    runtime.block_on(async {
        match arguments.role {
            Some(_) => baseline::serve_bare().await,
            None => measure(&arguments).await,
        }
    })
}

async fn measure(arguments: &Arguments) -> Result<()> {
    let (seconds, runs) = if arguments.full { (5, 5) } else { (2, 1) };
    let seconds = arguments.seconds.unwrap_or(seconds);
    let runs = arguments.runs.unwrap_or(runs);
    let size = Size {
        duration: Duration::from_secs(seconds),
        connections: usize::from(arguments.connections),
        runs: usize::from(runs),
    };
    let ceilings = Ceilings::measure(size.duration)?;
    let Ceilings { rsa, es256, .. } = ceilings;
    let mut findings = Findings::default();
    for start in &arguments.starts {
        let milliseconds = start.measure(size.runs.max(3)).await?;
        findings.figures.push(Figure {
            name: "cold start to ready".to_owned(),
            on: start.name.clone(),
            value: milliseconds,
            unit: "ms",
            at_most: 100.0,
        });
    }
    let [form, header] = bare(size).await?;
    let baselines = Baselines {
        form: form.per_core,
        header: header.per_core,
        ceilings,
    };
    findings.rows.extend([form, header]);
    for target in &arguments.targets {
        scenarios::all(target, size, &mut findings).await?;
    }
    println!("\n{}", report::table(&findings.rows, &baselines));
    println!("{}", report::figures(&findings.figures));
    println!(
        "Signatures of the library alone per second of processor time: {rsa:.0} RSA-2048, {es256:.0} ES256. \
         Median of {runs}, {seconds} s per run, {} connections.",
        arguments.connections
    );
    Ok(())
}

/// The bare handlers, under the same load.
async fn bare(size: Size) -> Result<[Row; 2]> {
    let bare = Bare::start()?;
    let target = Target {
        name: "axum".to_owned(),
        address: bare.address.clone(),
        pid: bare.pid(),
        session: String::new(),
        secret: String::new(),
        es256: false,
        database: None,
    };
    let [form, header] = requests::bare(size);
    Ok([
        bare_row("bare handler, form", &target, size, form).await?,
        bare_row("bare handler, header", &target, size, header).await?,
    ])
}

async fn bare_row(name: &str, target: &Target, size: Size, flows: Vec<Flow>) -> Result<Row> {
    let (_, mut flows) = drive::run(&target.address, flows, Loop::Closed, size.warm_up()).await?;
    let mut rows = Vec::new();
    for _ in 0..size.runs {
        let watch = Watch::start(target);
        let (measured, after) =
            drive::run(&target.address, flows, Loop::Closed, size.duration).await?;
        flows = after;
        rows.push(watch.row(name, Loop::Closed, &measured));
    }
    let row = Row::median(rows).ok_or("no run")?;
    eprintln!("{row}");
    Ok(row)
}
