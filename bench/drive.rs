//! Load generation. Closed loop: each connection sends the next request after the response. Open loop: requests
//! arrive at a fixed rate, independently of the server, and are timed from the scheduled start, so that a stall
//! is visible in every delayed request (coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::Result;
use crate::http::{Connection, post_form};

/// Maximum number of requests of a run.
const COUNT_MAX: usize = 1_000_000;

/// Sequence of requests of one connection.
pub(crate) enum Flow {
    /// The same request, and the expected status.
    Same(Arc<[u8]>, u16),
    /// Requests of this connection in turn, each a pending poll.
    Cycle(Vec<Vec<u8>>),
    /// Single-use requests shared by all connections; the run ends after the last one.
    Once(Arc<Mutex<Vec<Vec<u8>>>>),
    /// A chain of refresh tokens: each response has the next token.
    Refresh(String),
}

/// Measurements: duration of each response and of the run, in seconds.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) latencies: Vec<f64>,
    pub(crate) seconds: f64,
}

/// Arrival of requests.
#[derive(Clone, Copy)]
pub(crate) enum Loop {
    Closed,
    /// Requests per second.
    Open(f64),
}

impl Flow {
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Same(request, _) => Some(request.to_vec()),
            Self::Cycle(requests) => {
                let step = usize::from(!requests.is_empty());
                requests.rotate_left(step);
                requests.last().cloned()
            }
            Self::Once(requests) => requests.lock().await.pop(),
            Self::Refresh(token) => Some(post_form(
                "/api/oauth/token",
                &[
                    ("grant_type", "refresh_token"),
                    ("client_id", "bench"),
                    ("refresh_token", token),
                ],
            )),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Same(_, status) => *status,
            Self::Cycle(_) => 400,
            Self::Once(_) | Self::Refresh(_) => 200,
        }
    }

    /// Sends the next request; returns false if there is none.
    async fn send(&mut self, connection: &mut Connection) -> Result<bool> {
        let Some(request) = self.next().await else {
            return Ok(false);
        };
        let answer = connection.send(&request).await?;
        if answer.status != self.status() {
            return Err(format!("an answer is {}: {}", answer.status, answer.body).into());
        }
        if let Self::Refresh(token) = self {
            *token = answer.text("refresh_token").ok_or("no refresh_token")?;
        }
        Ok(true)
    }
}

/// Runs flows for a duration, each on a separate connection, and returns them for the next run.
pub(crate) async fn run(
    address: &str,
    flows: Vec<Flow>,
    how: Loop,
    duration: Duration,
) -> Result<(Measured, Vec<Flow>)> {
    let mut connections = Vec::new();
    for _ in &flows {
        connections.push(Connection::open(address).await?);
    }
    let begun = now();
    let arrivals = match how {
        Loop::Closed => None,
        Loop::Open(rate) => Some(Arc::new(Mutex::new(arrivals(rate, duration)))),
    };
    let per_flow = COUNT_MAX / flows.len().max(1);
    let mut running = JoinSet::new();
    for (mut flow, mut connection) in flows.into_iter().zip(connections) {
        let arrivals = arrivals.clone();
        running.spawn(async move {
            let mut latencies = Vec::new();
            while latencies.len() < per_flow {
                let intended = match &arrivals {
                    Some(arrivals) => match arrivals.lock().await.recv().await {
                        Some(intended) => intended,
                        None => break,
                    },
                    None if now() - begun < duration => now(),
                    None => break,
                };
                if !flow.send(&mut connection).await? {
                    break;
                }
                latencies.push((now() - intended).as_secs_f64());
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((latencies, flow))
        });
    }
    let mut measured = Measured::default();
    let mut flows = Vec::new();
    while let Some(ended) = running.join_next().await {
        let (latencies, flow) = ended??;
        measured.latencies.extend(latencies);
        flows.push(flow);
    }
    measured.seconds = (now() - begun).as_secs_f64();
    measured.latencies.sort_by(f64::total_cmp);
    Ok((measured, flows))
}

/// Schedule of the requests, one tick per request. A dedicated thread sleeps, with a precision of a tenth of a
/// millisecond; tokio's timer has a precision of a millisecond.
#[expect(
    clippy::disallowed_methods,
    reason = "the arrivals of an open loop are the machine's time"
)]
fn arrivals(rate: f64, duration: Duration) -> UnboundedReceiver<Instant> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        let begun = now();
        for number in 0..u32::try_from(COUNT_MAX).unwrap_or(u32::MAX) {
            let offset = Duration::from_secs_f64(f64::from(number) / rate);
            let intended = begun + offset;
            if offset >= duration {
                return;
            }
            std::thread::sleep(intended.saturating_duration_since(now()));
            if sender.send(intended).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Measured {
    /// Responses per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.seconds
    }

    /// Number of responses.
    pub(crate) fn count(&self) -> f64 {
        u32::try_from(self.latencies.len()).map_or(f64::MAX, f64::from)
    }

    /// Latency at a per-mille quantile, in milliseconds.
    pub(crate) fn permille(&self, permille: usize) -> f64 {
        let count = self.latencies.len();
        let at = (count * permille).div_ceil(1_000).max(1) - 1;
        self.latencies
            .get(at)
            .map_or(f64::NAN, |seconds| seconds * 1_000.0)
    }
}

/// Current time of the machine.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is of the machine's time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
