//! The result table: a row per scenario, engine and loop.

use std::fmt::Write as _;

use crate::drive::{Loop, Measured};
use crate::process::{cpu_seconds, family_cpu_seconds, rss_mib};
use crate::scenarios::Target;

/// Processor times of server and database at the start of a run.
pub(crate) struct Watch<'a> {
    target: &'a Target,
    server: Option<f64>,
    database: Option<f64>,
}

/// A row of the table.
pub(crate) struct Row {
    name: String,
    on: String,
    how: String,
    rate: f64,
    /// Responses per second of the server's processor time.
    per_core: Option<f64>,
    /// Median, 99th and 99.9th percentile, in milliseconds.
    latencies: [f64; 3],
    /// Processors used by the server and the database.
    cores: [Option<f64>; 2],
    rss: Option<f64>,
    signatures: u32,
}

/// Baselines of the rows.
pub(crate) struct Baseline {
    /// Responses of the bare handler per second of its processor time.
    pub(crate) bare: Option<f64>,
    /// RSA-2048 signatures per second of one thread.
    pub(crate) signatures: f64,
}

impl<'a> Watch<'a> {
    pub(crate) fn start(target: &'a Target) -> Self {
        Self {
            target,
            server: cpu_seconds(target.pid),
            database: target.database.and_then(family_cpu_seconds),
        }
    }

    pub(crate) fn row(&self, name: &str, signatures: u32, how: Loop, measured: &Measured) -> Row {
        let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        let server = spent(self.server, cpu_seconds(self.target.pid));
        let after = self.target.database.and_then(family_cpu_seconds);
        let database = spent(self.database, after);
        Row {
            name: name.to_owned(),
            on: self.target.name.clone(),
            how: match how {
                Loop::Closed => "closed".to_owned(),
                Loop::Open(rate) => format!("open, {rate:.0}/s"),
            },
            rate: measured.rate(),
            per_core: server.map(|seconds| measured.count() / seconds),
            latencies: [500, 990, 999].map(|permille| measured.permille(permille)),
            cores: [server, database].map(|seconds| Some(seconds? / measured.seconds)),
            rss: rss_mib(self.target.pid),
            signatures,
        }
    }
}

impl Row {
    /// Another scenario ran concurrently, so the cost per request is unknown.
    pub(crate) fn shares_its_processor(&mut self) {
        self.per_core = None;
    }

    pub(crate) fn per_core(&self) -> Option<f64> {
        self.per_core
    }

    fn cells(&self, baseline: &Baseline) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let ratio = |ratio: f64| {
            if ratio < 0.1 {
                format!("{ratio:.3}")
            } else {
                format!("{ratio:.2}")
            }
        };
        let of_bare = self.per_core.zip(baseline.bare);
        let of_signatures = self.per_core.filter(|_| self.signatures > 0).map(|rate| {
            let signed = rate * f64::from(self.signatures);
            ratio(signed / baseline.signatures)
        });
        let [p50, p99, p999] = self.latencies.map(|latency| format!("{latency:.2}"));
        let [server, database] = self
            .cores
            .map(|cores| cores.map(|used| format!("{used:.2}")));
        vec![
            self.name.clone(),
            self.on.clone(),
            self.how.clone(),
            format!("{:.0}", self.rate),
            or_dash(self.per_core.map(|rate| format!("{rate:.0}"))),
            or_dash(of_bare.map(|(rate, bare)| ratio(rate / bare))),
            or_dash(of_signatures),
            p50,
            p99,
            p999,
            or_dash(server),
            or_dash(database),
            or_dash(self.rss.map(|mib| format!("{mib:.0}"))),
        ]
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, on, how, rate) = (&self.name, &self.on, &self.how, self.rate);
        write!(f, "{name} on {on} ({how}): {rate:.0}/s")
    }
}

const HEADINGS: [&str; 13] = [
    "scenario",
    "on",
    "loop",
    "requests/s",
    "per core-s",
    "of bare",
    "of RSA",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "cores",
    "db cores",
    "RSS MiB",
];

/// Renders the table as Markdown, aligned for a terminal.
pub(crate) fn table(rows: &[Row], baseline: &Baseline) -> String {
    let headings = HEADINGS.map(str::to_owned).to_vec();
    let lines = std::iter::once(headings).chain(rows.iter().map(|row| row.cells(baseline)));
    let lines: Vec<Vec<String>> = lines.collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = if column < 3 {
                write!(table, "| {cell:<width$} ")
            } else {
                write!(table, "| {cell:>width$} ")
            };
        }
        table.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column < 3 { '-' } else { ':' };
                let _ = write!(table, "|-{}{end}", "-".repeat(*width));
            }
            table.push_str("|\n");
        }
    }
    table
}
