//! Checks of the clean-up: due rows, and the last completion of each step.

use time::Duration;

use super::Findings;
use super::clock::CLOCK_MAX;
use crate::clock::Timestamp;
use crate::context::Context;
use crate::store::cleanup::{self, Backlog, COUNTED, Progress};
use crate::store::{self};

/// Maximum time since a clean-up step last completed: the slowest steps run once a day.
const COMPLETED_WITHIN: Duration = Duration::hours(26);

/// The state of the clean-up.
#[derive(Debug)]
pub struct State {
    /// Due rows by step.
    pub backlog: Vec<Backlog>,
    /// Steps that ran.
    pub progress: Vec<Progress>,
}

impl State {
    /// Reads the state, and counts the due rows.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn read(context: &Context) -> store::Result<Self> {
        let (now, retention) = (context.clock.now(), context.retention());
        Ok(Self {
            backlog: cleanup::backlog(&context.db, now, retention).await?,
            progress: cleanup::progress(&context.db).await?,
        })
    }

    /// Returns the time at which a step last completed.
    #[must_use]
    pub fn completed_at(&self) -> Option<Timestamp> {
        self.progress
            .iter()
            .filter_map(|known| known.completed_at)
            .max()
    }

    /// Checks the backlog, and the last completion of each step.
    pub fn examine(&self, now: Timestamp, findings: &mut Findings) {
        let Self { progress, backlog } = self;
        let mut behind = false;
        for Backlog { step, rows } in backlog {
            let Some(known) = progress.iter().find(|known| known.name == *step) else {
                continue;
            };
            let due = if *rows < COUNTED {
                format!("{rows} due")
            } else {
                format!("at least {COUNTED} due")
            };
            if known.completed_at.is_some_and(|at| at > now + CLOCK_MAX) {
                behind = true;
                let advice = "the clock was ahead when the step ran; `serve` overwrites the time with the next pass, at \
                              the latest after an hour";
                let at = known.completed_at.map(Timestamp::to_rfc3339);
                let at = at.unwrap_or_default();
                let finding = format!("{step}: completed in the future, at {at}");
                findings.warn("clean-up", finding, advice);
                continue;
            }
            let completed = match known.completed_at {
                Some(at) => format!("last completed at {}", at.to_rfc3339()),
                None => "never completed".to_owned(),
            };
            let finding = format!("{step}: {due}, {completed}, {} deleted", known.deleted);
            if let Some(error) = &known.error {
                behind = true;
                let advice = "the log of `serve` has more; if it is a timeout, see that the finding \
                          `indexes` is ok, and leave `serve` running: the server retries every \
                          hour with smaller batches";
                findings.warn("clean-up", format!("{finding}; it failed: {error}"), advice);
            } else if known
                .completed_at
                .is_none_or(|at| now - at > COMPLETED_WITHIN)
            {
                behind = true;
                let advice = "leave `serve` running: the clean-up continues while rows are due, with \
                          at least one pass an hour";
                findings.warn("clean-up", finding, advice);
            } else if *rows > 0 {
                findings.ok("clean-up", finding);
            }
        }
        if progress.is_empty() {
            let due: i64 = backlog.iter().map(|step| step.rows).sum();
            let finding = format!("has not run yet, {due} rows are due; `serve` runs the clean-up");
            findings.ok("clean-up", finding);
        } else if !behind {
            let last = progress.iter().filter_map(|known| known.completed_at).max();
            let last = last.map_or_else(String::new, |at| format!("; last at {}", at.to_rfc3339()));
            findings.ok("clean-up", format!("every step ran through{last}"));
        }
    }
}
