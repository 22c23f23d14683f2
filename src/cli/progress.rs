//! Progress of long work: a line that is overwritten on a terminal, and a log line every ten seconds elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use super::output;

/// Interval of the line on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(500);

/// Interval of log lines.
const LOG_EVERY: Duration = Duration::from_secs(10);

const MIB: u64 = 1_024 * 1_024;

/// Runs a future and shows the number of done bytes of `total`.
pub(super) async fn with_bytes<T>(
    work: impl Future<Output = T>,
    what: &str,
    total: u64,
    done: impl Fn() -> u64,
) -> T {
    with_progress(work, |seconds| {
        let (done, total) = (done() / MIB, total.div_ceil(MIB));
        format!("{what}: {done} of about {total} MiB, {seconds} s")
    })
    .await
}

/// Runs a future and shows the number of done items.
pub(super) async fn with_count<T>(
    work: impl Future<Output = T>,
    what: &str,
    done: impl Fn() -> u64,
) -> T {
    with_progress(work, |seconds| format!("{} {what}, {seconds} s", done())).await
}

/// Runs a future and shows the elapsed time.
pub(super) async fn with_time<T>(work: impl Future<Output = T>, what: &str) -> T {
    with_progress(work, |seconds| format!("{what}: {seconds} s")).await
}

async fn with_progress<T>(work: impl Future<Output = T>, text: impl Fn(u64) -> String) -> T {
    let stderr = std::io::stderr();
    if !stderr.is_terminal() || !output::abilities().overwrites {
        return repeat(work, LOG_EVERY, |seconds| {
            let progress = text(seconds);
            tracing::info!(progress, "in progress");
        })
        .await;
    }
    let mut is_shown = false;
    let outcome = repeat(work, SHOW_EVERY, |seconds| {
        is_shown = true;
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[2K{}",
            output::clean(&text(seconds))
        );
    })
    .await;
    if is_shown {
        let _ = write!(std::io::stderr(), "\r\x1b[2K");
    }
    outcome
}

/// Runs a future, and calls `show` with the elapsed seconds at each interval until the future is done.
async fn repeat<T>(work: impl Future<Output = T>, every: Duration, mut show: impl FnMut(u64)) -> T {
    let mut work = Box::pin(work);
    let mut elapsed = Duration::ZERO;
    loop {
        if let Ok(outcome) = tokio::time::timeout(every, &mut work).await {
            return outcome;
        }
        elapsed += every;
        show(elapsed.as_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn progress_is_shown_until_the_work_is_done() {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let mut sender = Some(sender);
        let mut shown = 0;
        let outcome = repeat(receiver, Duration::from_millis(1), |_| {
            shown += 1;
            if shown == 3
                && let Some(sender) = sender.take()
            {
                let _ = sender.send("done");
            }
        });
        assert_eq!(outcome.await, Ok("done"));
        assert_eq!(shown, 3);
    }

    #[tokio::test]
    async fn short_work_shows_nothing() {
        let mut shown = 0;
        let outcome = repeat(async { 7 }, Duration::from_mins(1), |_| shown += 1);
        assert_eq!((outcome.await, shown), (7, 0));
    }
}
