//! The result: a table with a row per scenario and engine, and a table of single figures.

use std::fmt::Write as _;

use crate::baseline::Ceilings;
use crate::drive::{Loop, Measured};
use crate::process::{cpu_seconds, family_cpu_seconds, rss_mib};
use crate::scenarios::Target;

/// Processor times of server and database at the start of a run.
pub(crate) struct Watch<'a> {
    target: &'a Target,
    server: Option<f64>,
    database: Option<f64>,
}

/// The figure that a row is compared with.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Measure {
    None,
    /// The bare handler that reads a form.
    Form,
    /// The bare handler that reads a header.
    Header,
    /// The same, and the verification of a signature does not count.
    HeaderAndVerification,
    /// Signatures in the answer, relative to those of the library alone.
    Rsa(u32),
    Es256(u32),
    /// Answers in the time of a signature by RSA-2048.
    AnswersPerRsa,
}

/// A row of the table.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    on: String,
    how: String,
    rate: f64,
    /// Responses per second of the processor time of server and database.
    pub(crate) per_core: Option<f64>,
    /// Median, 99th and 99.9th percentile, in milliseconds.
    pub(crate) latencies: [f64; 3],
    /// Processors used by the server and the database.
    cores: [Option<f64>; 2],
    pub(crate) rss: Option<f64>,
    measure: Measure,
    goal: Option<f64>,
}

/// Baselines of the rows, per second of processor time.
pub(crate) struct Baselines {
    pub(crate) form: Option<f64>,
    pub(crate) header: Option<f64>,
    pub(crate) ceilings: Ceilings,
}

impl<'a> Watch<'a> {
    pub(crate) fn start(target: &'a Target) -> Self {
        Self {
            target,
            server: cpu_seconds(target.pid),
            database: target.database.and_then(family_cpu_seconds),
        }
    }

    pub(crate) fn row(&self, name: &str, how: Loop, measured: &Measured) -> Row {
        let spent = |before: Option<f64>, after: Option<f64>| Some(after? - before?);
        let server = spent(self.server, cpu_seconds(self.target.pid));
        let after = self.target.database.and_then(family_cpu_seconds);
        let database = spent(self.database, after);
        let both = server.map(|seconds| seconds + database.unwrap_or_default());
        Row {
            name: name.to_owned(),
            on: self.target.name.clone(),
            how: match how {
                Loop::Closed => "closed".to_owned(),
                Loop::Open(rate) => format!("open, {rate:.0}/s"),
            },
            rate: measured.rate(),
            per_core: both.map(|seconds| measured.count() / seconds),
            latencies: [500, 990, 999].map(|permille| measured.permille(permille)),
            cores: [server, database].map(|seconds| Some(seconds? / measured.seconds)),
            rss: rss_mib(self.target.pid),
            measure: Measure::None,
            goal: None,
        }
    }
}

impl Row {
    /// Sets the figure to compare with, and the goal of the ratio.
    pub(crate) fn compared(mut self, measure: Measure, goal: Option<f64>) -> Self {
        (self.measure, self.goal) = (measure, goal);
        self
    }

    /// Another scenario ran concurrently, so the cost per request is unknown.
    pub(crate) fn shares_its_processor(mut self) -> Self {
        self.per_core = None;
        self
    }

    /// The run with the median cost.
    pub(crate) fn median(mut runs: Vec<Self>) -> Option<Self> {
        runs.sort_by(|one, other| one.rank().total_cmp(&other.rank()));
        let middle = runs.len() / 2;
        (middle < runs.len()).then(|| runs.swap_remove(middle))
    }

    fn rank(&self) -> f64 {
        self.per_core.unwrap_or(self.rate)
    }

    fn ratio(&self, baselines: &Baselines) -> Option<f64> {
        let rate = self.per_core?;
        let Ceilings {
            rsa,
            es256,
            rsa_verified,
        } = baselines.ceilings;
        Some(match self.measure {
            Measure::None => return None,
            Measure::Form => rate / baselines.form?,
            Measure::Header => rate / baselines.header?,
            Measure::HeaderAndVerification => {
                1.0 / (1.0 / rate - 1.0 / rsa_verified) / baselines.header?
            }
            Measure::Rsa(signatures) => rate * f64::from(signatures) / rsa,
            Measure::Es256(signatures) => rate * f64::from(signatures) / es256,
            Measure::AnswersPerRsa => rate / rsa,
        })
    }

    fn cells(&self, baselines: &Baselines) -> Vec<String> {
        let of = match self.measure {
            Measure::None => "",
            Measure::Form | Measure::Header => " of bare",
            Measure::HeaderAndVerification => " of bare, less RSA",
            Measure::Rsa(_) => " of RSA",
            Measure::Es256(_) => " of ES256",
            Measure::AnswersPerRsa => " per RSA signature",
        };
        let ratio = self.ratio(baselines);
        let outcome = ratio.zip(self.goal);
        let outcome = outcome.map(|(ratio, goal)| outcome_of(ratio, goal, ratio >= goal));
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
            or_dash(ratio.map(|ratio| format!("{ratio:.2}{of}"))),
            or_dash(outcome),
            p50,
            p99,
            p999,
            or_dash(server),
            or_dash(database),
            or_dash(self.rss.map(|mib| format!("{mib:.0}"))),
        ]
    }
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn outcome_of(value: f64, goal: f64, reached: bool) -> String {
    if reached {
        return format!("{goal:.2}: reached");
    }
    let missed_by = (value / goal - 1.0).abs() * 100.0;
    format!("{goal:.2}: missed by {missed_by:.0} %")
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, on, how, rate) = (&self.name, &self.on, &self.how, self.rate);
        write!(f, "{name} on {on} ({how}): {rate:.0}/s")
    }
}

/// A single figure with an upper bound as the goal, such as the memory when idle.
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) on: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
    pub(crate) at_most: f64,
}

impl Figure {
    fn cells(&self) -> Vec<String> {
        let (value, unit, at_most) = (self.value, self.unit, self.at_most);
        vec![
            self.name.clone(),
            self.on.clone(),
            format!("{value:.2} {unit}"),
            outcome_of(value, at_most, value <= at_most),
        ]
    }
}

const HEADINGS: [&str; 13] = [
    "scenario",
    "on",
    "loop",
    "requests/s",
    "per core-s",
    "ratio",
    "goal",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "cores",
    "db cores",
    "RSS MiB",
];

/// Renders the rows as Markdown.
pub(crate) fn table(rows: &[Row], baselines: &Baselines) -> String {
    let rows = rows.iter().map(|row| row.cells(baselines));
    aligned(&HEADINGS, rows.collect())
}

/// Renders the single figures as Markdown.
pub(crate) fn figures(figures: &[Figure]) -> String {
    let rows = figures.iter().map(Figure::cells).collect();
    aligned(&["figure", "on", "value", "goal: at most"], rows)
}

/// Aligns a Markdown table for a terminal.
fn aligned(headings: &[&str], rows: Vec<Vec<String>>) -> String {
    const TEXTS: usize = 3; // columns to the left; numbers are to the right
    let headings = headings.iter().map(|&heading| heading.to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let _ = if column < TEXTS {
                write!(table, "| {cell:<width$} ")
            } else {
                write!(table, "| {cell:>width$} ")
            };
        }
        table.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column < TEXTS { '-' } else { ':' };
                let _ = write!(table, "|-{}{end}", "-".repeat(*width));
            }
            table.push_str("|\n");
        }
    }
    table
}
