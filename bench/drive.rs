//! Sending: a closed loop, where each connection asks again once it is answered, and an open loop,
//! where requests arrive at a fixed rate whether the server keeps up or not and each is timed from
//! when it should have been sent, so that a server that stalls cannot hide its queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::Result;
use crate::http::{Connection, post_form};

/// No run has more requests than this, whatever its time.
const COUNT_MAX: usize = 1_000_000;

/// What one connection sends, one after the other.
pub(crate) enum Flow {
    /// The same every time, and the status that it must have.
    Same(Arc<[u8]>, u16),
    /// Requests of all connections that can be sent once; the run ends with them.
    Once(Arc<Mutex<Vec<Vec<u8>>>>),
    /// A chain of refresh tokens, each got for the one before.
    Refresh(String),
}

/// What was measured: how long each answer took, and how long it all took, in seconds.
#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) latencies: Vec<f64>,
    pub(crate) seconds: f64,
}

/// How the requests of a run arrive.
#[derive(Clone, Copy)]
pub(crate) enum Loop {
    Closed,
    /// So many per second.
    Open(f64),
}

impl Flow {
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Same(request, _) => Some(request.to_vec()),
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
            Self::Once(_) | Self::Refresh(_) => 200,
        }
    }

    /// Sends the next request; no when there is none.
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

/// Runs flows, each on a connection of its own, for so long; they come back for the next run.
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

/// The instants at which requests should be sent, each when it has come. A thread of its own
/// sleeps: its naps end within a tenth of a millisecond, and the timer of tokio has whole ones.
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
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.count() / self.seconds
    }

    /// How many answers there were.
    pub(crate) fn count(&self) -> f64 {
        u32::try_from(self.latencies.len()).map_or(f64::MAX, f64::from)
    }

    /// The latency that so many of a thousand answers did not exceed, in milliseconds.
    pub(crate) fn permille(&self, permille: usize) -> f64 {
        let count = self.latencies.len();
        let at = (count * permille).div_ceil(1_000).max(1) - 1;
        self.latencies
            .get(at)
            .map_or(f64::NAN, |seconds| seconds * 1_000.0)
    }
}

/// The machine's time.
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement is of the machine's time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
