//! Connections: accepting them, their time limits, and the drain at the end.
//!
//! HTTP/1.1, as proxies speak it. A peer that says nothing, or says it one byte at a time, costs one
//! socket and nothing else: headers must arrive within 5 s, a connection may idle for 60 s,
//! and there is a bound on connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::app::Shared;
use crate::jobs;
use crate::router::router;

/// How long a peer is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the head of a request, once it began.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// Between requests, and for a peer that takes no more of an answer.
    pub idle: Duration,
    /// For a host that this server asks, from its name to the last byte of its answer; twice as long in
    /// the profile `storyden` (contract 13.3).
    pub fetch: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            body: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            fetch: Duration::from_secs(5),
        }
    }
}

/// How many connections there may be, where the process may have as many files.
const CONNECTIONS_MAX: u64 = 10_000;
/// How many files are left for the database and the rest.
const FILES_RESERVED: u64 = 128;
/// The longest head of a request, in bytes.
const HEAD_MAX: usize = 64 * 1_024;
/// How long requests in flight have to finish at the end.
const DRAIN: Duration = Duration::from_secs(6);
/// How long all of the end may take; containers are killed at 10 s.
const END: Duration = Duration::from_millis(7_500);

/// Serves until `stop`: then readiness is off, what is in flight finishes, and the jobs end.
///
/// # Errors
/// When the listener breaks for good.
pub async fn run(app: Shared, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
    let jobs = jobs::start(&app, &stop);
    let service = router(Arc::clone(&app));
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(connections_max()));
    let mut refused = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files, or a peer that was gone before it was greeted: go on.
                refused += 1;
                if refused.is_power_of_two() {
                    tracing::warn!(%error, refused, "connections were not accepted");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            refused += 1;
            if refused.is_power_of_two() {
                tracing::warn!(refused, "connections were refused: there are too many");
            }
            continue;
        };
        let connection =
            connections.watch(connection(stream, (peer, app.patience), service.clone()));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    app.readiness.drain();
    drop(listener);
    tracing::info!("draining");
    let end = async {
        if tokio::time::timeout(DRAIN, connections.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not finish in time");
        }
        jobs.wait().await;
        app.db.close().await;
    };
    if tokio::time::timeout(END, end).await.is_err() {
        tracing::warn!("the database was left before it was done");
    }
    Ok(())
}

/// As many connections as the process may have files for; its limit is raised first.
fn connections_max() -> usize {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let room = files
        .saturating_sub(FILES_RESERVED)
        .clamp(64, CONNECTIONS_MAX);
    usize::try_from(room).unwrap_or(64)
}

/// One connection with its limits.
fn connection(
    stream: TcpStream,
    (peer, patience): (SocketAddr, Patience),
    router: Router,
) -> impl hyper_util::server::graceful::GracefulConnection<Output = hyper::Result<()>> {
    let _ = stream.set_nodelay(true);
    let phase = Arc::new(Mutex::new(Phase::Idle));
    let io = TokioIo::new(Watched {
        stream,
        phase: Arc::clone(&phase),
        timer: Box::pin(tokio::time::sleep(patience.idle)),
        patience,
        head: Head::default(),
    });
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, phase) = (router.clone(), Arc::clone(&phase));
        set(&phase, Phase::Answering);
        let mut request: Request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(patience);
        async move {
            let response = router.oneshot(request).await;
            set(&phase, Phase::Idle);
            response
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // the stream has limits of its own
        .max_buf_size(HEAD_MAX)
        .serve_connection(io, service)
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle,
    /// Reading the head of a request.
    Reading,
    /// A handler has the request; its own limits hold.
    Answering,
}

fn set(phase: &Mutex<Phase>, to: Phase) {
    *phase
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = to;
}

/// How far the head of a request is read, by its lines.
#[derive(Debug, Default)]
struct Head {
    last: u8,
    begun: bool,
    line_is_empty: bool,
    ended: bool,
}

impl Head {
    /// Spoils every line feed of a head that has no carriage return before it. hyper takes
    /// one for the end of a line, where a proxy in front may not; a zero it refuses with 400.
    fn refuse_bare_line_feeds(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.ended {
                return; // what follows is a body
            }
            match *byte {
                b'\n' if self.last != b'\r' => *byte = 0,
                b'\n' => {
                    self.ended = self.begun && self.line_is_empty;
                    self.line_is_empty = true;
                }
                b'\r' => {}
                _ => (self.begun, self.line_is_empty) = (true, false),
            }
            self.last = *byte;
        }
    }
}

/// A stream that gives up on a peer that is too slow for what it is doing.
struct Watched {
    stream: TcpStream,
    phase: Arc<Mutex<Phase>>,
    timer: Pin<Box<Sleep>>,
    patience: Patience,
    head: Head,
}

impl Watched {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a peer is waited for is the machine's time"
    )]
    fn restart(&mut self, timeout: Duration) {
        let until = Instant::now() + timeout;
        self.timer.as_mut().reset(until);
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let phase = *self
            .phase
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if phase == Phase::Answering {
            return read;
        }
        if read.is_pending() {
            let time_is_up = self.timer.as_mut().poll(context);
            return time_is_up.map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        if phase == Phase::Idle && buffer.filled().len() > before {
            set(&self.phase, Phase::Reading);
            let patience = self.patience.head;
            self.restart(patience);
            self.head = Head::default();
        }
        let read_now = &mut buffer.filled_mut()[before..];
        self.head.refuse_bare_line_feeds(read_now);
        read
    }
}

impl Watched {
    /// What became of a write: bytes that moved are a sign of life, and a peer that takes none is
    /// given up like one that sends none.
    fn written<T>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            let patience = self.patience.idle;
            self.restart(patience);
        }
        // Also after the last byte of an answer: nobody reads again before the timer wakes them.
        let time_is_up = self.timer.as_mut().poll(context);
        if written.is_ready() {
            return written;
        }
        time_is_up.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
