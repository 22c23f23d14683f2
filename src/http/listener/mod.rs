//! HTTP/1.1 connections: accept, timeouts, and draining at shutdown.
//!
//! A peer that sends nothing, or a byte at a time (slow loris), costs a socket and no more:
//! request heads must arrive within 5 s, a connection may idle for 60 s, connections are bounded in
//! total and per network, and new connections evict idle connections.

mod body;
mod heads;

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
use self::heads::RequestFraming;
use crate::context::SharedContext;
use crate::http::router::router;
use crate::jobs;
use crate::rate_limit::connections::{BodyLength, ConnectionSlot, Phase};
use crate::timeouts::Timeouts;

pub use crate::rate_limit::connections::{ConnectionLimits, ConnectionSlots, Load};

/// Maximum length of a request head, in bytes.
const HEAD_MAX: usize = 64 * 1_024;
/// Time for requests in flight to finish at shutdown.
const DRAIN_MAX: Duration = Duration::from_secs(6);
/// Time for the whole shutdown; containers are killed after 10 s.
const SHUTDOWN_MAX: Duration = Duration::from_millis(7_500);

/// A server in progress.
pub type Serving = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Serves until `stop`, then turns readiness off, lets requests in flight finish and ends the jobs.
///
/// Neither async nor generic, so that the server's futures are compiled with the library only, and not
/// again with the tests.
///
/// # Errors
/// Never at present: failed accepts are retried.
pub fn run(context: SharedContext, listener: TcpListener, stop: CancellationToken) -> Serving {
    Box::pin(serve(context, listener, stop))
}

async fn serve(
    context: SharedContext,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    let jobs = jobs::start(&context, &stop);
    let service = router(Arc::clone(&context));
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
                // `accept` failed (EMFILE, or the peer reset): back off and continue.
                refused += 1;
                if refused.is_power_of_two() {
                    tracing::warn!(%error, refused, "connections not accepted");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // A trusted proxy has the connections of all clients behind that proxy, so the limit per
        // network does not apply.
        let is_proxy = context.config.trusted_proxies.contain(peer.ip());
        let place = match context.places.take((!is_proxy).then(|| peer.ip())).await {
            Ok(place) => place,
            Err(reason) => {
                refused += 1;
                if refused.is_power_of_two() {
                    tracing::warn!(
                        ?reason,
                        refused,
                        "connections refused by the connection limits"
                    );
                }
                continue;
            }
        };
        let connection = connection(
            stream,
            peer,
            context.timeouts,
            service.clone(),
            Arc::clone(&place),
        );
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    tracing::debug!(%error, "connection closed early");
                },
                () = place.closed() => tracing::debug!("idle connection evicted"),
            }
        });
    }
    context.readiness.drain();
    drop(listener);
    tracing::info!("draining");
    let end = async {
        if tokio::time::timeout(DRAIN_MAX, connections.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("drain deadline reached; open requests are aborted");
        }
        jobs.wait().await;
        jobs::write_refusals(Arc::clone(&context)).await; // includes refusals of the last requests
        jobs::write_statistics(Arc::clone(&context)).await;
        context.db.close().await;
    };
    if tokio::time::timeout(SHUTDOWN_MAX, end).await.is_err() {
        tracing::warn!("database connections did not close in time");
    }
    Ok(())
}

/// Serves a connection with the timeouts.
fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    timeouts: Timeouts,
    router: Router,
    place: Arc<ConnectionSlot>,
) -> impl hyper_util::server::graceful::GracefulConnection<Output = hyper::Result<()>> {
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(TimeoutStream {
        stream,
        place: Arc::clone(&place),
        timer: Box::pin(tokio::time::sleep(timeouts.idle)),
        timeouts,
        heads: RequestFraming::default(),
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
        request.extensions_mut().insert(timeouts);
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
        .header_read_timeout(None) // `TimeoutStream` enforces the timeouts
        .max_buf_size(HEAD_MAX)
        .serve_connection(io, service)
}

/// Returns the body length as parsed by hyper: exact without a body and with a `Content-Length`.
fn body_length(body: &Incoming) -> BodyLength {
    let exact = body.size_hint().exact();
    exact.map_or(BodyLength::Chunked, BodyLength::Known)
}

/// A stream that times out on a peer that is too slow for the current phase.
struct TimeoutStream {
    stream: TcpStream,
    place: Arc<ConnectionSlot>,
    timer: Pin<Box<Sleep>>,
    timeouts: Timeouts,
    heads: RequestFraming,
    /// Bytes that arrived with a head or a body and belong to the next part, from `held_from` on.
    held: Vec<u8>,
    held_from: usize,
}

impl TimeoutStream {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a peer is waited for is the machine's time"
    )]
    fn restart(&mut self, timeout: Duration) {
        let until = Instant::now() + timeout;
        self.timer.as_mut().reset(until);
    }
}

impl TimeoutStream {
    /// Passes the bytes of the current head or body to hyper, held bytes first.
    fn pass_on(
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

    /// Records that a head begins or continues, unless an earlier request is still being answered.
    fn note_head(&mut self) -> io::Result<()> {
        if !self.heads.in_head() || self.place.phase() != Phase::Idle {
            return Ok(());
        }
        if !self.place.begin_head() {
            return Err(io::ErrorKind::ConnectionAborted.into()); // evicted for a new connection
        }
        let timeouts = self.timeouts.head;
        self.restart(timeouts);
        Ok(())
    }
}

impl AsyncRead for TimeoutStream {
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
        // No more bytes until the length of the body is known: see `heads`.
        let in_head = self.heads.in_head();
        let read = if self.heads.needs_body() {
            Poll::Pending
        } else {
            self.pass_on(context, buffer)
        };
        if in_head && self.heads.is_refused() {
            // hyper parses a head that arrived in pieces only at an empty line, so append an empty
            // line.
            (self.held, self.held_from) = (b"\r\n\r\n".to_vec(), 0);
        }
        if read.is_ready() || self.place.phase() == Phase::Answering {
            return read;
        }
        let time_is_up = self.timer.as_mut().poll(context);
        time_is_up.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl TimeoutStream {
    /// Handles the result of a write: progress restarts the idle timeout, and a peer that stops reading
    /// times out like a peer that stops sending.
    fn written<T>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            let timeouts = self.timeouts.idle;
            self.restart(timeouts);
        }
        // Also register the timer's waker after the last byte of a response: no read may follow before
        // the timer fires.
        let time_is_up = self.timer.as_mut().poll(context);
        if written.is_ready() {
            return written;
        }
        time_is_up.map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for TimeoutStream {
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
        // Response bodies are in memory, so hyper flushes only after the whole response is written.
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
