//! Repetition of a test: a single round in `make test`; in `make soak` rounds until a target count or a
//! time limit.
//!
//! Both run the same code. `tests/soak` sets the plan by four environment variables.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use storyden_auth::clock::Timer;

/// Seed of the single round of `make test`.
const SEED: u64 = 1;
/// Seconds between two progress lines.
const PROGRESS_EVERY: f64 = 10.0;

/// Counts and times of a test, accumulated over all rounds, in order of appearance. Clones share the
/// figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures(Arc<Mutex<Vec<(&'static str, u64)>>>);

impl Figures {
    /// Adds to a count; `what` is a plural noun.
    pub(crate) fn count(&self, what: &'static str, more: usize) {
        self.change(what, |known| known + u64::try_from(more).unwrap());
    }

    /// Keeps the maximum of several times, in milliseconds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a time of a test"
    )]
    pub(crate) fn longest(&self, what: &'static str, seconds: f64) {
        let milliseconds = (seconds * 1_000.0).ceil() as u64;
        self.change(what, |known| known.max(milliseconds));
    }

    fn change(&self, what: &'static str, change: impl FnOnce(u64) -> u64) {
        let mut figures = self.0.lock().unwrap();
        if let Some((_, known)) = figures.iter_mut().find(|(name, _)| *name == what) {
            *known = change(*known);
        } else {
            figures.push((what, change(0)));
        }
    }

    /// Returns a figure; 0 if absent.
    pub(crate) fn figure(&self, what: &str) -> u64 {
        let figures = self.0.lock().unwrap();
        let found = figures.iter().find(|(name, _)| *name == what);
        found.map_or(0, |(_, figure)| *figure)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (what, figure)) in self.0.lock().unwrap().iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{figure} {what}")?;
        }
        Ok(())
    }
}

/// Soak plan of `tests/soak`.
struct Plan {
    /// Name of the figure that ends the test, and target value.
    until: (String, u64),
    /// Time limit in seconds.
    seconds: f64,
    /// File for the final figures.
    report: PathBuf,
}

/// The rounds of a test.
pub(crate) struct Rounds {
    pub(crate) held: Figures,
    plan: Option<Plan>,
    first_seed: u64,
    started: u64,
    since: Timer,
    printed_at: f64,
}

impl Rounds {
    /// Reads the plan of `tests/soak`; a single round without a plan.
    pub(crate) fn planned() -> Self {
        let plan = variable("SOAK_UNTIL").map(|until| {
            let (target, what) = until.split_once(' ').expect("SOAK_UNTIL=\"500 kills\"");
            Plan {
                until: (what.to_owned(), target.parse().unwrap()),
                seconds: variable("SOAK_SECONDS").unwrap().parse().unwrap(),
                report: PathBuf::from(variable("SOAK_REPORT").unwrap()),
            }
        });
        Self {
            held: Figures::default(),
            plan,
            first_seed: variable("SOAK_SEED").map_or(SEED, |seed| seed.parse().unwrap()),
            started: 0,
            since: Timer::start(),
            printed_at: 0.0,
        }
    }

    /// True under `make soak`: the machine is idle, and time limits are asserted.
    pub(crate) fn is_soak(&self) -> bool {
        self.plan.is_some()
    }

    /// Returns the seed of the next round; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<u64> {
        let seconds = self.since.seconds();
        let enough = match &self.plan {
            None => self.started == 1,
            // At least one round, even if the time is over.
            Some(plan) => self.started > 0 && (self.reached(plan) || seconds >= plan.seconds),
        };
        if self.started > 0 && (enough || seconds - self.printed_at >= PROGRESS_EVERY) {
            self.printed_at = seconds;
            self.print_progress();
        }
        if enough {
            self.report(if self.is_target_reached() {
                "held"
            } else {
                "out of time"
            });
            return None;
        }
        self.started += 1;
        Some(self.first_seed + self.started - 1)
    }

    /// Reports the seed of a failed round, for reproduction.
    #[expect(clippy::print_stderr, reason = "for who looks for the failure")]
    pub(crate) fn failed(&self) {
        if self.is_soak() {
            let seed = self.first_seed + self.started - 1;
            let outcome = format!("FAILED in round {}, seed {seed}", self.started);
            eprintln!("{outcome}; until then: {}", self.held);
            self.report(&outcome);
        }
    }

    fn reached(&self, plan: &Plan) -> bool {
        self.held.figure(&plan.until.0) >= plan.until.1
    }

    fn is_target_reached(&self) -> bool {
        self.plan.as_ref().is_none_or(|plan| self.reached(plan))
    }

    /// Prints the progress.
    #[expect(clippy::print_stderr, reason = "the figures, for who asks for them")]
    fn print_progress(&self) {
        if let Some(plan) = &self.plan {
            let (what, target) = &plan.until;
            let seconds = self.since.seconds();
            eprintln!(
                "    {seconds:4.0} s of {:.0}, of {target} {what}: {}",
                plan.seconds, self.held
            );
        } else {
            eprintln!("{}", self.held);
        }
    }

    fn report(&self, outcome: &str) {
        if let Some(plan) = &self.plan {
            let line = format!("{outcome}\t{}\n", self.held);
            std::fs::write(&plan.report, line).unwrap();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how `tests/soak` says how long a test goes on"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
