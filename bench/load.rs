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
mod scenarios;

use std::time::Duration;

use clap::Parser;

use baseline::Bare;
use drive::Loop;
use report::{Baseline, Row, Watch};
use scenarios::{Size, Target};

/// Error that ends a run.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures running servers; `bench/run` starts them.
#[derive(Debug, Parser)]
struct Arguments {
    /// A server: NAME,HOST:PORT,PID,SESSION,SECRET and the PID of its database, if it has one.
    #[arg(long = "target", value_parser = target)]
    targets: Vec<Target>,
    /// Duration of each run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Number of connections.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1_000))]
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
    let [name, address, pid, session, secret, database @ ..] = fields.as_slice() else {
        return Err("NAME,HOST:PORT,PID,SESSION,SECRET[,DATABASE PID]".to_owned());
    };
    let pid_of = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is no PID"));
    Ok(Target {
        name: (*name).to_owned(),
        address: (*address).to_owned(),
        pid: pid_of(pid)?,
        session: (*session).to_owned(),
        secret: (*secret).to_owned(),
        database: match database {
            [pid] if !pid.is_empty() => Some(pid_of(pid)?),
            _ => None,
        },
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
    let size = Size {
        duration: Duration::from_secs(arguments.seconds),
        connections: usize::from(arguments.connections),
    };
    let signatures = baseline::signatures_per_second(size.duration.min(Duration::from_secs(2)))?;
    eprintln!("RSA-2048 signatures of one thread: {signatures:.0}/s");
    let bare = bare(size).await?;
    let baseline = Baseline {
        bare: bare.per_core(),
        signatures,
    };
    let mut rows = vec![bare];
    for target in &arguments.targets {
        let mut done = |row: Row| {
            eprintln!("{row}");
            rows.push(row);
        };
        scenarios::all(target, size, &mut done).await?;
    }
    println!("\n{}", report::table(&rows, &baseline));
    println!(
        "RSA-2048 signatures of one thread: {signatures:.0}/s. {} s per run, {} connections.",
        arguments.seconds, arguments.connections
    );
    Ok(())
}

/// The baseline handler, under the same load.
async fn bare(size: Size) -> Result<Row> {
    let bare = Bare::start()?;
    let target = Target {
        name: "axum".to_owned(),
        address: bare.address.clone(),
        pid: bare.pid(),
        session: String::new(),
        secret: String::new(),
        database: None,
    };
    let warm_up = Duration::from_secs(1);
    let (_, flows) = drive::run(
        &target.address,
        scenarios::bare(size),
        Loop::Closed,
        warm_up,
    )
    .await?;
    let watch = Watch::start(&target);
    let (measured, _) = drive::run(&target.address, flows, Loop::Closed, size.duration).await?;
    let row = watch.row("bare JSON handler", 0, Loop::Closed, &measured);
    eprintln!("{row}");
    Ok(row)
}
