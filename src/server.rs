//! Connections: accepting them, their time limits, and the drain at the end.
//!
//! HTTP/1.1, as proxies speak it. A peer that says nothing, or says it one byte at a time, costs one
//! socket and nothing else: headers must arrive within 5 s, a connection may idle for 60 s,
//! connections are bounded in total and per network, and idle ones give way to new ones.

mod body;
mod heads;
mod places;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::body::RequestBody;
use self::heads::Heads;
use self::places::{BodyLength, Phase, Place};
use crate::app::Shared;
use crate::jobs;
use crate::router::router;

pub use self::places::{ConnectionLimits, Load, Places, Refused};

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
        // A trusted proxy has the connections of all its clients, so it has no share.
        let is_proxy = app.config.trusted_proxies.contain(peer.ip());
        let place = match app.places.take((!is_proxy).then(|| peer.ip())).await {
            Ok(place) => place,
            Err(reason) => {
                refused += 1;
                if refused.is_power_of_two() {
                    tracing::warn!(?reason, refused, "connections were refused");
                }
                continue;
            }
        };
        let connection = connection(
            stream,
            (peer, app.patience),
            service.clone(),
            Arc::clone(&place),
        );
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                },
                () = place.closed() => tracing::debug!("an idle connection was closed for room"),
            }
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
        jobs::write_refusals(Arc::clone(&app)).await; // also of the requests that finished last
        app.db.close().await;
    };
    if tokio::time::timeout(END, end).await.is_err() {
        tracing::warn!("the database was left before it was done");
    }
    Ok(())
}

/// One connection with its limits.
fn connection(
    stream: TcpStream,
    (peer, patience): (SocketAddr, Patience),
    router: Router,
    place: Arc<Place>,
) -> impl hyper_util::server::graceful::GracefulConnection<Output = hyper::Result<()>> {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Watched {
        stream,
        place: Arc::clone(&place),
        timer: Box::pin(tokio::time::sleep(patience.idle)),
        patience,
        heads: Heads::default(),
        held: Vec::new(),
        held_from: 0,
    });
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, place) = (router.clone(), Arc::clone(&place));
        let body = body_length(request.body());
        let is_open = place.begin_answer(body);
        let of = Arc::clone(&place);
        let mut request: Request = request.map(|incoming| {
            axum::body::Body::new(RequestBody {
                incoming,
                place: of,
            })
        });
        request.extensions_mut().insert(peer);
        request.extensions_mut().insert(patience);
        async move {
            if !is_open {
                return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
            }
            let Ok(mut response) = router.oneshot(request).await;
            place.answered();
            if body == BodyLength::Chunked {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(CONNECTION, close); // see `heads`
            }
            Ok(response)
        }
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // the stream has limits of its own
        .max_buf_size(HEAD_MAX)
        .serve_connection(io, service)
}

/// The length of a body as hyper parsed it: exact without a body and with a `Content-Length`.
fn body_length(body: &Incoming) -> BodyLength {
    let exact = body.size_hint().exact();
    exact.map_or(BodyLength::Chunked, BodyLength::Known)
}

/// A stream that gives up on a peer that is too slow for what it is doing.
struct Watched {
    stream: TcpStream,
    place: Arc<Place>,
    timer: Pin<Box<Sleep>>,
    patience: Patience,
    heads: Heads,
    /// Bytes that arrived with a head or a body and belong to what follows it, from `held_from` on.
    held: Vec<u8>,
    held_from: usize,
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

impl Watched {
    /// Hands on the bytes of the current head or body, those that are held first.
    fn hand_on(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.held.is_empty() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(())); // the end of the stream
            }
            self.note_head()?;
            let read = &mut buffer.filled_mut()[before..];
            let passed = self.heads.pass(read);
            self.held = read[passed..].to_vec();
            buffer.set_filled(before + passed);
        } else {
            self.note_head()?;
            let end = self.held.len().min(self.held_from + buffer.remaining());
            let held = &mut self.held[self.held_from..end];
            let passed = self.heads.pass(held);
            buffer.put_slice(&held[..passed]);
            self.held_from += passed;
            if self.held_from == self.held.len() {
                (self.held, self.held_from) = (Vec::new(), 0);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Records that a head begins or goes on, unless an earlier request is still being answered.
    fn note_head(&mut self) -> io::Result<()> {
        if !self.heads.in_head() || self.place.phase() != Phase::Idle {
            return Ok(());
        }
        if !self.place.begin_head() {
            return Err(io::ErrorKind::ConnectionAborted.into()); // closed for room
        }
        let patience = self.patience.head;
        self.restart(patience);
        Ok(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.heads.needs_body()
            && let Some(body) = self.place.take_body()
        {
            self.heads.set_body(body);
        }
        // Nothing more until the length of the body is known: see `heads`.
        let in_head = self.heads.in_head();
        let read = if self.heads.needs_body() {
            Poll::Pending
        } else {
            self.hand_on(context, buffer)
        };
        if in_head && self.heads.is_refused() {
            // hyper looks at a head that came in pieces once an empty line is there.
            (self.held, self.held_from) = (b"\r\n\r\n".to_vec(), 0);
        }
        if read.is_ready() || self.place.phase() == Phase::Answering {
            return read;
        }
        let time_is_up = self.timer.as_mut().poll(context);
        time_is_up.map(|()| Err(io::ErrorKind::TimedOut.into()))
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
        // All bodies of answers are in memory, so that hyper flushes once it has written the whole answer.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        if flushed.is_ready() {
            self.place.sent();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
